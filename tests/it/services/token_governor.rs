//! The token governor: over HTTP for agents from outside, and on the daemon's own agents with crashes.
//!
//! Crashes are kills of the real actors at moments that the tests choose: while a summariser is held, or
//! at random; of the process, while a run resets its agents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use pas::actors::token_governor::{self, GovernorHandle, Setup};
use pas::domain::agent::AgentDefinition;
use pas::domain::context::RunLabel;
use pas::domain::context::conversation::Origin;
use pas::domain::context::reset::Stage;
use pas::domain::usage::Usage;
use pas::http::contract::bundled;
use pas::http::{self, Contract, page};
use pas::skills::summary::{Digest, Summariser, SummaryError};
use pas::store::Store;
use pas::supervision::policy::{PlannedRestart, SupervisorPolicy};
use pas::supervision::{
    Actor, ActorError, ActorSystem, Context, Happening, Message, RootHandle, WorkerOptions,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::contracts::{assert_fits, assert_routes_match_contract, resolved};
use crate::support::{Place, each_ended_once, until};

const GOVERNOR: &str = "token-governor";
const AGENT: &str = "corpus-auditor";

/// A client of port 6105 that holds every answer to the contract.
struct Client {
    base: String,
    http: reqwest::Client,
    document: Value,
}

impl Client {
    fn of(place: &Place) -> Self {
        let base = format!("http://127.0.0.1:{}", 6105 + place.offset);
        Self { base, http: reqwest::Client::new(), document: bundled("token-governor.json").unwrap() }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method_ = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method_, format!("{}{path}", self.base));
        request = if body.is_null() {
            request.header("content-type", "application/json")
        } else {
            request.json(&body)
        };
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        let bare = path.split('?').next().unwrap();
        let template = if bare.starts_with("/summaries/") { "/summaries/{summary_id}" } else { bare };
        let operation = &self.document["paths"][template][method.to_lowercase()];
        let place = format!("{method} {path}: {status}: {body}");
        let response = operation["responses"].get(status.to_string()).unwrap_or_else(|| panic!("{place}"));
        let response = resolved(&self.document, response);
        assert_fits(&self.document, &response["content"]["application/json"]["schema"], &body, &place);
        (status, body)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask("POST", path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn track(&self, agent: &str, used: u64) -> Value {
        let body = json!({ "agent": agent, "run_id": "Feature_1.a", "ctx_used": used, "ctx_limit": 16_000 });
        self.post("/track", body).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_from_outside_is_tracked_summarised_and_cleared() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let governor = Client::of(&place);
    for (used, ratio, status, action) in [
        (0, 0.0, "ok", Value::Null),
        (7_999, 0.5, "ok", Value::Null),
        (8_000, 0.5, "warning", json!("monitor_closely")),
        (11_999, 0.75, "warning", json!("monitor_closely")),
        (12_000, 0.75, "breach", json!("save_state_clear_resume")),
        (20_000, 1.25, "breach", json!("save_state_clear_resume")),
        (13_000, 0.813, "breach", json!("save_state_clear_resume")),
    ] {
        let answer = governor.track("my-coder", used).await;
        let told = (&answer["ctx_ratio"], &answer["status"], &answer["action"]);
        assert_eq!(told, (&json!(ratio), &json!(status), &action), "{used}");
    }
    governor.post("/track", json!({ "agent": "other", "ctx_used": 6, "ctx_limit": 10, "target_ratio": 0.6 })).await;
    let all = governor.get("/status").await;
    let names: Vec<_> = all["agents"].as_array().unwrap().iter().map(|a| a["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["my-coder", "other"]);
    let one = governor.get("/status?agent=other").await;
    assert_eq!((&one["agents"][0]["status"], &one["agents"][0]["target_ratio"]), (&json!("warning"), &json!(0.6)));
    assert_eq!(governor.get("/status?agent=nobody").await, json!({ "agents": [] }));
    let own = governor.post("/track", json!({ "agent": AGENT, "ctx_used": 5, "ctx_limit": 10 })).await;
    assert_eq!(own["status"], "breach", "its definition allows half: {own}");

    let mut content = String::from("User: the goal is to publish release 7.4.2.\n");
    for n in 0..3_000 {
        content.push_str(&format!("Assistant: still looking at part {n} of the logs, nothing there.\n"));
    }
    content.push_str("Assistant: decided to sign with key 9f3c2ab77d10.\n");
    let wanted = json!({
        "agent": "my-coder", "run_id": "Feature_1.a", "trigger_reason": "hard_max_breach",
        "content_to_summarize": content,
    });
    let made = governor.post("/summarize", wanted.clone()).await;
    assert_eq!((&made["ctx_before"], &made["ctx_after"]), (&json!(13_000), &json!(0)));
    assert_eq!(made["summary_path"], "docs/runs/Feature_1.a_summary.md");
    let file = place.dir.path().join(made["summary_path"].as_str().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("publish release 7.4.2") && text.contains("9f3c2ab77d10"), "{text}");
    let id = made["summary_id"].as_str().unwrap();
    let detail = governor.get(&format!("/summaries/{id}")).await;
    assert_eq!(detail["before"], content);
    let pieces = detail["diff"].as_array().unwrap();
    assert!(pieces.iter().any(|p| p["kept"] == false) && pieces.iter().any(|p| p["kept"] == true));
    let glued: String = pieces.iter().map(|p| p["text"].as_str().unwrap()).collect();
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(&glued), bare(&content), "kept and dropped are the whole");

    // Another summary of the run is another section.
    let mut second = wanted;
    second["content_to_summarize"] = json!("Assistant: all done.");
    second["trigger_reason"] = json!("manual");
    let second = governor.post("/summarize", second).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("7.4.2") && text.contains("Assistant: all done."), "{text}");
    let listed = governor.get("/summaries?agent=my-coder").await;
    let ids: Vec<_> = listed["summaries"].as_array().unwrap().iter().map(|s| s["summary_id"].clone()).collect();
    assert_eq!(ids, [second["summary_id"].clone(), json!(id)], "newest first");
    assert_eq!(governor.get("/summaries?limit=1").await["summaries"].as_array().unwrap().len(), 1);

    let cleared = governor.post("/clear?agent=my-coder", Value::Null).await;
    assert_eq!((&cleared["success"], &cleared["ctx_before"]), (&json!(true), &json!(13_000)));
    let after = governor.get("/status?agent=my-coder").await;
    assert_eq!((&after["agents"][0]["ctx_used"], &after["agents"][0]["status"]), (&json!(0), &json!("ok")));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_contract_is_refused() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let governor = Client::of(&place);
    let report = json!({ "agent": "a", "ctx_used": 1, "ctx_limit": 10 });
    for (field, value) in [
        ("agent", json!("")),
        ("agent", json!("x".repeat(129))),
        ("agent", Value::Null),
        ("ctx_used", json!(-1)),
        ("ctx_limit", json!(0)),
        ("ctx_limit", json!("10")),
        ("target_ratio", json!(1.5)),
        ("hard_max_ratio", json!(-0.1)),
        ("run_id", json!("../../etc/passwd")),
    ] {
        let mut body = report.clone();
        body[field] = value.clone();
        let (status, answer) = governor.ask("POST", "/track", body).await;
        assert_eq!((status, &answer["detail"][0]["loc"][1]), (422, &json!(field)), "{value}: {answer}");
    }
    let mut crossed = report.clone();
    crossed["target_ratio"] = json!(0.9);
    crossed["hard_max_ratio"] = json!(0.1);
    assert_eq!(governor.ask("POST", "/track", crossed).await.0, 422);
    let wish = |agent: &str, run: &str, why: &str| json!({ "agent": agent, "run_id": run, "trigger_reason": why });
    assert_eq!(governor.ask("POST", "/summarize", wish("nobody", "r", "manual")).await.0, 404);
    governor.post("/track", report).await;
    for run in ["..", "a/b", "", ".hidden", "a b", "-x"] {
        assert_eq!(governor.ask("POST", "/summarize", wish("a", run, "manual")).await.0, 422, "{run:?}");
    }
    assert_eq!(governor.ask("POST", "/summarize", wish("a", "r", "because")).await.0, 422);
    assert_eq!(governor.ask("POST", "/clear?agent=nobody", Value::Null).await.0, 404);
    assert_eq!(governor.ask("POST", "/clear", Value::Null).await.0, 422);
    assert_eq!(governor.ask("GET", "/summaries?limit=0", Value::Null).await.0, 422);
    assert_eq!(governor.ask("GET", "/summaries/none", Value::Null).await.0, 404);
    assert!(!place.dir.path().join("docs").exists(), "nothing was written");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contexts_outlive_a_crash_of_the_governor_and_a_restart_of_the_daemon() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let governor = Client::of(&place);
    governor.track("my-coder", 9_000).await;
    let before = governor.get("/status").await;
    swarm.system.kill("token-governor-service").await.unwrap();
    assert_eq!(governor.get("/status").await, before);
    swarm.stop().await;
    let swarm = place.start().await;
    assert_eq!(governor.get("/status").await, before);
    swarm.stop().await;
}

/// A summariser that is held until it is let go, and then gives its answer.
struct Held {
    open: AtomicBool,
    asked: Notify,
    go: Notify,
}

impl Held {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self { open: AtomicBool::new(open), asked: Notify::new(), go: Notify::new() })
    }

    fn let_go(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.go.notify_waiters();
    }
}

struct HeldSummariser(Arc<Held>);

impl Summariser for HeldSummariser {
    fn summarise(&self, _: Arc<str>) -> BoxFuture<'static, Result<Digest, SummaryError>> {
        let held = Arc::clone(&self.0);
        async move {
            held.asked.notify_one();
            let go = held.go.notified();
            if !held.open.load(Ordering::SeqCst) {
                go.await;
            }
            // The governor falls back on extraction.
            Err(SummaryError("no model answers".into()))
        }
        .boxed()
    }
}

