//! Runs one call of a model: checked, announced where its class says so, and its one result written.
//!
//! Failure policy: a call's failure is its result. An attempt that is asked to stop ends the call's
//! processes before it ends itself; the row of the call then says that it was cut.

use std::time::{Duration, Instant};

use super::runner::ThinkingAttempt;
use super::workspace::until_stopped;
use crate::domain::thinking::{CallClass, CallOrder, CallPlace, CalledRow, ReturnedRow, StepRow};
use crate::proof::counts::read_counts;
use crate::skills::SkillError;
use crate::tools::{CheckedCall, ControlCall, ResultSpill as _, ToolClass, ToolReturn};

/// Share of the window that one result may take.
const RESULT_SHARE: u64 = 20;
/// Bytes of a token, roughly: results are cut by bytes.
const TOKEN_BYTES: u64 = 4;

impl ThinkingAttempt {
    /// Runs a call and writes its result.
    pub(super) async fn run_call(&mut self, order: CallOrder) -> Result<(), SkillError> {
        if let Some(commit) = &order.restore {
            self.workspace.restore(commit).await?;
            self.last_snapshot = None;
        }
        let call = match self.toolbox.check(&order.tool, &order.args) {
            Ok(call) => call,
            Err(failure) => return self.write_return(order.place, failure.into(), 0, None).await,
        };
        if let Some(ControlCall::Todo(todo)) = call.control() {
            let row = ReturnedRow {
                todo: Some(todo.plan.clone()),
                ..ReturnedRow::plain(order.place, "The plan is kept and shown in every turn.")
            };
            return self.journal.append(StepRow::Returned(Box::new(row))).await;
        }
        if let Some(ControlCall::Delegate(piece)) = call.control() {
            return self.delegate(order.place, piece.clone()).await;
        }
        match call.class() {
            ToolClass::Pure => self.run_pure(order.place, call).await,
            ToolClass::Tree => self.run_on_tree(order.place, call).await,
            ToolClass::Outward => self.run_outward(order, call).await,
        }
    }

    async fn run_pure(&mut self, place: CallPlace, call: CheckedCall) -> Result<(), SkillError> {
        let began = Instant::now();
        let returned = self.run_checked(call).await?;
        self.write_return(place, returned, elapsed_ms(began), None).await
    }

    async fn run_on_tree(&mut self, place: CallPlace, call: CheckedCall) -> Result<(), SkillError> {
        // Before the call is announced: a wait that a crash cuts is no run of the call.
        let _reserved = if call.runs_commands() { Some(self.reserve().await?) } else { None };
        let began = Instant::now();
        let before = self.snapshot_before(place).await?;
        self.journal
            .append(StepRow::Called(CalledRow {
                place,
                class: CallClass::Tree,
                args_hash: blake3::hash(call.canonical_arguments().as_bytes()).to_hex().to_string(),
                tree_before: Some(before),
            }))
            .await?;
        let returned = self.run_checked(call).await?;
        let after = self.workspace.snapshot(format!("after call {place}")).await?;
        let diffstat = self.workspace.diffstat(&after.commit).await?;
        let tree = after.tree.to_string();
        self.last_snapshot = Some(after.commit.to_string());
        self.write_return(place, returned, elapsed_ms(began), Some((tree, diffstat))).await
    }

    /// The commit to go back to if the call is cut: the newest snapshot, or one that is made now.
    async fn snapshot_before(&mut self, place: CallPlace) -> Result<String, SkillError> {
        if let Some(commit) = &self.last_snapshot {
            return Ok(commit.clone());
        }
        let made = self.workspace.snapshot(format!("before call {place}")).await?;
        let commit = made.commit.to_string();
        self.last_snapshot = Some(commit.clone());
        Ok(commit)
    }

    /// Bytes that the next result may take.
    pub(super) fn set_budget(&mut self) {
        let room = self.window.saturating_sub(self.journal.state.live_tokens());
        self.session.budget = usize::try_from(room / RESULT_SHARE * TOKEN_BYTES).unwrap_or(usize::MAX);
    }

    /// Runs the tool; an attempt that is to stop has its processes ended first.
    async fn run_checked(&mut self, call: CheckedCall) -> Result<ToolReturn, SkillError> {
        self.set_budget();
        let tool = call.tool().as_str();
        let running = self.toolbox.run_checked(call, &mut self.session);
        let running = self.deps.in_span(tool, running, |returned| !returned.is_error);
        until_stopped(&self.control, &self.cancel, running).await
    }

    pub(super) async fn write_return(
        &mut self,
        place: CallPlace,
        returned: ToolReturn,
        elapsed_ms: u64,
        tree: Option<(String, String)>,
    ) -> Result<(), SkillError> {
        let (tree_after, diffstat) = tree.unzip();
        let full = returned.full_output.and_then(|number| {
            let hash = self.outputs.lock().hash(number)?.to_owned();
            Some((number, hash))
        });
        let full_bytes = match &full {
            Some((number, _)) => self.outputs.lock().read(*number).ok().flatten().map_or(0, |all| all.len()),
            None => returned.text.len(),
        };
        let tests = read_counts(&returned.text).map(tally_of);
        let (out, full_hash) = full.unzip();
        let row = ReturnedRow {
            place,
            is_error: returned.is_error,
            error_class: returned.error_class.map(|class| class.word().to_owned()).unwrap_or_default(),
            full_hash: full_hash.unwrap_or_default(),
            full_bytes: full_bytes as u64,
            out,
            tree_after,
            diffstat,
            tests,
            todo: None,
            elapsed_ms,
            text: returned.text,
        };
        self.journal.append(StepRow::Returned(Box::new(row))).await?;
        self.outputs.lock().truncate(self.journal.outputs.len());
        Ok(())
    }
}

/// A run's counts in the form of the log.
pub(super) fn tally_of(counts: crate::proof::counts::TestCounts) -> crate::domain::thinking::TestTally {
    let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    crate::domain::thinking::TestTally {
        passed: number(counts.passed),
        failed: number(counts.failed),
        failing: counts.failing,
    }
}

pub(super) fn elapsed_ms(began: Instant) -> u64 {
    millis(began.elapsed())
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
