//! `change` from a goal to a branch: a whole daemon in a process of its own, real git, the real sandbox, and plays in
//! the place of models.

mod bad_input;
mod continuing;
mod cuts;
mod doom;
mod hanging;
mod kill_matrix;
mod machine_share;
mod money;
mod pieces;
mod poisoned;
mod pushes;
mod questions;
mod review;
mod stop;

use std::path::Path;

use serde_json::{Value, json};

use crate::change_samples::{ChangeSample, SAMPLES, SandboxCanary, git};
use crate::contracts::assert_says_no_more;
use crate::gateway::place;
use crate::support::{Api, Place, Process, in_time, until};
use crate::vendor::Vendors;
use crate::vendor::play::{Play, report, say, turn};

/// A daemon whose models are plays.
struct ChangeStage {
    vendors: Vendors,
    place: Place,
    process: Process,
}

impl ChangeStage {
    async fn open(plays: &[Play]) -> Self {
        Self::open_with(plays, &[]).await
    }

    /// The same with settings, as environment variables.
    async fn open_with(plays: &[Play], settings: &[(&str, &str)]) -> Self {
        let vendors = Vendors::start().await;
        plays.iter().for_each(|play| vendors.perform(play));
        let place = settings.iter().fold(place(&vendors), |place, (name, value)| place.setting(name, value));
        let process = place.start_process().await;
        let stage = Self { vendors, place, process };
        stage.wait_for_models().await;
        stage
    }

    async fn wait_for_models(&self) {
        until("a model with tools is offered", async || {
            let offers = self.get(6103, "/providers").await?;
            (offers["providers"].as_array()?.len() > 3).then_some(())
        })
        .await;
    }

    /// The same place after `kill -9` of its daemon and a new start.
    async fn restarted(self) -> Self {
        let Self { vendors, place, process } = self;
        process.kill();
        let process = place.start_process().await;
        let stage = Self { vendors, place, process };
        stage.wait_for_models().await;
        stage
    }

    /// What one of the daemon's services answers.
    async fn get(&self, port: u16, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", port + self.api().offset);
        crate::support::http_client().get(&url).send().await.ok()?.json().await.ok()
    }

    fn api(&self) -> &Api {
        &self.process.api
    }

    /// Submits a change and gives the id of its run.
    async fn submit(&self, sample: ChangeSample, repository: &Path, more: Value) -> String {
        let mut inputs = json!({
            "goal": sample.goal, "repository": repository, "prove": sample.prove, "ask": "never",
        });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = self.api().ask("/jobs", json!({ "task": "change", "inputs": inputs })).await;
        job["job_id"].as_str().unwrap().to_owned()
    }

    /// A question of the run, as soon as a person is asked it.
    async fn question(&self, run: &str) -> Value {
        let id = self.api().question_of(run).await;
        let asked = self.api().get("/approvals").await;
        let question =
            asked["approvals"].as_array().unwrap().iter().find(|one| one["approval_id"] == id.as_str());
        let question = question.unwrap().clone();
        let contract = pas::http::contract::bundled("orchestrator.json").unwrap();
        let schema = json!({ "$ref": "#/components/schemas/Approval" });
        assert_says_no_more(&contract, &schema, &question, "an approval of a change");
        question
    }

    async fn decide(&self, question: &Value, decision: &str, reason: &str) {
        let path = format!("/approvals/{}", question["approval_id"].as_str().unwrap());
        self.api().ask(&path, json!({ "decision": decision, "reason": reason, "by": "Ada" })).await;
    }

    /// The rows of the run's log of one kind.
    async fn rows(&self, run: &str, kind: &str) -> Vec<Value> {
        let log = self.api().get(&format!("/jobs/{run}/log")).await;
        let rows = log["rows"].as_array().unwrap().iter().filter(|row| row["kind"] == kind);
        rows.map(|row| row["row"].clone()).collect()
    }

    /// The job that led the run's change, as it stands at its end.
    async fn ended(&self, run: &str) -> Value {
        let ended = in_time(async || {
            let root = self.api().job(run).await;
            let state = root["state"].as_str()?.to_owned();
            matches!(state.as_str(), "done" | "failed" | "cancelled").then_some(())
        });
        if ended.await.is_none() {
            let log = self.api().get(&format!("/jobs/{run}/log")).await;
            let lines = log["rows"].as_array().unwrap().iter().map(|row| row["headline"].to_string());
            panic!("{run} has not ended:\n{}", lines.collect::<Vec<_>>().join("\n"));
        }
        let jobs = self.api().run(run).await;
        let leads = |job: &&Value| job["task"] == "change.write" || job["task"] == "change.lead";
        jobs.iter().find(leads).unwrap_or_else(|| panic!("nobody has written: {jobs:#?}")).clone()
    }

    /// The run's pieces.
    async fn pieces(&self, run: &str) -> Vec<Value> {
        let jobs = self.api().run(run).await;
        jobs.into_iter().filter(|job| job["task"] == "change.piece").collect()
    }
}

/// A reviewer that finds nothing wrong.
fn content_reviewer() -> Play {
    let remarks = r#"{"summary": "It does what the card asks.", "remarks": []}"#;
    Play::new([turn(report("done", remarks))]).named("reviewer").instructed("You review a change")
}

fn author(sample: ChangeSample) -> Play {
    sample.honest().instructed("You change code")
}

