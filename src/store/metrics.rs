//! Counters of the store, for the benches and `/metrics`.
//!
//! Invariant: reading never waits for the writer; each counter is exact, several read together may be one
//! commit apart.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counters since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreMetrics {
    /// Sequence number of the last commit, durable or soft, as [`super::Store::commits`] publishes it.
    pub commit_sequence: u64,
    /// Durable commits of batches (a settling commit without operations is not one).
    pub durable_commits: u64,
    /// Commits of batches with soft writes only.
    pub soft_commits: u64,
    /// Operations in durable commits.
    pub durable_operations: u64,
    /// Operations in soft commits.
    pub soft_operations: u64,
    /// Size of the largest batch so far.
    pub largest_batch: u64,
    /// Syncs of the file, for any reason.
    pub syncs: u64,
    /// Time spent in those syncs.
    pub sync_time: Duration,
    /// Reopenings of the file after a fault.
    pub reopened: u64,
    /// Reads of rows that failed: the file could not be read, or what was read is no row.
    pub failed_reads: u64,
    /// Operations queued or in progress.
    pub waiting: usize,
}

/// The live counters behind [`StoreMetrics`].
#[derive(Debug, Default)]
pub(super) struct StoreCounters {
    durable_commits: AtomicU64,
    soft_commits: AtomicU64,
    durable_operations: AtomicU64,
    soft_operations: AtomicU64,
    largest_batch: AtomicU64,
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
    reopened: AtomicU64,
    failed_reads: AtomicU64,
    /// A sync has failed, and the file has not been rewritten since.
    sync_failed: AtomicBool,
}

impl StoreCounters {
    pub(super) fn committed(&self, operations: usize, durable: bool) {
        let operations = operations as u64;
        let (commits, sum) = if durable {
            (&self.durable_commits, &self.durable_operations)
        } else {
            (&self.soft_commits, &self.soft_operations)
        };
        commits.fetch_add(1, Relaxed);
        sum.fetch_add(operations, Relaxed);
        self.largest_batch.fetch_max(operations, Relaxed);
    }

    pub(super) fn synced(&self, took: Duration, succeeded: bool) {
        if !succeeded {
            self.sync_failed.store(true, Relaxed);
        }
        self.syncs.fetch_add(1, Relaxed);
        self.sync_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn sync_has_failed(&self) -> bool {
        self.sync_failed.load(Relaxed)
    }

    pub(super) fn rewritten(&self) {
        self.sync_failed.store(false, Relaxed);
    }

    pub(super) fn reopened(&self) {
        self.reopened.fetch_add(1, Relaxed);
    }

    pub(super) fn read_failed(&self) {
        self.failed_reads.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self, commit_sequence: u64, waiting: usize) -> StoreMetrics {
        StoreMetrics {
            commit_sequence,
            durable_commits: self.durable_commits.load(Relaxed),
            soft_commits: self.soft_commits.load(Relaxed),
            durable_operations: self.durable_operations.load(Relaxed),
            soft_operations: self.soft_operations.load(Relaxed),
            largest_batch: self.largest_batch.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_time: Duration::from_nanos(self.sync_nanos.load(Relaxed)),
            reopened: self.reopened.load(Relaxed),
            failed_reads: self.failed_reads.load(Relaxed),
            waiting,
        }
    }
}
