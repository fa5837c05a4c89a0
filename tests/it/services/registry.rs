//! The registry over HTTP: registrations taken and refused, durability, and discovery.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{MONITOR, REGISTRY, ROUTER, start, tool, with};

#[tokio::test(start_paused = true)]
async fn the_fifty_agents_are_registered_with_labels_of_strings() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let agents = swarm.get(REGISTRY, "/discover?type=agent").await;
    let agents = agents["items"].as_array().unwrap();
    assert_eq!(agents.len(), 50);
    for agent in agents {
        assert_eq!(agent["status"], "ok", "{agent}");
        assert!(agent["labels"].as_object().unwrap().values().all(Value::is_string), "{agent}");
        assert_eq!(agent["service_id"], format!("agent-{}", agent["name"].as_str().unwrap()));
    }
    let names: Vec<_> = agents.iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted());
    assert_eq!(swarm.ids("?cap=licensing_validation").await, ["agent-corpus-auditor"]);
    let health = swarm.get(REGISTRY, "/health").await;
    assert_eq!(health, json!({ "status": "ok", "registered": 50, "healthy": 50 }));
    let health = swarm.get(MONITOR, "/health").await;
    assert_eq!((&health["check_interval_s"], &health["max_misses_before_down"]), (&json!(5.0), &json!(2)));
    let stats = swarm.get(MONITOR, "/stats").await;
    assert_eq!((&stats["total_services"], &stats["healthy_services"]), (&json!(50), &json!(50)));
}

#[tokio::test(start_paused = true)]
async fn a_service_registers_beats_is_promoted_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.register(tool("tool-1")).await.1["service_id"], "tool-1");
    let (status, taken) = swarm.register(tool("tool-1")).await;
    assert!(status == 400 && taken["detail"].as_str().unwrap().contains("`tool-1` is taken"), "{taken}");
    let (_, chosen) = swarm.register(with(tool(""), "service_id", Value::Null)).await;
    assert_eq!(swarm.ids("?name=linter&role=staging").await.len(), 2);
    let beat =
        json!({ "service_id": "tool-1", "status": "running", "p95_ms": 12.5, "queue_depth": 3, "load": 0.4 });
    assert_eq!(swarm.beat(beat).await.0, 200);
    let record = swarm.get(REGISTRY, "/services/tool-1").await;
    for (field, value) in [
        ("status", json!("running")),
        ("p95_ms", json!(12.5)),
        ("queue_depth", json!(3)),
        ("load", json!(0.4)),
        ("heartbeat_interval_s", json!(60)),
        ("ttl_s", json!(90)),
        ("cost_hint_usd_per_1k", json!(0.000_25)),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!(swarm.ids("?status=running").await, ["tool-1"]);
    let promotion = json!({ "name": "linter", "from_role": "staging", "to_role": "production" });
    let (_, moved) = swarm.ask(REGISTRY, "POST", "/promote", promotion.clone()).await;
    assert_eq!(moved["updated_instances"], 2);
    assert_eq!(swarm.ask(REGISTRY, "POST", "/promote", promotion).await.0, 404, "none is left in staging");
    assert_eq!(swarm.ids("?name=linter&role=production").await.len(), 2);
    for id in [&json!("tool-1"), &chosen["service_id"]] {
        let (status, _) = swarm.ask(REGISTRY, "POST", "/deregister", json!({ "service_id": id })).await;
        assert_eq!(status, 200);
    }
    let gone = json!({ "service_id": "tool-1" });
    assert_eq!(swarm.ask(REGISTRY, "POST", "/deregister", gone.clone()).await.0, 404);
    assert_eq!(swarm.beat(gone).await.0, 404);
    assert_eq!(swarm.ask(REGISTRY, "GET", "/services/tool-1", Value::Null).await.0, 404);
    assert!(swarm.ids("?name=linter").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_contract_name_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let long = "x".repeat(129);
    for (field, value) in [
        ("service_id", json!(long)),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("type", json!("robot")),
        ("role", json!("prod")),
        ("url", json!("")),
        ("caps", json!([])),
        ("caps", json!([""])),
        ("labels", json!({ "tier": 1 })),
        ("ctx_limit", json!(0)),
        ("heartbeat_interval_s", json!(0)),
        ("ttl_s", json!(86_401)),
    ] {
        let (status, body) = swarm.register(with(tool("t"), field, value.clone())).await;
        assert_eq!((status, &body["detail"][0]["loc"][1]), (422, &json!(field)), "{value}: {body}");
    }
    let heavy: Value =
        (0..1000).map(|n| (n.to_string(), json!("x".repeat(40)))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(swarm.register(with(tool("t"), "labels", heavy)).await.0, 422);
    for (field, value) in [("status", json!("great")), ("queue_depth", json!(-1)), ("load", json!(-0.1))] {
        let (status, body) = swarm.beat(with(json!({ "service_id": "t" }), field, value)).await;
        assert_eq!((status, &body["detail"][0]["loc"][1]), (422, &json!(field)));
    }
    for path in ["/discover?type=robot", "/discover?status=great", "/discover?role="] {
        assert_eq!(swarm.ask(REGISTRY, "GET", path, Value::Null).await.0, 422, "{path}");
    }
    for path in ["/alerts?limit=0", "/alerts?limit=x"] {
        assert_eq!(swarm.ask(MONITOR, "GET", path, Value::Null).await.0, 422, "{path}");
    }
    for body in [json!({ "limit": 0 }), json!({ "tier": 4 }), json!({ "agent_role": "boss" })] {
        assert_eq!(swarm.ask(ROUTER, "POST", "/discover", body).await.0, 422);
    }
    for body in [
        json!({ "agent_name": "architect" }),
        json!({ "request_id": "", "agent_name": "architect" }),
        json!({ "request_id": "r", "agent_name": "architect", "timeout_s": 0 }),
        json!({ "request_id": "r", "agent_name": "architect", "timeout_s": 3601 }),
        json!({ "request_id": "r", "agent_name": "architect", "transport": "pigeon" }),
        json!({ "request_id": "r", "agent_name": "architect", "payload": [] }),
    ] {
        assert_eq!(swarm.invoke(body.clone()).await.0, 422, "{body}");
    }
    assert_eq!(swarm.get(REGISTRY, "/health").await["registered"], 50);
}

#[tokio::test(start_paused = true)]
async fn the_daemons_agents_cannot_be_changed_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.register(tool("agent-architect")).await.0, 400);
    let promotion = json!({ "name": "architect", "from_role": "production", "to_role": "canary" });
    let (status, refused) = swarm.ask(REGISTRY, "POST", "/promote", promotion).await;
    assert!(
        status == 409 && refused["detail"].as_str().unwrap().contains("agent of this daemon"),
        "{refused}"
    );
    let end = json!({ "service_id": "agent-architect" });
    assert_eq!(swarm.ask(REGISTRY, "POST", "/deregister", end).await.0, 409);
    let lie = json!({ "service_id": "agent-architect", "status": "down" });
    let (status, refused) = swarm.beat(lie).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("agent of this daemon"), "{refused}");
    assert_eq!(swarm.status_of("agent-architect").await, "ok", "its life is read off the tree");
}

