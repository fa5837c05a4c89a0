//! Licences found by their text, with the SPDX texts that the `spdx` crate carries.
//!
//! Invariants: the texts (about 2 MB packed) are loaded once a step and only when a document needs
//! them; the answer is a function of the document alone. The crate's own scanner breaks ties in the
//! order of a hash map, so the search for the best licence is done here, in the order of names.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use parking_lot::Mutex;
use regex::Regex;
use spdx::detection::{Store, TextData};

use super::plain;
use crate::SkillError;

/// Similarity (Dice, of word pairs) from which a text counts as a licence: rewrapped and renamed copies score
/// above 0.93, a BSD text against related licences at most 0.87.
const MIN_SCORE: f32 = 0.9;
/// Similarity of the whole text above which no bounds are searched: the text is the licence alone.
const MIN_WHOLE: f32 = 0.96;
/// Words that must be left for another search: the shortest licence header has more.
const MIN_WORDS: usize = 12;
/// Most licence texts found in one document: third-party notices repeat the same few.
const MAX_LICENCES: usize = 6;
/// Lines compared at once: the longest common licence text (GPL-3.0) has 674.
const MAX_LINES: usize = 800;
/// Bytes compared at once: ten times the longest common licence text, so that lines without end stay cheap.
const MAX_TEXT_BYTES: usize = 384 * 1024;
/// Lines before a phrase of a licence that may still belong to the licence.
const LINES_BEFORE: usize = 12;
/// Lines behind a phrase of a licence that may belong to it, in documents that are no licence files.
const LINES_AFTER: usize = 60;

/// Words read to see whether a text is a licence.
const LEGAL_WORDS_READ: usize = 1_000;
/// Share of legal words (one in so many) from which a whole text is compared: of the 701 texts of the SPDX list all
/// but seven have more, and so has every tenth text of other kinds, which the comparison then costs its time.
const LEGAL_EVERY: usize = 60;
/// Beginnings of the words that licences are made of, in English, German and French.
const LEGAL_WORDS: &[&str] = &[
    "licen",
    "lizen",
    "recht",
    "nutz",
    "haft",
    "droit",
    "oeuvre",
    "œuvre",
    "contrat",
    "\"licen",
    "copyright",
    "warrant",
    "permi",
    "redistribut",
    "distribut",
    "liab",
    "grant",
    "notice",
    "rights",
];

/// Phrases found only in licence texts and the headers of source files; the mere name of a licence is none.
static PHRASES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let phrases = [
        "permission is hereby granted, free of charge",
        "redistribution and use in source and binary forms",
        "permission to use, copy, modify,? and",
        "you may not use this file except in compliance with",
        "this source code form is subject to the terms",
        "this software is provided ['\"]as-is['\"]",
        "free and unencumbered software released",
        "terms and conditions for use, reproduction",
    ];
    // Lines are lower case by then.
    Regex::new(&phrases.join("|")).ok()
});

/// Licences (first) that are another licence's text (second) with small changes: without the words in the
/// third column, a text counts as the second (as none where that is empty). Copies of Apache-2.0 without the appendix are nearer to Pixar's
/// in length.
const VARIANTS: &[(&str, &str, &str)] = &[
    ("BSD-2-Clause-Views", "BSD-2-Clause", "views and conclusions"),
    ("BSD-2-Clause-pos-unchanged", "BSD-2-Clause", "position and unchanged"),
    ("BSD-3-Clause-HP", "BSD-3-Clause", "of the hp"),
    ("BSD-4-Clause-UC", "BSD-4-Clause", "university of california"),
    ("Pixar", "Apache-2.0", "modified apache"),
    // Made of the AGPL, which is known by its title.
    ("SSPL-1.0", "", "server side public license"),
    ("X11-swapped", "MIT", "except as contained"),
];
/// Licences whose texts others contain: these notices are known by their own words
/// ([`notices`](super::notices)).
const BY_NOTICE: &[&str] = &["FSFAP", "FSFAP-no-warranty-disclaimer"];

type LicenceMatches = Arc<Vec<TextMatch>>;

/// A licence whose text is in a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextMatch {
    pub(super) spdx: String,
    /// Similarity, 0 to 1.
    pub(super) confidence: f32,
    /// Whether the document is this text and nothing else.
    pub(super) whole: bool,
    /// The line of the document, from 1, on which the text begins.
    pub(super) line: u32,
}

/// The known texts, and the results for earlier documents of this step: most licence files are copies.
#[derive(Default)]
pub(in crate::ingest::audit) struct LicenceTexts {
    known: OnceLock<Result<KnownLicences, String>>,
    seen: Mutex<HashMap<blake3::Hash, LicenceMatches>>,
}

/// Every text (original, alternates, headers) with its licence, sorted by licence.
struct KnownLicences(Vec<(String, TextData)>);

