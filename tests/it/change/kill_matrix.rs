//! A change whose daemon is killed before and after every row of its log and in the middle of every effect: it ends as
//! it would have ended undisturbed.
//!
//! One undisturbed run shows the rows there are. The cuts at them are dealt out to a few more runs of the same play, so
//! that each run is cut often, and never twice at the same row. Of a push that a crash has cut, nobody can know the end:
//! there a person is asked, looks at the remote, and says what is so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::content_reviewer;
use super::cuts::{CutPlace, MatrixCut, REVIEWER, RUNS, WRITER, cuts, dealt, key, name_of};
use super::doom::{CommitCut, DoomedDaemon};
use super::money::usd;
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::gateway::place;
use crate::support::{Api, Place, Process, http_client, in_time, until};
use crate::vendor::play::{Play, ask, bash, call, calls, edit, read, report, turn};
use crate::vendor::{FOREVER, Fault, Vendor, Vendors};

const PYTHON: ChangeSample = SAMPLES[1];
const MENDED: (&str, &str) = (
    "        self._entries[key] = Entry(value, expires)\n",
    "        self._entries[key] = Entry(value, expires)\n        self._entries.move_to_end(key)\n",
);
/// Enough for the run and every answer that a cut takes away, each charged at its hold.
const BUDGET: &str = "8.00";
/// Each receipt is shown in millionths of a dollar.
const ROUNDED_USD: f64 = 0.000_1;
/// The play: every sort of row, and every class of call.
fn author(is_stalled: bool) -> Play {
    let asks = turn(calls![bash("python3 -m unittest"), ask("Is its age to be kept?", ["yes", "no"])]);
    let asks = if is_stalled { asks.after(Fault::StallBeforeHeaders(FOREVER)) } else { asks };
    let push = json!({ "operation": "push", "remote": "origin", "reference": "HEAD:topic" });
    Play::new([
        turn(calls![read("shelf/cache.py"), edit("shelf/cache.py", [MENDED])]),
        asks,
        turn(calls![call("git", json!({ "operation": "commit", "message": "Mend it" })), call("git", push)])
            .sees("the age goes"),
        turn(report("done", "An entry that is written again is recent.")),
    ])
    .named("author")
    .instructed("You change code")
}

/// A run, its daemon killed at each of its cuts.
struct MatrixRun {
    vendors: Vendors,
    place: Place,
    api: Api,
    http: reqwest::Client,
    repository: tempfile::TempDir,
    remote: tempfile::TempDir,
    run: String,
    /// Rows that the cuts so far have added to each job's log.
    extra: BTreeMap<&'static str, u64>,
}

/// Everything by which two runs are compared.
#[derive(Debug, PartialEq)]
struct MatrixEnd {
    tree: String,
    message: String,
    /// Rows by kind and place, asks and calls that a crash has cut not counted.
    rows: Vec<String>,
    questions: Vec<String>,
    review: [Value; 4],
}

impl MatrixRun {
    async fn open(is_stalled: bool) -> Self {
        let vendors = Vendors::start().await;
        [author(is_stalled), content_reviewer()].iter().for_each(|play| vendors.perform(play));
        let place = place(&vendors);
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/execution/code-writer.md");
        let definition = fs::read_to_string(own).unwrap();
        let may_push = definition.replace("approvals_required: []", "approvals_required: [git_push]");
        assert_ne!(may_push, definition);
        fs::create_dir_all(place.dir.path().join("agents")).unwrap();
        fs::write(place.dir.path().join("agents/code-writer.md"), may_push).unwrap();
        let (repository, remote) = (PYTHON.repository(), tempfile::tempdir().unwrap());
        git(remote.path(), &["init", "--quiet", "--bare", "--initial-branch=main"]);
        git(repository.path(), &["remote", "add", "origin", remote.path().to_str().unwrap()]);
        let (api, http) = (place.api(), http_client());
        Self { vendors, place, api, http, repository, remote, run: String::new(), extra: BTreeMap::new() }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.api.try_get(path).await.ok()?;
        status.is_success().then_some(body)
    }

