//! Licences granted by a notice: the few sentences at the head of a source file.
//!
//! The GNU notices exist in many forms (another program's name, "either version 2, or", a library's name, old
//! addresses of the FSF), so only the words that decide are read: which licence, which version, and whether
//! later versions may be chosen. The texts of the GNU licences are known by their title and date, whatever
//! address they give; all words inside such a text are no notice. Invariant: positions are those of the
//! flattened text ([`super::plain`]).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::{self, GnuFamily};
use super::plain::FlatText;
use super::{FoundLicence, clauses, prose};

/// Bytes behind a licence's name within which its version is looked for.
const VERSION_WITHIN: usize = 170;
/// Bytes behind a version within which "or any later version" belongs to it.
const LATER_WITHIN: usize = 110;
/// Bytes before a licence's name within which the words of a grant must be.
const GRANT_WITHIN: usize = 220;
/// Bytes behind the end of a GNU licence that its advice on applying it may take up.
const APPENDIX: usize = 5_000;

static GNU_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:gnu )?(?:(?P<kind>affero|lesser|library)(?:(?: or |/)(?:lesser|library))? )?(?:gnu )?(?:general )?public licen[cs]e\b|\bgnu[ /-](?P<short>[al]?gpl)(?:[ -]?v?\.?(?P<version>[1-3](?:\.[01])?)\b(?P<end>\+|[ -]or[ -]later\b|[ -]only\b)?|\b)",
    )
    .ok()
});
static VERSION_BEHIND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?P<gap>[^0-9]{0,130}?)(?:\bversions?|\bver\.?|\bv\.?| ,?)[ .]?(?P<version>[1-3](?:\.[01])?)\b",
    )
    .ok()
});
static VERSION_BEFORE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"version (?P<version>[1-3](?:\.[01])?)(?P<later>,? ?\(?or (?:\(?at your option\)?,? )?(?:any )?(?:later|newer)(?: version)?\)?)?,? (?:of |under )?(?:the )?(?:terms of the )?$",
    )
    .ok()
});
static LATER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?:or|and)\b[^.]{0,60}?\b(?:later|newer|higher|greater|above|subsequent)\b|^ ?\+").ok()
});
static OTHER_VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\bor,? (?:\(?at your option\)?,? )?(?:of )?(?:version )?(?P<version>[1-3](?:\.[01])?)\b")
        .ok()
});
static GRANT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:under|terms|subject to|governed|covered|licen[cs]ed|redistribut|copied|conditions|is gnu)",
    )
    .ok()
});
/// Words that lead to a copy of the licence, which may be of any version.
static ELSEWHERE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:full|complete) (?:text|copy) of (?:the |version [1-3](?:\.[01])? of the )?(?:latest version of the )?$|exceptions? to the $|section(?: 7)? of the $").ok()
});
/// Grants that name no version still are grants, and so leave the choice.
static BARE_GRANT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:redistribute it and/?o?r? ?modify it|distributed?|licen[cs]ed|released|available|free software)[^.]{0,80} under (?:the )?(?:terms (?:and conditions )?of )?(?:the |either the )?$").ok()
});
static GNU_TITLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\b(?:gnu )?(?P<kind>affero general|lesser general|library general|general|free documentation) public licen[cs]e,? version (?P<version>\d(?:\.\d)?),? (?:\d+ )?(?:january|february|march|june|july|november)(?: \d+,?)? \d{4}|\bgnu (?P<doc>free documentation) licen[cs]e,? version (?P<docversion>\d\.\d),? (?:\d+ )?(?:march|november) \d{4}",
    )
    .ok()
});
static GNU_END: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"instead of this license\.?(?: but first, please read <?\S+)?|that's all there is to it!|for more information on this, and how to apply and follow the gnu agpl, see <?\S+|to permit their use in free software\.").ok()
});
static GFDL_NOTICE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"gnu free documentation licen[cs]e,? (?:\(g?fdl\),? )?(?:either )?(?:version )?(?P<version>1\.[1-3])(?P<rest>.{0,420})").ok()
});
static PERL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:under|same) (?:the )?(?:same )?terms as (?:the )?perl(?: ?5)?(?: programming language)?(?: system)?(?: itself)?\b").ok()
});
/// The place of a copy on Debian's systems: it names the licence where nothing else does.
static COMMON_LICENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"/usr/share/common-licenses/([a-z0-9.-]*[a-z0-9])").ok());

