//! The summary at the end of a job: state, time, findings, artifacts, costs, next commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use console::style;
use serde_json::{Value, json};

use super::change::{CHANGE, TASK};
use super::outline::findings;
use crate::cli::CommandContext;
use crate::cli::client::{HMI, ORCHESTRATOR};
use crate::cli::exit::CommandFailure;
use crate::cli::render::{cards, count, one_line, state, units, wrap};
use crate::cli::wire::{self, WireArtifact, WireJob};
use crate::domain::accounts::receipt::bill::ReceiptTotals;
use crate::domain::job::JobState;
use crate::domain::time::Timestamp;

/// The artifact to open first.
const REPORT: &str = "report.html";
/// Longest wait for the manifest, and the polling interval.
const MANIFEST_WAIT: Duration = Duration::from_secs(5);
const MANIFEST_POLL: Duration = Duration::from_millis(50);
/// Columns of the headings at the left.
const MARGIN: usize = 12;

struct RunSummary<'a> {
    job: &'a WireJob,
    run_dir: PathBuf,
    artifacts: Vec<WireArtifact>,
    cost_usd: Option<f64>,
    /// The cost of the job's model calls.
    bill: Option<ReceiptTotals>,
    /// Context use of the job's agents, as a sentence.
    contexts: Option<String>,
}

pub(super) async fn show(context: &CommandContext, job: &WireJob, stays: bool) -> Result<(), CommandFailure> {
    let client = &context.client;
    let listed = client.get(&["jobs", &job.job_id, "artifacts"], &[]).await?;
    let run_dir =
        listed["run_dir"].as_str().map_or_else(|| format!("artifacts/runs/{}", job.run_id), str::to_owned);
    let manifest = manifest(context, job).await;
    let summary = RunSummary {
        job,
        run_dir: context.config.daemon.workdir.join(run_dir),
        artifacts: artifacts(&manifest, &listed)?,
        cost_usd: money(&manifest["cost_usd"]),
        bill: crate::cli::costs::of(context, &job.job_id).await,
        contexts: crate::cli::context::of_run(context, &job.run_id).await,
    };
    let value = summary.as_json();
    let hmi = client.identity(HMI).await.map(|_| client.address(HMI)).filter(|_| stays);
    let next = next(&context.again(), job, stays, &client.address(ORCHESTRATOR), hmi.as_deref());
    let width = context.screen.width();
    context.screen.show(&value, |_| Ok(summary.text(width)))?;
    if !context.screen.json {
        context.screen.hint(&next);
    }
    Ok(())
}

/// The run's manifest, written after the root job ends; null when not there in time.
async fn manifest(context: &CommandContext, job: &WireJob) -> Value {
    let path = ["runs", &job.run_id, "manifest"];
    let read = async {
        loop {
            match context.client.get(&path, &[]).await {
                Ok(manifest) => return manifest,
                Err(_) => tokio::time::sleep(MANIFEST_POLL).await,
            }
        }
    };
    tokio::time::timeout(MANIFEST_WAIT, read).await.unwrap_or_default()
}

/// The manifest lists the whole run's artifacts; without one, the job's own are shown.
fn artifacts(manifest: &Value, listed: &Value) -> Result<Vec<WireArtifact>, CommandFailure> {
    let whole = manifest["artifacts"].as_array().is_some_and(|all| !all.is_empty());
    let from = if whole { &manifest["artifacts"] } else { &listed["artifacts"] };
    if from.is_null() { Ok(Vec::new()) } else { wire::read(from) }
}

/// A number on the wire; in the manifest's file, an exact decimal as text.
fn money(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

impl RunSummary<'_> {
    fn report(&self) -> Option<PathBuf> {
        let is_report =
            |artifact: &&WireArtifact| Path::new(&artifact.path).file_name().is_some_and(|n| n == REPORT);
        self.artifacts.iter().find(is_report).map(|artifact| self.run_dir.join(&artifact.path))
    }

    fn as_json(&self) -> Value {
        let job = self.job;
        let elapsed = cards::took(job, Timestamp::now()).map(|took| took.as_millis());
        json!({
            "job_id": job.job_id,
            "run_id": job.run_id,
            "state": job.state,
            "error": job.error,
            "elapsed_ms": elapsed.and_then(|ms| u64::try_from(ms).ok()),
            "run_dir": self.run_dir,
            "report": self.report(),
            "artifacts": self.artifacts.iter().map(|artifact| &artifact.path).collect::<Vec<_>>(),
            "findings": findings(job),
            "cost_usd": self.cost_usd,
            "costs": self.bill,
            "contexts": self.contexts,
        })
    }

    fn text(&self, width: usize) -> String {
        let took = cards::took(self.job, Timestamp::now()).map(units::duration);
        let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
        let mut lines = vec![format!("{}  {}{took}", style(&self.job.job_id).bold(), state(self.job.state))];
        for failed in self.job.walk().filter(|job| job.state != JobState::Done) {
            let error = failed.error.iter().map(|error| format!("{}: {}", failed.job_id, one_line(error)));
            lines.extend(error.flat_map(|error| block("error", &error, width)));
        }
        let findings = findings(self.job);
        for (number, finding) in findings.iter().enumerate() {
            let heading = if number == 0 { "found" } else { "" };
            lines.extend(block(heading, &one_line(finding), width));
        }
        if let Some(report) = self.report() {
            lines.push(format!("{:MARGIN$}{}", "open first", short(&report).display()));
        }
        if !self.artifacts.is_empty() {
            let files = count(self.artifacts.len(), "artifact", "artifacts");
            let bytes = units::bytes(self.artifacts.iter().map(|artifact| artifact.bytes).sum());
            let folder = short(&self.run_dir);
            lines.push(format!("{:MARGIN$}{files}, {bytes}, in {}", "artifacts", folder.display()));
        }
        if let Some(contexts) = &self.contexts {
            lines.extend(block("context", contexts, width));
        }
        match (&self.bill, self.cost_usd) {
            (Some(bill), _) => lines.extend(block("cost", &bill.in_words(), width)),
            // The gateway did not answer; the manifest has a total too.
            (None, Some(cost)) => lines.push(format!("{:MARGIN$}${cost:.6}", "cost")),
            (None, None) => {}
        }
        lines.join("\n")
    }
}

