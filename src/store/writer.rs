//! The writer thread: takes queued operations, decides them in one transaction, commits, answers.
//!
//! Group commit: while one commit waits for the disk, the next batch gathers in the queue. A lone caller's
//! operation is committed at once; while several callers keep writing, the writer waits for as many
//! operations as last time, at most [`GATHER_MAX`] and only until a [`GATHER_GAP`].
//!
//! One sync a commit: redb's one-phase commit, whose checksums distinguish a whole commit from a torn one
//! after a crash. redb's two-phase commit with quick repair needs two syncs, so it runs only once every
//! [`SETTLE_AFTER`] and on closing: it also makes soft writes durable, and a file settled before the crash
//! opens without a full walk. The cost between two settlings is a slower next start (about 2 ms a megabyte),
//! never a row.
//!
//! Invariants: all answers of a batch leave after the commit returned; a batch is decided in queue order;
//! nothing is decided between a fault and its recovery.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::{Durability, WriteTransaction};

use super::error::panic_message;
use super::image::FrozenImage;
use super::operation::{StoreCommand, StoreOperation};
use super::recovery::{StoreRecovery, unavailable};
use super::{StoreError, StoreShared, StoreStatus, StoreView};

/// Most operations in one commit. At some ten microseconds each a full batch adds about as much as
/// one sync of a fast disk; more would make the first caller wait for little gain.
pub const MAX_BATCH: usize = 256;

/// Longest wait for a batch to fill: half a sync of a slow disk.
pub const GATHER_MAX: Duration = Duration::from_millis(2);

/// Longest pause between two operations of one batch. Callers that were just answered return within this time
/// if they have more to write; slower ones would delay the others.
pub const GATHER_GAP: Duration = Duration::from_micros(250);

/// Age at which unsettled commits are settled: the most that soft state can lose.
pub const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// Starts the writer thread, which ends on a close or when the last handle is gone.
pub(super) fn spawn(shared: Arc<StoreShared>, queue: Receiver<StoreCommand>) -> std::io::Result<()> {
    let writer = StoreWriter {
        shared,
        queue,
        taken: VecDeque::new(),
        expected: 1,
        unsettled_since: None,
        recovery: StoreRecovery::default(),
    };
    std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run()).map(drop)
}

/// How a batch is committed to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitKind {
    /// Readable now, durable with a later commit.
    Soft,
    /// Durable by one sync.
    Durable,
    /// Durable by two syncs, and quick to open after a crash.
    Settling,
}

/// Why a batch was not committed.
enum CommitFailure {
    /// Before the commit began: nothing took effect.
    Before(String),
    /// During the commit: the effect is unknown.
    During(String),
}

/// Time between two looks whether the file is in its place, while nobody writes; each is one system call.
const LOOK: Duration = Duration::from_millis(500);

enum NextCommand {
    Command(StoreCommand),
    Timeout,
    Disconnected,
}

type WriteBatch = Vec<Box<dyn StoreOperation>>;

struct StoreWriter {
    shared: Arc<StoreShared>,
    queue: Receiver<StoreCommand>,
    /// Taken from the queue, in order, but not yet decided.
    taken: VecDeque<StoreCommand>,
    /// Estimated number of callers writing at the same time.
    expected: usize,
    /// Time of the first commit that is still soft, or slow to open after a crash.
    unsettled_since: Option<Instant>,
    recovery: StoreRecovery,
}

impl StoreWriter {
    fn run(mut self) {
        loop {
            match self.next(self.patience()) {
                NextCommand::Command(StoreCommand::Operation(first)) => {
                    let batch = self.gather(first);
                    self.process_batch(batch);
                }
                NextCommand::Command(StoreCommand::Close(reply)) => {
                    // The close happens whether or not anyone waits.
                    let _gone = reply.send(self.finish());
                    return;
                }
                NextCommand::Command(StoreCommand::Freeze(aside, reply)) => {
                    // The caller may have given up.
                    let _gone = reply.send(self.freeze(aside));
                }
                NextCommand::Timeout => self.keep_house(),
                NextCommand::Disconnected => {
                    if let Err(error) = self.finish() {
                        tracing::error!(%error, "the store could not be settled when it was closed");
                    }
                    return;
                }
            }
        }
    }

    /// How long to wait for work before housekeeping is due.
    fn patience(&self) -> Duration {
        if self.recovery.is_pending() {
            return self.shared.home.retry_after().min(LOOK);
        }
        let unsettled = self.unsettled_since.map(|since| SETTLE_AFTER.saturating_sub(since.elapsed()));
        unsettled.map_or(LOOK, |left| left.min(LOOK))
    }

    fn next(&mut self, patience: Duration) -> NextCommand {
        if let Some(command) = self.taken.pop_front() {
            return NextCommand::Command(command);
        }
        match self.queue.recv_timeout(patience) {
            Ok(command) => NextCommand::Command(command),
            Err(RecvTimeoutError::Timeout) => NextCommand::Timeout,
            Err(RecvTimeoutError::Disconnected) => NextCommand::Disconnected,
        }
    }

    /// Collects a batch: all waiting operations, and those still arriving, up to the expected number.
    fn gather(&mut self, first: Box<dyn StoreOperation>) -> WriteBatch {
        let mut batch = vec![first];
        let deadline = Instant::now() + GATHER_MAX;
        while batch.len() < MAX_BATCH {
            self.take_waiting();
            let patience = if batch.len() < self.expected {
                GATHER_GAP.min(deadline.saturating_duration_since(Instant::now()))
            } else {
                Duration::ZERO
            };
            match self.next(patience) {
                NextCommand::Command(StoreCommand::Operation(operation)) => batch.push(operation),
                NextCommand::Command(other) => {
                    self.taken.push_front(other);
                    break;
                }
                NextCommand::Timeout | NextCommand::Disconnected => break,
            }
        }
        batch
    }

