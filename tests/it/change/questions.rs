//! What a person is asked while a change is made, and what each answer brings about.

use serde_json::{Value, json};

use super::{ChangeStage, author};
use crate::change_samples::{SAMPLES, git};
use crate::support::until;
use crate::vendor::play::{Play, ask, bash, calls, edit, report, turn, write};

const PYTHON: crate::change_samples::ChangeSample = SAMPLES[1];
const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);

fn asking() -> Value {
    json!({ "ask": "person", "review": "off" })
}

/// The model's question waits with nothing held; the person's words are its answer, and words said meanwhile are read
/// before the next turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_models_question_gets_the_persons_words() {
    let play = Play::new([
        turn(ask("Which name is to stay?", ["old", "new"])),
        turn(report("done", "The old name stays.")).sees("keep the old one").sees("and be brief"),
    ]);
    let stage = ChangeStage::open(&[play.instructed("You document what the source does")]).await;
    let card = json!({
        "task": "task", "agent": "documentation-generator", "inputs": { "goal": "Settle the name.", "ask": "person" },
    });
    let job = stage.api().ask("/jobs", card).await["job_id"].as_str().unwrap().to_owned();
    let question = stage.question(&job).await;
    assert!(question["action"].as_str().unwrap().contains("Which name is to stay?"), "{question:#}");
    assert_eq!(stage.api().job(&job).await["state"], "awaiting_approval");
    let reservations = stage.get(6104, "/reservations").await.unwrap();
    let held =
        reservations["reservations"].as_array().unwrap().iter().filter(|one| one["status"] != "released");
    assert_eq!(held.count(), 0, "nobody works, so nothing is held: {reservations:#}");
    stage.api().ask(&format!("/jobs/{job}/say"), json!({ "text": "and be brief", "by": "Ada" })).await;
    stage.decide(&question, "approve", "keep the old one").await;
    let done = stage.api().is(&job, "done").await;
    assert_eq!(done["outputs"]["summary"], "The old name stays.");
    stage.vendors.assert_plays();
}

/// A no to touched guards fails the proof with the person's reason; the model undoes them and is proved.
#[tokio::test(flavor = "multi_thread")]
async fn guards_that_a_person_declines_have_to_go() {
    let repository = PYTHON.repository();
    let play = Play::new([
        turn(calls![edit("shelf/cache.py", [MENDED]), write("Makefile", "test:\n\ttrue\n")]),
        turn(report("done", "Mended.")),
        turn(bash("rm Makefile")).sees("leave the build alone"),
        turn(report("done", "Mended, without the Makefile.")),
    ]);
    let stage = ChangeStage::open(&[play.instructed("You change code")]).await;
    let run = stage.submit(PYTHON, repository.path(), asking()).await;
    let question = stage.question(&run).await;
    assert!(question["action"].as_str().unwrap().contains("Makefile"), "{question:#}");
    stage.decide(&question, "reject", "leave the build alone").await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    assert!(!git(repository.path(), &["ls-tree", "--name-only", branch]).contains("Makefile"));
    stage.vendors.assert_plays();
}

/// A wanted change of behaviour rewrites the test that held the old one: the proof asks once, and a yes settles it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_test_is_delivered_after_a_persons_yes() {
    let repository = PYTHON.repository();
    let other_error = ("raise ValueError", "raise TypeError");
    let play = Play::new([
        turn(calls![
            edit("shelf/cache.py", [MENDED, other_error]),
            bash("sed -i s/ValueError/TypeError/ tests/test_cache.py"),
        ]),
        turn(report("done", "Mended; a cache without room is a TypeError now.")),
    ]);
    let stage = ChangeStage::open(&[play.instructed("You change code")]).await;
    let run = stage.submit(PYTHON, repository.path(), asking()).await;
    let question = stage.question(&run).await;
    let text = question["action"].as_str().unwrap();
    assert!(
        text.contains("no longer wanted") && text.contains("test_a_cache_without_room_is_refused"),
        "{text}"
    );
    stage.decide(&question, "approve", "as agreed").await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let decided = stage.rows(&run, "question_decided").await;
    assert_eq!(decided.len(), 1, "asked once: {decided:#?}");
    assert_eq!(decided[0]["by"], "Ada");
    stage.vendors.assert_plays();
}

/// The request that the budget does not cover is not sent: a person is asked with the work kept, each yes lets the
/// budget be spent once more, and not a cent beyond that is.
#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_budget_waits_for_a_person_and_goes_on() {
    const BUDGET: f64 = 0.02;
    let repository = PYTHON.repository();
    let stage = ChangeStage::open(&[author(PYTHON)]).await;
    let more = json!({ "ask": "person", "review": "off", "budget_usd": BUDGET.to_string() });
    let run = stage.submit(PYTHON, repository.path(), more).await;
    let mut raises = 0;
    loop {
        let next = until("the run ends or asks for money", async || {
            let asked = stage.api().get("/approvals").await;
            let question = asked["approvals"].get(0).cloned();
            let state = stage.api().job(&run).await["state"].as_str()?.to_owned();
            (question.is_some() || ["done", "failed"].contains(&state.as_str())).then_some(question)
        })
        .await;
        let Some(question) = next else { break };
        assert_eq!(question["detail"]["subject"], "money", "{question:#}");
        stage.decide(&question, "approve", "go on").await;
        raises += 1;
        assert!(raises < 60, "{question:#}");
        until("the answer is taken", async || {
            let decided = stage.rows(&run, "question_decided").await;
            (decided.len() >= raises).then_some(())
        })
        .await;
    }
    assert!(raises > 0, "a budget of {BUDGET} USD did not bind");
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let cost: f64 = writer["outputs"]["cost_usd"].as_str().unwrap().parse().unwrap();
    assert!(cost <= BUDGET * (raises + 1) as f64, "{cost} USD after {raises} raises");
}

/// Without a person the same budget ends the change, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_budget_ends_a_change_that_may_ask_nobody() {
    let repository = PYTHON.repository();
    let stage = ChangeStage::open(&[author(PYTHON)]).await;
    let run =
        stage.submit(PYTHON, repository.path(), json!({ "review": "off", "budget_usd": "0.0001" })).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "failed", "{writer:#}");
    assert!(writer["error"].as_str().unwrap().contains("budget"), "{writer:#}");
    assert_eq!(git(repository.path(), &["branch", "--all"]).trim(), "* main");
}
