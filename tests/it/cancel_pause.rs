//! Cancel and pause while steps work: the work stops, the proof is right, and the rest goes on later.

use std::time::Duration;

use pas::domain::ids::JobId;
use pas::domain::job::{JobState, JobTransition};
use pas::domain::json::JsonValue;
use serde_json::{Value, json};

use crate::support::{Place, each_ended_once, of_kind, until};

/// Enough to catch a step in mid-work.
const DOCUMENTS: usize = 400;
/// Without progress for this long, about a hundred documents' time, a step has stopped.
const STILL: Duration = Duration::from_millis(600);

/// One thread, so that a step takes long enough to be caught at work.
fn place() -> Place {
    Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_a_step_at_work_and_proves_it() {
    let place = place();
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 2).await;
    let answer = api.ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "wrong folder" })).await;

    let parts = answer["cancelled"].as_array().unwrap();
    let ids: Vec<_> = parts.iter().map(|part| part["job_id"].as_str().unwrap()).collect();
    let lane = format!("{run}.data.lane");
    assert_eq!(ids, [run.as_str(), &format!("{run}.data"), &lane, &audit]);
    let running = parts.iter().find(|part| part["job_id"] == audit.as_str()).unwrap();
    assert_eq!((&running["state_before"], &running["stopped_at"]), (&json!("running"), &Value::Null));

    api.is(&run, "cancelled").await;
    let jobs = api.run(&run).await;
    assert!(jobs.iter().all(|job| job["state"] == "cancelled"), "ended after all below it: {jobs:#?}");
    let events = api.events(&run).await;
    each_ended_once(&jobs, &events);
    let proof = events.iter().find(|e| e["event"] == "cancelled" && e["job_id"] == audit.as_str()).unwrap();
    let how = proof["detail"]["how"].as_str().unwrap();
    assert!(how.starts_with("stopped at a checkpoint after ") && how.contains(" of 402"), "{how}");
    let order: Vec<_> = of_kind(&events, "cancelled");
    assert_eq!((order.first(), order.last()), (Some(&audit.as_str()), Some(&run.as_str())), "from below");

    assert!(swarm.jobs.attempts.jobs_with_attempt().is_empty());
    let id = JobId::new(&audit).unwrap();
    let fence = swarm.jobs.book.get(&id).unwrap().fence;
    let late = JobTransition::Complete { fence, outputs: JsonValue::object(), artifacts: Vec::new() };
    assert!(swarm.jobs.book.change(&id, late).await.is_err(), "a late result is refused");
    let (before, seen) = (events.len(), JobState::Cancelled);
    tokio::time::sleep(STILL).await;
    assert_eq!(api.events(&run).await.len(), before, "nothing goes on");
    assert_eq!(swarm.jobs.book.get(&id).unwrap().state, seen);
    let again = api.ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    assert_eq!(again["cancelled"].as_array().unwrap().len(), parts.len(), "the same proof, and nothing more");
    assert_eq!(api.events(&run).await.len(), before);
    let manifest = api.manifest(&run).await;
    assert!(manifest["steps"].as_array().unwrap().iter().all(|step| step["state"] == "cancelled"));
    swarm.stop().await;
}

/// The newest claim commits; any result under an older one is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_under_an_old_fence_changes_nothing() {
    let place = place();
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 1).await;
    let id = JobId::new(&audit).unwrap();
    let old = swarm.jobs.book.get(&id).unwrap().fence;
    swarm.system.kill("corpus-auditor").await.unwrap();
    until("the next incarnation has claimed it", async || {
        (swarm.jobs.book.get(&id).unwrap().fence > old).then_some(())
    })
    .await;
    let late = JobTransition::Complete { fence: old, outputs: JsonValue::object(), artifacts: Vec::new() };
    let refused = swarm.jobs.book.change(&id, late).await.unwrap_err();
    assert!(refused.to_string().contains("has been taken over"), "{refused}");
    api.done(&run).await;
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_run_stands_still_and_goes_on_to_the_same_end() {
    let place = place();
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 2).await;
    api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    until("the step is at its hold", async || {
        let id = JobId::new(&audit).unwrap();
        swarm.jobs.attempts.attempt(&id).is_some_and(|attempt| attempt.control.is_paused()).then_some(())
    })
    .await;
    // One document may be in hand when the pause comes.
    tokio::time::sleep(STILL).await;
    let first = api.job(&audit).await;
    assert_eq!(first["state"], "paused");
    tokio::time::sleep(STILL).await;
    let second = api.job(&audit).await;
    assert_eq!(first["progress"], second["progress"]);
    assert!(first["progress"]["done"].as_u64() < Some(402), "held in its middle: {first:#}");

    let beside = api.ingest(json!({})).await;
    let undisturbed = api.done(&beside).await;
    assert_eq!(api.job(&audit).await["state"], "paused", "a held step keeps no other run waiting");

    api.ask(&format!("/jobs/{run}/resume"), json!({})).await;
    assert_eq!(api.done(&run).await, undisturbed);
    assert_eq!(api.job(&audit).await["attempt"], 1, "it went on, it was not begun again");
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_survives_a_restart_of_the_daemon() {
    let place = place();
    let swarm = place.start().await;
    let run = swarm.api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    swarm.api.works(&audit, 2).await;
    swarm.api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    swarm.stop().await;

    let swarm = place.start().await;
    let api = &swarm.api;
    tokio::time::sleep(STILL).await;
    assert!(api.run(&run).await.iter().all(|job| job["state"] == "paused"));
    assert!(swarm.jobs.attempts.jobs_with_attempt().is_empty(), "nobody works on it");
    let undisturbed = api.done(&api.ingest(json!({})).await).await;
    api.ask(&format!("/jobs/{run}/resume"), json!({})).await;
    assert_eq!(api.done(&run).await, undisturbed);
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    swarm.stop().await;
}

