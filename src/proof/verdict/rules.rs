//! The rules of a green run: old tests pass, new tests prove, counts do not fall.
//!
//! Failure policy: a rule whose run is missing is a reason; a rule with nothing to apply to is a note.

use super::super::counts::{CountUnit, TestCounts};
use super::super::plan::{ProofExpect, ProofPlan, end_of};
use super::super::stage::{CommandOutcome, ProofStage, StageEnd};
use super::reason::ProofReason;

pub(super) fn not_started(end: &StageEnd) -> Option<ProofReason> {
    match &end.outcome {
        CommandOutcome::NotStarted(why) => Some(ProofReason::NotRun { stage: end.stage, why: why.clone() }),
        _ => None,
    }
}

pub(super) fn after_fails(after: &StageEnd) -> ProofReason {
    let outcome = after.outcome.to_string();
    match &after.outcome {
        CommandOutcome::NotStarted(why) => ProofReason::NotRun { stage: after.stage, why: why.clone() },
        CommandOutcome::TimedOut => hangs(after),
        other if other.is_missing_program() => ProofReason::CommandMissing { outcome },
        _ => ProofReason::AfterFails { outcome, failing: after.failing().to_vec() },
    }
}

pub(super) fn note_before(before: &StageEnd, notes: &mut Vec<String>) {
    if before.passed() {
        return;
    }
    if before.outcome.is_missing_program() {
        notes.push("before: the command failed because a program or file of it is not on the base".into());
    } else if before.outcome == CommandOutcome::TimedOut {
        notes.push("before: the command did not end on the base; that counts as failing".into());
    } else if before.counts.is_none() {
        notes.push(
            "before: the command failed without a test that could be counted, as when code does not build"
                .into(),
        );
    }
}

pub(super) fn old_tests_hold(
    plan: &ProofPlan,
    ends: &[StageEnd],
    reasons: &mut Vec<ProofReason>,
    notes: &mut Vec<String>,
) {
    if !plan.old_tests.unread.is_empty() {
        let files = plan.old_tests.unread.join(", ");
        notes.push(format!("old tests: inline tests cannot be told from the code in {files}"));
    }
    if !plan.wants_old_tests() {
        if plan.old_tests.brings_tests() {
            notes.push("old tests: not run over the new code, because a person allowed their change".into());
        }
        return;
    }
    let stage = ProofStage::OldTestsOverNewCode;
    let Some(end) = end_of(ends, stage) else {
        reasons.push(ProofReason::NotRun { stage, why: "the proof ended before it".into() });
        return;
    };
    if end.passed() {
        return;
    }
    reasons.push(match &end.outcome {
        CommandOutcome::NotStarted(why) => ProofReason::NotRun { stage, why: why.clone() },
        CommandOutcome::TimedOut => hangs(end),
        outcome => {
            ProofReason::OldTestsFail { outcome: outcome.to_string(), failing: end.failing().to_vec() }
        }
    });
}

/// Whether the only objection to a green change is that it rewrites tests which passed before: only a person
/// knows whether that is wanted. A test that failed before and still fails is no rewrite but an unfixed
/// fault.
pub(super) fn is_rewrite(before: &StageEnd, reasons: &[ProofReason]) -> bool {
    let was_green = |failing: &[String]| {
        before.passed() || !failing.is_empty() && failing.iter().all(|name| !before.failing().contains(name))
    };
    let is_rewritten = |reason: &ProofReason| matches!(reason, ProofReason::OldTestsFail { failing, .. } if was_green(failing));
    let is_count = |reason: &ProofReason| {
        matches!(reason, ProofReason::ExecutedFell { .. } | ProofReason::SkippedRose { .. })
    };
    reasons.iter().any(is_rewritten) && reasons.iter().all(|reason| is_rewritten(reason) || is_count(reason))
}

