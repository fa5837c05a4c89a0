//! Port 6101's acts on a whole daemon: what they touch, what they do, what proves it, and the audit.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt as _;
use pas::http::contract::bundled;
use serde_json::{Value, json};

use crate::contracts::{assert_fits, resolved};
use crate::gateway::{Stage, streamed};
use crate::support::{Api, Place, each_ended_once, http_client, of_kind, until};
use crate::vendor::{FOREVER, Fault, Vendor};

const HMI: u16 = 6101;
const EVENTS: u16 = 6102;
/// Enough for a step to be met at work in its middle.
const DOCUMENTS: usize = 200;
/// Looked at twice with this in between, what stands still has stopped.
const STILL: Duration = Duration::from_millis(400);
/// An agent of the roster whose step comes first.
const AUDITOR: &str = "corpus-auditor";

/// One thread, so that a step takes long enough to be met at work.
fn place() -> Place {
    Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1)
}

/// A place whose roster has a second agent for the audit, and one that may not touch files.
fn place_with_substitutes() -> Place {
    let place = place();
    let folder = place.dir.path().join("agents");
    std::fs::create_dir(&folder).unwrap();
    for (name, rights) in [("substitute", "{ filesystem: rw, python: true }"), ("timid", "{}")] {
        let text = format!(
            "---\nname: {name}\ndescription: d\nrole: exec\nparent: manager-data\n\
             capabilities: [source_checking]\nrights: {rights}\nbehaviour: native\nskill: ingest.audit\n---\nx\n"
        );
        std::fs::write(folder.join(format!("{name}.md")), text).unwrap();
    }
    let folder = folder.display().to_string();
    place.setting("PAS_AGENTS__FOLDER", folder)
}

fn hmi(api: &Api) -> Api {
    api.with_base(format!("http://{}", api.address_of(HMI)))
}

/// Holds one answer to the operation of the contract.
#[track_caller]
fn fits(path: &str, method: &str, status: u16, body: &Value) {
    let document = bundled("hmi.json").unwrap();
    let place = format!("{method} {path}: {status}");
    let response = document["paths"][path][method]["responses"].get(status.to_string());
    let response = resolved(&document, response.unwrap_or_else(|| panic!("{place} is not told of: {body}")));
    assert_fits(&document, &response["content"]["application/json"]["schema"], body, &place);
}

/// Acts; gives the status and the answer, which fits the contract.
async fn try_act(api: &Api, body: Value) -> (u16, Value) {
    let (status, answer) = hmi(api).post("/api/action", body).await;
    fits("/api/action", "post", status.as_u16(), &answer);
    (status.as_u16(), answer)
}

/// Acts; that must succeed.
async fn act(api: &Api, body: Value) -> Value {
    let (status, answer) = try_act(api, body.clone()).await;
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{body}: {answer}");
    answer
}

/// Acts; that must be refused. The sentence that says why.
async fn refused(api: &Api, body: Value, with: u16) -> String {
    let (status, answer) = try_act(api, body.clone()).await;
    assert_eq!(status, with, "{body}: {answer}");
    answer["detail"].to_string()
}

async fn radius(api: &Api, query: &str) -> Value {
    let found = hmi(api).get(&format!("/api/blast-radius?{query}")).await;
    fits("/api/blast-radius", "get", 200, &found);
    found
}

/// The audit, newest first.
async fn audit(api: &Api) -> Vec<Value> {
    let list = hmi(api).get("/api/audit?limit=50").await;
    fits("/api/audit", "get", 200, &list);
    list["entries"].as_array().unwrap().clone()
}

