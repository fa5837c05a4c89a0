//! Retention over the wire: what goes, what stays, and a daemon that is killed in the middle.

use std::time::Duration;

use pas::actors::jobs::readers::LedgerEntry;
use pas::domain::ids::RunId;
use pas::store::{Store, StoreChanges, StoreError, StoreTable};
use serde_json::{Value, json};

use crate::support::{Api, Place};

const CLOSED: StoreTable<RunId, i64> = StoreTable::new("closed_runs");
const LEDGER: StoreTable<(i64, RunId), LedgerEntry> = StoreTable::new("ledger");
/// More than runs are kept by default.
const LONG_AGO_MS: i64 = 200 * 86_400_000;
const KILLS: u32 = 4;

/// Has runs of a stopped daemon end long ago.
async fn age(place: &Place, runs: &[String]) {
    let file = place.config().store_file();
    let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
    let runs: Vec<RunId> = runs.iter().map(|run| RunId::new(run).unwrap()).collect();
    let aged = store.write(move |view| {
        let mut changes = StoreChanges::none();
        for run in &runs {
            let closed = view.get(&CLOSED, run)?.unwrap();
            let line = view.get(&LEDGER, &(closed, run.clone()))?.unwrap();
            let old = closed - LONG_AGO_MS;
            changes = changes.delete(&LEDGER, &(closed, run.clone())).put(&CLOSED, run, &old);
            changes = changes.put(&LEDGER, &(old, run.clone()), &line);
        }
        Ok::<_, StoreError>((changes, ()))
    });
    aged.await.unwrap();
    store.close().await.unwrap();
}

async fn status(api: &Api, path: &str) -> u16 {
    api.try_get(path).await.unwrap().0.as_u16()
}

/// Whether a run is there with rows, manifest and artifacts; a run that is not there has no row.
async fn is_whole(api: &Api, place: &Place, run: &str) -> bool {
    let there = status(api, &format!("/jobs/{run}")).await == 200;
    let listed = api.get("/jobs?limit=100").await.to_string().contains(run);
    assert_eq!(there, listed, "{run}");
    assert_eq!(there, status(api, &format!("/runs/{run}/manifest")).await == 200, "{run}");
    assert_eq!(there, api.get("/ledger").await.to_string().contains(run), "{run}");
    let artifacts = place.dir.path().join("artifacts/runs").join(run).join("report/report.html").is_file();
    assert!(artifacts || !there, "{run} is there without its artifacts");
    there
}

fn jobs_of(report: &Value) -> &Value {
    &report["kinds"][0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_runs_go_whole_whenever_the_daemon_is_killed_and_the_others_stay() {
    let place = Place::with_documents(2);
    let process = place.start_process().await;
    let mut runs = Vec::new();
    for n in 0..4 {
        let key = format!("key-{n}");
        let card =
            json!({ "task": "ingest", "inputs": { "source": place.corpus() }, "idempotency_key": key });
        let run = process.api.try_submit(&card).await.unwrap();
        process.api.done(&run).await;
        runs.push(run);
    }
    let kept = runs.pop().unwrap();
    process.kill();
    age(&place, &runs).await;

    let process = place.start_process().await;
    let told = place.command(&["prune", "--dry-run", "--json"]).output().unwrap();
    let told: Value =
        serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"));
    assert_eq!((&jobs_of(&told)["kept"]["count"], &jobs_of(&told)["gone"]["count"]), (&json!(4), &json!(3)));
    assert!(jobs_of(&told)["gone"]["bytes"].as_u64().unwrap() > 10_000, "{told}");
    for run in &runs {
        assert!(is_whole(&process.api, &place, run).await, "a dry run deletes nothing");
    }
    process.kill();

    for _ in 0..KILLS {
        let process = place.start_process().await;
        let api = place.api();
        let pruning = tokio::runtime::Handle::current().spawn(async move {
            tokio::time::timeout(Duration::from_secs(20), api.post("/prune", json!({}))).await
        });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..60))).await;
        process.kill();
        // It was cut off, mostly.
        pruning.abort();
        let process = place.start_process().await;
        for run in runs.iter().chain([&kept]) {
            is_whole(&process.api, &place, run).await;
        }
        process.kill();
    }

    let process = place.start_process().await;
    let api = &process.api;
    assert_eq!(api.get("/health").await["retention"], Value::Null, "nobody has looked yet");
    let report = api.ask("/prune", json!({})).await;
    assert_eq!(jobs_of(&report)["kept"]["count"], 1, "{report}");
    assert_eq!(api.get("/health").await["retention"], report, "no walk over the files");
    let hmi = api.with_base(format!("http://{}", api.address_of(6101)));
    let audit = hmi.get("/api/audit?limit=1").await;
    let entry = &audit["entries"][0];
    assert_eq!((&entry["action"], &entry["outcome"]), (&json!("prune"), &json!("done")), "{audit}");
    let gone = jobs_of(&report)["gone"]["count"].as_u64().unwrap();
    let said = entry["message"].as_str().unwrap();
    assert_eq!(said.starts_with(&format!("deleted {gone} jobs (")), gone > 0, "{said}");
    for run in &runs {
        assert!(!is_whole(api, &place, run).await);
        assert!(!place.dir.path().join("artifacts/runs").join(run).exists(), "{run} left its folder");
        assert_eq!(status(api, &format!("/jobs/{run}.audit")).await, 404);
    }
    assert!(is_whole(api, &place, &kept).await);
    let again = api.ask("/prune", json!({})).await;
    assert_eq!(jobs_of(&again)["gone"]["count"], 0);
    let card =
        json!({ "task": "ingest", "inputs": { "source": place.corpus() }, "idempotency_key": "key-0" });
    let anew = api.try_submit(&card).await.unwrap();
    assert!(!runs.contains(&anew), "a key of a deleted run is free");
}
