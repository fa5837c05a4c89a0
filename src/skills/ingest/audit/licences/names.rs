//! Licences by name: one name, or an expression of names as manifests and Debian's copyright files write it.
//!
//! Known are the identifiers and full names of the SPDX list and the names in `aliases.txt`; the GNU licences,
//! whose names carry a version and "or later" in a dozen spellings, have a rule of their own. Invariant: the
//! answers are valid SPDX of today (no `GPL-2.0+`). A name that leaves the variant open ("BSD") is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use spdx::Expression;

/// Words of a name that do not distinguish licences.
const EMPTY_WORDS: &[&str] = &[
    "the",
    "a",
    "an",
    "license",
    "licence",
    "licenses",
    "licensed",
    "version",
    "ver",
    "v",
    "international",
    "unported",
    "generic",
    "style",
    "or",
    "of",
    "to",
];

static NAMES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let current = || spdx::identifiers::LICENSES.iter().filter(|licence| !is_old(licence.name));
    for licence in current() {
        names.entry(key(licence.name)).or_insert(licence.name);
    }
    for line in include_str!("aliases.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((id, aliases)) = line.split_once(": ") else { continue };
        for alias in aliases.split(';') {
            names.insert(key(alias), id);
        }
    }
    for licence in current() {
        names.entry(key(licence.full_name)).or_insert(licence.name);
    }
    names.remove("");
    names
});

/// Bytes read of one field: those of distributions' packages with hundreds of parts are shorter.
const FIELD_BYTES: usize = 8 * 1024;

/// Deprecated identifiers that are another licence's today, or a licence's with an exception.
const REPLACED: &[(&str, &str)] = &[
    ("BSD-2-Clause-FreeBSD", "BSD-2-Clause"),
    ("BSD-2-Clause-NetBSD", "BSD-2-Clause"),
    ("GPL-2.0-with-GCC-exception", "GPL-2.0-only WITH GCC-exception-2.0"),
    ("GPL-2.0-with-autoconf-exception", "GPL-2.0-only WITH Autoconf-exception-2.0"),
    ("GPL-2.0-with-bison-exception", "GPL-2.0-only WITH Bison-exception-2.2"),
    ("GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ("GPL-2.0-with-font-exception", "GPL-2.0-only WITH Font-exception-2.0"),
    ("GPL-3.0-with-GCC-exception", "GPL-3.0-only WITH GCC-exception-3.1"),
    ("GPL-3.0-with-autoconf-exception", "GPL-3.0-only WITH Autoconf-exception-3.0"),
    ("StandardML-NJ", "SMLNJ"),
    ("bzip2-1.0.5", "bzip2-1.0.6"),
    ("eCos-2.0", "GPL-2.0-or-later WITH eCos-exception-2.0"),
    ("wxWindows", "LGPL-2.0-or-later WITH WxWindows-exception-3.1"),
];

/// `GPL-2+`, `GNU LGPL v2.1 or later`, `AGPLv3`, `GFDL-NIV-1.3+`, `GPL (>= 2)`.
static GNU: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^(?:the\s+)?(?:gnu[\s/-]*)?
        (?:(?P<kind>affero|lesser|library|free\s+documentation)?\s*(?:gnu\s+)?(?:(?:general\s+)?public\s+)?licen[cs]e|(?P<short>[al]?gpl|lpgl|gfdl))
        (?:\s*\((?:[al]?gpl|gfdl)(?P<inner>v?\s?\d(?:\.\d)?\+?)?\))?
        [\s,_-]*(?P<niv>niv|no-invariants)?[\s,_-]*\(?\s*(?P<from>>=?)?\s*(?:version|ver|v)?[\s._-]*(?P<version>\d(?:[._]\d+)?)?\s*\)?
        \s*(?P<no>-?no-invariants|-?invariants)?\s*(?P<later>\+|-?or[\s-]later|,?\s*or\s(?:\(at\syour\soption\)\s)?(?:any\s)?(?:later|newer|above|greater)(?:\sversions?)?)?
        (?:-?only)?\s*(?:\([al]?gpl[^)]*\))?$",
    )
    .ok()
});

