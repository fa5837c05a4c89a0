//! The writer thread: takes queued operations, decides them in one transaction, commits, answers.
//!
//! Group commit: while one commit waits for the disk the next batch gathers in the queue. A lone
//! caller's operation is committed at once; where several callers keep writing, the writer waits for
//! as many as it saw last, but never longer than [`GATHER_MAX`], nor through a [`GATHER_GAP`].
//!
//! One sync a commit: redb's one-phase commit, whose checksums tell a whole commit from a torn one
//! after a crash. Its two-phase commit with quick repair needs two syncs, so it is used once every
//! [`SETTLE_AFTER`] and on closing: that also makes soft writes durable, and a file that was settled
//! before the crash opens without a walk through all of it. What one gives up between two
//! settlings is the speed of the next start (about 2 ms a megabyte), never a row.
//!
//! Invariants: all answers of a batch leave after its commit returned; a batch is decided in the order
//! of the queue; nothing is decided between a fault and its recovery.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::{Durability, WriteTransaction};

use super::error::panic_message;
use super::operation::{Command, Operation};
use super::recovery::{Recovery, unavailable};
use super::{Shared, StoreError, StoreStatus, View};

/// Most operations in one commit. At some ten microseconds each a full batch adds about as much as
/// one sync of a fast disk; more would make the first caller wait for little gain.
pub const MAX_BATCH: usize = 256;

/// Longest wait for a batch to fill: half a sync of a slow disk.
pub const GATHER_MAX: Duration = Duration::from_millis(2);

/// Longest pause between two operations of one batch. Callers that were just answered come back
/// within this if they have more to write; who takes longer would hold up the others.
pub const GATHER_GAP: Duration = Duration::from_micros(250);

/// Age at which what is not settled gets settled: the most that soft state can lose.
pub const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// Starts the writer thread; it ends on a close, or when the last handle is gone.
pub(super) fn spawn(shared: Arc<Shared>, queue: Receiver<Command>) -> std::io::Result<()> {
    let writer = Writer {
        shared,
        queue,
        taken: VecDeque::new(),
        expected: 1,
        unsettled_since: None,
        recovery: Recovery::default(),
    };
    std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run()).map(drop)
}

/// How a batch becomes part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    /// Readable now, durable with a later commit.
    Soft,
    /// Durable by one sync.
    Durable,
    /// Durable by two, and quickly opened after a crash.
    Settling,
}

/// Why a batch was not committed.
enum Failure {
    /// Before the commit began: nothing took effect.
    Before(String),
    /// In the commit: it is not known.
    During(String),
}

enum Next {
    Command(Command),
    Timeout,
    Disconnected,
}

type Batch = Vec<Box<dyn Operation>>;

struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Command>,
    /// Taken from the queue, in its order, but not yet decided.
    taken: VecDeque<Command>,
    /// How many callers seem to be writing at the same time.
    expected: usize,
    /// Since when something has been committed that is soft, or slow to open after a crash.
    unsettled_since: Option<Instant>,
    recovery: Recovery,
}

impl Writer {
    fn run(mut self) {
        loop {
            match self.next(self.patience()) {
                Next::Command(Command::Operation(first)) => {
                    let batch = self.gather(first);
                    self.carry_out(batch);
                }
                Next::Command(Command::Close(reply)) => {
                    // Nobody needs to wait for the close to have it happen.
                    let _gone = reply.send(self.finish());
                    return;
                }
                Next::Timeout => self.keep_house(),
                Next::Disconnected => {
                    if let Err(error) = self.finish() {
                        tracing::error!(%error, "the store could not be settled when it was closed");
                    }
                    return;
                }
            }
        }
    }

    /// How long to wait for work before there is housekeeping; `None`: there is none.
    fn patience(&self) -> Option<Duration> {
        if self.recovery.is_pending() {
            return Some(self.shared.home.retry_after());
        }
        self.unsettled_since.map(|since| SETTLE_AFTER.saturating_sub(since.elapsed()))
    }

    fn next(&mut self, patience: Option<Duration>) -> Next {
        if let Some(command) = self.taken.pop_front() {
            return Next::Command(command);
        }
        let received = match patience {
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => self.queue.recv_timeout(patience),
        };
        match received {
            Ok(command) => Next::Command(command),
            Err(RecvTimeoutError::Timeout) => Next::Timeout,
            Err(RecvTimeoutError::Disconnected) => Next::Disconnected,
        }
    }

    /// Collects a batch: everything that waits, and what still comes of as many as are expected.
    fn gather(&mut self, first: Box<dyn Operation>) -> Batch {
        let mut batch = vec![first];
        let deadline = Instant::now() + GATHER_MAX;
        while batch.len() < MAX_BATCH {
            self.take_waiting();
            let patience = if batch.len() < self.expected {
                GATHER_GAP.min(deadline.saturating_duration_since(Instant::now()))
            } else {
                Duration::ZERO
            };
            match self.next(Some(patience)) {
                Next::Command(Command::Operation(operation)) => batch.push(operation),
                Next::Command(close) => {
                    self.taken.push_front(close);
                    break;
                }
                Next::Timeout | Next::Disconnected => break,
            }
        }
        batch
    }

