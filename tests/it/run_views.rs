//! One run through every door: its activity and its progress are the same wherever one looks, and stay.

use pas::domain::ids::JobId;
use pas::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Api, Place, http_client, until};

const HMI: u16 = 6101;
/// Enough to catch a step in mid-work.
const DOCUMENTS: usize = 400;

async fn hmi(api: &Api, path: &str) -> Value {
    let url = format!("http://{}{path}", api.address_of(HMI));
    http_client().get(url).send().await.unwrap().json().await.unwrap()
}

fn of<'l>(list: &'l Value, name: &str, id: &str) -> Option<&'l Value> {
    list.as_array()?.iter().find(|entry| entry[name] == id)
}

/// A job's fraction, and whether it is known, by each door of the daemon that shows it.
async fn doors(api: &Api, run: &str, job: &str) -> Vec<(&'static str, Value)> {
    let mut told = Vec::new();
    let mut add = |door, at: &Value, fraction: &str, known: &str| {
        told.push((door, json!([at[fraction], at[known]])));
    };
    add("GET /jobs/{id}", &api.job(job).await["progress"], "fraction", "known");
    let tree = api.get(&format!("/jobs/{run}?tree=true")).await;
    let mut at = &tree;
    while at["job_id"] != job {
        let children = at["children"].as_array().unwrap().iter();
        let above = |child: &&Value| job.starts_with(child["job_id"].as_str().unwrap());
        at = children.filter(above).max_by_key(|child| child["job_id"].as_str().unwrap().len()).unwrap();
    }
    add("GET /jobs/{id}?tree=true", &at["progress"], "fraction", "known");
    let list = api.get(&format!("/jobs?run_id={run}&roots=false")).await;
    add("GET /jobs", &of(&list["jobs"], "job_id", job).unwrap()["progress"], "fraction", "known");
    let past = hmi(api, "/api/sequencer").await;
    add("sequencer", of(&past["tasks"], "task_id", job).unwrap(), "progress", "progress_known");
    let live = hmi(api, "/api/live").await;
    if let Some(line) = of(&live["jobs"], "job_id", job) {
        add("live, jobs", line, "progress", "progress_known");
    }
    if live["current"]["task_id"] == job {
        add("live, current", &live["current"], "progress", "progress_known");
    }
    for node in live["tree"].as_array().unwrap().iter().filter(|node| node["step"]["job_id"] == job) {
        add("live, tree", &node["step"], "progress", "progress_known");
        let card = hmi(api, &format!("/api/agents/{}", node["name"].as_str().unwrap())).await;
        add("agent", &card["step"], "progress", "progress_known");
    }
    told
}

fn all_the_same(told: &[(&str, Value)], least: usize) -> Value {
    assert!(told.len() >= least, "{told:?}");
    assert!(told.iter().all(|(_, figure)| *figure == told[0].1), "{told:#?}");
    told[0].1.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_tells_the_same_and_no_end_moves_it() {
    let place = Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let card = json!({ "task": "ingest", "inputs": { "source": place.corpus() }, "idempotency_key": "once" });
    let run = api.ask("/jobs", card.clone()).await["job_id"].as_str().unwrap().to_owned();
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 20).await;
    api.ask(&format!("/jobs/{audit}/pause"), json!({})).await;
    until("the step is at its hold", async || {
        let id = JobId::new(&audit).unwrap();
        swarm.jobs.attempts.attempt(&id).is_some_and(|attempt| attempt.control.is_paused()).then_some(())
    })
    .await;
    // One document may be in hand when the pause comes.
    let still = until("the figure stands", async || {
        let first = doors(api, &run, &run).await;
        let again = doors(api, &run, &run).await;
        (first == again && again.len() >= 6).then_some(again)
    })
    .await;
    let of_run = all_the_same(&still, 6);
    assert!(of_run[0].as_f64().unwrap() > 0.0 && of_run[1] == true, "{of_run}");
    let of_step = all_the_same(&doors(api, &run, &audit).await, 6);
    let again = api.ask("/jobs", card).await;
    assert_eq!(
        (&again["job_id"], &again["activity"]),
        (&json!(run), &json!("paused")),
        "what its parts are at"
    );
    assert_eq!(json!([again["progress"]["fraction"], again["progress"]["known"]]), of_run);

    api.ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    api.is(&run, "cancelled").await;
    assert_eq!(all_the_same(&doors(api, &run, &run).await, 4), of_run, "cancelled, it stays where it was");
    assert_eq!(all_the_same(&doors(api, &run, &audit).await, 4), of_step);
    until("the run is closed", async || {
        let ledger = api.get("/ledger").await;
        of(&ledger["entries"], "run_id", &run).map(|_| ())
    })
    .await;
    swarm.stop().await;

    let swarm = place.start().await;
    let api = &swarm.api;
    assert_eq!(all_the_same(&doors(api, &run, &run).await, 4), of_run, "for another daemon too");
    assert_eq!(all_the_same(&doors(api, &run, &audit).await, 4), of_step);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_can_end_is_shown_before_what_waits_by_itself() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let asks = api.ingest(json!({ "approvals_required": ["read the folder"] })).await;
    swarm.system.set_paused("corpus-auditor", true).unwrap();
    let waits = api.ingest(json!({})).await;
    until("the newer run waits for its agent", async || {
        let live = hmi(api, "/api/live").await;
        let line = of(&live["jobs"], "job_id", &waits)?;
        (line["state"] == "running" && line["activity"] == "queued").then_some(())
    })
    .await;
    until("the question is the current task", async || {
        (hmi(api, "/api/live").await["current"]["task_id"] == *asks).then_some(())
    })
    .await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_knows_when_the_daemon_was_down() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    assert_eq!(
        hmi(&swarm.api, "/api/sequencer").await["down"],
        Value::Null,
        "a first life has nothing before it"
    );
    let up = Timestamp::now().as_millis() as f64 / 1000.0;
    swarm.stop().await;
    let stopped = Timestamp::now().as_millis() as f64 / 1000.0;
    let process = place.start_process().await;
    let down = hmi(&process.api, "/api/sequencer").await["down"].clone();
    assert_eq!((down.as_array().unwrap().len(), &down[0]["stopped"]), (1, &json!(true)), "{down}");
    let (from, to) = (down[0]["from"].as_f64().unwrap(), down[0]["to"].as_f64().unwrap());
    assert!(up <= from && from <= stopped && stopped <= to, "{up} {stopped}: {down}");
    let began = to;
    process.kill();

    let swarm = place.start().await;
    let down = hmi(&swarm.api, "/api/sequencer").await["down"].clone();
    assert_eq!((down.as_array().unwrap().len(), &down[1]["stopped"]), (2, &json!(false)), "{down}");
    assert!(
        down[1]["from"].as_f64().unwrap() >= began && down[1]["to"].as_f64() > down[1]["from"].as_f64(),
        "{down}"
    );
    swarm.stop().await;
}
