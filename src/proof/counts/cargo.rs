//! `cargo test`: one `test result:` line a binary, summed.
//!
//! Failure policy: a result line counts only after a `running N tests` line with a matching N, so that a line
//! printed by a test does not count; a binary that died before the result line counts for nothing.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static RUNNING: LazyLock<Regex> = LazyLock::new(|| pattern(r"^running (?P<n>\d+) tests?$"));
static RESULT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<ignored>\d+) ignored; (?P<measured>\d+) measured;",
    )
});
static FAILED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^test (?P<name>.+?)(?: - should panic)? \.\.\. FAILED$"));

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut announced = None;
    let mut names: Vec<&str> = Vec::new();
    let mut listing = false;
    let mut recognised = false;
    for line in lines {
        if let Some(found) = RUNNING.captures(line) {
            announced = Some(number(&found, "n"));
            names.clear();
            listing = false;
        } else if let Some(found) = RESULT.captures(line) {
            let passed = number(&found, "passed") + number(&found, "measured");
            let (failed, ignored) = (number(&found, "failed"), number(&found, "ignored"));
            if announced == Some(passed + failed + ignored) {
                sums.add(passed, failed, ignored);
                if failed > 0 {
                    names.iter().for_each(|name| sums.name_failing(name));
                }
                recognised = true;
                announced = None;
            }
        } else if let Some(found) = FAILED.captures(line) {
            names.extend(found.name("name").map(|name| name.as_str()));
        } else if *line == "failures:" {
            listing = true; // With `-q` names stand only here.
        } else if listing && line.starts_with("    ") && !line.starts_with("     ") {
            names.push(line.trim());
        } else if !line.is_empty() {
            listing = false;
        }
    }
    recognised.then_some(sums)
}