/// A paused agent cannot answer: this test does not wait for the scheduler's grace, but the agent must
/// neither lose the job nor keep the run from ending once resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_step_can_be_cancelled() {
    let place = place();
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 2).await;
    api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    api.is(&audit, "paused").await;
    api.ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    api.is(&run, "cancelled").await;
    let jobs = api.run(&run).await;
    assert!(jobs.iter().all(|job| job["state"] == "cancelled"), "{jobs:#?}");
    each_ended_once(&jobs, &api.events(&run).await);
    swarm.stop().await;
}

/// The agent can neither answer nor work: the scheduler ends the job instead, and kills the agent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_stop_in_time_is_killed_and_its_job_ends() {
    let place = place().setting("PAS_JOBS__STOP_GRACE_S", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let audit = format!("{run}.data.lane.audit");
    api.works(&audit, 2).await;
    api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    let id = JobId::new(&audit).unwrap();
    until("the step is at its hold", async || {
        swarm.jobs.attempts.attempt(&id).is_some_and(|attempt| attempt.control.is_paused()).then_some(())
    })
    .await;
    api.ask("/agents/corpus-auditor/pause", json!({})).await;
    api.ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "a test" })).await;

    api.is(&run, "cancelled").await;
    let stopped = swarm.jobs.book.get(&id).unwrap();
    assert_eq!(stopped.stopped_how.as_deref(), Some("its agent was killed: it did not stop in time"));
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    until("the killed agent is up again", async || {
        let auditor = swarm.system.tree().by_name("corpus-auditor")?.state();
        (auditor.incarnation == 2 && auditor.restarts == 1).then_some(())
    })
    .await;
    assert!(swarm.jobs.attempts.jobs_with_attempt().is_empty(), "nobody works on it");
    api.ask("/agents/corpus-auditor/resume", json!({})).await;
    api.done(&api.ingest(json!({})).await).await;
    assert_eq!(swarm.system.tree().by_name("corpus-auditor").unwrap().state().incarnation, 2, "killed once");
    swarm.stop().await;
}

/// More than a debug build audits with one thread within the hard limit below.
const MANY_DOCUMENTS: usize = 4000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_takes_too_long_is_stopped_and_a_person_can_correct_its_inputs() {
    let place = Place::with_documents(MANY_DOCUMENTS)
        .setting("PAS_JOBS__THREADS", 1)
        .setting("PAS_JOBS__STEP_SOFT_TIMEOUT_S", 1)
        .setting("PAS_JOBS__STEP_HARD_TIMEOUT_S", 2)
        .setting("PAS_JOBS__MAX_ATTEMPTS", 2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    let question = api.question().await;
    let audit = format!("{run}.data.lane.audit");
    assert_eq!(question["job_id"], audit);
    let job = api.job(&audit).await;
    assert_eq!(job["error"], "took longer than 2s (after 2 attempts)", "{job:#}");
    let events = api.events(&run).await;
    let told = events.iter().filter(|event| event["job_id"] == audit);
    let told: Vec<_> = told.map(|event| event["event"].as_str().unwrap()).collect();
    // The progress event is the grant of the step's reservation.
    let attempt = ["started", "progress", "soft_timeout", "hard_timeout"];
    let expected = [&["accepted"][..], &attempt, &["retrying"], &attempt, &["escalated"]].concat();
    assert_eq!(told[..expected.len()], expected);
    let waits = api.job(&run).await["waits"].clone();
    assert_eq!((&waits[0]["kind"], &waits[0]["job_id"]), (&json!("person"), &json!(audit)), "{waits}");
    assert_eq!(waits[0]["since"], question["requested_at"]);

    let path = format!("/approvals/{}", question["approval_id"].as_str().unwrap());
    let small = place.dir.path().join("small");
    let corrected = json!({ "decision": "approve", "by": "a test", "inputs": { "source": small } });
    assert_eq!(api.post(&path, corrected.clone()).await.0, 422, "it cannot be read");
    std::fs::create_dir(&small).unwrap();
    api.ask(&path, corrected).await;
    for job in api.run(&run).await {
        assert_eq!(job["inputs"]["source"], json!(small), "later steps are given theirs by those above");
    }
    let events = api.events(&run).await;
    let approved = events.iter().find(|event| event["event"] == "approved").unwrap();
    assert_eq!(approved["detail"]["inputs"]["source"], json!(small));
    api.ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    api.is(&run, "cancelled").await;
    each_ended_once(&api.run(&run).await, &api.events(&run).await);
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_when_its_deadline_passes() {
    let place = Place::with_documents(MANY_DOCUMENTS).setting("PAS_JOBS__THREADS", 1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({ "deadline_s": 0.5 })).await;
    api.is(&run, "cancelled").await;
    let wish = swarm.jobs.book.get(&JobId::new(&run).unwrap()).unwrap().cancel.unwrap();
    assert_eq!(wish.reason, "its deadline has passed");
    let jobs = api.run(&run).await;
    assert!(jobs.iter().all(|job| job["state"] == "cancelled"), "{jobs:#?}");
    each_ended_once(&jobs, &api.events(&run).await);
    swarm.stop().await;
}
