//! Opening, creating and checking the store's file.
//!
//! Invariants: a store file gets its name only when whole (made beside, synced, renamed), so an empty or
//! truncated file counts as damage, never as a new store; two processes never write one file (redb's
//! exclusive lock); a damaged file is left untouched, even if redb panics on it.

use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::RwLock;
use redb::{Builder, Database};
use tokio::sync::{Semaphore, watch};

use super::backend::{self, FileHome, StorageHome};
use super::metrics::StoreCounters;
use super::overlay::OverlayBackend;
use super::place::ReadOnlyFile;
use super::{OpenError, QUEUE_LIMIT, Store, StoreShared, StoreStatus, schema, writer};
use pas_files::{create_folders, folder_of, sync_folder};

/// The result of an integrity check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegrityReport {
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Number of tables, the store's own included.
    pub tables: u64,
    /// Number of rows in all tables.
    pub rows: u64,
}

pub(super) fn open(home: Arc<dyn StorageHome>) -> Result<Store, OpenError> {
    let path = home.path();
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => create(path)?,
        Err(error) => return Err(OpenError::io(path, error)),
    }
    start(home)
}

/// Opens the store in `home` and starts the writer.
pub(super) fn start(home: Arc<dyn StorageHome>) -> Result<Store, OpenError> {
    let counters = Arc::new(StoreCounters::default());
    let images = Arc::default();
    let database = backend::open_database(home.as_ref(), &counters, &images)?;
    schema::migrate(&database, home.as_ref(), schema::MIGRATIONS)?;
    let path = home.path().to_owned();
    let shared = Arc::new(StoreShared {
        home,
        database: RwLock::new(Some(database)),
        commits: watch::Sender::new(0),
        status: watch::Sender::new(StoreStatus::Writable),
        counters,
        images,
        places: Arc::new(Semaphore::new(QUEUE_LIMIT)),
    });
    let (queue, commands) = mpsc::channel();
    writer::spawn(Arc::clone(&shared), commands).map_err(|error| OpenError::io(&path, error))?;
    Ok(Store { shared, queue })
}

/// Reads every page of a store that no process has open, and repairs pages where redb can.
///
/// Blocks for as long as reading the whole file takes.
///
/// # Errors
/// [`OpenError::Damaged`] names the damage; [`OpenError::AlreadyOpen`] while a daemon has the store open.
pub fn check(path: &Path) -> Result<IntegrityReport, OpenError> {
    let file_bytes = path.metadata().map_err(|error| OpenError::io(path, error))?.len();
    let database = backend::open_checked(&FileHome::new(path), &Arc::default())?;
    let (tables, rows) =
        super::backup::count_rows(&database).map_err(|error| OpenError::damaged(path, error))?;
    Ok(IntegrityReport { file_bytes, tables, rows })
}

/// As [`check`], and changes nothing: for a backup, which should keep its time of writing.
///
/// # Errors
/// As [`check`].
pub fn inspect(path: &Path) -> Result<IntegrityReport, OpenError> {
    let failed = |error| OpenError::io(path, error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let file_bytes = file.metadata().map_err(failed)?.len();
    if file_bytes == 0 {
        return Err(OpenError::damaged(path, "the file is empty"));
    }
    let bytes = OverlayBackend::new(Box::new(ReadOnlyFile(file))).map_err(failed)?;
    let database = backend::open_guarded(path, Box::new(bytes), &Arc::default(), true)?;
    let (tables, rows) =
        super::backup::count_rows(&database).map_err(|error| OpenError::damaged(path, error))?;
    Ok(IntegrityReport { file_bytes, tables, rows })
}

/// Creates a store under a temporary name and renames it when whole.
fn create(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::io(path, error);
    let directory = folder_of(path);
    create_folders(directory).map_err(failed)?;
    let file = tempfile::Builder::new().prefix(".store-").tempfile_in(directory).map_err(failed)?;
    let database = Builder::new()
        .set_cache_size(backend::CACHE_BYTES)
        .create(file.path())
        .map_err(|error| OpenError::from_redb(path, error))?;
    initialise(&database).map_err(|error| OpenError::damaged(path, error))?;
    drop(database);
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(directory).map_err(failed),
        // Another process was faster: that store is as good, and the lock decides which process may open it.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
    }
}

pub(super) fn initialise(database: &Database) -> Result<(), redb::Error> {
    schema::commit(database.begin_write()?, &schema::record(schema::newest(schema::MIGRATIONS)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::block_on;
    use crate::{StoreChanges, StoreError, StoreTable};

    const ROWS: StoreTable<u64, String> = StoreTable::new("rows");

    fn put(store: &Store, key: u64, text: &str) {
        let text = text.to_owned();
        block_on(
            store.write(move |_| Ok::<_, StoreError>((StoreChanges::none().put(&ROWS, &key, &text), ()))),
        )
        .unwrap();
    }

    #[test]
    fn a_store_is_created_with_its_directories_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/pas.redb");
        let store = Store::open(&path).unwrap();
        put(&store, 1, "one");
        block_on(store.close()).unwrap();
        assert_eq!(store.read(|view| view.get(&ROWS, &1)), Err(StoreError::Closed));
        let again = Store::open(&path).unwrap();
        assert_eq!(again.read(|view| view.get(&ROWS, &1)), Ok(Some("one".to_owned())));
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no temporary file stays behind");
    }

    #[test]
    fn a_second_opener_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pas.redb");
        let store = Store::open(&path).unwrap();
        let error = Store::open(&path).err().unwrap();
        assert!(error.to_string().contains("already open by another process"), "{error}");
        assert!(matches!(check(&path), Err(OpenError::AlreadyOpen { .. })));
        block_on(store.close()).unwrap();
        assert!(Store::open(&path).is_ok());
    }

    #[test]
    fn damaged_files_are_refused_and_left_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pas.redb");
        block_on(Store::open(&path).unwrap().close()).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut scrambled = whole.clone();
        scrambled[64..4096].fill(0xa5);
        for bytes in [&b""[..], b"not a database at all", &whole[..100], &whole[..4096], &scrambled] {
            fs::write(&path, bytes).unwrap();
            let error = Store::open(&path).err().expect("a damaged file must be refused");
            assert!(matches!(error, OpenError::Damaged { .. }), "{} bytes: {error}", bytes.len());
            assert!(error.to_string().contains("backup"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "left as it was");
        }
    }

    #[test]
    fn the_check_counts_a_good_file_and_finds_a_changed_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pas.redb");
        let store = Store::open(&path).unwrap();
        put(&store, 1, "a text to be found in the file");
        block_on(store.close()).unwrap();
        let found = check(&path).unwrap();
        assert_eq!((found.tables, found.rows), (2, 2));
        let mut bytes = fs::read(&path).unwrap();
        let needle = b"to be found";
        let places: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(needle)).collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        assert!(matches!(check(&path), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn a_directory_in_the_way_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let error = Store::open(directory.path()).err().unwrap();
        assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    }
}