/// Sentences that only one licence's notice has.
const PHRASES: &[(&str, &str)] = &[
    (
        "dedicated all copyright and related and neighboring rights to this software to the public domain",
        "CC0-1.0",
    ),
    ("waived all copyright and related or neighboring rights", "CC0-1.0"),
    (
        "copying and distribution of this file, with or without modification, are permitted in any medium without royalty",
        "FSFAP",
    ),
];

/// Phrases of the exceptions that accompany GNU licences.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("gcc runtime library exception", "gcc runtime"),
    ("permission to link this library with independent modules", "classpath"),
    ("to link this library with independent modules to produce an executable", "classpath"),
    ("configuration script generated by autoconf", "autoconf"),
    ("part or all of the bison parser skeleton", "bison"),
    ("program or library that is built using gnu libtool", "libtool"),
    ("distribute this file as part of a program that uses gnu libtool", "libtool"),
    ("embed this font or unaltered portions of this font", "font"),
];

/// The licences that the notices and GNU texts of a flattened text give.
pub(super) fn find(flat: &FlatText) -> Vec<FoundLicence> {
    let mut found = NoticeFinds::default();
    let texts = gnu_texts(&flat.text, &mut found);
    for (start, text) in outside(&flat.text, &texts) {
        let breaks = flat.breaks.iter().filter_map(|at| at.checked_sub(start));
        let breaks: Vec<usize> = breaks.take_while(|at| *at < text.len()).collect();
        let text = clauses::blanked_within(text, &breaks);
        found.part = start;
        gnu_notices(&text, &mut found);
        documentation(&text, &mut found);
        if let Some(perl) = PERL.as_ref().and_then(|perl| perl.find(&text)) {
            found.add("Artistic-1.0-Perl OR GPL-1.0-or-later".to_owned(), perl.start());
        }
        for FoundLicence { spdx, at } in prose::granted(&text) {
            found.add_named(spdx, at);
        }
        for (phrase, id) in PHRASES {
            if let Some(at) = text.find(phrase) {
                found.add((*id).to_owned(), at);
            }
        }
    }
    found.part = 0;
    if found.found.is_empty() {
        for copy in COMMON_LICENCE.iter().flat_map(|copy| copy.captures_iter(&flat.text)) {
            if let (Some(id), Some(place)) = (names::identify(&copy[1]), copy.get(1)) {
                found.add(id, place.start());
            }
        }
    }
    found.resolved()
}

/// All that was found, in any order.
#[derive(Default)]
struct NoticeFinds {
    found: BTreeMap<String, NoticeFind>,
    /// Where the part of the text begins whose places are added.
    part: usize,
}

#[derive(Clone, Copy)]
struct NoticeFind {
    at: usize,
    /// Known by its name alone.
    is_named: bool,
}

impl NoticeFinds {
    fn add(&mut self, spdx: String, at: usize) {
        self.put(spdx, NoticeFind { at: self.part + at, is_named: false });
    }

    fn add_named(&mut self, spdx: String, at: usize) {
        self.put(spdx, NoticeFind { at: self.part + at, is_named: true });
    }

    /// Keeps a licence once, with its first place and its surer evidence.
    fn put(&mut self, spdx: String, find: NoticeFind) {
        let known = self.found.entry(spdx).or_insert(find);
        known.at = known.at.min(find.at);
        known.is_named &= find.is_named;
    }

    /// The licences by their places. Of those known by name alone, "the GPL", without a version, adds nothing to one
    /// that has a version, and "the GPL v2" nothing to one that says whether later versions hold, too.
    fn resolved(self) -> Vec<FoundLicence> {
        let adds = |spdx: &str, find: &NoticeFind| {
            if !find.is_named {
                return true;
            }
            let (stem, is_bare) = match bare_stem(spdx) {
                Some(stem) => (stem, true),
                None => (spdx.strip_suffix("-only").unwrap_or(spdx), false),
            };
            let says_more = |(other, known): (&String, &NoticeFind)| {
                let is_weaker = known.is_named && bare_stem(other).is_some();
                other != spdx && !is_weaker && other.split([' ', '(']).any(|id| id.starts_with(stem))
            };
            (!is_bare && stem == spdx) || !self.found.iter().any(says_more)
        };
        let kept = self.found.iter().filter(|(spdx, find)| adds(spdx, find));
        let mut kept: Vec<_> =
            kept.map(|(spdx, find)| FoundLicence { spdx: spdx.clone(), at: find.at }).collect();
        kept.sort_by_key(|found| found.at);
        kept
    }
}

/// What the versions of a GNU licence begin with that is named without one.
fn bare_stem(spdx: &str) -> Option<&'static str> {
    match spdx {
        "GPL-1.0-or-later" => Some("GPL-"),
        "LGPL-2.0-or-later" => Some("LGPL-"),
        _ => None,
    }
}

