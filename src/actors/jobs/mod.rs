//! Jobs at work: the durable book, the soft board beside it, the hints that move them, their closing.
//!
//! Invariant: the row in the store is the job. Whoever holds a hint looks at the row and does what its
//! state asks for; a hint lost or doubled changes nothing.

mod again;
pub mod board;
pub mod book;
#[cfg(test)]
mod card_tests;
pub mod closing;
pub mod listing;
pub mod manifest;
pub mod readers;
pub mod scheduler;
pub mod submission;
mod tables;
pub mod trees;
mod waits;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

pub use board::Board;
pub use book::{JobBook, JobError};
pub use closing::RunCosts;
pub use submission::AsksPerson;
pub use trees::{Cancellation, Cancelled};

use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::{CancelCause, Job, JobState, Policy};
use crate::domain::roster::Roster;
use crate::domain::task::TaskCatalogue;
use crate::llm::text_writer::TextWriter;
use crate::store::backup_folder::BackupFolder;
use crate::supervision::trace;

/// How jobs are carried out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `artifacts/` is made below it.
    pub workdir: PathBuf,
    /// Threads a step may keep busy.
    pub threads: usize,
    /// After how long a step is reported as slow.
    pub soft_timeout: Duration,
    /// After how long a step is stopped and tried again.
    pub hard_timeout: Duration,
    /// How long a cancelled step may take to stop before its agent is killed.
    pub stop_grace: Duration,
    /// Most runs that may be open: more are refused until one has ended.
    pub max_runs: usize,
    pub policy: Policy,
    /// Where backups of the store go.
    pub backups: BackupFolder,
    /// Values of inputs that a card leaves out (a JSON object).
    pub input_defaults: Arc<Value>,
}

/// The agents as jobs know them: who there is, and a way to point one to a job.
pub trait JobNotifier: Send + Sync {
    fn roster(&self) -> &Arc<Roster>;
    /// Has an agent look at a job. A notice may be lost: the scheduler repeats it.
    fn attend(&self, agent: &str, job: &JobId);
}

/// All that carries jobs: the book, the board, and whom to hint.
pub struct Jobs {
    pub book: JobBook,
    pub board: Board,
    pub agents: Arc<dyn JobNotifier>,
    /// All tasks, and which agent takes which.
    pub tasks: &'static TaskCatalogue,
    pub settings: Settings,
    /// Who knows what runs cost; set once, when the tree is built.
    pub costs: OnceLock<Arc<dyn RunCosts>>,
    /// Who calls models; set once, when the tree is built.
    pub models: OnceLock<Arc<dyn TextWriter>>,
}

impl Jobs {
    /// Whether a language model can be called now.
    #[must_use]
    pub fn can_call_model(&self) -> bool {
        self.models.get().is_some_and(|models| models.is_ready())
    }

    /// Hints whoever must act on a job as it now stands: its agent; its parent's agent when it has
    /// ended; the director it was escalated to. The hint continues the job's trace, whoever gives it.
    pub fn hint(&self, job: &Job) {
        match trace::current() {
            Some(scope) if scope.context.trace == job.trace.0 => self.hint_here(job),
            _ => trace::caused_by(job.context(), || self.hint_here(job)),
        }
    }

    fn hint_here(&self, job: &Job) {
        match job.state {
            JobState::Blocked => {
                let director = job.escalated_to.as_ref().unwrap_or(&job.card.agent);
                self.agents.attend(director.as_str(), &job.id);
            }
            state if state.is_terminal() => {
                let parent = job.id.parent().and_then(|id| self.book.get(&id).ok());
                if let Some(parent) = parent {
                    self.agents.attend(parent.card.agent.as_str(), &parent.id);
                }
            }
            _ => self.agents.attend(job.card.agent.as_str(), &job.id),
        }
    }

    /// Ends a job and all below it, and notifies whoever must stop for it. Asked again it gives the same
    /// proof.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job has ended otherwise.
    pub async fn cancel(&self, id: &JobId, cause: CancelCause) -> Result<Cancellation, JobError> {
        let cancelled = self.book.cancel_tree(id, cause, self.board.held()).await?;
        if !cancelled.is_repeated {
            for part in &cancelled.parts {
                self.hint(&self.book.get(&part.job_id)?);
            }
        }
        Ok(cancelled)
    }

    /// Who decides about a failure of this agent: the director of its lane, or the architect.
    #[must_use]
    pub fn director_of(&self, agent: &AgentName) -> AgentName {
        let roster = self.agents.roster();
        let root = || roster.path_to(agent).first().map(|root| root.name.clone());
        roster.lane_of(agent).map(|lane| lane.name.clone()).or_else(root).unwrap_or_else(|| agent.clone())
    }

    /// The folder of a run.
    #[must_use]
    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.settings.workdir.join("artifacts").join("runs").join(run.as_str())
    }

    /// Waits until a job has ended, or the deadline passes; gives the job as it stands then.
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
