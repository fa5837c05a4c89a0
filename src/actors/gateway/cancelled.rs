//! Follows the job book, so that the calls of jobs that are stopped end, whoever stopped them.
//!
//! A person, a director, a kill by the resource manager: every cancellation is an event of the job book,
//! one for each job of the tree, and so are an attempt's deadline and a reassignment. Invariant: a call is either told by
//! [`follow`], or finds its job cancelled when it begins ([`is_cancelled`]). Failure policy: a store that
//! cannot be read is read again; calls go on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cancels::Cancels;
use crate::actors::jobs::JobBook;
use crate::domain::budget::Label;
use crate::domain::ids::JobId;
use crate::domain::job::{EventKind, JobEvent};

/// Job events looked at in one read.
const PAGE: usize = 256;
/// Pause after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// The number of the last event looked at; outlives the actor's incarnations.
pub(super) type Seen = Arc<AtomicU64>;

/// The newest event: those before it are of no call of this daemon. Where it cannot be read all are
/// looked at, which takes longer and does no harm.
pub(super) fn newest(book: &JobBook) -> u64 {
    book.newest_event().unwrap_or(0)
}

/// Whether a call's job is to end or has ended on request. Names that are no job of ours never are.
pub(super) fn is_cancelled(book: &JobBook, job: &Label) -> bool {
    let job = JobId::new(job.as_str()).ok().and_then(|id| book.get(&id).ok());
    job.is_some_and(|job| job.cancel.is_some())
}

/// Ends the calls of jobs as they are stopped, until the store closes.
pub(super) async fn follow(book: JobBook, cancels: Cancels, seen: Seen) {
    let mut commits = book.commits();
    loop {
        commits.mark_unchanged();
        match book.events_after(seen.load(Ordering::Acquire), PAGE) {
            Ok(page) if page.is_empty() => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Ok(page) => {
                for event in page {
                    end(&cancels, &event);
                    seen.store(event.seq, Ordering::Release);
                }
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cancelled jobs cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn end(cancels: &Cancels, event: &JobEvent) {
    let job = event.job_id.as_str();
    let ended = match event.event {
        EventKind::CancelRequested => cancels.cancel(job),
        // The attempt is stopped; jobs below it have deadlines and agents of their own.
        EventKind::HardTimeout | EventKind::Reassigned => cancels.cancel_own(job),
        _ => return,
    };
    if ended > 0 {
        tracing::info!(job, "calls of a job that was stopped are ended");
    }
}
