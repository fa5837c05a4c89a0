//! A disk that refuses on demand: the store's real file, behind a backend that fails as a kernel does.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use pas::store::{FileHome, StorageHome};
use redb::{BackendError, StorageBackend};

/// Linux's number of "Input/output error".
pub(crate) const EIO: i32 = 5;
/// "No space left on device".
pub(crate) const ENOSPC: i32 = 28;

/// The switch of a disk; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyDisk(Arc<AtomicI32>);

impl FaultyDisk {
    /// From now on every change of the disk fails.
    pub(crate) fn fails_with(&self, errno: i32) {
        self.0.store(errno, Ordering::SeqCst);
    }

    pub(crate) fn recovers(&self) {
        self.fails_with(0);
    }

    /// The file at `path` on this disk.
    pub(crate) fn home(&self, path: &Path) -> Arc<dyn StorageHome> {
        Arc::new(FaultyHome { file: FileHome::new(path), disk: self.clone() })
    }

    fn take(&self) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

struct FaultyHome {
    file: FileHome,
    disk: FaultyDisk,
}

impl StorageHome for FaultyHome {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn label(&self) -> &str {
        self.file.label()
    }

    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(FaultyBackend { inner: self.file.backend()?, disk: self.disk.clone() }))
    }

    fn reader(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.file.reader()
    }

    fn displaced(&self) -> Option<String> {
        self.file.displaced()
    }

    fn probe(&self) -> io::Result<()> {
        self.disk.take()?;
        self.file.probe()
    }

    fn rewrite(&self) -> io::Result<()> {
        self.disk.take()?;
        self.file.rewrite()
    }
}

#[derive(Debug)]
struct FaultyBackend {
    inner: Box<dyn StorageBackend>,
    disk: FaultyDisk,
}

impl StorageBackend for FaultyBackend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.take()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.take()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.take()?;
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
