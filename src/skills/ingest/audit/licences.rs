//! The licences that a document carries, grants or names.
//!
//! Evidence, surest first: an SPDX tag, the licence field of a package manifest, a licence text (in
//! [`licence_text`](super::licence_text)), and the names in a README's licence section. Invariant: hits are
//! sorted by identifier and each identifier is given once, with the best evidence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use spdx::{Expression, ParseMode};

use super::licence_text::LicenceTexts;
use crate::SkillError;
use crate::ingest::formats::LicenceHit;

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

static TAG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+()/ -]{2,200})").ok());
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:#{1,6}\s*|\*\*|=+\s+|<h[1-6][^>]*>)?\W*(?:the )?(?:dual[- ])?licen[cs](?:e|es|ing)\b[^.]{0,40}$").ok()
});

/// Names of licences as people write them, longest first where one begins another.
static NAMES: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    [
        ("MIT-0", r"\bMIT-0\b|\bMIT No Attribution"),
        ("MIT", r"\bMIT(?:[- ](?:licen[cs]ed?|Expat))?\b"),
        ("Apache-2.0", r"(?i)\bApache(?:[- ]?licen[cs]e)?,?\s*(?:v(?:ersion)?\.?\s*)?-?2(?:\.0)?\b|licenses/LICENSE-2\.0"),
        ("BSD-2-Clause", r"(?i)\bBSD[- ]2[- ]?clause|\b2[- ]clause BSD|simplified BSD"),
        ("BSD-3-Clause", r"(?i)\bBSD[- ]3[- ]?clause|\b3[- ]clause BSD|(?:new|modified|revised) BSD"),
        ("0BSD", r"\b0BSD\b"),
        ("ISC", r"\bISC\b"),
        ("MPL-2.0", r"(?i)\bMPL[- ]?(?:v(?:ersion)? ?)?2|Mozilla Public Licen[cs]e,?\s*(?:v(?:ersion)?\.?\s*)?2"),
        ("AGPL-3.0-only", r"(?i)\bAGPL[- ]?v?3|Affero General Public Licen[cs]e"),
        ("LGPL-3.0-only", r"(?i)\bLGPL[- ]?v?3|Lesser General Public Licen[cs]e,?\s*v(?:ersion)?\.?\s*3"),
        ("LGPL-2.1-only", r"(?i)\bLGPL[- ]?v?2\.1|Lesser General Public Licen[cs]e,?\s*v(?:ersion)?\.?\s*2\.1"),
        ("GPL-3.0-only", r"(?i)\bGPL[- ]?v?3|GNU General Public Licen[cs]e,?\s*v(?:ersion)?\.?\s*3"),
        ("GPL-2.0-only", r"(?i)\bGPL[- ]?v?2|GNU General Public Licen[cs]e,?\s*v(?:ersion)?\.?\s*2"),
        ("Unlicense", r"(?i)\bunlicense\b"),
        ("CC0-1.0", r"(?i)\bCC0\b"),
        ("CC-BY-4.0", r"(?i)\bCC[- ]BY[- ]4"),
        ("Zlib", r"(?i)\bzlib(?:/libpng)? licen[cs]e"),
        ("BSL-1.0", r"(?i)\bBSL-1\.0|Boost Software Licen[cs]e"),
        ("Unicode-3.0", r"\bUnicode-3\.0|Unicode License v3"),
    ]
    .into_iter()
    .filter_map(|(id, pattern)| Some((id, Regex::new(pattern).ok()?)))
    .collect()
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
    for spdx in tags(text) {
        hits.add(spdx, 1.0, "tag");
    }
    if let Some(spdx) = manifest(path, text) {
        hits.add(spdx, 1.0, "manifest");
    }
    for (spdx, confidence) in texts.find(kind, text)? {
        hits.add(spdx, confidence, "text");
    }
    if matches!(kind, "markdown" | "text" | "html") {
        for spdx in named(text) {
            hits.add(spdx, NAMED_CONFIDENCE, "text");
        }
    }
    if kind == "licence" && hits.0.is_empty() && text.len() <= MAX_NOTE_BYTES {
        for spdx in names_in(text) {
            hits.add(spdx, NAMED_CONFIDENCE, "text");
        }
    }
    Ok(hits.0.into_values().collect())
}

#[derive(Default)]
struct LicenceHits(BTreeMap<String, LicenceHit>);

