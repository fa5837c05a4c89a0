//! The store: one redb file, one writer thread with group commit, readers on snapshots.
//!
//! Owns the file, its schema version, its key and value encodings and the moment at which a write
//! counts as done. Knows no business rows: a row is whatever the caller's [`Table`] says it is.
//!
//! Invariants:
//! - An answer to [`Store::write`] leaves only after its commit returned, so it survives `kill -9`
//!   and a power cut. [`Store::write_soft`] alone may lose its last second.
//! - An operation is a decision from what it reads to the changes it wants; one that refuses, fails or
//!   panics has changed nothing, because only the writer carries changes out.
//! - Operations take effect one after another, in the order in which they were queued.
//!
//! Failure policy: after any I/O error the batch is [`StoreError::Unknown`] to its callers, the file is
//! opened anew, and work goes on; while that fails, or the disk is full, writes are refused with
//! [`StoreError::Unavailable`], reads go on, and the store tries by itself to get back to work
//! ([`StoreStatus`]). A damaged file is never replaced by an empty one.

mod backend;
pub mod backup;
pub mod backup_folder;
pub mod codec;
mod error;
pub mod key;
pub mod metrics;
pub mod open;
mod operation;
mod overlay;
mod recovery;
mod schema;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod view;
pub mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::RwLock;
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, oneshot, watch};

pub use backend::{FileHome, StorageHome};
pub use codec::CodecError;
pub use error::{OpenError, StoreError};
pub use key::Key;
pub use metrics::StoreMetrics;
pub use recovery::StoreStatus;
pub use table::{Changes, Table};
pub use view::{Order, Span, View};

use metrics::Counters;
use operation::{Command, Operation, Write};

/// Most operations that may wait for the writer; later callers wait (asynchronously) for a place.
/// Sixteen full batches: some tens of milliseconds of work on a slow disk.
pub const QUEUE_LIMIT: usize = 16 * writer::MAX_BATCH;

/// What the writer thread and the handles share.
struct Shared {
    home: Arc<dyn StorageHome>,
    /// `None` after a close, and while the file cannot even be read after an I/O error.
    database: RwLock<Option<Database>>,
    commits: watch::Sender<u64>,
    status: watch::Sender<StoreStatus>,
    counters: Arc<Counters>,
    places: Arc<Semaphore>,
}

/// A handle to an open store; clones share one writer and one file.
///
/// The file is closed by [`Store::close`], or soon after the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Command>,
}

impl Store {
    /// Opens the store at `path`, creating it (and its directory) when there is none.
    ///
    /// Blocks for milliseconds, after a crash for as long as a walk of the file takes (about 2 s a
    /// gigabyte): call it from a blocking thread.
    ///
    /// # Errors
    /// [`OpenError`] names the path and says what to do; nothing on disk was replaced.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_at(Arc::new(FileHome::new(path.as_ref())))
    }

    /// Opens the store in a home of the caller's, creating its file when there is none.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_at(home: Arc<dyn StorageHome>) -> Result<Self, OpenError> {
        open::open(home)
    }

    /// Carries out one operation and returns once it is durable.
    ///
    /// `decide` reads through the transaction that is being built, so it sees the operations queued
    /// before it, and returns the changes it wants and an answer; with `Err` nothing changes. It runs
    /// on the writer thread: keep it short, let it wait for nothing, and expect that a panic in it
    /// becomes [`StoreError::Panicked`].
    ///
    /// Waits for a place while [`QUEUE_LIMIT`] operations are queued. Once queued, an operation is
    /// carried out even if the caller stops waiting. A caller without a runtime can use
    /// [`tokio::runtime::Handle::block_on`].
    ///
    /// # Errors
    /// The caller's own refusal, or a [`StoreError`]. After [`StoreError::Unknown`] decide again
    /// inside a write, by an idempotency key: the operation may have taken effect.
    pub async fn write<R, E>(
        &self,
        decide: impl FnOnce(&View<'_>) -> Result<(Changes, R), E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(decide, true).await
    }

    /// Like [`Store::write`], but returns once the change can be read, before it is durable.
    ///
    /// It becomes durable with the next durable write, at the latest after [`writer::SETTLE_AFTER`]
    /// (1 s). For state that may lose its last second in a crash: heartbeats, context tracking.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_soft<R, E>(
        &self,
        decide: impl FnOnce(&View<'_>) -> Result<(Changes, R), E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(decide, false).await
    }

    /// Reads a consistent snapshot: everything committed before the call, nothing committed during it.
    ///
    /// Reads come from redb's page cache or the kernel's, without waiting for the writer: a handful of
    /// rows take microseconds and may be read from async code; read whole tables on a blocking thread.
    ///
    /// # Errors
    /// The reader's own error, or a [`StoreError`].
    pub fn read<R, E: From<StoreError>>(&self, read: impl FnOnce(&View<'_>) -> Result<R, E>) -> Result<R, E> {
        let transaction = self.begin_read()?;
        read(&View::snapshot(&transaction))
    }

    /// The sequence number of the last commit; changes whenever there may be something new to read.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    /// Whether writes are taken, and its changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<StoreStatus> {
        self.shared.status.subscribe()
    }

    /// Waits until writes are taken.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: that will not be any more.
    pub async fn writable(&self) -> Result<(), StoreError> {
        let mut status = self.status();
        let decided = status.wait_for(|status| !matches!(status, StoreStatus::Refusing { .. })).await;
        match decided.as_deref() {
            Ok(StoreStatus::Writable) => Ok(()),
            _ => Err(StoreError::Closed),
        }
    }

    /// Waits until everything queued before this call has been decided or refused, so that a read sees it.
    ///
    /// # Errors
    /// That writes are refused: then a write that ended as [`StoreError::Unknown`] may still turn out either
    /// way, so read once more when the store is [`writable`](Store::writable).
    pub async fn settled(&self) -> Result<(), StoreError> {
        self.write(|_| Ok((Changes::none(), ()))).await
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

    /// Finishes what is queued, makes soft state durable and closes the file.
    ///
    /// Later calls on any clone give [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the last commit failed; [`StoreError::Closed`] when closed already.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Command::Close(reply)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        match self.shared.database.read().as_ref() {
            Some(database) => database.begin_read().map_err(|error| StoreError::unreadable(&error)),
            None if self.shared.places.is_closed() => Err(StoreError::Closed),
            None => Err(StoreError::Unreadable { reason: "it cannot be opened after a fault".into() }),
        }
    }

    async fn submit<R, E>(
        &self,
        decide: impl FnOnce(&View<'_>) -> Result<(Changes, R), E> + Send + 'static,
        durable: bool,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let places = Arc::clone(&self.shared.places);
        let place = places.acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (write, answer) = Write::new(decide, durable, place);
        let operation: Box<dyn Operation> = Box::new(write);
        self.queue.send(Command::Operation(operation)).map_err(|_| StoreError::Closed)?;
        match answer.await {
            Ok(verdict) => verdict?,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}
