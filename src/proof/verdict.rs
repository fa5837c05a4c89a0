//! The verdict on a change, from the plan and the ended runs: pure, each reason in words.
//!
//! Failure policy: `Proved` needs every rule to hold; a missing run and missing counts are reasons against. A
//! rule that could not be applied is a note, so that the record never claims more than was observed.

mod reason;
mod rules;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::guards::GuardFinding;
use super::plan::{ProofExpect, ProofPlan, end_of};
use super::stage::{ProofStage, StageEnd};

pub use reason::ProofReason;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofVerdict {
    Proved,
    NotProved(Vec<ProofReason>),
    /// Two runs of one tree ended differently: the tests that failed in the first.
    Flaky(Vec<String>),
    NeedsPerson(PersonQuestion),
}

/// A question that only a person can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonQuestion {
    BeforePasses,
    BeforeFails {
        outcome: String,
        failing: Vec<String>,
    },
    GuardsTouched(Vec<GuardFinding>),
    /// The change rewrites tests that pass on the base: their requirement is dropped, or broken. Includes the
    /// guard lines in those tests; a yes covers the lines shown.
    OldTestsRewritten {
        reasons: Vec<ProofReason>,
        guards: Vec<GuardFinding>,
    },
}

/// A verdict with the notes that qualify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofJudgement {
    pub verdict: ProofVerdict,
    pub notes: Vec<String>,
}

impl ProofVerdict {
    pub fn is_proved(&self) -> bool {
        *self == Self::Proved
    }

    /// The verdict when no person is to be asked.
    #[must_use]
    pub fn without_person(self) -> Self {
        match self {
            Self::NeedsPerson(PersonQuestion::BeforePasses) => {
                Self::NotProved(vec![ProofReason::BeforePasses])
            }
            Self::NeedsPerson(PersonQuestion::BeforeFails { outcome, failing }) => {
                Self::NotProved(vec![ProofReason::BeforeFails { outcome, failing }])
            }
            Self::NeedsPerson(PersonQuestion::GuardsTouched(guards)) => {
                Self::NotProved(vec![ProofReason::GuardsTouched { lines: guards.len() }])
            }
            Self::NeedsPerson(PersonQuestion::OldTestsRewritten { reasons, .. }) => Self::NotProved(reasons),
            other => other,
        }
    }
}

impl ProofPlan {
    /// The verdict on the runs so far; `NotProved` if too early.
    pub fn judge(&self, ends: &[StageEnd]) -> ProofJudgement {
        let mut notes = Vec::new();
        let verdict = self.verdict(ends, &mut notes);
        ProofJudgement { verdict, notes }
    }

    fn verdict(&self, ends: &[StageEnd], notes: &mut Vec<String>) -> ProofVerdict {
        if self.changed_files == 0 {
            return ProofVerdict::NotProved(vec![ProofReason::NothingChanged]);
        }
        let Some(before) = end_of(ends, ProofStage::Before) else { return missing(ProofStage::Before) };
        if let Some(reason) = rules::not_started(before) {
            return ProofVerdict::NotProved(vec![reason]);
        }
        if self.contradicts(before) {
            return ProofVerdict::NeedsPerson(match self.expect {
                ProofExpect::Fail => PersonQuestion::BeforePasses,
                ProofExpect::Pass | ProofExpect::Any => PersonQuestion::BeforeFails {
                    outcome: before.outcome.to_string(),
                    failing: before.failing().to_vec(),
                },
            });
        }
        let Some(after) = end_of(ends, ProofStage::After) else { return missing(ProofStage::After) };
        if after.passed() {
            return self.judge_green(before, after, ends, notes);
        }
        if end_of(ends, ProofStage::AfterAgain).is_some_and(StageEnd::passed) {
            return ProofVerdict::Flaky(after.failing().to_vec());
        }
        let mut reasons = vec![rules::after_fails(after)];
        reasons.extend(self.guards_reason());
        ProofVerdict::NotProved(reasons)
    }