#[tokio::test(start_paused = true)]
async fn of_many_registrations_of_one_id_exactly_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let all = join_all((0..40).map(|_| swarm.register(tool("tool-1")))).await;
    let mut counts = [0, 0];
    for (status, _) in all {
        counts[usize::from(status == 400)] += 1;
    }
    assert_eq!(counts, [1, 39]);
}

#[tokio::test(start_paused = true)]
async fn registrations_survive_a_restart_and_get_one_time_to_live() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.register(tool("tool-2")).await;
    swarm.ask(REGISTRY, "POST", "/deregister", json!({ "service_id": "tool-2" })).await;
    let promotion = json!({ "name": "linter", "from_role": "staging", "to_role": "canary" });
    swarm.ask(REGISTRY, "POST", "/promote", promotion).await;
    let before = swarm.get(REGISTRY, "/services/tool-1").await;
    swarm.stop().await;

    let swarm = start(dir.path()).await;
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    let after = swarm.get(REGISTRY, "/services/tool-1").await;
    assert_eq!((&after["registered_at"], &after["role"]), (&before["registered_at"], &json!("canary")));
    assert_eq!(after["last_heartbeat_ts"], Value::Null);
    swarm.pass(Duration::from_secs(90)).await;
    assert!(swarm.alerts("tool-1", 0).await.is_empty());
    swarm.pass(Duration::from_secs(2)).await;
    assert_eq!(swarm.alerts("tool-1", 1).await, ["heartbeat_miss/warning/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_registry_keeps_services_and_their_beats() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.beat(json!({ "service_id": "tool-1", "status": "blocked" })).await;
    let before = swarm.get(REGISTRY, "/services/tool-1").await;
    swarm.system.kill("the-registry").await.unwrap();
    assert_eq!(swarm.get(REGISTRY, "/services/tool-1").await, before, "reads go on meanwhile");
    assert_eq!(swarm.register(tool("tool-1")).await.0, 400);
    assert_eq!(swarm.get(REGISTRY, "/services/tool-1").await, before);
}