    /// Submits once a model can be called.
    async fn submit(&mut self) {
        let inputs = json!({
            "goal": PYTHON.goal, "repository": self.repository.path(), "prove": PYTHON.prove, "ask": "person",
            "budget_usd": BUDGET,
        });
        let card = json!({ "task": "change", "inputs": inputs, "idempotency_key": "the one" });
        let submitted = until("the change is accepted", async || {
            let url = format!("{}/jobs", self.api.base);
            let answer = self.http.post(url).json(&card).send().await.ok()?;
            let job: Value = answer.error_for_status().ok()?.json().await.ok()?;
            Some(job["job_id"].as_str()?.to_owned())
        });
        self.run = submitted.await;
    }

    /// A question that waits for its answer.
    async fn question(&self) -> Option<Value> {
        self.get("/approvals").await?["approvals"].get(0).cloned()
    }

    /// Answers what a person is asked, as it is; an answer that a crash takes away is given again.
    async fn answer(&self) {
        let Some(asked) = self.get("/approvals").await else { return };
        for question in asked["approvals"].as_array().unwrap() {
            let id = question["approval_id"].as_str().unwrap();
            let (decision, reason) = match question["detail"]["subject"].as_str().unwrap() {
                "asked" => ("approve", "the age goes"),
                "act" => ("approve", "push it"),
                "unknown_act" if self.pushed().is_some() => ("approve", "I see it there"),
                "unknown_act" => ("reject", "nothing is there"),
                other => panic!("nobody expects to be asked about {other}: {question:#}"),
            };
            let url = format!("{}/approvals/{id}", self.api.base);
            let body = json!({ "decision": decision, "reason": reason, "by": "Ada" });
            // The daemon may be gone by now; then it is asked again.
            let _ = self.http.post(url).json(&body).send().await;
        }
    }

    /// Requests that models of any vendor were sent.
    fn calls(&self) -> usize {
        Vendor::ALL.iter().map(|vendor| self.vendors.get(*vendor).calls() as usize).sum()
    }

    /// The commit that the remote has.
    fn pushed(&self) -> Option<String> {
        let list = git(self.remote.path(), &["for-each-ref", "--format=%(objectname)", "refs/heads/topic"]);
        (!list.is_empty()).then(|| list.trim().to_owned())
    }

    /// Lets a daemon work until it is killed at this cut.
    async fn cut(&mut self, cut: &MatrixCut) {
        match &cut.place {
            CutPlace::Row { is_after, seq } => {
                let extra = self.extra.get(cut.job).copied().unwrap_or_default();
                self.end_at(&cut.name, CommitCut { is_after: *is_after, mark: key(cut.job, seq + extra) })
                    .await;
            }
            CutPlace::Text { is_after, text } => {
                let mark = text.as_bytes().to_vec();
                self.end_at(&cut.name, CommitCut { is_after: *is_after, mark }).await;
            }
            CutPlace::Command(tree) => {
                let process = self.place.start_process().await;
                until("the command runs", async || self.works_in(tree).then_some(())).await;
                process.kill();
            }
            CutPlace::Request => {
                let before = self.calls();
                let process = self.place.start_process().await;
                until("the vendor is asked", async || (self.calls() > before).then_some(())).await;
                process.kill();
            }
            CutPlace::Question => {
                let process = self.place.start_process().await;
                until("a person is asked", async || self.question().await).await;
                process.kill();
            }
        }
        *self.extra.entry(cut.job).or_default() += cut.extra;
    }

    async fn end_at(&mut self, name: &str, cut: CommitCut) {
        let doomed = DoomedDaemon::start(&self.place, &cut);
        if self.run.is_empty() {
            self.submit().await;
        }
        let over = in_time(async || {
            self.answer().await;
            doomed.is_over(&self.place).then_some(())
        });
        assert!(over.await.is_some(), "it is never killed {name}:\n{}", self.log_text().await);
    }

    /// Whether a command is confined to this tree of the run.
    fn works_in(&self, tree: &str) -> bool {
        let place = format!("/{}/{tree}/tree", self.run);
        commands().iter().any(|line| line.contains("reap") && line.contains(&place))
    }

    /// Lets the run end undisturbed.
    async fn finish(&mut self) -> Process {
        let process = self.place.start_process().await;
        if self.run.is_empty() {
            self.submit().await;
        }
        let ended = in_time(async || {
            self.answer().await;
            let job = process.api.job(&self.run).await;
            ["done", "failed", "cancelled", "quarantined"].contains(&job["state"].as_str()?).then_some(())
        });
        assert!(ended.await.is_some(), "it does not end:\n{}", self.log_text().await);
        process
    }

