//! One run through every door: what it is at is the same wherever one looks.

use serde_json::{Value, json};

use crate::support::{Api, Place, http_client, until};

const HMI: u16 = 6101;

async fn hmi(api: &Api, path: &str) -> Value {
    let url = format!("http://{}{path}", api.address_of(HMI));
    http_client().get(url).send().await.unwrap().json().await.unwrap()
}

fn of<'l>(list: &'l Value, name: &str, id: &str) -> Option<&'l Value> {
    list.as_array()?.iter().find(|entry| entry[name] == id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_can_end_is_shown_before_what_waits_by_itself() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let asks = api.ingest(json!({ "approvals_required": ["read the folder"] })).await;
    swarm.system.set_paused("corpus-auditor", true).unwrap();
    let waits = api.ingest(json!({})).await;
    until("the newer run waits for its agent", async || {
        let live = hmi(api, "/api/live").await;
        let line = of(&live["jobs"], "job_id", &waits)?;
        (line["state"] == "running" && line["activity"] == "queued").then_some(())
    })
    .await;
    until("the question is the current task", async || {
        (hmi(api, "/api/live").await["current"]["task_id"] == *asks).then_some(())
    })
    .await;
    swarm.stop().await;
}
