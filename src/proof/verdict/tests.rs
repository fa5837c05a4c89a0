//! The rules of the verdict, case by case.

use proptest::prelude::*;

use super::super::change::ChangeSide;
use super::super::counts::{CountUnit, TestCounts};
use super::super::guards::GuardKind;
use super::super::overlay::{OverlayEdit, TestOverlay};
use super::super::plan::{ProofConsent, ProofStep};
use super::super::stage::{CommandOutcome, CommandRun};
use super::*;

const GREEN: CommandOutcome = CommandOutcome::Exited(0);
const RED: CommandOutcome = CommandOutcome::Exited(101);

fn counts(passed: u64, failed: u64, skipped: u64) -> Option<TestCounts> {
    Some(TestCounts {
        unit: CountUnit::Tests,
        executed: passed + failed,
        passed,
        failed,
        skipped,
        failing: (0..failed).map(|n| format!("t{n}")).collect(),
        readers: vec!["cargo test".into()],
    })
}

fn end(stage: ProofStage, outcome: CommandOutcome, counts: Option<TestCounts>) -> StageEnd {
    let run = CommandRun { outcome, millis: 7_000, output: Vec::new(), output_bytes: 0 };
    StageEnd { counts, ..StageEnd::new(stage, "tree".into(), run) }
}

fn guard() -> GuardFinding {
    GuardFinding {
        path: "Makefile".into(),
        line: 2,
        side: ChangeSide::New,
        kind: GuardKind::FailureHidden,
        text: "cargo test || true".into(),
        why: GuardKind::FailureHidden.why().into(),
    }
}

fn overlay(brings: bool) -> TestOverlay {
    let acts = if brings { vec![OverlayEdit::Restore { path: "tests/a.rs".into() }] } else { Vec::new() };
    TestOverlay { acts, unread: Vec::new() }
}

fn plan(expect: ProofExpect, tests: bool) -> ProofPlan {
    ProofPlan {
        expect,
        consent: ProofConsent::default(),
        changed_files: 2,
        old_tests: overlay(tests),
        new_tests: overlay(tests),
        guards: Vec::new(),
    }
}

/// A good fix, in which each test below spoils one thing.
fn good() -> [StageEnd; 4] {
    [
        end(ProofStage::Before, RED, counts(2, 1, 1)),
        end(ProofStage::After, GREEN, counts(4, 0, 1)),
        end(ProofStage::OldTestsOverNewCode, GREEN, counts(3, 0, 1)),
        end(ProofStage::NewTestsOverOldCode, RED, counts(2, 2, 1)),
    ]
}

