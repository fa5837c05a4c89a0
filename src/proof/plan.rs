//! The order of a proof's runs, as a pure fold over the ended runs: after a crash the proof continues from
//! the stored ones.
//!
//! Failure policy: a run with a stored end is never repeated, and each stage runs at most once, so a proof
//! always ends.

use serde::{Deserialize, Serialize};

use super::change::{ChangeSide, ChangedPath};
use super::command::ProvingCommand;
use super::guards::{GuardFinding, find_guards};
use super::overlay::TestOverlay;
use super::stage::{CommandOutcome, ProofStage, StageEnd};
use super::test_paths::TestPaths;

/// The command's expected result on the base (`--expect`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofExpect {
    /// A fix: the command fails on the base.
    #[default]
    Fail,
    /// A refactoring: all tests pass before and after.
    Pass,
    Any,
}

/// Consent of a person, for this change only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofConsent {
    /// Lines that decide which tests count may change.
    pub guards: bool,
    /// Tests of the base may be rewritten.
    pub old_tests: bool,
}

/// The inputs of the proof of one commit, fixed before the first run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofPlan {
    pub expect: ProofExpect,
    pub consent: ProofConsent,
    pub changed_files: usize,
    /// Base's tests, laid over the new code.
    pub old_tests: TestOverlay,
    /// The new tests, laid over base's code.
    pub new_tests: TestOverlay,
    pub guards: Vec<GuardFinding>,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofStep {
    Run(ProofStage),
    Judge,
}

impl ProofPlan {
    pub fn new(
        expect: ProofExpect,
        consent: ProofConsent,
        changed: &[ChangedPath],
        paths: &TestPaths,
        command: &ProvingCommand,
    ) -> Self {
        Self {
            expect,
            consent,
            changed_files: changed.len(),
            old_tests: TestOverlay::plan(changed, paths, ChangeSide::Old),
            new_tests: TestOverlay::plan(changed, paths, ChangeSide::New),
            guards: find_guards(changed, paths, Some(command)),
        }
    }

    pub fn next(&self, ends: &[StageEnd]) -> ProofStep {
        if self.changed_files == 0 {
            return ProofStep::Judge;
        }
        let Some(before) = end_of(ends, ProofStage::Before) else {
            return ProofStep::Run(ProofStage::Before);
        };
        if !before.outcome.started() || self.contradicts(before) {
            return ProofStep::Judge;
        }
        let Some(after) = end_of(ends, ProofStage::After) else { return ProofStep::Run(ProofStage::After) };
        if !after.passed() {
            return match end_of(ends, ProofStage::AfterAgain) {
                None if is_worth_again(&after.outcome) => ProofStep::Run(ProofStage::AfterAgain),
                _ => ProofStep::Judge,
            };
        }
        let wanted = [
            (ProofStage::OldTestsOverNewCode, self.wants_old_tests()),
            (ProofStage::NewTestsOverOldCode, self.wants_new_tests()),
        ];
        let next = wanted.into_iter().find(|(stage, wanted)| *wanted && end_of(ends, *stage).is_none());
        next.map_or(ProofStep::Judge, |(stage, _)| ProofStep::Run(stage))
    }

    /// Whether the base contradicts `expect`, so that a person has to decide.
    pub fn contradicts(&self, before: &StageEnd) -> bool {
        match self.expect {
            ProofExpect::Fail => before.passed(),
            ProofExpect::Pass => !before.passed(),
            ProofExpect::Any => false,
        }
    }

    /// Whether old tests need a run on the new code; if the change only adds tests, the run after had all old
    /// ones.
    pub fn wants_old_tests(&self) -> bool {
        self.old_tests.brings_tests() && !self.consent.old_tests
    }

    /// Whether new tests must fail on the old code; not for a refactoring.
    pub fn wants_new_tests(&self) -> bool {
        self.new_tests.brings_tests() && self.expect != ProofExpect::Pass
    }
}

/// The stored end of a stage. The first counts: there should be no second, and a second must not improve the
/// result.
pub fn end_of(ends: &[StageEnd], stage: ProofStage) -> Option<&StageEnd> {
    ends.iter().find(|end| end.stage == stage)
}

/// Whether a second run can help: not after a hang, which would cost the whole time again, nor for a missing
/// program, which stays missing.
fn is_worth_again(outcome: &CommandOutcome) -> bool {
    match outcome {
        CommandOutcome::Exited(_) => !outcome.is_missing_program(),
        CommandOutcome::Signalled(_) => true,
        CommandOutcome::TimedOut | CommandOutcome::NotStarted(_) => false,
    }
}

#[cfg(test)]
mod tests;