impl LicenceTexts {
    /// SPDX identifiers and similarities of the licence texts in a document.
    ///
    /// # Errors
    /// [`SkillError::Permanent`] when the built-in texts cannot be loaded.
    pub(super) fn find(&self, kind: &str, text: &str) -> Result<Vec<TextMatch>, SkillError> {
        let Some(TextCandidate { text, lines }) = TextCandidate::of(kind, text) else {
            return Ok(Vec::new());
        };
        let key = blake3::hash(text.as_bytes());
        let seen = self.seen.lock().get(&key).cloned();
        let found = match seen {
            Some(found) => found,
            None => {
                let found = Arc::new(self.known()?.search(&text));
                self.seen.lock().insert(key, Arc::clone(&found));
                found
            }
        };
        let place = |found: &TextMatch| {
            let line = lines.get(found.line as usize).copied().unwrap_or_default();
            TextMatch { line, ..found.clone() }
        };
        Ok(found.iter().map(place).collect())
    }

    fn known(&self) -> Result<&KnownLicences, SkillError> {
        let known = self.known.get_or_init(|| {
            let store = Store::load_inline().map_err(|error| format!("load the SPDX texts: {error:?}"))?;
            let mut licences: Vec<(String, TextData)> = Vec::new();
            // The GNU licences are known by their titles and notices, which differ where their texts do not.
            let by_text =
                |id: spdx::LicenseId| !id.is_gnu() && !id.is_deprecated() && !BY_NOTICE.contains(&id.name);
            let others = store.iter().filter(|(name, _)| spdx::license_id(name).is_some_and(by_text));
            for (name, entry) in others {
                let bodies = std::iter::once(&entry.original).chain(&entry.alternates);
                licences.extend(bodies.map(|text| (name.clone(), text.clone())));
                licences.extend(entry.headers.iter().map(|text| (name.clone(), text.clone())));
            }
            // Stable: the texts of one licence keep the order they have in the store.
            licences.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(KnownLicences(licences))
        });
        known.as_ref().map_err(|error| SkillError::Permanent(error.clone()))
    }
}

impl KnownLicences {
    /// Finds the best licence, removes the matching lines, and repeats. The lines of the result are those of
    /// `text`, from 0.
    fn search(&self, text: &str) -> Vec<TextMatch> {
        let mut text = TextData::from(text);
        let mut found: Vec<TextMatch> = Vec::new();
        let mut erased: Vec<Range<usize>> = Vec::new();
        for _ in 0..MAX_LICENCES {
            let Some((whole, name, known)) = self.best(&text) else { break };
            let (part, score) =
                if whole >= MIN_WHOLE { (text.clone(), whole) } else { text.optimize_bounds(known) };
            if score < MIN_SCORE {
                break;
            }
            let said = part.lines().join(" ").to_lowercase();
            let variant = VARIANTS.iter().find(|(id, _, words)| *id == name && !said.contains(words));
            let name = variant.map_or(name, |(_, origin, _)| *origin);
            if !name.is_empty() && !found.iter().any(|earlier| earlier.spdx == name) {
                // Two decimals: more would only look exact.
                let confidence = (score * 100.0).round() / 100.0;
                let whole = whole >= MIN_WHOLE && found.is_empty();
                let line = u32::try_from(first_line(&part, &erased)).unwrap_or_default();
                found.push(TextMatch { spdx: name.to_owned(), confidence, whole, line });
            }
            let (start, end) = part.lines_view();
            erased.push(start..end);
            text = part.white_out();
            if text.lines().iter().flat_map(|line| line.split_whitespace()).count() < MIN_WORDS {
                break;
            }
        }
        found
    }

    fn best(&self, text: &TextData) -> Option<(f32, &str, &TextData)> {
        let mut best: Option<(f32, &str, &TextData)> = None;
        for (name, known) in &self.0 {
            let score = known.match_score(text);
            if best.is_none_or(|(top, ..)| score > top) {
                best = Some((score, name, known));
            }
        }
        best
    }
}

/// The first line of a found text. Between its parts lines of texts found before may stand; the longest part
/// counts.
fn first_line(part: &TextData, erased: &[Range<usize>]) -> usize {
    let (start, end) = part.lines_view();
    let (mut longest, mut first) = (0, start);
    let (mut lines, mut begun) = (0, start);
    for (number, line) in (start..end).zip(part.lines()) {
        if erased.iter().any(|range| range.contains(&number)) {
            lines = 0;
        } else if !line.is_empty() {
            if lines == 0 {
                begun = number;
            }
            lines += 1;
            if lines > longest {
                (longest, first) = (lines, begun);
            }
        }
    }
    first
}

