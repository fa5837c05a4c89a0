//! The state found by the next start, and the recovery.

use std::io::Write as _;

use super::*;

fn file(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(FOLDER).join(format!("{name}.jsonl"))
}

/// Settles calls of these costs, as a daemon that lives on.
async fn settle_all(accounts: &AccountsHandle, name: &str, costs: &[u64]) {
    for cost in costs {
        let hold = accounts.hold(wanted(name, 100)).await.unwrap();
        accounts.settle(hold, paid(*cost)).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_and_not_committed_is_booked_by_the_next_start_once() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    settle_all(&doomed.0, "a", &[1, 2]).await;
    settle_all(&doomed.0, "b", &[3]).await;
    doomed.crash(Vec::new()).await;
    for _ in 0..2 {
        let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
        assert_eq!(stored(&living.accounts, "a").await, [(1, 1), (2, 2)]);
        assert_eq!(stored(&living.accounts, "b").await, [(3, 3)]);
        assert_eq!(lines(dir.path(), "a"), [(1, 1), (2, 2)]);
        assert_eq!(living.spent(&BudgetScope::Day), (6, 0));
        assert_eq!(living.accounts.metrics(TimeWindow::Hour).total.cost, NanoUsd(6), "windows are restored");
        living.stop().await;
    }
}

#[tokio::test]
async fn open_holds_are_charged_once_and_released_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    doomed.0.set_budget(BudgetScope::Run(run("capped")), NanoUsd(1_000)).await.unwrap();
    let open = vec![
        doomed.0.hold(wanted("capped", 70)).await.unwrap(),
        doomed.0.hold(wanted("free", 30)).await.unwrap(),
    ];
    let given_back = doomed.0.hold(wanted("free", 500)).await.unwrap();
    doomed.0.release(given_back);
    settle_all(&doomed.0, "free", &[4]).await;
    settle_all(&doomed.0, "capped", &[5]).await;
    doomed.crash(open).await;
    for _ in 0..3 {
        let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
        assert_eq!(living.spent(&BudgetScope::Run(run("capped"))), (75, 0));
        assert_eq!(living.spent(&BudgetScope::Run(run("free"))), (34, 0));
        let receipts = living.accounts.receipts(&run("free")).await.unwrap();
        let cut: Vec<_> = receipts.iter().filter(|r| r.outcome.status == ReceiptStatus::Error).collect();
        assert_eq!((receipts.len(), cut.len(), cut[0].outcome.cost), (2, 1, NanoUsd(30)));
        assert!(cut[0].outcome.error_message.as_ref().unwrap().contains("unknown"));
        assert_eq!(stored(&living.accounts, "capped").await, lines(dir.path(), "capped"));
        assert_eq!(stored(&living.accounts, "free").await, lines(dir.path(), "free"));
        living.stop().await;
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    settle_all(&doomed.0, "a", &[1, 2]).await;
    doomed.crash(Vec::new()).await;
    let whole = std::fs::read(file(dir.path(), "a")).unwrap();
    let torn = &whole[..whole.len() - 10];
    for tail in
        [torn, &[whole.as_slice(), b"{\"request_id\":"].concat(), &[whole.as_slice(), &[0; 5000]].concat()]
    {
        std::fs::write(file(dir.path(), "a"), tail).unwrap();
        let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
        living.stop().await;
        let lines = lines(dir.path(), "a");
        assert_eq!(lines[0], (1, 1));
        // Torn in the first round; the journal charges the full hold for the second receipt.
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}

#[tokio::test]
async fn lines_that_the_disk_lost_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    settle_all(&doomed.0, "a", &[1, 2, 3]).await;
    flusher::flush(&doomed.0.shared).await.unwrap();
    doomed.crash(Vec::new()).await;
    let first =
        std::fs::read_to_string(file(dir.path(), "a")).unwrap().lines().next().unwrap().to_owned() + "\n";
    std::fs::write(file(dir.path(), "a"), first).unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(lines(dir.path(), "a"), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(living.spent(&BudgetScope::Day), (6, 0));
    living.stop().await;
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    settle_all(&living.accounts, "a", &[1, 2, 3]).await;
    living.stop().await;
    let text = std::fs::read_to_string(file(dir.path(), "a")).unwrap();
    let damaged = text.replacen("\"seq\":2", "\"seq\":?", 1);
    std::fs::write(file(dir.path(), "a"), &damaged).unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(lines(dir.path(), "a"), [(1, 1), (2, 2), (3, 3)]);
    let mut names = std::fs::read_dir(dir.path().join(FOLDER)).unwrap().map(|entry| entry.unwrap());
    let aside = names.find(|entry| entry.file_name().to_string_lossy().contains("damaged")).unwrap();
    assert_eq!(std::fs::read_to_string(aside.path()).unwrap(), damaged, "it was left as it was");
    settle_all(&living.accounts, "a", &[4]).await;
    assert_eq!(lines(dir.path(), "a").len(), 4);
    living.stop().await;
}

#[tokio::test]
async fn an_alert_raised_before_a_crash_is_told_after_it_under_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    doomed.0.set_budget(BudgetScope::Run(run("a")), NanoUsd(100)).await.unwrap();
    settle_all(&doomed.0, "a", &[80]).await;
    doomed.crash(Vec::new()).await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let mut told = living.told.0.lock().clone();
    told.dedup();
    assert_eq!(told, ["budget-run:a-1-75"]);
    living.stop().await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(*living.told.0.lock(), [""; 0]);
    living.stop().await;
}

#[tokio::test]
async fn receipts_that_were_booked_and_not_told_are_told_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    settle_all(&doomed.0, "a", &[1, 2]).await;
    flusher::flush(&doomed.0.shared).await.unwrap();
    settle_all(&doomed.0, "a", &[3]).await;
    doomed.crash(Vec::new()).await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let told: std::collections::BTreeSet<u64> = living.told.1.lock().iter().copied().collect();
    assert_eq!(told, [1, 2, 3].into());
    living.stop().await;
}

