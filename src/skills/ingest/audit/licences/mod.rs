//! The licences that a document carries, grants or names.
//!
//! Evidence, surest first: an SPDX tag, the licence field of a manifest or of Debian's copyright file, the name
//! of a text in a `LICENSES` folder, a licence's text, a notice, and the names in a README's licence section.
//! Invariants: hits are sorted by identifier, each given once with the best evidence; identifiers are valid
//! SPDX of today.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::SkillError;
use crate::ingest::formats::LicenceHit;

mod debian;
mod manifests;
mod names;
mod notices;
mod plain;
mod texts;

pub(super) use texts::LicenceTexts;

/// Lines of a file in which an SPDX tag counts: tags belong to the header, and documents about SPDX quote
/// tags further down.
const TAG_LINES: usize = 40;
/// Tags listed for one file.
const MAX_TAGS: usize = 8;
/// Lines of a licence section that are searched for names.
const SECTION_LINES: usize = 25;
/// Size up to which a licence file without a licence's text is read as a note that names licences
/// ("dual-licensed under the Unlicense and MIT").
const MAX_NOTE_BYTES: usize = 4096;
/// Confidence of a licence named in a README's licence section: stated, not shown.
const NAMED_CONFIDENCE: f32 = 0.8;
/// Confidence of a licence granted by a notice: the words are the licensor's, the text is elsewhere.
const NOTICE_CONFIDENCE: f32 = 0.95;
/// Bytes of a document searched for notices: in a longer one they stand at the head.
const NOTICE_BYTES: usize = 128 * 1024;

static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)SPDX-License-Identifier["']?[ \t]*[:=][ \t]*["']?([A-Za-z0-9.+()/ -]{2,200})"#).ok()
});
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:#{1,6}\s*|\*\*|=+\s+|<h[1-6][^>]*>)?\W*(?:the )?(?:dual[- ])?licen[cs](?:e|es|ing)\b[^.]{0,40}$").ok()
});
/// A badge of a licence, as services for badges write it: `license-MIT-blue`.
static BADGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)!\[licen[cs]e:? ([^\]]{2,60})\]|/badge/licen[cs]e-((?:[A-Za-z0-9.+_]|--|%20)+)-[A-Za-z0-9]+",
    )
    .ok()
});
/// Statements about the past: "earlier versions were under the GPL".
static PAST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\([^()\n]*\b(?:earlier|previous(?:ly)?|former(?:ly)?|until|were|was|used to)\b[^()\n]*\)|[^.\n()]*\b(?:earlier|previous|former|older) versions?\b[^.\n()]*").ok()
});

/// All licences of one document.
///
/// # Errors
/// [`SkillError::Permanent`] when the built-in licence texts cannot be loaded.
pub(super) fn of(
    path: &Path,
    kind: &str,
    text: &str,
    texts: &LicenceTexts,
) -> Result<Vec<LicenceHit>, SkillError> {
    let mut hits = LicenceHits::default();
    hits.add_all(tags(text), 1.0, "tag");
    hits.add_all(manifests::licences(path, text), 1.0, "manifest");
    if let Some(fields) = debian::fields(text) {
        add_debian(&fields, texts, &mut hits)?;
        return Ok(hits.0.into_values().collect());
    }
    // A file so named holds that text; the text alone would say less ("or later").
    if let Some(spdx) = named_by_file(path) {
        hits.add(spdx, 1.0, "tag");
        return Ok(hits.0.into_values().collect());
    }
    add_text(kind, text, texts, &mut hits)?;
    if matches!(kind, "markdown" | "text" | "html") {
        hits.add_all(badges(text), NAMED_CONFIDENCE, "text");
        hits.add_all(named(text), NAMED_CONFIDENCE, "text");
    }
    if kind == "licence" && hits.0.is_empty() && text.len() <= MAX_NOTE_BYTES {
        hits.add_all(names::in_prose(&without_past(text)), NAMED_CONFIDENCE, "text");
    }
    Ok(hits.0.into_values().collect())
}