/// A heading with wrapped text beside.
fn block(heading: &str, text: &str, width: usize) -> Vec<String> {
    let headings = std::iter::once(heading).chain(std::iter::repeat(""));
    let lines = wrap(text, width.saturating_sub(MARGIN));
    lines.iter().zip(headings).map(|(line, heading)| format!("{heading:MARGIN$}{line}")).collect()
}

/// Relative to the current folder, for a path below.
fn short(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or_else(|| path.to_owned())
}

/// Commands for a closer look; the HMI's address only when the HMI answers.
fn next(pas: &str, job: &WireJob, stays: bool, orchestrator: &str, hmi: Option<&str>) -> String {
    let (id, run) = (&job.job_id, &job.run_id);
    let mut lines = Vec::new();
    if !stays {
        lines.push(format!("the daemon ran for this job only; to look further, start `{pas} up` and then"));
    }
    lines.push(format!("  {pas} job {id} --tree    every step"));
    lines.push(format!("  {pas} trace --job {id}    its messages as a waterfall"));
    let thinks = [CHANGE, TASK].contains(&job.task.as_str());
    if thinks {
        lines.push(format!("  {pas} job {id} --log    every turn: calls, results, proofs, costs"));
    }
    if job.state == JobState::Done && !thinks {
        lines.push(format!("  {pas} search --run {run} WORDS    the documents"));
    } else if job.state != JobState::Done {
        if job.task == CHANGE {
            lines.push(format!("  {pas} run change --continue {id}    go on with its work"));
        }
        lines.push(format!("  {pas} retry {id}    try again"));
    }
    lines.push(format!("  {pas} tree    the supervision tree"));
    lines.push(format!("  {orchestrator}/docs    the same over HTTP"));
    lines.extend(hmi.map(|address| format!("  {address}    all of it in a browser")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str) -> WireJob {
        let mut value = crate::cli::run::outline::tests::tree();
        value["state"] = json!(state);
        value["ended_at"] = json!("2026-11-22T16:00:12.300Z");
        value["children"][0]["children"][0]["outputs"]["findings"] = json!([
            "1,204 documents in 8.2 MB, of which 37 are near-duplicates of others and were set aside",
            "3 licences occur",
        ]);
        if state == "failed" {
            value["children"][0]["children"][1]["error"] = json!("the folder\nis gone");
        }
        serde_json::from_value(value).unwrap()
    }

    fn artifact(path: &str, bytes: u64) -> WireArtifact {
        serde_json::from_value(json!({ "path": path, "bytes": bytes })).unwrap()
    }

    #[test]
    fn money_is_read_as_a_number_or_as_text() {
        let read =
            [json!(0.25), json!("0.25"), json!(0), json!(null), json!("much")].map(|value| money(&value));
        assert_eq!(read, [Some(0.25), Some(0.25), Some(0.0), None, None]);
    }

    #[test]
    fn the_end_of_a_job_says_what_came_out_and_what_next() {
        let mut shown = Vec::new();
        for (state, cost_usd) in [("done", Some(0.0)), ("failed", None)] {
            let job = job(state);
            let artifacts = vec![artifact("audit.jsonl", 48_211), artifact("report.html", 120_000)];
            let summary = RunSummary {
                job: &job,
                run_dir: "/srv/pas/artifacts/runs/ingest-x".into(),
                artifacts,
                cost_usd,
                bill: cost_usd.map(|_| ReceiptTotals::default()),
                contexts: cost_usd.map(|_| "9 agents tracked; the fullest is x with 9 of 99 tokens".into()),
            };
            shown.push(summary.text(80));
            shown.push(next(
                "pas --port-offset 1000",
                &job,
                state == "failed",
                "http://127.0.0.1:7100",
                None,
            ));
        }
        insta::assert_snapshot!(console::strip_ansi_codes(&shown.join("\n---\n")));
    }
}
