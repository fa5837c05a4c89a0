//! The rules of a review's verdict, case by case.

use super::super::independence::independence;
use super::super::remark::ReviewPlace;
use super::*;
use pas_proof::stage::{CommandRun, ProofStage};

fn remark(severity: RemarkSeverity, test: bool) -> ReviewRemark {
    ReviewRemark {
        place: ReviewPlace { path: "src/a.rs".into(), line: Some(3) },
        severity,
        input: "0 breaks it".into(),
        proposal: "check for 0".into(),
        test: test.then(|| "patch".into()),
        no_test: None,
    }
}

fn fails() -> RemarkTestEnd {
    RemarkTestEnd::Fails { failing: vec!["zero".into()] }
}

fn run(outcome: CommandOutcome, output: &str) -> StageEnd {
    let output = output.as_bytes().to_vec();
    let run = CommandRun { outcome, millis: 1, output, output_bytes: 0 };
    StageEnd::new(ProofStage::After, "t".into(), run)
}

#[test]
fn a_blocking_remark_blocks_by_a_test_that_fails() {
    let settled =
        |end: RemarkTestEnd| settle_remark(remark(RemarkSeverity::Blocking, true), Some(&end)).to_string();
    assert_eq!(
        settled(fails()),
        "src/a.rs:3: blocking: 0 breaks it (its test fails on this commit: zero). Proposal: check for 0"
    );
    assert!(settled(RemarkTestEnd::Hangs).contains(": blocking:"));
    assert!(
        settled(RemarkTestEnd::Passes).starts_with("src/a.rs:3: note, as its test passes on this commit:")
    );
    assert!(settled(RemarkTestEnd::FailsUnseen).contains("perhaps does not build"));
    assert!(
        settled(RemarkTestEnd::DoesNotApply("hunk 1".into()))
            .contains("note, as its patch does not apply: hunk 1")
    );
    assert!(settled(RemarkTestEnd::NotRun("no sandbox".into())).contains("could not be run"));
}

#[test]
fn a_reason_stands_for_a_test_and_a_note_never_blocks() {
    let mut reasoned = remark(RemarkSeverity::Blocking, false);
    assert!(matches!(
        settle_remark(reasoned.clone(), None).standing,
        RemarkStanding::Note { demoted: Some(_) }
    ));
    reasoned.no_test = Some("a race".into());
    assert!(settle_remark(reasoned, None).to_string().contains("(no test can show it: a race)"));
    let note = settle_remark(remark(RemarkSeverity::Note, true), Some(&fails()));
    assert_eq!(note.standing, RemarkStanding::Note { demoted: None });
}

#[test]
fn an_earlier_remark_falls_when_its_test_passes() {
    let again =
        |end: Option<&RemarkTestEnd>| settle_again(remark(RemarkSeverity::Blocking, true), end).standing;
    assert_eq!(again(Some(&RemarkTestEnd::Passes)), RemarkStanding::Resolved);
    assert_eq!(again(None), RemarkStanding::Resolved);
    for open in [fails(), RemarkTestEnd::NotRun("no sandbox".into())] {
        assert!(matches!(again(Some(&open)), RemarkStanding::Blocking { .. }));
    }
    let moved = again(Some(&RemarkTestEnd::DoesNotApply("hunk 1".into())));
    assert!(matches!(moved, RemarkStanding::Note { demoted: Some(_) }));
}

#[test]
fn the_end_of_a_test_is_read_from_its_run() {
    let red = CommandOutcome::Exited(1);
    let counted =
        "=== short test summary info ===\nFAILED test_a.py::test_zero\n1 failed, 3 passed in 0.1s\n";
    let failing = vec!["test_a.py::test_zero".to_owned()];
    assert_eq!(RemarkTestEnd::of(&run(red.clone(), counted), true), RemarkTestEnd::Fails { failing });
    assert_eq!(RemarkTestEnd::of(&run(red.clone(), "error[E0425]"), true), RemarkTestEnd::FailsUnseen);
    assert_eq!(RemarkTestEnd::of(&run(red, "FAIL"), false), RemarkTestEnd::Fails { failing: Vec::new() });
    assert_eq!(RemarkTestEnd::of(&run(CommandOutcome::Exited(0), ""), true), RemarkTestEnd::Passes);
    assert_eq!(RemarkTestEnd::of(&run(CommandOutcome::TimedOut, ""), true), RemarkTestEnd::Hangs);
}

#[test]
fn the_verdict_says_who_reviewed_and_on_which_commit() {
    let verdict = ReviewVerdict {
        commit: "c1".into(),
        round: 1,
        vendor: "anthropic".into(),
        model: "m-1".into(),
        independence: independence(&["openai"], "anthropic"),
        summary: "s".into(),
        remarks: vec![settle_remark(remark(RemarkSeverity::Blocking, true), Some(&fails()))],
    };
    assert!(!verdict.approves() && verdict.is_of("c1") && !verdict.is_of("c2"));
    assert!(verdict.to_string().starts_with(
        "1 blocking remark by m-1 of anthropic in round 1; independent: written with openai, reviewed with anthropic\n"
    ));
    let stored = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<ReviewVerdict>(&stored).unwrap(), verdict);
}
