//! Licences named in sentences: behind a grant, or where a document speaks of its licence.
//!
//! Many names of licences are also those of programs, systems and formats ("runs under X11", "needs Python 2"),
//! so a name counts by what it is and by the words around it ([`NameStanding`]). Licences that are offered
//! together ("A or B, at your option") are one choice. Invariant: the text is read once, and at most
//! [`PROSE_BYTES`] of it where every word is tried.

use std::sync::LazyLock;

use regex::Regex;

use super::{FoundLicence, names};

/// Words of the longest names that people write.
const MAX_NAME_WORDS: usize = 9;
/// Bytes before a name within which the words of a grant must be.
const GRANT_WITHIN: usize = 110;
/// Bytes behind a grant in which its licences are named.
const LIST_WITHIN: usize = 420;
/// Words between a grant and the first name.
const MAX_LEAD: usize = 8;
/// Words of an address or a remark in brackets between two names.
const MAX_ASIDE: usize = 14;
/// Bytes of a section in which every word is tried: licence sections are a page at most.
pub(super) const PROSE_BYTES: usize = 16 * 1024;

/// How much a name says without the word "licence" beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NameStanding {
    /// Also the name of something else: it counts behind "licensed" only.
    Shared,
    /// A licence's own name, but short: it counts behind a grant, and in a section about the licence.
    Own,
    /// The word "licence" stands at it, or it is an identifier of SPDX that can be nothing else.
    Sure,
}

/// Beginnings of the words that only names of licences have.
const OWN_WORDS: &[&str] = &[
    "mit",
    "isc",
    "bsd",
    "0bsd",
    "mpl",
    "epl",
    "eupl",
    "gpl",
    "lgpl",
    "agpl",
    "gnu",
    "gfdl",
    "cc",
    "cc0",
    "apache",
    "asl",
    "artistic",
    "unlicense",
    "wtfpl",
    "ofl",
    "osl",
    "afl",
    "cddl",
    "cpl",
    "lppl",
    "sspl",
    "busl",
    "bsl",
    "upl",
    "zpl",
    "ncsa",
    "hpnd",
];
/// Words that may stand between a grant and a name.
const LEAD: &[&str] = &[
    "the",
    "a",
    "an",
    "of",
    "to",
    "terms",
    "and",
    "conditions",
    "either",
    "both",
    "your",
    "choice",
    "under",
    "any",
    "one",
    "following",
    "licensed",
    "*",
    "-",
    "+",
    "•",
];

static UNDER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:under|subject to|covered by)\b").ok());
/// Words of a grant before "under".
static GRANT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:(?:re|dual|multi|tri)?-?licen[cs](?:ed|ing)|releas(?:ed?|es|ing)|(?:re-?)?distribut(?:ed?|es|ion|ing)|available|provided|offered|permi(?:tted|ssion)|free software|open[- ]source)\b",
    )
    .ok()
});
/// "Licensed" as the grant itself: even the name of a program is then that of its licence.
static LICENSED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)licen[cs]ed\b[^.]{0,40}$|\blicen[cs]e(?:\s+is|\s*:)?\s*$").ok());
static DUAL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:dual|multi|tri)[- ]?licen|\beither\b|\bchoice\b").ok());
/// The end of a paragraph above a list of licences to choose from.
static EITHER_OF: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:either|choice|one)(?: of(?: the following)?)?[:,]?[\s*+•-]*$").ok()
});
/// "Or later" at the start of the words behind a name.
static LATER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^[\s,(]*\b(?:or|and)[\s-]+(?:\(?at your (?:option|choice|discretion)\)?,?\s+)?(?:\(?any\)?\s+)?(?:later|newer|above|greater|higher)(?:\s+versions?)?",
    )
    .ok()
});

/// What is asked of the names of one list.
#[derive(Clone, Copy)]
struct ListRules {
    least: NameStanding,
    /// The list is offered as a choice, whatever joins its parts.
    is_choice: bool,
    /// Read as a person wrote it: a short name stands out by its capitals. Otherwise all is lower case, and
    /// the GNU licences, which [`super::notices`] reads, are left out.
    as_written: bool,
}

