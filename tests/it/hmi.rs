//! Port 6101 on a whole daemon: every answer fits the contract during a real run, the shown data are true,
//! reading disturbs nobody, and the pages come under a policy that trusts nothing else.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use pas::http::contract::bundled;
use pas::http::hmi::pages;
use reqwest::Response;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::contracts::{assert_says_no_more, resolved};
use crate::support::{Api, Place, http_client, until};

const PORT: u16 = 6101;
/// Jobs of an ingest, by the plan book.
const JOBS_OF_INGEST: usize = 16;
const TOKEN: &str = "a-token-for-tests-only";

/// Calls the HMI and checks the answer against the contract.
async fn ask(api: &Api, path: &str) -> (u16, Value) {
    let answer = http_client().get(format!("http://{}{path}", api.address_of(PORT))).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let document = bundled("hmi.json").unwrap();
    let bare = path.split('?').next().unwrap();
    let template = match bare.rsplit_once('/').unwrap() {
        ("/api/agents", _) => "/api/agents/{name}",
        ("/api/costs/receipts", _) => "/api/costs/receipts/{run_id}",
        ("/api/costs/budget", _) => "/api/costs/budget/{run_id}",
        _ => bare,
    };
    let place = format!("GET {path}: {status}");
    let response = document["paths"][template]["get"]["responses"].get(status.to_string());
    let response = resolved(&document, response.unwrap_or_else(|| panic!("{place} is not told of: {body}")));
    assert_says_no_more(&document, &response["content"]["application/json"]["schema"], &body, &place);
    (status, body)
}

