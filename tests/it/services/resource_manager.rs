//! The resource manager over HTTP, in whole daemons: grants, denials, revocations, and crashes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;

use super::fits_contract;
use crate::support::{Api, Place, Swarm, each_ended_once, until};

const MANAGER: &str = "resource-manager";
const DOCUMENTS: usize = 200;

/// A client of port 6104 of a daemon; every answer is checked against the contract.
pub(super) struct Client {
    pub(super) api: Api,
}

impl Client {
    fn of(place: &Place, api: &Api) -> Self {
        let base = format!("http://127.0.0.1:{}", 6104 + place.offset);
        Self { api: api.with_base(base) }
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.api.post(path, body).await;
        fits_contract(MANAGER, "POST", path, status.as_u16(), &answer);
        (status.as_u16(), answer)
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.api.get(path).await;
        fits_contract(MANAGER, "GET", path, 200, &answer);
        answer
    }

    /// The answer to a request, which is 200 whether granted or denied.
    async fn reserve(&self, body: Value) -> Value {
        let (status, answer) = self.post("/reserve", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub(super) async fn granted(&self, body: Value) -> String {
        let answer = self.reserve(body).await;
        assert_eq!(answer["status"], "granted", "{answer}");
        answer["reservation_id"].as_str().unwrap().to_owned()
    }

    async fn denied(&self, body: Value) -> String {
        let answer = self.reserve(body).await;
        assert_eq!(
            (&answer["status"], &answer["reservation_id"]),
            (&json!("denied"), &Value::Null),
            "{answer}"
        );
        answer["reason"].as_str().unwrap().to_owned()
    }

    /// Allocated and available of one kind.
    async fn figures(&self, kind: &str) -> (f64, f64) {
        let quota = self.get("/quotas").await["quotas"][kind].clone();
        (quota["allocated"].as_f64().unwrap(), quota["available"].as_f64().unwrap())
    }

    pub(super) async fn with_status(&self, status: &str) -> Vec<Value> {
        let list = self.get(&format!("/reservations?status={status}")).await;
        list["reservations"].as_array().unwrap().clone()
    }

    /// Waits until nothing is reserved.
    async fn all_is_back(&self) {
        until("all is given back", async || {
            let quotas = self.get("/quotas").await["quotas"].clone();
            let kinds = ["cpu", "mem_mb", "gpu", "gpu_mem_mb"];
            let is_back = kinds.iter().all(|kind| quotas[kind]["allocated"] == json!(0));
            // The rows follow with the next commit.
            (is_back && self.with_status("active").await.is_empty()).then_some(())
        })
        .await;
    }
}

pub(super) async fn up(place: &Place) -> (Swarm, Client) {
    let swarm = place.start().await;
    let client = Client::of(place, &swarm.api);
    (swarm, client)
}

pub(super) fn cpu(job: &str, cores: u64) -> Value {
    json!({ "job_id": job, "agent": "tester", "cpu": cores })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_is_held_until_it_is_released() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let everything = json!({ "job_id": "Job 1", "agent": "a", "cpu": 4, "mem_mb": 8192, "gpu": 1, "gpu_mem_mb": 4096, "ports": [9200] });
    let answer = client.reserve(everything).await;
    let granted = json!({ "cpu": 4, "mem_mb": 8192, "gpu": 1, "gpu_mem_mb": 4096, "ports": [9200] });
    assert_eq!((&answer["status"], &answer["granted"]), (&json!("granted"), &granted));
    let cpu_quota = client.get("/quotas").await["quotas"]["cpu"].clone();
    let expected =
        json!({ "total_capacity": 10, "allocated": 4, "reserved": 0, "available": 6, "utilization": 0.4 });
    assert_eq!(cpu_quota, expected);

    assert!(client.denied(cpu("b", 100)).await.contains("the capacity is 10"));
    let short = client.reserve(cpu("b", 7)).await;
    assert_eq!(short["quotas"]["available"]["cpu"], json!(6));
    assert_eq!(short["quotas"]["cpu"]["available"], json!(6));
    let port = json!({ "job_id": "b", "agent": "a", "ports": [9201, 9200] });
    assert!(client.denied(port).await.contains("port 9200 is reserved by job `Job 1`"));
    let listed = client.with_status("active").await;
    assert_eq!((listed.len(), &listed[0]["released_at"]), (1, &Value::Null));

    assert_eq!(client.post("/release", json!({})).await.0, 400);
    assert_eq!(client.post("/release", json!({ "reservation_id": "nobody" })).await.0, 404);
    let (status, released) = client.post("/release", json!({ "job_id": "Job 1" })).await;
    assert_eq!(
        (status, &released["released"]["cpu"], &released["released"]["ports"]),
        (200, &json!(4), &json!([9200]))
    );
    let again = json!({ "reservation_id": answer["reservation_id"] });
    assert_eq!(client.post("/release", again).await.0, 404, "once is enough");
    client.all_is_back().await;
    assert!(client.with_status("released").await[0]["released_at"].is_string());
    let health = client.get("/health").await;
    assert_eq!((&health["status"], &health["active_reservations"]), (&json!("ok"), &json!(0)));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_break_the_contract_name_the_field() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    for (field, value) in [
        ("job_id", json!("")),
        ("agent", json!("x".repeat(201))),
        ("ports", json!([0])),
        ("wait_s", json!(601)),
        ("lease_s", json!(0)),
    ] {
        let (status, body) = client.post("/reserve", super::with(cpu("a", 1), field, value)).await;
        assert_eq!((status, &body["detail"][0]["loc"][1]), (422, &json!(field)), "{body}");
    }
    for wrong in
        [json!({ "cpu": -1 }), json!({ "mem_mb": 1.5 }), json!({ "ports": [70_000] }), json!({ "cpu": "1" })]
    {
        let mut body = cpu("a", 1);
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(client.post("/reserve", body).await.0, 422, "{wrong}");
    }
    for (ask, place, told) in [
        (json!({ "cpuu": 1 }), "cpuu", "did you mean `cpu`?"),
        (json!({ "cpu": 1, "memory": 5 }), "memory", "no such field"),
        (json!({}), "cpu", "the request is empty"),
        (json!({ "cpu": 0, "mem_mb": 0, "ports": [] }), "cpu", "the request is empty"),
    ] {
        let mut body = json!({ "job_id": "a", "agent": "a" });
        body.as_object_mut().unwrap().extend(ask.as_object().unwrap().clone());
        let (status, answer) = client.post("/reserve", body).await;
        let first = &answer["detail"][0];
        assert_eq!((status, &first["loc"]), (422, &json!(["body", place])), "{ask}: {answer}");
        assert!(first["msg"].as_str().unwrap().contains(told), "{ask}: {answer}");
    }
    for own in [6100, 6104, 8052, 8103] {
        let port = own + place.offset;
        let reason = client.denied(json!({ "job_id": "a", "agent": "a", "ports": [9200, port] })).await;
        assert!(reason.contains(&format!("port {port} is in use by this daemon itself")), "{reason}");
    }
    for update in [
        json!({ "resource_type": "disk", "new_capacity": 1 }),
        json!({ "resource_type": "gpu", "new_capacity": 1.5 }),
        json!({ "resource_type": "gpu", "new_capacity": -1 }),
    ] {
        assert_eq!(client.post("/quotas/update", update.clone()).await.0, 422, "{update}");
    }
    assert_eq!(client.api.try_get("/reservations?status=lost").await.unwrap().0, 422);
    client.all_is_back().await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_exactly_as_many_are_granted_as_fit() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    for round in 0..3 {
        let asks = (0..64).map(|n| client.reserve(cpu(&format!("job-{round}-{n}"), 1)));
        let answers = join_all(asks).await;
        let granted: BTreeSet<_> = answers.iter().filter_map(|a| a["reservation_id"].as_str()).collect();
        assert_eq!(granted.len(), 10, "no more than there are, and no fewer");
        assert_eq!(client.figures("cpu").await, (10.0, 0.0));
        let back =
            join_all(granted.iter().map(|id| client.post("/release", json!({ "reservation_id": id })))).await;
        assert!(back.iter().all(|(status, _)| *status == 200));
        client.all_is_back().await;
    }
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_served_in_order_and_a_client_that_leaves_gives_up_its_place() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let first = client.granted(cpu("first", 8)).await;
    let waits = |job: &str, cores| super::with(cpu(job, cores), "wait_s", json!(60));
    let (mut big, mut left) =
        (Box::pin(client.reserve(waits("big", 6))), Box::pin(client.reserve(waits("left", 9))));
    let is_waiting = async |count: u64| {
        until("they wait", async || (client.get("/health").await["waiting"] == json!(count)).then_some(()))
            .await;
    };
    tokio::select! { _ = &mut big => panic!("8 of 10 are held"), () = is_waiting(1) => {} }
    tokio::select! { _ = &mut left => panic!("8 of 10 are held"), () = is_waiting(2) => {} }
    assert!(client.denied(cpu("late", 1)).await.contains("0 of 10 available"), "it would delay the big one");
    let quick = client.reserve(super::with(cpu("late", 2), "wait_s", json!(0.2))).await;
    assert!(quick["reason"].as_str().unwrap().contains("in vain"), "{quick}");
    drop(left);
    is_waiting(1).await;
    client.post("/release", json!({ "reservation_id": first })).await;
    assert_eq!(big.await["status"], "granted");
    client.granted(cpu("late", 4)).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trainers_work_one_at_a_time_and_embedders_two() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let of = |agent: &str| json!({ "job_id": agent, "agent": agent, "cpu": 1 });
    client.granted(of("qtower-trainer")).await;
    assert!(client.denied(of("reranker-trainer")).await.contains("1 trainer at a time"));
    client.granted(of("embed-indexer")).await;
    client.granted(of("my-embedder")).await;
    assert!(client.denied(of("embed-indexer")).await.contains("2 embedder at a time"));
    client.granted(of("corpus-auditor")).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_may_fall_below_what_is_held_and_outlive_a_restart() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    let held = client.granted(cpu("a", 6)).await;
    let (_, quota) =
        client.post("/quotas/update", json!({ "resource_type": "cpu", "new_capacity": 4 })).await;
    assert_eq!(
        (&quota["total_capacity"], &quota["available"], &quota["utilization"]),
        (&json!(4), &json!(0), &json!(1.5))
    );
    assert!(client.denied(cpu("b", 1)).await.contains("0 of 4 available"));
    swarm.stop().await;

    let (swarm, client) = up(&place).await;
    assert_eq!(client.figures("cpu").await, (6.0, 0.0), "both the quota and the reservation are there");
    client.post("/release", json!({ "reservation_id": held })).await;
    assert_eq!(client.figures("cpu").await, (0.0, 4.0));
    swarm.stop().await;

    let place = place.setting("PAS_RESOURCES__CPU", 12);
    let (swarm, client) = up(&place).await;
    assert_eq!(client.figures("cpu").await, (0.0, 12.0), "a new setting counts");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_reservations_survive_kill_9() {
    let place = Place::with_documents(0);
    let process = place.start_process().await;
    let client = Client::of(&place, &process.api);
    let asks = (0..8).map(|n| client.granted(cpu(&format!("job-{n}"), 1)));
    let mut ids = join_all(asks).await;
    let gone = ids.pop().unwrap();
    assert_eq!(client.post("/release", json!({ "reservation_id": gone })).await.0, 200);
    process.kill();

    let process = place.start_process().await;
    let client = Client::of(&place, &process.api);
    let active = client.with_status("active").await;
    let found: BTreeSet<_> =
        active.iter().map(|row| row["reservation_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, ids.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(client.figures("cpu").await, (7.0, 3.0));
    assert!(client.denied(cpu("more", 4)).await.contains("3 of 10"));
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_manager_loses_nothing() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    client.granted(cpu("a", 6)).await;
    swarm.system.kill("resource-manager-service").await.unwrap();
    assert!(client.denied(cpu("b", 5)).await.contains("4 of 10"));
    client.granted(cpu("b", 4)).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_over_expires_and_a_job_that_has_ended_holds_nothing() {
    let place = Place::with_documents(4);
    let (swarm, client) = up(&place).await;
    client.granted(super::with(cpu("outside", 1), "lease_s", json!(1))).await;
    until("it has expired", async || {
        let expired = client.with_status("expired").await;
        expired.first().map(|row| assert_eq!(row["job_id"], "outside"))
    })
    .await;
    let run = swarm.api.ingest(json!({})).await;
    client.granted(super::with(cpu(&run, 1), "lease_s", json!(3600))).await;
    swarm.api.done(&run).await;
    client.all_is_back().await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_ends_processes_gives_back_and_leaves_a_plan() {
    let place = Place::with_documents(0);
    let (swarm, client) = up(&place).await;
    assert_eq!(client.post("/kill", json!({ "job_id": "nobody" })).await.0, 404);
    client.granted(super::with(cpu("../job", 3), "ports", json!([9300]))).await;
    let (_, killed) = client.post("/kill", json!({ "job_id": "../job" })).await;
    assert_eq!((&killed["killed_reservations"], &killed["reason"]), (&json!(1), &json!("manual_kill")));
    client.all_is_back().await;
    assert_eq!(client.with_status("killed").await.len(), 1);
    let path = killed["cleanup_plan"].as_str().unwrap();
    let plan = std::fs::read(place.dir.path().join(path)).unwrap();
    let plan: Value = serde_json::from_slice(&plan).unwrap();
    assert_eq!((&plan["job_id"], &plan["returned"]["ports"]), (&json!("../job"), &json!([9300])));
    assert_eq!((&plan["returned"]["amounts"]["cpu"], &plan["left"]), (&json!(3), &json!([])));

    let mut sleeper = Command::new("sleep");
    let child = swarm.resources.groups().spawn("job-2", sleeper.arg("1000")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    let waiting = tokio::spawn(child.wait());
    let (_, killed) = client.post("/kill", json!({ "job_id": "job-2", "reason": "stuck" })).await;
    assert_eq!((&killed["killed_processes"][0]["ended"], &killed["reason"]), (&json!(true), &json!("stuck")));
    assert!(!waiting.await.unwrap().unwrap().success());
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_cancels_a_run_and_what_its_step_held_is_back() {
    let place = Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let (swarm, client) = up(&place).await;
    let run = swarm.api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    swarm.api.works(&audit, 1).await;
    let held = client.with_status("active").await;
    assert_eq!((held.len(), &held[0]["job_id"], &held[0]["cpu"]), (1, &json!(audit), &json!(1)));
    let theirs = json!({ "reservation_id": held[0]["reservation_id"] });
    assert_eq!(client.post("/release", theirs).await.0, 409, "a step at work keeps what it has");
    let (_, killed) = client.post("/kill", json!({ "job_id": run })).await;
    assert_eq!((&killed["killed_reservations"], &killed["cancelled_jobs"]), (&json!(1), &json!(4)));
    swarm.api.is(&run, "cancelled").await;
    client.all_is_back().await;
    assert_eq!(client.with_status("killed").await[0]["job_id"], json!(audit));
    each_ended_once(&swarm.api.run(&run).await, &swarm.api.events(&run).await);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_gives_back_and_reserves_anew() {
    let place =
        Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1).setting("PAS_RESOURCES__CPU", 1);
    let (swarm, client) = up(&place).await;
    let run = swarm.api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    swarm.api.works(&audit, 2).await;
    swarm.system.kill("corpus-auditor").await.unwrap();
    swarm.api.done(&run).await;
    client.all_is_back().await;
    let of_audit =
        client.with_status("released").await.into_iter().filter(|row| row["job_id"] == json!(audit)).count();
    assert_eq!(of_audit, 2, "one for each attempt, on a machine with room for one");
    let events = swarm.api.events(&run).await;
    let granted = events.iter().filter(|event| event["detail"]["resources"]["status"] == "granted");
    assert_eq!(granted.filter(|event| event["job_id"] == json!(audit)).count(), 2);
    each_ended_once(&swarm.api.run(&run).await, &events);
    swarm.stop().await;
}

/// One core for steps that would like five: they take turns, and the run ends as usual.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_machine_makes_steps_wait_and_not_fail() {
    let place = Place::with_documents(60);
    let swarm = place.start().await;
    let undisturbed = swarm.api.done(&swarm.api.ingest(json!({})).await).await;
    swarm.stop().await;
    let place = place.setting("PAS_RESOURCES__CPU", 1).setting("PAS_RESOURCES__MEM_MB", 512);
    let (swarm, client) = up(&place).await;
    let outside = client.granted(cpu("outside", 1)).await;
    let run = swarm.api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    let job = until("the audit waits", async || {
        let (_, job) = swarm.api.try_get(&format!("/jobs/{audit}")).await.ok()?;
        let note = job["progress"]["note"].as_str()?.to_owned();
        note.contains("waits for resources: 1 cpu").then_some(job)
    })
    .await;
    assert_eq!(job["state"], "running");
    client.post("/release", json!({ "reservation_id": outside })).await;
    assert_eq!(swarm.api.done(&run).await, undisturbed);
    let events = swarm.api.events(&run).await;
    assert!(events.iter().any(|event| event["detail"]["resources"]["status"] == "waiting"));
    client.all_is_back().await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_waits_can_be_cancelled_and_one_that_asks_too_much_fails() {
    let place = Place::with_documents(4).setting("PAS_RESOURCES__CPU", 1);
    let (swarm, client) = up(&place).await;
    let outside = client.granted(cpu("outside", 1)).await;
    let run = swarm.api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    swarm.api.is(&audit, "running").await;
    until("it stands in the queue", async || {
        (client.get("/health").await["waiting"] == json!(1)).then_some(())
    })
    .await;
    swarm.api.ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    let ended = swarm.api.is(&audit, "cancelled").await;
    let events = swarm.api.events(&run).await;
    let told = events.iter().find(|e| e["event"] == "cancelled" && e["job_id"] == json!(audit)).unwrap();
    assert!(told["detail"]["how"].as_str().unwrap().contains("waited for resources"), "{ended} {told}");
    until("its place is free", async || (client.get("/health").await["waiting"] == json!(0)).then_some(()))
        .await;
    client.post("/release", json!({ "reservation_id": outside })).await;
    client.all_is_back().await;

    let card = json!({
        "task": "ingest.audit", "agent": "corpus-auditor", "inputs": { "source": place.corpus() },
        "resource_request": { "cpu": 100 },
    });
    let job = swarm.api.ask("/jobs", card).await;
    let id = job["job_id"].as_str().unwrap();
    let failed = swarm.api.is(id, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("the capacity is 1"), "{failed}");
    swarm.stop().await;
}

/// A step's reservation dies with the daemon; a client's does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_under_a_step_leaves_no_reservation_of_it() {
    let place = Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let process = place.start_process().await;
    let client = Client::of(&place, &process.api);
    client.granted(cpu("outside", 1)).await;
    let run = process.api.ingest(json!({})).await;
    process.api.works(&format!("{run}.data.lane.audit"), 1).await;
    process.kill();

    let process = place.start_process().await;
    let client = Client::of(&place, &process.api);
    process.api.done(&run).await;
    until("only the client's is left", async || {
        let active = client.with_status("active").await;
        (active.len() == 1 && active[0]["job_id"] == "outside").then_some(())
    })
    .await;
    assert_eq!(client.figures("cpu").await, (1.0, 9.0));
    process.kill();
}
