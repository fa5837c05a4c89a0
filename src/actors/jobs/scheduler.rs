//! The scheduler: repeats lost notices, watches deadlines, closes runs.
//!
//! Owns no job. Every action of the scheduler is safe to repeat; without it, a notice that met a full mailbox
//! or a crashed agent would be lost for good.

use std::sync::Arc;
use std::time::Duration;

use super::book::JobError;
use super::{JobsShared, attempts::AttemptTable};
use crate::domain::job::{CancelCause, Job, JobState, JobTransition};
use crate::domain::time::Timestamp;
use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address};

/// Time between two looks at all active jobs.
pub const SWEEP: Duration = Duration::from_millis(500);
/// One sweep in this many also checks jobs that seem to be in progress: their agents started with them, so
/// only a lost notice makes that necessary.
const FULL_SWEEP_EVERY: u64 = 10;

pub enum SchedulerMessage {
    /// Time to look at all jobs.
    Sweep,
    /// A root job may have ended.
    Close,
}

impl ActorMessage for SchedulerMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Close => "close",
        }
    }
}

pub struct JobScheduler {
    jobs: Arc<JobsShared>,
    system: ActorSystem,
    sweeps: u64,
}

impl JobScheduler {
    /// Starts to sweep, and to close runs after every commit.
    #[must_use]
    pub fn start(
        jobs: Arc<JobsShared>,
        system: ActorSystem,
        context: &ActorContext<SchedulerMessage>,
    ) -> Self {
        context.spawn(repeat(context.address().clone()));
        let (address, mut commits) = (context.address().clone(), jobs.book.commits());
        context.spawn(async move {
            // At once, too: the last daemon may have died between the end and the closing of a run.
            loop {
                commits.mark_unchanged();
                if address.send(SchedulerMessage::Close).await.is_err() {
                    return;
                }
                tokio::time::sleep(CLOSE_PAUSE).await;
                if commits.changed().await.is_err() {
                    return;
                }
            }
        });
        Self { jobs, system, sweeps: 0 }
    }

    async fn sweep(&mut self) -> Result<(), JobError> {
        let now = Timestamp::now();
        self.sweeps += 1;
        let full = self.sweeps.is_multiple_of(FULL_SWEEP_EVERY);
        let grace = self.jobs.settings.stop_grace;
        let active = self.jobs.book.active()?;
        for job in &active {
            if job.card.deadline_at.is_some_and(|deadline| deadline <= now) && job.cancel.is_none() {
                self.overdue(job).await?;
            } else if job.cancel.as_ref().is_some_and(|wish| now.since(wish.at) > grace) {
                if !active.iter().any(|other| other.id.parent().as_ref() == Some(&job.id)) {
                    self.stop_by_force(job).await?;
                }
            } else if wants_attention(job, &self.jobs.attempts, now, full) {
                self.jobs.notify(job);
            }
        }
        Ok(())
    }

    /// Cancels a job past the deadline, with all descendants.
    async fn overdue(&self, job: &Job) -> Result<(), JobError> {
        match self.jobs.cancel(&job.id, CancelCause::Deadline).await {
            Ok(_) | Err(JobError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a job whose agent did not stop in time, killing the agent if an attempt is running. The job ends
    /// without the agent's answer, so that an unresponsive agent (a paused one, say) is killed once and not
    /// at every sweep.
    async fn stop_by_force(&self, job: &Job) -> Result<(), JobError> {
        let how = if self.jobs.attempts.attempt(&job.id).is_some() {
            let killed = self.system.kill(job.card.agent.as_str()).await;
            tracing::warn!(job = %job.id, agent = %job.card.agent, ?killed, "an attempt did not stop in time");
            "its agent was killed: it did not stop in time"
        } else {
            "nothing was running, and its agent did not answer in time"
        };
        match self
            .jobs
            .book
            .change(&job.id, JobTransition::Stopped { fence: job.fence, how: how.into() })
            .await
        {
            Ok(stopped) => self.jobs.notify(&stopped),
            Err(JobError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn close_runs(&self) -> Result<(), JobError> {
        for root in self.jobs.book.to_close()? {
            if let Err(error) = self.jobs.close_run(&root.run(), &self.system).await {
                tracing::error!(run = %root.id, %error, "a run could not be closed; it will be tried again");
            }
        }
        Ok(())
    }
}

/// Pause between two searches for runs to close: commits come by the thousand.
const CLOSE_PAUSE: Duration = Duration::from_millis(100);

/// Whether an agent must be notified of the job.
fn wants_attention(job: &Job, board: &AttemptTable, now: Timestamp, full: bool) -> bool {
    match job.state {
        JobState::Queued => job.is_due(now),
        JobState::Running => match board.attempt(&job.id) {
            Some(attempt) => job.cancel.is_some() || attempt.control.is_paused(),
            None => job.cancel.is_some() || full,
        },
        JobState::Blocked => true,
        JobState::Paused => board.attempt(&job.id).is_some(),
        _ => false,
    }
}

async fn repeat(address: Address<SchedulerMessage>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if address.send(SchedulerMessage::Sweep).await.is_err() {
            return;
        }
    }
}

impl Actor for JobScheduler {
    type Message = SchedulerMessage;

    async fn handle(
        &mut self,
        message: SchedulerMessage,
        _: &ActorContext<SchedulerMessage>,
    ) -> Result<(), ActorError> {
        let done = match message {
            SchedulerMessage::Sweep => self.sweep().await,
            SchedulerMessage::Close => self.close_runs().await,
        };
        match done {
            // The next sweep, or the commit that ends the fault, tries again.
            Err(JobError::Store(error)) if error.is_passing() => {
                tracing::debug!(%error, "jobs could not all be looked at");
                Ok(())
            }
            done => Ok(done?),
        }
    }
}
