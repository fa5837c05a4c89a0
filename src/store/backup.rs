//! Backups: a consistent copy of a running store, in a file of its own.
//!
//! Invariants: the copy is made from an image of one commit, every page of which was checked ([`super::image`]),
//! so damage is never copied under fresh checksums; the file gets its name only when whole, synced and verified; an existing file
//! is never overwritten. The source takes writes meanwhile. To restore: stop the daemon and
//! replace the store's file by the backup.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, TableDefinition, TableHandle as _, WriteTransaction,
};

use super::backend::{self, FileHome};
use super::{OpenError, Store, StoreError};
use pas_files::{folder_of, sync_folder};

type RawTable<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// The size of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Number of tables, the store's own included.
    pub tables: u64,
    /// Number of rows in all tables.
    pub rows: u64,
}

/// Why there is no backup. The target was not touched.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} exists already; a backup overwrites nothing, choose another name", .0.display())]
    Exists(PathBuf),
    /// The target is outside the folder of backups.
    #[error(
        "`{}` is no name for a backup: backups are made only in {}; give a bare file name that ends in `.redb`, \
         or none", name.display(), folder.display()
    )]
    Outside {
        /// The path as requested.
        name: PathBuf,
        folder: PathBuf,
    },
    /// The store itself is damaged; a copy would hide that.
    #[error("no backup was made, and none deleted: {0}")]
    Damaged(OpenError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy differs from the source.
    #[error("the copy for {} did not verify ({reason}) and was thrown away; try again, check the disk", path.display())]
    Unverified { path: PathBuf, reason: String },
    /// The copy could not be written.
    #[error("cannot write the backup {} ({reason}); check its directory and the free space", path.display())]
    Write { path: PathBuf, reason: String },
}

impl BackupError {
    fn write(path: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self::Write { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Copies all tables of a running store into the new file `target`, creating the folder if missing.
///
/// Blocks while copying: call from a blocking thread.
///
/// # Errors
/// [`BackupError`]; then `target` is unchanged.
pub fn backup(store: &Store, target: &Path) -> Result<BackupReport, BackupError> {
    let failed = |error: io::Error| BackupError::write(target, &error);
    if target.try_exists().map_err(failed)? {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let directory = folder_of(target);
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = tempfile::Builder::new().prefix(".backup-").tempfile_in(directory).map_err(failed)?;
    let aside = tempfile::tempfile_in(directory).map_err(failed)?;
    let copied = copy_into(&checked_image(store, aside)?, file.path());
    let copied = copied.map_err(|error| BackupError::write(target, &error))?;
    let (tables, rows) = verify(file.path(), target, copied)?;
    file.as_file().sync_all().map_err(failed)?;
    let file_bytes = file.as_file().metadata().map_err(failed)?.len();
    file.persist_noclobber(target).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_owned()),
        _ => failed(error.error),
    })?;
    sync_folder(directory).map_err(failed)?;
    Ok(BackupReport { path: target.to_owned(), file_bytes, tables, rows })
}

/// The store's last commit, every page of which is whole.
fn checked_image(store: &Store, aside: File) -> Result<Database, BackupError> {
    store.freeze(aside)?.open_checked(store.shared.home.path()).map_err(|error| match error {
        damaged @ OpenError::Damaged { .. } => BackupError::Damaged(damaged),
        unread => StoreError::unreadable(&unread).into(),
    })
}

/// Copies all tables of a database into an empty file; returns the numbers of tables and rows.
fn copy_into(image: &Database, path: &Path) -> Result<(u64, u64), redb::Error> {
    let snapshot = image.begin_read()?;
    let database = Builder::new().set_cache_size(backend::CACHE_BYTES).create(path)?;
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let mut total = (0, 0);
    for handle in snapshot.list_tables()? {
        total.0 += 1;
        total.1 += copy_table(&snapshot, &transaction, handle.name())?;
    }
    transaction.commit()?;
    Ok(total)
}

fn copy_table(from: &ReadTransaction, to: &WriteTransaction, name: &str) -> Result<u64, redb::Error> {
    let source = from.open_table(RawTable::new(name))?;
    let mut target = to.open_table(RawTable::new(name))?;
    let mut rows = 0;
    for row in source.iter()? {
        let (key, value) = row?;
        target.insert(key.value(), value.value())?;
        rows += 1;
    }
    Ok(rows)
}

/// Opens the copy, checks every page and counts the rows again.
fn verify(copy: &Path, target: &Path, expected: (u64, u64)) -> Result<(u64, u64), BackupError> {
    let unverified = |reason: String| BackupError::Unverified { path: target.to_owned(), reason };
    let database = backend::open_checked(&FileHome::new(copy), &Arc::default())
        .map_err(|error| unverified(error.to_string()))?;
    let found = count_rows(&database).map_err(|error| unverified(error.to_string()))?;
    if found == expected {
        Ok(found)
    } else {
        Err(unverified(format!("expected {expected:?} tables and rows, found {found:?}")))
    }
}

/// The numbers of tables and rows of a database.
pub(super) fn count_rows(database: &Database) -> Result<(u64, u64), redb::Error> {
    let snapshot = database.begin_read()?;
    let mut total = (0, 0);
    for handle in snapshot.list_tables()? {
        total.0 += 1;
        total.1 += snapshot.open_table(RawTable::new(handle.name()))?.len()?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::testing::{block_on, memory_store};
    use crate::{StoreChanges, StoreTable};

    const LEFT: StoreTable<u64, String> = StoreTable::new("left");
    const RIGHT: StoreTable<String, u64> = StoreTable::new("right");

    fn add(store: &Store, numbers: std::ops::Range<u64>) {
        block_on(store.write(move |_| {
            let changes = numbers.fold(StoreChanges::none(), |changes, n| {
                changes.put(&LEFT, &n, &format!("row {n}")).put(&RIGHT, &format!("row {n}"), &n)
            });
            Ok::<_, StoreError>((changes, ()))
        }))
        .unwrap();
    }

    #[test]
    fn a_backup_is_a_store_with_the_same_rows() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("pas.redb")).unwrap();
        add(&store, 0..1000);
        let target = directory.path().join("copy.redb");
        let report = backup(&store, &target).unwrap();
        add(&store, 1000..1100);
        assert_eq!((report.tables, report.rows), (3, 2001));
        assert_eq!(report.file_bytes, target.metadata().unwrap().len());
        let copy = Store::open(&target).unwrap();
        assert_eq!(copy.read(|view| view.count(&LEFT)), Ok(1000));
        assert_eq!(copy.read(|view| view.get(&RIGHT, &"row 999".into())), Ok(Some(999)));
        assert_eq!(store.read(|view| view.count(&LEFT)), Ok(1100));
    }

