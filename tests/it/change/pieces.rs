//! A change that the lane's manager divides: pieces are written side by side, taken in one by one with the proving command
//! run after each, and proved as one.

use serde_json::{Value, json};

use super::{ChangeStage, content_reviewer};
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::support::until;
use crate::vendor::play::{Play, PlayTurn, bash, calls, delegate, edit, grep, report, turn, write};

const PYTHON: ChangeSample = SAMPLES[1];
pub(super) const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);
/// With it nearly every test of the project fails.
const BROKEN: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        raise KeyError(key)\n        self._entries[key] = Entry(value, expires)\n",
);
const ORDER_TEST: &str = "\
import unittest

from shelf import Cache


class OrderTest(unittest.TestCase):
    def test_order(self):
        cache = Cache(2)
        for key in \"aba\":
            cache.put(key, 1)
        cache.put(\"c\", 1)
        self.assertIn(\"a\", cache)
";
/// Stands in the card of every piece, and in no other request.
const OF_A_PIECE: &str = "This is one piece of a larger change";

/// The manager: it reads and delegates, and has no tool that changes anything.
pub(super) fn lead(turns: impl IntoIterator<Item = PlayTurn>) -> Play {
    Play::new(turns)
        .named("lead")
        .instructed("You turn one scoped change into tasks")
        .offers(["read", "grep", "glob", "todo", "ask", "delegate", "report"])
        .withholds(["write", "edit", "patch", "bash", "git", "python"])
}

pub(super) fn writer(name: &str, task: &'static str, turns: impl IntoIterator<Item = PlayTurn>) -> Play {
    Play::new(turns).named(name).withholds(["delegate"]).marked(OF_A_PIECE).marked(task)
}

pub(super) fn mender(task: &'static str) -> Play {
    writer(
        "mender",
        task,
        [turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "put moves it to the end."))],
    )
}

pub(super) fn delegating(more: &Value) -> Value {
    let mut inputs = json!({ "may_delegate": true, "review": "off" });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    inputs
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_written_side_by_side_and_proved_as_one_change() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(grep("move_to_end")),
        turn(calls![
            delegate("code_generation", "Mend the order in put").with("paths", json!(["shelf"])),
            delegate("test_generation", "Note the order in a test").with("paths", json!(["tests"])),
        ]),
        turn(report("done", "Both pieces are in."))
            .sees("taken into your tree: put moves it")
            .sees("tests/test_order.py")
            .sees("the proving command passes with it"),
    ]);
    let tester = writer(
        "tester",
        "Note the order in a test",
        [turn(write("tests/test_order.py", ORDER_TEST)), turn(report("done", "A test says it."))],
    );
    let stage = ChangeStage::open(&[lead, mender("Mend the order in put"), tester, content_reviewer()]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "may_delegate": true })).await;
    let ended = stage.ended(&run).await;
    assert_eq!((&ended["state"], &ended["agent"]), (&json!("done"), &json!("manager-code")), "{ended:#}");
    let branch = ended["outputs"]["branch"].as_str().unwrap();
    let changed = git(repository.path(), &["diff", "--name-only", &format!("main...{branch}")]);
    assert_eq!(changed, "shelf/cache.py\ntests/test_order.py\n");
    let pieces = stage.pieces(&run).await;
    let mut writers: Vec<&str> = pieces.iter().map(|job| job["agent"].as_str().unwrap()).collect();
    writers.sort_unstable();
    assert_eq!(writers, ["code-writer", "test-writer"]);
    assert_eq!(stage.rows(&run, "child_ended").await.len(), 2);
    stage.vendors.assert_plays();
}

/// A goal of one task costs the manager one answer: the whole of it to one writer, and the report behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_goal_of_one_task_takes_its_lead_one_turn() {
    let repository = PYTHON.repository();
    let lead = lead([turn(calls![
        delegate("code_generation", "Mend the order in put"),
        report("done", "It is in.")
    ])]);
    let stage = ChangeStage::open(&[lead, mender("Mend the order in put")]).await;
    let run = stage.submit(PYTHON, repository.path(), delegating(&json!({}))).await;
    let ended = stage.ended(&run).await;
    assert_eq!((&ended["state"], &ended["outputs"]["turns"]), (&json!("done"), &json!(1)), "{ended:#}");
    stage.vendors.assert_plays();
}

/// Without `may_delegate` nobody asks a manager: the writer has the change alone, and no tool to give parts away.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_not_be_divided_has_one_writer() {
    let repository = PYTHON.repository();
    let author = Play::new([turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "Mended."))])
        .instructed("You change code")
        .withholds(["delegate"]);
    let stage = ChangeStage::open(&[author]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "review": "off" })).await;
    let ended = stage.ended(&run).await;
    assert_eq!((&ended["state"], &ended["agent"]), (&json!("done"), &json!("code-writer")), "{ended:#}");
    stage.vendors.assert_plays();
}