/// "or later" in words, which must not be taken for a choice.
static LATER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)[\s,]*\b(?:or|and)[\s-]+(?:\(?at your (?:option|choice|discretion)\)?,?\s+)?(?:any\s+)?(?:later|newer|above|greater|higher)(?:\s+versions?)?",
    )
    .ok()
});

/// The SPDX identifier of one name.
pub(super) fn identify(name: &str) -> Option<String> {
    let name = name.trim().trim_matches(['"', '\'', '.', ',', ';', '`', '*']).trim();
    if name.is_empty() || name.len() > 200 {
        return None;
    }
    if let Some(captures) = GNU.as_ref().and_then(|gnu| gnu.captures(name)) {
        return gnu(&captures);
    }
    NAMES.get(&key(name)).map(|id| (*id).to_owned()).or_else(|| {
        let outside = name.split_once(" (")?.0;
        NAMES.get(&key(outside)).map(|id| (*id).to_owned())
    })
}

fn gnu(captures: &Captures<'_>) -> Option<String> {
    let text = |name: &str| captures.name(name).map(|part| part.as_str().to_lowercase());
    let kind = text("kind").or_else(|| text("short")).unwrap_or_default();
    let inner = text("inner").unwrap_or_default();
    let version = text("version").map(|version| version.replace('_', "."));
    let version =
        version.or_else(|| Some(inner.trim_matches(['v', '+', ' ']).to_owned()).filter(|v| !v.is_empty()));
    let later = text("later").is_some() || text("from").is_some() || inner.ends_with('+');
    let family = match kind.split_whitespace().next().unwrap_or_default() {
        "affero" | "agpl" => GnuFamily::Affero,
        "lesser" | "library" | "lgpl" | "lpgl" => GnuFamily::Lesser,
        "free" | "gfdl" => {
            let bare = text("niv").or_else(|| text("no")).map(|word| word.trim_start_matches('-').to_owned());
            let variant = match bare.as_deref() {
                Some("invariants") => "-invariants",
                Some(_) => "-no-invariants",
                None => "",
            };
            let end = if later { "or-later" } else { "only" };
            return valid(format!("GFDL-{}{variant}-{end}", version?));
        }
        // "GNU License", "License": no name of one.
        "" if names_general(&captures[0].to_lowercase()) => GnuFamily::General,
        "" => return None,
        _ => GnuFamily::General,
    };
    family.id(version.as_deref(), later)
}

/// "Public License" ends the names of many others.
fn names_general(name: &str) -> bool {
    name.contains("general public") || name.contains("gnu") && name.contains("public")
}

/// The licences of the GNU project for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GnuFamily {
    General,
    Lesser,
    Affero,
}

impl GnuFamily {
    /// The identifier; without a version any version may be chosen, as the GPL itself says.
    pub(super) fn id(self, version: Option<&str>, later: bool) -> Option<String> {
        let (stem, first) = match self {
            Self::General => ("GPL", Some("1.0")),
            Self::Lesser => ("LGPL", Some("2.0")),
            Self::Affero => ("AGPL", None),
        };
        let later = later || version.is_none();
        let version = version.or(first)?;
        let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        valid(format!("{stem}-{version}-{}", if later { "or-later" } else { "only" }))
    }
}

pub(super) fn valid(id: String) -> Option<String> {
    spdx::license_id(&id).filter(|known| known.name == id).map(|_| id)
}

fn is_old(name: &str) -> bool {
    is_no_licence(name) || spdx::license_id(name).is_none_or(spdx::LicenseId::is_deprecated)
}

