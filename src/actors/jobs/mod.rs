//! The job engine: the durable book, the soft attempts, the notices that move jobs, and the finalizing of
//! runs.
//!
//! Invariant: the row in the store is the job. An agent that gets a notice reads the row and acts on the
//! state found there; a lost or doubled notice changes nothing.

pub mod attempts;
pub mod book;
#[cfg(test)]
mod card_tests;
mod claiming;
pub mod continuation;
mod draft;
pub mod finalize;
pub mod listing;
pub mod manifest;
pub mod paces;
pub mod pasts;
mod pinned;
pub mod pruning;
pub mod readers;
mod restart;
pub mod scheduler;
pub mod step_log;
pub mod submission;
pub mod subtree;
mod tables;
mod waits;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

pub use attempts::AttemptTable;
pub use book::{JobBook, JobError};
pub use finalize::RunCosts;
pub use paces::PaceCache;
pub use pasts::PastCache;
pub use submission::AsksPerson;
pub use subtree::{CancelledJob, RunCancellation};

use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::{CancelCause, Job, JobState, RetryPolicy};
use crate::domain::roster::Roster;
use crate::domain::task::TaskCatalogue;
use crate::llm::model_caller::ModelCaller;
use crate::skills::ingest::formats;
use crate::store::backup_folder::BackupFolder;
use crate::supervision::trace;

/// Newest runs among which a search index is looked for.
const SEARCHED_RUNS: usize = 1_000;

#[derive(Debug, Clone)]
pub struct JobSettings {
    /// The folder that contains `artifacts/`.
    pub workdir: PathBuf,
    /// The folder of agents' private trees.
    pub trees: PathBuf,
    /// Threads a step may use.
    pub threads: usize,
    /// Age at which a step is reported as slow.
    pub soft_timeout: Duration,
    /// Age at which a step is stopped and tried again.
    pub hard_timeout: Duration,
    /// How long a cancelled step may take to stop before the agent is killed.
    pub stop_grace: Duration,
    /// Most runs that may be open: more are refused until one has ended.
    pub max_runs: usize,
    pub policy: RetryPolicy,
    /// The `pas` binary, for work that needs a process of its own.
    pub program: PathBuf,
    /// The folder for backups of the store.
    pub backups: BackupFolder,
    /// Default values of inputs that a card leaves out (a JSON object).
    pub input_defaults: Arc<Value>,
}

/// The agents as jobs know them: which exist, and how to notify them.
pub trait JobNotifier: Send + Sync {
    fn roster(&self) -> &Arc<Roster>;
    /// Asks an agent to look at a job. Notices may be lost; the scheduler repeats them.
    fn notify(&self, agent: &str, job: &JobId);
}

/// The parts of the job engine: book, attempts, and the notifier of agents.
pub struct JobsShared {
    pub book: JobBook,
    pub attempts: AttemptTable,
    /// What runs take, and how far they are.
    pub paces: PaceCache,
    /// When their jobs did not work.
    pub pasts: PastCache,
    pub agents: Arc<dyn JobNotifier>,
    /// All tasks, each with the agent that takes it.
    pub tasks: &'static TaskCatalogue,
    pub settings: JobSettings,
    /// The source of runs' costs; set once, when the tree is built.
    pub costs: OnceLock<Arc<dyn RunCosts>>,
    /// The caller of models; set once, when the tree is built.
    pub models: OnceLock<Arc<dyn ModelCaller>>,
}

impl JobsShared {
    /// Why no language model can be called now; `None` when one can.
    #[must_use]
    pub fn no_model(&self) -> Option<String> {
        match self.models.get() {
            Some(models) => models.readiness().err(),
            None => Some("the gateway has not started yet; try again in a moment".to_owned()),
        }
    }

    /// The newest run with a search index: a search that names no run reads it.
    ///
    /// # Errors
    /// The store's.
    pub fn newest_index(&self) -> Result<Option<RunId>, JobError> {
        let roots = self.book.roots(SEARCHED_RUNS)?;
        Ok(roots.iter().map(Job::run).find(|run| self.run_dir(run).join(formats::INDEX).is_dir()))
    }

    /// Notifies the agents that must act on a job in its current state: the job's own; the parent's once the
    /// job has ended; the director of an escalation. The notice continues the job's trace, whoever the
    /// sender.
    pub fn notify(&self, job: &Job) {
        match trace::current() {
            Some(scope) if scope.context.trace == job.trace.0 => self.notify_in_trace(job),
            _ => trace::caused_by(job.context(), || self.notify_in_trace(job)),
        }
    }

    fn notify_in_trace(&self, job: &Job) {
        match job.state {
            JobState::Blocked => {
                let director = job.escalated_to.as_ref().unwrap_or(&job.card.agent);
                self.agents.notify(director.as_str(), &job.id);
            }
            state if state.is_terminal() => {
                let parent = job.id.parent().and_then(|id| self.book.get(&id).ok());
                if let Some(parent) = parent {
                    self.agents.notify(parent.card.agent.as_str(), &parent.id);
                }
            }
            _ => self.agents.notify(job.card.agent.as_str(), &job.id),
        }
    }

    /// Cancels a job with all its descendants, and notifies the agents that must stop. Repeated, returns the
    /// same proof.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job has ended in another state.
    pub async fn cancel(&self, id: &JobId, cause: CancelCause) -> Result<RunCancellation, JobError> {
        let cancelled = self.book.cancel_tree(id, cause, self.attempts.jobs_with_attempt()).await?;
        if !cancelled.is_repeated {
            for part in &cancelled.parts {
                self.notify(&self.book.get(&part.job_id)?);
            }
        }
        Ok(cancelled)
    }

    /// The agent that decides about a failure of this agent: the lane's director, or the architect.
    #[must_use]
    pub fn director_of(&self, agent: &AgentName) -> AgentName {
        let roster = self.agents.roster();
        let root = || roster.path_to(agent).first().map(|root| root.name.clone());
        roster.lane_of(agent).map(|lane| lane.name.clone()).or_else(root).unwrap_or_else(|| agent.clone())
    }

    #[must_use]
    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.settings.workdir.join("artifacts").join("runs").join(run.as_str())
    }

    /// Waits until a job has ended, or the deadline passes; returns the job as then stored.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or the store's.
    pub async fn wait(&self, id: &JobId, deadline: Duration) -> Result<Job, JobError> {
        let mut commits = self.book.commits();
        let ended = async {
            loop {
                commits.mark_unchanged();
                let job = self.book.get(id)?;
                if job.state.is_terminal() || commits.changed().await.is_err() {
                    return Ok(job);
                }
            }
        };
        match tokio::time::timeout(deadline, ended).await {
            Ok(job) => job,
            Err(_) => self.book.get(id),
        }
    }
}