    async fn log(&self, job: &str) -> Vec<Value> {
        let log = self.api.get(&format!("/jobs/{}{job}/log", self.run)).await;
        log["rows"].as_array().unwrap().clone()
    }

    async fn log_text(&self) -> String {
        let mut lines = Vec::new();
        for job in [WRITER, REVIEWER] {
            let state = self.get(&format!("/jobs/{}{job}", self.run)).await;
            let state = state.unwrap_or_default();
            lines.push(format!("{job} is {}: {}", state["state"], state["error"]));
            if let Some(log) = self.get(&format!("/jobs/{}{job}/log", self.run)).await {
                let rows = log["rows"].as_array().unwrap().iter();
                lines.extend(rows.map(|row| format!("{} {} {}", row["seq"], name_of(row), row["headline"])));
            }
        }
        lines.join("\n")
    }

    /// How it has ended; panics where something of it is left.
    async fn end(&self) -> MatrixEnd {
        let job = self.api.job(&format!("{}{WRITER}", self.run)).await;
        assert_eq!(job["state"], "done", "{job:#}\n{}", self.log_text().await);
        assert_eq!(job["attempt"], 1, "the end of a daemon is no failure of the step");
        let branch = job["outputs"]["branch"].as_str().unwrap();
        let mut questions = Vec::new();
        let asked = self.api.get("/approvals?status=all").await;
        for question in asked["approvals"].as_array().unwrap() {
            assert!(["approved", "rejected"].contains(&question["status"].as_str().unwrap()), "{question:#}");
            questions.push(question["detail"]["subject"].as_str().unwrap().to_owned());
        }
        let person = self.repository.path();
        assert_eq!(git(person, &["status", "--porcelain", "--branch"]), "## main\n");
        assert_eq!(
            git(person, &["for-each-ref", "--format=%(refname)"]),
            format!("refs/heads/main\nrefs/heads/{branch}\n")
        );
        git(person, &["fsck", "--strict", "--no-dangling"]);
        let of = |name: &str| git(person, &["rev-parse", name]);
        assert_eq!(of(&format!("{branch}^")), of("main"));
        MatrixEnd {
            tree: of(&format!("{branch}^{{tree}}")),
            message: git(person, &["log", "-1", "--format=%an %ae%n%s%n%n%b", branch])
                .replace(&self.run, "RUN"),
            rows: spine(&[self.log(WRITER).await, self.log(REVIEWER).await].concat()),
            questions,
            review: ["round", "summary", "approves", "remarks"]
                .map(|field| job["outputs"]["review"][field].clone()),
        }
    }

