//! Lines that weaken tests in any file: skips, `only`, hidden failures, and removed checks.
//!
//! A moved line is no guard: for each text, as many additions as removals in the same file are ignored.
//! Failure policy: each language's patterns are tried on that language's files; a comment that looks like a
//! skip is listed too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::super::change::ChangedLine;
use super::super::pattern::constant_pattern as compiled;
use super::{ChangeSide, ChangedPath, GuardFinding, GuardKind};

struct LineRule {
    endings: &'static [&'static str],
    kind: GuardKind,
    pattern: LazyLock<Regex>,
}

macro_rules! rule {
    ($endings:expr, $kind:ident, $pattern:expr) => {
        LineRule { endings: $endings, kind: GuardKind::$kind, pattern: LazyLock::new(|| compiled($pattern)) }
    };
}

const SCRIPT: &[&str] = &["js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"];
const SHELL: &[&str] = &["sh", "bash", "yml", "yaml", "json", "mk", "toml", "ini", "cfg"];
const JVM: &[&str] = &["java", "kt", "scala", "groovy"];

/// Rules for lines that the change adds.
static ADDED: [LineRule; 21] = [
    rule!(&["rs"], SkipAdded, r"#\s*\[\s*(?:cfg_attr\s*\(.*\bignore\b|ignore\b)"),
    rule!(&["rs"], TestDetected, r"\bcfg!?\s*\(.*\bnot\s*\(\s*test\b|\bcfg!\s*\(\s*test\b|\bNEXTEST\b"),
    rule!(
        &["py"],
        TestDetected,
        r"\bPYTEST_CURRENT_TEST\b|\b(?:pytest|unittest).\s+(?:not\s+)?in\s+sys\.modules\b"
    ),
    rule!(
        SCRIPT,
        TestDetected,
        r"\bNODE_ENV\b.*\btest\b|\bJEST_WORKER_ID\b|\benv\.VITEST\b|\bNODE_TEST_CONTEXT\b"
    ),
    rule!(&["go"], TestDetected, r"\btesting\.Testing\s*\(\s*\)|\bflag\.Lookup\s*\(\s*\x22test\."),
    rule!(&["rs"], SkipAdded, r"#\s*!?\[\s*cfg\s*\((?:\s*any\s*\(\s*\)|\s*false\b|\s*FALSE\b)"),
    rule!(&["rs"], SkipAdded, r"#\s*\[\s*should_panic\b"),
    rule!(&["rs"], SkipAdded, r"```\s*(?:rust,)?ignore\b"),
    rule!(
        &["py"],
        SkipAdded,
        r"\b(?:mark\.(?:skip|skipif|xfail)|pytest\.(?:skip|xfail|importorskip)|unittest\.(?:skip|skipIf|skipUnless|expectedFailure)|skipTest|SkipTest)\b"
    ),
    rule!(
        &["py"],
        SkipAdded,
        r"^\s*(?:@(?:skip|skipIf|skipUnless|xfail|expectedFailure)\b|__test__\s*=\s*False|collect_ignore(?:_glob)?\b)"
    ),
    rule!(
        SCRIPT,
        SkipAdded,
        r"\b(?:it|test|describe|context|suite|specify)\s*\.\s*(?:skip|skipIf|todo|fails|failing|fixme)\b|\b(?:xit|xtest|xdescribe|xcontext|xspecify)\s*[.(]|\bthis\.skip\s*\(|\bt\.(?:skip|todo)\s*\(|\{\s*(?:skip|todo)\s*:"
    ),
    rule!(
        SCRIPT,
        OnlyAdded,
        r"\b(?:it|test|describe|context|suite|specify)\s*\.\s*only\b|\b(?:fit|fdescribe|ftest)\s*\(|\{\s*only\s*:"
    ),
    rule!(&["go"], SkipAdded, r"\b[a-z]\w*\.(?:Skip|Skipf|SkipNow)\s*\("),
    rule!(&["go"], SkipAdded, r"^//(?:go:build|\s*\+build)\b"),
    rule!(JVM, SkipAdded, r"@(?:Disabled|Ignore)\b|\bassume(?:True|False|That)\s*\("),
    rule!(&["rb"], SkipAdded, r"^\s*(?:xit|xdescribe|xcontext|skip|pending)\b"),
    rule!(&["cs"], SkipAdded, r"\[\s*Ignore\b|\bSkip\s*="),
    rule!(&["php"], SkipAdded, r"\bmarkTest(?:Skipped|Incomplete)\b"),
    rule!(
        SHELL,
        FailureHidden,
        r"\|\|\s*(?:true|:|exit\s+0|echo\b)|\bcontinue-on-error\s*:\s*true\b|\ballow_failure\s*:\s*true\b|\bset\s+\+e\b|--passWithNoTests\b|--no-run\b|;\s*(?:true|exit 0)\s*[\x22']?\s*,?$"
    ),
    rule!(&["py"], FailureHidden, r"\b(?:sys\.exit|os\._exit)\s*\(\s*0?\s*\)|\bexitstatus\s*=\s*0\b"),
    rule!(SCRIPT, FailureHidden, r"\bprocess\.(?:exit\s*\(\s*0?\s*\)|exitCode\s*=\s*0\b)"),
];

