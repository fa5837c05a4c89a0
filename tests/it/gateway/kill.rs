//! `kill -9` under gateway load: no receipt is lost or doubled, and budgets stay right.
//!
//! Callers take turns: under a cap and without, whole answers, streams, and streams that their callers leave.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

use super::{chat, place, streamed};
use crate::support::{Place, http_client, until};
use crate::vendor::Vendors;

/// Kills a run of this test makes (some 0.7 s each); others with this environment variable (no `PAS_…`: daemons read those).
const KILLS_VARIABLE: &str = "GATEWAY_KILLS";
const KILLS: u32 = 50;
const CALLERS: usize = 8;
/// The run with a budget, whose holds stand in the store; those of the other stand in the journal.
const RUNS: [&str; 2] = ["killed", "free"];

fn kills() -> u32 {
    std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Calls without a pause until told to stop; the names of the requests that were answered to the end.
async fn call(url: String, caller: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let http = http_client();
    let (run, is_stream, leaves) = (RUNS[caller % 2], caller % 4 >= 2, caller >= CALLERS - 2);
    let body = if is_stream { streamed("gpt-4-turbo") } else { chat("gpt-4-turbo") };
    let mut answered = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{caller}-{number}-{}", fastrand::u64(..));
        let request = http.post(&url).json(&body).header("x-pas-run-id", run);
        let request = request.header("x-pas-request-id", &id).timeout(Duration::from_secs(10));
        let whole = async {
            let mut response = request.send().await?.error_for_status()?;
            if leaves {
                response.chunk().await?;
                return Ok(Bytes::new());
            }
            response.bytes().await
        };
        let is_whole = |bytes: &[u8]| !is_stream || String::from_utf8_lossy(bytes).contains("[DONE]");
        if whole.await.is_ok_and(|bytes: Bytes| is_whole(&bytes)) {
            answered.push(id);
        } else {
            // The daemon is gone; the next one comes in a moment.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    answered
}

async fn get(place: &Place, path: &str) -> Option<Value> {
    let url = format!("http://127.0.0.1:{}{path}", 6120 + place.offset);
    http_client().get(url).send().await.ok()?.json().await.ok()
}

fn lines(place: &Place, run: &str) -> Vec<Value> {
    let file = place.dir.path().join(format!("artifacts/costs/{run}.jsonl"));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect()
}

/// The symptom that this file is about was seen once where nothing was lost: another test's daemon had the
/// ports of a killed one, and answered its callers.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_on_another_s_ports_is_not_taken_for_it() {
    let neighbour = Place::with_documents(1);
    let place = Place::beside(&neighbour);
    let process = neighbour.start_process().await;
    let failure = place.try_start_process().await.err().expect("its ports are taken");
    assert!(failure.contains("in use"), "{failure}");
    process.kill();
    place.start_process().await.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_survive_kills_exactly_once() {
    let vendors = Vendors::start().await;
    let place = place(&vendors);
    let stop = Arc::new(AtomicBool::new(false));
    let url = format!("http://127.0.0.1:{}/v1/chat/completions", 6120 + place.offset);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::runtime::Handle::current().spawn(call(url.clone(), caller, Arc::clone(&stop))))
        .collect();
    for kill in 0..kills() {
        let process = place.start_process().await;
        if kill == 0 {
            let budget = "/budget?run_id=killed&budget_usd=1000";
            let url = format!("http://127.0.0.1:{}{budget}", 6120 + place.offset);
            until("the budget is set", async || http_client().post(&url).send().await.ok()).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..400))).await;
        process.kill();
    }
    let process = place.start_process().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await.unwrap());
    }
    // Nothing is held any more: what the killed daemons left is charged.
    let settled = async || {
        let budget = get(&place, "/budget/killed").await?;
        (budget["held_usd"] == 0).then_some(budget)
    };
    let budget = until("no call is under way", settled).await;
    let mut served = Vec::new();
    for run in RUNS {
        served.push(get(&place, &format!("/receipts/{run}?limit=1")).await.unwrap()["total"].clone());
    }
    process.kill();
    let by_run = RUNS.map(|run| lines(&place, run));
    assert_eq!(served, by_run.each_ref().map(|lines| lines.len()), "the ledger and the files agree");
    let nanos: u64 = by_run[0].iter().map(|line| line["metadata"]["cost_nano_usd"].as_u64().unwrap()).sum();
    assert_eq!(budget["spent_usd"], Value::from(pas::domain::money::NanoUsd(nanos).wire()));
    each_answered_once(&answered, &by_run.concat());
    assert!(answered.len() > 20, "only {} calls were answered", answered.len());
}

/// No receipt is doubled, and every answered call has one of success.
#[track_caller]
fn each_answered_once(answered: &BTreeSet<String>, lines: &[Value]) {
    let of = |receipt: &Value| {
        (receipt["request_id"].as_str().unwrap().to_owned(), receipt["metadata"]["attempt"].as_u64().unwrap())
    };
    let unique: BTreeSet<_> = lines.iter().map(of).collect();
    assert_eq!(unique.len(), lines.len(), "a receipt is doubled");
    let holds: BTreeSet<_> = lines.iter().map(|line| line["metadata"]["hold_id"].as_u64().unwrap()).collect();
    assert_eq!(holds.len(), lines.len(), "a hold was settled twice");
    let paid: BTreeSet<_> = lines
        .iter()
        .filter(|line| line["status"] == "success")
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = answered.difference(&paid).collect();
    assert!(lost.is_empty(), "{} of {} answered calls have no receipt: {lost:?}", lost.len(), answered.len());
}