/// The lines of the audit's files.
fn lines(workdir: &Path) -> Vec<Value> {
    let Ok(files) = std::fs::read_dir(workdir.join("artifacts/hmi/audit")) else { return Vec::new() };
    let text: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(jobs: &Value) -> Vec<&str> {
    jobs.as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_killed_in_the_middle_is_back_and_its_run_ends_equal() {
    let place = place();
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    let run = api.ingest(json!({})).await;
    let (lane, step) = (format!("{run}.data.lane"), format!("{run}.data.lane.audit"));
    api.works(&step, 2).await;

    let before = radius(api, "target=manager-data&action=kill").await;
    assert_eq!(before["agents"], json!(["manager-data"]));
    assert_eq!(ids(&before["jobs"]), [&lane, &step], "its own, and what is below");
    let killed = act(api, json!({ "action": "kill", "target": "manager-data", "reason": "a test" })).await;
    assert_eq!(killed["message"], "killed `manager-data`; it is back as incarnation 2");
    let life = &killed["proof"]["agents"][0];
    assert_eq!(
        (&life["name"], &life["before"], &life["after"]),
        (&json!("manager-data"), &json!(1), &json!(2))
    );
    let back_ms = life["back_ms"].as_f64().unwrap();
    assert!(back_ms > 0.0 && back_ms < 5000.0, "{back_ms}");

    assert_eq!(api.done(&run).await, undisturbed);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    let entry = &audit(api).await[0];
    assert_eq!(
        (&entry["who"], &entry["action"], &entry["reason"]),
        (&json!("hmi"), &json!("kill"), &json!("a test"))
    );
    assert_eq!((&entry["before"]["incarnation"], &entry["after"]["incarnation"]), (&json!(1), &json!(2)));
    let written = lines(place.dir.path());
    let told: Vec<_> = written.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!((told, &written[0]["id"]), (vec!["begun", "done"], &written[1]["id"]));
    let events = api.with_base(format!("http://{}", api.address_of(EVENTS)));
    let told = until("the act is told", async || {
        let events = events.get("/events/recent?limit=1000").await;
        events["events"].as_array()?.iter().find(|event| event["event_type"] == "action").cloned()
    })
    .await;
    assert_eq!((&told["data"]["target"], &told["data"]["outcome"]), (&json!("manager-data"), &json!("done")));
    swarm.stop().await;
}

/// A stream of an agent that has begun and stands still; gives the rest of it.
async fn stalled(stage: &Stage, headers: &[(&str, &str)]) -> impl Future<Output = String> + use<> {
    stage.vendors.get(Vendor::OpenAi).script([Fault::StallAfter(2, FOREVER)]);
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(&streamed("gpt-4-turbo"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut body = request.send().await.unwrap().bytes_stream();
    let mut text = String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    async move {
        while let Some(Ok(bytes)) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_s_model_streams_end_with_it_and_are_settled() {
    let stage = Stage::open().await;
    let api = &stage.swarm.api;
    let server = stage.vendors.get(Vendor::OpenAi);
    let rest = stalled(&stage, &[("x-pas-agent", AUDITOR), ("x-pas-run-id", "streams")]).await;
    let other = stalled(&stage, &[("x-pas-agent", "chunker-mgs"), ("x-pas-run-id", "others")]).await;
    let before = radius(api, &format!("target={AUDITOR}")).await;
    let in_flight = before["usd_in_flight"].as_f64().unwrap();
    assert!(in_flight > 0.0, "{before}");

    let killed = act(api, json!({ "action": "kill", "target": AUDITOR })).await;
    let proof = &killed["proof"];
    assert_eq!((&proof["streams_closed"], &proof["agents"][0]["after"]), (&json!(1), &json!(2)), "{proof}");
    assert_eq!(proof["holds_released_usd"].as_f64(), Some(in_flight), "{proof}");
    assert!(rest.await.contains("its agent was ended"), "the reader is told");
    until("the vendor's connection is closed", async || (server.left_early() == 1).then_some(())).await;
    let receipts = stage.receipts("streams").await;
    assert_eq!((receipts.len(), &receipts[0]["cost_usd"]), (1, &proof["final_cost_usd"]), "{receipts:#?}");
    assert_eq!(radius(api, &format!("target={AUDITOR}")).await["usd_in_flight"], 0);
    assert!(stage.receipts("others").await.is_empty(), "another agent's call goes on");

    let again = act(api, json!({ "action": "restart", "target": "chunker-mgs" })).await;
    assert_eq!(again["proof"]["streams_closed"], 1, "an orderly restart drops what it did, too: {again}");
    other.await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_job_gives_back_what_it_had() {
    let stage = Stage::open().await;
    let api = &stage.swarm.api;
    let run = api.ingest(json!({})).await;
    api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    let below = format!("{run}.data");
    let rest = stalled(&stage, &[("x-pas-job-id", &below)]).await;
    let resources = api.with_base(format!("http://{}", api.address_of(6104)));
    let asked = json!({ "job_id": below, "agent": "a-client", "cpu": 1 });
    assert_eq!(resources.ask("/reserve", asked).await["status"], "granted");

    let killed = act(api, json!({ "action": "kill", "target": run, "reason": "too large" })).await;
    let proof = &killed["proof"];
    assert_eq!(
        (&proof["streams_closed"], &proof["reservations_released"]),
        (&json!(1), &json!(1)),
        "{proof}"
    );
    assert!(proof["final_cost_usd"].as_f64().unwrap() > 0.0, "{proof}");
    assert_eq!(proof["final_cost_usd"], proof["holds_released_usd"], "what was used is not known");
    assert!(rest.await.contains("the job was cancelled"));
    assert_eq!(api.job(&run).await["state"], "cancelled");
    let again = act(api, json!({ "action": "kill", "target": run })).await;
    assert_eq!(again["message"], format!("`{run}` was cancelled before; nothing changed"));

    let anew = act(api, json!({ "action": "restart", "target": run })).await;
    let message = anew["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("`{run}` is cancelled; submitted it anew as `ingest-")),
        "{message}"
    );
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_agent_handles_nothing_until_it_is_resumed() {
    let place = Place::with_documents(8);
    let swarm = place.start().await;
    let api = &swarm.api;
    let paused = act(api, json!({ "action": "pause", "target": "manager-data" })).await;
    assert_eq!(paused["message"], "paused `manager-data`: messages wait until it is resumed");
    let run = api.ingest(json!({})).await;
    let lane = format!("{run}.data.lane");
    let vitals = || swarm.system.tree().by_name("manager-data").unwrap().vitals().unwrap();
    until("a message waits", async || (vitals().depth > 0).then_some(())).await;
    let handled = vitals().handled;
    tokio::time::sleep(STILL).await;
    assert_eq!((vitals().handled, vitals().paused), (handled, true));
    assert_eq!(api.job(&lane).await["state"], "queued");
    let again = act(api, json!({ "action": "pause", "target": "agent-manager-data" })).await;
    assert_eq!(again["message"], "`manager-data` was paused already; nothing changed");
    act(api, json!({ "action": "resume", "target": "manager-data" })).await;
    api.done(&run).await;
    let again = act(api, json!({ "action": "resume", "target": "manager-data" })).await;
    assert_eq!(again["message"], "`manager-data` was not paused; nothing changed");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subtree_is_an_agent_with_all_below_it() {
    let place = Place::with_documents(8);
    let swarm = place.start().await;
    let api = &swarm.api;
    let roster = swarm.jobs.agents.roster();
    let manager = &roster.get("manager-data").unwrap().name;
    let mut team: Vec<&str> = roster.children_of(manager).map(|agent| agent.name.as_str()).collect();
    team.insert(0, "manager-data");
    assert!(team.len() > 3, "{team:?}");
    let paused = || -> usize {
        let is_paused = |name: &&&str| swarm.system.tree().by_name(name).unwrap().vitals().unwrap().paused;
        team.iter().filter(is_paused).count()
    };
    let whole = |action: &str| json!({ "action": action, "target": "manager-data", "subtree": true });
    act(api, whole("pause")).await;
    assert_eq!(paused(), team.len());
    act(api, whole("resume")).await;
    assert_eq!(paused(), 0);

    let found = radius(api, "target=manager-data&action=kill&subtree=true").await;
    assert_eq!(found["agents"], json!(team));
    let killed = act(api, whole("kill")).await;
    let lives = killed["proof"]["agents"].as_array().unwrap();
    let names: Vec<&Value> = lives.iter().map(|life| &life["name"]).collect();
    assert_eq!(json!(names), json!(team));
    assert!(lives.iter().all(|life| life["after"] == 2 && life["back_ms"].is_f64()), "{lives:#?}");
    let entry = &audit(api).await[0];
    assert_eq!((&entry["subtree"], &entry["after"]["agents"]), (&json!(true), &json!(team.len())));
    api.done(&api.ingest(json!({})).await).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_takes_along_whom_the_strategy_says() {
    let place = Place::with_documents(4);
    let folder = place.dir.path().join("agents");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, rest: &str| {
        let text = format!("---\nname: {name}\ndescription: d\n{rest}---\nx\n");
        std::fs::write(folder.join(format!("{name}.md")), text).unwrap();
    };
    write(
        "one-fate",
        "role: coord\nparent: architect\nbehaviour: coordinator\nsupervision: { strategy: one_for_all }\n",
    );
    write("left", "role: exec\nparent: one-fate\nbehaviour: native\nskill: ingest.audit\n");
    write("right", "role: exec\nparent: one-fate\nbehaviour: native\nskill: ingest.audit\n");
    let folder = folder.display().to_string();
    let place = place.setting("PAS_AGENTS__FOLDER", folder);
    let swarm = place.start().await;
    let api = &swarm.api;
    let all = json!(["one-fate", "left", "right"]);
    for (target, touched) in [("one-fate", &all), ("left", &json!(["left"]))] {
        assert_eq!(radius(api, &format!("target={target}")).await["agents"], *touched);
        let killed = act(api, json!({ "action": "kill", "target": target })).await;
        let lives = killed["proof"]["agents"].as_array().unwrap();
        assert_eq!(json!(lives.iter().map(|life| &life["name"]).collect::<Vec<_>>()), *touched);
        let is_next = |life: &Value| life["after"].as_u64() > life["before"].as_u64();
        assert!(lives.iter().all(|life| is_next(life) && life["back_ms"].is_f64()), "{lives:#?}");
    }
    let restarted = act(api, json!({ "action": "restart", "target": "one-fate" })).await;
    let lives = restarted["proof"]["agents"].as_array().unwrap();
    assert_eq!(
        (lives.len(), &lives[0]["name"]),
        (1, &json!("one-fate")),
        "a planned restart is its own alone"
    );
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_step_moves_to_another_agent_and_the_run_ends_equal() {
    let place = place_with_substitutes();
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    let run = api.ingest(json!({})).await;
    let step = format!("{run}.data.lane.audit");
    let held = api.works(&step, 2).await;
    assert_eq!((&held["agent"], &held["fence"]), (&json!(AUDITOR), &json!(1)));
    let to = |to: &str| json!({ "action": "reassign", "target": step, "to": to, "reason": "too slow" });
    let lack = refused(api, to("chunker-mgs"), 409).await;
    assert!(lack.contains("does not offer `source_checking`") && lack.contains("`substitute`"), "{lack}");
    assert!(refused(api, to("timid"), 409).await.contains("may touch less than `corpus-auditor`"));
    assert!(refused(api, to("nobody"), 409).await.contains("there is no agent `nobody`"));
    assert!(refused(api, to(AUDITOR), 409).await.contains("is with `corpus-auditor` already"));
    refused(api, json!({ "action": "reassign", "target": step }), 422).await;
    assert_eq!(api.job(&step).await["fence"], 1, "what was refused changed nothing");

    let moved = act(api, to("substitute")).await;
    let message = moved["message"].as_str().unwrap();
    assert!(
        message.ends_with("went from `corpus-auditor` to `substitute`, which begins it anew"),
        "{message}"
    );
    assert_eq!(api.done(&run).await, undisturbed);
    let job = api.job(&step).await;
    assert_eq!((&job["agent"], &job["fence"], &job["attempt"]), (&json!("substitute"), &json!(3), &json!(1)));
    let events = api.events(&run).await;
    each_ended_once(&api.run(&run).await, &events);
    assert_eq!(of_kind(&events, "reassigned"), [&step]);
    assert!(swarm.jobs.board.held().is_empty(), "nobody works on it any more");
    assert!(refused(api, to(AUDITOR), 409).await.contains("is done"));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_step_moves_and_a_running_one_is_begun_anew() {
    let place = place_with_substitutes();
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    act(api, json!({ "action": "pause", "target": AUDITOR })).await;
    let run = api.ingest(json!({})).await;
    let step = format!("{run}.data.lane.audit");
    until("the step waits", async || {
        api.run(&run).await.iter().any(|job| job["job_id"] == step.as_str()).then_some(())
    })
    .await;
    act(api, json!({ "action": "reassign", "target": step, "to": "substitute" })).await;
    api.works(&step, 2).await;
    let again = act(api, json!({ "action": "restart", "target": step })).await;
    assert_eq!(again["message"], format!("`{step}` is begun anew by `substitute`"));
    assert_eq!(again["proof"]["reservations_released"], 1, "the first attempt's: {again}");
    assert_eq!(api.done(&run).await, undisturbed);
    act(api, json!({ "action": "resume", "target": AUDITOR })).await;
    assert_eq!(api.done(&api.ingest(json!({})).await).await, undisturbed, "the first agent works as before");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_decided_once() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let asking = json!({ "approvals_required": ["git_push"] });
    let run = api.ingest(asking.clone()).await;
    let question = api.question_of(&run).await;
    let found = radius(api, &format!("target={question}&action=approve")).await;
    assert_eq!((ids(&found["jobs"]), &found["agents"]), (vec![run.as_str()], &json!([])));
    let approve = json!({ "action": "approve", "target": question, "reason": "looked at it" });
    assert_eq!(
        act(api, approve.clone()).await["message"],
        format!("approved `{question}`: `{run}` is queued")
    );
    let again = act(api, approve).await;
    assert_eq!(again["message"], format!("`{question}` was approved before by hmi; nothing changed"));
    refused(api, json!({ "action": "reject", "target": question }), 409).await;
    api.done(&run).await;

    let run = api.ingest(asking).await;
    api.question_of(&run).await;
    act(api, json!({ "action": "reject", "target": run, "reason": "not today" })).await;
    let failed = api.is(&run, "failed").await;
    assert_eq!(failed["error"], "rejected by hmi: not today");
    refused(api, json!({ "action": "approve", "target": run }), 409).await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_refused_is_written_down_and_changes_nothing() {
    let place = Place::with_documents(4);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let kill = |target: &str| json!({ "action": "kill", "target": target });
    for (body, status, why) in [
        (kill("no-such-thing"), 404, "there is no agent, job or question called `no-such-thing`"),
        (kill("pas"), 409, "is the daemon's root"),
        (kill("architect-sup"), 409, "is a supervisor"),
        (kill("edge"), 409, "carries this very request"),
        (kill(&run), 409, "is done, so there is nothing to kill"),
        (json!({ "action": "pause", "target": "scheduler" }), 409, "is a service of the daemon"),
        (json!({ "action": "approve", "target": AUDITOR }), 409, "is an agent"),
    ] {
        let told = refused(api, body.clone(), status).await;
        assert!(told.contains(why), "{body}: {told}");
        let entry = audit(api).await.remove(0);
        assert_eq!((&entry["outcome"], &entry["target"]), (&json!("refused"), &body["target"]), "{entry}");
        assert!(entry["after"]["error"].as_str().unwrap().contains(why), "{entry}");
    }
    refused(api, json!({ "action": "explode", "target": AUDITOR }), 422).await;
    refused(api, kill(""), 422).await;

    let acts = audit(api).await.len();
    let page = http_client().post(format!("http://{}/api/action", api.address_of(HMI)));
    let foreign = page.header("origin", "http://evil.test").json(&kill(AUDITOR)).send().await.unwrap();
    assert_eq!(foreign.status(), 403, "another site's page");
    assert_eq!(audit(api).await.len(), acts);
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
    let acts = audit(api).await;
    let told: Vec<_> = acts
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
        (&acts[1]["before"]["status"], &acts[1]["after"]["status"]),
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
    // Its agent answers nothing, so this kill waits for it: the daemon is killed in its middle.
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
    let acts = audit(&process.api).await;
    let told: Vec<_> = acts
        .iter()
        .map(|act| ["who", "action", "outcome"].map(|field| act[field].as_str().unwrap()))
        .collect();
    let expected = [["hmi", "kill", "begun"], ["hmi", "pause", "done"], ["cli:ada", "restart", "done"]];
    assert_eq!(told, expected, "{acts:#?}");
    assert_eq!((&acts[0]["after"], &acts[0]["target"]), (&Value::Null, &json!(run)));
}
