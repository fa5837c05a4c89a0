//! Proofs as text, case by case.

use super::super::command::ProvingCommand;
use super::super::plan::{ProofConsent, ProofPlan};
use super::super::record::{ProofSetting, ProofSubject};
use super::super::stage::{CommandOutcome, CommandRun};
use super::*;

fn end(stage: ProofStage, code: i32, output: &str) -> StageEnd {
    let run = CommandRun {
        outcome: CommandOutcome::Exited(code),
        millis: 1_250,
        output: output.as_bytes().to_vec(),
        output_bytes: output.len() as u64,
    };
    StageEnd::new(stage, "t".into(), run)
}

fn record(stages: Vec<StageEnd>) -> ProofRecord {
    let plan = ProofPlan {
        expect: ProofExpect::Fail,
        consent: ProofConsent::default(),
        changed_files: 1,
        old_tests: Default::default(),
        new_tests: Default::default(),
        guards: Vec::new(),
    };
    let subject = ProofSubject {
        base_commit: "b0".into(),
        base_tree: "t0".into(),
        commit: "c1".into(),
        tree: "t1".into(),
    };
    let setting = ProofSetting {
        sandbox: "hold and bubblewrap, no network".into(),
        build_output: "none came along; built anew".into(),
        prepare: None,
        timeout_seconds: 600,
    };
    ProofRecord::new(subject, ProvingCommand::given("cargo test").unwrap(), setting, &plan, stages)
}

const RED: &str = "running 2 tests\ntest a ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
const GREEN: &str =
    "running 2 tests\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";

#[test]
fn a_person_reads_aligned_lines() {
    let record = record(vec![end(ProofStage::Before, 101, RED), end(ProofStage::After, 0, GREEN)]);
    assert_eq!(
        proof_for_person(&record),
        "\
proof                proved
command              cargo test (given with --prove)
before               failed, as it was to · exit 101 · 1.2 s · 2 tests: 1 passed, 1 failed
                     fails: a
after                passed · exit 0 · 1.2 s · 2 tests: 2 passed, 0 failed
guards               none touched
note                 new tests: the change brings none that could be run over the old code
sandbox              hold and bubblewrap, no network
build output         none came along; built anew
tree                 t1
"
    );
}

#[test]
fn a_person_reads_what_is_missing() {
    let record = record(vec![
        end(ProofStage::Before, 101, RED),
        end(ProofStage::After, 101, RED),
        end(ProofStage::AfterAgain, 101, RED),
    ]);
    let text = proof_for_person(&record);
    assert!(text.starts_with("proof                NOT PROVED\n"));
    assert!(text.contains("\nmissing              after: the command fails on the change"), "{text}");
}

#[test]
fn output_cannot_paint_over_the_verdict() {
    let evil = "running 1 test\ntest \u{1b}[2J\u{202e}a\u{7} ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
    let record = record(vec![end(ProofStage::Before, 101, RED), end(ProofStage::After, 101, evil)]);
    for text in [proof_for_person(&record), proof_for_model(&record)] {
        assert!(
            !text.contains(|letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}'),
            "{text:?}"
        );
    }
}

#[test]
fn a_model_gets_the_end_of_a_long_output_within_its_limit() {
    let long = format!("first line\n{}{RED}", "é noise\n".repeat(40_000));
    let record = record(vec![end(ProofStage::Before, 101, RED), end(ProofStage::After, 101, &long)]);
    let text = proof_for_model(&record);
    assert!(text.len() <= MODEL_TEXT_LIMIT, "{}", text.len());
    assert!(text.len() > MODEL_TEXT_LIMIT - 512, "{}", text.len());
    assert!(text.starts_with("proof of commit c1: not proved\n  after: the command fails on the change"));
    assert!(text.contains("first line") && text.ends_with("0 filtered out\n</output>\n"), "{text}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn a_model_never_gets_more_than_its_limit(
        names in proptest::collection::vec("[a-zé]{1,200}", 0..60),
        noise in "(?s).{0,4000}",
        code in 0i32..2,
    ) {
        let list: String = names.iter().map(|name| format!("FAILED {name}\n")).collect();
        let output = format!("{noise}\n=== short test summary info\n{list}{} failed in 0.1s\n", names.len());
        let mut stages = vec![end(ProofStage::Before, 101, &output), end(ProofStage::After, code, &output)];
        stages.extend((code == 1).then(|| end(ProofStage::AfterAgain, code, &output)));
        let text = proof_for_model(&record(stages));
        proptest::prop_assert!(text.len() <= MODEL_TEXT_LIMIT, "{}", text.len());
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = record(vec![end(ProofStage::Before, 101, RED)]);
    let text = serde_json::to_string_pretty(&record).unwrap();
    assert_eq!(serde_json::from_str::<ProofRecord>(&text).unwrap(), record);
    let newer = text.replacen('{', "{\n  \"later\": 1,", 1);
    assert_eq!(serde_json::from_str::<ProofRecord>(&newer).unwrap(), record);
}
