//! The store's bytes: the file behind redb, its reopening, and a meter on its syncs.
//!
//! Invariant: every database of the store is opened through a [`StorageHome`], so a test can replace the file
//! by a faulty one and change nothing else.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};

use super::OpenError;
use super::error::panic_message;
use super::image::{ImagedBackend, StoreImages};
use super::lock_methods::pass_locks_on;
use super::metrics::StoreCounters;
use super::overlay::OverlayBackend;
use super::place::FilePlace;
use pas_files::folder_of;

/// redb's page cache in bytes. The kernel caches the file as well, so this needs room only for the branches
/// and rows in use. Full under load.
pub(super) const CACHE_BYTES: usize = 6 << 20;

/// Free space required before writes resume after a full disk: room for a few batches.
const PROBE_BYTES: usize = 1 << 20;

/// Time between two attempts to resume writes after a fault: short enough that freed space is noticed at
/// once, long enough that trying costs a full disk nothing.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Bytes of the file read and written back at a time.
const REWRITE_BLOCK_BYTES: usize = 1 << 20;

/// The place of the store's bytes.
pub trait StorageHome: Send + Sync {
    /// The path, for messages.
    fn path(&self) -> &Path;

    /// The path as text.
    fn label(&self) -> &str;

    /// Opens the bytes, which must exist.
    ///
    /// # Errors
    /// The operating system's.
    fn backend(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Opens the bytes for reading beside the open database: without a lock, and never written.
    ///
    /// # Errors
    /// The operating system's.
    fn reader(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Why the path no longer leads to the opened bytes, so that writes would be for nobody.
    fn displaced(&self) -> Option<String> {
        None
    }

    /// Whether there is room for some more writes.
    ///
    /// # Errors
    /// The reason why there is none.
    fn probe(&self) -> io::Result<()>;

    /// Writes every byte anew and syncs: called after a failed sync, while nobody else writes the bytes.
    ///
    /// # Errors
    /// The operating system's error; the bytes are unreliable until a later call succeeds.
    fn rewrite(&self) -> io::Result<()>;

    /// Time between two attempts to resume writes.
    fn retry_after(&self) -> Duration {
        RETRY_AFTER
    }
}

#[derive(Debug)]
pub struct FileHome {
    path: PathBuf,
    label: String,
    place: FilePlace,
}

impl FileHome {
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), label: path.display().to_string(), place: FilePlace::default() }
    }
}

impl StorageHome for FileHome {
    fn path(&self) -> &Path {
        &self.path
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.place.note(&self.path, &file)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }

    fn reader(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.place.reader()?))
    }

    fn displaced(&self) -> Option<String> {
        self.place.displaced(&self.path)
    }

    fn probe(&self) -> io::Result<()> {
        let mut file = tempfile::tempfile_in(folder_of(&self.path))?;
        file.write_all(&vec![0x5a; PROBE_BYTES])?;
        file.sync_data()
    }

    fn rewrite(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.place.note(&self.path, &file)?;
        let mut block = vec![0; REWRITE_BLOCK_BYTES];
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                return file.sync_all();
            }
            file.seek_relative(-i64::try_from(read).map_err(io::Error::other)?)?;
            file.write_all(&block[..read])?;
        }
    }
}

/// Opens an existing database. Damage that makes redb panic is caught and reported as damage.
pub(super) fn open_database(
    home: &dyn StorageHome,
    counters: &Arc<StoreCounters>,
    images: &Arc<StoreImages>,
) -> Result<Database, OpenError> {
    let backend = ImagedBackend { inner: existing(home)?, images: Arc::clone(images) };
    open_guarded(home.path(), Box::new(backend), counters, false)
}

/// Opens an existing database for reading only: nothing is written to the bytes, so the disk need not take
/// writes. Bytes to which the path no longer leads are read through the file that was opened first.
pub(super) fn open_for_reading(
    home: &dyn StorageHome,
    counters: &Arc<StoreCounters>,
) -> Result<Database, OpenError> {
    let bytes = existing(home).or_else(|error| not_empty(home.path(), home.reader()).map_err(|_| error))?;
    let overlay = OverlayBackend::new(bytes).map_err(|error| OpenError::io(home.path(), error))?;
    open_guarded(home.path(), Box::new(overlay), counters, false)
}

/// Opens an existing database after checking every page, and repairing pages where redb can.
pub(super) fn open_checked(
    home: &dyn StorageHome,
    counters: &Arc<StoreCounters>,
) -> Result<Database, OpenError> {
    open_guarded(home.path(), existing(home)?, counters, true)
}

fn existing(home: &dyn StorageHome) -> Result<Box<dyn StorageBackend>, OpenError> {
    not_empty(home.path(), home.backend())
}

fn not_empty(
    path: &Path,
    opened: io::Result<Box<dyn StorageBackend>>,
) -> Result<Box<dyn StorageBackend>, OpenError> {
    let inner = opened.map_err(|error| OpenError::io(path, error))?;
    // redb would initialise empty bytes; a store is created elsewhere and whole, so an empty file was
    // truncated.
    if inner.len().map_err(|error| OpenError::io(path, error))? == 0 {
        return Err(OpenError::damaged(path, "the file is empty"));
    }
    Ok(inner)
}

pub(super) fn open_guarded(
    path: &Path,
    inner: Box<dyn StorageBackend>,
    counters: &Arc<StoreCounters>,
    check: bool,
) -> Result<Database, OpenError> {
    let backend = MeteredBackend { inner, counters: Arc::clone(counters) };
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(check)
            .create_with_backend(backend)
    }));
    match opened {
        Ok(opened) => opened.map_err(|error| OpenError::from_redb(path, error)),
        Err(payload) => Err(OpenError::damaged(path, panic_message(&*payload))),
    }
}

/// Counts and times syncs; passes everything else through.
#[derive(Debug)]
struct MeteredBackend {
    inner: Box<dyn StorageBackend>,
    counters: Arc<StoreCounters>,
}

impl StorageBackend for MeteredBackend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let start = Instant::now();
        let synced = self.inner.sync_data();
        self.counters.synced(start.elapsed(), synced.is_ok());
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    pass_locks_on!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_leaves_the_bytes_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..REWRITE_BLOCK_BYTES + 5000).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        FileHome::new(&path).rewrite().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
