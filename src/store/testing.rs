//! A store in memory whose disk fails on command.
//!
//! Invariant: the bytes outlive the database opened on them, so that a test can crash the database, lose
//! unsynced bytes, and open the store again.

#![allow(clippy::unwrap_used, reason = "a test's own value that is wrong is a failed test")]

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redb::{Builder, StorageBackend};

use super::backend::StorageHome;
use super::{Store, open};

/// A kernel's page, in bytes.
const PAGE: usize = 4096;

#[derive(Debug, Default)]
pub struct DiskFaults {
    /// Writes and syncs that still succeed before every one fails.
    pub fail_after: Option<u32>,
    /// The file cannot grow.
    pub full: bool,
    /// The next opening finds only synced bytes.
    pub lose_unsynced: bool,
    /// The next sync panics.
    pub panic_on_sync: bool,
    /// The path leads elsewhere.
    pub displaced: bool,
    /// The bytes cannot be opened.
    pub gone: bool,
}

#[derive(Debug, Default)]
struct TestDisk {
    /// The bytes that reads see: the kernel's page cache.
    bytes: Vec<u8>,
    /// The bytes that survive a power cut.
    synced: Vec<u8>,
    /// Pages for the next sync to write. As in a kernel, a failed sync forgets them.
    dirty: BTreeSet<usize>,
    faults: DiskFaults,
    on_sync: Option<std::sync::mpsc::Sender<()>>,
}

/// A disk in memory, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct MemoryHome(Arc<Mutex<TestDisk>>);

impl MemoryHome {
    pub fn created() -> Self {
        let home = Self::default();
        let database = Builder::new().create_with_backend(home.clone()).expect("a store in memory");
        open::initialise(&database).expect("a store in memory");
        database.close().expect("a store in memory");
        home
    }

    pub fn fault(&self, change: impl FnOnce(&mut DiskFaults)) {
        change(&mut self.0.lock().faults);
    }

    /// Changes a byte wherever `text` stands.
    pub fn damage(&self, text: &[u8]) {
        let mut disk = self.0.lock();
        let places: Vec<_> = (0..disk.bytes.len()).filter(|&at| disk.bytes[at..].starts_with(text)).collect();
        assert!(!places.is_empty(), "nothing to damage");
        places.into_iter().for_each(|at| disk.bytes[at] ^= 1);
    }

    /// Signals every sync from now on.
    pub fn syncs(&self) -> std::sync::mpsc::Receiver<()> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.0.lock().on_sync = Some(sender);
        receiver
    }

    /// The store as a power cut at this moment would leave it, on a separate disk.
    pub fn after_power_cut(&self) -> Store {
        let synced = self.0.lock().synced.clone();
        let disk = TestDisk { bytes: synced.clone(), synced, ..TestDisk::default() };
        open::start(Arc::new(Self(Arc::new(Mutex::new(disk))))).expect("a store in memory")
    }

    /// The store as a `kill -9` at this moment would leave it, on a separate disk.
    pub fn after_kill(&self) -> Store {
        let bytes = self.0.lock().bytes.clone();
        let disk = TestDisk { synced: bytes.clone(), bytes, ..TestDisk::default() };
        open::start(Arc::new(Self(Arc::new(Mutex::new(disk))))).expect("a store in memory")
    }
}

impl TestDisk {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.faults.fail_after {
            Some(0) => Err(io::Error::other("injected fault")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageHome for MemoryHome {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn label(&self) -> &str {
        "memory"
    }

    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut disk = self.0.lock();
        if disk.faults.gone || disk.faults.displaced {
            return Err(io::ErrorKind::NotFound.into());
        }
        if std::mem::take(&mut disk.faults.lose_unsynced) {
            disk.bytes = disk.synced.clone();
            disk.dirty.clear();
        }
        Ok(Box::new(self.clone()))
    }

    fn reader(&self) -> io::Result<Box<dyn StorageBackend>> {
        if self.0.lock().faults.gone {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.clone()))
    }

    fn displaced(&self) -> Option<String> {
        self.0.lock().faults.displaced.then(|| "it was deleted or moved away".to_owned())
    }

    fn probe(&self) -> io::Result<()> {
        if self.0.lock().faults.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn rewrite(&self) -> io::Result<()> {
        let pages = self.0.lock().bytes.len().div_ceil(PAGE);
        self.0.lock().dirty.extend(0..pages);
        self.sync_data()
    }

    fn retry_after(&self) -> Duration {
        Duration::from_millis(1)
    }
}

impl StorageBackend for MemoryHome {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let disk = self.0.lock();
        let bytes = disk.bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.spend()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if disk.faults.full && len > disk.bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.bytes.resize(len, 0);
        disk.dirty.retain(|page| page * PAGE < len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        assert!(!std::mem::take(&mut disk.faults.panic_on_sync), "injected panic");
        let dirty = std::mem::take(&mut disk.dirty);
        disk.spend()?;
        let TestDisk { bytes, synced, .. } = &mut *disk;
        synced.resize(bytes.len(), 0);
        for page in dirty {
            let range = page * PAGE..((page + 1) * PAGE).min(bytes.len());
            synced[range.clone()].copy_from_slice(&bytes[range]);
        }
        if let Some(on_sync) = &disk.on_sync {
            let _nobody_listens = on_sync.send(());
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut disk = self.0.lock();
        disk.spend()?;
        let place = disk.bytes.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        disk.dirty.extend(start / PAGE..(start + data.len()).div_ceil(PAGE));
        Ok(())
    }
}

pub fn memory_store() -> (Store, MemoryHome) {
    let home = MemoryHome::created();
    (open::start(Arc::new(home.clone())).expect("a store in memory"), home)
}

/// Runs a future to the end on this thread, without tokio's pauses between many ready ones: joined futures
/// are queued in order and at once.
#[cfg(test)]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a store in memory")
        .block_on(tokio::task::unconstrained(future))
}
