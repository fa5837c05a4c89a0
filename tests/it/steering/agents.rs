//! Agents paused, killed and restarted: the blast radius, the work that ends with them, and the rest.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{AUDITOR, act, acts, ids, lines, place, radius};
use crate::gateway::{Stage, streamed};
use crate::support::{Place, each_ended_once, http_client, until};
use crate::vendor::{FOREVER, Fault, Vendor};

const EVENTS: u16 = 6102;
/// Without progress for this long, work has stopped.
const STILL: Duration = Duration::from_millis(400);

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
    let entry = &acts(api).await[0];
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

/// A stream of an agent that has begun and stalls; the future returns the rest.
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

    // The way in which an agent is killed makes no difference for calls.
    let rest = stalled(&stage, &[("x-pas-agent", AUDITOR), ("x-pas-run-id", "by-api")]).await;
    api.ask(&format!("/agents/{AUDITOR}/kill"), json!({})).await;
    assert!(rest.await.contains("its agent was ended"), "the reader is told");
    assert_eq!(stage.receipts("by-api").await.len(), 1);
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
    // A step that had begun when the pause came still holds its own.
    until("no step holds anything", async || {
        let held = resources.get("/reservations?status=active").await;
        held["reservations"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let asked = json!({ "job_id": below, "agent": "a-client", "cpu": 1 });
    assert_eq!(resources.ask("/reserve", asked).await["status"], "granted");

    let killed = act(api, json!({ "action": "kill", "target": run, "reason": "too large" })).await;
    let proof = &killed["proof"];
    assert_eq!(
        (&proof["streams_closed"], &proof["reservations_released"]),
        (&json!(1), &json!(1)),
        "{proof}"
    );
    let (cost, held) =
        (proof["final_cost_usd"].as_f64().unwrap(), proof["holds_released_usd"].as_f64().unwrap());
    assert!(0.0 < cost && cost < held, "the stream is charged by what came of it: {proof}");
    assert!(rest.await.contains("its job was cancelled"));
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
    let entry = &acts(api).await[0];
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