/// A piece may change its paths only, a capability that nobody has is named, and a piece that fails is a result.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_leaves_its_paths_or_gives_up_is_told_to_the_lead() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(calls![
            delegate("painting", "Paint it"),
            delegate("code_generation", "Stray").with("paths", json!(["shelf"])),
            delegate("code_generation", "Give up").with("paths", json!(["tests"])),
        ]),
        turn(delegate("code_generation", "Mend the order in put"))
            .sees("nobody writes pieces with the capability `painting`")
            .sees("taken into your tree: inside now")
            .sees("the piece was not written (failed)"),
        turn(report("done", "All in.")),
    ]);
    let stray = writer(
        "stray",
        "Stray",
        [
            turn(calls![bash("echo gone > README.md"), write("shelf/notes.py", "\"\"\"Notes.\"\"\"\n")]),
            turn(report("done", "outside")),
            turn(calls![bash("git checkout README.md")])
                .sees("lie outside of the paths of this piece: README.md"),
            turn(report("done", "inside now")),
        ],
    );
    let quitter = writer("quitter", "Give up", [turn(report("impossible", "It cannot be done."))]);
    let stage = ChangeStage::open(&[lead, stray, quitter, mender("Mend the order in put")]).await;
    let run = stage.submit(PYTHON, repository.path(), delegating(&json!({}))).await;
    let ended = stage.ended(&run).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    stage.vendors.assert_plays();
}

/// A piece with which fewer tests pass goes back out of the tree, the others stay, and the lead reads which test says so.
/// The daemon is killed while the piece is being judged: the verdict is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_turns_the_proof_red_is_rolled_back_also_over_a_kill() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(calls![
            delegate("test_generation", "Note the order in a test").with("paths", json!(["tests"])),
            delegate("code_generation", "Break it").with("paths", json!(["shelf"])),
        ]),
        turn(delegate("code_generation", "Mend the order in put"))
            .sees("the proving command still fails with it")
            .sees("taken in and rolled back: ")
            .sees("tests passed before")
            .sees("fails: "),
        turn(report("done", "Mended.")).sees("the proving command passes with it"),
    ]);
    let tester = writer(
        "tester",
        "Note the order in a test",
        [turn(write("tests/test_order.py", ORDER_TEST)), turn(report("done", "A test says it."))],
    );
    let breaker = writer(
        "breaker",
        "Break it",
        [turn(edit("shelf/cache.py", [BROKEN])), turn(report("done", "I think that is it."))],
    );
    let stage = ChangeStage::open(&[lead, tester, breaker, mender("Mend the order in put")]).await;
    let run = stage.submit(PYTHON, repository.path(), delegating(&json!({}))).await;
    let mark = stage.place.dir.path().join("artifacts/runs").join(&run).join("change");
    let mark = mark.join(format!("{run}.code.lane").replace('.', "_")).join("taking.json");
    until("the second piece is being taken in", async || {
        std::fs::read_to_string(&mark).is_ok_and(|text| text.contains("piece1x1")).then_some(())
    })
    .await;
    let stage = stage.restarted().await;
    let ended = stage.ended(&run).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let branch = ended["outputs"]["branch"].as_str().unwrap();
    let cache = git(repository.path(), &["show", &format!("{branch}:shelf/cache.py")]);
    assert!(
        !cache.contains("raise KeyError(key)\n        self._entries") && cache.contains("move_to_end(key)")
    );
    let ends = stage.rows(&run, "child_ended").await;
    assert_eq!(
        ends.iter().map(|row| row["succeeded"].as_bool().unwrap()).collect::<Vec<_>>(),
        [true, false, true]
    );
    stage.vendors.assert_plays();
}

/// A kill while pieces are under way costs none of them.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_survive_a_kill_of_the_daemon() {
    let repository = PYTHON.repository();
    let lead = lead([
        turn(delegate("code_generation", "Mend the order in put")),
        turn(report("done", "It is in.")).sees("taken into your tree"),
    ]);
    let stage = ChangeStage::open(&[lead, mender("Mend the order in put")]).await;
    let run = stage.submit(PYTHON, repository.path(), delegating(&json!({ "budget_usd": 4 }))).await;
    until("the piece is under way", async || {
        (!stage.rows(&run, "child_begun").await.is_empty()).then_some(())
    })
    .await;
    let stage = stage.restarted().await;
    let ended = stage.ended(&run).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    for kind in ["child_begun", "money_carved"] {
        assert_eq!(stage.rows(&run, kind).await.len(), 1, "{kind}");
    }
    stage.vendors.assert_plays();
}
