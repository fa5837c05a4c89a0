//! The heartbeat monitor over HTTP: silence, restarts, and the alerts about both.

use std::time::Duration;

use futures_util::future::join_all;
use pas::domain::hmi::HmiAlert;
use pas::domain::time::Timestamp;
use serde_json::{Value, json};

use super::{MONITOR, REGISTRY, SWEEP, start, tool, with};

#[tokio::test(start_paused = true)]
async fn silence_is_a_warning_then_down_then_the_end_and_a_beat_restores() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.pass(Duration::from_secs(60)).await;
    assert_eq!(swarm.status_of("tool-1").await, "ok");
    swarm.pass(Duration::from_secs(1)).await;
    assert_eq!(swarm.alerts("tool-1", 1).await, ["heartbeat_miss/warning/1"]);
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    swarm.pass(Duration::from_secs(30)).await;
    assert!(swarm.ids("?name=linter").await.is_empty(), "its time to live is over");
    assert_eq!(swarm.status_of("tool-1").await, "ok", "and yet it is not down");
    swarm.pass(Duration::from_secs(30)).await;
    assert_eq!(swarm.alerts("tool-1", 2).await[1], "service_down/marked_down/2");
    assert_eq!(swarm.status_of("tool-1").await, "down");
    assert_eq!(swarm.ids("?status=down").await, ["tool-1"]);
    assert_eq!(swarm.get(MONITOR, "/stats").await["down_services"], 1);

    assert_eq!(swarm.beat(json!({ "service_id": "tool-1" })).await.0, 200);
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    swarm.pass(SWEEP).await;
    assert_eq!(swarm.alerts("tool-1", 3).await[2], "heartbeat_restored/restored/2");

    swarm.pass(Duration::from_secs(181)).await;
    let told = swarm.alerts("tool-1", 6).await;
    assert_eq!(
        told[3..],
        ["heartbeat_miss/warning/1", "service_down/marked_down/2", "service_deregistered/deregistered/3"]
    );
    assert_eq!(swarm.ask(REGISTRY, "GET", "/services/tool-1", Value::Null).await.0, 404);
    assert_eq!(swarm.beat(json!({ "service_id": "tool-1" })).await.0, 404);
    assert_eq!(swarm.register(tool("tool-1")).await.0, 200, "it may come back");

    swarm.root.shutdown().await;
    let folder = dir.path().join("artifacts/hmi/events");
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap();
        if !name.file_name().to_str().unwrap().starts_with("heartbeat_alerts_2") {
            continue;
        }
        lines.extend(std::fs::read_to_string(name.path()).unwrap().lines().map(str::to_owned));
    }
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        (lines.len(), &last["action"], &last["parent"]),
        (6, &json!("deregistered"), &json!("agent-manager-code"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_interval_is_watched_closely() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(with(tool("tool-1"), "heartbeat_interval_s", json!(1))).await;
    swarm.pass(Duration::from_millis(2500)).await;
    assert_eq!(swarm.status_of("tool-1").await, "down");
    swarm.pass(Duration::from_millis(1000)).await;
    assert_eq!(swarm.alerts("tool-1", 3).await[2], "service_deregistered/deregistered/3");
}

#[tokio::test(start_paused = true)]
async fn thousands_that_fall_silent_at_once_are_one_commit_and_one_alert_a_step() {
    const DEAD: usize = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let beating = |id: &str| with(tool(id), "heartbeat_interval_s", json!(1));
    let registration = |id: &str| serde_json::from_value(beating(id)).unwrap();
    for first in (0..DEAD).step_by(500) {
        let ids =
            (first..first + 500).map(|n| swarm.registry.register(registration(&format!("tool-{n:04}"))));
        assert!(join_all(ids).await.iter().all(Result::is_ok));
    }
    swarm.register(beating("alive")).await;
    let before = swarm.store.metrics();
    for _ in 0..5 {
        swarm.pass(Duration::from_millis(750)).await;
        let beat = json!({ "service_id": "alive" });
        assert_eq!(swarm.beat(beat).await.0, 200, "the living are not behind the dead");
    }
    let actions = swarm.alerts("tool-0000", 3).await;
    assert_eq!(
        actions,
        ["heartbeat_miss/warning/1", "service_down/marked_down/2", "service_deregistered/deregistered/3"]
    );
    let alerts = swarm.get(MONITOR, "/alerts").await;
    let counts: Vec<_> = alerts["alerts"].as_array().unwrap().iter().map(|alert| &alert["count"]).collect();
    assert_eq!(counts, [DEAD, DEAD, DEAD], "{alerts}");
    let told = format!("{DEAD} services are down");
    let mut changes = swarm.events.cache().changes();
    let read = || swarm.events.cache().alerts(Timestamp::from_millis(0), 99);
    while !read().iter().any(|sent| HmiAlert::of(&sent.event().unwrap()).message == told) {
        changes.changed().await.unwrap();
    }
    assert_eq!(swarm.ids("?name=linter").await, ["alive"]);
    let writes = swarm.store.metrics().durable_operations - before.durable_operations;
    assert!(writes < 20, "{writes} writes for {DEAD} services");
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_an_agent_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.get(REGISTRY, "/discover?type=agent").await;
    swarm.system.set_paused("manager-data", true).unwrap();
    assert_eq!(swarm.ids("?status=paused").await, ["agent-manager-data"]);
    swarm.system.set_paused("manager-data", false).unwrap();
    swarm.system.terminate("tlc-domain-classifier").await.unwrap();
    assert_eq!(swarm.ids("?type=agent&status=down").await, ["agent-tlc-domain-classifier"]);
    assert_eq!(swarm.get(REGISTRY, "/health").await["healthy"], 49);

    swarm.system.kill("chunker-mgs").await.unwrap();
    let told = swarm.alerts("agent-chunker-mgs", 2).await;
    assert_eq!(told, ["service_down/marked_down/0", "heartbeat_restored/restored/0"]);
    assert_eq!(swarm.status_of("agent-chunker-mgs").await, "degraded", "back, and killed a moment ago");
    assert_eq!(swarm.ids("?type=agent").await.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_escalated_to_its_parent_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let hang = json!({ "request_id": "r1", "agent_name": "chunker-mgs", "payload": { "task": "hang" }, "timeout_s": 1 });
    let (answer, ()) = tokio::join!(swarm.invoke(hang), swarm.pass(Duration::from_secs(2)));
    assert_eq!(answer.1["status"], "timeout", "{answer:?}");
    assert_eq!(swarm.status_of("agent-chunker-mgs").await, "running");
    swarm.pass(Duration::from_secs(150)).await;
    let told = swarm.alerts("agent-chunker-mgs", 2).await;
    assert_eq!(told, ["service_down/escalated/2", "heartbeat_restored/restored/0"]);
    let body = swarm.get(MONITOR, "/alerts").await;
    assert_eq!(body["alerts"][0]["parent"], "agent-manager-data");
}
