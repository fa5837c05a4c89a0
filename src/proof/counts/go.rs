//! `go test`: with `-v` the `--- PASS`, `--- FAIL` and `--- SKIP` lines, with `-json` the events, else only
//! the packages' results.
//!
//! Failure policy: a package that did not build counts as one failure; packages are counted as such and never
//! mixed with tests.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::{CountSums, pattern};

static END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*--- (?P<kind>PASS|FAIL|SKIP): (?P<name>\S+) \([\d.]+s\)$"));
static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<kind>ok  |FAIL)\t(?P<name>\S+)(?:\t| )(?P<rest>(?:[\d.]+s|\(cached\)|\[(?:build|setup) failed\]).*)$",
    )
});
static STARTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^=== RUN   \S+$"));

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoTestEvent {
    action: String,
    package: String,
    #[serde(default)]
    test: Option<String>,
}

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    if lines.iter().any(|line| line.starts_with("{\"Time\":") || line.starts_with("{\"Action\":")) {
        return from_events(lines);
    }
    let mut sums = CountSums::default();
    let mut unbuilt = Vec::new();
    let (mut good, mut bad) = (0, 0);
    let mut verbose = false;
    let mut failing_parents = BTreeSet::new();
    for line in lines {
        verbose |= STARTED.is_match(line);
        if let Some(found) = END.captures(line) {
            let name = &found["name"];
            match &found["kind"] {
                "PASS" => sums.add(1, 0, 0),
                "SKIP" => sums.add(0, 0, 1),
                _ => {
                    sums.add(0, 1, 0);
                    if let Some((parent, _)) = name.rsplit_once('/') {
                        failing_parents.insert(parent.to_owned());
                    }
                    sums.name_failing(name);
                }
            }
        } else if let Some(found) = PACKAGE.captures(line) {
            if found["kind"] == *"FAIL" {
                bad += 1;
                if found["rest"].ends_with("failed]") {
                    unbuilt.push(format!("{} (did not build)", &found["name"]));
                }
            } else {
                good += 1;
            }
        }
    }
    if good + bad == 0 && !verbose {
        return None;
    }
    sums.failing.retain(|name| !failing_parents.contains(name));
    if verbose {
        sums.add(0, unbuilt.len() as u64, 0);
    } else {
        sums =
            CountSums { packages_only: true, passed: good, failed: bad, skipped: 0, failing: sums.failing };
    }
    unbuilt.iter().for_each(|name| sums.name_failing(name));
    Some(sums)
}

fn from_events(lines: &[&str]) -> Option<CountSums> {
    let mut sums = CountSums::default();
    let mut failing = BTreeSet::new();
    let mut recognised = false;
    for event in lines.iter().filter_map(|line| serde_json::from_str::<GoTestEvent>(line).ok()) {
        let Some(test) = event.test else {
            if event.action == "fail" && !failing.iter().any(|(package, _)| *package == event.package) {
                sums.add(0, 1, 0);
                sums.name_failing(&format!("{} (did not build)", event.package));
            }
            continue;
        };
        match event.action.as_str() {
            "pass" => sums.add(1, 0, 0),
            "skip" => sums.add(0, 0, 1),
            "fail" => {
                sums.add(0, 1, 0);
                failing.insert((event.package, test));
            }
            _ => continue,
        }
        recognised = true;
    }
    for (package, test) in &failing {
        let is_parent = failing.iter().any(|(other, below)| {
            other == package && below.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        if !is_parent {
            sums.name_failing(test);
        }
    }
    recognised.then_some(sums)
}
