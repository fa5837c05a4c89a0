//! `cargo nextest run`: the `Summary` line and the `FAIL` lines.
//!
//! Failure policy: without a summary (a failed build, a run that was killed) nothing is recognised.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s+Summary \[\s*[\d.]+s\] (?P<run>\d+)(?:/(?P<all>\d+))? tests? run: (?P<passed>\d+) passed(?: \([^)]*\))?(?P<rest>.*)$",
    )
});
static PART: LazyLock<Regex> =
    LazyLock::new(|| pattern(r", (?P<n>\d+) (?P<kind>failed|exec failed|timed out|skipped)"));
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s+(?:TRY \d+ )?(?:FAIL|TIMEOUT|SIG[A-Z]+|XFAIL) \[\s*>?[\d.]+s\]\s+(?:\(\s*\d+/\d+\)\s+)?(?P<name>\S+ .+)$",
    )
});

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    for line in lines {
        if let Some(found) = SUMMARY.captures(line) {
            let (run, passed) = (number(&found, "run"), number(&found, "passed"));
            let rest = found.name("rest").map_or("", |rest| rest.as_str());
            let parts = |wanted: fn(&str) -> bool| {
                PART.captures_iter(rest)
                    .filter(|part| wanted(&part["kind"]))
                    .map(|part| number(&part, "n"))
                    .sum::<u64>()
            };
            let failed = parts(|kind| kind != "skipped");
            if passed + failed == run {
                sums.add(passed, failed, parts(|kind| kind == "skipped"));
                recognised = true;
            }
        } else if let Some(found) = FAILED.captures(line) {
            sums.name_failing(&found["name"]);
        }
    }
    recognised.then_some(sums)
}