impl LicenceHits {
    /// Keeps the first, surest evidence of each identifier.
    fn add(&mut self, spdx: String, confidence: f32, by: &str) {
        let hit = LicenceHit { spdx: spdx.clone(), confidence, by: by.to_owned() };
        self.0.entry(spdx).or_insert(hit);
    }
}

fn tags(text: &str) -> Vec<String> {
    let Some(tag) = TAG.as_ref() else { return Vec::new() };
    let head = text.lines().take(TAG_LINES).filter(|line| line.contains("SPDX-"));
    head.filter_map(|line| canonical(tag.captures(line)?.get(1)?.as_str())).take(MAX_TAGS).collect()
}

/// The SPDX expression in the official spelling; `None` when invalid. Trailing words, such as the end of a
/// comment, are dropped.
fn canonical(expression: &str) -> Option<String> {
    let mut words: Vec<&str> = expression.split_whitespace().collect();
    while !words.is_empty() {
        let candidate = words.join(" ");
        if Expression::parse_mode(&candidate, ParseMode::LAX).is_ok() {
            let spelled = Expression::canonicalize(&candidate).ok().flatten();
            return Some(spelled.unwrap_or(candidate));
        }
        words.pop();
    }
    None
}

/// The licence field of a package manifest.
fn manifest(path: &Path, text: &str) -> Option<String> {
    let field = match path.file_name()?.to_str()? {
        "Cargo.toml" => toml_field(text, &[&["package", "license"], &["workspace", "package", "license"]]),
        "pyproject.toml" => toml_field(
            text,
            &[&["project", "license"], &["project", "license", "text"], &["tool", "poetry", "license"]],
        ),
        "package.json" | "composer.json" | "deno.json" => json_field(text),
        _ => None,
    }?;
    canonical(&field)
}

fn toml_field(text: &str, paths: &[&[&str]]) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    paths.iter().find_map(|path| {
        let (last, parents) = path.split_last()?;
        let folder = parents.iter().try_fold(&table, |table, key| table.get(*key)?.as_table())?;
        folder.get(*last)?.as_str().map(str::to_owned)
    })
}

fn json_field(text: &str) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_str(text).ok()?;
    let name =
        |value: &serde_json::Value| value.as_str().or_else(|| value.get("type")?.as_str()).map(str::to_owned);
    if let Some(licence) = manifest.get("license").and_then(name) {
        return Some(licence);
    }
    let all: Vec<String> = manifest.get("licenses")?.as_array()?.iter().filter_map(name).collect();
    (!all.is_empty()).then(|| all.join(" OR "))
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
    names_in(&section)
}

fn names_in(text: &str) -> Vec<String> {
    NAMES.iter().filter(|(_, name)| name.is_match(text)).map(|(id, _)| (*id).to_owned()).collect()
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
        ] {
            assert_eq!(tags(line), [spdx], "{line}");
        }
        assert!(tags("SPDX-License-Identifier: whatever you like").is_empty());
    }

    #[test]
    fn manifests_of_three_ecosystems_are_read() {
        let of = |name: &str, text: &str| manifest(Path::new(name), text);
        assert_eq!(
            of("a/Cargo.toml", "[package]\nlicense = \"MIT OR Apache-2.0\""),
            Some("MIT OR Apache-2.0".into())
        );
        assert_eq!(of("package.json", r#"{"license":"ISC"}"#), Some("ISC".into()));
        assert_eq!(
            of("package.json", r#"{"licenses":[{"type":"MIT"},{"type":"BSD-3-Clause"}]}"#),
            Some("MIT OR BSD-3-Clause".into())
        );
        assert_eq!(of("pyproject.toml", "[project]\nlicense = {text = \"MIT\"}"), Some("MIT".into()));
        assert_eq!(of("Cargo.toml", "not toml ["), None);
        assert_eq!(of("other.toml", "[package]\nlicense = \"MIT\""), None);
    }

    #[test]
    fn a_readme_names_its_licences_under_a_heading_only() {
        let readme = "# x\nMIT rocks.\n\n## License\n\nLicensed under either of Apache License, Version 2.0 or \
                      MIT license at your option.\n\n## ISC\n";
        assert_eq!(named(readme), ["MIT", "Apache-2.0"]);
        assert!(named("# x\nWe like the MIT license.\n").is_empty());
    }
}
