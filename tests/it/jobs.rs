//! Jobs over HTTP, from the card to the manifest: every way to end, and the events of each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Place, each_ended_once, of_kind, until};

const DOCUMENTS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_goes_through_the_hierarchy_and_leaves_what_its_manifest_says() {
    let place = Place::with_documents(DOCUMENTS);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let streamed = api.stream(&run, 0).await;
    api.is(&run, "done").await;
    let manifest = api.manifest(&run).await;

    let jobs = api.run(&run).await;
    let steps: BTreeSet<_> = jobs.iter().map(|job| job["step"].as_str().unwrap()).collect();
    for step in ["data", "lane", "audit", "clean", "chunk", "classify", "graph", "index", "write", "metrics"]
    {
        assert!(steps.contains(step), "{step} in {steps:?}");
    }
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:#?}");

    let artifacts = manifest["artifacts"].as_array().unwrap();
    assert!(artifacts.len() > 6, "{artifacts:#?}");
    for artifact in artifacts.iter().filter(|artifact| artifact["media_type"] != "inode/directory") {
        let path = artifact["path"].as_str().unwrap();
        let file = place.dir.path().join("artifacts/runs").join(&run).join(path);
        if file.is_file() {
            let bytes = api.bytes(&format!("/jobs/{run}/artifacts/{path}")).await;
            assert_eq!(blake3::hash(&bytes).to_hex().as_str(), artifact["blake3"], "{path}");
        } else {
            assert!(file.is_dir(), "{path} is missing");
        }
    }

    let events = api.events(&run).await;
    each_ended_once(&jobs, &events);
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b));
    assert_eq!(streamed.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), seqs, "the stream misses nothing");
    let middle = seqs[seqs.len() / 2];
    let rest = api.stream(&run, middle).await;
    assert_eq!(rest, streamed.into_iter().filter(|(seq, _)| *seq > middle).collect::<Vec<_>>());
    let below = format!("{run}.data.lane.audit");
    let of_step = api.stream(&below, 0).await;
    assert_eq!(of_step.last().map(|(_, kind)| kind.as_str()), Some("completed"));

    let again = api.ingest(json!({})).await;
    assert_ne!(again, run);
    assert_eq!(json!(api.done(&again).await), manifest["content_hash"], "equal work, equal hash");
    let ledger = api.get("/ledger").await;
    assert_eq!(ledger["count"], 2);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_are_checked_and_a_repeated_one_is_the_same_job() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({ "idempotency_key": "once" })).await;
    assert_eq!(api.ingest(json!({ "idempotency_key": "once" })).await, run);
    let other =
        json!({ "task": "ingest", "inputs": { "source": place.dir.path() }, "idempotency_key": "once" });
    assert_eq!(api.post("/jobs", other).await.0, 409);
    assert_eq!(api.get("/jobs").await["count"], 1);

    for wrong in [
        json!({ "task": "no-such-task" }),
        json!({ "task": "ingest" }),
        json!({ "task": "ingest", "inputs": { "source": "relative" } }),
        json!({ "task": "ingest", "inputs": { "source": "/x" }, "priority": 10 }),
        json!({ "task": "ingest", "inputs": { "source": "/x" }, "deadline_s": -1 }),
        json!({ "task": "ingest", "inputs": { "source": "/x" }, "unknown": 1 }),
    ] {
        let (status, answer) = api.post("/jobs", wrong.clone()).await;
        assert_eq!(status, 422, "{wrong}: {answer}");
    }
    let nobody = json!({ "task": "ingest.audit", "agent": "no-such-agent" });
    assert_eq!(api.post("/jobs", nobody).await.0, 404);
    assert_eq!(api.get("/jobs").await["count"], 1, "what was refused left nothing");
    api.done(&run).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_more_urgent_job_is_begun_first() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask("/agents/corpus-auditor/pause", json!({})).await;
    let mut audits = Vec::new();
    for priority in [2, 9, 5] {
        let run = api.ingest(json!({ "priority": priority })).await;
        let audit = format!("{run}.data.lane.audit");
        until("the audit is handed over", async || {
            api.run(&run).await.iter().any(|job| job["job_id"] == audit.as_str()).then_some(())
        })
        .await;
        audits.push((run, audit));
    }
    api.ask("/agents/corpus-auditor/resume", json!({})).await;
    let mut begun = Vec::new();
    for (run, audit) in &audits {
        api.done(run).await;
        let events = api.events(run).await;
        let started = events.iter().find(|e| e["event"] == "started" && e["job_id"] == audit.as_str());
        begun.push(started.unwrap()["seq"].as_u64().unwrap());
    }
    let [low, high, middle] = begun[..] else { panic!("three runs") };
    assert!(high < middle && middle < low, "{begun:?}");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_the_run_and_says_so() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    api.ask("/agents/corpus-auditor/pause", json!({})).await;
    let run = api.ingest(json!({ "deadline_s": 0.3 })).await;
    api.is(&run, "cancelled").await;
    let events = api.events(&run).await;
    let asked = events.iter().find(|event| event["event"] == "cancel_requested").unwrap();
    assert_eq!(asked["detail"]["reason"], "its deadline has passed");
    for job in api.run(&run).await {
        assert!(job["error"].as_str().unwrap().starts_with("its deadline, "), "{job}");
    }
    each_ended_once(&api.run(&run).await, &events);
    assert_eq!(api.manifest(&run).await["state"], "cancelled");

    let retried = api.ask(&format!("/jobs/{run}/retry"), json!({})).await;
    api.ask("/agents/corpus-auditor/resume", json!({})).await;
    api.done(retried["job_id"].as_str().unwrap()).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_consent_waits_for_it() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let card = || json!({ "approvals_required": ["read the folder"] });
    let consented = api.ingest(card()).await;
    api.is(&consented, "awaiting_approval").await;
    let question = api.question().await;
    assert_eq!((&question["job_id"], &question["kind"]), (&json!(consented), &json!("required")));
    let path = format!("/approvals/{}", question["approval_id"].as_str().unwrap());
    api.ask(&path, json!({ "decision": "approve", "by": "tester" })).await;
    assert_eq!(api.post(&path, json!({ "decision": "reject" })).await.0, 409, "single use");
    api.done(&consented).await;

    let declined = api.ingest(card()).await;
    let path = format!("/approvals/{}", api.question().await["approval_id"].as_str().unwrap());
    api.ask(&path, json!({ "decision": "reject", "by": "tester", "reason": "not today" })).await;
    let failed = api.is(&declined, "failed").await;
    assert_eq!(failed["error"], "rejected by tester: not today");

    let given_up = api.ingest(card()).await;
    api.question().await;
    api.ask(&format!("/jobs/{given_up}/cancel"), json!({})).await;
    api.is(&given_up, "cancelled").await;
    assert_eq!(api.get("/approvals").await["count"], 0, "a job that has ended waits for nobody");
    swarm.stop().await;
}

