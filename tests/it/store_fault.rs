//! The store's disk takes no writes: nothing crashes, writes are refused with a reason, reading goes on, work
//! waits, and everything resumes when the disk has recovered.

use reqwest::Method;
use serde_json::{Value, json};

use crate::faulty_disk::{EIO, ENOSPC, FaultyDisk};
use crate::gateway::Stage;
use crate::support::{PATIENCE, Place, Swarm, http_client, of_kind, until};

/// A request that changes something durable.
type WriteRequest = (u16, Method, &'static str, Value);

/// A write of every port that has one.
fn writes(stage: &Stage) -> Vec<WriteRequest> {
    let service = |id: &str| {
        json!({ "service_id": id, "name": "linter", "type": "tool", "role": "staging",
                "url": "http://localhost:9", "caps": ["lint"] })
    };
    let provider = json!({ "name": "late", "model": "m", "endpoint": "http://127.0.0.1:9/v1",
                           "context_window": 1000, "cost_per_input_token": 0.0, "cost_per_output_token": 0.0 });
    let job = json!({ "task": "ingest", "inputs": { "source": stage.place.corpus() } });
    let chat = json!({ "model": "gpt-4-turbo", "max_tokens": 5,
                       "messages": [{ "role": "user", "content": "Say hello." }] });
    vec![
        (6121, Method::POST, "/register", service("tool-late")),
        (6121, Method::POST, "/deregister", json!({ "service_id": "tool-early" })),
        (
            6121,
            Method::POST,
            "/promote",
            json!({ "name": "linter", "from_role": "staging", "to_role": "production" }),
        ),
        (6103, Method::POST, "/register", provider),
        (6104, Method::POST, "/reserve", json!({ "job_id": "outside", "agent": "someone", "cpu": 0.1 })),
        (
            6105,
            Method::POST,
            "/summarize",
            json!({ "agent": "outsider", "run_id": "r", "trigger_reason": "hard_max_breach",
                                                   "content_to_summarize": "Some text to be kept in fewer words." }),
        ),
        (6105, Method::POST, "/clear?agent=outsider", json!({})),
        (6100, Method::POST, "/jobs", job),
        (6120, Method::POST, "/budget?run_id=late&budget_usd=1", json!({})),
        (6120, Method::POST, "/v1/chat/completions", chat),
    ]
}

const READS: &[(u16, &str)] = &[
    (6100, "/jobs"),
    (6100, "/approvals"),
    (6100, "/tree"),
    (6101, "/api/live"),
    (6103, "/providers"),
    (6104, "/reservations"),
    (6105, "/status"),
    (6120, "/receipts/free"),
    (6120, "/budget/capped"),
    (6121, "/services"),
];

async fn send(stage: &Stage, (port, method, path, body): WriteRequest) -> (u16, Option<String>, Value) {
    let request = http_client().request(method, stage.url(port, path)).json(&body);
    let answer = request.header("x-pas-run-id", "capped").timeout(PATIENCE).send().await.unwrap();
    let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    (status, header, answer.json().await.unwrap_or_default())
}

/// Unrequested ends and starts of actors.
fn fallen(swarm: &Swarm) -> Vec<String> {
    let events = swarm.system.events().since(0);
    let told = events.iter().map(|event| format!("{} {:?}", event.actor, event.kind));
    told.filter(|event| event.contains("Crashed") || event.contains("Escalated")).collect()
}

async fn store_is(stage: &Stage, word: &str) -> Value {
    let look = async || {
        let health = stage.get(6100, "/health").await.body;
        (health["store_state"]["status"] == word).then_some(health)
    };
    until("the store's state is seen in /health", look).await
}

/// A fault of the disk, and the end of it.
type DiskFault = fn(&FaultyDisk, &Place);

async fn a_fault_of_every_port(begin: DiskFault, end: DiskFault, words: &str) {
    let disk = FaultyDisk::default();
    let stage = Stage::open_on(Place::with_documents(1).on(&disk), &[]).await;
    let early = json!({ "service_id": "tool-early", "name": "linter", "type": "tool", "role": "staging",
                        "url": "http://localhost:9", "caps": ["lint"] });
    assert!(stage.post(6121, "/register", early).await.status < 300);
    assert_eq!(stage.post(6120, "/budget?run_id=capped&budget_usd=100", json!({})).await.status, 200);
    let track = json!({ "agent": "outsider", "ctx_used": 10, "ctx_limit": 1000 });
    assert_eq!(stage.post(6105, "/track", track).await.status, 200);

    begin(&disk, &stage.place);
    // The first write meets the fault: the caller does not know whether it took effect.
    for request in writes(&stage) {
        let called = format!("{} {}{}", request.1, request.0, request.2);
        let (status, retry_after, body) = send(&stage, request).await;
        assert_eq!(status, 503, "{called}: {body}");
        assert!(retry_after.is_some_and(|wait| wait.parse::<u64>().is_ok()), "{called}: {body}");
    }
    let health = store_is(&stage, "refusing").await;
    assert_eq!(health["status"], "degraded");
    assert!(health["store_state"]["reason"].as_str().unwrap().contains(words), "{health}");
    for (port, path) in READS {
        let read = stage.get(*port, path).await;
        assert_eq!(read.status, 200, "GET {port}{path}: {}", read.body);
    }
    // Without a cap an answered call needs no store: the line is written, and booked later.
    let answered = stage.chat("gpt-4-turbo", "free").await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    let line = std::fs::read_to_string(stage.place.dir.path().join("artifacts/costs/free.jsonl")).unwrap();
    assert_eq!(line.lines().count(), 1);
    let alerts = || stage.events("alert").into_iter().filter(|event| event["data"]["alert_type"] == "store");
    until("the fault is an alert", async || alerts().next()).await;

    end(&disk, &stage.place);
    store_is(&stage, "writable").await;
    for request in writes(&stage) {
        let called = format!("{} {}{}", request.1, request.0, request.2);
        let done = async || {
            let (status, _, body) = send(&stage, request.clone()).await;
            assert!(status < 500 || status == 503, "{called}: {status} {body}");
            (status != 503).then_some(status)
        };
        until(&called, done).await;
    }
    let booked = async || stage.receipts("free").await.pop();
    assert_eq!(until("the call is booked", booked).await["run_id"], "free");
    let states: Vec<Value> = {
        until("the end of the fault is an alert", async || alerts().nth(1)).await;
        alerts().map(|event| event["data"]["state"].clone()).collect()
    };
    assert_eq!(states, ["refusing", "writable"], "one alert when it begins and one when it ends");
    assert_eq!(fallen(&stage.swarm), [""; 0]);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_refuses_the_writes_of_every_port_and_kills_nobody() {
    a_fault_of_every_port(|disk, _| disk.fails_with(EIO), |disk, _| disk.recovers(), "Input/output error")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_writes_of_every_port_and_kills_nobody() {
    a_fault_of_every_port(|disk, _| disk.fails_with(ENOSPC), |disk, _| disk.recovers(), "No space left")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moved_away_refuses_the_writes_of_every_port_and_kills_nobody() {
    fn moved(place: &Place) -> (std::path::PathBuf, std::path::PathBuf) {
        (place.config().store_file(), place.dir.path().join("aside.redb"))
    }
    a_fault_of_every_port(
        |_, place| {
            let (file, aside) = moved(place);
            std::fs::rename(file, aside).unwrap();
        },
        |_, place| {
            let (file, aside) = moved(place);
            std::fs::rename(aside, file).unwrap();
        },
        "deleted or moved away",
    )
    .await;
}

/// Accepted jobs are done once the disk recovers, nobody is asked, and no attempt of a step is lost to the
/// fault.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_jobs_wait_for_the_disk_and_all_end_well() {
    let disk = FaultyDisk::default();
    let place = Place::with_documents(60).on(&disk);
    let swarm = place.start().await;
    let mut jobs = vec![swarm.api.ingest(json!({})).await];
    let one_step =
        json!({ "task": "ingest.audit", "agent": "corpus-auditor", "inputs": { "source": place.corpus() } });
    for _ in 0..10 {
        let job = swarm.api.ask("/jobs", one_step.clone()).await;
        jobs.push(job["job_id"].as_str().unwrap().to_owned());
    }
    for fault in 0..6 {
        disk.fails_with(if fault % 2 == 0 { EIO } else { ENOSPC });
        let (status, _) = swarm.api.post("/jobs", one_step.clone()).await;
        assert_eq!(status, 503);
        let health = swarm.api.get("/health").await;
        assert_eq!(health["store_state"]["status"], "refusing", "{health}");
        // Agents, the scheduler and the resource manager keep meeting the fault for a while.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        disk.recovers();
        until("a job is taken", async || {
            let (status, job) = swarm.api.post("/jobs", one_step.clone()).await;
            (status == 202).then(|| job["job_id"].as_str().unwrap().to_owned())
        })
        .await;
    }
    for job in &jobs {
        swarm.api.is(job, "done").await;
        let events = swarm.api.events(job).await;
        for kind in ["retrying", "failed", "awaiting_approval", "escalated"] {
            assert_eq!(of_kind(&events, kind), [""; 0], "{job}: {events:#?}");
        }
    }
    assert_eq!(fallen(&swarm), [""; 0]);
    swarm.stop().await;
}

/// An actor that crashes for another reason while the store refuses is up again without writes, and decides
/// correctly when the disk has recovered.
#[tokio::test(flavor = "multi_thread")]
async fn every_actor_starts_on_a_store_that_refuses() {
    let disk = FaultyDisk::default();
    let place = Place::with_documents(1).on(&disk).setting("PAS_SUPERVISION__INTENSITY", 100);
    let swarm = place.start().await;
    disk.fails_with(EIO);
    swarm.api.post("/jobs", json!({ "task": "ingest", "inputs": { "source": place.corpus() } })).await;
    let workers: Vec<_> =
        swarm.system.tree().all().into_iter().filter(|node| node.heartbeat.is_some()).collect();
    assert!(workers.len() > 60, "{}", workers.len());
    for worker in workers.iter().filter(|worker| &*worker.name != "edge") {
        let before = worker.state().incarnation;
        swarm.system.kill(&worker.name).await.unwrap();
        until(&worker.name, async || (worker.state().incarnation > before).then_some(())).await;
    }
    let unable: Vec<String> = fallen(&swarm).into_iter().filter(|event| !event.contains("Killed")).collect();
    assert_eq!(unable, [""; 0]);
    disk.recovers();
    let job = until("a job is taken", async || {
        let card = json!({ "task": "ingest", "inputs": { "source": place.corpus() } });
        let (status, job) = swarm.api.post("/jobs", card).await;
        (status == 202).then(|| job["job_id"].as_str().unwrap().to_owned())
    })
    .await;
    swarm.api.is(&job, "done").await;
    swarm.stop().await;
}