async fn is_mended(sample: ChangeSample) {
    let repository = sample.repository();
    let before = git(repository.path(), &["status", "--porcelain", "--branch"]);
    let stage = ChangeStage::open(&[author(sample), content_reviewer()]).await;
    let run = stage.submit(sample, repository.path(), json!({})).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    let outputs = &writer["outputs"];
    let branch = outputs["branch"].as_str().unwrap();
    assert_eq!(branch, format!("pas/{run}"));
    assert_eq!(outputs["review"]["approves"], true, "{outputs:#}");
    // Nothing of the person's checkout has moved; the branch is there, and merging it mends the project.
    assert_eq!(git(repository.path(), &["status", "--porcelain", "--branch"]), before);
    git(repository.path(), &["merge", "--quiet", branch]);
    let proved = std::process::Command::new("bash")
        .args(["-c", sample.prove])
        .current_dir(repository.path())
        .output()
        .unwrap();
    assert!(proved.status.success(), "{}", String::from_utf8_lossy(&proved.stdout));
    let log = stage.api().get(&format!("/jobs/{run}/log")).await;
    let kinds: Vec<&str> =
        log["rows"].as_array().unwrap().iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds.first(), Some(&"begun"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"ended"), "{kinds:?}");
    let root = stage.api().job(&run).await;
    let trace = stage.api().get(&format!("/trace/{}", root["trace_id"].as_str().unwrap())).await;
    let spans: Vec<&str> =
        trace["spans"].as_array().unwrap().iter().filter_map(|span| span["kind"].as_str()).collect();
    assert!(["provider call", "edit", "prove"].iter().all(|kind| spans.contains(kind)), "{spans:?}");
    stage.vendors.assert_plays();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_fault_is_mended_proved_reviewed_and_delivered() {
    is_mended(SAMPLES[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_javascript_fault_is_mended_proved_reviewed_and_delivered() {
    is_mended(SAMPLES[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_fault_is_mended_proved_reviewed_and_delivered() {
    is_mended(SAMPLES[0]).await;
}

/// It deletes, plants, weakens the test and says that all is well: nothing gets out, nothing is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_model_harms_nothing_and_delivers_nothing() {
    let (sample, canary) = (SAMPLES[1], SandboxCanary::new());
    let repository = sample.repository();
    let stage = ChangeStage::open(&[sample.hostile(&canary).instructed("You change code")]).await;
    let run = stage.submit(sample, repository.path(), json!({ "review": "off" })).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "failed", "{writer:#}");
    assert_eq!(canary.damage(&[]), Vec::<String>::new());
    assert_eq!(git(repository.path(), &["branch", "--all"]).trim(), "* main");
}

/// A report without any change is a claim that the proof refuses; the step ends with that said.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_work_that_was_not_done_is_no_success() {
    let sample = SAMPLES[1];
    let repository = sample.repository();
    let lie = Play::new([turn(report("done", "All tests pass."))]).instructed("You change code").looping(1);
    let stage = ChangeStage::open(&[lie]).await;
    let run = stage.submit(sample, repository.path(), json!({ "review": "off" })).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "failed", "{writer:#}");
    let error = writer["error"].as_str().unwrap();
    assert!(error.contains("Nothing has changed") && error.contains("Nothing was delivered"), "{error}");
}

/// The daemon is killed again and again; each time the change goes on where its log stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_survives_kills_of_the_daemon() {
    let sample = SAMPLES[1];
    let repository = sample.repository();
    let mut stage = ChangeStage::open(&[author(sample), content_reviewer()]).await;
    let run = stage.submit(sample, repository.path(), json!({})).await;
    for rows in [1, 4, 8, 12] {
        let url = format!("/jobs/{run}/log");
        until("the log has grown or the change has ended", async || {
            let log = stage.api().get(&url).await;
            let ended = stage.api().job(&run).await["state"] != "running";
            (ended || log["last_seq"].as_u64()? >= rows).then_some(())
        })
        .await;
        stage = stage.restarted().await;
    }
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
    git(repository.path(), &["merge", "--quiet", writer["outputs"]["branch"].as_str().unwrap()]);
    // Each answer that was paid for was used: no turn of the author was answered twice and folded twice.
    let log = stage.api().get(&format!("/jobs/{run}/log")).await;
    let answered: Vec<u64> = log["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["kind"] == "answered")
        .filter_map(|row| row["row"]["turn"].as_u64())
        .collect();
    assert_eq!(answered, (1..=answered.len() as u64).collect::<Vec<_>>());
}

/// Without a model the card is refused at once, and the refusal says which key would do.
#[tokio::test]
async fn without_a_model_a_change_is_refused_with_the_keys_that_would_do() {
    let sample = SAMPLES[1];
    let repository = sample.repository();
    let swarm = Place::with_documents(1).start().await;
    let inputs = json!({ "goal": sample.goal, "repository": repository.path() });
    let (status, refusal) = swarm.api.post("/jobs", json!({ "task": "change", "inputs": inputs })).await;
    assert_eq!(status, 422, "{refusal}");
    assert!(refusal.to_string().contains("OPENAI_API_KEY"), "{refusal}");
    swarm.stop().await;
}

/// A plain task of any agent with a model: its report is its answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_model_does_a_plain_task() {
    let prose = Play::new([turn(say("I think it is fine.")), turn(report("done", "The docs are complete."))])
        .instructed("You document what the source does");
    let stage = ChangeStage::open(&[prose]).await;
    let card = json!({
        "task": "task", "agent": "documentation-generator", "inputs": { "goal": "Say whether the docs are complete." },
    });
    let job = stage.api().ask("/jobs", card).await;
    let done = stage.api().is(job["job_id"].as_str().unwrap(), "done").await;
    assert_eq!(done["outputs"]["summary"], "The docs are complete.", "{done:#}");
}
