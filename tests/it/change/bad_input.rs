//! What a person or a model can get wrong: each has its outcome in words, and the person's repository stays as it was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::{ChangeStage, author};
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::vendor::play::{
    Play, PlayTurn, ask, bash, call, calls, decline, edit, loops, read, report, say, turn, write,
};

const PYTHON: ChangeSample = SAMPLES[1];
const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);

fn play(turns: impl IntoIterator<Item = PlayTurn>) -> Play {
    Play::new(turns).instructed("You change code")
}

fn mend_and_report() -> [PlayTurn; 2] {
    [turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "put moves the entry to the end."))]
}

/// All that a change must not touch: refs, HEAD, index and checkout by their status, stash, settings, hooks, and whether
/// git finds the whole sound.
#[derive(Debug, PartialEq)]
struct RepositoryPicture {
    said: BTreeMap<&'static str, String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl RepositoryPicture {
    /// `delivered`: the branch that is to be there besides.
    fn of(folder: &Path, delivered: Option<&str>) -> Self {
        let refs = git(folder, &["for-each-ref", "--format=%(refname) %(objectname)"]);
        let own =
            |line: &&str| delivered.is_none_or(|branch| !line.starts_with(&format!("refs/heads/{branch} ")));
        let mut said = BTreeMap::from([
            ("refs", refs.lines().filter(own).collect::<Vec<_>>().join("\n")),
            ("head", git(folder, &["rev-parse", "--symbolic-full-name", "HEAD"])),
            ("settings", git(folder, &["config", "--local", "--list"])),
            ("fsck", git(folder, &["fsck", "--no-dangling"])),
        ]);
        let is_bare = git(folder, &["rev-parse", "--is-bare-repository"]).trim() == "true";
        if !is_bare {
            said.insert("stash", git(folder, &["stash", "list"]));
            said.insert("status", git(folder, &["status", "--porcelain", "--branch", "--ignored"]));
        }
        let hooks = git(folder, &["rev-parse", "--git-path", "hooks"]);
        let hooks = fs::read_dir(folder.join(hooks.trim())).into_iter().flatten().flatten();
        let files = hooks
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()));
        Self { said, files: files.collect() }
    }
}

/// A change whose model does this, to its end; panics where the person's repository is not as before.
async fn outcome(turns: Play, more: Value) -> Value {
    let repository = PYTHON.repository();
    let before = RepositoryPicture::of(repository.path(), None);
    let stage = ChangeStage::open(&[turns]).await;
    let run = stage.submit(PYTHON, repository.path(), more).await;
    let writer = stage.ended(&run).await;
    let branch = writer["outputs"]["branch"].as_str().map(str::to_owned);
    assert_eq!(writer["state"] == "done", branch.is_some(), "{writer:#}");
    assert_eq!(RepositoryPicture::of(repository.path(), branch.as_deref()), before);
    if let Some(branch) = branch {
        let changed = git(repository.path(), &["diff", "--name-only", &format!("main...{branch}")]);
        assert_eq!(changed, "shelf/cache.py\n");
    }
    let log = stage.api().get(&format!("/jobs/{run}/log")).await;
    let lines: Vec<_> = log["rows"].as_array().unwrap().iter().map(|row| row["headline"].clone()).collect();
    assert_eq!(stage.vendors.play_faults(), Vec::<String>::new(), "{lines:#?}");
    writer
}

#[track_caller]
fn has_failed(writer: &Value, words: &[&str]) {
    assert_eq!(writer["state"], "failed", "{writer:#}");
    let error = writer["error"].as_str().unwrap();
    for word in words {
        assert!(error.contains(word), "{word:?} is not said: {error}");
    }
}