    /// Commits without pause while `work` runs.
    fn under_load(store: &Store, work: impl FnOnce()) {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                for n in 10_000.. {
                    if is_over.load(Ordering::Relaxed) {
                        return n - 10_000;
                    }
                    block_on(store.write(move |view| {
                        let old = format!("row {}", n - 50);
                        let changes = StoreChanges::none().delete(&LEFT, &(n - 50)).delete(&RIGHT, &old);
                        let known = view.get(&LEFT, &(n - 51))?;
                        let row = known.unwrap_or_else(|| "x".repeat(1 + usize::try_from(n % 3000).unwrap()));
                        Ok::<_, StoreError>((
                            changes.put(&LEFT, &n, &row).put(&RIGHT, &format!("row {n}"), &n),
                            (),
                        ))
                    }))
                    .unwrap();
                }
                0
            });
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            is_over.store(true, Ordering::Relaxed);
            assert!(load.join().unwrap() > 0, "nothing was written meanwhile");
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    #[test]
    fn a_store_that_is_written_all_the_time_is_not_called_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("pas.redb")).unwrap();
        add(&store, 0..3000);
        under_load(&store, || {
            for n in 0..25 {
                let target = directory.path().join(format!("copy-{n}.redb"));
                let report = backup(&store, &target).unwrap_or_else(|error| panic!("backup {n}: {error}"));
                assert!(report.rows >= 6001, "{report:?}");
            }
        });
        assert!(directory.path().read_dir().unwrap().all(|entry| {
            let path = entry.unwrap().path();
            path.ends_with("pas.redb") || crate::open::inspect(&path).is_ok()
        }));
    }

    #[test]
    fn damage_is_found_in_a_store_that_is_written_all_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pas.redb");
        let store = Store::open(&path).unwrap();
        add(&store, 0..3000);
        under_load(&store, || {
            backup(&store, &directory.path().join("good.redb")).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            for at in (0..bytes.len() - 8).filter(|&at| bytes[at..].starts_with(b"row 1234")) {
                std::os::unix::fs::FileExt::write_all_at(&file, b"R", at as u64).unwrap();
            }
            for n in 0..10 {
                let target = directory.path().join(format!("copy-{n}.redb"));
                let refused = backup(&store, &target);
                assert!(matches!(refused, Err(BackupError::Damaged(_))), "{refused:?}");
                assert!(!target.exists());
            }
        });
    }

    #[test]
    fn a_store_that_takes_no_writes_is_checked_and_saved_too() {
        let directory = tempfile::tempdir().unwrap();
        let (store, home) = memory_store();
        add(&store, 0..100);
        home.fault(|faults| faults.fail_after = Some(0));
        let refused =
            block_on(store.write(|_| {
                Ok::<_, StoreError>((StoreChanges::none().put(&LEFT, &1, &"lost".to_owned()), ()))
            }));
        assert!(refused.is_err());
        let report = backup(&store, &directory.path().join("saved.redb")).unwrap();
        assert_eq!(report.rows, 201);
        // redb would fall back to the commit before, which has no rows.
        home.damage(b"row 77");
        let damaged = directory.path().join("damaged.redb");
        let refused = backup(&store, &damaged).unwrap_err();
        assert!(matches!(&refused, BackupError::Store(StoreError::Unreadable { .. })), "{refused:?}");
        assert!(refused.to_string().contains("not whole") && !damaged.exists(), "{refused}");
    }

    #[test]
    fn an_existing_file_is_not_overwritten_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("pas.redb")).unwrap();
        let target = directory.path().join("notes.txt");
        std::fs::write(&target, "dear diary").unwrap();
        assert!(matches!(backup(&store, &target), Err(BackupError::Exists(_))));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "dear diary");
        let nowhere = target.join("below-a-file.redb");
        assert!(matches!(backup(&store, &nowhere), Err(BackupError::Write { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
