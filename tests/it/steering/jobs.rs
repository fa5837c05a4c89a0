//! Jobs reassigned or restarted, and approvals decided.

use serde_json::json;

use super::{AUDITOR, act, ids, place, radius, refused};
use crate::support::{Place, each_ended_once, of_kind, until};

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
    assert!(swarm.jobs.attempts.jobs_with_attempt().is_empty(), "nobody works on it any more");
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
