//! Finalizes a run once its root job has ended: manifest, trace and ledger line.
//!
//! Invariant: a run is `done` only after the manifest can be read and the line is in the ledger. Repeatable:
//! the files are written whole under fixed names, and the last step marks the run as closed. A run left
//! unclosed by a crash is closed at the next start.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::JobsShared;
use super::book::JobError;
use super::manifest::{self, Manifest};
use super::readers::LedgerEntry;
use crate::actors::crashes::FrozenSpan;
use crate::domain::accounts::receipt::Receipt;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{Job, JobTransition};
use crate::domain::time::Timestamp;
use crate::files::replace_file;
use crate::supervision::ActorSystem;

/// The run's messages, as JSON lines, in the run's folder.
pub const TRACE_FILE: &str = "trace.jsonl";

/// Why a run could not be closed; closing is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    #[error(transparent)]
    Job(#[from] JobError),
    /// The run's costs could not be read.
    #[error("read the costs of the run: {0}")]
    Costs(String),
    #[error("write {0}: {1}")]
    File(String, std::io::Error),
}

/// The source of runs' costs.
pub trait RunCosts: Send + Sync {
    /// All receipts of a run so far, in the order of settlement; or the reason why they cannot be read.
    fn receipts_of<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Vec<Arc<Receipt>>, String>>;
}

impl JobsShared {
    /// Commits a transition of a claimed job. A run that becomes done has a manifest before anyone can see it
    /// as done, and a ledger line in the same commit.
    ///
    /// # Errors
    /// As [`super::JobBook::change`]; [`JobError::NoManifest`] leaves the job unchanged, for another attempt.
    pub async fn commit(&self, id: &JobId, transition: JobTransition) -> Result<Job, JobError> {
        let now = Timestamp::now();
        let is_end = matches!(transition, JobTransition::Complete { .. });
        if is_end && id.parent().is_none() {
            let mut jobs = self.book.subtree(id)?;
            if let Some(root) = jobs.first_mut() {
                root.apply(transition.clone(), now)?;
            }
            let line = match self.write_manifest(&jobs).await {
                Ok(manifest) => manifest.as_ref().map(ledger_line),
                Err(FinalizeError::Job(error)) => return Err(error),
                Err(error) => return Err(JobError::NoManifest(error.to_string())),
            };
            return self.book.change_at(id, transition, now, line).await;
        }
        self.book.change_at(id, transition, now, None).await
    }

    /// Writes the manifest of a run from the jobs' current rows; `None` without jobs.
    async fn write_manifest(&self, jobs: &[Job]) -> Result<Option<Manifest>, FinalizeError> {
        let Some(run) = jobs.first().map(Job::run) else { return Ok(None) };
        let receipts = self.receipts_of(&run).await?;
        let Some(manifest) = Manifest::of(jobs, &receipts) else { return Ok(None) };
        let bytes = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        self.write_into(&run, manifest::FILE, bytes).await?;
        Ok(Some(manifest))
    }

    /// All receipts of a run so far, in the order of settlement.
    ///
    /// # Errors
    /// [`FinalizeError::Costs`] while they cannot be read.
    pub async fn receipts_of(&self, run: &RunId) -> Result<Vec<Arc<Receipt>>, FinalizeError> {
        let costs =
            self.costs.get().ok_or_else(|| FinalizeError::Costs("no ledger is open yet".to_owned()))?;
        costs.receipts_of(run).await.map_err(FinalizeError::Costs)
    }

    async fn write_into(&self, run: &RunId, name: &'static str, bytes: Vec<u8>) -> Result<(), FinalizeError> {
        let folder = self.run_dir(run);
        let written = tokio::task::spawn_blocking(move || write_whole(&folder, name, &bytes));
        written
            .await
            .unwrap_or_else(|error| Err(FinalizeError::File(run.to_string(), std::io::Error::other(error))))
    }

    /// Closes a run, if all jobs have ended and nothing has closed it yet.
    ///
    /// # Errors
    /// [`FinalizeError`]; nothing is lost, and the next call does the rest.
    pub async fn close_run(&self, run: &RunId, system: &ActorSystem) -> Result<bool, FinalizeError> {
        if self.book.is_closed(run).map_err(JobError::from)? {
            return Ok(false);
        }
        let jobs = self.book.subtree(&JobId::root(run))?;
        if jobs.iter().any(|job| !job.state.is_terminal()) {
            return Ok(false);
        }
        self.write_into(run, TRACE_FILE, trace_lines(system, &jobs)).await?;
        let Some(manifest) = self.write_manifest(&jobs).await? else { return Ok(false) };
        self.keep_progress(run).await?;
        self.book.enter(ledger_line(&manifest)).await.map_err(JobError::from)?;
        Ok(true)
    }
}

fn ledger_line(manifest: &Manifest) -> LedgerEntry {
    let run = manifest.run_id.clone();
    LedgerEntry {
        task: manifest.task.clone(),
        state: manifest.state.as_str().to_owned(),
        started_at: manifest.created_at,
        ended_at: manifest.ended_at,
        jobs: u32::try_from(manifest.steps.len()).unwrap_or(u32::MAX),
        content_hash: manifest.content_hash.clone(),
        cost_usd: manifest.cost_usd.usd().normalize().to_string(),
        manifest: format!("artifacts/runs/{run}/{}", manifest::FILE),
        inputs: manifest.inputs.clone().into(),
        run_id: run,
    }
}

fn trace_lines(system: &ActorSystem, jobs: &[Job]) -> Vec<u8> {
    let Some(trace) = jobs.first().map(|root| root.trace.0) else { return Vec::new() };
    let mut bytes = Vec::new();
    for record in system.ring().select(|record| record.trace == trace) {
        if let Ok(line) = serde_json::to_string(&FrozenSpan::of(system, &record)) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
    }
    bytes
}

fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FinalizeError> {
    let target = folder.join(name);
    replace_file(&target, bytes).map_err(|error| FinalizeError::File(target.display().to_string(), error))
}
