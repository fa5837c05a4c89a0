//! Tests of the base that the change no longer has, by name and over all files, so that a moved test does not
//! count.
//!
//! Failure policy: names are read by patterns, one language a file; a test with a computed name is missed
//! here, but the counts show that it no longer runs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::super::pattern::constant_pattern as compiled;
use super::{ChangeSide, ChangedPath, FileSide, GuardFinding, GuardKind, TestPaths};

static RUST: LazyLock<Regex> = LazyLock::new(|| compiled(r"\bfn\s+(\w+)"));
static RUST_TEST: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"#\s*\[\s*(?:\w+::)*(?:test|rstest|test_case|wasm_bindgen_test)\b"));
static PYTHON: LazyLock<Regex> = LazyLock::new(|| compiled(r"^\s*(?:async\s+)?def\s+(test\w*)\s*\("));
static GO: LazyLock<Regex> = LazyLock::new(|| compiled(r"^func\s+((?:Test|Fuzz|Example)\w*)\s*\("));
static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r#"^\s*(?:it|test|specify)(?:\.\w+)*\s*\(\s*(?:"([^"]+)"|'([^']+)'|`([^`]+)`)"#)
});
static JVM: LazyLock<Regex> = LazyLock::new(|| compiled(r"\b(?:void|fun)\s+`?([\w ]+?)`?\s*\("));

pub(super) fn add_findings(changed: &[ChangedPath], paths: &TestPaths, findings: &mut Vec<GuardFinding>) {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for file in changed {
        for (_, name) in test_names(&file.path, file.new.text(), paths) {
            *left.entry(name).or_default() += 1;
        }
    }
    for file in changed {
        let mut gone = 0;
        for (line, name) in test_names(&file.path, file.old.text(), paths) {
            match left.get_mut(&name) {
                Some(count) if *count > 0 => *count -= 1,
                _ => {
                    gone += 1;
                    let text = format!("test `{name}`");
                    findings.push(GuardFinding::new(
                        &file.path,
                        ChangeSide::Old,
                        line,
                        GuardKind::TestDeleted,
                        &text,
                    ));
                }
            }
        }
        // A deleted test file without recognised tests (helpers, data) counts too.
        if gone == 0 && file.new == FileSide::Absent && file.old != FileSide::Absent && is_lost(file, paths) {
            let text = "the whole file is deleted";
            findings.push(GuardFinding::new(&file.path, ChangeSide::Old, 0, GuardKind::TestDeleted, text));
        }
    }
}

/// A test file in which no test name was recognised.
fn is_lost(file: &ChangedPath, paths: &TestPaths) -> bool {
    paths.is_test(&file.path) && test_names(&file.path, file.old.text(), paths).is_empty()
}

fn test_names(path: &str, text: &str, paths: &TestPaths) -> Vec<(usize, String)> {
    let ending = path.rsplit('.').next().unwrap_or("");
    let named = |pattern: &Regex| {
        let name = |line: &str| {
            let found = pattern.captures(line)?;
            found.iter().skip(1).flatten().next().map(|name| name.as_str().to_owned())
        };
        text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, name(line)?))).collect()
    };
    match ending {
        "rs" => attributed(text, &RUST_TEST, &RUST),
        _ if !paths.is_test(path) => Vec::new(),
        "py" => named(&PYTHON),
        "go" => named(&GO),
        "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" => named(&SCRIPT),
        "java" | "kt" => {
            static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| compiled(r"@(?:Test|ParameterizedTest)\b"));
            attributed(text, &ATTRIBUTE, &JVM)
        }
        _ => Vec::new(),
    }
}

/// Functions with the attribute on the same line or on one of the lines before.
fn attributed(text: &str, attribute: &Regex, function: &Regex) -> Vec<(usize, String)> {
    let mut pending = false;
    let mut names = Vec::new();
    for (at, line) in text.lines().enumerate() {
        pending |= attribute.is_match(line) && !line.trim_start().starts_with("//");
        if pending && let Some(found) = function.captures(line) {
            names.push((at + 1, found[1].to_owned()));
            pending = false;
        }
    }
    names
}
