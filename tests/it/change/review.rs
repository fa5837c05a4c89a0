//! A reviewer's remark with a test that fails goes back to the author, once, and is settled by that test.

use serde_json::json;

use super::{ChangeStage, author, content_reviewer};
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::vendor::play::{Play, bash, calls, edit, report, turn};

const PYTHON: ChangeSample = SAMPLES[1];
const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);
const PURGE: (&str, &str) =
    ("    def purge(self):", "    def clear(self):\n        self._entries.clear()\n\n    def purge(self):");
/// What the reviewer misses, as a test.
const REMARK_TEST: &str = "\
--- /dev/null
+++ b/tests/test_clear.py
@@ -0,0 +1,11 @@
+import unittest
+
+from shelf import Cache
+
+
+class ClearTest(unittest.TestCase):
+    def test_a_cache_can_be_cleared(self):
+        cache = Cache(2)
+        cache.put(\"a\", 1)
+        cache.clear()
+        self.assertEqual(len(cache), 0)
";
const PROPOSAL: &str = "add `clear`, so that a test can begin anew";

fn strict_reviewer() -> Play {
    let remark = json!({
        "place": { "path": "shelf/cache.py", "line": 40 }, "severity": "blocking", "input": "cache.clear()",
        "proposal": PROPOSAL, "test": REMARK_TEST,
    });
    let remarks = json!({ "summary": "Nearly.", "remarks": [remark] }).to_string();
    Play::new([turn(report("done", &remarks))])
        .named("strict reviewer")
        .instructed("You review a change")
        .when(|request| !request.contains("Open remarks") && !request.contains("def clear"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remark_whose_test_fails_is_worked_in_before_delivery() {
    let repository = PYTHON.repository();
    let author = Play::new([
        turn(calls![edit("shelf/cache.py", [MENDED])]),
        turn(report("done", "Mended.")),
        turn(calls![edit("shelf/cache.py", [PURGE]), bash("python3 -m unittest")]).sees(PROPOSAL),
        turn(report("done", "Mended, and it can be cleared.")),
    ])
    .named("author")
    .instructed("You change code");
    let stage =
        ChangeStage::open(&[author, strict_reviewer(), content_reviewer().named("content reviewer")]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({})).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    assert!(git(repository.path(), &["show", &format!("{branch}:shelf/cache.py")]).contains("def clear"));
    let proofs = stage.rows(&run, "proof_ended").await;
    assert_eq!(proofs.iter().map(|row| row["passed"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    stage.vendors.assert_plays();
}

/// A remark whose test passes on the commit is withdrawn by that, and costs the author nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_remark_whose_test_passes_is_withdrawn() {
    let repository = PYTHON.repository();
    let test =
        REMARK_TEST.replace("cache.clear()", "cache.put(\"a\", 2)").replace("len(cache), 0", "len(cache), 1");
    let remark = json!({
        "place": { "path": "shelf/cache.py", "line": 40 }, "severity": "blocking", "input": "put twice",
        "proposal": "it must not grow", "test": test,
    });
    let remarks = json!({ "summary": "I doubt it.", "remarks": [remark] }).to_string();
    let reviewer =
        Play::new([turn(report("done", &remarks))]).named("doubter").instructed("You review a change");
    let stage = ChangeStage::open(&[author(PYTHON), reviewer]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({})).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    assert_eq!(stage.rows(&run, "proof_ended").await.len(), 1);
}
