//! `kill -9` of the accounts under load: every call that could have been sent has exactly one receipt, files
//! and store agree, and no budget is overdrawn.
//!
//! The test starts this very binary again (the ignored test [`child`]), which holds and settles from many
//! tasks and prints each granted hold and each answered settlement. The parent kills that process at a random
//! moment, fifty times over the same folder, and then checks everything.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use pas::actors::accounts::{self, AccountsError, AccountsHandle, AccountsObserver, AccountsSettings};
use pas::config::FsyncTiming;
use pas::domain::accounts::budget::{BudgetAlert, BudgetScope, CallKey, RunName, ScopeLabel, SpendRequest};
use pas::domain::accounts::receipt::{Receipt, ReceiptOutcome, ReceiptStatus, wire};
use pas::domain::money::NanoUsd;
use pas::domain::time::Timestamp;
use pas::store::Store;
use pas::supervision::policy::SupervisorPolicy;
use pas::supervision::{ActorSystem, RootHandle, WorkerOptions};

/// Number of kills; the number that the project promises.
const KILLS: usize = 50;
/// Longest time under load before a kill.
const LONGEST_LIFE: Duration = Duration::from_millis(150);
const TASKS: usize = 16;
/// Most that a call may cost.
const WORST: u64 = 1_000;
/// Used up after some hundred calls, so that holds are refused while the test runs.
const CAP: u64 = 40_000;
const FOLDER_VARIABLE: &str = "PAS_TEST_ACCOUNTS_FOLDER";
/// The last one has a budget.
const RUNS: [&str; 3] = ["a", "b", "capped"];

struct Told(Mutex<Vec<String>>);

impl AccountsObserver for Told {
    fn alert(&self, alert: &BudgetAlert) {
        let id = alert.id();
        // One system call a line, so that a kill cuts no line in two.
        std::io::stdout().lock().write_all(format!("alert {id}\n").as_bytes()).unwrap();
        self.0.lock().push(id);
    }
}

fn run(name: &str) -> RunName {
    RunName::new(name).unwrap()
}

async fn open(folder: &Path) -> (AccountsHandle, RootHandle, Store, Arc<Told>) {
    let file = folder.join("pas.redb");
    let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
    let settings = AccountsSettings {
        workdir: folder.to_owned(),
        data_dir: folder.to_owned(),
        fsync: if fastrand::bool() { FsyncTiming::After } else { FsyncTiming::BeforeAnswer },
    };
    let (system, told) = (ActorSystem::default(), Arc::new(Told(Mutex::default())));
    let sink: Arc<dyn AccountsObserver> = Arc::<Told>::clone(&told);
    let (spec, accounts) =
        accounts::spec(&system, "accounts", WorkerOptions::default(), store.clone(), settings, sink);
    let root = system.start("root", SupervisorPolicy::default(), vec![spec]).await.unwrap();
    (accounts, root, store, told)
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

async fn call(accounts: &AccountsHandle) {
    let name = RUNS[fastrand::usize(..RUNS.len())];
    let wanted = SpendRequest {
        call: CallKey { request_id: format!("r{}", fastrand::u32(..)), attempt: 1 },
        run: run(name),
        job: None,
        agent: ScopeLabel::new("agent").unwrap(),
        lane: None,
        provider: "p".into(),
        model: "m".into(),
        worst: NanoUsd(fastrand::u64(1..=WORST)),
    };
    let hold = match accounts.hold(wanted).await {
        Ok(hold) => hold,
        Err(AccountsError::OverBudget(_)) => return tokio::time::sleep(Duration::from_millis(1)).await,
        Err(other) => panic!("{other}"),
    };
    let (id, worst) = (hold.id(), hold.amount().0);
    say(&format!("held {id} {worst}\n"));
    if fastrand::u8(..) < 64 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..5))).await;
    }
    let mut outcome = ReceiptOutcome::unknown(NanoUsd(worst / 2), Timestamp::now(), 1, "");
    (outcome.status, outcome.error_message) = (ReceiptStatus::Success, None);
    let receipt = accounts.settle(hold, outcome).await.unwrap();
    say(&format!("settled {id} {}\n", receipt.seq));
}

/// The process to be killed: no test of its own, does nothing without the variable.
#[test]
#[ignore = "the child process of `fifty_kills_lose_no_receipt_and_double_none`"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER_VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (accounts, _root, _store, _told) = open(Path::new(&folder)).await;
        accounts.set_budget(BudgetScope::Run(run("capped")), NanoUsd(CAP)).await.unwrap();
        let tasks = (0..TASKS).map(|_| {
            let accounts = accounts.clone();
            runtime.spawn(async move {
                loop {
                    call(&accounts).await;
                }
            })
        });
        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
    });
}

