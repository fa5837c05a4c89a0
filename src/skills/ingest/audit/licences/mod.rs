//! The licences that a document carries, grants or names.
//!
//! Evidence, surest first: an SPDX tag, the licence field of a manifest or of Debian's copyright file, the name
//! of a text in a `LICENSES` folder, a licence's text, a notice, and the names in a README's licence section.
//! Invariants: hits are sorted by identifier, each given once with the best evidence and its place; identifiers are
//! valid SPDX of today; the work is linear in the text, by limits where a format allows repeats without end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::SkillError;
use crate::ingest::formats::LicenceHit;

mod clauses;
mod debian;
mod manifests;
#[cfg(test)]
mod measured;
mod names;
mod notices;
mod plain;
mod prose;
mod texts;

pub(super) use texts::LicenceTexts;

/// Lines of a file in which an SPDX tag counts: tags belong to the header, and documents about SPDX quote
/// tags further down.
const TAG_LINES: usize = 40;
/// Tags, and badges, listed for one file.
const MAX_TAGS: usize = 8;
/// Texts under names of a copyright file's own making that are compared with the known ones.
const MAX_FIELD_TEXTS: usize = 100;
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
/// A heading of a curriculum vitae: licences to practise, none of software.
static OF_A_PERSON: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:certifications?|credentials?|awards?|memberships?)\b").ok());
/// A badge of a licence, as services for badges write it: `license-MIT-blue`.
static BADGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)!\[licen[cs]e:? ([^\]]{2,60})\]|/badge/licen[cs]e-((?:[A-Za-z0-9.+_]|--|%20)+)-[A-Za-z0-9]+",
    )
    .ok()
});
/// A licence and the byte at which it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FoundLicence {
    spdx: String,
    at: usize,
}

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
    hits.add_all(text, tags(text), 1.0, "tag");
    hits.add_all(text, manifests::licences(path, text), 1.0, "manifest");
    if let Some(fields) = debian::fields(text) {
        add_debian(&fields, texts, &mut hits)?;
        return Ok(hits.0.into_values().collect());
    }
    // A file so named holds that text; the text alone would say less ("or later").
    if let Some(spdx) = named_by_file(path) {
        hits.add(spdx, 1.0, "tag", 0);
        return Ok(hits.0.into_values().collect());
    }
    let is_whole = add_text(kind, text, 0, texts, &mut hits)?;
    // A licence names others for its own ends.
    if !is_whole && matches!(kind, "markdown" | "text" | "html" | "document") {
        hits.add_all(text, badges(text), NAMED_CONFIDENCE, "text");
        hits.add_all(text, named(text), NAMED_CONFIDENCE, "text");
    }
    if kind == "licence" && hits.0.is_empty() && text.len() <= MAX_NOTE_BYTES {
        hits.add_all(text, prose::in_prose(&clauses::blanked(text)), NAMED_CONFIDENCE, "text");
    }
    Ok(hits.0.into_values().collect())
}

/// Texts and notices of a text that stands behind `above` lines of its document; gives whether it is one licence's text
/// and nothing else. The notice of a licence whose text is there too says more: "or later".
fn add_text(
    kind: &str,
    text: &str,
    above: u32,
    texts: &LicenceTexts,
    hits: &mut LicenceHits,
) -> Result<bool, SkillError> {
    let found = texts.find(kind, text)?;
    // The words of a licence about other licences are no notice.
    let whole = found.iter().any(|found| found.whole);
    for found in found {
        hits.add(found.spdx, found.confidence, "text", above + found.line);
    }
    if !whole {
        let flat = plain::flat(&text[..text.floor_char_boundary(NOTICE_BYTES)]);
        for FoundLicence { spdx, at } in notices::find(&flat) {
            hits.add(spdx, NOTICE_CONFIDENCE, "text", above + flat.line_at(at));
        }
    }
    Ok(whole)
}

fn add_debian(
    fields: &[debian::LicenceField],
    texts: &LicenceTexts,
    hits: &mut LicenceHits,
) -> Result<(), SkillError> {
    let mut texts_read = 0;
    for field in fields {
        let named = field.named();
        if named.is_empty() && !field.text.is_empty() && texts_read < MAX_FIELD_TEXTS {
            texts_read += 1;
            add_text("licence", &field.text, field.line, texts, hits)?;
        }
        for spdx in named {
            hits.add(spdx, 1.0, "manifest", field.line);
        }
    }
    Ok(())
}

/// `LICENSES/<id>` or `LICENSES/<id>.txt`, the layout of the REUSE specification, says which licence a text is.
fn named_by_file(path: &Path) -> Option<String> {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| folder == Some("LICENSES"))?;
    // In `GPL-2.0` the end of the version is no extension, in `LicenseRef-Acme.txt` the extension is no part of the name.
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    let extension = name[stem.len()..].trim_start_matches('.');
    let has_extension = extension.starts_with(|c: char| c.is_alphabetic());
    let (first, second) = if has_extension { (stem, name) } else { (name, stem) };
    names::spdx_expression(first).or_else(|| names::spdx_expression(second))
}