/// The lines worth comparing, without comment marks, copyright lines and differences of case and
/// spacing, so that copies of a licence become equal.
struct TextCandidate {
    text: String,
    /// The number in the document, from 1, of each line of `text`.
    lines: Vec<u32>,
}

impl TextCandidate {
    /// `None` when no phrase of a licence is there.
    fn of(kind: &str, text: &str) -> Option<Self> {
        let phrases = PHRASES.as_ref()?;
        let lines: Vec<String> = text.lines().map(plain::line).collect();
        // Sentences are wrapped anywhere: phrases are searched across line ends.
        let joined = lines.join(" ");
        let window = if kind == "licence" || kind != "code" && reads_legal(&joined) {
            0..lines.len().min(MAX_LINES)
        } else {
            let (first, last) = first_and_last(&lines, phrases.find_iter(&joined).map(|hit| hit.start()))?;
            let end = (last + LINES_AFTER).min(lines.len()).min(first + MAX_LINES);
            first.saturating_sub(LINES_BEFORE)..end
        };
        let mut candidate = Self { text: String::new(), lines: Vec::new() };
        for number in window.filter(|number| !is_copyright(&lines[*number])) {
            let line = &lines[number];
            let room = MAX_TEXT_BYTES.saturating_sub(candidate.text.len() + 1);
            if room == 0 {
                break;
            }
            if !candidate.lines.is_empty() {
                candidate.text.push('\n');
            }
            candidate.text.push_str(&line[..line.floor_char_boundary(room)]);
            candidate.lines.push(u32::try_from(number + 1).unwrap_or_default());
        }
        Some(candidate)
    }
}

/// The lines of the first and of the last place in the lines joined by single characters.
fn first_and_last(lines: &[String], mut places: impl Iterator<Item = usize>) -> Option<(usize, usize)> {
    let first = places.next()?;
    let last = places.last().unwrap_or(first);
    Some((line_of(lines, first), line_of(lines, last)))
}

/// Whether a text is dense with the words of licences: one in [`LEGAL_EVERY`] of the first
/// [`LEGAL_WORDS_READ`].
fn reads_legal(joined: &str) -> bool {
    let (mut all, mut legal) = (0_usize, 0_usize);
    for word in joined.split_whitespace().take(LEGAL_WORDS_READ) {
        all += 1;
        legal += usize::from(LEGAL_WORDS.iter().any(|start| word.starts_with(start)));
    }
    all >= MIN_WORDS && legal * LEGAL_EVERY >= all
}

fn line_of(lines: &[String], offset: usize) -> usize {
    let mut end = 0;
    lines
        .iter()
        .position(|line| {
            end += line.len() + 1;
            offset < end
        })
        .unwrap_or(0)
}

