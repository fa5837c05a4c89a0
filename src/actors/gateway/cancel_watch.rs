//! Follows the job book and ends the model calls of stopped jobs, whatever stopped them.
//!
//! A person, a director, a kill by the resource manager: every cancellation is an event of the job book, one
//! for each job of the tree, and so are an attempt's deadline and a reassignment. Invariant: a call is either
//! cancelled by [`follow`], or finds its job cancelled when the call begins ([`is_cancelled`]). Failure
//! policy: a store that cannot be read is read again; calls go on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::in_flight::InFlightCalls;
use crate::actors::jobs::JobBook;
use crate::domain::accounts::budget::ScopeLabel;
use crate::domain::ids::JobId;
use crate::domain::job::{JobEvent, JobEventKind};

/// Job events read at once.
const PAGE: usize = 256;
/// Pause after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// The number of the last event processed; outlives the actor's incarnations.
pub(super) type LastSeenEvent = Arc<AtomicU64>;

/// The newest event: earlier ones concern no call of this daemon. When it cannot be read all events are
/// processed, which takes longer and does no harm.
pub(super) fn newest(book: &JobBook) -> u64 {
    book.newest_event().unwrap_or(0)
}

/// Whether a call's job is being or has been cancelled. A name that is no job of this swarm never is.
pub(super) fn is_cancelled(book: &JobBook, job: &ScopeLabel) -> bool {
    let job = JobId::new(job.as_str()).ok().and_then(|id| book.get(&id).ok());
    job.is_some_and(|job| job.cancel.is_some())
}

/// Ends the calls of jobs as they are stopped, until the store closes.
pub(super) async fn follow(book: JobBook, cancels: InFlightCalls, seen: LastSeenEvent) {
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

fn end(cancels: &InFlightCalls, event: &JobEvent) {
    let job = event.job_id.as_str();
    let ended = match event.event {
        JobEventKind::CancelRequested => cancels.cancel(job),
        // Only this attempt is stopped; jobs below have deadlines and agents of their own.
        JobEventKind::HardTimeout | JobEventKind::Reassigned => cancels.cancel_own(job),
        _ => return,
    };
    if ended > 0 {
        tracing::info!(job, "ended the model calls of a stopped job");
    }
}
