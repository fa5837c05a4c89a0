//! Licences found by their text, with the SPDX texts that the `spdx` crate carries.
//!
//! Invariants: the texts (about 2 MB packed) are loaded once a step and only when a document needs
//! them; the answer is a function of the document alone. The crate's own scanner breaks ties in the
//! order of a hash map, so the search for the best licence is done here, in the order of names.

use std::collections::HashMap;
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
/// Lines before a phrase of a licence that may still belong to the licence.
const LINES_BEFORE: usize = 12;
/// Lines behind a phrase of a licence that may belong to it, in documents that are no licence files.
const LINES_AFTER: usize = 60;

/// Words read to see whether a text is a licence.
const LEGAL_WORDS_READ: usize = 1_000;
/// Share of legal words (one in so many) from which a whole text is compared: of the texts of the SPDX list
/// all but a few have more.
const LEGAL_EVERY: usize = 40;
/// Beginnings of the words that licences are made of.
const LEGAL_WORDS: &[&str] = &[
    "licen",
    "lizen",
    "recht",
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
    ("BSD-3-Clause-HP", "BSD-3-Clause", "of the hp"),
    ("Pixar", "Apache-2.0", "modified apache"),
    // Made of the AGPL, which is known by its title.
    ("SSPL-1.0", "", "server side public license"),
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
        let Some(candidate) = candidate(kind, text) else { return Ok(Vec::new()) };
        let key = blake3::hash(candidate.as_bytes());
        if let Some(found) = self.seen.lock().get(&key) {
            return Ok(found.as_ref().clone());
        }
        let found = Arc::new(self.known()?.search(&candidate));
        self.seen.lock().insert(key, Arc::clone(&found));
        Ok(found.as_ref().clone())
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
    /// Finds the best licence, removes the matching lines, and repeats.
    fn search(&self, text: &str) -> Vec<TextMatch> {
        let mut text = TextData::from(text);
        let mut found: Vec<TextMatch> = Vec::new();
        for _ in 0..MAX_LICENCES {
            let Some((whole, name, known)) = self.best(&text) else { break };
            let (part, score) =
                if whole >= MIN_WHOLE { (text.clone(), whole) } else { text.optimize_bounds(known) };
            if score < MIN_SCORE {
                break;
            }
            let lines = part.lines().join("\n").to_lowercase();
            let variant = VARIANTS.iter().find(|(id, _, words)| *id == name && !lines.contains(words));
            let name = variant.map_or(name, |(_, origin, _)| *origin);
            if !name.is_empty() && !found.iter().any(|earlier| earlier.spdx == name) {
                // Two decimals: more would only look exact.
                let confidence = (score * 100.0).round() / 100.0;
                let whole = whole >= MIN_WHOLE && found.is_empty();
                found.push(TextMatch { spdx: name.to_owned(), confidence, whole });
            }
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

/// The lines worth comparing, without comment marks, copyright lines and differences of case and
/// spacing, so that copies of a licence become equal; `None` when no phrase of a licence is there.
fn candidate(kind: &str, text: &str) -> Option<String> {
    let phrases = PHRASES.as_ref()?;
    let lines: Vec<String> = text.lines().map(plain::line).collect();
    // Sentences are wrapped anywhere: phrases are searched across line ends.
    let joined = lines.join(" ");
    let mut places = phrases.find_iter(&joined).map(|hit| line_of(&lines, hit.start()));
    let window = match (places.next(), kind) {
        (_, "licence") => 0..lines.len().min(MAX_LINES),
        _ if kind != "code" && reads_legal(&joined) => 0..lines.len().min(MAX_LINES),
        (None, _) => return None,
        (Some(first), _) => {
            let last = places.last().unwrap_or(first);
            let end = (last + LINES_AFTER).min(lines.len()).min(first + MAX_LINES);
            first.saturating_sub(LINES_BEFORE)..end
        }
    };
    Some(lines[window].iter().filter(|line| !is_copyright(line)).cloned().collect::<Vec<_>>().join("\n"))
}

/// Whether a text is dense with the words of licences: one in [`LEGAL_EVERY`] of the first
/// [`LEGAL_WORDS_READ`], where other prose, also about licences, has one in a hundred.
fn reads_legal(joined: &str) -> bool {
    let (mut all, mut legal) = (0_usize, 0_usize);
    for word in joined.split(' ').take(LEGAL_WORDS_READ) {
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
    fn both_texts_of_a_dual_licence_file_are_found() {
        assert_eq!(ids("licence", &format!("{MIT}\n\n-----\n\n{ISC}")), ["ISC", "MIT"]);
    }
}
