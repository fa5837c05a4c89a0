//! An agent's status is one word, the same on every port, list and command.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Api, Place, until};

async fn get(api: &Api, port: u16, path: &str) -> Value {
    api.with_base(format!("http://{}", api.address_of(port))).get(path).await
}

/// The first object below `value` whose `field` is `name` and that has a status.
fn named(value: &Value, field: &str, name: &str) -> Option<Value> {
    match value {
        Value::Object(fields)
            if fields.get(field).is_some_and(|own| own == name) && fields.contains_key("status") =>
        {
            Some(value.clone())
        }
        Value::Object(fields) => fields.values().find_map(|below| named(below, field, name)),
        Value::Array(items) => items.iter().find_map(|item| named(item, field, name)),
        _ => None,
    }
}

fn command(api: &Api, args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_pas"))
        .args(args)
        .arg("--json")
        .env("PAS_HTTP__PORT_OFFSET", api.offset.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The status of one agent at each place that shows agents.
async fn words(api: &Api, name: &str) -> BTreeMap<&'static str, String> {
    let router = api.with_base(format!("http://{}", api.address_of(6119)));
    let answers = [
        ("6100 /agents", "name", api.get("/agents").await),
        ("6100 /agents/{name}", "name", api.get(&format!("/agents/{name}")).await),
        ("6100 /tree", "name", api.get("/tree").await),
        ("6101 /api/live", "name", get(api, 6101, "/api/live").await["tree"].clone()),
        ("6101 /api/agents/{name}", "name", get(api, 6101, &format!("/api/agents/{name}")).await),
        ("6101 /api/services", "name", get(api, 6101, "/api/services").await),
        ("6101 /api/tree", "name", get(api, 6101, "/api/tree").await),
        ("6119 /discover", "agent_name", router.ask("/discover", json!({ "limit": 100 })).await),
        ("6121 /services", "name", get(api, 6121, "/services").await),
        ("6121 /services/{id}", "name", get(api, 6121, &format!("/services/agent-{name}")).await),
        ("6121 /discover", "name", get(api, 6121, &format!("/discover?name={name}")).await),
        ("pas agents", "name", command(api, &["agents"])),
        ("pas tree", "name", command(api, &["tree"])),
    ];
    let word = |(place, field, answer): (&'static str, &str, Value)| {
        let found = named(&answer, field, name).unwrap_or_else(|| panic!("{place} does not show {name}"));
        (place, found["status"].as_str().unwrap().to_owned())
    };
    answers.into_iter().map(word).collect()
}

/// Waits until all places show this status of an agent; a failure shows the last status at each.
#[expect(clippy::print_stderr, reason = "shown only where the test fails")]
async fn all_say(api: &Api, name: &str, expected: &str) {
    until(&format!("every place says that {name} is {expected}"), async || {
        let words = words(api, name).await;
        let is_so = words.values().all(|word| word == expected);
        if !is_so {
            eprintln!("{name} should be {expected}: {words:?}");
        }
        is_so.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_place_says_the_same_of_an_agent() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    all_say(api, "chunker-mgs", "ok").await;

    let run = api.ingest(json!({ "approvals_required": ["read the folder"] })).await;
    all_say(api, "architect", "waiting_approval").await;
    let shown = api.get("/agents/architect").await;
    assert_eq!((&shown["waiting_for"], &shown["health"]), (&json!("person"), &json!("ok")), "{shown}");

    swarm.system.set_paused("chunker-mgs", true).unwrap();
    all_say(api, "chunker-mgs", "paused").await;
    assert_eq!(api.get("/agents/chunker-mgs").await["paused"], true);
    swarm.system.set_paused("chunker-mgs", false).unwrap();
    all_say(api, "chunker-mgs", "ok").await;

    swarm.system.terminate("report-leaderboard-writer").await.unwrap();
    all_say(api, "report-leaderboard-writer", "down").await;
    assert_eq!(api.get("/agents/report-leaderboard-writer").await["health"], "down");

    // While the auditor is paused the run stays under way, however busy the machine.
    swarm.system.set_paused("corpus-auditor", true).unwrap();
    let question = api.question_of(&run).await;
    api.ask(&format!("/approvals/{question}"), json!({ "decision": "approve" })).await;
    // All that is left of the run waits for its auditor, so nobody above works.
    all_say(api, "architect", "queued").await;
    assert_eq!(api.get("/agents/architect").await["working_on"], Value::Null);
    assert_eq!(api.job(&run).await["activity"], "queued");
    all_say(api, "corpus-auditor", "paused").await;
    api.ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "seen enough" })).await;
    api.is(&run, "cancelled").await;
    all_say(api, "architect", "ok").await;
    swarm.stop().await;
}
