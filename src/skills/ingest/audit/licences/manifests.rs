//! The licence fields of package manifests, by ecosystem.
//!
//! TOML and JSON are parsed; of the others one field is read by its form, as the build files of some
//! ecosystems are programs. A field that points to a file, or names no one licence ("BSD"), gives nothing.
//! Invariant: at most [`MAX_VALUES`] values are read of one file.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{FoundLicence, names};

/// Values read of one manifest: a workspace's list of licences is shorter.
const MAX_VALUES: usize = 200;

/// A manifest whose licence is found by a pattern: names of files (or `*.` and an extension), and the
/// field, whose groups are the values.
const BY_PATTERN: &[(&[&str], &str)] = &[
    (&["setup.py"], r#"(?m)\blicense\s*=\s*["']([^"'\n]+)["']"#),
    (&["setup.cfg"], r"(?m)^license(?:_expression)?\s*=\s*(\S.*)$"),
    (&["PKG-INFO", "METADATA"], r"(?m)^License(?:-Expression)?:\s*(\S.*)$"),
    (&["pom.xml", "*.pom"], r"(?s)<license>.*?<name>\s*([^<]+?)\s*</name>"),
    (
        &["*.gemspec", "*.podspec"],
        r#"(?m)\blicen[sc]es?\s*=\s*(?:\[|%w\[|\{\s*:type\s*=>\s*)?\s*([^\]\n}]+)"#,
    ),
    (&["DESCRIPTION"], r"(?m)^License:\s*(\S.*(?:\n[ \t]+\S.*)*)$"),
    (&["*.spec"], r"(?m)^License:\s*(\S.*)$"),
    (&["*.nuspec"], r#"<license\s+type=["']expression["']\s*>\s*([^<]+?)\s*</license>"#),
    (
        &["*.csproj", "*.fsproj", "*.vbproj", "*.props"],
        r"<PackageLicenseExpression>\s*([^<]+?)\s*</PackageLicenseExpression>",
    ),
    (
        &["CITATION.cff", "meta.yaml", "galaxy.yml", "snapcraft.yaml", "package.yaml", "META.yml"],
        r#"(?m)^\s{0,2}license:[ \t]*["']?([^"'\n]+?)["']?\s*$"#,
    ),
    (&["PKGBUILD"], r"(?m)^license=\(([^)]+)\)"),
    (&["APKBUILD"], r#"(?m)^license=["']([^"'\n]+)["']"#),
    (&["*.cabal"], r"(?mi)^license:\s*(\S.*)$"),
    (&["mix.exs"], r"licenses:\s*\[([^\]]+)\]"),
    (&["*.rockspec"], r#"\blicense\s*=\s*["']([^"'\n]+)["']"#),
    (&["*.opam", "opam"], r#"(?m)^license:\s*"([^"]+)""#),
    (
        &["*.metainfo.xml", "*.appdata.xml", "package.xml"],
        r"<(?:project_license|license)[^>]*>\s*([^<]+?)\s*</",
    ),
    (
        &["build.gradle", "build.gradle.kts"],
        r#"licenses?\s*\{[^}]*?\bname(?:\.set\(|\s*=\s*|\s+)["']([^"'\n]+)["']"#,
    ),
];

static PATTERNS: LazyLock<Vec<(&'static [&'static str], Regex)>> = LazyLock::new(|| {
    let compile =
        |(names, pattern): &(&'static [&'static str], &str)| Some((*names, Regex::new(pattern).ok()?));
    BY_PATTERN.iter().filter_map(compile).collect()
});
/// The key of a licence field in any of the formats.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)(?:spdx-)?\blicen[cs]es?(?:-identifier)?["']?\s*[:=]"#).ok());
static CLASSIFIER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"License ::(?: OSI Approved ::)? ([^"'\n]+)"#).ok());

/// The licences that a manifest states; empty for files that are none.
pub(super) fn licences(path: &Path, text: &str) -> Vec<FoundLicence> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let parsed = match name {
        "Cargo.toml" => toml_fields(text, &[&["package", "license"], &["workspace", "package", "license"]]),
        "pyproject.toml" => toml_fields(
            text,
            &[&["project", "license"], &["project", "license", "text"], &["tool", "poetry", "license"]],
        ),
        "Project.toml" | "fpm.toml" | "gleam.toml" => toml_fields(text, &[&["license"], &["licences"]]),
        "REUSE.toml" => reuse(text),
        "package.json" | "composer.json" | "deno.json" | "META.json" | "bower.json" | "elm.json"
        | "dub.json" | "haxelib.json" | "vcpkg.json" => json_field(text),
        // R's manifest shares its name with descriptions in prose.
        "DESCRIPTION" if !text.lines().any(|line| line.starts_with("Package:")) => Vec::new(),
        _ => return by_pattern(name, text),
    };
    let key = KEY.as_ref().filter(|_| !parsed.is_empty()).and_then(|key| key.find(text));
    let at = key.map_or(0, |key| key.start());
    let found: Vec<_> = parsed.into_iter().map(|spdx| FoundLicence { spdx, at }).collect();
    or_classifiers(name, text, found)
}

fn or_classifiers(name: &str, text: &str, found: Vec<FoundLicence>) -> Vec<FoundLicence> {
    if found.is_empty()
        && matches!(name, "setup.py" | "setup.cfg" | "pyproject.toml" | "PKG-INFO" | "METADATA")
    {
        return classifiers(text);
    }
    found
}

fn by_pattern(name: &str, text: &str) -> Vec<FoundLicence> {
    let is_one = |pattern: &&str| {
        pattern
            .strip_prefix('*')
            .map_or(*pattern == name, |end| name.ends_with(end) && name.len() > end.len())
    };
    let mut found = Vec::new();
    for (_, field) in PATTERNS.iter().filter(|(names, _)| names.iter().any(is_one)) {
        let values = field.captures_iter(text).take(MAX_VALUES);
        for value in values.filter_map(|captures| captures.get(1)) {
            for spdx in stated(value.as_str()) {
                add(&mut found, spdx, value.start());
            }
        }
    }
    or_classifiers(name, text, found)
}

fn add(found: &mut Vec<FoundLicence>, spdx: String, at: usize) {
    if !found.iter().any(|known| known.spdx == spdx) {
        found.push(FoundLicence { spdx, at });
    }
}

/// The licences of a field's value: an expression, or a list of quoted names, which all apply.
fn stated(value: &str) -> Vec<String> {
    // "MIT + file LICENSE" is R's way to name the copyright holder.
    let value = value.split("+ file LICEN").next().unwrap_or(value).trim();
    let quoted: Vec<&str> = value.split(['"', '\'']).skip(1).step_by(2).take(MAX_VALUES).collect();
    match quoted.is_empty() {
        true => names::expressions(value),
        false => quoted.into_iter().flat_map(names::expressions).collect(),
    }
}

fn classifiers(text: &str) -> Vec<FoundLicence> {
    let mut found = Vec::new();
    for captures in CLASSIFIER.iter().flat_map(|classifier| classifier.captures_iter(text)).take(MAX_VALUES) {
        if let (Some(spdx), Some(whole)) = (names::identify(&captures[1]), captures.get(0)) {
            add(&mut found, spdx, whole.start());
        }
    }
    found
}

fn toml_fields(text: &str, paths: &[&[&str]]) -> Vec<String> {
    let Ok(table) = toml::from_str::<toml::Table>(text) else { return Vec::new() };
    let field = paths.iter().find_map(|path| {
        let (last, parents) = path.split_last()?;
        let folder = parents.iter().try_fold(&table, |table, key| table.get(*key)?.as_table())?;
        folder.get(*last)?.as_str().map(str::to_owned)
    });
    field.map(|field| names::expressions(&field)).unwrap_or_default()
}

fn reuse(text: &str) -> Vec<String> {
    let Ok(table) = toml::from_str::<toml::Table>(text) else { return Vec::new() };
    let rows = table.get("annotations").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for licence in rows.iter().take(MAX_VALUES).filter_map(|row| row.get("SPDX-License-Identifier")) {
        let listed =
            licence.as_array().map_or(std::slice::from_ref(licence), Vec::as_slice).iter().take(MAX_VALUES);
        for spdx in listed.filter_map(toml::Value::as_str).filter_map(names::spdx_expression) {
            if !found.contains(&spdx) {
                found.push(spdx);
            }
        }
    }
    found
}

/// `license` (a name, an object with a `type`, or a list that offers a choice), else the old `licenses`.
fn json_field(text: &str) -> Vec<String> {
    let Ok(manifest) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let name =
        |value: &serde_json::Value| value.as_str().or_else(|| value.get("type")?.as_str()).map(str::to_owned);
    for key in ["license", "licenses"] {
        let Some(value) = manifest.get(key) else { continue };
        if let Some(one) = name(value) {
            return cpan(&one).map_or_else(|| names::expressions(&one), |spdx| vec![spdx.to_owned()]);
        }
        let all = value.as_array().into_iter().flatten().take(MAX_VALUES).filter_map(name);
        let known = all.filter_map(|one| {
            cpan(&one).map(str::to_owned).or_else(|| names::expressions(&one).into_iter().next())
        });
        let known: Vec<String> = known.collect();
        if !known.is_empty() {
            return vec![known.join(" OR ")];
        }
    }
    Vec::new()
}

/// The keys of CPAN's metadata that are no names of licences.
fn cpan(key: &str) -> Option<&'static str> {
    Some(match key {
        "perl_5" => "Artistic-1.0-Perl OR GPL-1.0-or-later",
        "gpl_1" => "GPL-1.0-only",
        "gpl_2" => "GPL-2.0-only",
        "gpl_3" => "GPL-3.0-only",
        "lgpl_2_1" => "LGPL-2.1-only",
        "lgpl_3_0" => "LGPL-3.0-only",
        "agpl_3" => "AGPL-3.0-only",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_of_many_ecosystems_are_read() {
        for (name, text, expected) in [
            ("a/Cargo.toml", "[package]\nlicense = \"MIT OR Apache-2.0\"", "MIT OR Apache-2.0"),
            ("package.json", r#"{"license":"ISC"}"#, "ISC"),
            (
                "package.json",
                r#"{"licenses":[{"type":"MIT"},{"type":"BSD-3-Clause"}]}"#,
                "MIT OR BSD-3-Clause",
            ),
            ("pyproject.toml", "[project]\nlicense = {text = \"ISC\"}", "ISC"),
            (
                "pyproject.toml",
                "[project]\nclassifiers = [\"License :: OSI Approved :: MIT License\"]",
                "MIT",
            ),
            ("setup.py", "setup(name='n', license=\"GPLv3+\")", "GPL-3.0-or-later"),
            ("setup.py", "setup(classifiers=['License :: OSI Approved :: ISC License (ISCL)'])", "ISC"),
            ("setup.cfg", "[metadata]\nlicense = MPL 2.0\n", "MPL-2.0"),
            ("PKG-INFO", "Metadata-Version: 2.1\nLicense: Apache 2.0\n", "Apache-2.0"),
            ("pom.xml", "<licenses><license><name>The MIT License</name></license></licenses>", "MIT"),
            ("n.gemspec", "s.licenses = [\"Ruby\", \"BSD-2-Clause\"]", "BSD-2-Clause,Ruby"),
            ("N.podspec", "s.license = { :type => 'MIT', :file => 'LICENSE' }", "MIT"),
            ("DESCRIPTION", "Package: n\nLicense: MIT + file LICENSE\n", "MIT"),
            ("DESCRIPTION", "Package: n\nLicense: GPL-2 | GPL-3\n", "GPL-2.0-only OR GPL-3.0-only"),
            ("n.spec", "Name: n\nLicense: GPLv2+ and MIT\n", "GPL-2.0-or-later,MIT"),
            ("n.nuspec", "<license type=\"expression\">Apache-2.0</license>", "Apache-2.0"),
            ("n.csproj", "<PackageLicenseExpression>MIT</PackageLicenseExpression>", "MIT"),
            ("CITATION.cff", "cff-version: 1.2.0\nlicense: BSD-3-Clause\n", "BSD-3-Clause"),
            (
                "composer.json",
                r#"{"license":["LGPL-2.1-only","GPL-3.0-or-later"]}"#,
                "LGPL-2.1-only OR GPL-3.0-or-later",
            ),
            ("META.json", r#"{"license":["artistic_2"]}"#, "Artistic-2.0"),
            ("PKGBUILD", "license=('GPL-3.0-or-later')", "GPL-3.0-or-later"),
            ("n.cabal", "name: n\nlicense: BSD-3-Clause\n", "BSD-3-Clause"),
            ("mix.exs", "licenses: [\"Apache-2.0\"],", "Apache-2.0"),
            (
                "REUSE.toml",
                "[[annotations]]\nSPDX-License-Identifier = [\"MIT\", \"CC0-1.0\"]\n",
                "CC0-1.0,MIT",
            ),
        ] {
            let mut found: Vec<_> =
                licences(Path::new(name), text).into_iter().map(|found| found.spdx).collect();
            found.sort();
            assert_eq!(found.join(","), expected, "{name}: {text}");
        }
    }

    #[test]
    fn a_field_has_its_place_and_values_without_end_are_read_to_their_limit() {
        let places = |name: &str, text: &str| -> Vec<usize> {
            licences(Path::new(name), text).into_iter().map(|found| found.at).collect()
        };
        assert_eq!(places("package.json", "{\n \"name\": 1,\n \"license\": \"MIT\"}"), [16]);
        assert_eq!(places("n.spec", "Name: n\nLicense: MIT\n"), [17]);
        let endless = format!("{}License: ISC\n", "License: MIT\n".repeat(MAX_VALUES));
        assert_eq!(places("PKG-INFO", &endless), [9]);
        let line = format!("License: MIT AND {}", "x ".repeat(1 << 19));
        assert_eq!(places("PKG-INFO", &line).len(), 1);
    }

    #[test]
    fn a_field_that_names_no_one_licence_gives_nothing() {
        for (name, text) in [
            ("package.json", r#"{"license":"BSD"}"#),
            ("package.json", r#"{"license":"SEE LICENSE IN LICENSE.md"}"#),
            ("setup.py", "setup(license='proprietary')"),
            ("DESCRIPTION", "A tool.\nLicense: MIT\n"),
            ("tsconfig.json", r#"{"license":"MIT"}"#),
        ] {
            assert!(licences(Path::new(name), text).is_empty(), "{name}: {text}");
        }
    }
}