/// "Licensed under the X, or the Y": the licences that a flattened text grants by name.
pub(super) fn granted(text: &str) -> Vec<FoundLicence> {
    let mut found = Vec::new();
    for under in UNDER.iter().flat_map(|under| under.find_iter(text)) {
        let before = sentence_before(text, under.start());
        let tail = &text[under.end()..text.floor_char_boundary((under.end() + LIST_WITHIN).min(text.len()))];
        let words: Vec<&str> = tail.split_whitespace().collect();
        let first = lead(&words, 0);
        let by_terms = under.as_str() != "under" || words[..first].contains(&"terms");
        let says =
            |words: &LazyLock<Option<Regex>>| words.as_ref().is_some_and(|words| words.is_match(before));
        let least = match () {
            () if says(&LICENSED) => NameStanding::Shared,
            () if by_terms || says(&GRANT) => NameStanding::Own,
            () => NameStanding::Sure,
        };
        let is_choice = says(&DUAL) || words[..first].iter().any(|word| matches!(*word, "either" | "choice"));
        let (list, _) = read_list(&words, first, ListRules { least, is_choice, as_written: false });
        found.extend(
            list.into_iter()
                .map(|(spdx, word)| FoundLicence { spdx, at: under.end() + offset(tail, words[word]) }),
        );
    }
    found
}

/// Licences that follow one another in a section about the licence, longest name first.
pub(super) fn in_prose(text: &str) -> Vec<FoundLicence> {
    let text = &text[..text.floor_char_boundary(PROSE_BYTES)];
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found: Vec<FoundLicence> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let place = offset(text, words[at]);
        let before = sentence_before(text, place);
        let says =
            |words: &LazyLock<Option<Regex>>| words.as_ref().is_some_and(|words| words.is_match(before));
        let least = if says(&LICENSED) { NameStanding::Shared } else { NameStanding::Own };
        let above = &text[text.floor_char_boundary(place.saturating_sub(GRANT_WITHIN))..place];
        let is_choice = says(&DUAL) || EITHER_OF.as_ref().is_some_and(|either| either.is_match(above));
        let rules = ListRules { least, is_choice, as_written: true };
        let (list, end) = read_list(&words, at, rules);
        for (spdx, word) in list {
            if !found.iter().any(|earlier| earlier.spdx == spdx) {
                found.push(FoundLicence { spdx, at: offset(text, words[word]) });
            }
        }
        at = end.max(at + 1);
    }
    found
}

fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// The part of a sentence before a byte, of [`GRANT_WITHIN`] bytes at most.
fn sentence_before(text: &str, at: usize) -> &str {
    let start = text.floor_char_boundary(at.saturating_sub(GRANT_WITHIN));
    let mut before = &text[start..at];
    for end in [". ", "\n\n", "\n- ", "\n* ", "\n#"] {
        before = before.rsplit(end).next().unwrap_or(before);
    }
    before
}

/// How two licences of a list are joined.
#[derive(Clone, Copy, PartialEq)]
enum ListJoint {
    Or,
    And,
    /// Joined as the next two are.
    Comma,
}

/// The licences named from a word on, choices joined by `OR`, each with the number of its first word; and the
/// number of the word behind them.
fn read_list(words: &[&str], from: usize, rules: ListRules) -> (Vec<(String, usize)>, usize) {
    let mut names: Vec<(String, usize)> = Vec::new();
    let mut joints: Vec<ListJoint> = Vec::new();
    let (mut at, mut end) = (from, from);
    while let Some((id, length)) = longest(&words[at..], rules) {
        names.push((id, at));
        end = at + length;
        let next = behind_aside(words, end);
        let comma = words[..next].last().is_some_and(|word| word.ends_with(','));
        let joint = match words.get(next).map(|word| word.to_lowercase()).as_deref() {
            Some("or" | "and/or" | "|" | "||") => Some((ListJoint::Or, next + 1)),
            Some("and" | "&" | "+") => Some((ListJoint::And, next + 1)),
            Some(_) if rules.is_choice => Some((ListJoint::Or, next)),
            Some(_) if comma => Some((ListJoint::Comma, next)),
            _ => None,
        };
        let Some((joint, next)) = joint else { break };
        joints.push(if rules.is_choice { ListJoint::Or } else { joint });
        at = lead(words, next);
    }
    joints.truncate(names.len().saturating_sub(1));
    let mut behind = ListJoint::And;
    for joint in joints.iter_mut().rev() {
        if *joint == ListJoint::Comma {
            *joint = behind;
        }
        behind = *joint;
    }
    let mut groups: Vec<(Vec<String>, usize)> = Vec::new();
    for (number, (id, word)) in names.into_iter().enumerate() {
        let joined = number.checked_sub(1).is_some_and(|before| joints[before] == ListJoint::Or);
        match groups.last_mut().filter(|_| joined) {
            Some((choice, _)) if !choice.contains(&id) => choice.push(id),
            Some(_) => {}
            None => groups.push((vec![id], word)),
        }
    }
    (groups.into_iter().map(|(choice, word)| (choice.join(" OR "), word)).collect(), end)
}

/// The number of the first word that is none of [`LEAD`].
fn lead(words: &[&str], from: usize) -> usize {
    let plain = |word: &&&str| LEAD.contains(&word.trim_matches([',', ':']).to_lowercase().as_str());
    let leading = words.iter().skip(from).take(MAX_LEAD).take_while(plain).count();
    (from + leading).min(words.len())
}

