//! The store: one redb file, one writer thread with group commit, readers on snapshots.
//!
//! Owns the file, the schema version, the encodings of keys and values, and the moment at which a write
//! counts as done. Knows no business rows: a row is defined by the caller's [`StoreTable`].
//!
//! Invariants:
//! - An answer to [`Store::write`] leaves only after the commit returned, so the write survives `kill -9` and
//!   a power cut. Only [`Store::write_soft`] may lose its last second.
//! - An operation reads rows and returns the changes to apply; one that refuses, fails or panics
//!   has changed nothing, because only the writer applies changes.
//! - Operations take effect one after another, in the order in which they were queued.
//!
//! Failure policy: after any I/O error the callers of the batch get [`StoreError::Unknown`], the file is
//! reopened, and work goes on; while reopening fails, or the disk is full, writes are refused with
//! [`StoreError::Unavailable`], reads go on, and the store keeps trying to resume ([`StoreStatus`]). A
//! damaged file is never replaced by an empty one. A file that no longer lies in its place takes no writes
//! either ([`place`])

mod backend;
pub mod backup;
pub mod backup_folder;
pub mod codec;
mod error;
mod image;
pub mod key;
mod lock_methods;
pub mod metrics;
pub mod open;
mod operation;
mod overlay;
mod place;
mod recovery;
mod schema;
pub mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod view;
pub mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::RwLock;
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, oneshot, watch};

pub use backend::{FileHome, StorageHome};
pub use codec::CodecError;
pub use error::{OpenError, StoreError};
pub use key::StoreKey;
pub use metrics::StoreMetrics;
pub use recovery::StoreStatus;
pub use table::{StoreChanges, StoreTable};
pub use view::{KeyRange, ScanOrder, StoreView};

use image::{FrozenImage, StoreImages};
use metrics::StoreCounters;
use operation::{StoreCommand, StoreOperation, WriteOperation};

/// Most operations that may wait for the writer; later callers wait (asynchronously) for room. Sixteen full
/// batches: some tens of milliseconds of work on a slow disk.
pub const QUEUE_LIMIT: usize = 16 * writer::MAX_BATCH;

/// Shared by the writer thread and the handles.
struct StoreShared {
    home: Arc<dyn StorageHome>,
    /// `None` after a close, and while the file cannot even be read after an I/O error.
    database: RwLock<Option<Database>>,
    commits: watch::Sender<u64>,
    status: watch::Sender<StoreStatus>,
    counters: Arc<StoreCounters>,
    images: Arc<StoreImages>,
    places: Arc<Semaphore>,
}

/// A handle to an open store; clones share one writer and one file.
///
/// The file is closed by [`Store::close`], or soon after the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreShared>,
    queue: mpsc::Sender<StoreCommand>,
}