    /// Applies all rules, so that an agent learns of every fault at once.
    fn judge_green(
        &self,
        before: &StageEnd,
        after: &StageEnd,
        ends: &[StageEnd],
        notes: &mut Vec<String>,
    ) -> ProofVerdict {
        let mut reasons = Vec::new();
        rules::note_before(before, notes);
        rules::old_tests_hold(self, ends, &mut reasons, notes);
        rules::new_tests_prove(self, before, ends, &mut reasons, notes);
        rules::counts_hold(self, [before, after], ends, &mut reasons, notes);
        if self.consent.guards && !self.guards.is_empty() {
            let lines = self.guards.len();
            notes.push(format!(
                "guards: a person allowed {lines} {}",
                if lines == 1 { "line" } else { "lines" }
            ));
        }
        if rules::is_rewrite(before, &reasons) {
            let guards = self.guards.iter().filter(|guard| guard.kind.is_of_tests()).cloned().collect();
            return ProofVerdict::NeedsPerson(PersonQuestion::OldTestsRewritten { reasons, guards });
        }
        match self.guards_reason() {
            Some(_) if reasons.is_empty() => {
                ProofVerdict::NeedsPerson(PersonQuestion::GuardsTouched(self.open_guards()))
            }
            guards => {
                reasons.extend(guards);
                if reasons.is_empty() { ProofVerdict::Proved } else { ProofVerdict::NotProved(reasons) }
            }
        }
    }

    /// Guards without consent; consent to rewriting tests includes the lines removed from those tests.
    fn open_guards(&self) -> Vec<GuardFinding> {
        let is_allowed =
            |guard: &GuardFinding| self.consent.guards || self.consent.old_tests && guard.kind.is_of_tests();
        self.guards.iter().filter(|guard| !is_allowed(guard)).cloned().collect()
    }

    fn guards_reason(&self) -> Option<ProofReason> {
        let lines = self.open_guards().len();
        (lines > 0).then_some(ProofReason::GuardsTouched { lines })
    }
}

fn missing(stage: ProofStage) -> ProofVerdict {
    ProofVerdict::NotProved(vec![ProofReason::NotRun { stage, why: "the proof ended before it".into() }])
}

impl fmt::Display for PersonQuestion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforePasses => out.write_str(
                "the proving command passes on the base already, so it does not show the fault that is to be fixed. \
                 Go on, so that the change's new tests have to show it (--expect any), or stop and give a command \
                 that fails now?",
            ),
            Self::BeforeFails { outcome, failing } => {
                write!(out, "the proving command fails on the base already ({outcome}")?;
                reason::list(out, "; ", failing)?;
                out.write_str("). Go on without this check (--expect any), or stop and mend the base first?")
            }
            Self::GuardsTouched(guards) => {
                match guards.len() {
                    1 => out.write_str("the change is green, but one of its lines decides which tests count. Allow?")?,
                    lines => write!(out, "the change is green, but {lines} of its lines decide which tests count. Allow?")?,
                }
                guards.iter().try_for_each(|guard| write!(out, "\n  {guard}"))
            }
            Self::OldTestsRewritten { reasons, guards } => {
                out.write_str(
                    "the change is green only with its own tests in the place of the base's. Is what those said no \
                     longer wanted?",
                )?;
                reasons.iter().try_for_each(|reason| write!(out, "\n  {reason}"))?;
                guards.iter().try_for_each(|guard| write!(out, "\n  {guard}"))
            }
        }
    }
}

impl fmt::Display for ProofVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved => out.write_str("proved"),
            Self::NotProved(reasons) => {
                out.write_str("not proved")?;
                reasons.iter().try_for_each(|reason| write!(out, "\n  {reason}"))
            }
            Self::Flaky(failing) => {
                out.write_str("flaky: the same tree failed once and passed once")?;
                reason::list(out, "; ", failing)
            }
            Self::NeedsPerson(question) => write!(out, "needs a person: {question}"),
        }
    }
}

#[cfg(test)]
mod tests;
