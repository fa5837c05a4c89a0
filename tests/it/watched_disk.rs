//! A store's real file behind a watch that hears of each change before it is made, and of each sync after it.

use std::fmt::Debug;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use pas::store::{FileHome, StorageHome};
use redb::{BackendError, StorageBackend};

/// What hears of a disk's changes.
pub(crate) trait DiskWatch: Debug + Send + Sync {
    /// Bytes are about to be written, or, with none, another change is about to be made.
    ///
    /// # Errors
    /// That of the disk: the change is not made then.
    fn before_change(&self, bytes: &[u8]) -> io::Result<()>;

    /// All changes so far are durable.
    fn synced(&self) {}
}

/// The file at `path` under a watch.
pub(crate) fn watched_home(path: &Path, watch: Arc<dyn DiskWatch>) -> Arc<dyn StorageHome> {
    Arc::new(WatchedHome { file: FileHome::new(path), watch })
}

struct WatchedHome {
    file: FileHome,
    watch: Arc<dyn DiskWatch>,
}

impl StorageHome for WatchedHome {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn label(&self) -> &str {
        self.file.label()
    }

    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(WatchedBackend { inner: self.file.backend()?, watch: Arc::clone(&self.watch) }))
    }

    fn reader(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.file.reader()
    }

    fn displaced(&self) -> Option<String> {
        self.file.displaced()
    }

    fn probe(&self) -> io::Result<()> {
        self.watch.before_change(&[])?;
        self.file.probe()
    }

    fn rewrite(&self) -> io::Result<()> {
        self.watch.before_change(&[])?;
        self.file.rewrite()
    }
}

#[derive(Debug)]
struct WatchedBackend {
    inner: Box<dyn StorageBackend>,
    watch: Arc<dyn DiskWatch>,
}

impl StorageBackend for WatchedBackend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.watch.before_change(&[])?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.before_change(&[])?;
        self.inner.sync_data()?;
        self.watch.synced();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.watch.before_change(data)?;
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