pub(super) fn new_tests_prove(
    plan: &ProofPlan,
    before: &StageEnd,
    ends: &[StageEnd],
    reasons: &mut Vec<ProofReason>,
    notes: &mut Vec<String>,
) {
    if !plan.wants_new_tests() {
        notes.push(if plan.new_tests.brings_tests() {
            "new tests: not run over the old code, because all was to be green before".into()
        } else {
            "new tests: the change brings none that could be run over the old code".into()
        });
        return;
    }
    let stage = ProofStage::NewTestsOverOldCode;
    let Some(end) = end_of(ends, stage) else {
        reasons.push(ProofReason::NotRun { stage, why: "the proof ended before it".into() });
        return;
    };
    match &end.outcome {
        CommandOutcome::NotStarted(why) => reasons.push(ProofReason::NotRun { stage, why: why.clone() }),
        outcome if outcome.passed() => reasons.push(ProofReason::NewTestsPassOnOldCode),
        CommandOutcome::TimedOut => {
            notes.push("new tests: on the old code they do not end; that counts as failing".into());
        }
        _ => note_failure(end, before, notes),
    }
}

/// Notes when a failing run is weak evidence, so that the record does not claim more.
fn note_failure(end: &StageEnd, before: &StageEnd, notes: &mut Vec<String>) {
    if end.counts.as_ref().is_none_or(|counts| counts.failed == 0) {
        notes.push(
            "new tests: on the old code no test was seen to fail; perhaps they only do not build there"
                .into(),
        );
    } else if !end.failing().is_empty() && end.failing().iter().all(|name| before.failing().contains(name)) {
        notes.push(
            "new tests: on the old code only tests fail that failed before; the added ones show nothing"
                .into(),
        );
    }
}

pub(super) fn counts_hold(
    plan: &ProofPlan,
    [before, after]: [&StageEnd; 2],
    ends: &[StageEnd],
    reasons: &mut Vec<ProofReason>,
    notes: &mut Vec<String>,
) {
    let old_tests = end_of(ends, ProofStage::OldTestsOverNewCode).and_then(|end| end.counts.as_ref());
    let Some(now) = &after.counts else {
        let known = before.counts.as_ref().or(old_tests).filter(|counts| counts.executed > 0);
        match known {
            Some(counts) => reasons.push(ProofReason::CountsVanished { before: counts.executed }),
            None => {
                notes.push("counts: no runner is recognised in the output, so tests are not counted".into());
            }
        }
        return;
    };
    if now.failed > 0 {
        reasons.push(ProofReason::FailuresHidden { failing: now.failing.clone(), failed: now.failed });
    }
    if now.executed == 0 {
        match plan.expect {
            ProofExpect::Fail => reasons.push(ProofReason::NoTestRan),
            ProofExpect::Pass | ProofExpect::Any => notes.push("counts: no test was run".into()),
        }
    }
    if now.unit == CountUnit::Packages {
        notes.push("counts: only packages are counted; skipped tests are not seen".into());
    }
    compare(plan, before, old_tests, now, reasons, notes);
}

fn compare(
    plan: &ProofPlan,
    before: &StageEnd,
    old_tests: Option<&TestCounts>,
    now: &TestCounts,
    reasons: &mut Vec<ProofReason>,
    notes: &mut Vec<String>,
) {
    let same_unit = |counts: &&TestCounts| counts.unit == now.unit;
    let first = before.counts.as_ref().filter(same_unit);
    let old_tests = old_tests.filter(same_unit);
    let Some(executed) = [first, old_tests].into_iter().flatten().map(|counts| counts.executed).max() else {
        notes.push("counts: none of before to compare with".into());
        return;
    };
    let mut found = Vec::new();
    if now.executed < executed {
        found.push(ProofReason::ExecutedFell { before: executed, after: now.executed });
    }
    // A failing run may stop early and so skip fewer; the old tests' run, and any that ran to the end, are
    // complete.
    let whole =
        old_tests.or_else(|| first.filter(|counts| before.passed() || now.executed <= counts.executed));
    match whole.or(first) {
        Some(counts) if now.skipped > counts.skipped => {
            let rose = ProofReason::SkippedRose { before: counts.skipped, after: now.skipped };
            if whole.is_some() {
                found.push(rose);
            } else {
                notes.push(format!("counts: {rose}; the failing run before may have stopped early"));
            }
        }
        _ => {}
    }
    if plan.consent.guards || plan.consent.old_tests {
        notes.extend(found.iter().map(|reason| format!("counts: {reason}, which a person allowed")));
    } else {
        reasons.append(&mut found);
    }
}

fn hangs(end: &StageEnd) -> ProofReason {
    ProofReason::Hangs { stage: end.stage, seconds: end.millis / 1000 }
}