async fn get(api: &Api, path: &str) -> Value {
    let (status, body) = ask(api, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn row<'l>(live: &'l Value, name: &str) -> &'l Value {
    live["tree"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
}

/// Polls until the answer satisfies `look`: an answer may be a tenth of a second old.
async fn shows<T>(api: &Api, what: &str, look: impl Fn(&Value) -> Option<T>) -> (Value, T) {
    until(what, async || {
        let live = get(api, "/api/live").await;
        let found = look(&live)?;
        Some((live, found))
    })
    .await
}

async fn all_fit(api: &Api) {
    for path in [
        "/api/live",
        "/api/current-task",
        "/api/agents/architect",
        "/api/agents/corpus-auditor",
        "/api/sequencer",
        "/api/services",
        "/api/tasks",
        "/api/tree",
        "/api/metrics",
        "/api/alerts",
        "/api/costs",
        "/api/costs?window=day",
        "/api/costs/receipts/none",
        "/api/costs/budget/none",
        "/health",
        "/openapi.json",
    ] {
        get(api, path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_shown_from_its_question_to_its_end() {
    let place = Place::with_documents(60).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({ "approvals_required": ["read the folder"] })).await;
    let (live, question) =
        shows(api, "the question is shown", |live| live["approvals"].get(0).cloned()).await;
    assert_eq!((&question["job_id"], &question["agent"]), (&json!(run), &json!("architect")));
    assert_eq!(question["blocked_descendants"], JOBS_OF_INGEST - 1, "the whole run waits: {question}");
    assert_eq!(row(&live, "architect")["status"], "waiting_approval");
    assert_eq!(row(&live, "architect")["step"]["job_id"], *run);
    assert_eq!(
        (&live["current"]["task_id"], &live["current"]["status"]),
        (&json!(run), &json!("waiting_approval"))
    );
    all_fit(api).await;
    api.ask(
        &format!("/approvals/{}", question["approval_id"].as_str().unwrap()),
        json!({ "decision": "approve" }),
    )
    .await;

    let audit = format!("{run}.data.lane.audit");
    let (live, step) = shows(api, "the audit is under way", |live| {
        let step = &row(live, "corpus-auditor")["step"];
        (step["job_id"] == *audit && step["done"].as_u64()? > 0).then(|| step.clone())
    })
    .await;
    assert!(live["approvals"].as_array().unwrap().is_empty(), "{live}");
    assert_eq!(row(&live, "corpus-auditor")["status"], "running");
    let job = &live["jobs"][0];
    assert_eq!((&job["job_id"], &job["state"]), (&json!(run), &json!("running")));
    assert!(job["progress"].as_f64().unwrap() > 0.0 && job["progress"].as_f64().unwrap() < 1.0, "{job}");
    assert!(step["progress"].as_f64().unwrap() <= 1.0 && step["total"].as_u64().unwrap() >= 60, "{step}");
    all_fit(api).await;

    api.done(&run).await;
    let (live, job) = shows(api, "the run is shown as done", |live| {
        live["jobs"].as_array()?.iter().find(|job| job["state"] == "done").cloned()
    })
    .await;
    assert_eq!((&job["progress"], &job["steps_done"]), (&json!(1.0), &json!(JOBS_OF_INGEST)));
    assert_eq!(
        (&row(&live, "corpus-auditor")["status"], &live["current"]["status"]),
        (&json!("done"), &json!("done"))
    );
    let past = get(api, "/api/sequencer").await;
    let tasks: Vec<&Value> = past["tasks"].as_array().unwrap().iter().collect();
    assert_eq!((tasks.len(), &past["cut"]), (JOBS_OF_INGEST, &json!(false)));
    assert!(
        tasks
            .iter()
            .all(|task| task["status"] == "done" && task["end_time"].as_f64() >= task["start_time"].as_f64())
    );
    let before = job["created_at"].as_str().unwrap().parse::<pas::domain::time::Timestamp>().unwrap();
    let until = before.as_millis() / 1000 - 10;
    let earlier = get(api, &format!("/api/sequencer?since={}&until={until}", until - 3600)).await;
    assert_eq!(earlier["tasks"], json!([]), "nothing of what came later");
    all_fit(api).await;
    swarm.stop().await;
}

fn note<'p>(past: &'p Value, task: &str) -> &'p Value {
    past["tasks"].as_array().unwrap().iter().find(|note| note["task_id"] == *task).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_is_shown_as_waiting_then_and_for_ever() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    swarm.system.set_paused("corpus-auditor", true).unwrap();
    let run = api.ingest(json!({})).await;
    let (_, job) = shows(api, "the run waits", |live| {
        let job = live["jobs"].get(0)?;
        let stands = job["activity"] == "queued" && job["steps_total"].as_u64()? == 4;
        stands.then(|| job.clone())
    })
    .await;
    assert_eq!(
        (&job["state"], &job["left"]),
        (&json!("running"), &Value::Null),
        "nothing is foretold: {job}"
    );
    assert_eq!(job["subject"], api.job(&run).await["inputs"]["source"]);
    assert_eq!(job["progress"], api.job(&run).await["progress"]["fraction"], "one figure everywhere");
    let waiting = get(api, "/api/sequencer").await;
    let waits = &note(&waiting, &run)["waits"];
    let last = waits.as_array().unwrap().last().unwrap();
    assert_eq!((&last["status"], &last["to"]), (&json!("queued"), &Value::Null), "{waits}");
    assert_eq!(note(&waiting, &run)["status"], "queued");

    swarm.system.set_paused("corpus-auditor", false).unwrap();
    api.done(&run).await;
    let past = get(api, "/api/sequencer").await;
    let from = &last["from"];
    let kept = note(&past, &run)["waits"].as_array().unwrap().iter().find(|wait| wait["from"] == *from);
    assert!(kept.is_some_and(|wait| wait["to"].as_f64() > from.as_f64()), "{}", note(&past, &run));

    // A run of the kind is known now, but not how long a person thinks.
    let next = api.ingest(json!({ "approvals_required": ["read the folder"] })).await;
    let asked = shows(api, "the next one waits", |live| {
        live["jobs"].as_array()?.iter().find(|job| job["job_id"] == *next).cloned()
    });
    assert_eq!(asked.await.1["left"], Value::Null, "while it waits for a person nobody knows");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_true_and_looking_disturbs_nobody() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let (live, ()) = shows(api, "all agents are up", |live| {
        (live["health"]["agents_ok"] == 50 && row(live, "pas")["parent"].is_null()).then_some(())
    })
    .await;
    assert_eq!(live["health"]["line"], "50 agents, all answering");
    let rows = live["tree"].as_array().unwrap();
    for (place, row) in rows.iter().enumerate().skip(1) {
        assert!(
            rows[..place].iter().any(|above| above["no"] == row["parent"]),
            "{row} stands before its parent"
        );
    }
    assert_eq!(
        (&row(&live, "corpus-auditor")["lane"], &row(&live, "architect")["lane"]),
        (&json!("data"), &Value::Null)
    );
    assert_eq!(live["ports"]["event-stream"], 6102 + place.offset);

    let handled = |live: &Value| -> Vec<(Value, Value)> {
        let agents = live["tree"].as_array().unwrap().iter().filter(|row| !row["role"].is_null());
        agents.map(|row| (row["name"].clone(), row["handled"].clone())).collect()
    };
    let before = handled(&live);
    swarm.system.set_paused("chunker-mgs", true).unwrap();
    for _ in 0..5 {
        all_fit(api).await;
    }
    let (live, ()) = shows(api, "the pause is shown", |live| {
        (row(live, "chunker-mgs")["status"] == "paused").then_some(())
    })
    .await;
    assert_eq!(handled(&live), before, "looking is no message to any agent");
    assert_eq!(get(api, "/api/agents/chunker-mgs").await["status"], "paused");
    swarm.system.set_paused("chunker-mgs", false).unwrap();
    shows(api, "it goes on", |live| (row(live, "chunker-mgs")["status"] == "ok").then_some(())).await;

    assert_eq!(swarm.system.kill("test-writer").await, Ok(1));
    let (live, ()) = shows(api, "the restart is shown", |live| {
        (row(live, "test-writer")["restarts"] == 1 && row(live, "test-writer")["phase"] == "running")
            .then_some(())
    })
    .await;
    let killed = row(&live, "test-writer");
    assert_eq!((&killed["status"], &killed["last_exit"]), (&json!("degraded"), &json!("killed")));
    assert_eq!(
        (&live["health"]["agents_ok"], &live["health"]["line"]),
        (&json!(49), &json!("50 agents, 1 unhealthy"))
    );
    let restart = until("the crash is on the card", async || {
        let card = get(api, "/api/agents/test-writer").await;
        card["restarts"].get(0).filter(|restart| restart["crash_id"].is_u64()).cloned()
    })
    .await;
    assert_eq!((&restart["reason"], &restart["incarnation"]), (&json!("killed"), &json!(1)));
    let marks = get(api, "/api/sequencer").await["marks"].clone();
    let kinds: Vec<&Value> = marks.as_array().unwrap().iter().map(|mark| &mark["kind"]).collect();
    assert_eq!(kinds, ["crashed", "restarted"], "{marks}");
    assert!(marks.as_array().unwrap().iter().all(|mark| mark["agent_id"] == "agent-test-writer"));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_says_from_which_event_on_to_follow() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let tell = async |api: &Api, body: Value| {
        let url = format!("http://{}/broadcast", api.address_of(6102));
        assert_eq!(http_client().post(url).json(&body).send().await.unwrap().status(), 200);
    };
    let first = get(api, "/api/live").await["seq"].as_u64().unwrap();
    let alert = json!({ "alert_type": "disk", "severity": "critical", "message": "the disk is full", "target": "gateway" });
    tell(api, json!({ "event_type": "alert", "data": alert })).await;
    let (live, told) = shows(api, "the event is in the picture", |live| {
        let recent = live["recent"].as_array()?;
        recent.iter().find(|event| event["data"]["alert_type"] == "disk").cloned()
    })
    .await;
    assert!(told["seq"].as_u64().unwrap() > first);
    assert!(live["seq"].as_u64() >= told["seq"].as_u64(), "what is shown has been counted");
    let shown = &live["alerts"][0];
    assert_eq!(
        (&shown["type"], &shown["severity"], &shown["message"], &shown["target"]),
        (&json!("disk"), &json!("critical"), &json!("the disk is full"), &json!("gateway"))
    );
    swarm.stop().await;

    let swarm = place.start().await;
    let alerts = until("the alert is recalled", async || {
        let alerts = get(&swarm.api, "/api/alerts").await;
        (alerts["alerts"][0]["type"] == "disk").then_some(alerts)
    })
    .await;
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), 1);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contracts_tree_services_and_metrics_are_served() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    fn count(node: &Value) -> usize {
        1 + node["children"].as_array().unwrap().iter().map(count).sum::<usize>()
    }
    let tree = get(api, "/api/tree").await;
    assert_eq!((&tree["name"], &tree["status"]), (&json!("PAS Agent Swarm"), &json!("running")));
    let services = get(api, "/api/services").await["services"].as_array().unwrap().clone();
    assert_eq!(services.iter().filter(|service| service["type"] == "agent").count(), 50);
    assert!(count(&tree) > 50, "the agents, the root, and the models beside them");
    let architect =
        tree["children"].as_array().unwrap().iter().find(|node| node["name"] == "architect").unwrap();
    assert_eq!((&architect["service_id"], &architect["tier"]), (&json!("agent-architect"), &json!(1)));
    let metrics = get(api, "/api/metrics").await;
    assert_eq!(
        metrics["summary"],
        json!({ "total_services": 5, "healthy_services": 5, "health_percentage": 100.0 })
    );
    assert_eq!(metrics["services"]["event_stream"]["port"], 6102 + place.offset);
    assert_eq!(get(api, "/health").await["service"], "hmi_app");
    for (path, status) in [
        ("/api/agents/nobody", 404),
        ("/api/agents/No%20Name", 422),
        ("/api/costs?window=year", 400),
        ("/api/costs/budget/-x", 422),
        ("/api/sequencer?since=5&until=1", 422),
        ("/api/sequencer?since=0&until=999999", 422),
        ("/api/sequencer?since=NaN", 422),
        ("/api/sequencer?since=-1e300", 422),
    ] {
        assert_eq!(ask(api, path).await.0, status, "{path}");
    }
    swarm.stop().await;
}