#[tokio::test]
async fn a_crash_of_the_actor_alone_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let system = ActorSystem::default();
    let (spec, accounts) = spec(
        &system,
        "accounts",
        WorkerOptions::default(),
        store.clone(),
        settings(dir.path(), FsyncTiming::After),
        Arc::<RecordingObserver>::default(),
    );
    let policy = SupervisorPolicy { intensity: 10, ..SupervisorPolicy::default() };
    let root = system.start("root", policy, vec![spec]).await.unwrap();
    let open = accounts.hold(wanted("a", 100)).await.unwrap();
    for round in 1..=5 {
        settle_all(&accounts, "a", &[round]).await;
        // While a restart is under way there is nobody to kill.
        while system.kill("accounts").await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    accounts.settle(open, paid(6)).await.unwrap();
    accounts.sync().await.unwrap();
    let expected: Vec<(u64, u64)> = (1..=6).map(|n| (n, n)).collect();
    assert_eq!(stored(&accounts, "a").await, expected);
    assert_eq!(lines(dir.path(), "a"), expected);
    root.shutdown().await;
}

#[tokio::test]
async fn the_journal_begins_anew_and_keeps_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let doomed = UnflushedAccounts::start(dir.path()).await;
    let open = doomed.0.hold(wanted("a", 30)).await.unwrap();
    settle_all(&doomed.0, "a", &[1]).await;
    doomed.0.shared.rotate(&mut doomed.0.shared.journal.lock()).unwrap();
    settle_all(&doomed.0, "a", &[2]).await;
    let mut journal =
        std::fs::OpenOptions::new().append(true).open(dir.path().join(".pas/holds.journal")).unwrap();
    journal.write_all(b"{\"held\":[1,").unwrap();
    doomed.crash(vec![open]).await;
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    assert_eq!(stored(&living.accounts, "a").await, [(1, 1), (2, 2), (3, 30)]);
    living.stop().await;
}

#[tokio::test]
async fn the_tier_and_the_searches_of_a_receipt_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    settle_all(&living.accounts, "a", &[1]).await;
    let hold = living.accounts.hold(wanted("a", 100)).await.unwrap();
    let usage = TokenUsage { searches: 3, tier: ServiceTier::Flex, ..TokenUsage::default() };
    living.accounts.settle(hold, ReceiptOutcome { usage, ..paid(2) }).await.unwrap();
    living.stop().await;
    std::fs::remove_file(file(dir.path(), "a")).unwrap();
    let living = SupervisedAccounts::start(dir.path(), FsyncTiming::After).await;
    let receipts = living.accounts.receipts(&run("a")).await.unwrap();
    let terms = receipts.iter().map(|receipt| (receipt.outcome.usage.tier, receipt.outcome.usage.searches));
    assert_eq!(terms.collect::<Vec<_>>(), [(ServiceTier::Standard, 0), (ServiceTier::Flex, 3)]);
    living.stop().await;
}
