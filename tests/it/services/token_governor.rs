//! The token governor over HTTP: agents from outside, and the daemon's own in the middle of a run.

use std::time::Duration;

use pas::http::contract::bundled;
use serde_json::{Value, json};

use crate::contracts::{assert_fits, resolved};
use crate::support::{Place, each_ended_once, http_client, until};

const AGENT: &str = "corpus-auditor";

/// A client of port 6105 that checks every answer against the contract.
struct Client {
    base: String,
    http: reqwest::Client,
    document: Value,
}

impl Client {
    fn of(place: &Place) -> Self {
        let base = format!("http://127.0.0.1:{}", 6105 + place.offset);
        Self { base, http: http_client(), document: bundled("token-governor.json").unwrap() }
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
#[expect(clippy::too_many_lines, reason = "one context followed from report to clear")]
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
    governor
        .post("/track", json!({ "agent": "other", "ctx_used": 6, "ctx_limit": 10, "target_ratio": 0.6 }))
        .await;
    let all = governor.get("/status").await;
    let names: Vec<_> =
        all["agents"].as_array().unwrap().iter().map(|a| a["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["my-coder", "other"]);
    let one = governor.get("/status?agent=other").await;
    assert_eq!(
        (&one["agents"][0]["status"], &one["agents"][0]["target_ratio"]),
        (&json!("warning"), &json!(0.6))
    );
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

    let cleared = governor.get("/status?agent=my-coder").await;
    let cleared = (&cleared["agents"][0]["ctx_used"], &cleared["agents"][0]["status"]);
    assert_eq!(cleared, (&json!(0), &json!("ok")), "the status says as the answer did");

    // Another summary of the run is another section.
    governor.track("my-coder", 13_000).await;
    let mut second = wanted;
    second["content_to_summarize"] = json!("Assistant: all done.");
    second["trigger_reason"] = json!("manual");
    let second = governor.post("/summarize", second).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("7.4.2") && text.contains("Assistant: all done."), "{text}");
    let listed = governor.get("/summaries?agent=my-coder").await;
    let ids: Vec<_> =
        listed["summaries"].as_array().unwrap().iter().map(|s| s["summary_id"].clone()).collect();
    assert_eq!(ids, [second["summary_id"].clone(), json!(id)], "newest first");
    let first = governor.get("/summaries?limit=1").await;
    assert_eq!((&first["count"], &first["total"]), (&json!(1), &json!(2)), "{first}");
    let rest = governor.get(&format!("/summaries?cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&rest["summaries"][0]["summary_id"], &rest["next_cursor"]), (&json!(id), &Value::Null));
    assert_eq!(governor.get("/summaries?agent=nobody").await["total"], 0);

    governor.track("my-coder", 12_500).await;
    let cleared = governor.post("/clear?agent=my-coder&run_id=another", Value::Null).await;
    assert_eq!(cleared["ctx_before"], 0, "nothing was in that run");
    let cleared = governor.post("/clear?agent=my-coder", Value::Null).await;
    assert_eq!((&cleared["success"], &cleared["ctx_before"]), (&json!(true), &json!(12_500)));
    let after = governor.get("/status?agent=my-coder").await;
    assert_eq!((&after["agents"][0]["ctx_used"], &after["agents"][0]["status"]), (&json!(0), &json!("ok")));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_clears_the_context_of_its_own_run_and_no_other() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let governor = Client::of(&place);
    // An agent from outside, and one of the daemon's own with reports only.
    for agent in ["yy", "architect"] {
        for (run, used) in [("R-1", 12_500), ("R-2", 15_000)] {
            let report = json!({ "agent": agent, "run_id": run, "ctx_used": used, "ctx_limit": 16_000 });
            governor.post("/track", report).await;
        }
        let wanted = json!({ "agent": agent, "run_id": "R-1", "trigger_reason": "hard_max_breach" });
        let made = governor.post("/summarize", wanted).await;
        assert_eq!((&made["ctx_before"], &made["ctx_after"]), (&json!(12_500), &json!(0)), "{agent}");
        let status = governor.get(&format!("/status?agent={agent}")).await;
        let of_run = |run: &str| {
            let rows = status["agents"].as_array().unwrap();
            let row = rows.iter().find(|row| row["run_id"] == run).unwrap();
            (row["ctx_used"].as_u64().unwrap(), row["status"].as_str().unwrap().to_owned())
        };
        assert_eq!((of_run("R-1"), of_run("R-2")), ((0, "ok".into()), (15_000, "breach".into())), "{agent}");
    }
    let before = governor.get("/status").await;
    swarm.stop().await;
    let swarm = place.start().await;
    assert_eq!(Client::of(&place).get("/status").await, before, "also after a restart");
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
    let wish =
        |agent: &str, run: &str, why: &str| json!({ "agent": agent, "run_id": run, "trigger_reason": why });
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

/// A place where some executors have a token budget so small that the first card is a breach.
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
    let text =
        std::fs::read_to_string(place.dir.path().join(first["summary_path"].as_str().unwrap())).unwrap();
    assert!(text.contains("ingest.audit") && text.contains("Open step"), "{text}");
    let detail = governor.get(&format!("/summaries/{}", first["summary_id"].as_str().unwrap())).await;
    assert!(detail["before"].as_str().unwrap().contains("Card:"), "{detail:#}");
    let events = api.with_base(format!("http://{}", api.address_of(6102)));
    let id = json!(format!("context-{}", first["summary_id"].as_str().unwrap()));
    let told = until("the breach is told", async || {
        let events = events.get("/events/recent?limit=1000").await;
        events["events"].as_array()?.iter().find(|event| event["id"] == id).cloned()
    })
    .await;
    assert_eq!((&told["event_type"], &told["data"]["agent"]), (&json!("alert"), &json!(AGENT)));
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
