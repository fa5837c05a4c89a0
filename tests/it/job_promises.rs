//! Promises about jobs: refused at every way in with one sentence, counted once, cancelled once, done only
//! when whole, and with the true reason of every wait.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use pas::domain::ids::JobId;
use pas::domain::job::JobState;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Place, Swarm, each_ended_once, until};

/// A card's first fault, from an answer of `POST /jobs`.
fn first_fault(answer: &Value) -> String {
    match &answer["detail"] {
        Value::String(sentence) => sentence.clone(),
        list => list[0]["msg"].as_str().unwrap_or_else(|| panic!("no fault in {answer}")).to_owned(),
    }
}

/// The answer to a request put into an agent's inbox.
async fn by_file(place: &Place, agent: &str, id: &str, payload: &Value) -> Value {
    let artifacts = place.dir.path().join("artifacts");
    let inbox = artifacts.join("agent_inbox").join(agent);
    std::fs::create_dir_all(&inbox).unwrap();
    let text = serde_json::to_vec(&json!({ "payload": payload })).unwrap();
    std::fs::write(inbox.join(format!(".{id}.part")), text).unwrap();
    std::fs::rename(inbox.join(format!(".{id}.part")), inbox.join(format!("{id}.json"))).unwrap();
    let outbox = artifacts.join("agent_outbox").join(agent).join(format!("{id}.json"));
    until("the request by file is answered", async || {
        serde_json::from_slice(&std::fs::read(&outbox).ok()?).ok()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_cannot_work_is_refused_alike_at_every_way_in() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let router = api.with_base(format!("http://{}", api.address_of(6119)));
    let gone = place.dir.path().join("gone");
    let source = place.corpus();
    let cards = [
        ("architect", json!({ "task": "ingets", "inputs": { "source": source } })),
        ("architect", json!({ "task": "ingest", "inputs": { "source": "relative" } })),
        ("architect", json!({ "task": "ingest", "inputs": { "source": gone } })),
        ("architect", json!({ "task": "ingest", "inputs": { "source": source, "max_file_byte": 1 } })),
        (
            "architect",
            json!({ "task": "ingest", "inputs": { "source": source }, "approvals_required": [""] }),
        ),
        ("corpus-auditor", json!({ "task": "audit", "inputs": { "source": source } })),
        ("chunker-mgs", json!({ "task": "chunk", "inputs": {} })),
        ("security-auditor", json!({ "task": "scan", "inputs": {} })),
        ("code-writer", json!({ "task": "write", "inputs": {} })),
    ];
    for (position, (agent, card)) in cards.iter().enumerate() {
        let mut submitted = card.clone();
        submitted["agent"] = json!(agent);
        let (status, answer) = api.post("/jobs", submitted).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{card}: {answer}");
        let sentence = first_fault(&answer);

        let call = json!({ "request_id": format!("r{position}"), "agent_name": agent, "payload": card });
        let (_, invoked) = router.post("/invoke", call).await;
        assert_eq!(invoked["status"], "error", "{card}: {invoked}");
        assert!(invoked["error"].as_str().unwrap().contains(&sentence), "{sentence}\n{invoked}");

        let takes_files = swarm.jobs.agents.roster().get(agent).unwrap();
        if takes_files.transports.contains(&pas::domain::agent::AgentTransport::File) {
            let filed = by_file(&place, agent, &format!("f{position}"), card).await;
            assert_eq!(filed["status"], "error", "{card}: {filed}");
            assert!(filed["error"].as_str().unwrap().contains(&sentence), "{sentence}\n{filed}");
        }
    }
    assert_eq!(api.get("/jobs").await["total"], 0, "what was refused left nothing");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stands_for_the_whole_card_in_the_field_and_in_the_header() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask("/agents/architect/pause", json!({})).await;
    let card = |more: Value| {
        let mut card = json!({ "task": "ingest", "inputs": { "source": place.corpus() } });
        card.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        card
    };
    let keyed = [("idempotency-key", "\"k1\"")];
    let (status, _, first) = api.send("/jobs", card(json!({})), &keyed).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let again = api.ask("/jobs", card(json!({ "idempotency_key": "k1", "priority": 5 }))).await;
    assert_eq!(again["job_id"], first["job_id"]);
    for change in [
        json!({ "approvals_required": ["git_push"] }),
        json!({ "deadline_s": 1 }),
        json!({ "resource_request": { "cpu": 1 } }),
        json!({ "priority": 6 }),
    ] {
        let (status, _, answer) = api.send("/jobs", card(change.clone()), &keyed).await;
        assert_eq!(status, StatusCode::CONFLICT, "{change}: {answer}");
    }
    let both = card(json!({ "idempotency_key": "k2" }));
    assert_eq!(api.send("/jobs", both, &keyed).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get("/jobs").await["total"], 1);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_counts_jobs_and_makes_room_when_one_ends() {
    let place = Place::with_documents(2).setting("PAS_JOBS__MAX_QUEUED", 3);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask("/agents/corpus-auditor/pause", json!({})).await;
    let card = |source: Value| json!({ "task": "ingest", "inputs": { "source": source } });
    let gone = json!(place.dir.path().join("gone"));
    assert_eq!(api.post("/jobs", card(gone)).await.0, StatusCode::UNPROCESSABLE_ENTITY, "counts for nothing");
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(api.ingest(json!({})).await);
    }
    for run in &runs {
        let audit = format!("{run}.data.lane.audit");
        until("the run has four rows", async || (api.run(run).await.len() == 4).then_some(())).await;
        api.is(&audit, "queued").await;
    }
    let (status, headers, answer) = api.send("/jobs", card(json!(place.corpus())), &[]).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer}");
    assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);

    // The folder goes away after the runs were accepted: they fail with that reason, and nobody is asked.
    std::fs::rename(place.corpus(), place.dir.path().join("aside")).unwrap();
    api.ask("/agents/corpus-auditor/resume", json!({})).await;
    for run in &runs {
        let failed = api.is(run, "failed").await;
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains("`data.lane.audit`") && error.contains("cannot read the source"), "{error}");
        each_ended_once(&api.run(run).await, &api.events(run).await);
    }
    assert_eq!(api.get("/approvals?status=all").await["total"], 0);
    let retry = format!("/jobs/{}/retry", runs[0]);
    assert_eq!(api.post(&retry, json!({})).await.0, StatusCode::UNPROCESSABLE_ENTITY, "it is still gone");
    std::fs::rename(place.dir.path().join("aside"), place.corpus()).unwrap();
    let retried = api.ask(&retry, json!({})).await;
    api.done(retried["job_id"].as_str().unwrap()).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_asked_for_64_times_at_once_is_granted_64_times_with_one_proof() {
    let place = Place::with_documents(400).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.works(&format!("{run}.data.lane.audit"), 1).await;
    let path = format!("/jobs/{run}/cancel");
    let answers = join_all((0..64).map(|_| api.post(&path, json!({})))).await;
    api.is(&run, "cancelled").await;
    let late = api.post(&path, json!({})).await;
    let parts = |answer: &Value| -> BTreeSet<(String, String)> {
        let text = |part: &Value, field: &str| part[field].as_str().unwrap().to_owned();
        let parts = answer["cancelled"].as_array().unwrap();
        parts.iter().map(|part| (text(part, "job_id"), text(part, "state_before"))).collect()
    };
    let first = parts(&late.1);
    assert!(first.len() >= 4, "{first:?}");
    for (status, answer) in answers.iter().chain([&late]) {
        assert_eq!(*status, StatusCode::ACCEPTED, "{answer}");
        assert_eq!(parts(answer), first);
    }
    assert!(late.1["pending"].as_array().unwrap().is_empty(), "{}", late.1);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    let done = api.ingest(json!({})).await;
    api.done(&done).await;
    assert_eq!(api.post(&format!("/jobs/{done}/cancel"), json!({})).await.0, StatusCode::CONFLICT);
    swarm.stop().await;
}

