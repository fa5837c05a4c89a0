//! The public read side of the job book: events in one order, the jobs of a run, the runs of a span of time,
//! the ledger. The tables themselves are private to the book.
//!
//! Functions over a [`StoreView`] are for callers with a write of their own that must read the jobs inside
//! that write.

use super::book::{JobBook, JobError, MAX_ROWS};
use super::draft::draft_job;
use super::listing::walk;
use super::tables::{CLOSED, COUNTERS, EVENT_ORDER, EVENTS, JOBS, LEDGER, ROOTS, UNCLOSED_RUNS};
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{Job, JobEvent};
use crate::domain::json::JsonValue;
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreError, StoreView};

/// The counter of the last event that the event stream has relayed.
const RELAYED: &str = "event_stream_jobs";

/// A line of the experiment ledger: a run with inputs and result.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LedgerEntry {
    pub run_id: RunId,
    pub task: String,
    pub state: String,
    /// Time of acceptance.
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub jobs: u32,
    /// BLAKE3 over the deterministic artifacts: equal for equal work.
    pub content_hash: String,
    /// Cost in USD, exact, as decimal text.
    pub cost_usd: String,
    /// Path of the manifest, relative to the working directory.
    pub manifest: String,
    pub inputs: JsonValue,
}

/// A line's position in the ledger: the end of the run in milliseconds, and the run.
pub type LedgerPlace = (i64, RunId);

/// All jobs of a run, the root first; none if there is no such run.
///
/// # Errors
/// The store's.
pub fn run_jobs(view: &StoreView<'_>, run: &RunId) -> Result<Vec<Job>, StoreError> {
    let root = JobId::root(run);
    let mut jobs: Vec<Job> = view.get(&JOBS, &root)?.into_iter().collect();
    let below =
        view.range(&JOBS, &KeyRange::beginning(&format!("{root}.")), ScanOrder::Ascending, MAX_ROWS)?;
    jobs.extend(below.into_iter().map(|(_, job)| job));
    Ok(jobs)
}

/// When a run was closed, in milliseconds; `None` while open.
///
/// # Errors
/// The store's.
pub fn closed_at(view: &StoreView<'_>, run: &RunId) -> Result<Option<i64>, StoreError> {
    view.get(&CLOSED, run)
}

/// The job of this id, if any.
///
/// # Errors
/// The store's.
pub fn job(view: &StoreView<'_>, id: &JobId) -> Result<Option<Job>, StoreError> {
    view.get(&JOBS, id)
}

impl JobBook {
    /// A signal for every commit of any kind: readers that wait for news read again.
    #[must_use]
    pub fn commits(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store().commits()
    }

    /// Events of all runs after `seq`, in their order.
    ///
    /// # Errors
    /// The store's.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<JobEvent>, StoreError> {
        self.store().read(|view| {
            let rows = view.range(&EVENT_ORDER, &KeyRange::all().after(&seq), ScanOrder::Ascending, limit)?;
            let mut events = Vec::with_capacity(rows.len());
            for (seq, run) in rows {
                events.extend(view.get(&EVENTS, &(run, seq))?);
            }
            Ok(events)
        })
    }

    /// The number of the newest event; 0 before the first.
    ///
    /// # Errors
    /// The store's.
    pub fn newest_event(&self) -> Result<u64, StoreError> {
        self.store().read(|view| Ok(view.last(&EVENT_ORDER, &KeyRange::all())?.map_or(0, |(seq, _)| seq)))
    }

    /// The number of the last relayed event, as last noted.
    ///
    /// # Errors
    /// The store's.
    pub fn relayed(&self) -> Result<u64, StoreError> {
        self.store().read(|view| Ok(view.get(&COUNTERS, &RELAYED.to_owned())?.unwrap_or(0)))
    }

    /// Notes that the events up to `seq` were relayed. Soft: a crash may lose the last second's note.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_relayed(&self, seq: u64) -> Result<(), StoreError> {
        let note =
            move |_: &StoreView<'_>| Ok((StoreChanges::none().put(&COUNTERS, &RELAYED.to_owned(), &seq), ()));
        self.store().write_soft::<_, StoreError>(note).await
    }

    /// Root jobs accepted from `since` until before `until`, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn roots_between(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, JobError> {
        self.store().read(|view| {
            let none = |at: Timestamp| JobId::new("0").map(|id| (at.as_millis(), id));
            let (Ok(from), Ok(to)) = (none(since), none(until)) else { return Ok(Vec::new()) };
            let rows = view.range(&ROOTS, &KeyRange::of(from..to), ScanOrder::Descending, limit)?;
            rows.into_iter().map(|((_, id), ())| draft_job(view, &id)).collect()
        })
    }

    /// Whether a run has a manifest and a ledger line.
    ///
    /// # Errors
    /// The store's.
    pub fn is_closed(&self, run: &RunId) -> Result<bool, StoreError> {
        self.store().read(|view| Ok(closed_at(view, run)?.is_some()))
    }

    /// The root jobs of runs that have ended and are not closed.
    pub(super) fn to_close(&self) -> Result<Vec<Job>, JobError> {
        self.store().read(|view| {
            let mut ended = Vec::new();
            walk(view, &UNCLOSED_RUNS, KeyRange::all(), ScanOrder::Ascending, |run, ()| {
                let root = draft_job(view, &JobId::root(run))?;
                ended.extend(Some(root).filter(|root| root.state.is_terminal()));
                Ok(())
            })?;
            Ok(ended)
        })
    }

    /// At most `limit` ledger lines that follow `after`, the newest end first, and the number of all lines.
    ///
    /// # Errors
    /// The store's.
    pub fn ledger(
        &self,
        after: Option<&LedgerPlace>,
        limit: usize,
    ) -> Result<(Vec<(LedgerPlace, LedgerEntry)>, usize), StoreError> {
        self.store().read(|view| {
            let span = after.map_or_else(KeyRange::all, |place| KeyRange::all().before(place));
            let rows = view.range(&LEDGER, &span, ScanOrder::Descending, limit)?;
            Ok((rows, usize::try_from(view.count(&LEDGER)?).unwrap_or(usize::MAX)))
        })
    }

    /// Writes a run's ledger line, which also marks the run as closed.
    pub(super) async fn enter(&self, entry: LedgerEntry) -> Result<(), StoreError> {
        let write = move |_: &StoreView<'_>| {
            let (at, run) = (entry.ended_at.as_millis(), entry.run_id.clone());
            let changes =
                StoreChanges::none().put(&LEDGER, &(at, run.clone()), &entry).put(&CLOSED, &run, &at);
            Ok((changes.delete(&UNCLOSED_RUNS, &run), ()))
        };
        self.store().write::<_, StoreError>(write).await
    }
}