    fn take_waiting(&mut self) {
        self.taken.extend(self.queue.try_iter());
    }

    /// Decides, commits and answers a batch.
    fn process_batch(&mut self, mut batch: WriteBatch) {
        let verdict = match self.recovery.ready(&self.shared) {
            Ok(()) => self.commit(&mut batch),
            Err(unavailable) => Err(unavailable),
        };
        // Answered callers will return, waiting ones are here already.
        self.take_waiting();
        self.expected = batch.len() + self.taken.len();
        for operation in batch {
            operation.answer(verdict.clone());
        }
    }

    fn commit(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let commit = self.kind_of(batch);
        match guarded(&self.shared, batch, commit) {
            Ok(changed) => {
                self.committed(batch.len(), commit, changed);
                // Moved away meanwhile, the file may have taken this batch with it.
                self.recovery.look(&self.shared).map_err(|displaced| StoreError::Unknown {
                    store: self.shared.home.label().to_owned(),
                    reason: displaced.to_string(),
                })
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn kind_of(&self, batch: &WriteBatch) -> CommitKind {
        if self.unsettled_since.is_some_and(|since| since.elapsed() >= SETTLE_AFTER) {
            CommitKind::Settling
        } else if batch.iter().any(|operation| operation.durable()) {
            CommitKind::Durable
        } else {
            CommitKind::Soft
        }
    }

    fn committed(&mut self, operations: usize, commit: CommitKind, changed: bool) {
        if commit == CommitKind::Settling {
            self.unsettled_since = None;
        } else if changed {
            self.unsettled_since.get_or_insert_with(Instant::now);
        }
        if changed {
            self.shared.counters.committed(operations, commit != CommitKind::Soft);
            self.shared.commits.send_modify(|sequence| *sequence += 1);
        }
    }

    fn failed(&mut self, failure: CommitFailure) -> StoreError {
        let (CommitFailure::Before(reason) | CommitFailure::During(reason)) = &failure;
        self.recovery.fault(&self.shared, reason);
        self.unsettled_since = None;
        match failure {
            CommitFailure::Before(reason) => unavailable(&self.shared, &reason),
            CommitFailure::During(reason) => {
                StoreError::Unknown { store: self.shared.home.label().to_owned(), reason }
            }
        }
    }

    /// Housekeeping after a while without queued work.
    fn keep_house(&mut self) {
        let is_due = self.unsettled_since.is_some_and(|since| since.elapsed() >= SETTLE_AFTER);
        if self.recovery.ready(&self.shared).is_ok() && is_due {
            // The recovery logs a failure; there is no caller to answer.
            let _logged = self.settle();
        }
    }

    /// Takes an image of the last commit, settled where the store takes writes.
    fn freeze(&mut self, aside: File) -> Result<FrozenImage, StoreError> {
        if !self.recovery.is_pending() {
            // A failure is a fault like any other: logged, and recovered from by now or later.
            let _logged = self.settle();
        }
        let bytes = self.shared.home.reader().map_err(|error| StoreError::unreadable(&error))?;
        self.shared.images.take(bytes, aside).map_err(|error| StoreError::unreadable(&error))
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        match guarded(&self.shared, &mut Vec::new(), CommitKind::Settling) {
            Ok(_) => {
                self.unsettled_since = None;
                Ok(())
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Settles and closes; dropping the queued operations answers their callers.
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

/// As [`transact`], with a panic as a failure like any other. redb may panic over a file damaged from
/// outside, and without this thread nobody would ever write again.
fn guarded(shared: &StoreShared, batch: &mut WriteBatch, commit: CommitKind) -> Result<bool, CommitFailure> {
    catch_unwind(AssertUnwindSafe(|| transact(shared, batch, commit)))
        .unwrap_or_else(|payload| Err(CommitFailure::During(panic_message(&*payload))))
}

/// Decides and commits a batch in one transaction; returns whether anything changed.
fn transact(shared: &StoreShared, batch: &mut WriteBatch, commit: CommitKind) -> Result<bool, CommitFailure> {
    let before = |error: &dyn std::error::Error| CommitFailure::Before(error.to_string());
    let transaction = begin(shared, commit)?;
    let mut changed = false;
    for operation in batch {
        let changes = operation.decide(&StoreView::batch(&transaction).counted(&shared.counters));
        changed |= !changes.is_empty();
        changes.apply(&transaction).map_err(|error| before(&error))?;
    }
    if changed || commit == CommitKind::Settling {
        transaction.commit().map_err(|error| CommitFailure::During(error.to_string()))?;
    } else {
        transaction.abort().map_err(|error| before(&error))?;
    }
    Ok(changed)
}

fn begin(shared: &StoreShared, commit: CommitKind) -> Result<WriteTransaction, CommitFailure> {
    let failed = |error: &dyn std::error::Error| CommitFailure::Before(error.to_string());
    let database = shared.database.read();
    let database =
        database.as_ref().ok_or_else(|| CommitFailure::Before("the file is not open".to_owned()))?;
    let mut transaction = database.begin_write().map_err(|error| failed(&error))?;
    let durability = if commit == CommitKind::Soft { Durability::None } else { Durability::Immediate };
    transaction.set_durability(durability).map_err(|error| failed(&error))?;
    transaction.set_quick_repair(commit == CommitKind::Settling);
    Ok(transaction)
}