/// The parts of a text beside the ranges, with their places.
fn outside<'a>(flat: &'a str, inside: &[Range<usize>]) -> Vec<(usize, &'a str)> {
    let mut at = 0;
    let mut parts = Vec::new();
    for range in inside {
        let start = at.min(range.start);
        parts.push((start, &flat[start..range.start]));
        at = range.end;
    }
    parts.push((at, &flat[at..]));
    parts
}

/// The texts of GNU licences. A text says nothing of later versions: that is for the notice beside it.
fn gnu_texts(flat: &str, found: &mut NoticeFinds) -> Vec<Range<usize>> {
    let Some(title) = GNU_TITLE.as_ref() else { return Vec::new() };
    let starts: Vec<_> = title.captures_iter(flat).collect();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for captures in &starts {
        let Some(whole) = captures.get(0) else { continue };
        let near = &flat[whole.end()..flat.floor_char_boundary((whole.end() + 500).min(flat.len()))];
        let inside = ranges.last().is_some_and(|last| whole.start() < last.end);
        if inside || !near.contains("everyone is permitted to copy and distribute verbatim copies") {
            continue;
        }
        let version = captures.name("version").or_else(|| captures.name("docversion"));
        let version = version.map_or("", |version| version.as_str());
        let id = match captures.name("kind").map(|kind| kind.as_str()) {
            Some("affero general") => GnuFamily::Affero.id(Some(version), false),
            Some("lesser general" | "library general") => GnuFamily::Lesser.id(Some(version), false),
            Some("general") => GnuFamily::General.id(Some(version), false),
            _ => names::identify(&format!("GFDL-{version}")),
        };
        let Some(id) = id else { continue };
        found.add(id, whole.start());
        ranges.push(whole.start()..end_of_text(flat, whole.end()));
    }
    ranges
}

/// The end of a GNU text: its advice on applying it, else the end of the file.
fn end_of_text(flat: &str, from: usize) -> usize {
    let terms_end = flat[from..].find("end of terms and conditions").map(|at| from + at);
    let (from, limit) = match terms_end {
        Some(at) => (at, flat.floor_char_boundary((at + APPENDIX).min(flat.len()))),
        // The LGPL-3.0 and the GFDL have no such line.
        None => (from, flat.len()),
    };
    let end = GNU_END.as_ref().and_then(|end| end.find_iter(&flat[from..limit]).last());
    match (end, terms_end) {
        (Some(end), _) => from + end.end(),
        (None, Some(at)) => at,
        (None, None) => flat.len(),
    }
}

fn gnu_notices(text: &str, finds: &mut NoticeFinds) {
    let Some(name) = GNU_NAME.as_ref() else { return };
    let exceptions = exceptions(text);
    let hits: Vec<_> = name.captures_iter(text).collect();
    let mut bare = BTreeMap::new();
    let mut found: BTreeMap<GnuFamily, Vec<(String, usize)>> = BTreeMap::new();
    for (number, captures) in hits.iter().enumerate() {
        let Some(whole) = captures.get(0) else { continue };
        let Some(family) = family(captures, whole.as_str()) else { continue };
        let next = hits.get(number + 1).and_then(|next| next.get(0)).map_or(text.len(), |next| next.start());
        let before =
            &text[text.floor_char_boundary(whole.start().saturating_sub(GRANT_WITHIN))..whole.start()];
        let behind = &text
            [whole.end()..text.floor_char_boundary((whole.end() + VERSION_WITHIN + LATER_WITHIN).min(next))];
        let attached = captures.name("version").map(|version| (version.as_str(), captures.name("end")));
        let versions = match attached {
            Some((version, end)) => {
                granted_attached(before, version, end.map_or("", |end| end.as_str()), behind)
            }
            None => granted(before, behind),
        };
        match versions {
            Some(versions) => {
                let ids = versions.iter().filter_map(|(version, later)| family.id(Some(version), *later));
                let ids: Vec<String> = ids.collect();
                if !ids.is_empty() {
                    found.entry(family).or_default().push((ids.join(" OR "), whole.start()));
                }
            }
            None if BARE_GRANT.as_ref().is_some_and(|grant| grant.is_match(before)) => {
                bare.entry(family).or_insert(whole.start());
            }
            None => {}
        }
    }
    for (family, at) in bare {
        if let (None, Some(id)) = (found.get(&family), family.id(None, true)) {
            found.entry(family).or_default().push((id, at));
        }
    }
    for (id, at) in found.into_values().flatten() {
        let exception = exceptions.iter().find_map(|name| names::exception(name, &id));
        match exception.filter(|_| !id.contains(' ')) {
            Some(exception) => finds.add(format!("{id} WITH {exception}"), at),
            None => finds.add(id, at),
        }
    }
}

