//! Reads the numbers of executed, passed, failed and skipped tests from a run's output.
//!
//! Failure policy: unknown lines count for nothing, and output without any known summary gives `None`, which
//! the verdict mentions. Numbers are never guessed. The tests write the output and may lie; each reader takes
//! summary lines only where the runner prints them, and checks them against a second number if the runner
//! gives one.

mod cargo;
mod go;
mod junit;
mod mocha;
mod nextest;
mod node;
mod pytest;
mod script_summary;
mod unittest;

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::pattern::constant_pattern as pattern;

/// Most names of failing tests kept; the number of failures stays exact.
pub const MAX_FAILING_NAMES: usize = 100;

/// Larger numbers are no counts; the cap keeps hostile output from overflowing a sum.
const MAX_COUNT: u64 = 1_000_000_000;

/// The variables that make runners print countable, uncoloured text: plain `go test` prints no tests without
/// `-v`, and `CI` keeps jest from writing snapshots and vitest from watching.
pub const COUNTING_ENVIRONMENT: [(&str, &str); 4] =
    [("CI", "1"), ("NO_COLOR", "1"), ("FORCE_COLOR", "0"), ("GOFLAGS", "-v")];

/// The things counted: a runner may report no more than the results of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountUnit {
    Tests,
    Packages,
}

/// `executed` is `passed + failed`. `skipped` includes ignored tests, those marked as to do, and those
/// expected to fail: none can turn a run red.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    pub unit: CountUnit,
    pub executed: u64,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub failing: Vec<String>,
    /// The readers that recognised something, for the record.
    pub readers: Vec<String>,
}

/// Sums of one reader, before they become `TestCounts`.
#[derive(Debug, Default)]
struct CountSums {
    passed: u64,
    failed: u64,
    skipped: u64,
    failing: Vec<String>,
    packages_only: bool,
}

impl CountSums {
    fn name_failing(&mut self, name: &str) {
        let name = name.trim();
        if !name.is_empty() && !self.failing.iter().any(|known| known == name) {
            self.failing.push(name.to_owned());
        }
    }

    fn add(&mut self, passed: u64, failed: u64, skipped: u64) {
        self.passed = self.passed.saturating_add(passed);
        self.failed = self.failed.saturating_add(failed);
        self.skipped = self.skipped.saturating_add(skipped);
    }
}

type CountReader = fn(&[&str]) -> Option<CountSums>;

const READERS: [(&str, CountReader); 9] = [
    ("cargo test", cargo::read),
    ("nextest", nextest::read),
    ("pytest", pytest::read),
    ("unittest", unittest::read),
    ("node --test", node::read),
    ("jest or vitest", script_summary::read),
    ("mocha", mocha::read),
    ("go test", go::read),
    ("JUnit", junit::read),
];

/// Everything that the readers find, summed: one command may run several binaries and several runners.
pub fn read_counts(output: &str) -> Option<TestCounts> {
    let plain = without_escapes(output);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let mut total = CountSums { packages_only: true, ..CountSums::default() };
    let mut readers = Vec::new();
    for (name, read) in READERS {
        let Some(sums) = read(&lines) else { continue };
        if readers.is_empty() || total.packages_only == sums.packages_only {
            total.packages_only = sums.packages_only;
        } else if sums.packages_only {
            continue; // Packages beside tests: the two cannot be summed, and tests say more.
        } else {
            total = CountSums::default();
            readers.clear();
        }
        total.add(sums.passed, sums.failed, sums.skipped);
        sums.failing.iter().for_each(|test| total.name_failing(test));
        readers.push(name.to_owned());
    }
    if readers.is_empty() {
        return None;
    }
    total.failing.truncate(MAX_FAILING_NAMES);
    Some(TestCounts {
        unit: if total.packages_only { CountUnit::Packages } else { CountUnit::Tests },
        executed: total.passed.saturating_add(total.failed),
        passed: total.passed,
        failed: total.failed,
        skipped: total.skipped,
        failing: total.failing,
        readers,
    })
}

fn number(captures: &regex::Captures<'_>, group: &str) -> u64 {
    captures.name(group).and_then(|text| text.as_str().parse().ok()).unwrap_or(0).min(MAX_COUNT)
}

fn without_escapes(output: &str) -> String {
    static ESCAPES: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"));
    ESCAPES.replace_all(output, "").replace('\r', "\n")
}

impl fmt::Display for TestCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match (self.unit, self.executed) {
            (CountUnit::Tests, 1) => "test",
            (CountUnit::Tests, _) => "tests",
            (CountUnit::Packages, 1) => "package",
            (CountUnit::Packages, _) => "packages",
        };
        write!(out, "{} {unit}: {} passed, {} failed", self.executed, self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
