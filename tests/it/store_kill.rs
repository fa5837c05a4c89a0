//! `kill -9` under load: no acknowledged write of the store is lost, and none is half done.
//!
//! The test starts this very binary again as a writer (the ignored test [`child`]), which writes from many
//! tasks and prints each acknowledged write. The parent kills that process at a random moment, reads the rest
//! of its output, opens the file and compares; then goes on with the same file.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pas::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable};

/// Number of kills; the project promises at least a hundred.
const ROUNDS: u64 = 100;

/// Longest time a child may write before the kill. Long enough that some rounds cross a settling commit (one
/// a second) together with their start.
const LONGEST_LIFE: Duration = Duration::from_millis(200);

/// One round in this many lives past a settling commit.
const LONG_ROUND: u64 = 20;

const PATH_VARIABLE: &str = "PAS_TEST_STORE_PATH";
const TASKS_VARIABLE: &str = "PAS_TEST_STORE_TASKS";

/// The last number each task has written, and the newest [`KEPT`] rows: an operation changes both.
const LAST: StoreTable<u64, u64> = StoreTable::new("last");
const WRITTEN: StoreTable<(u64, u64), Vec<u8>> = StoreTable::new("written");

/// Rows a task keeps of those it wrote, so that file and check stay small.
const KEPT: u64 = 32;

/// A row's content is a function of its key, so that a torn row is noticed.
fn content(task: u64, number: u64) -> Vec<u8> {
    let seed = task.wrapping_mul(31).wrapping_add(number);
    (0..seed % 700).map(|i| (seed.wrapping_mul(i + 1) % 251) as u8).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

async fn write_next(store: &Store, task: u64) -> Result<u64, StoreError> {
    store
        .write(move |view| {
            let number = view.get(&LAST, &task)?.map_or(0, |last| last + 1);
            let changes = StoreChanges::none()
                .put(&LAST, &task, &number)
                .put(&WRITTEN, &(task, number), &content(task, number))
                .delete(&WRITTEN, &(task, number.wrapping_sub(KEPT)));
            Ok((changes, number))
        })
        .await
}

/// The process to be killed: no test of its own, does nothing without the variables.
#[test]
#[ignore = "the child process of `acknowledged_writes_survive_a_hundred_kills`"]
fn child() {
    let (Ok(path), Ok(tasks)) = (std::env::var(PATH_VARIABLE), std::env::var(TASKS_VARIABLE)) else { return };
    let tasks: u64 = tasks.parse().unwrap();
    let store = Store::open(path).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let writers = (0..tasks).map(|task| {
            let store = store.clone();
            runtime.spawn(async move {
                loop {
                    let number = write_next(&store, task).await.unwrap();
                    // One system call a line, so that a kill cuts no line in two.
                    let line = format!("ack {task} {number}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            })
        });
        futures_util::future::join_all(writers.collect::<Vec<_>>()).await;
    });
}

fn start_child(path: &Path, tasks: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_kill::child", "--ignored", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .env(TASKS_VARIABLE, tasks.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Lets a child write for `life` after the first acknowledgement, then kills it; returns the last number
/// acknowledged to each task.
fn write_and_kill(path: &Path, tasks: u64, life: Duration) -> BTreeMap<u64, u64> {
    let mut child = start_child(path, tasks);
    let output = BufReader::new(child.stdout.take().unwrap());
    let (writing, has_begun) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = BTreeMap::new();
        for line in output.split(b'\n') {
            let line = line.unwrap();
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split(' ');
            if words.next() != Some("ack") {
                continue;
            }
            let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
            acknowledged.insert(numbers[0], numbers[1]);
            let _only_the_first_counts = writing.send(());
        }
        acknowledged
    });
    has_begun.recv_timeout(Duration::from_secs(60)).expect("the child writes");
    // The kill must come at a moment that nothing in the child chose.
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Opens the store as the kill left it and checks every row; returns the number of writes found and the time
/// that opening took.
fn check(path: &Path, acknowledged: &BTreeMap<u64, u64>) -> (u64, Duration) {
    let start = Instant::now();
    let store = Store::open(path).unwrap();
    let reopened_in = start.elapsed();
    let (last, written) = store
        .read(|view| {
            let last = view.range(&LAST, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
            let written = view.range(&WRITTEN, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)?;
            Ok::<_, StoreError>((last, written))
        })
        .unwrap();
    // Dropping a store closes it a little later; the next child must find the file free.
    runtime().block_on(store.close()).unwrap();
    let last: BTreeMap<_, _> = last.into_iter().collect();
    for (task, number) in acknowledged {
        assert!(last.get(task) >= Some(number), "task {task}: {number} was acknowledged, found {last:?}");
    }
    let mut found = written.iter();
    for (&task, &number) in &last {
        for expected in (number + 1).saturating_sub(KEPT)..=number {
            let ((found_task, found_number), bytes) = found.next().expect("a row of every number");
            assert_eq!((*found_task, *found_number), (task, expected), "the two tables agree");
            assert_eq!(*bytes, content(task, expected), "row ({task}, {expected}) is whole");
        }
    }
    assert_eq!(found.next(), None, "no row is left of a write that did not happen");
    (last.values().map(|number| number + 1).sum(), reopened_in)
}

#[test]
fn acknowledged_writes_survive_a_hundred_kills() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("killed.redb");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let mut rows = 0;
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let tasks = [8, 16, 32, 64][fastrand::usize(0..4)];
        let mut life = LONGEST_LIFE.mul_f64(fastrand::f64());
        if round % LONG_ROUND == LONG_ROUND - 1 {
            life += Duration::from_secs(1);
        }
        let told = write_and_kill(&path, tasks, life);
        acknowledged.extend(told);
        let (found, reopened_in) = check(&path, &acknowledged);
        rows = found;
        slowest = slowest.max(reopened_in);
    }
    let checked: u64 = acknowledged.values().map(|last| last + 1).sum();
    println!(
        "{ROUNDS} kills; {checked} acknowledged writes all found, {rows} writes in the file, none half done; slowest reopening {slowest:?}"
    );
    assert!(checked >= ROUNDS, "the children wrote under load");
}