fn exceptions(text: &str) -> Vec<&'static str> {
    EXCEPTIONS.iter().filter(|(phrase, _)| text.contains(phrase)).map(|(_, name)| *name).collect()
}

fn family(captures: &regex::Captures<'_>, whole: &str) -> Option<GnuFamily> {
    let kind = captures.name("kind").or_else(|| captures.name("short")).map(|kind| kind.as_str());
    Some(match kind {
        Some("affero" | "agpl") => GnuFamily::Affero,
        Some("lesser" | "library" | "lgpl") => GnuFamily::Lesser,
        // The Mozilla and Eclipse Public Licences are named here too.
        None if !whole.contains("gnu") && !whole.contains("general") => return None,
        _ => GnuFamily::General,
    })
}

/// As [`granted`], for a version that stands at the name: `GNU GPLv3+`.
fn granted_attached(before: &str, version: &str, end: &str, behind: &str) -> Option<Vec<(String, bool)>> {
    if is_elsewhere(before) || !GRANT.as_ref()?.is_match(before) {
        return None;
    }
    let later = match end {
        "" => is_later(&sentence(behind, LATER_WITHIN)),
        end => !end.ends_with("only"),
    };
    Some(vec![(version.to_owned(), later)])
}

/// Whether the licence is somebody else's, or only its copy's place is told.
fn is_elsewhere(before: &str) -> bool {
    before.contains("secondary license") || ELSEWHERE.as_ref().is_some_and(|words| words.is_match(before))
}

/// The versions that a grant allows, each with whether later ones are too.
fn granted(before: &str, behind: &str) -> Option<Vec<(String, bool)>> {
    if is_elsewhere(before) {
        return None;
    }
    if let Some(captures) = VERSION_BEFORE.as_ref().and_then(|version| version.captures(before)) {
        let later = captures.name("later").is_some() || is_later(&sentence(behind, LATER_WITHIN));
        return Some(vec![(captures["version"].to_owned(), later)]);
    }
    let captures = VERSION_BEHIND.as_ref()?.captures(behind)?;
    let gap = &captures["gap"];
    let elsewhere = [
        "along with",
        "for more details",
        "see the",
        "can be found",
        "complete text",
        "received a copy",
        "exception",
    ];
    if elsewhere.iter().any(|words| gap.contains(words)) || !GRANT.as_ref()?.is_match(before) {
        return None;
    }
    let end = captures.get(0)?.end();
    let rest = sentence(&behind[end..], LATER_WITHIN);
    let first = captures["version"].to_owned();
    let other = OTHER_VERSION.as_ref().and_then(|other| other.captures(&rest));
    if let Some(other) = other.filter(|other| other["version"] != first) {
        let by_others = rest.contains("accepted by") || rest.contains("approved by");
        return Some(vec![(first, false), (other["version"].to_owned(), is_later(&rest) && !by_others)]);
    }
    Some(vec![(first, is_later(&rest))])
}

/// The rest of a sentence, of at most `within` bytes.
fn sentence(text: &str, within: usize) -> String {
    let text = &text[..text.floor_char_boundary(within.min(text.len()))];
    text.split(". ").next().unwrap_or(text).to_owned()
}

fn is_later(rest: &str) -> bool {
    LATER.as_ref().is_some_and(|later| {
        later.find(rest).is_some_and(|hit| {
            let said = &rest[..hit.end()];
            !said.contains(" not ") && !said.contains("no later") && !said.contains(" only")
        })
    })
}

/// Notices of the GNU Free Documentation License; those on invariant sections choose its variant.
fn documentation(text: &str, found: &mut NoticeFinds) {
    for captures in GFDL_NOTICE.iter().flat_map(|notice| notice.captures_iter(text)) {
        let rest = &captures["rest"];
        let later = is_later(&sentence(rest, LATER_WITHIN));
        let said = |words: &[&str]| words.iter().any(|words| rest.contains(words));
        let variant = match () {
            () if said(&["no invariant sections", "without invariant sections"]) => "-no-invariants",
            () if said(&["with the invariant sections", "invariant sections being"]) => "-invariants",
            () => "",
        };
        let end = if later { "+" } else { "" };
        if let Some(id) = names::identify(&format!("GFDL-{}{variant}{end}", &captures["version"])) {
            found.add(id, captures.get(0).map_or(0, |whole| whole.start()));
        }
    }
}

#[cfg(test)]
mod tests;
