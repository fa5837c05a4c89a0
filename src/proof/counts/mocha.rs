//! mocha's spec reporter: `3 passing (9ms)`, `2 pending`, `2 failing`.
//!
//! Failure policy: without a line `N passing (time)` nothing is recognised; the other two lines belong to the
//! one above.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static PASSING: LazyLock<Regex> = LazyLock::new(|| pattern(r"^  (?P<n>\d+) passing \([\d.]+(?:ms|s|m|h)\)$"));
static OTHER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^  (?P<n>\d+) (?P<kind>pending|failing)$"));
static FAILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ +\d+\) (?P<name>.+[^:])$"));

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    let mut at_summary = false;
    for line in lines {
        if let Some(found) = PASSING.captures(line) {
            sums.add(number(&found, "n"), 0, 0);
            recognised = true;
            at_summary = true;
        } else if at_summary && let Some(found) = OTHER.captures(line) {
            match &found["kind"] {
                "failing" => sums.add(0, number(&found, "n"), 0),
                _ => sums.add(0, 0, number(&found, "n")),
            }
        } else if at_summary && !line.is_empty() {
            at_summary = false;
        }
        // Each failing test is listed once before the summary, under its suites, and once after, with the
        // error.
        if !recognised && let Some(found) = FAILED.captures(line) {
            sums.name_failing(&found["name"]);
        }
    }
    recognised.then_some(sums)
}