/// No tool call is run, no model is asked: the card or the first look at the repository says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_worked_on_is_said_before_a_model_is_asked() {
    let (good, plain, empty) =
        (PYTHON.repository(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    git(empty.path(), &["init", "--quiet", "--initial-branch=main"]);
    let before = RepositoryPicture::of(good.path(), None);
    let stage = ChangeStage::open(&[play([turn(report("done", "nobody asks"))])]).await;
    let (good, gone) = (good.path(), plain.path().join("gone"));
    for (repository, more, words) in [
        (gone.as_path(), json!({}), "does not exist"),
        (plain.path(), json!({}), "is not a git repository"),
        (empty.path(), json!({}), "has no commit yet"),
        (good, json!({ "base": "no-such-branch" }), "there is no commit \"no-such-branch\""),
        (good, json!({ "base": "--upload-pack=x" }), "there is no commit"),
        (good, json!({ "prove": "no-such-program --all" }), "`no-such-program` is not installed"),
        (good, json!({ "prove": "./gone.sh" }), "`./gone.sh` is not in the repository"),
        (good, json!({ "prove": "  " }), "the proving command is empty"),
        (good, json!({ "prove": "echo \"x" }), "is not closed"),
    ] {
        let mut inputs = json!({
            "goal": PYTHON.goal, "repository": repository, "prove": PYTHON.prove, "ask": "never", "review": "off",
        });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = stage.api().post("/jobs", json!({ "task": "change", "inputs": inputs })).await;
        let said = if status.is_success() {
            stage.ended(answer["job_id"].as_str().unwrap()).await["error"].to_string()
        } else {
            answer.to_string()
        };
        let said = said.replace("\\\"", "\"").replace("\\\\", "\\").replace("\\\"", "\"");
        assert!(said.contains(words), "{more}: {words:?} is not said: {said}");
    }
    assert_eq!(stage.vendors.turns_served().len(), 0, "nothing was paid for");
    assert_eq!(RepositoryPicture::of(good, None), before);
}

/// Names that are no UTF-8, links that lead out, a submodule, a file in LFS and work that is not committed: each is said,
/// none is changed, and the agent sees what it was told it would see.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_everything_odd_is_mended_and_its_oddities_said() {
    let repository = PYTHON.repository();
    let person = repository.path();
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("notes"), "private words\n").unwrap();
    fs::write(person.join(OsStr::from_bytes(b"caf\xe9.txt")), "latin\n").unwrap();
    symlink(secret.path().join("notes"), person.join("notes")).unwrap();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "0".repeat(64));
    fs::write(person.join(".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n").unwrap();
    fs::write(person.join("big.bin"), pointer).unwrap();
    git(person, &["add", "--all"]);
    let commit = git(person, &["rev-parse", "HEAD"]);
    fs::write(person.join(".gitmodules"), "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib\n").unwrap();
    git(person, &["add", ".gitmodules"]);
    git(person, &["update-index", "--add", "--cacheinfo", &format!("160000,{},lib", commit.trim())]);
    fs::create_dir(person.join("lib")).unwrap();
    git(person, &["commit", "--quiet", "--message=Odd"]);
    fs::write(person.join("README.md"), "draft words\n").unwrap();
    let before = RepositoryPicture::of(person, None);
    let odd = play([
        turn(calls![
            read("notes"),
            bash("cat notes; ls lib; cat big.bin README.md; ls"),
            edit("shelf/cache.py", [MENDED]),
        ]),
        turn(report("done", "put moves the entry to the end."))
            .lacks("private words")
            .lacks("draft words")
            .sees("git-lfs"),
    ]);
    let stage = ChangeStage::open(&[odd]).await;
    let run = stage.submit(PYTHON, person, json!({ "review": "off" })).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let remarks = writer["outputs"]["remarks"].to_string();
    for word in [
        "1 submodules stay empty folders",
        "1 files are in Git LFS",
        "1 file names are no UTF-8",
        "1 links lead out of the tree",
        "1 changed and 0 untracked entries are not committed",
    ] {
        assert!(remarks.contains(word), "{word:?} is not said: {remarks}");
    }
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    assert_eq!(RepositoryPicture::of(person, Some(branch)), before);
    // Names that are no UTF-8, links, pointers and the submodule's commit come back as they were.
    assert_eq!(git(person, &["diff", "--name-only", &format!("main...{branch}")]), "shelf/cache.py\n");
    assert_eq!(stage.vendors.play_faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_shallow_clone_gets_its_branch() {
    let (origin, home) = (PYTHON.repository(), tempfile::tempdir().unwrap());
    git(origin.path(), &["commit", "--quiet", "--allow-empty", "--message=Second"]);
    let url = format!("file://{}", origin.path().display());
    git(home.path(), &["clone", "--quiet", "--bare", "--depth=1", &url, "bare.git"]);
    let bare = home.path().join("bare.git");
    let before = RepositoryPicture::of(&bare, None);
    let stage = ChangeStage::open(&[author(PYTHON)]).await;
    let run = stage.submit(PYTHON, &bare, json!({ "review": "off" })).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let remarks = writer["outputs"]["remarks"].to_string();
    assert!(remarks.contains("is bare") && remarks.contains("is shallow"), "{remarks}");
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    assert_eq!(RepositoryPicture::of(&bare, Some(branch)), before);
    assert_eq!(git(&bare, &["diff", "--name-only", "main", branch]), "shelf/cache.py\n");
}

/// A command that passes on the base shows no fault: a person says whether that is meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_proving_command_that_passes_before_is_a_question() {
    let passes = json!({ "prove": "true", "review": "off", "expect": "fail" });
    let writer = outcome(play(mend_and_report()).looping(1), passes.clone()).await;
    has_failed(&writer, &["Nothing was delivered"]);
    for (decision, state) in [("approve", "done"), ("reject", "failed")] {
        let repository = PYTHON.repository();
        let stage = ChangeStage::open(&[play(mend_and_report())]).await;
        let mut more = passes.clone();
        more["ask"] = "person".into();
        let run = stage.submit(PYTHON, repository.path(), more).await;
        let question = stage.question(&run).await;
        assert!(question["action"].as_str().unwrap().contains("passes"), "{question:#}");
        stage.decide(&question, decision, "so it is").await;
        assert_eq!(stage.ended(&run).await["state"], state);
    }
}

/// The person commits and goes elsewhere while the change waits: it stays where it began, and only its branch comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_moves_on_meanwhile_is_not_disturbed() {
    let repository = PYTHON.repository();
    let person = repository.path();
    let began = git(person, &["rev-parse", "HEAD"]);
    let asks = turn(ask("May I?", ["yes", "no"]));
    let stage = ChangeStage::open(&[play([asks].into_iter().chain(mend_and_report()))]).await;
    let run = stage.submit(PYTHON, person, json!({ "review": "off", "ask": "person" })).await;
    let question = stage.question(&run).await;
    fs::write(person.join("README.md"), "On another branch.\n").unwrap();
    git(person, &["checkout", "--quiet", "-b", "elsewhere"]);
    git(person, &["commit", "--quiet", "--all", "--message=Meanwhile"]);
    fs::write(person.join("README.md"), "Still being written.\n").unwrap();
    let before = RepositoryPicture::of(person, None);
    stage.decide(&question, "approve", "yes").await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let branch = writer["outputs"]["branch"].as_str().unwrap();
    assert_eq!(git(person, &["rev-parse", &format!("{branch}^")]), began);
    assert_eq!(RepositoryPicture::of(person, Some(branch)), before);
}

