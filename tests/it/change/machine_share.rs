//! Cores are for commands: a step holds none while its model takes its time, and waits for them before a command.

use serde_json::json;

use super::ChangeStage;
use super::stop::sleepers;
use crate::support::until;
use crate::vendor::play::{Play, bash, report, turn};
use crate::vendor::{FOREVER, Fault, Vendor};

/// A play for one task of several.
fn play(task: usize) -> Play {
    Play::new([turn(report("done", "Noted.")).after(Fault::StallBeforeHeaders(FOREVER))])
        .named(format!("task {task}"))
        .instructed("You document what the source does")
        .marked(goal(task))
}

fn goal(task: usize) -> String {
    format!("Describe part {task} of six.")
}

async fn submit(stage: &ChangeStage, agent: &str, goal: String) -> String {
    let card = json!({ "task": "task", "agent": agent, "inputs": { "goal": goal } });
    stage.api().ask("/jobs", card).await["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn six_steps_think_at_once_on_two_cores() {
    const TASKS: usize = 6;
    let plays: Vec<Play> = (0..TASKS).map(play).collect();
    let stage = ChangeStage::open_with(&plays, &[("PAS_RESOURCES__CPU", "2")]).await;
    let mut jobs = Vec::new();
    for task in 0..TASKS {
        jobs.push(submit(&stage, "documentation-generator", goal(task)).await);
    }
    until("the vendors have a request of each step", async || {
        let seen: Vec<_> = Vendor::ALL.iter().flat_map(|vendor| stage.vendors.get(*vendor).seen()).collect();
        let has = |task: usize| seen.iter().any(|heard| heard.body.to_string().contains(&goal(task)));
        (0..TASKS).all(has).then_some(())
    })
    .await;
    for job in &jobs {
        assert!(stage.rows(job, "answered").await.is_empty(), "all six are in flight at once");
    }
    let machine = stage.get(6104, "/reservations").await.unwrap();
    let held = machine["reservations"].as_array().unwrap().iter().filter(|one| one["status"] != "released");
    assert_eq!(held.count(), 0, "{machine:#}");
}

/// Two steps on one core, whose commands sleep so long: the one that has it, and the one that waits for it.
async fn two_on_one_core(seconds: &str) -> (ChangeStage, [String; 2]) {
    let sleeps =
        Play::new([turn(bash(&format!("sleep {seconds}")))]).instructed("You change code").looping(1);
    let stage = ChangeStage::open_with(&[sleeps], &[("PAS_RESOURCES__CPU", "1")]).await;
    let mut jobs = Vec::new();
    for half in ["Mend one half.", "Mend the other."] {
        jobs.push(submit(&stage, "code-writer", half.to_owned()).await);
    }
    let waiting = until("one of them waits for the other's core", async || {
        for job in &jobs {
            let waits = stage.api().job(job).await["waits"].clone();
            if waits.as_array()?.iter().any(|wait| wait["kind"] == "resources") {
                return Some(job.clone());
            }
        }
        None
    })
    .await;
    until("the other one's command runs", async || (sleepers(seconds) == 1).then_some(())).await;
    jobs.retain(|job| *job != waiting);
    (stage, [jobs.remove(0), waiting])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_for_its_core() {
    const SECONDS: &str = "7761.25";
    let (stage, [working, waiting]) = two_on_one_core(SECONDS).await;
    stage.api().ask(&format!("/jobs/{working}/cancel"), json!({})).await;
    until("the core goes to the one that waited", async || {
        let has_waited = stage.api().job(&waiting).await["waits"].as_array()?.is_empty();
        (has_waited && sleepers(SECONDS) == 1).then_some(())
    })
    .await;
    stage.api().ask(&format!("/jobs/{waiting}/cancel"), json!({})).await;
    stage.api().is(&waiting, "cancelled").await;
    assert_eq!(sleepers(SECONDS), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_its_core_is_cancelled_at_once() {
    const SECONDS: &str = "7762.25";
    let (stage, [working, waiting]) = two_on_one_core(SECONDS).await;
    stage.api().ask(&format!("/jobs/{waiting}/cancel"), json!({})).await;
    stage.api().is(&waiting, "cancelled").await;
    assert_eq!(sleepers(SECONDS), 1, "the other one goes on");
    stage.api().ask(&format!("/jobs/{working}/cancel"), json!({})).await;
    stage.api().is(&working, "cancelled").await;
}