#[derive(Default)]
struct LicenceHits(BTreeMap<String, LicenceHit>);

impl LicenceHits {
    /// Keeps the first, surest evidence of each identifier.
    fn add(&mut self, spdx: String, confidence: f32, by: &str, line: u32) {
        let hit = LicenceHit { spdx: spdx.clone(), confidence, by: by.to_owned(), line };
        self.0.entry(spdx).or_insert(hit);
    }

    fn add_all(&mut self, text: &str, licences: Vec<FoundLicence>, confidence: f32, by: &str) {
        for FoundLicence { spdx, at } in licences {
            let above = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            self.add(spdx, confidence, by, u32::try_from(above + 1).unwrap_or_default());
        }
    }
}

fn tags(text: &str) -> Vec<FoundLicence> {
    let Some(tag) = TAG.as_ref() else { return Vec::new() };
    let mut start = 0;
    let lines = text.split_inclusive('\n').take(TAG_LINES).map(|line| {
        let at = start;
        start += line.len();
        (at, line)
    });
    let head = lines.filter(|(_, line)| line.as_bytes().windows(5).any(|w| w.eq_ignore_ascii_case(b"spdx-")));
    let tags = head.filter_map(|(at, line)| {
        let spdx = expression_at_start(tag.captures(line)?.get(1)?.as_str())?;
        Some(FoundLicence { spdx, at })
    });
    tags.take(MAX_TAGS).collect()
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

fn badges(text: &str) -> Vec<FoundLicence> {
    let badges = BADGE.iter().flat_map(|badge| badge.captures_iter(text)).take(MAX_TAGS);
    let named = badges.filter_map(|captures| captures.get(1).or_else(|| captures.get(2)));
    named
        .flat_map(|name| {
            let words = name.as_str().replace("--", "-").replace("%20", " ").replace('_', " ");
            names::expressions(&words).into_iter().map(move |spdx| FoundLicence { spdx, at: name.start() })
        })
        .collect()
}

/// Licences named in a section whose heading speaks of the licence.
fn named(text: &str) -> Vec<FoundLicence> {
    let (Some(heading), Some(of_a_person)) = (HEADING.as_ref(), OF_A_PERSON.as_ref()) else {
        return Vec::new();
    };
    let mut at = 0;
    let speaks = |line: &str| {
        line.len() < 100
            && line.as_bytes().iter().any(|b| matches!(b, b'i' | b'I'))
            && heading.is_match(line)
            && !of_a_person.is_match(line)
    };
    let starts = text.split_inclusive('\n').map(|line| {
        let start = at;
        at += line.len();
        (start, line)
    });
    // A line that goes on with a sentence is no heading, unless it is marked as one, or is a field.
    let mut above_is_empty = true;
    let mut starts = starts.skip_while(|(_, line)| {
        let line = line.trim_end();
        let may_be = above_is_empty || line.starts_with(['#', '*', '=', '<']) || line.contains(':');
        above_is_empty = line.trim().is_empty();
        !(may_be && speaks(line))
    });
    let Some((start, heading_line)) = starts.next() else { return Vec::new() };
    let body = starts.take(SECTION_LINES).enumerate();
    let body = body.take_while(|(number, (_, line))| *number < 2 || !line.starts_with('#'));
    let end = body.map(|(_, (start, line))| start + line.len()).last().unwrap_or(start + heading_line.len());
    let end = text.floor_char_boundary(end.min(start + prose::PROSE_BYTES));
    let section = clauses::blanked(&text[start..end]);
    let mut found = prose::in_prose(&section);
    // A line that is a name and nothing else: under this heading even "PostgreSQL" is one.
    let mut at = 0;
    for line in section.split_inclusive('\n') {
        let bare = line.trim().trim_start_matches(['*', '-', ' ']);
        if let Some(spdx) =
            names::identify(bare).filter(|spdx| !found.iter().any(|known| known.spdx == *spdx))
        {
            found.push(FoundLicence { spdx, at });
        }
        at += line.len();
    }
    found.into_iter().map(|FoundLicence { spdx, at }| FoundLicence { spdx, at: start + at }).collect()
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
            assert_eq!(tags(line), [FoundLicence { spdx: spdx.to_owned(), at: 0 }], "{line}");
        }
        for none in ["whatever you like", "NOASSERTION", "NONE"] {
            assert!(tags(&format!("SPDX-License-Identifier: {none}")).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_readme_names_its_licences_under_a_heading_only() {
        let readme = "# x\nMIT rocks.\n\n## License\n\nLicensed under either of Apache License, Version 2.0 or \
                      MIT license at your option.\n\n## ISC\n";
        assert_eq!(named(readme), [FoundLicence { spdx: "Apache-2.0 OR MIT".to_owned(), at: 53 }]);
        assert_eq!(named("## License\n\nPostgreSQL\n").len(), 1);
        assert!(named("# x\nWe like the MIT license.\n").is_empty());
        let wrapped = "# x\n\nThe full text of the GNU General Public\nLicense version 3 can be found in\nGPL-3.0.txt\n";
        assert!(named(wrapped).is_empty());
        assert_eq!(named("# x\nAuthor: Jane Roe\nLicense: ISC\n").len(), 1);
        assert_eq!(named("Words.\n\nLicense\n-------\n\nISC\n").len(), 1);
        let person = "# Jane Roe\n\n## Licenses & Certifications\n\n- Machine learning, MIT\n- CC0-1.0\n";
        assert!(named(person).is_empty());
        assert_eq!(named(&format!("{person}\n## License\n\nISC\n")).len(), 1);
    }

    #[test]
    fn what_a_licence_says_of_other_software_is_no_grant_at_any_door() {
        let others = "You may combine or link compiled forms of this software with software that is licensed under the";
        for (path, kind, text) in [
            ("a.c", "code", format!("// {others} MIT license.\n")),
            ("a.c", "code", format!("// {others} GPLv2 (\"Combined Software\").\n")),
            ("a.c", "code", format!("// {others} GNU General Public License, version 2.\n")),
            ("README.md", "markdown", format!("## License\n\n{others} GPLv2.\n")),
            ("LICENSE", "licence", format!("{others} GPLv2.\n")),
        ] {
            assert!(ids(path, kind, &text).is_empty(), "{text}");
        }
        let both = format!("## License\n\nMIT. {others} GPLv2.\n");
        assert_eq!(ids("README.md", "markdown", &both), ["MIT"]);
        for text in [
            "With this release the code is licensed under the MIT license.",
            "The parser comes with code that is licensed under the MIT license.",
        ] {
            assert_eq!(ids("a.c", "code", text), ["MIT"], "{text}");
        }
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
        assert_eq!(ids("LICENSES/GPL-2.0-or-later.txt", "text", words), ["GPL-2.0-or-later"]);
        assert_eq!(ids("LICENSES/MPL-2.0", "text", words), ["MPL-2.0"]);
        assert_eq!(ids("LICENSES/GPL-2.0", "text", words), ["GPL-2.0-only"]);
        assert_eq!(ids("LICENSES/LicenseRef-Acme.txt", "text", words), ["LicenseRef-Acme"]);
        assert_eq!(ids("LICENSES/LicenseRef-Acme-1.2", "text", words), ["LicenseRef-Acme-1.2"]);
        assert!(ids("LICENSES/NOASSERTION.txt", "text", words).is_empty());
        assert!(ids("LICENSES/house.txt", "text", words).is_empty());
        assert!(ids("texts/BUSL-1.1.txt", "text", words).is_empty());
    }

    #[test]
    fn each_licence_has_its_line() {
        let lines = |path: &str, kind: &str, text: &str| -> Vec<u32> {
            let hits = of(Path::new(path), kind, text, &LicenceTexts::default()).unwrap();
            hits.iter().map(|hit| hit.line).collect()
        };
        assert_eq!(lines("a.rs", "code", "//\n// SPDX-License-Identifier: MIT\n"), [2]);
        assert_eq!(lines("n.spec", "text", "Name: n\nLicense: MIT\n"), [2]);
        assert_eq!(lines("README.md", "markdown", "# x\n\n## License\n\nWords.\nMIT\n"), [6]);
        assert_eq!(lines("a.c", "code", "/*\n * Hello.\n * Released under the MIT license.\n */\n"), [3]);
        assert_eq!(lines("LICENSES/MIT.txt", "text", "Words."), [0]);
        let debian = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nLicense: ISC\n\n\
                      License: odd\n One.\n Released under the MIT license.\n";
        assert_eq!(lines("copyright", "licence", debian), [3, 7]);
    }

    #[test]
    fn files_made_to_repeat_without_end_are_read_in_linear_time() {
        let header = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";
        let debian = format!("{header}{}", "License: GPL\n".repeat(1 << 17));
        assert_eq!(ids("copyright", "licence", &debian), ["GPL-1.0-or-later"]);
        let phrases = "Redistribution and use in source and binary forms,\n".repeat(1 << 16);
        ids("notes.txt", "text", &phrases);
        ids("LICENSE", "licence", &phrases.replace('\n', " "));
        ids("README.md", "markdown", &format!("## License\n{}", "MIT or X11 ".repeat(1 << 18)));
        ids("PKG-INFO", "text", &"License: MIT AND ISC\n".repeat(1 << 16));
        ids("a.c", "code", &"licensed under the ".repeat(1 << 16));
        ids("README.md", "markdown", &"![license MIT](b) ".repeat(1 << 16));
    }

    #[test]
    fn a_debian_copyright_file_is_read_by_its_fields_and_odd_names_by_their_texts() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                    License: GPL-3+\n\nFiles: lib/*\nLicense: GPL-odd\n This library is free software; you can \
                    redistribute it and/or\n modify it under the terms of the GNU General Public License, version 2.\n";
        assert_eq!(ids("copyright", "licence", text), ["GPL-2.0-only", "GPL-3.0-or-later"]);
    }
}