/// Texts and notices. The notice of a licence whose text is there too says more: "or later".
fn add_text(kind: &str, text: &str, texts: &LicenceTexts, hits: &mut LicenceHits) -> Result<(), SkillError> {
    let found = texts.find(kind, text)?;
    // The words of a licence about other licences are no notice.
    let whole = found.iter().any(|found| found.whole);
    for found in found {
        hits.add(found.spdx, found.confidence, "text");
    }
    if !whole {
        let flat = plain::flat(&text[..text.floor_char_boundary(NOTICE_BYTES)]);
        hits.add_all(notices::find(&flat), NOTICE_CONFIDENCE, "text");
    }
    Ok(())
}

fn add_debian(
    fields: &[debian::LicenceField],
    texts: &LicenceTexts,
    hits: &mut LicenceHits,
) -> Result<(), SkillError> {
    for field in fields {
        let named = field.named();
        if named.is_empty() && !field.text.is_empty() {
            add_text("licence", &field.text, texts, hits)?;
        }
        hits.add_all(named, 1.0, "manifest");
    }
    Ok(())
}

/// `LICENSES/<id>.txt`, the layout of the REUSE specification, says which licence a text is.
fn named_by_file(path: &Path) -> Option<String> {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    match (folder, stem) {
        (Some("LICENSES"), Some(stem)) => names::spdx_expression(stem),
        _ => None,
    }
}

#[derive(Default)]
struct LicenceHits(BTreeMap<String, LicenceHit>);

impl LicenceHits {
    /// Keeps the first, surest evidence of each identifier.
    fn add(&mut self, spdx: String, confidence: f32, by: &str) {
        let hit = LicenceHit { spdx: spdx.clone(), confidence, by: by.to_owned() };
        self.0.entry(spdx).or_insert(hit);
    }

    fn add_all(&mut self, licences: Vec<String>, confidence: f32, by: &str) {
        for spdx in licences {
            self.add(spdx, confidence, by);
        }
    }
}

fn tags(text: &str) -> Vec<String> {
    let Some(tag) = TAG.as_ref() else { return Vec::new() };
    let head = text
        .lines()
        .take(TAG_LINES)
        .filter(|line| line.as_bytes().windows(5).any(|w| w.eq_ignore_ascii_case(b"spdx-")));
    head.filter_map(|line| expression_at_start(tag.captures(line)?.get(1)?.as_str())).take(MAX_TAGS).collect()
}

/// The expression with which `text` begins. Trailing words, such as the end of a comment, are dropped.
fn expression_at_start(text: &str) -> Option<String> {
    let text = text.replace('/', " OR ");
    let mut words: Vec<&str> = text.split_whitespace().collect();
    while !words.is_empty() {
        if let Some(spdx) = names::spdx_expression(&words.join(" ")) {
            return Some(spdx);
        }
        words.pop();
    }
    None
}

fn badges(text: &str) -> Vec<String> {
    let badges = BADGE.iter().flat_map(|badge| badge.captures_iter(text));
    let named = badges.filter_map(|captures| captures.get(1).or_else(|| captures.get(2)));
    named
        .flat_map(|name| {
            names::expressions(&name.as_str().replace("--", "-").replace("%20", " ").replace('_', " "))
        })
        .collect()
}

/// Licences named in a section whose heading speaks of the licence.
fn named(text: &str) -> Vec<String> {
    let Some(heading) = HEADING.as_ref() else { return Vec::new() };
    let lines: Vec<&str> = text.lines().collect();
    let Some(start) = lines.iter().position(|line| {
        line.len() < 100 && line.as_bytes().iter().any(|b| matches!(b, b'i' | b'I')) && heading.is_match(line)
    }) else {
        return Vec::new();
    };
    let body = lines[start + 1..].iter().take(SECTION_LINES).enumerate();
    let body = body.take_while(|(at, line)| *at < 2 || !line.starts_with('#')).map(|(_, line)| *line);
    let section = format!("{}\n{}", lines[start], body.collect::<Vec<_>>().join("\n"));
    names::in_prose(&without_past(&section))
}

