//! The schema version in the file, and the migrations from one version to the next.
//!
//! Invariants: a file without a version, or with a newer one, is refused; a migration and the new version
//! number become durable together, so an interrupted migration simply runs again. A migration reads and
//! decides like any operation and never sees a half-changed file.

use redb::{Database, WriteTransaction};

use super::backend::StorageHome;
use super::{KeyRange, OpenError, ScanOrder, StoreChanges, StoreError, StoreTable, StoreView};
use pas_domain::ids::{JobId, RunId};

/// The store's own table; the schema version is the row of [`SCHEMA_KEY`].
pub(super) const META: StoreTable<String, u32> = StoreTable::meta();
const SCHEMA_KEY: &str = "schema";

/// The version of a file before any migration.
pub(super) const FIRST_VERSION: u32 = 1;

/// One migration: the changes that bring a file from the version before to the next.
pub(super) type SchemaMigration = fn(&StoreView<'_>) -> Result<StoreChanges, StoreError>;

/// The migrations from version 1 on, oldest first.
pub(super) const MIGRATIONS: &[SchemaMigration] = &[number_root_jobs];

/// Version 2 numbers root jobs in the order of their acceptance (before, only their time gave an order), and
/// counts open runs and unclosed runs separately from open jobs.
fn number_root_jobs(view: &StoreView<'_>) -> Result<StoreChanges, StoreError> {
    const BY_TIME: StoreTable<(i64, JobId), ()> = StoreTable::new("roots");
    const BY_NUMBER: StoreTable<u64, JobId> = StoreTable::new("root_order");
    const OPEN_JOBS: StoreTable<JobId, ()> = StoreTable::new("active_jobs");
    const OPEN_RUNS: StoreTable<RunId, ()> = StoreTable::new("open_runs");
    const CLOSED: StoreTable<RunId, i64> = StoreTable::new("closed_runs");
    const UNCLOSED_RUNS: StoreTable<RunId, ()> = StoreTable::new("unclosed_runs");
    let roots = view.range(&BY_TIME, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
    let mut numbered = StoreChanges::none();
    for (number, ((_, id), ())) in (1..).zip(roots) {
        numbered = numbered.put(&BY_NUMBER, &number, &id);
        if !view.contains(&CLOSED, &id.run())? {
            numbered = numbered.put(&UNCLOSED_RUNS, &id.run(), &());
        }
    }
    let open = view.range(&OPEN_JOBS, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
    let roots = open.into_iter().map(|(id, ())| id).filter(|id| id.parent().is_none());
    Ok(roots.fold(numbered, |changes, id| changes.put(&OPEN_RUNS, &id.run(), &())))
}

/// The version that a list of migrations leads to.
pub(super) fn newest(migrations: &[SchemaMigration]) -> u32 {
    migrations.iter().fold(FIRST_VERSION, |version, _| version + 1)
}

pub(super) fn record(version: u32) -> StoreChanges {
    StoreChanges::none().put(&META, &SCHEMA_KEY.to_owned(), &version)
}

/// Brings an open file to the newest version, or refuses to.
pub(super) fn migrate(
    database: &Database,
    home: &dyn StorageHome,
    migrations: &[SchemaMigration],
) -> Result<(), OpenError> {
    let path = home.path();
    let failed = |to: u32, reason: String| OpenError::Migration { path: path.to_owned(), to, reason };
    let supported = newest(migrations);
    let found = read_version(database).map_err(|error| OpenError::damaged(path, error))?;
    let found = found.ok_or_else(|| OpenError::damaged(path, "the file has no schema version"))?;
    if found > supported {
        return Err(OpenError::Newer { path: path.to_owned(), found, supported });
    }
    for (step, to) in migrations.iter().zip(FIRST_VERSION + 1..) {
        if to > found {
            take_step(database, *step, to).map_err(|reason| failed(to, reason))?;
        }
    }
    Ok(())
}

fn read_version(database: &Database) -> Result<Option<u32>, StoreError> {
    use redb::ReadableDatabase as _;
    let transaction = database.begin_read().map_err(|error| StoreError::unreadable(&error))?;
    StoreView::snapshot(&transaction).get(&META, &SCHEMA_KEY.to_owned())
}

fn take_step(database: &Database, step: SchemaMigration, to: u32) -> Result<(), String> {
    let transaction = database.begin_write().map_err(|error| error.to_string())?;
    let changes = step(&StoreView::batch(&transaction)).map_err(|error| error.to_string())?.and(record(to));
    changes.check().map_err(|error| error.to_string())?;
    commit(transaction, &changes).map_err(|error| error.to_string())
}

/// Applies and commits changes outside the writer, while a file is being opened or created.
pub(super) fn commit(mut transaction: WriteTransaction, changes: &StoreChanges) -> Result<(), redb::Error> {
    transaction.set_quick_repair(true);
    changes.apply(&transaction)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::open_database;
    use crate::testing::MemoryHome;

    const OLD: StoreTable<String, u32> = StoreTable::new("old");
    const NEW: StoreTable<String, String> = StoreTable::new("new");

    fn to_text(view: &StoreView<'_>) -> Result<StoreChanges, StoreError> {
        let rows = view.range(&OLD, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
        Ok(rows.iter().fold(StoreChanges::none(), |changes, (key, number)| {
            changes.put(&NEW, key, &number.to_string()).delete(&OLD, key)
        }))
    }

    fn fails(_: &StoreView<'_>) -> Result<StoreChanges, StoreError> {
        Err(StoreError::Closed)
    }

    fn old_file() -> (MemoryHome, Database) {
        let home = MemoryHome::created();
        let database = open_database(&home, &Arc::default(), &Arc::default()).unwrap();
        // A new file has the newest version; the migrations under test begin with the first.
        let changes = StoreChanges::none().put(&OLD, &"a".into(), &7).and(record(FIRST_VERSION));
        commit(database.begin_write().unwrap(), &changes).unwrap();
        (home, database)
    }

    fn read<R>(database: &Database, read: impl FnOnce(&StoreView<'_>) -> Result<R, StoreError>) -> R {
        use redb::ReadableDatabase as _;
        read(&StoreView::snapshot(&database.begin_read().unwrap())).unwrap()
    }

    #[test]
    fn steps_are_taken_once_and_in_order() {
        let (home, database) = old_file();
        let steps: &[SchemaMigration] = &[to_text, |_| Ok(StoreChanges::none())];
        migrate(&database, &home, steps).unwrap();
        assert_eq!(read_version(&database), Ok(Some(3)));
        assert_eq!(read(&database, |view| view.get(&NEW, &"a".into())), Some("7".to_owned()));
        assert_eq!(read(&database, |view| view.count(&OLD)), 0);
        migrate(&database, &home, &[fails, fails]).unwrap();
    }

    #[test]
    fn a_failing_step_leaves_the_version_before() {
        let (home, database) = old_file();
        let error = migrate(&database, &home, &[to_text, fails]).unwrap_err();
        assert!(matches!(error, OpenError::Migration { to: 3, .. }), "{error}");
        assert_eq!(read_version(&database), Ok(Some(2)));
        assert_eq!(read(&database, |view| view.count(&NEW)), 1);
    }

    #[test]
    fn root_jobs_are_numbered_in_the_order_of_their_time_and_open_ones_counted() {
        const BY_TIME: StoreTable<(i64, JobId), ()> = StoreTable::new("roots");
        const BY_NUMBER: StoreTable<u64, JobId> = StoreTable::new("root_order");
        const OPEN_JOBS: StoreTable<JobId, ()> = StoreTable::new("active_jobs");
        const OPEN_RUNS: StoreTable<RunId, ()> = StoreTable::new("open_runs");
        const CLOSED: StoreTable<RunId, i64> = StoreTable::new("closed_runs");
        const UNCLOSED_RUNS: StoreTable<RunId, ()> = StoreTable::new("unclosed_runs");
        let (home, database) = old_file();
        let id = |text: &str| JobId::new(text).unwrap();
        let changes =
            StoreChanges::none().put(&BY_TIME, &(9, id("a")), &()).put(&BY_TIME, &(5, id("b")), &());
        let changes = changes.put(&OPEN_JOBS, &id("a"), &()).put(&OPEN_JOBS, &id("a.data"), &());
        let changes = changes.put(&CLOSED, &id("b").run(), &7);
        commit(database.begin_write().unwrap(), &changes).unwrap();
        migrate(&database, &home, &MIGRATIONS[..1]).unwrap();
        let rows = read(&database, |view| view.range(&BY_NUMBER, &KeyRange::all(), ScanOrder::Ascending, 9));
        assert_eq!(rows, [(1, id("b")), (2, id("a"))]);
        let open = read(&database, |view| view.range(&OPEN_RUNS, &KeyRange::all(), ScanOrder::Ascending, 9));
        assert_eq!(open, [(id("a").run(), ())]);
        let unclosed =
            read(&database, |view| view.range(&UNCLOSED_RUNS, &KeyRange::all(), ScanOrder::Ascending, 9));
        assert_eq!(unclosed, [(id("a").run(), ())]);
    }

    #[test]
    fn a_newer_file_is_refused() {
        let (home, database) = old_file();
        commit(database.begin_write().unwrap(), &record(9)).unwrap();
        let error = migrate(&database, &home, &[]).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 9, supported: 1, .. }), "{error}");
    }
}
