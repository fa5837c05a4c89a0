//! A change that its author divides: pieces are written side by side, taken in one by one, and proved as one.

use serde_json::json;

use super::{ChangeStage, content_reviewer};
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::vendor::play::{Play, bash, calls, delegate, edit, report, turn, write};

const PYTHON: ChangeSample = SAMPLES[1];
const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);
/// Stands in the card of every piece, and in no other request.
const OF_A_PIECE: &str = "This is one piece of a larger change";

fn author(turns: impl IntoIterator<Item = crate::vendor::play::PlayTurn>) -> Play {
    Play::new(turns)
        .named("author")
        .instructed("You change code")
        .offers(["delegate"])
        .when(|request| !request.contains(OF_A_PIECE))
}

fn writer(
    name: &str,
    task: &'static str,
    turns: impl IntoIterator<Item = crate::vendor::play::PlayTurn>,
) -> Play {
    Play::new(turns).named(name).withholds(["delegate"]).marked(OF_A_PIECE).marked(task)
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_written_side_by_side_and_proved_as_one_change() {
    let repository = PYTHON.repository();
    let author = author([
        turn(calls![
            delegate("code_generation", "Mend the order in put").with("paths", json!(["shelf"])),
            delegate("test_generation", "Note the order in a test").with("paths", json!(["tests"])),
        ]),
        turn(report("done", "Both pieces are in."))
            .sees("taken into your tree: put moves it")
            .sees("tests/test_order.py"),
    ]);
    let mender = writer(
        "mender",
        "Mend the order in put",
        [turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "put moves it to the end."))],
    );
    let test = "import unittest\n\nfrom shelf import Cache\n\n\nclass OrderTest(unittest.TestCase):\n    \
                def test_order(self):\n        cache = Cache(2)\n        for key in \"aba\":\n            \
                cache.put(key, 1)\n        cache.put(\"c\", 1)\n        self.assertIn(\"a\", cache)\n";
    let tester = writer(
        "tester",
        "Note the order in a test",
        [turn(write("tests/test_order.py", test)), turn(report("done", "A test says it."))],
    );
    let stage = ChangeStage::open(&[author, mender, tester, content_reviewer()]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "may_delegate": true })).await;
    let lead = stage.ended(&run).await;
    assert_eq!(lead["state"], "done", "{lead:#}");
    let branch = lead["outputs"]["branch"].as_str().unwrap();
    let changed = git(repository.path(), &["diff", "--name-only", &format!("main...{branch}")]);
    assert_eq!(changed, "shelf/cache.py\ntests/test_order.py\n");
    let jobs = stage.api().run(&run).await;
    let mut writers: Vec<&str> = jobs
        .iter()
        .filter(|job| job["task"] == "change.piece")
        .map(|job| job["agent"].as_str().unwrap())
        .collect();
    writers.sort_unstable();
    assert_eq!(writers, ["code-writer", "test-writer"]);
    assert_eq!(stage.rows(&run, "child_ended").await.len(), 2);
    stage.vendors.assert_plays();
}

/// A piece may change its paths only, a capability that nobody has is named, and a piece that fails is a result.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_leaves_its_paths_or_gives_up_is_told_to_the_author() {
    let repository = PYTHON.repository();
    let author = author([
        turn(calls![
            delegate("painting", "Paint it"),
            delegate("code_generation", "Stray").with("paths", json!(["shelf"])),
            delegate("code_generation", "Give up").with("paths", json!(["tests"])),
        ]),
        turn(edit("shelf/cache.py", [MENDED]))
            .sees("nobody writes pieces with the capability `painting`")
            .sees("taken into your tree: inside now")
            .sees("the piece was not written (failed)"),
        turn(report("done", "Mended by hand.")),
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
    let stage = ChangeStage::open(&[author, stray, quitter]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "may_delegate": true, "review": "off" })).await;
    let lead = stage.ended(&run).await;
    assert_eq!(lead["state"], "done", "{lead:#}");
    stage.vendors.assert_plays();
}

/// A kill while pieces are under way costs none of them.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_survive_a_kill_of_the_daemon() {
    let repository = PYTHON.repository();
    let author = author([
        turn(delegate("code_generation", "Mend the order in put")),
        turn(report("done", "It is in.")).sees("taken into your tree"),
    ]);
    let mender = writer(
        "mender",
        "Mend the order in put",
        [turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "put moves it to the end."))],
    );
    let stage = ChangeStage::open(&[author, mender]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "may_delegate": true, "review": "off" })).await;
    crate::support::until("the piece is under way", async || {
        (!stage.rows(&run, "child_begun").await.is_empty()).then_some(())
    })
    .await;
    let stage = stage.restarted().await;
    let lead = stage.ended(&run).await;
    assert_eq!(lead["state"], "done", "{lead:#}");
    assert_eq!(stage.rows(&run, "child_begun").await.len(), 1);
    stage.vendors.assert_plays();
}