fn without_past(text: &str) -> std::borrow::Cow<'_, str> {
    PAST.as_ref().map_or(text.into(), |past| past.replace_all(text, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_any_comment_and_spelled_officially() {
        for (line, spdx) in [
            ("// SPDX-License-Identifier: MIT", "MIT"),
            (
                "/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */",
                "GPL-2.0-only WITH Linux-syscall-note",
            ),
            ("<!-- SPDX-License-Identifier: Apache-2.0 OR MIT -->", "Apache-2.0 OR MIT"),
            ("# SPDX-License-Identifier: MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("# spdx-license-identifier: isc", "ISC"),
            ("// SPDX-License-Identifier: LGPL-2.1+", "LGPL-2.1-or-later"),
            ("// SPDX-License-Identifier: GPL-2.0", "GPL-2.0-only"),
        ] {
            assert_eq!(tags(line), [spdx], "{line}");
        }
        assert!(tags("SPDX-License-Identifier: whatever you like").is_empty());
    }

    #[test]
    fn a_readme_names_its_licences_under_a_heading_only() {
        let readme = "# x\nMIT rocks.\n\n## License\n\nLicensed under either of Apache License, Version 2.0 or \
                      MIT license at your option.\n\n## ISC\n";
        assert_eq!(named(readme), ["Apache-2.0", "MIT"]);
        assert!(named("# x\nWe like the MIT license.\n").is_empty());
    }

    fn ids(path: &str, kind: &str, text: &str) -> Vec<String> {
        let hits = of(Path::new(path), kind, text, &LicenceTexts::default()).unwrap();
        hits.into_iter().map(|hit| hit.spdx).collect()
    }

    #[test]
    fn readmes_speak_of_their_licence_by_heading_badge_and_grant_but_not_of_the_past() {
        for (text, spdx) in [
            ("## Licence\n\nGPLv2+", "GPL-2.0-or-later"),
            ("## License\n\nGNU Affero General Public License v3.0 or later\n", "AGPL-3.0-or-later"),
            ("## Copyright\n\nThis project is licensed under the EUPL v1.2 licence.", "EUPL-1.2"),
            ("# x\n\n![License](https://img.shields.io/badge/license-BSD--3--Clause-blue)\n", "BSD-3-Clause"),
            ("# x\n\n[![Licence: MPL 2.0](https://b.example/m.svg)](LICENSE)\n", "MPL-2.0"),
            ("## License\n\nMIT (earlier versions were GPLv3)", "MIT"),
        ] {
            assert_eq!(ids("README.md", "markdown", text), [spdx], "{text}");
        }
    }

    #[test]
    fn a_text_in_the_licenses_folder_has_the_licence_of_its_name() {
        let words = "The words of a licence.";
        assert_eq!(ids("LICENSES/GFDL-1.2-or-later.txt", "text", words), ["GFDL-1.2-or-later"]);
        assert_eq!(ids("a/LICENSES/BUSL-1.1.txt", "text", words), ["BUSL-1.1"]);
        assert!(ids("LICENSES/house.txt", "text", words).is_empty());
        assert!(ids("texts/BUSL-1.1.txt", "text", words).is_empty());
    }

    #[test]
    fn a_debian_copyright_file_is_read_by_its_fields_and_odd_names_by_their_texts() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                    License: GPL-3+\n\nFiles: lib/*\nLicense: GPL-odd\n This library is free software; you can \
                    redistribute it and/or\n modify it under the terms of the GNU General Public License, version 2.\n";
        assert_eq!(ids("copyright", "licence", text), ["GPL-2.0-only", "GPL-3.0-or-later"]);
    }
}
