//! A daemon that was stopped and goes on: nobody is taken for dead who was silent meanwhile.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Place, Process, http_client, until};

/// Four intervals of the agents and of the service: silence of half as long ends them.
const FROZEN: Duration = Duration::from_secs(8);

struct Port {
    client: reqwest::Client,
    base: String,
}

impl Port {
    fn new(process: &Process, port: u16) -> Self {
        Self { client: http_client(), base: format!("http://{}", process.api.address_of(port)) }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.base)).json(body).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_dead_who_was_silent_while_the_daemon_was_stopped() {
    let place = Place::with_documents(1).setting("PAS_SUPERVISION__HEARTBEAT_INTERVAL_S", 2);
    let process = place.start_process().await;
    let registry = Port::new(&process, 6121);
    let service = json!({
        "service_id": "outside-1", "name": "outside", "type": "agent", "role": "production", "caps": ["waiting"],
        "url": "http://127.0.0.1:9/", "heartbeat_interval_s": 2, "ttl_s": 4,
    });
    registry.post("/register", &service).await;
    let resources = Port::new(&process, 6104);
    let lease = json!({ "job_id": "nobodys-job", "agent": "outside", "cpu": 0.1, "lease_s": 6 });
    let reserved = resources.post("/reserve", &lease).await;
    let pid = Pid::from_raw(process.pid().try_into().unwrap()).unwrap();

    kill_process(pid, Signal::STOP).unwrap();
    tokio::time::sleep(FROZEN).await;
    kill_process(pid, Signal::CONT).unwrap();

    let health = until("the daemon goes on", async || {
        process.api.try_get("/health").await.ok().map(|(_, health)| health)
    })
    .await;
    assert_eq!(health["status"], "ok", "{health:#}");
    let seen = registry.get("/services/outside-1").await;
    assert_ne!(seen["status"], "down", "{seen:#}");
    let reservations = resources.get("/reservations?status=active").await;
    assert!(
        reservations.to_string().contains(reserved["reservation_id"].as_str().unwrap()),
        "{reservations:#}"
    );
    let resumed = health["timestamp"].as_str().unwrap();
    until("the agents have answered since", async || {
        let agents = process.api.get("/agents").await;
        let beat_since = |agent: &Value| agent["last_heartbeat"].as_str().is_some_and(|beat| beat > resumed);
        agents["agents"].as_array()?.iter().all(beat_since).then_some(())
    })
    .await;
    let log = process.api.get("/supervision/events?limit=1000").await;
    let words: Vec<_> = log["events"].as_array().unwrap().iter().map(|event| &event["event"]).collect();
    assert!(words.iter().all(|word| **word == "started"), "{words:?}");
    assert_eq!(process.api.get("/crashes").await["total"], 0);
    process.kill();
}
