//! pytest: the last line of a session, `3 failed, 4 passed in 0.10s`, and the short summary's names.
//!
//! Failure policy: errors at set-up and at collection count as failures; expected failures count as skipped.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:=+ )?(?P<parts>(?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s(?: \([\d:]+\))?(?: =+)?$")
});
static PART: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<n>\d+) (?P<kind>[a-z]+)"));
static FAILED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:FAILED|ERROR) (?P<name>\S+?(?:::.+?)?)(?: - .*)?$"));
const SHORT_SUMMARY: &str = "short test summary info";

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    let mut in_summary = false;
    for line in lines {
        if line.starts_with('=') && line.contains(SHORT_SUMMARY) {
            in_summary = true;
        } else if let Some(found) = SUMMARY.captures(line) {
            in_summary = false;
            recognised |= add_parts(&mut sums, &found["parts"]);
        } else if in_summary && let Some(found) = FAILED.captures(line) {
            sums.name_failing(&found["name"]);
        }
    }
    recognised.then_some(sums)
}

fn add_parts(sums: &mut CountSums, parts: &str) -> bool {
    let mut known = parts == "no tests ran";
    for part in PART.captures_iter(parts) {
        let n = number(&part, "n");
        match &part["kind"] {
            "passed" | "xpassed" => sums.add(n, 0, 0),
            "failed" | "error" | "errors" => sums.add(0, n, 0),
            "skipped" | "xfailed" => sums.add(0, 0, n),
            "deselected" | "warning" | "warnings" | "rerun" | "subtests" => {}
            _ => continue,
        }
        known = true;
    }
    known
}