/// The words by which SPDX documents say that nothing is known, or that there is no licence.
fn is_no_licence(name: &str) -> bool {
    ["NOASSERTION", "NONE"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

pub(super) fn is_empty_word(word: &str) -> bool {
    EMPTY_WORDS.contains(&word)
}

/// The licences that an expression joins: each is an identifier or a choice of several. Parts that are no
/// known licence are left out.
pub(super) fn expressions(text: &str) -> Vec<String> {
    let text = &text[..text.floor_char_boundary(FIELD_BYTES)];
    if let Some(spdx) = spdx_expression(text) {
        return vec![spdx];
    }
    let text = LATER.as_ref().map_or_else(|| text.into(), |later| later.replace_all(text, "+"));
    if let Some(id) = identify(&text) {
        return vec![id];
    }
    let mut joined: Vec<String> = Vec::new();
    for part in parts(&text, &[" and ", " AND ", ", ", ";", " & "]) {
        let part = part.trim().trim_start_matches("and ").trim_matches(['(', ')', ',', ' ']);
        let mut choice: Vec<String> = Vec::new();
        for name in parts(part, &[" or ", " OR ", " | ", "|", "||"]) {
            let name = name.trim().trim_matches(['(', ')']).trim_start_matches("or ");
            let known = with_exception(name).map(|id| vec![id]).unwrap_or_else(|| {
                // `MIT/X11` is one name, `MIT/Apache-2.0` are two.
                if name.contains("://") { Vec::new() } else { name.split('/').filter_map(identify).collect() }
            });
            for id in known {
                if !choice.contains(&id) {
                    choice.push(id);
                }
            }
        }
        if choice.is_empty() {
            continue;
        }
        let found = choice.join(" OR ");
        if !joined.contains(&found) {
            joined.push(found);
        }
    }
    joined
}

fn parts<'a>(text: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let mut parts = vec![text];
    for separator in separators {
        parts = parts.into_iter().flat_map(|part| part.split(separator)).collect();
    }
    parts
}

/// `NAME with EXCEPTION`; an exception that is not on the SPDX list leaves the licence alone.
fn with_exception(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find(" with ").or_else(|| lower.find("-with-"));
    let Some(at) = at else { return identify(text) };
    let id = identify(&text[..at])?;
    Some(match exception(&text[at + " with ".len()..], &id) {
        Some(exception) => format!("{id} WITH {exception}"),
        None => id,
    })
}

/// The SPDX identifier of an exception's name, for the licence that it amends.
pub(super) fn exception(name: &str, licence: &str) -> Option<&'static str> {
    let key = key(name).replace("exceptions", "exception");
    let stem = key.trim_end_matches(" exception").trim();
    let three = licence.contains("-3.0");
    Some(match stem {
        "autoconf" | "autoconf data" if three => "Autoconf-exception-3.0",
        "autoconf" | "autoconf data" => "Autoconf-exception-2.0",
        "bison" => "Bison-exception-2.2",
        "libtool" => "Libtool-exception",
        "font" => "Font-exception-2.0",
        "classpath" => "Classpath-exception-2.0",
        "gcc runtime" | "gcc" | "gcc runtime library" => "GCC-exception-3.1",
        "texinfo" => "Texinfo-exception",
        "llvm" => "LLVM-exception",
        _ => spdx::identifiers::EXCEPTIONS.iter().find(|known| self::key(known.name) == key)?.name,
    })
}

/// A valid SPDX expression of licences, in today's spelling.
pub(super) fn spdx_expression(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > FIELD_BYTES || text.split([' ', '(', ')']).any(is_no_licence) {
        return None;
    }
    let mode = spdx::ParseMode {
        allow_deprecated: true,
        allow_postfix_plus_on_gpl: true,
        ..spdx::ParseMode::STRICT
    };
    let cased = text.split(' ').map(own_case).collect::<Vec<_>>().join(" ");
    Expression::parse_mode(&cased, mode).ok()?;
    Some(cased.split(' ').map(todays).collect::<Vec<_>>().join(" "))
}

