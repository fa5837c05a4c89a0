//! Carries a proof out on a bench: fresh trees, overlays, runs. All decisions are the plan's.
//!
//! Failure policy: a bench that fails ends the proof with an error and no verdict; stored ends stay, and a
//! later call continues after them. A tree that cannot be removed does not change the verdict.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::ProvingCommand;
use super::overlay::OverlayEdit;
use super::plan::{ProofPlan, ProofStep};
use super::record::{ProofRecord, ProofSetting, ProofSubject};
use super::stage::{CommandRun, ProofStage, StageEnd};

/// A fresh tree of one commit, with nothing but the commit and permitted build output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofCheckout {
    pub dir: PathBuf,
    /// The git tree checked out in `dir`.
    pub tree: String,
}

/// The bench failed, not the change.
#[derive(Debug, thiserror::Error)]
#[error("the proof could not {doing}: {cause}")]
pub struct BenchError {
    pub doing: String,
    pub cause: String,
}

impl BenchError {
    pub fn new(doing: impl Into<String>, cause: &impl ToString) -> Self {
        Self { doing: doing.into(), cause: cause.to_string() }
    }
}

/// Working trees and the sandbox, for a proof.
pub trait ProofBench: Send {
    /// A fresh tree; never the agent's own.
    fn checkout(&mut self, commit: &str) -> impl Future<Output = Result<ProofCheckout, BenchError>> + Send;

    /// Lays tests over a checkout: `Restore` takes the file from `tests_of`. Returns the tree's hash, overlay
    /// included. The commit may contain links that lead out of the tree: no edit may pass through one.
    fn overlay(
        &mut self,
        checkout: &ProofCheckout,
        tests_of: &str,
        acts: &[OverlayEdit],
    ) -> impl Future<Output = Result<String, BenchError>> + Send;

    /// Runs the command in the sandbox, no network. A sandbox that does not start is
    /// `CommandOutcome::NotStarted`.
    fn run(
        &mut self,
        command: &ProvingCommand,
        dir: &Path,
        timeout: Duration,
    ) -> impl Future<Output = Result<CommandRun, BenchError>> + Send;

    /// Stores an end while its tree is there, before the next run begins.
    fn keep(&mut self, end: &StageEnd) -> impl Future<Output = Result<(), BenchError>> + Send;

    /// Removes a tree; the bench reports leftovers.
    fn discard(&mut self, checkout: ProofCheckout) -> impl Future<Output = ()> + Send;
}

/// The parts of a proof that do not change during the runs.
#[derive(Clone, Debug)]
pub struct ProofOrder {
    pub subject: ProofSubject,
    pub command: ProvingCommand,
    pub plan: ProofPlan,
    pub setting: ProofSetting,
}

/// Makes the runs still missing after `done`, and judges all runs.
pub async fn prove<B: ProofBench>(
    order: ProofOrder,
    bench: &mut B,
    done: Vec<StageEnd>,
) -> Result<ProofRecord, BenchError> {
    let ProofOrder { subject, command, plan, setting } = order;
    let timeout = Duration::from_secs(setting.timeout_seconds);
    let mut ends = done;
    while let ProofStep::Run(stage) = plan.next(&ends) {
        ends.push(run_stage(stage, &subject, &command, &plan, timeout, bench).await?);
    }
    Ok(ProofRecord::new(subject, command, setting, &plan, ends))
}

/// One run of the command on a fresh tree of `commit`, outside of a whole proof.
pub async fn run_on<B: ProofBench>(
    commit: &str,
    stage: ProofStage,
    command: &ProvingCommand,
    timeout: Duration,
    bench: &mut B,
) -> Result<StageEnd, BenchError> {
    run_and_keep(stage, commit, None, command, timeout, bench).await
}

async fn run_stage<B: ProofBench>(
    stage: ProofStage,
    subject: &ProofSubject,
    command: &ProvingCommand,
    plan: &ProofPlan,
    timeout: Duration,
    bench: &mut B,
) -> Result<StageEnd, BenchError> {
    let (base, new) = (subject.base_commit.as_str(), subject.commit.as_str());
    let (code, tests) = match stage {
        ProofStage::Before => (base, None),
        ProofStage::After | ProofStage::AfterAgain => (new, None),
        ProofStage::OldTestsOverNewCode => (new, Some((base, &plan.old_tests.acts))),
        ProofStage::NewTestsOverOldCode => (base, Some((new, &plan.new_tests.acts))),
    };
    run_and_keep(stage, code, tests, command, timeout, bench).await
}

/// Keeps the end before the tree goes: build output of a run on the base is taken from there.
async fn run_and_keep<B: ProofBench>(
    stage: ProofStage,
    code: &str,
    tests: Option<(&str, &Vec<OverlayEdit>)>,
    command: &ProvingCommand,
    timeout: Duration,
    bench: &mut B,
) -> Result<StageEnd, BenchError> {
    let checkout = bench.checkout(code).await?;
    let kept = match run_in(&checkout, tests, command, timeout, bench).await {
        Ok((tree, run)) => {
            let end = StageEnd::new(stage, tree, run);
            bench.keep(&end).await.map(|()| end)
        }
        Err(error) => Err(error),
    };
    bench.discard(checkout).await;
    kept
}

async fn run_in<B: ProofBench>(
    checkout: &ProofCheckout,
    tests: Option<(&str, &Vec<OverlayEdit>)>,
    command: &ProvingCommand,
    timeout: Duration,
    bench: &mut B,
) -> Result<(String, CommandRun), BenchError> {
    let tree = match tests {
        Some((tests_of, acts)) => bench.overlay(checkout, tests_of, acts).await?,
        None => checkout.tree.clone(),
    };
    Ok((tree, bench.run(command, &checkout.dir, timeout).await?))
}

#[cfg(test)]
mod tests;