async fn fetch(api: &Api, path: &str, headers: &[(reqwest::header::HeaderName, &str)]) -> Response {
    let asked = http_client().get(format!("http://{}{path}", api.address_of(PORT)));
    headers.iter().fold(asked, |asked, (name, value)| asked.header(name, *value)).send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// A build without Node has no pages, and says so; every build has the same policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_come_under_a_strict_policy() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let status = if pages::are_built() { 200 } else { 503 };
    for path in
        ["/", "/tree", "/sequencer?since=1", "/jobs/ingest-1.data", "/settings/", "/approvals", "/traces/a/b"]
    {
        let answer = fetch(api, path, &[(ACCEPT, "text/html,*/*;q=0.8")]).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8", "{path}");
        let policy = header(&answer, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"), "{policy}");
        assert!(policy.contains(&format!(" ws://127.0.0.1:{}", 6102 + place.offset)), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        let text = answer.text().await.unwrap();
        assert!(pages::are_built() || text.contains("make build"), "{text}");
        assert!(!text.contains("<style") && !text.contains("style="), "nothing is inline: {text}");
    }
    for path in ["/dashboard", "/treehouse", "/assets/none.js", "/assets/../index.html", "/api"] {
        let answer = fetch(api, path, &[]).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.json::<Value>().await.unwrap()["detail"].is_string(), "{path}");
    }
    let described: Value = fetch(api, "/", &[(ACCEPT, "application/json")]).await.json().await.unwrap();
    assert_eq!((&described["service"], &described["port"]), (&json!("hmi_app"), &json!(PORT + place.offset)));
    if pages::are_built() {
        files_are_kept(api).await;
    }
    swarm.stop().await;
}

async fn files_are_kept(api: &Api) {
    let document = fetch(api, "/", &[]).await;
    assert_eq!(header(&document, "cache-control"), "no-cache");
    let tag = header(&document, "etag").to_owned();
    assert_eq!(fetch(api, "/", &[(IF_NONE_MATCH, &tag)]).await.status(), 304);
    assert_eq!(fetch(api, "/", &[(IF_NONE_MATCH, "\"other\"")]).await.status(), 200);
    let text = document.text().await.unwrap();
    let script = text.split('"').find(|part| part.ends_with(".js")).unwrap();
    let plain = fetch(api, script, &[]).await;
    assert_eq!(header(&plain, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&plain, "content-encoding"), "");
    let packed = fetch(api, script, &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!((header(&packed, "content-encoding"), header(&packed, "vary")), ("gzip", "accept-encoding"));
    let (plain, packed) = (plain.bytes().await.unwrap(), packed.bytes().await.unwrap());
    assert!(packed.len() * 2 < plain.len(), "{} of {} bytes", packed.len(), plain.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_packed_for_those_who_ask() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let packed = [(ACCEPT_ENCODING, "gzip")];
    let (plain, small) =
        (fetch(&swarm.api, "/api/live", &[]).await, fetch(&swarm.api, "/api/live", &packed).await);
    assert_eq!((header(&plain, "content-encoding"), header(&small, "content-encoding")), ("", "gzip"));
    let (plain, small) = (plain.bytes().await.unwrap(), small.bytes().await.unwrap());
    assert!(small.len() * 4 < plain.len(), "{} of {} bytes", small.len(), plain.len());
    let tiny = fetch(&swarm.api, "/api/costs/budget/none", &packed).await;
    assert_eq!(header(&tiny, "content-encoding"), "", "too small to be worth it");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_pages_load_without_the_token_and_what_they_draw_does_not() {
    let place =
        Place::with_documents(2).setting("PAS_HTTP__BIND", "0.0.0.0").setting("PAS_HTTP__TOKEN", TOKEN);
    let swarm = place.start().await;
    let api = &swarm.api;
    let page = if pages::are_built() { 200 } else { 503 };
    let bearer = format!("Bearer {TOKEN}");
    for (path, without) in
        [("/", page), ("/jobs/x", page), ("/api/live", 401), ("/health", 401), ("/docs", 401), ("/no", 401)]
    {
        assert_eq!(fetch(api, path, &[]).await.status(), without, "{path}");
        let with = fetch(api, path, &[(AUTHORIZATION, &bearer)]).await.status();
        assert_ne!(with, 401, "{path}");
        assert_eq!(
            fetch(api, path, &[(AUTHORIZATION, "Bearer something-else-entirely")]).await.status(),
            without,
            "{path}"
        );
    }
    let url = format!("http://{}/tree", api.address_of(PORT));
    assert_eq!(http_client().post(url).send().await.unwrap().status(), 401, "only reading is open");
    swarm.stop().await;
}