impl Store {
    /// Opens the store at `path`, creating file and directory if missing.
    ///
    /// Blocks for milliseconds, after a crash for as long as a walk of the file takes (about 2 s a gigabyte):
    /// call from a blocking thread.
    ///
    /// # Errors
    /// [`OpenError`] names the path and a remedy; nothing on disk was replaced.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_at(Arc::new(FileHome::new(path.as_ref())))
    }

    /// Opens the store in the given home, creating the file if missing.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_at(home: Arc<dyn StorageHome>) -> Result<Self, OpenError> {
        open::open(home)
    }

    /// Runs one operation and returns once it is durable.
    ///
    /// `decide` reads through the transaction under construction, so it sees the operations queued earlier,
    /// and returns changes and an answer; `Err` changes nothing. The closure runs on the writer thread: keep
    /// it short and never wait inside; a panic becomes [`StoreError::Panicked`].
    ///
    /// Waits for room while [`QUEUE_LIMIT`] operations are queued. Once queued, an operation runs even if the
    /// caller stops waiting. A caller without a runtime can use [`tokio::runtime::Handle::block_on`].
    ///
    /// # Errors
    /// The caller's own refusal, or a [`StoreError`]. After [`StoreError::Unknown`] decide again
    /// inside a write, by an idempotency key: the operation may have taken effect.
    pub async fn write<R, E>(
        &self,
        decide: impl FnOnce(&StoreView<'_>) -> Result<(StoreChanges, R), E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(decide, true).await
    }

    /// Like [`Store::write`], but returns once the change is readable, before it is durable.
    ///
    /// The change becomes durable with the next durable write, at the latest after [`writer::SETTLE_AFTER`]
    /// (1 s). For state that may lose its last second in a crash: heartbeats, context tracking.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_soft<R, E>(
        &self,
        decide: impl FnOnce(&StoreView<'_>) -> Result<(StoreChanges, R), E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(decide, false).await
    }

    /// Reads a consistent snapshot: everything committed before the call, nothing committed during the read.
    ///
    /// Reads come from redb's page cache or the kernel's, without waiting for the writer: a handful of
    /// rows take microseconds and may be read from async code; read whole tables on a blocking thread.
    ///
    /// # Errors
    /// The reader's own error, or a [`StoreError`].
    pub fn read<R, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&StoreView<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let transaction = self.begin_read()?;
        read(&StoreView::snapshot(&transaction).counted(&self.shared.counters))
    }

    /// The sequence number of the last commit; changes whenever there may be something new to read.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    /// Whether the store takes writes, and each change of that.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<StoreStatus> {
        self.shared.status.subscribe()
    }

    /// Waits until the store takes writes.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: the store never will again.
    pub async fn writable(&self) -> Result<(), StoreError> {
        let mut status = self.status();
        let decided = status.wait_for(|status| !matches!(status, StoreStatus::Refusing { .. })).await;
        match decided.as_deref() {
            Ok(StoreStatus::Writable) => Ok(()),
            _ => Err(StoreError::Closed),
        }
    }

    /// Waits until everything queued before this call has been decided or refused; a read after that sees the
    /// outcome.
    ///
    /// # Errors
    /// Writes are refused: a write that ended as [`StoreError::Unknown`] may still turn out either way, so
    /// read once more when the store is [`writable`](Store::writable).
    pub async fn settled(&self) -> Result<(), StoreError> {
        self.write(|_| Ok((StoreChanges::none(), ()))).await
    }

    /// Counters since the store was opened.
    #[must_use]
    pub fn metrics(&self) -> StoreMetrics {
        let waiting = QUEUE_LIMIT.saturating_sub(self.shared.places.available_permits());
        self.shared.counters.snapshot(*self.shared.commits.borrow(), waiting)
    }

    /// The file's path, for messages.
    #[must_use]
    pub fn label(&self) -> &str {
        self.shared.home.label()
    }

    /// Finishes the queued operations, makes soft state durable and closes the file.
    ///
    /// Later calls on any clone give [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the last commit failed; [`StoreError::Closed`] when closed already.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(StoreCommand::Close(reply)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// An image of the last commit, while writes go on; `aside` is an empty file for what they replace.
    fn freeze(&self, aside: File) -> Result<FrozenImage, StoreError> {
        let (reply, answer) = mpsc::channel();
        self.queue.send(StoreCommand::Freeze(aside, reply)).map_err(|_| StoreError::Closed)?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        match self.shared.database.read().as_ref() {
            Some(database) => database.begin_read().map_err(|error| StoreError::unreadable(&error)),
            None if self.shared.places.is_closed() => Err(StoreError::Closed),
            None => Err(StoreError::Unreadable { reason: "the file cannot be opened after a fault".into() }),
        }
    }

    async fn submit<R, E>(
        &self,
        decide: impl FnOnce(&StoreView<'_>) -> Result<(StoreChanges, R), E> + Send + 'static,
        durable: bool,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let places = Arc::clone(&self.shared.places);
        let place = places.acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (write, answer) = WriteOperation::new(decide, durable, place);
        let operation: Box<dyn StoreOperation> = Box::new(write);
        self.queue.send(StoreCommand::Operation(operation)).map_err(|_| StoreError::Closed)?;
        match answer.await {
            Ok(verdict) => verdict?,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}