/// An agent's worker as far as resets go: it resumes when it starts.
struct Worker;

enum Never {}

impl Message for Never {
    fn kind(&self) -> &'static str {
        match *self {}
    }
}

impl Actor for Worker {
    type Message = Never;

    async fn handle(&mut self, message: Never, _: &Context<Never>) -> Result<(), ActorError> {
        match message {}
    }
}

/// One agent and the governor.
struct World {
    dir: tempfile::TempDir,
    system: ActorSystem,
    root: RootHandle,
    store: Store,
    governor: GovernorHandle,
    me: AgentDefinition,
    run: RunLabel,
    /// The resets that starts of the worker resumed from.
    resumed: Arc<Mutex<Vec<String>>>,
}

impl World {
    async fn new(held: &Arc<Held>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pas.redb");
        let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
        let system = ActorSystem::default();
        let roster = Arc::new(pas::roster::load(None).0);
        let me = roster.get(AGENT).unwrap().clone();
        let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let setup = Setup {
            store: store.clone(),
            roster,
            workdir: dir.path().to_owned(),
            summariser: Some(Arc::new(HeldSummariser(Arc::clone(held)))),
        };
        let (spec, governor) = token_governor::spec(&system, "governor", options, setup);
        let resumed = Arc::new(Mutex::new(Vec::new()));
        let (handle, told) = (governor.clone(), Arc::clone(&resumed));
        let (worker, _) = system.worker(AGENT, options, move |_| {
            let (handle, told) = (handle.clone(), Arc::clone(&told));
            async move {
                if let Some(resumption) = handle.resume(AGENT).await? {
                    assert!(resumption.summary.is_some(), "nothing is cleared before its summary is stored");
                    told.lock().push(resumption.reset.id);
                }
                Ok(Worker)
            }
        });
        let policy = SupervisorPolicy { intensity: 1_000, ..SupervisorPolicy::default() };
        let root = system.start("root", policy, vec![worker, spec]).await.unwrap();
        Self { dir, system, root, store, governor, me, run: RunLabel::new("run-1").unwrap(), resumed }
    }