    fn take_waiting(&mut self) {
        self.taken.extend(self.queue.try_iter());
    }

    /// Decides, commits and answers a batch.
    fn carry_out(&mut self, mut batch: Batch) {
        let verdict = match self.recovery.ready(&self.shared) {
            Ok(()) => self.commit(&mut batch),
            Err(unavailable) => Err(unavailable),
        };
        // Who was answered will come back, who waits is here already.
        self.take_waiting();
        self.expected = batch.len() + self.taken.len();
        for operation in batch {
            operation.answer(verdict.clone());
        }
    }

    fn commit(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let commit = self.kind_of(batch);
        match guarded(&self.shared, batch, commit) {
            Ok(changed) => {
                self.committed(batch.len(), commit, changed);
                Ok(())
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn kind_of(&self, batch: &Batch) -> Commit {
        if self.unsettled_since.is_some_and(|since| since.elapsed() >= SETTLE_AFTER) {
            Commit::Settling
        } else if batch.iter().any(|operation| operation.durable()) {
            Commit::Durable
        } else {
            Commit::Soft
        }
    }

    fn committed(&mut self, operations: usize, commit: Commit, changed: bool) {
        if commit == Commit::Settling {
            self.unsettled_since = None;
        } else if changed {
            self.unsettled_since.get_or_insert_with(Instant::now);
        }
        if changed {
            self.shared.counters.committed(operations, commit != Commit::Soft);
            self.shared.commits.send_modify(|sequence| *sequence += 1);
        }
    }

    fn failed(&mut self, failure: Failure) -> StoreError {
        let (Failure::Before(reason) | Failure::During(reason)) = &failure;
        self.recovery.fault(&self.shared, reason);
        self.unsettled_since = None;
        match failure {
            Failure::Before(reason) => unavailable(&self.shared, &reason),
            Failure::During(reason) => {
                StoreError::Unknown { store: self.shared.home.label().to_owned(), reason }
            }
        }
    }

    /// What is to do when nothing was queued for a while.
    fn keep_house(&mut self) {
        if self.recovery.ready(&self.shared).is_ok() && self.unsettled_since.is_some() {
            // A failure is logged by the recovery, and has no caller to be told to.
            let _logged = self.settle();
        }
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        match guarded(&self.shared, &mut Vec::new(), Commit::Settling) {
            Ok(_) => {
                self.unsettled_since = None;
                Ok(())
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Settles and closes; what is still queued is dropped, which tells its callers.
    fn finish(&mut self) -> Result<(), StoreError> {
        let settled = if self.unsettled_since.is_some() { self.settle() } else { Ok(()) };
        self.shared.places.close();
        self.shared.status.send_replace(StoreStatus::Closed);
        let database = self.shared.database.write().take();
        let closed = match database {
            Some(database) => database.close().map_err(|error| StoreError::unreadable(&error)),
            None => Ok(()),
        };
        settled.and(closed)
    }
}

/// As [`transact`]; a panic is a failure like any other. redb may panic over a file that was damaged
/// from outside, and without this thread nobody would ever write again.
fn guarded(shared: &Shared, batch: &mut Batch, commit: Commit) -> Result<bool, Failure> {
    catch_unwind(AssertUnwindSafe(|| transact(shared, batch, commit)))
        .unwrap_or_else(|payload| Err(Failure::During(panic_message(&*payload))))
}

/// Decides a batch in one transaction and commits it; returns whether it changed anything.
fn transact(shared: &Shared, batch: &mut Batch, commit: Commit) -> Result<bool, Failure> {
    let before = |error: &dyn std::error::Error| Failure::Before(error.to_string());
    let transaction = begin(shared, commit)?;
    let mut changed = false;
    for operation in batch {
        let changes = operation.decide(&View::batch(&transaction));
        changed |= !changes.is_empty();
        changes.apply(&transaction).map_err(|error| before(&error))?;
    }
    if changed || commit == Commit::Settling {
        transaction.commit().map_err(|error| Failure::During(error.to_string()))?;
    } else {
        transaction.abort().map_err(|error| before(&error))?;
    }
    Ok(changed)
}

fn begin(shared: &Shared, commit: Commit) -> Result<WriteTransaction, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Before(error.to_string());
    let database = shared.database.read();
    let database = database.as_ref().ok_or_else(|| Failure::Before("the file is not open".to_owned()))?;
    let mut transaction = database.begin_write().map_err(|error| failed(&error))?;
    let durability = if commit == Commit::Soft { Durability::None } else { Durability::Immediate };
    transaction.set_durability(durability).map_err(|error| failed(&error))?;
    transaction.set_quick_repair(commit == Commit::Settling);
    Ok(transaction)
}
