//! The end of a job by force: its place in the book, its processes, its reservations; and what is left.
//!
//! The order matters: first what the job holds is marked, so that whatever ends it counts as killed; then
//! the job is cancelled, so that nobody begins it anew; then its processes are ended; only then is what
//! they used given to others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cleanup::{self, Plan};
use super::process_groups::EndedGroup;
use super::{Answer, DEADLINE, Message, ResourceError, ResourceHandle};
use crate::actors::jobs::{Cancelled, JobError};
use crate::domain::ids::JobId;
use crate::domain::job::CancelCause;
use crate::domain::resources::Reservation;

/// How long steps at work may take to come by a checkpoint before what they hold is taken from them: a
/// document's time.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Between two looks whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// What a kill did.
#[derive(Debug)]
pub struct Killed {
    /// What was held and went back.
    pub reservations: Vec<Arc<Reservation>>,
    /// The process groups ended.
    pub processes: Vec<EndedGroup>,
    /// The jobs cancelled: itself and those below it that had not ended.
    pub jobs: Vec<Cancelled>,
    /// The clean-up plan, relative to the working directory.
    pub plan: String,
}

impl ResourceHandle {
    /// Ends a job and all below it: cancels what PAS runs of it, ends its process groups, takes back what it
    /// holds, and writes down what is left to clean. Takes up to the graces of its parts, some seconds.
    ///
    /// # Errors
    /// [`ResourceError::Unknown`] when nothing of that job runs or holds anything; [`ResourceError::Plan`] when
    /// all was done but the plan could not be written.
    pub async fn kill(&self, job_id: &str, reason: &str) -> Answer<Killed> {
        let condemned = job_id.to_owned();
        let reservations = self.address.call(DEADLINE, |reply| Message::Condemn(condemned, reply)).await?;
        let jobs = self.cancel(job_id, reason).await?;
        let processes = self.groups().kill(job_id).await;
        if reservations.is_empty() && jobs.is_empty() && processes.is_empty() {
            return Err(ResourceError::Unknown(format!(
                "no process, step or client works for job `{job_id}`, which"
            )));
        }
        self.let_stop(&reservations).await;
        let ended = job_id.to_owned();
        self.address.call(DEADLINE, |reply| Message::Kill(ended, reply)).await??;
        let jobs = self.as_they_stand(jobs);
        let plan = Plan::new(job_id, reason, &reservations, &processes, &jobs);
        let workdir = self.shared.jobs.settings.workdir.clone();
        let plan = cleanup::write(workdir, plan).await?;
        Ok(Killed { reservations, processes, jobs, plan })
    }

    /// Cancels what PAS runs of a job; nothing, where it runs none of it.
    async fn cancel(&self, job_id: &str, reason: &str) -> Answer<Vec<Cancelled>> {
        let Ok(id) = JobId::new(job_id) else { return Ok(Vec::new()) };
        match self.shared.jobs.cancel(&id, CancelCause::Asked(reason.to_owned())).await {
            // Somebody else cancelled it: what it still holds is not ours to count.
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

    /// The parts of a cancellation as their rows say now: those at work may have stopped meanwhile.
    fn as_they_stand(&self, jobs: Vec<Cancelled>) -> Vec<Cancelled> {
        let refreshed = |part: Cancelled| match self.shared.jobs.book.get(&part.job_id) {
            Ok(job) => Cancelled { stopped_at: job.ended_at, how: job.stopped_how, ..part },
            Err(_) => part,
        };
        jobs.into_iter().map(refreshed).collect()
    }
}
