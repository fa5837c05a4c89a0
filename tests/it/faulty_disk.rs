//! A disk that refuses on demand: the store's real file, behind a backend that fails as a kernel does.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use pas::store::StorageHome;

use crate::watched_disk::{DiskWatch, watched_home};

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
        watched_home(path, Arc::new(self.clone()))
    }
}

impl DiskWatch for FaultyDisk {
    fn before_change(&self, _: &[u8]) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}