/// The chunker finds a folder in the place of its output file, and can never publish that file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_without_an_optional_step_that_cannot_succeed() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let whole = api.ingest(json!({})).await;
    api.done(&whole).await;
    let chunks = api.job(&format!("{whole}.data.lane.chunk")).await;
    let target = chunks["artifacts"][0]["path"].as_str().unwrap().to_owned();

    for agent in ["chunker-mgs", "report-leaderboard-writer"] {
        api.ask(&format!("/agents/{agent}/pause"), json!({})).await;
    }
    let run = api.ingest(json!({})).await;
    let chunk = format!("{run}.data.lane.chunk");
    until("the chunks are to be made", async || {
        api.run(&run).await.iter().any(|job| job["job_id"] == chunk.as_str()).then_some(())
    })
    .await;
    let in_the_way = place.dir.path().join("artifacts/runs").join(&run).join(target);
    std::fs::create_dir_all(in_the_way.join("full")).unwrap();
    api.ask("/agents/chunker-mgs/resume", json!({})).await;
    let job: Value = api.is(&chunk, "quarantined").await;
    // Readers of the chunks must find no file, rather than a folder of that name.
    std::fs::remove_dir_all(&in_the_way).unwrap();
    api.ask("/agents/report-leaderboard-writer/resume", json!({})).await;
    api.is(&run, "done").await;
    assert!(job["error"].as_str().unwrap().contains("chunks"), "{job:#}");
    let events = api.events(&run).await;
    each_ended_once(&api.run(&run).await, &events);
    assert_eq!(of_kind(&events, "quarantined"), [chunk.as_str()]);
    swarm.stop().await;
}

/// One of several parallel steps is cancelled alone: the others end before the run does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_run_leaves_nothing_running() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    for agent in ["chunker-mgs", "embed-indexer"] {
        api.ask(&format!("/agents/{agent}/pause"), json!({})).await;
    }
    let run = api.ingest(json!({})).await;
    let (chunk, index) = (format!("{run}.data.lane.chunk"), format!("{run}.data.lane.index"));
    until("both are handed over", async || {
        let jobs = api.run(&run).await;
        [&chunk, &index].iter().all(|id| jobs.iter().any(|job| job["job_id"] == id.as_str())).then_some(())
    })
    .await;
    api.ask(&format!("/jobs/{chunk}/cancel"), json!({ "reason": "not needed" })).await;
    let failed = api.is(&run, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("not needed"), "{failed:#}");
    let jobs = api.run(&run).await;
    each_ended_once(&jobs, &api.events(&run).await);
    assert_eq!(api.job(&index).await["state"], "cancelled");
    let manifest = api.manifest(&run).await;
    let open = manifest["steps"].as_array().unwrap().iter().filter(|step| step["ended_at"].is_null()).count();
    assert_eq!(open, 0, "{manifest:#}");
    swarm.stop().await;
}
