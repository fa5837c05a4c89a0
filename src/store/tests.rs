//! The store as a whole: group commit against a model, refusals, panics, faults, a full disk.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::testing::{MemoryHome, block_on, memory_store};
use super::{
    KeyRange, QUEUE_LIMIT, ScanOrder, Store, StoreChanges, StoreError, StoreTable, StoreView, writer,
};

const ROWS: StoreTable<u8, u64> = StoreTable::new("rows");
/// Mirrors the numbers of [`ROWS`] under (number, key): the two must always agree.
const INDEX: StoreTable<(u64, u8), ()> = StoreTable::new("index");

#[derive(Debug, PartialEq, thiserror::Error)]
enum StoreTestRefusal {
    #[error("not what was expected")]
    Conflict,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compare-and-set of one row and its index: the store's typical operation.
fn set(
    view: &StoreView<'_>,
    key: u8,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<(StoreChanges, ()), StoreTestRefusal> {
    if view.get(&ROWS, &key)? != from {
        return Err(StoreTestRefusal::Conflict);
    }
    let mut changes = StoreChanges::none().delete(&ROWS, &key);
    if let Some(old) = from {
        changes = changes.delete(&INDEX, &(old, key));
    }
    if let Some(new) = to {
        changes = changes.put(&ROWS, &key, &new).put(&INDEX, &(new, key), &());
    }
    Ok((changes, ()))
}

fn put(
    key: u8,
    number: u64,
) -> impl FnOnce(&StoreView<'_>) -> Result<(StoreChanges, ()), StoreTestRefusal> + Send + 'static {
    move |view| {
        let old = view.get(&ROWS, &key)?;
        set(view, key, old, Some(number))
    }
}

fn rows(store: &Store) -> BTreeMap<u8, u64> {
    let (rows, index) = store
        .read(|view| {
            let rows = view.range(&ROWS, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
            let index = view.range(&INDEX, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
            Ok::<_, StoreError>((rows, index))
        })
        .unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().collect();
    let indexed: BTreeMap<_, _> = index.into_iter().map(|((number, key), ())| (key, number)).collect();
    assert_eq!(rows, indexed, "the two tables agree");
    rows
}

#[derive(Debug, Clone)]
enum StoreTestOperation {
    Put(u8, u64),
    Delete(u8),
    /// Succeeds only if the row has the value left by an earlier operation.
    Swap(u8, u64, u64),
    Refuse(u8),
    Panic(u8),
    Soft(u8, u64),
}

fn op() -> impl Strategy<Value = StoreTestOperation> {
    let (key, number) = (0..6_u8, 0..4_u64);
    prop_oneof![
        4 => (key.clone(), number.clone()).prop_map(|(k, n)| StoreTestOperation::Put(k, n)),
        2 => key.clone().prop_map(StoreTestOperation::Delete),
        4 => (key.clone(), number.clone(), number.clone()).prop_map(|(k, a, b)| StoreTestOperation::Swap(k, a, b)),
        1 => key.clone().prop_map(StoreTestOperation::Refuse),
        1 => key.clone().prop_map(StoreTestOperation::Panic),
        2 => (key, number).prop_map(|(k, n)| StoreTestOperation::Soft(k, n)),
    ]
}

/// The operation's effect on a map; returns whether it succeeds.
fn model(rows: &mut BTreeMap<u8, u64>, op: &StoreTestOperation) -> bool {
    match *op {
        StoreTestOperation::Put(key, number) | StoreTestOperation::Soft(key, number) => {
            rows.insert(key, number);
        }
        StoreTestOperation::Delete(key) => {
            rows.remove(&key);
        }
        StoreTestOperation::Swap(key, from, to) if rows.get(&key) == Some(&from) => {
            rows.insert(key, to);
        }
        StoreTestOperation::Swap(..) | StoreTestOperation::Refuse(_) | StoreTestOperation::Panic(_) => {
            return false;
        }
    }
    true
}

async fn perform(store: &Store, op: StoreTestOperation) -> Result<(), StoreTestRefusal> {
    match op {
        StoreTestOperation::Put(key, number) => store.write(put(key, number)).await,
        StoreTestOperation::Soft(key, number) => store.write_soft(put(key, number)).await,
        StoreTestOperation::Swap(key, from, to) => {
            store.write(move |view| set(view, key, Some(from), Some(to))).await
        }
        StoreTestOperation::Refuse(key) => {
            store
                .write(move |view| {
                    let _unused = set(view, key, view.get(&ROWS, &key)?, Some(99))?;
                    Err::<(StoreChanges, ()), _>(StoreTestRefusal::Conflict)
                })
                .await
        }
        StoreTestOperation::Panic(key) => {
            store
                .write(move |view| -> Result<(StoreChanges, ()), StoreTestRefusal> {
                    let _seen = view.get(&ROWS, &key)?;
                    std::panic::panic_any("on purpose")
                })
                .await
        }
        StoreTestOperation::Delete(key) => {
            store
                .write(move |view| {
                    let old = view.get(&ROWS, &key)?;
                    set(view, key, old, None)
                })
                .await
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Each wave's operations are queued at once, so that they share batches; their order is the queue's,
    /// which `join_all` fills in order.
    #[test]
    fn group_commit_is_a_sequence_of_operations_on_a_map(
        waves in prop::collection::vec(prop::collection::vec(op(), 1..40), 1..5),
    ) {
        let (store, home) = memory_store();
        let mut expected = BTreeMap::new();
        for wave in waves {
            let results = block_on(join_all(wave.iter().cloned().map(|op| perform(&store, op))));
            for (op, result) in wave.iter().zip(results) {
                prop_assert_eq!(result.is_ok(), model(&mut expected, op), "{:?}: {:?}", op, result);
            }
            prop_assert_eq!(&rows(&store), &expected);
        }
        block_on(store.close()).unwrap();
        prop_assert_eq!(rows(&home.after_power_cut()), expected);
    }

    /// Whatever the disk does, and whenever: acknowledged writes stay, unknown ones are whole or absent, and
    /// the store goes on.
    #[test]
    fn no_acknowledged_write_is_lost_to_a_fault(
        faults in prop::collection::vec((0..60_u32, any::<bool>(), 1..30_u8), 1..5),
    ) {
        let (store, home) = memory_store();
        let mut acknowledged = BTreeMap::new();
        let mut unknown: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        let mut number = 0;
        for (after, lose, writes) in faults {
            home.fault(|faults| faults.fail_after = Some(after));
            for key in 0..writes {
                number += 1;
                match block_on(store.write(put(key, number))) {
                    Ok(()) => {
                        acknowledged.insert(key, number);
                        unknown.remove(&key);
                    }
                    Err(StoreTestRefusal::Store(StoreError::Unknown { .. })) => {
                        unknown.entry(key).or_default().push(number);
                    }
                    Err(StoreTestRefusal::Store(StoreError::Unavailable { .. } | StoreError::Unreadable { .. })) => {}
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
            home.fault(|faults| *faults = super::testing::DiskFaults { lose_unsynced: lose, ..Default::default() });
            wait_until_writable(&store);
            for (key, found) in rows(&store) {
                let allowed = unknown.get(&key).into_iter().flatten().chain(acknowledged.get(&key));
                prop_assert!(allowed.into_iter().any(|n| *n == found), "key {key} holds {found}");
                acknowledged.insert(key, found);
            }
            unknown.clear();
            prop_assert!(acknowledged.keys().all(|key| rows(&store).contains_key(key)));
            prop_assert_eq!(rows(&home.after_power_cut()), acknowledged.clone());
        }
    }
}

/// Writes until the store takes a write again.
fn wait_until_writable(store: &Store) {
    const LAST: u8 = u8::MAX;
    let nothing = |view: &StoreView<'_>| {
        let old = view.get(&ROWS, &LAST)?;
        Ok::<_, StoreTestRefusal>((StoreChanges::none().delete(&ROWS, &LAST), old))
    };
    while let Err(error) = block_on(store.write(nothing)) {
        assert!(matches!(error, StoreTestRefusal::Store(_)), "{error}");
        std::thread::yield_now();
    }
}

/// Occupies the writer until the returned sender is used, so that operations queued meanwhile share a batch.
fn hold_writer(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let store = store.clone();
    std::thread::spawn(move || {
        block_on(store.write(move |_| {
            let _ = started.send(());
            let _released = wait.recv();
            Ok::<_, StoreError>((StoreChanges::none(), ()))
        }))
    });
    block_on(has_started).unwrap();
    release
}

#[test]
fn operations_that_wait_together_share_one_commit_and_one_sync() {
    let (store, _home) = memory_store();
    let release = hold_writer(&store);
    let before = store.metrics();
    let writes = join_all((0..200).map(|key| store.write(put(key, 1))));
    block_on(async {
        let answers = tokio::join!(writes, async { release.send(()).unwrap() }).0;
        assert!(answers.iter().all(Result::is_ok));
    });
    let after = store.metrics();
    assert_eq!(after.durable_operations - before.durable_operations, 200);
    assert_eq!(after.durable_commits - before.durable_commits, 1);
    assert_eq!(after.syncs - before.syncs, 1);
    assert_eq!(after.largest_batch, 200);
}

#[test]
fn an_operation_sees_the_ones_before_it_in_its_batch() {
    let (store, _home) = memory_store();
    let release = hold_writer(&store);
    let swaps = join_all((0..50_u64).map(|n| {
        let from = n.checked_sub(1);
        store.write(move |view| set(view, 1, from, Some(n)))
    }));
    let answers = block_on(async { tokio::join!(swaps, async { release.send(()).unwrap() }).0 });
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(rows(&store), BTreeMap::from([(1, 49)]));
}

#[test]
fn a_full_queue_makes_callers_wait_and_loses_nothing() {
    let (store, _home) = memory_store();
    let release = hold_writer(&store);
    let count = QUEUE_LIMIT + 500;
    let writes = join_all((0..count).map(|n| store.write(put((n % 250) as u8, n as u64))));
    let store_seen = store.clone();
    let answers = block_on(async {
        tokio::join!(writes, async move {
            assert_eq!(store_seen.metrics().waiting, QUEUE_LIMIT);
            release.send(()).unwrap();
        })
        .0
    });
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(store.metrics().durable_operations, count as u64);
    assert_eq!(store.metrics().largest_batch, writer::MAX_BATCH as u64);
}

#[test]
fn a_panic_or_a_refusal_answers_its_caller_and_the_writer_goes_on() {
    let (store, _home) = memory_store();
    let before = store.metrics();
    let panicked = block_on(perform(&store, StoreTestOperation::Panic(1)));
    assert_eq!(panicked, Err(StoreTestRefusal::Store(StoreError::Panicked { message: "on purpose".into() })));
    assert_eq!(block_on(perform(&store, StoreTestOperation::Refuse(1))), Err(StoreTestRefusal::Conflict));
    let large = block_on(store.write(|_| {
        const TEXTS: StoreTable<u8, Vec<u8>> = StoreTable::new("texts");
        Ok::<_, StoreError>((StoreChanges::none().put(&TEXTS, &1, &vec![0; 5 << 20]), ()))
    }));
    assert!(matches!(large, Err(StoreError::Invalid { .. })));
    let after = store.metrics();
    assert_eq!(
        (after.syncs, after.commit_sequence),
        (before.syncs, before.commit_sequence),
        "nothing changed, so nothing was synced"
    );
    assert_eq!(block_on(perform(&store, StoreTestOperation::Put(1, 2))), Ok(()));
}

#[test]
fn an_acknowledged_write_survives_a_power_cut_at_once() {
    let (store, home) = memory_store();
    block_on(store.write(put(1, 10))).unwrap();
    assert_eq!(rows(&home.after_power_cut()), BTreeMap::from([(1, 10)]));
    assert_eq!(rows(&home.after_kill()), BTreeMap::from([(1, 10)]));
}

#[test]
fn a_soft_write_is_read_at_once_and_durable_within_the_settling_time() {
    let (store, home) = memory_store();
    let syncs = home.syncs();
    block_on(store.write_soft(put(1, 10))).unwrap();
    assert_eq!(rows(&store), BTreeMap::from([(1, 10)]));
    assert_eq!(rows(&home.after_power_cut()), BTreeMap::new(), "not durable yet");
    for _sync_of_a_two_phase_commit in 0..2 {
        syncs.recv_timeout(10 * writer::SETTLE_AFTER).expect("settles by itself");
    }
    assert_eq!(rows(&home.after_power_cut()), BTreeMap::from([(1, 10)]));
}

#[test]
fn a_panic_while_settling_does_not_end_the_writer() {
    let (store, home) = memory_store();
    block_on(store.write(put(1, 10))).unwrap();
    home.fault(|faults| faults.panic_on_sync = true);
    let begun = std::time::Instant::now();
    while store.metrics().reopened == 0 {
        assert!(begun.elapsed() < 10 * writer::SETTLE_AFTER, "the writer has not noticed");
        std::thread::yield_now();
    }
    wait_until_writable(&store);
    block_on(store.write(put(2, 20))).unwrap();
    assert_eq!(rows(&store), BTreeMap::from([(1, 10), (2, 20)]));
}

#[test]
fn a_durable_write_takes_the_soft_ones_before_it_along() {
    let (store, home) = memory_store();
    block_on(store.write_soft(put(1, 10))).unwrap();
    block_on(store.write(put(2, 20))).unwrap();
    assert_eq!(rows(&home.after_power_cut()), BTreeMap::from([(1, 10), (2, 20)]));
}

#[test]
fn dropping_the_last_handle_settles_and_closes() {
    let (store, home) = memory_store();
    let syncs = home.syncs();
    block_on(store.write_soft(put(1, 10))).unwrap();
    drop(store);
    while rows(&home.after_power_cut()).is_empty() {
        syncs.recv_timeout(Duration::from_secs(10)).expect("settles when it is dropped");
    }
}

#[test]
fn after_a_close_everything_says_closed() {
    let (store, home) = memory_store();
    block_on(store.write_soft(put(1, 10))).unwrap();
    block_on(store.close()).unwrap();
    assert_eq!(block_on(store.write(put(1, 11))), Err(StoreTestRefusal::Store(StoreError::Closed)));
    assert_eq!(block_on(store.close()), Err(StoreError::Closed));
    assert_eq!(rows(&home.after_power_cut()), BTreeMap::from([(1, 10)]));
}

#[test]
fn readers_are_told_of_commits_and_keep_their_snapshot() {
    let (store, _home) = memory_store();
    let mut news = store.commits();
    assert!(!news.has_changed().unwrap());
    block_on(store.write(put(1, 1))).unwrap();
    block_on(news.changed()).unwrap();
    let sequence = *news.borrow_and_update();
    store
        .read(|view| {
            let writer = store.clone();
            std::thread::spawn(move || block_on(writer.write(put(1, 2)))).join().unwrap().unwrap();
            assert_eq!(view.get(&ROWS, &1)?, Some(1), "a snapshot does not move");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(*news.borrow(), sequence + 1);
    assert_eq!(rows(&store), BTreeMap::from([(1, 2)]));
}

#[test]
fn on_a_full_disk_writes_are_refused_reads_go_on_and_space_heals_it() {
    let (store, home) = memory_store();
    block_on(store.write(put(1, 1))).unwrap();
    home.fault(|faults| faults.full = true);
    let fill = |n: u64| {
        const BULK: StoreTable<u64, Vec<u8>> = StoreTable::new("bulk");
        move |_: &StoreView<'_>| {
            let block = vec![n as u8; 100_000];
            let changes = (0..10).fold(StoreChanges::none(), |c, i| c.put(&BULK, &(n * 10 + i), &block));
            Ok::<_, StoreError>((changes, ()))
        }
    };
    let first = (0..100).find_map(|n| block_on(store.write(fill(n))).err()).expect("the disk fills up");
    assert!(
        matches!(first, StoreError::Unknown { .. } | StoreError::Unavailable { .. }),
        "the caller is told: {first}"
    );
    let error = block_on(store.write(fill(200))).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("memory") && error.to_string().contains("free some space"), "{error}");
    assert_eq!(rows(&store), BTreeMap::from([(1, 1)]), "reads go on");
    home.fault(|faults| faults.full = false);
    wait_until_writable(&store);
    block_on(store.write(fill(300))).unwrap();
    assert!(store.metrics().reopened >= 1);
}

#[test]
fn a_failed_sync_is_unknown_and_a_lost_file_is_waited_for() {
    let (store, home) = memory_store();
    block_on(store.write(put(1, 1))).unwrap();
    home.fault(|faults| {
        faults.fail_after = Some(3);
        faults.gone = true;
    });
    let mut answers = (2..20).map(|key| block_on(store.write(put(key, 1))));
    let failed = answers.find_map(Result::err).unwrap();
    assert!(
        matches!(
            failed,
            StoreTestRefusal::Store(StoreError::Unknown { .. } | StoreError::Unavailable { .. })
        ),
        "{failed}"
    );
    let unread = store.read(|view| view.get(&ROWS, &1));
    assert!(matches!(unread, Err(StoreError::Unreadable { .. })), "{unread:?}");
    home.fault(|faults| *faults = super::testing::DiskFaults::default());
    wait_until_writable(&store);
    assert_eq!(rows(&store).get(&1), Some(&1));
}

#[test]
fn a_commit_that_fails_on_a_file_moved_away_costs_neither_reads_nor_the_backup() {
    let (store, home) = memory_store();
    block_on(store.write(put(1, 1))).unwrap();
    home.fault(|faults| (faults.displaced, faults.fail_after) = (true, Some(0)));
    let dir = tempfile::tempdir().unwrap();
    for name in ["first.redb", "second.redb"] {
        // Begins with a commit, which fails.
        super::backup::backup(&store, &dir.path().join(name)).unwrap();
        assert_eq!(rows(&store), BTreeMap::from([(1, 1)]), "reads go on");
        assert_eq!(rows(&Store::open(dir.path().join(name)).unwrap()), BTreeMap::from([(1, 1)]));
    }
    assert!(matches!(*store.status().borrow(), super::StoreStatus::Refusing { .. }));
    home.fault(|faults| *faults = super::testing::DiskFaults::default());
    wait_until_writable(&store);
    block_on(store.write(put(2, 1))).unwrap();
    assert_eq!(rows(&store), BTreeMap::from([(1, 1), (2, 1)]));
}

#[test]
fn reads_that_fail_are_counted() {
    const NUMBERS: StoreTable<u8, u8> = StoreTable::new("texts");
    const TEXTS: StoreTable<u8, String> = StoreTable::new("texts");
    let (store, _home) = memory_store();
    let text = StoreChanges::none().put(&TEXTS, &1, &"no number".to_owned());
    block_on(store.write(move |_| Ok::<_, StoreError>((text, ())))).unwrap();
    assert_eq!((store.read(|view| view.get(&TEXTS, &2)), store.metrics().failed_reads), (Ok(None), 0));
    assert!(matches!(store.read(|view| view.get(&NUMBERS, &1)), Err(StoreError::Damaged { .. })));
    let inside = |view: &StoreView<'_>| {
        view.range(&NUMBERS, &KeyRange::all(), ScanOrder::Ascending, 9)?;
        Ok::<_, StoreError>((StoreChanges::none(), ()))
    };
    assert!(block_on(store.write(inside)).is_err());
    assert_eq!(store.metrics().failed_reads, 2);
}

#[test]
fn a_new_disk_holds_a_whole_store() {
    assert!(rows(&MemoryHome::created().after_power_cut()).is_empty());
}
