//! A push: asked with everything that it will do, carried out once by the daemon, and its result the agent's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::ChangeStage;
use super::stop::sleepers;
use crate::change_samples::{SAMPLES, git};
use crate::support::until;
use crate::vendor::play::{Play, PlayCall, PlayTurn, call, calls, report, turn, write};

/// A repository with a bare one as its remote `origin`.
struct PushPlace {
    repository: tempfile::TempDir,
    remote: tempfile::TempDir,
}

impl PushPlace {
    fn new() -> Self {
        let place = Self { repository: SAMPLES[1].repository(), remote: tempfile::tempdir().unwrap() };
        git(place.remote.path(), &["init", "--quiet", "--bare", "--initial-branch=main"]);
        git(place.person(), &["remote", "add", "origin", place.url()]);
        git(place.person(), &["push", "--quiet", "origin", "main"]);
        place
    }

    fn person(&self) -> &Path {
        self.repository.path()
    }

    fn url(&self) -> &str {
        self.remote.path().to_str().unwrap()
    }

    /// The commit of the remote's branch `docs`.
    fn pushed(&self) -> Option<String> {
        let list = git(self.remote.path(), &["for-each-ref", "--format=%(objectname)", "refs/heads/docs"]);
        (!list.is_empty()).then(|| list.trim().to_owned())
    }

    async fn submit(&self, stage: &ChangeStage, ask: &str) -> String {
        let card = json!({
            "task": "task", "agent": "documentation-generator",
            "inputs": { "goal": "Write the notes and push them.", "repository": self.person(), "ask": ask },
        });
        stage.api().ask("/jobs", card).await["job_id"].as_str().unwrap().to_owned()
    }
}

fn push() -> PlayCall {
    call("git", json!({ "operation": "push", "remote": "origin", "reference": "HEAD:docs" }))
}

/// Writes, commits and pushes; then does these turns.
fn pusher(then: impl IntoIterator<Item = PlayTurn>) -> Play {
    let commit = call("git", json!({ "operation": "commit", "message": "Note how it works" }));
    let first = turn(calls![write("NOTES.md", "It works.\n"), commit, push()]);
    Play::new([first].into_iter().chain(then)).instructed("You document what the source does")
}

