//! A change that ended without being delivered is taken up again: from its snapshot, with its account, as a new run.

use std::fs;

use serde_json::{Value, json};

use super::ChangeStage;
use super::pieces::MENDED;
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::support::until;
use crate::vendor::play::{Play, bash, calls, edit, report, todo, turn, write};

const PYTHON: ChangeSample = SAMPLES[1];
const NOTES: &str = "\"\"\"Notes on the order.\"\"\"\n";
/// The port of the HMI.
const HMI: u16 = 6101;
/// Stands in every request of a run that goes on with another's work, and in no other.
const EARLIER: &str = "Earlier work on this task";

/// Writes a file, plans the rest, then sits in a command that does not end.
fn first_author() -> Play {
    Play::new([
        turn(calls![write("shelf/notes.py", NOTES), todo("- [x] notes\n- [ ] mend put")]),
        turn(bash("echo half > shelf/half.py; sleep 7741.25")),
    ])
    .named("first")
    .instructed("You change code")
    .when(|request| !request.contains(EARLIER))
}

fn second_author() -> Play {
    Play::new([
        turn(calls![bash("cat shelf/notes.py; ls shelf; git status --short")]),
        turn(edit("shelf/cache.py", [MENDED])).sees("Notes on the order.").sees("notes.py"),
        turn(report("done", "Mended; the notes were there.")),
    ])
    .named("second")
    .instructed("You change code")
    .marked(EARLIER)
    .marked("ended cancelled")
    .marked("enough for today")
    .marked("Left undone: mend put")
    .marked("mind the old name")
    .marked("A person adds:\nkeep it short")
}

/// A first run with a file written and a call cut in the middle, cancelled by a person.
async fn cancelled(stage: &ChangeStage, repository: &std::path::Path) -> String {
    let run = stage.submit(PYTHON, repository, json!({ "review": "off", "budget_usd": "3.00" })).await;
    until("the second call runs", async || {
        stage.rows(&run, "called").await.iter().any(|row| row["place"]["turn"] == 2).then_some(())
    })
    .await;
    stage.api().ask(&format!("/jobs/{run}/say"), json!({ "text": "mind the old name", "by": "Ada" })).await;
    stage.api().ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "enough for today" })).await;
    stage.api().is(&run, "cancelled").await;
    run
}

async fn continuation_of(stage: &ChangeStage, run: &str) -> Value {
    until("the continuation is accepted", async || {
        let jobs = stage.api().get("/jobs?roots=true&limit=100").await;
        let jobs = jobs["jobs"].as_array()?.clone();
        jobs.into_iter().find(|job| job["inputs"]["continues"] == run)
    })
    .await
}

/// By the command line, with a word more; the daemon is killed on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_change_goes_on_from_its_snapshot_also_over_a_kill() {
    let repository = PYTHON.repository();
    let stage = ChangeStage::open(&[first_author(), second_author()]).await;
    let first = cancelled(&stage, repository.path()).await;
    let arguments = ["run", "change", "--continue", &first, "--word", "keep it short", "--detach"];
    let mut command = stage.place.command(&arguments);
    let answer = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success(), "{text}{}", String::from_utf8_lossy(&answer.stderr));
    let root = continuation_of(&stage, &first).await;
    let second = root["job_id"].as_str().unwrap().to_owned();
    assert!(text.contains(&second), "{text}");
    for (name, value) in
        [("goal", json!(PYTHON.goal)), ("prove", json!(PYTHON.prove)), ("budget_usd", json!("3.00"))]
    {
        assert_eq!(root["inputs"][name], value, "{root:#}");
    }
    // Read from the later card: the old row is as it was.
    let old = stage.api().job(&first).await;
    assert_eq!(old["continued_by"], json!([second]), "{old:#}");
    assert_eq!(root.get("continued_by"), None, "nobody has continued the continuation");
    let listed = stage.api().get("/jobs?roots=true&limit=100").await;
    let listed = listed["jobs"].as_array().unwrap().iter().find(|job| job["job_id"] == first.as_str());
    assert_eq!(listed.unwrap()["continued_by"], json!([second]));
    let live = stage.get(HMI, "/api/live").await.unwrap();
    let shown = live["jobs"].as_array().unwrap().iter().find(|job| job["job_id"] == first.as_str());
    assert_eq!(shown.unwrap()["continued_by"], json!([second]), "{live:#}");
    let mut command = stage.place.command(&["job", &first]);
    let card = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let card = String::from_utf8_lossy(&card.stdout).into_owned();
    assert!(card.contains(&format!("by {second}")), "{card}");
    until("its log has begun", async || {
        let log = stage.api().get(&format!("/jobs/{second}/log")).await;
        (log["last_seq"].as_u64()? >= 1).then_some(())
    })
    .await;
    let stage = stage.restarted().await;
    let writer = stage.ended(&second).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    let changed = git(repository.path(), &["diff", "--name-only", &format!("main...{branch}")]);
    // The call that the cancel cut is no part of the snapshot.
    assert_eq!(changed, "shelf/cache.py\nshelf/notes.py\n");
    let taken = stage.rows(&second, "taken_up").await;
    assert_eq!(taken.len(), 1, "{taken:#?}");
    assert_eq!((&taken[0]["run"], &taken[0]["snapshot"]), (&json!(first), &root["inputs"]["snapshot"]));
    stage.vendors.assert_plays();
    // Delivered by now, so there is nothing to go on with.
    let delivered = refused(&stage, json!({ "continues": second })).await;
    assert!(delivered.contains(&format!("--base pas/{second}")), "{delivered}");
}

