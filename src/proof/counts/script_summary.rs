//! jest and vitest: the lines `Tests: 2 failed, 1 skipped, 2 passed, 5 total` and `Tests 2 failed | 2 passed
//! (4)`.
//!
//! Failure policy: parts must add up to the total. A suite that could not be loaded ran no test and counts as
//! one failure.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, number, pattern};

static JEST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^Tests:\s+(?P<parts>(?:\d+ [a-z]+, )*)(?P<total>\d+) total$"));
static VITEST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s+Tests\s{2,}(?P<parts>\d+ [a-z]+(?: \| \d+ [a-z]+)*) \((?P<total>\d+)\)$"));
static NONE_RAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+Tests\s{2,}no tests$"));
static PART: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<n>\d+) (?P<kind>[a-z]+)"));
static JEST_FAILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^  ● (?P<name>.+)$"));
static VITEST_FAILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ FAIL  (?P<name>.+? (?:>|\[) ?.+)$"));
const UNLOADED: &str = "Test suite failed to run";

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut recognised = false;
    let mut unloaded = 0;
    let mut suite = "";
    let mut names = Vec::new();
    for line in lines {
        if let Some(found) = JEST.captures(line).or_else(|| VITEST.captures(line)) {
            recognised |= add_parts(&mut sums, &found["parts"], number(&found, "total"));
        } else if NONE_RAN.is_match(line) {
            recognised = true;
        } else if let Some(path) = line.strip_prefix("FAIL ") {
            suite = path;
        } else if let Some(found) = JEST_FAILED.captures(line) {
            let name = found["name"].to_owned();
            let name = if name == UNLOADED { format!("{suite} (could not be loaded)") } else { name };
            if !names.contains(&name) {
                unloaded += u64::from(name.ends_with("(could not be loaded)"));
                names.push(name);
            }
        } else if let Some(found) = VITEST_FAILED.captures(line) {
            unloaded += u64::from(!found["name"].contains(" > "));
            names.push(found["name"].to_owned());
        }
    }
    if !recognised {
        return None;
    }
    sums.add(0, unloaded, 0);
    names.iter().for_each(|name| sums.name_failing(name));
    Some(sums)
}

fn add_parts(sums: &mut CountSums, parts: &str, total: u64) -> bool {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for part in PART.captures_iter(parts) {
        let n = number(&part, "n");
        match &part["kind"] {
            "passed" => passed += n,
            "failed" => failed += n,
            "skipped" | "todo" | "pending" => skipped += n,
            _ => return false,
        }
    }
    let adds_up = passed + failed + skipped == total;
    if adds_up {
        sums.add(passed, failed, skipped);
    }
    adds_up
}