fn text(question: &Value) -> &str {
    question["action"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_shows_all_it_will_do_and_is_made_once_after_a_yes() {
    let place = PushPlace::new();
    let refs = git(place.person(), &["for-each-ref"]);
    let done = turn(report("done", "Noted and pushed.")).sees("refs/heads/docs");
    let stage = ChangeStage::open(&[pusher([done])]).await;
    let job = place.submit(&stage, "person").await;
    let question = stage.question(&job).await;
    for word in
        [place.url(), "refs/heads/docs", "Note how it works", "NOTES.md", "commits that the base has not: 1"]
    {
        assert!(text(&question).contains(word), "{word:?} is not shown: {question:#}");
    }
    assert_eq!(question["detail"]["subject"], "act");
    assert_eq!(place.pushed(), None, "nothing is pushed before a yes");
    stage.decide(&question, "approve", "go on").await;
    stage.api().is(&job, "done").await;
    let pushed = place.pushed().unwrap();
    assert!(text(&question).contains(&pushed), "{pushed} was not shown");
    assert_eq!(git(place.remote.path(), &["show", "docs:NOTES.md"]), "It works.\n");
    assert_eq!(git(place.person(), &["for-each-ref"]), refs, "the person's own refs stay");
    stage.vendors.assert_plays();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_push_is_not_made_and_the_reason_is_its_result() {
    let place = PushPlace::new();
    let done = turn(report("done", "Noted, not pushed.")).sees("not before Friday");
    let stage = ChangeStage::open(&[pusher([done])]).await;
    let job = place.submit(&stage, "person").await;
    let question = stage.question(&job).await;
    stage.decide(&question, "reject", "not before Friday").await;
    stage.api().is(&job, "done").await;
    assert_eq!(place.pushed(), None);
    stage.vendors.assert_plays();
}

/// A yes is to what was shown: a remote that leads elsewhere by then gets nothing before another yes.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_no_longer_what_was_shown_is_not_made() {
    let (place, elsewhere) = (PushPlace::new(), tempfile::tempdir().unwrap());
    git(elsewhere.path(), &["init", "--quiet", "--bare"]);
    let unknown = call("git", json!({ "operation": "push", "remote": "fork", "reference": "HEAD:docs" }));
    let stage = ChangeStage::open(&[pusher([
        turn(unknown).sees("no longer what the person was shown"),
        turn(report("partial", "Noted, not pushed.")).sees("has no remote").sees("it has origin"),
    ])])
    .await;
    let job = place.submit(&stage, "person").await;
    let question = stage.question(&job).await;
    git(place.person(), &["remote", "set-url", "origin", elsewhere.path().to_str().unwrap()]);
    stage.decide(&question, "approve", "go on").await;
    stage.api().is(&job, "failed").await;
    assert_eq!(git(elsewhere.path(), &["for-each-ref"]), "");
    assert_eq!(place.pushed(), None);
    stage.vendors.assert_plays();
}

/// A hook of the remote that leaves a file `received` and does not end.
fn hold_at(place: &PushPlace, name: &str, seconds: &str) {
    let hook = place.remote.path().join("hooks").join(name);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\necho >> received\nexec sleep {seconds}\n")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The processes of this machine that have this text in their command lines.
fn processes_with(text: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(text)).collect()
}

/// The daemon is killed while a push is under way: the push ends with it, a person is asked how it went and sees what the
/// remote says, and it is never made again.
async fn is_cut((hook, seconds): (&str, &str), known: &str, decision: &str, then: &str) {
    let place = PushPlace::new();
    hold_at(&place, hook, seconds);
    let done = turn(report("done", "Noted.")).sees(then);
    let stage = ChangeStage::open(&[pusher([done])]).await;
    let job = place.submit(&stage, "person").await;
    let question = stage.question(&job).await;
    stage.decide(&question, "approve", "go on").await;
    until("the remote is at it", async || place.remote.path().join("received").exists().then_some(())).await;
    assert!(processes_with(place.url()).iter().any(|line| line.contains("push")), "the push is under way");
    let stage = stage.restarted().await;
    until("nothing of the push is left", async || {
        let is_left = |line: &String| line.contains("push") || line.contains("receive-pack");
        (sleepers(seconds) == 0 && !processes_with(place.url()).iter().any(is_left)).then_some(())
    })
    .await;
    let unknown = until("a person is asked how it ended", async || {
        let asked = stage.api().get("/approvals").await;
        asked["approvals"].get(0).filter(|one| one["detail"]["subject"] == "unknown_act").cloned()
    })
    .await;
    assert!(text(&unknown).contains("Was it carried out?"), "{unknown:#}");
    assert!(text(&unknown).contains(known), "{unknown:#}");
    stage.decide(&unknown, decision, "I looked").await;
    stage.api().is(&job, "done").await;
    assert_eq!(fs::read_to_string(place.remote.path().join("received")).unwrap(), "\n", "made once");
    assert_eq!(place.pushed().is_some(), decision == "approve");
    stage.vendors.assert_plays();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_crash_has_cut_moves_no_branch_any_more() {
    is_cut(("pre-receive", "7771.25"), "has no refs/heads/docs now", "reject", "not carried out, by Ada")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_crash_has_cut_at_its_end_is_seen_at_the_remote() {
    is_cut(("post-receive", "7772.25"), "it was carried out", "approve", "it was carried out, says Ada")
        .await;
}

/// Nobody can be asked, so there is nothing to push with.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_person_nothing_is_pushed() {
    let place = PushPlace::new();
    let done = turn(report("done", "Noted, not pushed.")).sees("cannot push");
    let stage = ChangeStage::open(&[pusher([done])]).await;
    let job = place.submit(&stage, "never").await;
    stage.api().is(&job, "done").await;
    assert_eq!(place.pushed(), None);
    stage.vendors.assert_plays();
}