/// A used-up budget is no end of the work: with more money it goes on, and the old plan is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_money_was_used_up_goes_on_with_more() {
    let repository = PYTHON.repository();
    let rest = Play::new([turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "Mended."))])
        .named("rest")
        .instructed("You change code")
        .marked(EARLIER)
        .marked("the budget was used up");
    let stage = ChangeStage::open(&[rest]).await;
    let poor = json!({ "review": "off", "budget_usd": "0.001" });
    let first = stage.submit(PYTHON, repository.path(), poor).await;
    let ended = stage.ended(&first).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    // Any job of the run names it.
    let inputs = json!({ "continues": ended["job_id"], "budget_usd": "3.00" });
    let job = stage.api().ask("/jobs", json!({ "task": "change", "inputs": inputs })).await;
    let second = job["job_id"].as_str().unwrap();
    assert_eq!(job["inputs"]["continues"], first.as_str(), "{job:#}");
    let writer = stage.ended(second).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    stage.vendors.assert_plays();
}

/// The refusal of a card.
async fn refused(stage: &ChangeStage, inputs: Value) -> String {
    let (status, answer) = stage.api().post("/jobs", json!({ "task": "change", "inputs": inputs })).await;
    assert_eq!(status, 422, "{answer:#}");
    answer.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_continued_is_refused_in_words() {
    let (repository, other) = (PYTHON.repository(), PYTHON.repository());
    let stage = ChangeStage::open(&[first_author()]).await;
    let none = refused(&stage, json!({ "continues": "change-none" })).await;
    assert!(none.contains("there is no job `change-none`"), "{none}");
    let ingest = stage.api().ingest(json!({})).await;
    stage.api().done(&ingest).await;
    let no_change = refused(&stage, json!({ "continues": ingest })).await;
    assert!(no_change.contains("is no change but `ingest`"), "{no_change}");
    let open = stage.submit(PYTHON, repository.path(), json!({ "review": "off" })).await;
    let running = refused(&stage, json!({ "continues": open })).await;
    assert!(running.contains("has not ended"), "{running}");
    stage.api().ask(&format!("/jobs/{open}/cancel"), json!({})).await;
    stage.api().is(&open, "cancelled").await;
    let run = cancelled(&stage, repository.path()).await;
    let elsewhere = refused(&stage, json!({ "continues": run, "repository": other.path() })).await;
    assert!(elsewhere.contains("worked on another repository"), "{elsewhere}");
    let uncommitted = refused(&stage, json!({ "continues": run, "with_uncommitted": true })).await;
    assert!(uncommitted.contains("leave out `with_uncommitted`"), "{uncommitted}");
    let named =
        refused(&stage, json!({ "snapshot": "0".repeat(40), "goal": "x", "repository": other.path() })).await;
    assert!(named.contains("give `continues` alone"), "{named}");
    fs::remove_dir_all(stage.place.dir.path().join(".pas/trees").join(&run)).unwrap();
    let gone = refused(&stage, json!({ "continues": run })).await;
    assert!(gone.contains("is gone") && gone.contains(&format!("pas retry {run}")), "{gone}");
}