/// Whether a run is complete on the disk at the moment when the book says done.
async fn is_whole_once_done(swarm: &Swarm, run: &str) {
    let id = JobId::new(run).unwrap();
    let mut commits = swarm.jobs.book.commits();
    loop {
        commits.mark_unchanged();
        let job = swarm.jobs.book.get(&id).unwrap();
        if job.state.is_terminal() {
            assert_eq!(job.state, JobState::Done);
            let file = swarm.jobs.run_dir(&job.run()).join("manifest.json");
            let manifest: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            assert_eq!(manifest["state"], "done");
            assert_eq!(manifest["ended_at"], json!(job.ended_at));
            return;
        }
        commits.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_done_only_when_its_manifest_can_be_read() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    for card in [
        json!({}),
        json!({}),
        json!({ "task": "ingest.audit", "agent": "corpus-auditor" }),
        json!({ "task": "ingest.data", "agent": "director-data" }),
    ] {
        let run = api.ingest(card).await;
        is_whole_once_done(&swarm, &run).await;
        assert_eq!(api.try_get(&format!("/runs/{run}/manifest")).await.unwrap().0, StatusCode::OK);
    }
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_above_a_waiting_step_say_that_they_wait() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let hmi = api.with_base(format!("http://{}", api.address_of(6101)));
    api.ask("/agents/corpus-auditor/pause", json!({})).await;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    until("the audit is handed over", async || {
        api.run(&run).await.iter().any(|job| job["job_id"] == audit.as_str()).then_some(())
    })
    .await;
    assert_eq!(api.job(&run).await["waits"], json!([]), "in its agent's queue it waits for nobody else");
    api.ask(&format!("/jobs/{audit}/pause"), json!({})).await;
    let paused_at =
        api.events(&run).await.iter().find(|event| event["event"] == "paused").unwrap()["ts"].clone();
    for id in [run.clone(), format!("{run}.data"), format!("{run}.data.lane"), audit.clone()] {
        let job = api.job(&id).await;
        let due = json!([{
            "job_id": audit, "agent": "corpus-auditor", "kind": "resume", "since": paused_at,
            "detail": "paused by a person",
        }]);
        assert_eq!(job["waits"], due, "{id}");
    }
    let listed = api.get("/jobs?state=running").await;
    assert_eq!(listed["jobs"][0]["waits"][0]["job_id"], json!(audit));
    until("the HMI shows it", async || {
        let live = hmi.get("/api/live").await;
        (live["jobs"][0]["waits"][0]["job_id"] == audit.as_str()).then_some(())
    })
    .await;
    api.ask(&format!("/jobs/{audit}/resume"), json!({})).await;
    api.ask("/agents/corpus-auditor/resume", json!({})).await;
    api.done(&run).await;
    assert_eq!(api.job(&run).await["waits"], json!([]));
    swarm.stop().await;
}