    async fn remember(&self, key: &str, text: &str) {
        let key = Some(key.to_owned());
        self.governor.remember(&self.me, &self.run, key, Origin::Tool, text.to_owned()).await.unwrap();
    }

    /// A model call that fills the window.
    fn breach(&self) {
        let usage = Usage { input: 90_000, output: 10_000, ..Usage::default() };
        self.governor.observe(AGENT, Some(self.run.as_str()), &usage, 100_000);
    }

    fn stage(&self) -> Option<Stage> {
        self.governor.reset(AGENT).unwrap().map(|reset| reset.stage)
    }

    async fn is_resumed(&self) {
        until("the agent is resumed", async || {
            if self.stage().is_none() {
                // The message was in hand when the governor was killed: the next call tells again.
                self.breach();
            }
            (self.stage() == Some(Stage::Resumed)).then_some(())
        })
        .await;
    }

    fn context_resets(&self) -> usize {
        let events = self.system.events().since(0);
        let is_reset = |what: &Happening| {
            matches!(what, Happening::PlannedRestart { why: PlannedRestart::ContextReset })
        };
        events.iter().filter(|event| &*event.actor == AGENT && is_reset(&event.what)).count()
    }

    /// The laws of a reset that is over: one summary, one section, one resumption, nothing lost.
    fn went_well(&self, notes: &[&str], later: usize) {
        let summaries = self.governor.summaries(Some(AGENT), 10).unwrap();
        assert_eq!(summaries.len(), 1);
        for note in notes {
            assert!(summaries[0].text.contains(note), "{note} is lost: {}", summaries[0].text);
        }
        let file = self.dir.path().join(&summaries[0].summary_path);
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(text.matches("<!-- pas-summary").count(), 1, "{text}");
        assert_eq!(*self.resumed.lock(), [summaries[0].summary_id.clone()], "resumed from it, once");
        let (summary, live) = self.governor.conversation(AGENT, &self.run).unwrap();
        assert_eq!((summary.unwrap().summary_id.as_str(), live.len()), (&*summaries[0].summary_id, later));
        assert!(self.context_resets() <= 1, "no restart is ordered twice");
    }