/// Output of the children before their deaths.
#[derive(Default)]
struct Heard {
    held: BTreeMap<u64, u64>,
    settled: BTreeMap<u64, u64>,
    alerts: Vec<String>,
}

fn run_and_kill(folder: &Path, heard: &mut Heard) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "accounts_kill::child", "--ignored", "--nocapture"])
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (working, has_begun) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in output.split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
            if line.starts_with("held") {
                let _only_the_first_counts = working.send(());
            }
            lines.push(line);
        }
        lines
    });
    has_begun.recv_timeout(Duration::from_secs(60)).expect("the child works");
    // The kill must come at a moment that nothing in the child chose.
    std::thread::sleep(LONGEST_LIFE.mul_f64(fastrand::f64()));
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reader.join().unwrap() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["held", id, worst] => drop(heard.held.insert(id.parse().unwrap(), worst.parse().unwrap())),
            ["settled", id, seq] => drop(heard.settled.insert(id.parse().unwrap(), seq.parse().unwrap())),
            ["alert", id] => heard.alerts.push(id.to_owned()),
            _ => {}
        }
    }
}

fn lines(folder: &Path, name: &str) -> Vec<Receipt> {
    let text = std::fs::read_to_string(folder.join(accounts::FOLDER).join(format!("{name}.jsonl"))).unwrap();
    text.lines().map(|line| wire::receipt_of(line.as_bytes()).unwrap()).collect()
}

async fn check(folder: &Path, heard: &Heard) -> (usize, usize) {
    let (accounts, root, store, told) = open(folder).await;
    let (mut by_hold, mut seqs) = (BTreeMap::new(), BTreeSet::new());
    let mut total = 0;
    for name in RUNS {
        let stored = accounts.receipts(&run(name)).await.unwrap();
        let stored: Vec<Receipt> = stored.iter().map(|receipt| Receipt::clone(receipt)).collect();
        let mut filed = lines(folder, name);
        filed.sort_by_key(|receipt| receipt.seq);
        assert!(filed == stored, "{name}: {} lines, {} receipts", filed.len(), stored.len());
        let spent: u64 = stored.iter().map(|receipt| receipt.outcome.cost.0).sum();
        let budget = accounts.budget(&BudgetScope::Run(run(name))).unwrap();
        assert_eq!((budget.settled.0, budget.held.0), (spent, 0), "{name}: receipts = ledger");
        assert!(budget.cap.is_none_or(|cap| budget.settled <= cap), "{name} is overdrawn");
        total += spent;
        for receipt in stored {
            assert!(seqs.insert(receipt.seq), "seq {} stands twice", receipt.seq);
            assert!(by_hold.insert(receipt.hold.0, receipt).is_none(), "an attempt has two receipts");
        }
    }
    let agent = accounts.budget(&BudgetScope::Agent(ScopeLabel::new("agent").unwrap())).unwrap();
    assert_eq!(agent.settled.0, total);
    for (hold, worst) in &heard.held {
        let receipt = by_hold.get(hold).unwrap_or_else(|| panic!("hold {hold} has no receipt"));
        let cost = receipt.outcome.cost.0;
        match heard.settled.get(hold) {
            Some(seq) => assert_eq!((receipt.seq, cost), (*seq, worst / 2), "as it was answered"),
            None => assert!([worst / 2, *worst].contains(&cost), "settled unheard, or charged at its hold"),
        }
    }
    let cut_off = by_hold.values().filter(|receipt| receipt.outcome.status == ReceiptStatus::Error).count();
    let mut alerts = heard.alerts.clone();
    alerts.append(&mut told.0.lock().clone());
    let mut seen = BTreeSet::new();
    alerts.retain(|id| seen.insert(id.clone()));
    let raised = ["budget-run:capped-1-75", "budget-run:capped-1-90", "budget-run:capped-1-100"];
    assert!(raised.starts_with(&alerts.iter().map(String::as_str).collect::<Vec<_>>()), "{alerts:?}");
    assert!(alerts.len() >= 2, "the budget was nearly used up: {alerts:?}");
    root.shutdown().await;
    store.close().await.unwrap();
    (by_hold.len(), cut_off)
}

#[test]
fn fifty_kills_lose_no_receipt_and_double_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    for _ in 0..KILLS {
        run_and_kill(folder.path(), &mut heard);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (receipts, cut_off) = runtime.block_on(check(folder.path(), &heard));
    assert_eq!(runtime.block_on(check(folder.path(), &heard)), (receipts, cut_off), "and nothing more after");
    println!(
        "{KILLS} kills: {} holds granted, {} settlements answered, {receipts} receipts, {cut_off} cut off",
        heard.held.len(),
        heard.settled.len()
    );
    assert!(cut_off > 0, "some call was under way at a kill");
}