/// A check in a test, whatever the language.
static ASSERTION: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\b(?:debug_)?assert(?:_\w+)?!?\s*\(|^\s*assert\s|\bself\.(?:assert|fail)\w*\s*\(|\bpytest\.raises\b|\bexpect(?:Error|Throws)?\s*\(|\bassert\.\w+|\brequire\.\w+\s*\(|\bt\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow|is|equal|deepEqual|throws)\s*\(|\.should\b|\bassert[A-Z]\w*\s*\(|\bpanic!\s*\(|\bprop_assert\w*!",
    )
});

pub(super) fn add_findings(file: &ChangedPath, is_test: bool, findings: &mut Vec<GuardFinding>) {
    let ending = ending_of(&file.path);
    let lines = file.lines();
    let mut gone = unmatched(&lines, ChangeSide::Old, ChangeSide::New);
    let mut come = unmatched(&lines, ChangeSide::New, ChangeSide::Old);
    let first_of_tests = first_line_of_tests(file, is_test, ending);
    for line in &lines {
        let kind = match line.side {
            ChangeSide::New if take(&mut come, line.text) => {
                added_kind(ending, is_test, line.text).filter(|_| !panics_as_new(file, line))
            }
            ChangeSide::Old if take(&mut gone, line.text) => {
                let of_tests = first_of_tests.is_some_and(|first| line.line >= first);
                (of_tests && ASSERTION.is_match(line.text)).then_some(GuardKind::AssertionRemoved)
            }
            _ => None,
        };
        let Some(kind) = kind else { continue };
        // In a file that is itself a guard, a line is listed once, with the sharper reason.
        findings.retain(|other| (other.side, other.line) != (line.side, line.line));
        findings.push(GuardFinding::new(&file.path, line.side, line.line, kind, line.text));
    }
}

fn added_kind(ending: &str, is_test: bool, text: &str) -> Option<GuardKind> {
    let rule = ADDED.iter().find(|rule| rule.endings.contains(&ending) && rule.pattern.is_match(text))?;
    // Programs may end with 0, and code may panic; only tests and recipes hide failures that way.
    let is_program = matches!(ending, "py" | "rb") || SCRIPT.contains(&ending);
    let belongs = match rule.kind {
        GuardKind::FailureHidden => is_test || !is_program,
        GuardKind::TestDetected => !is_test,
        // `skip` and build tags have other uses in these languages' code.
        GuardKind::SkipAdded | GuardKind::OnlyAdded => {
            is_test || !(ending == "go" || SCRIPT.contains(&ending))
        }
        _ => true,
    };
    belongs.then_some(rule.kind)
}

/// Recipes without an ending count as shell.
fn ending_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => ending,
        _ => "sh",
    }
}

/// The first line of tests in the base's file: Rust's inline tests begin at their attribute.
fn first_line_of_tests(file: &ChangedPath, is_test: bool, ending: &str) -> Option<usize> {
    if is_test {
        return Some(1);
    }
    let attribute = |line: &str| line.trim_start().starts_with("#[cfg(test)]");
    (ending == "rs").then(|| file.old.text().lines().position(attribute))?.map(|at| at + 1)
}

/// `#[should_panic]` inverts an old test, but is normal in a new one.
fn panics_as_new(file: &ChangedPath, line: &ChangedLine<'_>) -> bool {
    if !line.text.contains("should_panic") {
        return false;
    }
    let function = file.new.text().lines().skip(line.line).find_map(|line| {
        let name = line.split_once("fn ")?.1;
        Some(name.split(['(', '<']).next().unwrap_or(name).trim())
    });
    function.is_some_and(|name| !file.old.text().contains(&format!("fn {name}(")))
}

/// For each text, how many more lines one side has than the other.
fn unmatched<'text>(
    lines: &[ChangedLine<'text>],
    of: ChangeSide,
    against: ChangeSide,
) -> BTreeMap<&'text str, i64> {
    let mut counts = BTreeMap::new();
    for line in lines {
        let step = i64::from(line.side == of) - i64::from(line.side == against);
        *counts.entry(line.text.trim()).or_insert(0) += step;
    }
    counts
}

fn take(counts: &mut BTreeMap<&str, i64>, text: &str) -> bool {
    counts.get_mut(text.trim()).is_some_and(|left| {
        *left -= 1;
        *left >= 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        assert!(ADDED.iter().all(|rule| !rule.pattern.as_str().is_empty()));
        assert!(!ASSERTION.is_match("reassert"));
    }
}