/// The person rewrites the commit that the change starts from, and has git forget it.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_is_rewritten_is_kept_and_one_that_is_pruned_is_missed_in_words() {
    let forget = |person: &Path| {
        git(person, &["reflog", "expire", "--expire=now", "--all"]);
        git(person, &["gc", "--quiet", "--prune=now"]);
    };
    for is_kept in [true, false] {
        let repository = PYTHON.repository();
        let person = repository.path();
        let questions = [turn(ask("May I?", ["yes", "no"])), turn(ask("Really?", ["yes", "no"]))];
        let stage = ChangeStage::open(&[play(questions.into_iter().chain(mend_and_report()))]).await;
        let run = stage.submit(PYTHON, person, json!({ "review": "off", "ask": "person" })).await;
        let question = stage.question(&run).await;
        fs::write(person.join("shelf/cache.py"), "# rewritten\n").unwrap();
        git(person, &["commit", "--quiet", "--all", "--amend", "--message=Rewritten"]);
        if !is_kept {
            forget(person);
        }
        stage.decide(&question, "approve", "yes").await;
        if is_kept {
            let second = stage.question(&run).await;
            forget(person);
            stage.decide(&second, "approve", "yes").await;
            let writer = stage.ended(&run).await;
            assert_eq!(writer["state"], "done", "{writer:#}");
            let branch = writer["outputs"]["branch"].as_str().unwrap();
            assert!(git(person, &["show", &format!("{branch}:shelf/cache.py")]).contains("move_to_end(key)"));
        } else {
            has_failed(&stage.ended(&run).await, &["was removed from", "start the change anew"]);
        }
        git(person, &["fsck", "--no-dangling"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_declines_ends_the_change_with_its_words() {
    let writer = outcome(play([decline("I will not touch caches.")]), json!({ "review": "off" })).await;
    has_failed(&writer, &["declined", "Nothing was delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_in_circles_is_stopped() {
    let circles = loops::same_call().instructed("You change code");
    has_failed(&outcome(circles, json!({ "review": "off" })).await, &["stuck", "Nothing was delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_answers_in_prose_only_is_stopped() {
    let words = loops::only_words().instructed("You change code");
    has_failed(&outcome(words, json!({ "review": "off" })).await, &["stuck", "Nothing was delivered"]);
}

/// Tools that there are not, words between calls and arguments that are no arguments: each is answered, and the work
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_clumsy_model_is_put_right_and_gets_through() {
    let invented = call("apply_fix", json!({ "file": "shelf/cache.py" }));
    let clumsy = play([
        turn(invented),
        turn(calls![call("edit", json!({ "path": "shelf/cache.py", "changes": [] }))])
            .sees("there is no such tool"),
        say("I think it is fixed now.").sees("unknown field"),
        turn(report("finished", "all good")).sees("Call a tool or `report`"),
        turn(write("../outside.txt", "x")).sees("done, partial or impossible"),
        turn(edit("shelf/cache.py", [MENDED])).sees("outside"),
        turn(report("done", "put moves the entry to the end.")),
    ]);
    assert_eq!(outcome(clumsy, json!({ "review": "off" })).await["state"], "done");
}

/// It removes all that it can reach, plants hooks and puts a repository of its own in the place of the tree's: only its own
/// tree suffers, and that comes back by git.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_destroys_its_tree_can_still_mend_it() {
    let plant = "mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch \"$HOME/../../planted\"\\n' > .git/hooks/post-checkout; \
                 chmod +x .git/hooks/post-checkout; git config core.fsmonitor /bin/false; git config user.name Eve; true";
    let wild = play([
        turn(bash("rm -rf --no-preserve-root /etc /root /home ~ . .. ./* .git* 2>/dev/null; ls -A")),
        turn(bash(
            "git status --short | head -3; rm -rf .git; git init -q . && git commit -q --allow-empty -m mine; true",
        )),
        turn(calls![call("git", json!({ "operation": "restore", "paths": ["."], "revision": "HEAD" }))]),
        turn(calls![bash(plant), edit("shelf/cache.py", [MENDED])]),
        turn(report("done", "put moves the entry to the end.")),
    ]);
    let writer = outcome(wild, json!({ "review": "off" })).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
}