    /// Each turn was asked for once, and once more for each of its answers that a cut has taken away; each of these calls
    /// has one receipt.
    async fn check_money(&self, cuts: &[MatrixCut]) {
        let mut asked = BTreeSet::new();
        let mut turns = 0;
        for job in [WRITER, REVIEWER] {
            let rows = self.log(job).await;
            asked.extend(rows.iter().filter_map(|row| row["row"]["request_id"].as_str()).map(str::to_owned));
            turns += rows.iter().filter(|row| row["kind"] == "answered").count();
        }
        let takes_an_answer = |cut: &&MatrixCut| {
            matches!(cut.place, CutPlace::Request) || cut.name.starts_with("before answered")
        };
        let calls = self.calls();
        assert_eq!(calls, turns + cuts.iter().filter(takes_an_answer).count(), "calls of {turns} turns");
        let file = self.place.dir.path().join(format!("artifacts/costs/{}.jsonl", self.run));
        let lines = fs::read_to_string(file).unwrap();
        let receipts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: BTreeSet<String> =
            receipts.iter().map(|receipt| receipt["request_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!((receipts.len(), ids.len()), (calls, calls), "receipts: {receipts:#?}");
        assert!(ids.is_subset(&asked), "{ids:?} but only {asked:?} are announced");
        let url = format!("http://{}/budgets/run:{}", self.api.address_of(6120), self.run);
        let budget: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let [cap, spent, held] = ["budget_usd", "spent_usd", "held_usd"].map(|name| usd(&budget[name]));
        let billed: f64 = receipts.iter().map(|receipt| usd(&receipt["cost_usd"])).sum();
        assert!((spent - billed).abs() < ROUNDED_USD, "the receipts say {billed}: {budget:#}");
        assert!(spent <= cap && held == 0.0, "{budget:#}");
    }

    /// The push was begun once; a person was asked about it where a crash had cut it, and it was made unless it was cut
    /// before it could be.
    async fn check_push(&self, cuts: &[MatrixCut]) {
        let rows = self.log(WRITER).await;
        let begun = rows.iter().filter(|row| row["kind"] == "called" && row["row"]["class"] == "outward");
        assert_eq!(begun.count(), 1, "{}", self.log_text().await);
        let is_cut = |name: &str| cuts.iter().any(|cut| cut.name == name);
        let before_it = is_cut("after called 3.1");
        let is_unknown = before_it || is_cut("before returned 3.1");
        let asked = rows.iter().filter(|row| !row["row"]["subject"]["unknown"].is_null()).count();
        assert_eq!((asked, self.pushed().is_some()), (usize::from(is_unknown), !before_it));
    }

    /// Nothing of the run works any more.
    async fn check_rest(&self) {
        let folder = self.place.dir.path().to_str().unwrap();
        let is_ours = |line: &String| line.contains("reap") && line.contains(folder);
        until("no command of the run works", async || (!commands().iter().any(is_ours)).then_some(())).await;
        let url = format!("http://{}/reservations", self.api.address_of(6104));
        let all: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let held = all["reservations"].as_array().unwrap().iter().filter(|one| one["status"] != "released");
        assert_eq!(held.count(), 0, "{all:#}");
    }
}

/// The command lines of this machine's processes.
fn commands() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let line = |path: PathBuf| fs::read(path.join("cmdline")).ok();
    processes
        .filter_map(|entry| line(entry.path()))
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

/// The call that pushes.
fn is_push(place: &Value) -> bool {
    place["turn"] == 3 && place["index"] == 1
}

/// The rows of a log that an undisturbed run has, too: kind, turn and call. Left out are repeated asks and calls, and how a
/// cut push came to its result.
fn spine(rows: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut is_unknown = false;
    for row in rows {
        let (kind, body) = (row["kind"].as_str().unwrap(), &row["row"]);
        match kind {
            "asked" if body["attempt"] != 1 => continue,
            "question_asked" => is_unknown = !body["subject"]["unknown"].is_null(),
            "question_decided" if is_unknown => continue,
            "returned" if is_push(&body["place"]) => continue,
            _ => {}
        }
        if !(kind == "question_asked" && is_unknown) {
            all.push(format!("{kind} {} {}", body["turn"], body["place"]));
        }
    }
    // A call that is begun again.
    all.dedup();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_the_same_wherever_its_daemon_is_killed() {
    let mut calm = MatrixRun::open(false).await;
    let process = calm.finish().await;
    let wanted = calm.end().await;
    assert_eq!(wanted.questions, ["asked", "act"]);
    assert!(calm.pushed().is_some());
    calm.check_money(&[]).await;
    calm.check_rest().await;
    calm.vendors.assert_plays();
    let all = cuts(&calm.log(WRITER).await, &calm.log(REVIEWER).await);
    for name in [
        "before begun",
        "after called 3.1",
        "in a command",
        "in a request",
        "while a question waits",
        "in the proof",
        "after the job's end",
    ] {
        assert!(all.iter().any(|cut| cut.name == name), "there is no cut `{name}`: {all:#?}");
    }
    process.kill();
    let runs = (0..RUNS).map(|number| matrix_run(number, dealt(&all, number), &wanted));
    futures_util::future::join_all(runs).await;
}

/// One of the runs, which must end as the undisturbed one did.
async fn matrix_run(number: usize, cuts: Vec<MatrixCut>, wanted: &MatrixEnd) {
    let mut run = MatrixRun::open(number == 0).await;
    for cut in &cuts {
        run.cut(cut).await;
    }
    let _process = run.finish().await;
    run.check_money(&cuts).await;
    run.check_rest().await;
    run.check_push(&cuts).await;
    assert_eq!(run.vendors.play_faults(), Vec::<String>::new());
    let mut end = run.end().await;
    end.questions.retain(|subject| subject != "unknown_act");
    assert_eq!(end, *wanted, "run {number}");
}