/// Identifiers compare without case; the list's spelling is the right one.
fn own_case(word: &str) -> String {
    let bare = word.trim_matches(['(', ')']);
    let plain = bare.trim_end_matches('+');
    let known = spdx::identifiers::LICENSES
        .iter()
        .map(|licence| licence.name)
        .chain(spdx::identifiers::EXCEPTIONS.iter().map(|exception| exception.name))
        .find(|name| name.eq_ignore_ascii_case(plain));
    match known {
        Some(name) => word.replace(plain, name),
        None if ["and", "or", "with"].contains(&bare.to_ascii_lowercase().as_str()) => word.to_uppercase(),
        None => word.to_owned(),
    }
}

/// `GPL-2.0+` and `GPL-2.0` are deprecated spellings of `-or-later` and `-only`.
fn todays(word: &str) -> String {
    let bare = word.trim_matches(['(', ')']);
    if let Some((old, new)) = REPLACED.iter().find(|(old, _)| *old == bare) {
        return word.replace(old, new);
    }
    let gnu = ["GPL-", "LGPL-", "AGPL-", "GFDL-"].iter().any(|stem| bare.starts_with(stem));
    if !gnu || bare.ends_with("-only") || bare.ends_with("-or-later") {
        return word.to_owned();
    }
    let (stem, end) = bare.strip_suffix('+').map_or((bare, "only"), |stem| (stem, "or-later"));
    match valid(format!("{stem}-{end}")) {
        Some(id) => word.replace(bare, &id),
        None => word.to_owned(),
    }
}

