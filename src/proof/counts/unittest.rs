//! `python -m unittest`: the line `Ran 5 tests in 0.001s` and the `OK` or `FAILED (…)` that follows.
//!
//! Failure policy: `Ran` without a result (a run that was cut off) is not recognised.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static RAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Ran (?P<n>\d+) tests? in [\d.]+s$"));
static END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:OK|FAILED|NO TESTS RAN)(?: \((?P<parts>.*)\))?$"));
static PART: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<kind>[a-z ]+)=(?P<n>\d+)"));
static FAILED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (?P<name>.+)$"));

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    let mut ran = None;
    for line in lines {
        if let Some(found) = RAN.captures(line) {
            ran = Some(number(&found, "n"));
        } else if let Some(found) = END.captures(line)
            && let Some(all) = ran.take()
        {
            let (mut failed, mut skipped) = (0, 0);
            for part in PART.captures_iter(found.name("parts").map_or("", |parts| parts.as_str())) {
                match part["kind"].trim() {
                    "failures" | "errors" | "unexpected successes" => failed += number(&part, "n"),
                    "skipped" | "expected failures" => skipped += number(&part, "n"),
                    _ => {}
                }
            }
            sums.add(all.saturating_sub(failed + skipped), failed, skipped);
            recognised = true;
        } else if let Some(found) = FAILED.captures(line) {
            sums.name_failing(&found["name"]);
        }
    }
    recognised.then_some(sums)
}
