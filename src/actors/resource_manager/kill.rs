//! The forced end of a job: row, processes, reservations, and the leftovers.
//!
//! The order matters: first the job's reservations are marked, so that every end counts as a kill; then the
//! job is cancelled, so that no agent begins it anew; then the processes are ended; only then do others get
//! the resources.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cleanup::{self, CleanupPlan};
use super::process_groups::EndedGroup;
use super::{DEADLINE, ResourceError, ResourceHandle, ResourceMessage, ResourceResult};
use crate::actors::jobs::{CancelledJob, JobError};
use crate::domain::ids::JobId;
use crate::domain::job::CancelCause;
use crate::domain::resource_manager::Reservation;

/// How long running steps may take to reach a checkpoint before their reservations are taken away: the time
/// of one document.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Time between two checks whether they have.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct KillOutcome {
    /// The job's former reservations.
    pub reservations: Vec<Arc<Reservation>>,
    /// The process groups ended.
    pub processes: Vec<EndedGroup>,
    /// The cancelled jobs: the job itself and its open descendants.
    pub jobs: Vec<CancelledJob>,
    /// The clean-up plan, relative to the working directory.
    pub plan: String,
}

impl ResourceHandle {
    /// Ends a job and all its descendants: cancels steps, ends process groups, takes reservations back, and
    /// writes down the leftovers. Takes as long as their grace periods, some seconds.
    ///
    /// # Errors
    /// [`ResourceError::Unknown`] when the job has no step, process or reservation; [`ResourceError::Plan`]
    /// when all was done but the plan could not be written.
    pub async fn kill(&self, job_id: &str, reason: &str) -> ResourceResult<KillOutcome> {
        let condemned = job_id.to_owned();
        let reservations =
            self.address.call(DEADLINE, |reply| ResourceMessage::Condemn(condemned, reply)).await?;
        let jobs = self.cancel(job_id, reason).await?;
        let processes = self.groups().kill(job_id).await;
        if reservations.is_empty() && jobs.is_empty() && processes.is_empty() {
            return Err(ResourceError::Unknown(format!(
                "job `{job_id}`, nor any process or step of the job"
            )));
        }
        self.let_stop(&reservations).await;
        let ended = job_id.to_owned();
        self.address.call(DEADLINE, |reply| ResourceMessage::Kill(ended, reply)).await??;
        let jobs = self.as_they_stand(jobs);
        let plan = CleanupPlan::new(job_id, reason, &reservations, &processes, &jobs);
        let workdir = self.shared.jobs.settings.workdir.clone();
        let plan = cleanup::write(workdir, plan).await?;
        Ok(KillOutcome { reservations, processes, jobs, plan })
    }

    /// Cancels the job's rows; does nothing for a job that PAS does not run.
    async fn cancel(&self, job_id: &str, reason: &str) -> ResourceResult<Vec<CancelledJob>> {
        let Ok(id) = JobId::new(job_id) else { return Ok(Vec::new()) };
        match self.shared.jobs.cancel(&id, CancelCause::Asked(reason.to_owned())).await {
            // Another caller cancelled the job, and reports the cancelled jobs.
            Ok(cancelled) if cancelled.is_repeated => Ok(Vec::new()),
            Ok(cancelled) => Ok(cancelled.parts),
            Err(JobError::NotFound { .. } | JobError::Refused(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits a while until no attempt uses these any more.
    async fn let_stop(&self, reservations: &[Arc<Reservation>]) {
        let deadline = Instant::now() + STOP_GRACE;
        let is_used = || reservations.iter().any(|held| self.shared.live.has(&held.reservation_id));
        while is_used() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    /// The cancelled jobs in their current state: running ones may have stopped meanwhile.
    fn as_they_stand(&self, jobs: Vec<CancelledJob>) -> Vec<CancelledJob> {
        let refreshed = |part: CancelledJob| match self.shared.jobs.book.get(&part.job_id) {
            Ok(job) => CancelledJob { stopped_at: job.ended_at, how: job.stopped_how, ..part },
            Err(_) => part,
        };
        jobs.into_iter().map(refreshed).collect()
    }
}