/// The number of the word behind a remark in brackets that begins at word `at`.
fn behind_aside(words: &[&str], at: usize) -> usize {
    let Some(first) = words.get(at).filter(|word| word.starts_with(['(', '<', '['])) else { return at };
    let (open, close) = match first.as_bytes()[0] {
        b'(' => ('(', ')'),
        b'<' => ('<', '>'),
        _ => ('[', ']'),
    };
    let mut depth = 0_i32;
    for (number, word) in words.iter().enumerate().skip(at).take(MAX_ASIDE) {
        for c in word.chars() {
            depth += i32::from(c == open) - i32::from(c == close);
        }
        if depth <= 0 {
            return number + 1;
        }
    }
    at
}

/// The longest beginning of `words` that names a licence, and the number of words that say it.
fn longest(words: &[&str], rules: ListRules) -> Option<(String, usize)> {
    const EDGES: [char; 15] = ['(', ')', '[', ']', '.', ',', ';', ':', '*', '_', '`', '"', '\'', '<', '>'];
    (1..=MAX_NAME_WORDS.min(words.len())).rev().find_map(|length| {
        let parts = &words[..length];
        let joined = parts.join(" ");
        let name = joined.trim_matches(EDGES);
        let standing = standing(name, words.get(length).copied());
        let shown = !rules.as_written || standing == NameStanding::Sure || stands_out(name);
        let gnu = !rules.as_written && is_long_gnu(name);
        if standing < rules.least || !shown || gnu || ends_inside(parts) || is_empty_at_an_end(name) {
            return None;
        }
        let id = names::identify(name).or_else(|| {
            // `MIT/Apache-2.0` is a choice in one word.
            let slashed = length == 1 && name.contains('/') && !name.contains("://");
            names::expressions(name).into_iter().next().filter(|_| slashed)
        })?;
        let (id, later) = or_later(id, &words[length..]);
        let rest = words.get(length + later).map(|word| word.trim_matches(EDGES));
        let more = usize::from(rest.is_some_and(|word| word.starts_with("version")));
        Some((id, length + later + more))
    })
}

fn standing(name: &str, behind: Option<&str>) -> NameStanding {
    let lower = name.to_lowercase();
    let licence = |word: &str| word.starts_with("licen");
    if lower.contains("licen") || behind.is_some_and(|word| licence(&word.to_lowercase())) {
        return NameStanding::Sure;
    }
    let own = |word: &str| {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, 'v' | '.' | '+'));
        OWN_WORDS.contains(&word) || OWN_WORDS.contains(&bare)
    };
    if !names::key(&lower).split(' ').any(own) {
        return NameStanding::Shared;
    }
    let identifier = name.contains('-') && name.contains(|c: char| c.is_ascii_digit()) && !name.contains(' ');
    if identifier { NameStanding::Sure } else { NameStanding::Own }
}

/// A short name that stands out in a sentence: with a version, or in capitals.
fn stands_out(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_digit())
        || name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '-' | '/'))
        || name.eq_ignore_ascii_case("unlicense")
}

fn is_long_gnu(name: &str) -> bool {
    name.starts_with("gnu ")
        || ["general public", "lesser", "affero", "free documentation"]
            .iter()
            .any(|words| name.contains(words))
}

/// Whether a sentence ends before the last word.
fn ends_inside(parts: &[&str]) -> bool {
    parts[..parts.len() - 1].iter().any(|word| {
        word.ends_with(['.', ';', ':', '!', '?'])
            && !matches!(word.to_lowercase().as_str(), "v." | "ver." | "vers.")
    })
}

/// Names begin and end with a word of their own: "X11 or" is none.
fn is_empty_at_an_end(name: &str) -> bool {
    let empty = |word: Option<&str>| {
        let word = word.unwrap_or_default().trim_matches([',', '.']).to_lowercase();
        names::is_empty_word(&word) && !word.starts_with("licen")
    };
    empty(name.split_whitespace().next()) || empty(name.split_whitespace().next_back())
}

/// The identifier with "or later" where the words behind say so, and how many words those are.
fn or_later(id: String, rest: &[&str]) -> (String, usize) {
    let ahead = rest.iter().take(9).copied().collect::<Vec<_>>().join(" ");
    let Some(hit) = LATER.as_ref().and_then(|later| later.find(&ahead)) else { return (id, 0) };
    match id.strip_suffix("-only").and_then(|stem| names::valid(format!("{stem}-or-later"))) {
        Some(later) => (later, hit.as_str().split_whitespace().count()),
        None => (id, 0),
    }
}

#[cfg(test)]
mod tests;
