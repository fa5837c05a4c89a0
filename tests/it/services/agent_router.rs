//! The agent router over HTTP and by file: which agents are found, which are called, and the outcomes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ROUTER, start};

#[tokio::test(start_paused = true)]
async fn agents_are_found_by_what_they_can_do() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let find = |body| swarm.ask(ROUTER, "POST", "/discover", body);
    assert_eq!(find(json!({})).await.1["count"], 10);
    assert_eq!(find(json!({ "limit": 1000 })).await.1["count"], 50);
    assert_eq!(find(json!({ "agent_role": "coord", "limit": 50 })).await.1["count"], 11);
    assert_eq!(find(json!({ "capabilities": ["planning", "no_such"] })).await.1["count"], 0);
    let (_, found) = find(json!({ "capabilities": ["licensing_validation"] })).await;
    assert_eq!(found["agents"][0]["agent_name"], "corpus-auditor");
    assert_eq!(found["agents"][0]["status"], "ok");
    let stats = swarm.get(ROUTER, "/stats").await;
    assert_eq!(stats["total_agents"], 50);
    assert_eq!(stats["by_role"], json!({ "coord": 11, "exec": 21, "system": 18 }));
}

#[tokio::test(start_paused = true)]
async fn a_call_by_message_reaches_the_actor_in_the_callers_trace() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    let call =
        json!({ "request_id": "r1", "run_id": "run-1", "agent_name": "manager-data", "payload": { "n": 1 } });
    let (status, answer) = swarm.ask_with(ROUTER, "POST", "/invoke", call, &headers).await;
    assert_eq!((status, &answer["status"]), (200, &json!("success")));
    assert_eq!(answer["result"], json!({ "agent": "manager-data", "payload": { "n": 1 }, "trace": trace }));
    let metadata =
        json!({ "transport": "rpc", "agent_role": "coord", "tier": 1, "run_id": "run-1", "trace_id": trace });
    assert_eq!(answer["metadata"], metadata);
    let (_, by_skill) =
        swarm.invoke(json!({ "request_id": "r2", "capabilities": ["licensing_validation"] })).await;
    assert_eq!(by_skill["agent_name"], "corpus-auditor");
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.invoke(json!({ "request_id": "r" })).await.0, 400);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "capabilities": [] })).await.0, 400);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "agent_name": "../x" })).await.0, 404);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "capabilities": ["flying"] })).await.0, 404);
    for (agent, task, transport, reason) in [
        ("architect", "panic", json!("rpc"), "crashed"),
        ("architect", "refuse", json!("rpc"), "no model is configured"),
        ("corpus-auditor", "", json!("mcp"), "its transports: rpc"),
        ("release-coordinator", "", json!("rest"), "no endpoint"),
        ("corpus-auditor", "", json!("file"), "its transports: rpc"),
    ] {
        let call = json!({ "request_id": "r", "agent_name": agent, "payload": { "task": task }, "transport": transport });
        let (status, answer) = swarm.invoke(call).await;
        assert_eq!((status, &answer["status"]), (200, &json!("error")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    let hang = json!({ "request_id": "same", "agent_name": "chunker-mgs", "payload": { "task": "hang" }, "timeout_s": 0.5 });
    let (first, second, ()) =
        tokio::join!(swarm.invoke(hang.clone()), swarm.invoke(hang), swarm.pass(Duration::from_secs(1)));
    let mut ends = [&first.1["status"], &second.1["status"]].map(|status| status.as_str().unwrap());
    ends.sort_unstable();
    assert_eq!(ends, ["error", "timeout"], "{first:?} {second:?}");
    assert!(format!("{first:?}{second:?}").contains("conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_call_by_file_goes_through_the_folders() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let call =
        json!({ "request_id": "r1", "agent_name": "architect", "transport": "file", "payload": { "n": 1 } });
    let passing = async {
        loop {
            swarm.pass(Duration::from_secs(1)).await;
        }
    };
    let answered = async {
        let (_, answer) = swarm.invoke(call.clone()).await;
        assert_eq!(
            (&answer["status"], &answer["result"]["agent"]),
            (&json!("success"), &json!("architect")),
            "{answer}"
        );
        assert_eq!(answer["metadata"]["transport"], "file");
        let (_, again) = swarm.invoke(call).await;
        assert!(again["error"].as_str().unwrap().contains("conflict"), "{again}");
        for id in ["../r1", "/etc/passwd", ".."] {
            let call = json!({ "request_id": id, "agent_name": "architect", "transport": "file" });
            let (_, refused) = swarm.invoke(call).await;
            assert!(refused["error"].as_str().unwrap().contains("cannot name a file"), "{refused}");
        }
        // A client that knows only the folders.
        let inbox = dir.path().join("artifacts/agent_inbox/architect");
        std::fs::write(inbox.join("mine.json"), r#"{"payload": {"task": "refuse"}}"#).unwrap();
        std::fs::write(inbox.join("broken.json"), "{").unwrap();
        let outbox = dir.path().join("artifacts/agent_outbox/architect");
        while !outbox.join("mine.json").exists() || !inbox.join("rejected/broken.json.reason.txt").exists() {
            tokio::task::yield_now().await;
        }
        let answer: Value =
            serde_json::from_slice(&std::fs::read(outbox.join("mine.json")).unwrap()).unwrap();
        assert_eq!((&answer["status"], &answer["request_id"]), (&json!("error"), &json!("mine")));
        assert!(answer["error"].as_str().unwrap().contains("no model"), "{answer}");
    };
    tokio::select! {
        () = answered => {}
        () = passing => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_by_file_that_a_dead_daemon_left_is_answered_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let working = dir.path().join("artifacts/agent_inbox/architect/working");
    std::fs::create_dir_all(&working).unwrap();
    std::fs::write(working.join("r1.json"), "{}").unwrap();
    let swarm = start(dir.path()).await;
    let answer = dir.path().join("artifacts/agent_outbox/architect/r1.json");
    while !answer.exists() {
        swarm.pass(Duration::from_millis(250)).await;
    }
    let answer: Value = serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap();
    assert!(answer["error"].as_str().unwrap().contains("whether it took effect is unknown"), "{answer}");
}
