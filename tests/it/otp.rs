//! The machine of `supervision` against OTP's rules.
//!
//! Three parties run the same scenarios: the machine, an independently written [`model`] of OTP's supervisor,
//! and a real OTP (`tests/otp/check.sh`). The table of scenarios is the file `tests/otp/scenarios.jsonl`; the
//! expectations are the model's, and real OTP has the last word. After a change of the model or of the table,
//! write the file anew with `cargo test --test it -- --ignored rewrite_the_scenarios`, then run
//! `tests/otp/check.sh`.

mod driver;
mod model;
mod random;
mod scenario;
mod table;
mod world;

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use scenario::Scenario;

/// Fewer would mean that a systematic part of the table is missing.
const FEWEST_SCENARIOS: usize = 300;
const RANDOM_CASES: u32 = 12_000;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/otp/scenarios.jsonl")
}

fn file() -> Vec<Scenario> {
    let text = std::fs::read_to_string(path()).expect("the table of scenarios");
    let line = |(at, line)| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("scenarios.jsonl:{}: {error}", at + 1))
    };
    text.lines().enumerate().map(line).collect()
}

#[test]
#[ignore = "writes tests/otp/scenarios.jsonl anew"]
fn rewrite_the_scenarios() {
    let line = |scenario: &Scenario| serde_json::to_string(scenario).unwrap() + "\n";
    let lines: String = table::table().iter().map(line).collect();
    std::fs::write(path(), lines).unwrap();
}

#[test]
fn the_file_is_the_table() {
    let (file, table) = (file(), table::table());
    assert!(file.len() >= FEWEST_SCENARIOS);
    assert_eq!(file.len(), table.len(), "rewrite_the_scenarios");
    for (in_file, in_table) in file.iter().zip(&table) {
        assert_eq!(in_file, in_table, "rewrite_the_scenarios");
    }
}

#[test]
fn the_machine_meets_every_line_of_the_file() {
    for scenario in file() {
        assert_eq!(driver::run(&scenario), scenario.expect, "{}", serde_json::to_string(&scenario).unwrap());
    }
}

#[test]
fn the_machine_and_the_model_agree_on_random_scenarios() {
    let mut runner =
        TestRunner::new(Config { cases: RANDOM_CASES, failure_persistence: None, ..Config::default() });
    let events = std::cell::Cell::new(0);
    let result = runner.run(&random::scenario(random::Timing::Simulated), |scenario| {
        let expected = model::run(&scenario).outcome;
        events.set(events.get() + expected.log.len());
        prop_assert_eq!(driver::run(&scenario), expected);
        Ok(())
    });
    println!("{RANDOM_CASES} scenarios, {} events", events.get());
    result.unwrap_or_else(|error| panic!("{error}"));
}
