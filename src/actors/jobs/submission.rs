//! The only way into the book for a card from any source: checked, stored once, the agent notified.
//!
//! Failure policy: a card that can never work is refused before anything is stored. A source that disappears
//! after the card was accepted fails the step.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::JobsShared;
use super::book::{JobError, JobSubmission};
use crate::domain::ids::{ApprovalId, JobId};
use crate::domain::job::approval::{Approval, ApprovalDecision, ApprovalVerdict, QUESTION};
use crate::domain::job::request::{CardFacts, InputKind};
use crate::domain::job::{Job, JobCard, JobRequest};
use crate::domain::roster::Roster;
use crate::domain::task::TaskCatalogue;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::skills::{self, ingest};
use crate::supervision::trace;
use crate::worktree::SourceRepository;

/// Whether a failure may be put to a person, or ends the job: a caller that waits for the answer decides
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsksPerson {
    /// A failure that may pass is put to a person.
    Yes,
    /// Such a failure ends the job.
    No,
}

/// The facts of this machine and this build.
struct LocalFacts {
    roster: Arc<Roster>,
    tasks: &'static TaskCatalogue,
    no_model: Option<String>,
}

impl CardFacts for LocalFacts {
    fn roster(&self) -> &Roster {
        &self.roster
    }

    fn tasks(&self) -> &TaskCatalogue {
        self.tasks
    }

    fn no_model(&self) -> Option<&str> {
        self.no_model.as_deref()
    }

    fn trouble_with(&self, kind: InputKind, text: &str) -> Option<String> {
        match kind {
            InputKind::Source => trouble_with_source(Path::new(text)),
            InputKind::Licences => ingest::compliance::trouble_with_licence(text),
            InputKind::Repository => SourceRepository::inspect(Path::new(text), None)
                .err()
                .map(|error| format!("cannot be worked on: {error}")),
            InputKind::Text
            | InputKind::Count
            | InputKind::UpTo(_)
            | InputKind::Rows
            | InputKind::Usd
            | InputKind::Flag
            | InputKind::Choice(_)
            | InputKind::Texts => None,
        }
    }
}

fn trouble_with_source(path: &Path) -> Option<String> {
    let read = || {
        let info = std::fs::metadata(path)?;
        if info.is_dir() {
            std::fs::read_dir(path).map(drop)
        } else if info.is_file() {
            std::fs::File::open(path).map(drop)
        } else {
            Err(io::Error::other("it is neither a folder nor a regular file"))
        }
    };
    let error = read().err().filter(|error: &io::Error| !skills::is_passing(error))?;
    Some(format!("cannot read {}: {error}; check that it exists and may be read", path.display()))
}

impl JobsShared {
    /// Checks a card, accepts it durably and notifies the agent. A repeated idempotency key returns the job
    /// of the first submission.
    ///
    /// # Errors
    /// [`JobError::Card`] lists every fault of the card; [`JobError::Conflict`] for a key that came with
    /// another card; [`JobError::Busy`]; the store's.
    pub async fn submit(&self, request: JobRequest, asks: AsksPerson) -> Result<Job, JobError> {
        let context = trace::current().map_or_else(TraceContext::new_root, |scope| scope.context);
        let (request, card) = self.check(request).await?;
        let asked = request.fingerprint(&card.agent);
        let card = JobCard { optional: asks == AsksPerson::No, ..card };
        let job = self
            .book
            .submit(JobSubmission {
                card,
                context,
                idempotency_key: request.idempotency_key,
                asked,
                max_runs: self.settings.max_runs,
            })
            .await?;
        self.notify(&job);
        Ok(job)
    }

    /// Decides an approval, once, and notifies the job's agent. Corrected inputs are checked like those of a
    /// new card.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Conflict`], [`JobError::Card`], or the store's.
    pub async fn decide(
        &self,
        id: &ApprovalId,
        decision: ApprovalDecision,
    ) -> Result<(Approval, Job), JobError> {
        if let ApprovalVerdict::Approve { inputs } = &decision.verdict
            && !inputs.is_empty()
        {
            if self.book.approval(id)?.kind == QUESTION {
                return Err(JobError::Conflict(format!(
                    "`{id}` is an agent's question, which takes no inputs; put the answer into `reason`"
                )));
            }
            let root = self.book.get(&JobId::root(&self.book.approval(id)?.run_id))?;
            let mut all = root.card.inputs.as_object().cloned().unwrap_or_default();
            all.extend(inputs.clone());
            self.check(JobRequest {
                task: root.card.task,
                agent: Some(root.card.agent),
                inputs: Some(all),
                ..JobRequest::default()
            })
            .await?;
        }
        let (approval, job) = self.book.decide(id, decision).await?;
        self.notify(&job);
        Ok((approval, job))
    }

    /// Checks a card as [`JobsShared::submit`] does, and stores nothing. The request that comes back is the one that
    /// was checked: a continuation's is complete.
    ///
    /// # Errors
    /// [`JobError::Card`] lists every fault of the card.
    pub async fn check(&self, request: JobRequest) -> Result<(JobRequest, JobCard), JobError> {
        let request = self.with_earlier_work(request).await?;
        let needs_model = self.tasks.get(&request.task).is_some_and(|task| self.tasks.needs_model(task));
        if let (true, Some(_), Some(models)) = (needs_model, self.no_model(), self.models.get()) {
            // A daemon that has just started may not know its models yet.
            models.settled().await;
        }
        let facts = LocalFacts {
            roster: Arc::clone(self.agents.roster()),
            tasks: self.tasks,
            no_model: self.no_model(),
        };
        // The source may be on a slow disk.
        let checked = tokio::task::spawn_blocking(move || {
            let card = request.check(&facts, Timestamp::now())?;
            Ok((request, card))
        });
        checked.await.map_err(|error| JobError::Unchecked(error.to_string()))?
    }
}