/// The distinguishing words of a name, in lower case.
pub(super) fn key(name: &str) -> String {
    let lower =
        name.to_lowercase().replace("share-alike", "share alike").replace("sharealike", "share alike");
    let mut words: Vec<&str> = Vec::new();
    for word in lower.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')) {
        let word = word.trim_matches('.');
        let number = word.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let word = number.unwrap_or(word);
        let word = if word.starts_with(|c: char| c.is_ascii_digit()) {
            word.strip_suffix(".0").unwrap_or(word)
        } else {
            word
        };
        if !word.is_empty() && !EMPTY_WORDS.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_spelling_give_the_identifier_of_today() {
        for (name, id) in [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GPLv3", "GPL-3.0-only"),
            ("GNU GPL v2 or later", "GPL-2.0-or-later"),
            ("GPL (>= 2)", "GPL-2.0-or-later"),
            ("GNU General Public License v3.0 or later", "GPL-3.0-or-later"),
            ("GNU Lesser General Public License v2.1", "LGPL-2.1-only"),
            ("LGPL-2+", "LGPL-2.0-or-later"),
            ("LGPL", "LGPL-2.0-or-later"),
            ("GPL", "GPL-1.0-or-later"),
            ("GNU AGPLv3", "AGPL-3.0-only"),
            ("GNU Affero General Public License v3 or later (AGPLv3+)", "AGPL-3.0-or-later"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("GFDL-1.2", "GFDL-1.2-only"),
            ("Expat", "MIT"),
            ("MIT/X11", "MIT"),
            ("The MIT License (MIT)", "MIT"),
            ("Apache License, Version 2.0", "Apache-2.0"),
            ("Apache-2", "Apache-2.0"),
            ("BSD 3-Clause \"New\" or \"Revised\" License", "BSD-3-Clause"),
            ("bsd-2-clause", "BSD-2-Clause"),
            ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
            ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
            ("EUPL v1.2", "EUPL-1.2"),
            ("European Union Public Licence 1.2", "EUPL-1.2"),
            ("SIL Open Font License 1.1", "OFL-1.1"),
        ] {
            assert_eq!(identify(name).as_deref(), Some(id), "{name}");
        }
        for open in [
            "BSD",
            "License",
            "GNU License",
            "Apache",
            "other",
            "see LICENSE",
            "Public License",
            "public-domain",
            "BSL",
            "UN",
            "AL2",
            "GAP",
            "",
        ] {
            assert_eq!(identify(open), None, "{open}");
        }
    }

    #[test]
    fn expressions_of_debian_and_of_manifests_are_read() {
        for (text, expected) in [
            ("GPL-1+ or Artistic", &["GPL-1.0-or-later OR Artistic-1.0-Perl"][..]),
            ("GPL-2+ and LGPL-2.1+", &["GPL-2.0-or-later", "LGPL-2.1-or-later"]),
            ("Expat or GPL-1+, and Unicode-3.0", &["MIT OR GPL-1.0-or-later", "Unicode-3.0"]),
            ("MPL-1.1 or GPL-2+ or LGPL-2.1+", &["MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later"]),
            ("GPL-2+ with Autoconf exception", &["GPL-2.0-or-later WITH Autoconf-exception-2.0"]),
            ("GPL-2+ with house exception", &["GPL-2.0-or-later"]),
            ("OpenLDAP-2.8 and UMich", &["OLDAP-2.8"]),
            ("MIT/Apache-2.0", &["MIT OR Apache-2.0"]),
            ("mit or apache-2.0", &["MIT OR Apache-2.0"]),
            ("GPL-2.0+ WITH Classpath-exception-2.0", &["GPL-2.0-or-later WITH Classpath-exception-2.0"]),
            ("(MIT OR GPL-3.0+) AND ISC", &["(MIT OR GPL-3.0-or-later) AND ISC"]),
            ("GPL-2 | GPL-3", &["GPL-2.0-only OR GPL-3.0-only"]),
            ("GPL-2.0", &["GPL-2.0-only"]),
            ("GPL-2.0+", &["GPL-2.0-or-later"]),
            ("AGPL-1.0 OR LGPL-2.1", &["AGPL-1.0-only OR LGPL-2.1-only"]),
            ("(GPL-2.0-with-classpath-exception)", &["(GPL-2.0-only WITH Classpath-exception-2.0)"]),
            ("BSD-2-Clause-FreeBSD AND MIT", &["BSD-2-Clause AND MIT"]),
            ("NOASSERTION", &[]),
            ("NONE", &[]),
            ("noassertion", &[]),
            ("MIT AND NOASSERTION", &["MIT"]),
            ("BSD or custom", &[]),
        ] {
            assert_eq!(expressions(text), expected, "{text}");
        }
    }

    #[test]
    fn every_deprecated_identifier_comes_out_in_todays_spelling() {
        // The list has no successor for these.
        let alone = ["Net-SNMP", "Nunit"];
        let old = spdx::identifiers::LICENSES.iter().map(|licence| licence.name);
        let old = old.filter(|name| spdx::license_id(name).is_some_and(|id| id.is_deprecated()));
        for name in old.filter(|name| !alone.contains(name)) {
            let today = spdx_expression(name).unwrap();
            let parsed = Expression::parse_mode(&today, spdx::ParseMode::STRICT).unwrap();
            for part in parsed.requirements() {
                let id = part.req.license.id().unwrap();
                assert!(!id.is_deprecated(), "{name} -> {today}");
            }
        }
    }

    #[test]
    fn a_field_of_any_length_is_read_to_its_limit() {
        let words = "MIT AND ".repeat(FIELD_BYTES);
        assert_eq!(expressions(&words), ["MIT"]);
        assert_eq!(expressions(&format!("{}ISC", " ".repeat(FIELD_BYTES))), Vec::<String>::new());
    }

    #[test]
    fn every_alias_names_a_licence_of_the_list() {
        for line in include_str!("aliases.txt").lines().filter(|line| !line.starts_with('#')) {
            let (id, _) = line.split_once(": ").unwrap();
            assert_eq!(spdx::license_id(id).map(|known| known.name), Some(id), "{line}");
        }
    }
}