fn is_copyright(line: &str) -> bool {
    ["copyright (c)", "copyright ©", "(c) ", "©", "all rights reserved"]
        .iter()
        .any(|start| line.starts_with(start))
        || line.strip_prefix("copyright ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the MIT licence (SPDX list), with a holder.
    const MIT: &str = "MIT License\n\nCopyright (c) 2019 Jane Doe\n\nPermission is hereby granted, free of charge, \
to any person obtaining a copy\nof this software and associated documentation files (the \"Software\"), to deal\n\
in the Software without restriction, including without limitation the rights\nto use, copy, modify, merge, \
publish, distribute, sublicense, and/or sell\ncopies of the Software, and to permit persons to whom the Software \
is\nfurnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission \
notice shall be included in all\ncopies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \
\"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\nIMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF \
MERCHANTABILITY,\nFITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\nAUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\nLIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT \
OR OTHERWISE, ARISING FROM,\nOUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n";

    const ISC: &str = "ISC License\n\nCopyright 2020 John Roe\n\nPermission to use, copy, modify, and/or distribute \
this software for any\npurpose with or without fee is hereby granted, provided that the above\ncopyright notice \
and this permission notice appear in all copies.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS \
ALL WARRANTIES WITH\nREGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY\nAND FITNESS. IN \
NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,\nINDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES \
WHATSOEVER RESULTING FROM\nLOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR\nOTHER \
TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR\nPERFORMANCE OF THIS SOFTWARE.\n";

    fn ids(kind: &str, text: &str) -> Vec<String> {
        let mut ids: Vec<_> =
            LicenceTexts::default().find(kind, text).unwrap().into_iter().map(|found| found.spdx).collect();
        ids.sort();
        ids
    }

    #[test]
    fn texts_are_found_whole_wrapped_and_inside_other_text() {
        assert_eq!(ids("licence", MIT), ["MIT"]);
        let rewrapped = MIT.replace('\n', " ").replace("  ", "\n\n");
        assert_eq!(ids("licence", &rewrapped), ["MIT"]);
        let commented: String = MIT.lines().map(|line| format!("// {line}\n")).collect();
        assert_eq!(ids("code", &format!("{commented}fn main() {{}}\n")), ["MIT"]);
        assert!(ids("text", "Permission is hereby granted to come in.").is_empty());
    }

    #[test]
    fn a_text_in_few_legal_words_is_compared_and_empty_lines_are_no_words() {
        let words = format!("a licence\n{}", "\n".repeat(200) + &"word ".repeat(LEGAL_EVERY - 2));
        assert!(TextCandidate::of("text", &words).is_some());
        let fewer = format!("a licence {}", "word ".repeat(2 * LEGAL_EVERY));
        assert!(TextCandidate::of("text", &fewer).is_none());
        for words in ["Nutzung", "Haftung", "droits", "l’ œuvre"] {
            assert!(
                TextCandidate::of("text", &format!("{words} {}", "mot ".repeat(30))).is_some(),
                "{words}"
            );
        }
    }

    #[test]
    fn a_text_has_the_line_on_which_it_begins() {
        let code =
            format!("{}\n/*\n{MIT}*/\n", "fn any_name_of_code(with: Arguments, and: More) {}\n".repeat(8));
        let found = LicenceTexts::default().find("code", &code).unwrap();
        assert!(found[0].spdx == "MIT" && (11..=15).contains(&found[0].line), "{found:?}");
        let both = LicenceTexts::default().find("licence", &format!("{MIT}\n\n-----\n\n{ISC}")).unwrap();
        let mut lines: Vec<_> = both.iter().map(|found| (found.spdx.as_str(), found.line)).collect();
        lines.sort_unstable();
        // The comparison may leave out the title and the holder.
        assert!(lines[1].0 == "MIT" && lines[1].1 <= 5 && lines[0].1 > 20, "{lines:?}");
    }

    #[test]
    fn a_document_without_end_gives_a_bounded_text_to_compare() {
        let phrase = "Permission is hereby granted, free of charge, to whom it may concern. ";
        let one_line = phrase.repeat(4 * MAX_TEXT_BYTES / phrase.len());
        let many_lines = one_line.replace(". ", ".\n");
        for (kind, text) in
            [("code", &one_line), ("licence", &one_line), ("code", &many_lines), ("text", &many_lines)]
        {
            let candidate = TextCandidate::of(kind, text).unwrap();
            assert!(candidate.text.len() <= MAX_TEXT_BYTES && candidate.lines.len() <= MAX_LINES, "{kind}");
            assert_eq!(candidate.text.lines().count(), candidate.lines.len());
        }
    }

    #[test]
    fn places_become_lines_at_both_ends_only() {
        let lines: Vec<String> = (0..5).map(|n| format!("line {n}")).collect();
        let asked = std::cell::Cell::new(0);
        let places = [1, 8, 15, 22, 30].into_iter().inspect(|_| asked.set(asked.get() + 1));
        assert_eq!(first_and_last(&lines, places), Some((0, 4)));
        assert_eq!(asked.get(), 5);
        assert_eq!(first_and_last(&lines, std::iter::empty()), None);
    }

    /// The conditions of the two-clause BSD licence (SPDX list), with `more` behind the first and the author's disclaimer.
    fn bsd(more: &str) -> String {
        format!(
            "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided \
             that the following conditions\nare met:\n1. Redistributions of source code must retain the above \
             copyright\n   notice, this list of conditions and the following disclaimer{more}.\n2. Redistributions in \
             binary form must reproduce the above copyright\n   notice, this list of conditions and the following \
             disclaimer in the\n   documentation and/or other materials provided with the distribution.\n\nTHIS SOFTWARE \
             IS PROVIDED BY THE AUTHOR ``AS IS\'\' AND ANY EXPRESS OR\nIMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, \
             THE IMPLIED WARRANTIES\nOF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED.\nIN NO EVENT \
             SHALL THE AUTHOR BE LIABLE FOR ANY DIRECT, INDIRECT,\nINCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL \
             DAMAGES (INCLUDING, BUT\nNOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,\nDATA, OR \
             PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY\nTHEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT \
             LIABILITY, OR TORT\n(INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF\nTHIS SOFTWARE, \
             EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.\n"
        )
    }

    #[test]
    fn a_variant_is_one_only_with_the_words_that_make_it() {
        assert_eq!(ids("licence", &bsd("")), ["BSD-2-Clause"]);
        let kept = bsd("\n   in this position\n   and unchanged");
        assert_eq!(ids("licence", &kept), ["BSD-2-Clause-pos-unchanged"]);
    }

    #[test]
    fn both_texts_of_a_dual_licence_file_are_found() {
        assert_eq!(ids("licence", &format!("{MIT}\n\n-----\n\n{ISC}")), ["ISC", "MIT"]);
    }
}
