//! The order of the stages, case by case.

use super::super::stage::CommandRun;
use super::*;

fn end(stage: ProofStage, outcome: CommandOutcome) -> StageEnd {
    let run = CommandRun { outcome, millis: 1, output: Vec::new(), output_bytes: 0 };
    StageEnd::new(stage, "tree".into(), run)
}

fn plan(expect: ProofExpect, paths: &[&str]) -> ProofPlan {
    let side = |text: &str| super::super::change::FileSide::Text(text.into());
    let changed: Vec<_> =
        paths.iter().map(|path| ChangedPath::new(*path, side("a\n"), side("b\n"))).collect();
    let command = ProvingCommand::given("cargo test").unwrap();
    ProofPlan::new(expect, ProofConsent::default(), &changed, &TestPaths::default(), &command)
}

const GREEN: CommandOutcome = CommandOutcome::Exited(0);
const RED: CommandOutcome = CommandOutcome::Exited(101);

/// Plays the plan with these ends and returns the stages in the order of the requests.
fn stages(plan: &ProofPlan, outcome: impl Fn(ProofStage) -> CommandOutcome) -> Vec<ProofStage> {
    let mut ends = Vec::new();
    while let ProofStep::Run(stage) = plan.next(&ends) {
        ends.push(end(stage, outcome(stage)));
    }
    ends.iter().map(|end| end.stage).collect()
}

#[test]
fn a_fix_with_tests_has_all_runs() {
    let plan = plan(ProofExpect::Fail, &["src/a.rs", "tests/a.rs"]);
    let order = stages(&plan, |stage| match stage {
        ProofStage::Before | ProofStage::NewTestsOverOldCode => RED,
        _ => GREEN,
    });
    use ProofStage::*;
    assert_eq!(order, [Before, After, OldTestsOverNewCode, NewTestsOverOldCode]);
}

#[test]
fn a_fix_without_tests_has_two() {
    let plan = plan(ProofExpect::Fail, &["src/a.rs"]);
    let order = stages(&plan, |stage| if stage == ProofStage::Before { RED } else { GREEN });
    assert_eq!(order, [ProofStage::Before, ProofStage::After]);
}

#[test]
fn a_base_that_contradicts_ends_at_once() {
    assert_eq!(stages(&plan(ProofExpect::Fail, &["src/a.rs"]), |_| GREEN), [ProofStage::Before]);
    assert_eq!(stages(&plan(ProofExpect::Pass, &["src/a.rs"]), |_| RED), [ProofStage::Before]);
    assert_eq!(stages(&plan(ProofExpect::Any, &["src/a.rs"]), |_| GREEN).len(), 2);
}

#[test]
fn only_a_plain_failure_is_run_again() {
    let plan = plan(ProofExpect::Fail, &["src/a.rs"]);
    let all = |outcome: CommandOutcome| {
        stages(&plan, |stage| if stage == ProofStage::Before { RED } else { outcome.clone() })
    };
    use ProofStage::*;
    assert_eq!(all(RED), [Before, After, AfterAgain]);
    assert_eq!(all(CommandOutcome::Signalled(9)), [Before, After, AfterAgain]);
    assert_eq!(all(CommandOutcome::TimedOut), [Before, After]);
    assert_eq!(all(CommandOutcome::Exited(127)), [Before, After]);
    assert_eq!(all(CommandOutcome::NotStarted("x".into())), [Before, After]);
}

#[test]
fn an_empty_change_is_not_run() {
    assert_eq!(stages(&plan(ProofExpect::Any, &[]), |_| GREEN), []);
}

#[test]
fn a_plan_goes_on_from_stored_ends() {
    let plan = plan(ProofExpect::Fail, &["src/a.rs", "tests/a.rs"]);
    let stored =
        serde_json::to_string(&[end(ProofStage::Before, RED), end(ProofStage::After, GREEN)]).unwrap();
    let ends: Vec<StageEnd> = serde_json::from_str(&stored).unwrap();
    assert_eq!(plan.next(&ends), ProofStep::Run(ProofStage::OldTestsOverNewCode));
    let stored: ProofPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(stored, plan);
}

#[test]
fn consent_to_changed_tests_spares_their_run() {
    let mut plan = plan(ProofExpect::Pass, &["tests/a.rs"]);
    assert!(plan.wants_old_tests() && !plan.wants_new_tests());
    plan.consent.old_tests = true;
    assert!(!plan.wants_old_tests());
}
