//! Every action, done or refused, by every way in, is in the audit, and stays there over `kill -9`.

use std::process::Command;

use serde_json::{Value, json};

use super::{AUDITOR, HMI, act, acts, hmi, lines, place, refused};
use crate::support::{Place, http_client, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_refused_is_written_down_and_changes_nothing() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let kill = |target: &str| json!({ "action": "kill", "target": target });
    for (body, status, why) in [
        (kill("no-such-thing"), 404, "there is no agent, job or approval named `no-such-thing`"),
        (kill("pas"), 409, "is the daemon's root"),
        (kill("architect-sup"), 409, "is a supervisor"),
        (kill("edge"), 409, "carries this very request"),
        (kill(&run), 409, "is done, so there is nothing to kill"),
        (json!({ "action": "pause", "target": "scheduler" }), 409, "is a service of the daemon"),
        (json!({ "action": "approve", "target": AUDITOR }), 409, "is an agent"),
    ] {
        let told = refused(api, body.clone(), status).await;
        assert!(told.contains(why), "{body}: {told}");
        let entry = acts(api).await.remove(0);
        assert_eq!((&entry["outcome"], &entry["target"]), (&json!("refused"), &body["target"]), "{entry}");
        assert!(entry["after"]["error"].as_str().unwrap().contains(why), "{entry}");
    }
    refused(api, json!({ "action": "explode", "target": AUDITOR }), 422).await;
    refused(api, kill(""), 422).await;

    let all = acts(api).await.len();
    let page = http_client().post(format!("http://{}/api/action", api.address_of(HMI)));
    let foreign = page.header("origin", "http://evil.test").json(&kill(AUDITOR)).send().await.unwrap();
    assert_eq!(foreign.status(), 403, "another site's page");
    assert_eq!(acts(api).await.len(), all);
    assert_eq!(swarm.system.tree().by_name(AUDITOR).unwrap().state().incarnation, 1);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_by_way_of_the_orchestrator_is_written_down_too() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask(&format!("/agents/{AUDITOR}/kill"), json!({ "reason": "a test" })).await;
    assert_eq!(api.post("/agents/nobody/pause", json!({})).await.0, 404);
    let run = api.ingest(json!({ "approvals_required": ["git_push"] })).await;
    let question = api.question_of(&run).await;
    let as_ada = async |who: &str| {
        let request = http_client().post(format!("{}/approvals/{question}", api.base));
        let body = json!({ "decision": "approve", "reason": "fine" });
        request.header("x-pas-actor", who).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(as_ada(&"x".repeat(65)).await, 400, "who cannot be written down does nothing");
    assert_eq!(as_ada("ada").await, 200);
    api.done(&run).await;
    api.post(&format!("/jobs/{run}/cancel"), json!({ "reason": "late" })).await;
    let all = acts(api).await;
    let told: Vec<_> = all
        .iter()
        .map(|act| {
            ["who", "action", "outcome", "reason"].map(|field| act[field].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["api", "cancel", "refused", "late"],
            ["ada", "approve", "done", "fine"],
            ["api", "pause", "refused", ""],
            ["api", "kill", "done", "a test"],
        ]
    );
    assert_eq!(
        (&all[1]["before"]["status"], &all[1]["after"]["status"]),
        (&json!("pending"), &json!("approved"))
    );
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_act_and_one_that_was_begun_survive_kill_9() {
    let place = place().setting("PAS_JOBS__STOP_GRACE_S", 60);
    let process = place.start_process().await;
    let api = process.api.clone();
    let told = Command::new(env!("CARGO_BIN_EXE_pas"))
        .args(["restart", "chunker-mgs", "--reason", "by hand"])
        .env("PAS_HTTP__PORT_OFFSET", place.offset.to_string())
        .env("USER", "ada")
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let run = api.ingest(json!({})).await;
    api.works(&format!("{run}.data.lane.audit"), 2).await;
    act(&api, json!({ "action": "pause", "target": AUDITOR })).await;
    // The agent answers nothing, so this kill waits, and the daemon is killed in the middle.
    let waiting = hmi(&api);
    let kill = json!({ "action": "kill", "target": run });
    let url = format!("{}/api/action", waiting.base);
    let asking = http_client().post(url).json(&kill).send();
    let begun = until("the kill is begun", async || {
        lines(place.dir.path()).into_iter().find(|line| line["action"] == "kill")
    });
    tokio::select! {
        answer = asking => panic!("it was to wait: {answer:?}"),
        _ = begun => {}
    }
    process.kill();

    let process = place.start_process().await;
    let all = acts(&process.api).await;
    let told: Vec<_> = all
        .iter()
        .map(|act| ["who", "action", "outcome"].map(|field| act[field].as_str().unwrap()))
        .collect();
    let expected = [["hmi", "kill", "begun"], ["hmi", "pause", "done"], ["cli:ada", "restart", "done"]];
    assert_eq!(told, expected, "{all:#?}");
    assert_eq!((&all[0]["after"], &all[0]["target"]), (&Value::Null, &json!(run)));
}
