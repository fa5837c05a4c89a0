//! The list of reservations: pages, and the rows kept.

use std::time::Duration;

use futures_util::future::join_all;
use pas::actors::resource_manager::KEPT_ENDED;
use pas::store::{KeyRange, ScanOrder, StoreTable};
use serde_json::{Value, json};

use super::resource_manager::{cpu, up};
use crate::support::{Place, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reservations_are_filtered_before_they_are_cut_into_pages() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let mut held = Vec::new();
    for n in 0..3 {
        held.push(client.granted(cpu(&format!("held-{n}"), 1)).await);
        for m in 0..3 {
            let id = client.granted(cpu(&format!("gone-{n}-{m}"), 1)).await;
            assert_eq!(client.post("/release", json!({ "reservation_id": id })).await.0, 200);
        }
    }
    held.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/reservations?status=active&limit=2{cursor}")).await;
        assert_eq!(page["total"], 3, "of those that match, on every page: {page}");
        let rows = page["reservations"].as_array().unwrap();
        assert!(page["count"] == json!(rows.len()) && rows.len() <= 2, "{page}");
        seen.extend(rows.iter().map(|row| row["reservation_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // Rows that come and go between two pages shift nothing.
        client.granted(cpu("late", 1)).await;
        client.post("/release", json!({ "job_id": "late" })).await;
    }
    assert_eq!(seen, held, "newest first, each once");
    let all = client.get("/reservations").await;
    assert_eq!((&all["total"], &all["count"], &all["next_cursor"]), (&json!(13), &json!(13), &Value::Null));
    swarm.stop().await;
}

/// Ended reservations are kept for a while, not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_reservations_are_forgotten() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let kept = client.granted(cpu("kept", 1)).await;
    for _ in 0..(KEPT_ENDED + 200) / 64 + 1 {
        let ids = join_all((0..64).map(|n| {
            client.granted(json!({ "job_id": format!("job-{n}"), "agent": "tester", "mem_mb": 1 }))
        }))
        .await;
        join_all(ids.iter().map(|id| client.post("/release", json!({ "reservation_id": id })))).await;
    }
    let rows: StoreTable<String, pas::domain::resource_manager::Reservation> =
        StoreTable::new("reservations");
    until("the oldest are deleted", async || {
        let count = swarm.store.read(|view| view.count(&rows)).unwrap();
        (count <= KEPT_ENDED as u64 + 1).then_some(())
    })
    .await;
    let oldest =
        swarm.store.read(|view| view.range(&rows, &KeyRange::all(), ScanOrder::Ascending, 1)).unwrap();
    assert_eq!(oldest[0].0, kept, "what is held stays, however old");
    assert_eq!(client.with_status("released").await.len(), 1_000);
    tokio::time::timeout(Duration::from_secs(60), swarm.stop()).await.unwrap();
}