    async fn stop(self) {
        self.root.shutdown().await;
        self.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn routes_are_those_of_the_contract() {
    let world = World::new(&Held::new(true)).await;
    let governor = world.governor.clone();
    let common = page::routes(Contract::load(GOVERNOR).unwrap(), http::token_governor::health(governor.clone()));
    assert_routes_match_contract(GOVERNOR, http::token_governor::routes(governor).merge(common)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measured_breach_saves_summarises_clears_and_restarts_the_worker() {
    let world = World::new(&Held::new(true)).await;
    world.remember("a", "The goal is to count 42 sheep.").await;
    world.remember("a", "The goal is to count 42 sheep.").await;
    world.breach();
    world.is_resumed().await;
    world.went_well(&["count 42 sheep"], 0);
    assert_eq!(world.context_resets(), 1);
    let status = world.governor.status(Some(AGENT)).await.unwrap();
    assert!((1..200).contains(&status[0].1.ctx_used), "the summary is in it now: {status:?}");
    // Nothing new came: another report of a full window resets nothing, so there is no endless round.
    world.breach();
    world.remember("a", "again, as after a restart").await;
    assert_eq!(world.governor.clear(AGENT.to_owned()).await.unwrap(), 100_000);
    world.went_well(&["count 42 sheep"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_summary_clears_nothing_and_goes_on_from_the_saved_state() {
    let held = Held::new(false);
    let world = World::new(&held).await;
    world.remember("a", "Decided to use port 6105.").await;
    world.breach();
    held.asked.notified().await;
    world.remember("b", "This came while the state was being saved.").await;
    for _ in 0..3 {
        assert_eq!(world.stage(), Some(Stage::Saving));
        world.system.kill("governor").await.unwrap();
        held.asked.notified().await;
        let (summary, live) = world.governor.conversation(AGENT, &world.run).unwrap();
        assert_eq!((summary, live.len()), (None, 2), "nothing is cleared");
    }
    held.let_go();
    world.is_resumed().await;
    world.went_well(&["Decided to use port 6105."], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_holds_the_clear_up_until_it_can() {
    let world = World::new(&Held::new(true)).await;
    let in_the_way = world.dir.path().join("docs");
    std::fs::write(&in_the_way, "not a folder").unwrap();
    world.remember("a", "TODO: mend the roof.").await;
    world.breach();
    until("a reset has begun", async || world.stage()).await;
    let refused = world.governor.clear(AGENT.to_owned()).await.unwrap_err();
    assert!(refused.to_string().contains("nothing was cleared"), "{refused}");
    assert_eq!(world.stage(), Some(Stage::Saving));
    assert_eq!(world.governor.conversation(AGENT, &world.run).unwrap().1.len(), 1);
    std::fs::remove_file(in_the_way).unwrap();
    world.is_resumed().await;
    world.went_well(&["TODO: mend the roof."], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_governor_and_worker_at_any_moment_lose_and_repeat_nothing() {
    for seed in 0..16 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new(&Held::new(true)).await;
        world.remember("a", "The goal: keep 3 promises.").await;
        world.remember("b", "error: /srv/a.txt is missing").await;
        world.breach();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_micros(random.u64(0..12_000))).await;
            let victim = if random.u8(0..3) == 0 { AGENT } else { "governor" };
            // It may be starting at this moment: then there is nobody to kill.
            let _ = world.system.kill(victim).await;
        }
        world.is_resumed().await;
        world.went_well(&["keep 3 promises", "/srv/a.txt"], 0);
        world.stop().await;
    }
}

/// A place where some executors have so small a budget that their first card is a breach.
fn tight(documents: usize) -> Place {
    let place = Place::with_documents(documents).setting("PAS_JOBS__THREADS", 1);
    let folder = place.dir.path().join("agents");
    std::fs::create_dir_all(&folder).unwrap();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/execution");
    for agent in [AGENT, "cleaner-normalizer", "report-leaderboard-writer"] {
        let text = std::fs::read_to_string(source.join(format!("{agent}.md"))).unwrap();
        let budget = |line: &str| {
            let small = "token_budget: { target_ratio: 0.00001, hard_max_ratio: 0.00002 }";
            if line.starts_with("token_budget:") { small.to_owned() } else { line.to_owned() }
        };
        let text: Vec<String> = text.lines().map(budget).collect();
        std::fs::write(folder.join(format!("{agent}.md")), text.join("\n")).unwrap();
    }
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_in_the_middle_of_an_ingest_resets_the_agent_and_the_run_ends_as_if_undisturbed() {
    let calm = Place::with_documents(60).setting("PAS_JOBS__THREADS", 1);
    let swarm = calm.start().await;
    let undisturbed = swarm.api.done(&swarm.api.ingest(json!({})).await).await;
    let contexts = Client::of(&calm).get("/status").await;
    let contexts = contexts["agents"].as_array().unwrap();
    assert!(contexts.len() >= 8, "every executor of the run is tracked: {contexts:#?}");
    assert!(contexts.iter().all(|c| c["status"] == "ok" && c["ctx_used"].as_u64().unwrap() > 20));
    swarm.stop().await;

    let place = tight(60);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    assert_eq!(api.done(&run).await, undisturbed);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    let log = api.get("/supervision/events?limit=1000").await;
    let of_auditor = || log["events"].as_array().unwrap().iter().filter(|e| e["agent"] == AGENT);
    assert!(of_auditor().any(|e| e["event"] == "planned_restart" && e.to_string().contains("context_reset")));
    assert!(of_auditor().all(|e| e["event"] != "crashed"), "{log:#}");
    let governor = Client::of(&place);
    let listed = governor.get(&format!("/summaries?agent={AGENT}")).await;
    let first = listed["summaries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&first["trigger_reason"], &first["run_id"]), (&json!("hard_max_breach"), &json!(run)));
    let text = std::fs::read_to_string(place.dir.path().join(first["summary_path"].as_str().unwrap())).unwrap();
    assert!(text.contains("ingest.audit") && text.contains("Open step"), "{text}");
    let detail = governor.get(&format!("/summaries/{}", first["summary_id"].as_str().unwrap())).await;
    assert!(detail["before"].as_str().unwrap().contains("Card:"), "{detail:#}");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clear_by_hand_in_the_middle_of_an_ingest_changes_nothing() {
    let place = Place::with_documents(200).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    let run = api.ingest(json!({})).await;
    api.works(&format!("{run}.data.lane.audit"), 2).await;
    let cleared = Client::of(&place).post(&format!("/clear?agent={AGENT}"), Value::Null).await;
    assert_eq!(cleared["success"], true);
    assert_eq!(api.done(&run).await, undisturbed);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    let status = api.ask(&format!("/agents/{AGENT}/restart"), json!({})).await;
    assert!(status["incarnation"].as_u64().unwrap() >= 2, "it was restarted by the reset: {status}");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_agents_are_reset_loses_no_step() {
    let calm = Place::with_documents(60).setting("PAS_JOBS__THREADS", 1);
    let swarm = calm.start().await;
    let undisturbed = swarm.api.done(&swarm.api.ingest(json!({})).await).await;
    swarm.stop().await;

    let place = tight(60);
    let mut process = place.start_process().await;
    let run = process.api.ingest(json!({})).await;
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(random.u64(10..250))).await;
        process.kill();
        process = place.start_process().await;
    }
    assert_eq!(process.api.done(&run).await, undisturbed);
    each_ended_once(&process.api.run(&run).await, &process.api.events(&run).await);
    let governor = Client::of(&place);
    let listed = governor.get("/summaries").await;
    let listed = listed["summaries"].as_array().unwrap().clone();
    assert!(!listed.is_empty());
    for summary in &listed {
        let text = std::fs::read_to_string(place.dir.path().join(summary["summary_path"].as_str().unwrap()));
        let mark = format!("<!-- pas-summary: {} -->", summary["summary_id"].as_str().unwrap());
        assert_eq!(text.unwrap().matches(&mark).count(), 1, "{summary}");
    }
    process.kill();
}
