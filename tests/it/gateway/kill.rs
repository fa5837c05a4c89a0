//! `kill -9` under gateway load: no receipt is lost or doubled, and budgets stay right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{chat, place};
use crate::support::{Place, http_client, until};
use crate::vendor::Vendors;

/// Kills a run of this test makes (some 0.7 s each); others with this environment variable (no `PAS_…`: daemons read those).
const KILLS_VARIABLE: &str = "GATEWAY_KILLS";
const KILLS: u32 = 50;
const CALLERS: usize = 8;

fn kills() -> u32 {
    std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Calls without a pause until told to stop; the names of the requests that were answered.
async fn call(url: String, caller: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let http = http_client();
    let mut answered = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{caller}-{number}-{}", fastrand::u64(..));
        let request = http.post(&url).json(&chat("gpt-4-turbo")).header("x-pas-run-id", "killed");
        let request = request.header("x-pas-request-id", &id).timeout(Duration::from_secs(10));
        let whole = async {
            let response = request.send().await?.error_for_status()?;
            response.bytes().await
        };
        if whole.await.is_ok() {
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

fn lines(place: &Place) -> Vec<Value> {
    let file = place.dir.path().join("artifacts/costs/killed.jsonl");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect()
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
    let served = get(&place, "/receipts/killed").await.unwrap();
    process.kill();
    let lines = lines(&place);
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
    assert!(lost.is_empty(), "{} answered calls have no receipt: {lost:?}", lost.len());
    assert_eq!(served["count"].as_u64().unwrap(), lines.len() as u64, "the ledger and the file agree");
    let nanos: u64 = lines.iter().map(|line| line["metadata"]["cost_nano_usd"].as_u64().unwrap()).sum();
    let spent = pas::domain::money::NanoUsd(nanos).wire();
    assert_eq!(
        budget["spent_usd"],
        Value::from(spent),
        "{} answered, {} receipts",
        answered.len(),
        lines.len()
    );
    assert!(answered.len() > 20, "only {} calls were answered", answered.len());
}
