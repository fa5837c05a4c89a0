//! `node --test`, in the TAP form (`# tests 7`) and the spec form (`ℹ tests 7`).
//!
//! Failure policy: a block of numbers counts when the parts add up to `tests`; a test that prints such lines
//! itself can fake a block only with all of them right and in order.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:#|ℹ) (?P<kind>tests|suites|pass|fail|cancelled|skipped|todo) (?P<n>\d+)$")
});
static TAP_FAILED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*not ok \d+ - (?P<name>.+?)(?P<mark> # (?:TODO|SKIP).*)?$"));
static SPEC_FAILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^✖ (?P<name>.+) \([\d.]+ms\)$"));
const ORDER: [&str; 7] = ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo"];
const SPEC_FAILURES: &str = "✖ failing tests:";
/// TAP's mark for a suite that failed only because of a test inside.
const SUITE_ONLY: &str = "failureType: 'subtestsFailed'";

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    let mut block: Vec<u64> = Vec::new();
    let mut in_failures = false;
    for (at, line) in lines.iter().enumerate() {
        if let Some(found) = NUMBER.captures(line) {
            if found["kind"] == *ORDER[0] {
                block.clear();
            }
            if ORDER.get(block.len()).is_some_and(|kind| found["kind"] == **kind) {
                block.push(number(&found, "n"));
            }
            if block.len() == ORDER.len() {
                recognised |= add_block(&mut sums, &block);
                block.clear();
            }
        } else if *line == SPEC_FAILURES {
            in_failures = true;
        } else if in_failures && let Some(found) = SPEC_FAILED.captures(line) {
            sums.name_failing(&found["name"]);
        } else if let Some(found) = TAP_FAILED.captures(line)
            && found.name("mark").is_none()
            && !is_suite(&lines[at + 1..])
        {
            sums.name_failing(&found["name"]);
        }
    }
    recognised.then_some(sums)
}

fn add_block(sums: &mut CountSums, block: &[u64]) -> bool {
    let &[tests, _, pass, fail, cancelled, skipped, todo] = block else { return false };
    let adds_up = pass + fail + cancelled + skipped + todo == tests;
    if adds_up {
        sums.add(pass, fail + cancelled, skipped + todo);
    }
    adds_up
}

fn is_suite(after: &[&str]) -> bool {
    after.iter().take_while(|line| line.trim() != "...").take(8).any(|line| line.trim() == SUITE_ONLY)
}