fn reasons(plan: &ProofPlan, ends: &[StageEnd]) -> Vec<String> {
    match plan.judge(ends).verdict {
        ProofVerdict::NotProved(reasons) => reasons.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_good_fix_is_proved_without_a_note() {
    let judgement = plan(ProofExpect::Fail, true).judge(&good());
    assert_eq!(judgement, ProofJudgement { verdict: ProofVerdict::Proved, notes: Vec::new() });
}

#[test]
fn each_rule_has_its_words() {
    let plan = plan(ProofExpect::Fail, true);
    let spoilt = |at: usize, stage, outcome, counts| {
        let mut ends = good();
        ends[at] = end(stage, outcome, counts);
        reasons(&plan, &ends)
    };
    use ProofStage::*;
    assert_eq!(
        spoilt(1, After, RED, counts(2, 2, 0)),
        ["after: the command fails on the change (exit 101): t0, t1"]
    );
    assert_eq!(
        spoilt(1, After, CommandOutcome::TimedOut, None),
        ["after: the command was still running after 7 s"]
    );
    assert_eq!(
        spoilt(1, After, CommandOutcome::Exited(127), None),
        ["the proving command cannot be run (exit 127): a program is missing or not executable"]
    );
    assert_eq!(
        spoilt(2, OldTestsOverNewCode, RED, counts(3, 1, 1)),
        [
            "the base's own tests fail on the new code (exit 101): t0; leave them as they are, unless a person allows their change"
        ]
    );
    assert_eq!(
        spoilt(3, NewTestsOverOldCode, GREEN, counts(4, 0, 1)),
        ["the new tests pass on the old code too, so they do not show the change"]
    );
    assert_eq!(spoilt(1, After, GREEN, counts(2, 0, 1)), ["fewer tests are run: 3 before, 2 after"]);
    assert_eq!(spoilt(1, After, GREEN, counts(4, 0, 2)), ["more tests are skipped: 1 before, 2 after"]);
    assert_eq!(
        spoilt(1, After, GREEN, None),
        ["3 tests could be counted before, none after: the output no longer shows them"]
    );
    assert_eq!(
        spoilt(1, After, GREEN, counts(4, 1, 1)),
        ["after: the command ends with 0 though 1 test fails: t0"]
    );
    assert_eq!(
        spoilt(1, After, GREEN, counts(0, 0, 0)),
        ["after: the command passes without running one test", "fewer tests are run: 3 before, 0 after"]
    );
    let lost = CommandOutcome::NotStarted("no sandbox".into());
    assert_eq!(spoilt(0, Before, lost.clone(), None), ["before: not run (no sandbox)"]);
    assert_eq!(spoilt(2, OldTestsOverNewCode, lost, None), ["old tests, new code: not run (no sandbox)"]);
}

#[test]
fn a_proof_that_ended_early_is_none() {
    let plan = plan(ProofExpect::Fail, true);
    assert_eq!(reasons(&plan, &[]), ["before: not run (the proof ended before it)"]);
    assert_eq!(reasons(&plan, &good()[..1]), ["after: not run (the proof ended before it)"]);
    assert_eq!(
        reasons(&plan, &good()[..2]),
        [
            "old tests, new code: not run (the proof ended before it)",
            "new tests, old code: not run (the proof ended before it)"
        ]
    );
}

#[test]
fn questions_go_to_a_person_and_have_an_answer_without_one() {
    let fix = plan(ProofExpect::Fail, false);
    let verdict = fix.judge(&[end(ProofStage::Before, GREEN, None)]).verdict;
    assert_eq!(verdict, ProofVerdict::NeedsPerson(PersonQuestion::BeforePasses));
    assert_eq!(verdict.without_person(), ProofVerdict::NotProved(vec![ProofReason::BeforePasses]));

    let rebuild = plan(ProofExpect::Pass, false);
    let verdict = rebuild.judge(&[end(ProofStage::Before, RED, counts(1, 1, 0))]).verdict;
    assert!(verdict.to_string().contains("fails on the base already (exit 101; t0)"), "{verdict}");

    let mut guarded = plan(ProofExpect::Fail, true);
    guarded.guards = vec![guard()];
    let verdict = guarded.judge(&good()).verdict;
    assert!(
        verdict.to_string().ends_with("Allow?\n  Makefile:2: + cargo test || true (hides a failure)"),
        "{verdict}"
    );
    assert_eq!(
        verdict.without_person().to_string(),
        "not proved\n  1 line that decides which tests count is changed without consent"
    );
    guarded.consent.guards = true;
    let judgement = guarded.judge(&good());
    assert_eq!(judgement.verdict, ProofVerdict::Proved);
    assert_eq!(judgement.notes, ["guards: a person allowed 1 line"]);
}

#[test]
fn a_second_run_that_passes_is_flaky_and_not_passed() {
    let ends = [
        end(ProofStage::Before, RED, None),
        end(ProofStage::After, RED, counts(1, 1, 0)),
        end(ProofStage::AfterAgain, GREEN, counts(2, 0, 0)),
    ];
    let verdict = plan(ProofExpect::Fail, false).judge(&ends).verdict;
    assert_eq!(verdict.to_string(), "flaky: the same tree failed once and passed once; t0");
}

#[test]
fn a_run_that_stopped_early_does_not_accuse_of_skips() {
    let ends =
        [end(ProofStage::Before, RED, counts(1, 1, 0)), end(ProofStage::After, GREEN, counts(9, 0, 1))];
    let judgement = plan(ProofExpect::Fail, false).judge(&ends);
    assert_eq!(judgement.verdict, ProofVerdict::Proved);
    assert!(judgement.notes.iter().any(|note| note.contains("may have stopped early")), "{judgement:?}");
}

#[test]
fn a_long_list_of_names_is_cut() {
    let ends = [end(ProofStage::Before, RED, None), end(ProofStage::After, RED, counts(0, 20, 0))];
    assert!(reasons(&plan(ProofExpect::Fail, false), &ends)[0].ends_with("t6, t7 and 12 more"));
}

fn any_outcome() -> impl Strategy<Value = CommandOutcome> {
    prop_oneof![
        4 => Just(GREEN),
        3 => Just(RED),
        1 => Just(CommandOutcome::Exited(127)),
        1 => Just(CommandOutcome::Signalled(9)),
        1 => Just(CommandOutcome::TimedOut),
        1 => Just(CommandOutcome::NotStarted("no".into())),
    ]
}

fn any_run() -> impl Strategy<Value = (CommandOutcome, Option<TestCounts>)> {
    let counted =
        proptest::option::weighted(0.8, (0u64..4, prop_oneof![3 => Just(0u64), 1 => 1u64..3], 0u64..3));
    (any_outcome(), counted)
        .prop_map(|(outcome, counted)| (outcome, counted.and_then(|(p, f, s)| counts(p, f, s))))
}

fn any_plan() -> impl Strategy<Value = ProofPlan> {
    let expect = prop_oneof![Just(ProofExpect::Fail), Just(ProofExpect::Pass), Just(ProofExpect::Any)];
    (expect, any::<[bool; 4]>(), 0usize..4, proptest::bool::weighted(0.3)).prop_map(
        |(expect, [guards, old_tests, old, new], changed_files, guarded)| ProofPlan {
            expect,
            consent: ProofConsent { guards, old_tests },
            changed_files,
            old_tests: overlay(old),
            new_tests: overlay(new),
            guards: if guarded { vec![guard()] } else { Vec::new() },
        },
    )
}

/// The rules written once more, from their description and independent of the code above.
fn all_rules_hold(plan: &ProofPlan, runs: &[(CommandOutcome, Option<TestCounts>); 5]) -> bool {
    let [before, after, _, old, new] = runs;
    let exit_0 = |run: &(CommandOutcome, Option<TestCounts>)| run.0 == CommandOutcome::Exited(0);
    let began = |run: &(CommandOutcome, Option<TestCounts>)| !matches!(run.0, CommandOutcome::NotStarted(_));
    let old_ran = !plan.old_tests.acts.is_empty() && !plan.consent.old_tests;
    let new_ran = !plan.new_tests.acts.is_empty() && plan.expect != ProofExpect::Pass;
    let base_is_as_said = match plan.expect {
        ProofExpect::Fail => !exit_0(before),
        ProofExpect::Pass => exit_0(before),
        ProofExpect::Any => true,
    };
    let new_tests = !new_ran || (began(new) && !exit_0(new));
    let allowed = plan.consent.guards || plan.consent.old_tests;
    let old_counts = if old_ran { old.1.as_ref() } else { None };
    let counted = match (&after.1, &before.1, old_counts) {
        (None, None, None) => true,
        (None, Some(was), _) | (None, None, Some(was)) => was.executed == 0,
        (Some(now), was, old) => {
            let fell = was.iter().chain(old).any(|counts| now.executed < counts.executed);
            let rose = match (old, was) {
                (Some(old), _) => now.skipped > old.skipped,
                (None, Some(was)) => {
                    now.skipped > was.skipped && (exit_0(before) || now.executed <= was.executed)
                }
                (None, None) => false,
            };
            now.failed == 0
                && (now.executed > 0 || plan.expect != ProofExpect::Fail)
                && (allowed || !(fell || rose))
        }
    };
    plan.changed_files > 0
        && began(before)
        && base_is_as_said
        && exit_0(after)
        && (!old_ran || exit_0(old))
        && new_tests
        && counted
        && (plan.guards.is_empty() || plan.consent.guards)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_ends_and_proved_is_every_rule_held(
        plan in any_plan(),
        runs in [any_run(), any_run(), any_run(), any_run(), any_run()],
    ) {
        let mut ends: Vec<StageEnd> = Vec::new();
        while let ProofStep::Run(stage) = plan.next(&ends) {
            prop_assert!(ends.iter().all(|end| end.stage != stage), "a stage is run once");
            let (outcome, counts) = runs[stage as usize].clone();
            prop_assert!(!plan.judge(&ends).verdict.is_proved(), "not before the last run");
            ends.push(end(stage, outcome, counts));
        }
        let judgement = plan.judge(&ends);
        prop_assert_eq!(judgement.verdict.is_proved(), all_rules_hold(&plan, &runs), "{:?}", judgement);
        let stored = serde_json::to_string(&judgement).unwrap();
        prop_assert_eq!(serde_json::from_str::<ProofJudgement>(&stored).unwrap(), judgement);
    }
}
