//! The manifest of a run: inputs, results, agents, times and costs.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::domain::accounts::receipt::bill::ReceiptTotals;
use crate::domain::accounts::receipt::{Receipt, cost_of_job};
use crate::domain::artifact::Artifact;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{Job, JobState};
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;

/// The file's name in the run's folder.
pub const FILE: &str = "manifest.json";

/// The manifest of a closed run. Costs are US dollars, on the wire exact to six places.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    pub run_id: RunId,
    pub job_id: JobId,
    pub task: String,
    pub state: JobState,
    /// The version of PAS that closed the run.
    pub pas_version: &'static str,
    pub inputs: Value,
    /// The outputs of the root job.
    pub outputs: Value,
    /// All files left by the run, by path.
    pub artifacts: Vec<Artifact>,
    /// BLAKE3 over path and hash of every deterministic artifact: equal for equal work.
    pub content_hash: String,
    /// Every job of the run.
    pub steps: Vec<ManifestStep>,
    /// Time of acceptance.
    pub created_at: Timestamp,
    pub ended_at: Timestamp,
    /// From acceptance to end, in milliseconds.
    pub elapsed_ms: u64,
    /// Cost of all model calls.
    #[serde(serialize_with = "as_number")]
    pub cost_usd: NanoUsd,
    /// The costs by provider and model, with calls and tokens.
    pub costs: ReceiptTotals,
}

#[derive(Debug, Clone, Serialize)]
pub struct ManifestStep {
    pub job_id: JobId,
    pub agent: String,
    pub task: String,
    pub state: JobState,
    /// Number of claims.
    pub attempt: u32,
    /// Time of the first claim.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// From first claim to end, in milliseconds.
    pub elapsed_ms: u64,
    /// Cost of the job's model calls.
    #[serde(serialize_with = "as_number")]
    pub cost_usd: NanoUsd,
}

impl Manifest {
    /// The manifest of a run whose root (the first of `jobs`) has ended, with the receipts of the run's model
    /// calls; `None` before the end.
    #[must_use]
    pub fn of(jobs: &[Job], receipts: &[Arc<Receipt>]) -> Option<Self> {
        let root = jobs.first()?;
        let ended_at = root.ended_at?;
        let mut artifacts: Vec<Artifact> = jobs.iter().flat_map(|job| job.artifacts.clone()).collect();
        artifacts.sort_by(|a, b| a.path.cmp(&b.path));
        let costs = ReceiptTotals::of(receipts.iter().map(Arc::as_ref));
        Some(Self {
            run_id: root.run(),
            job_id: root.id.clone(),
            task: root.card.task.clone(),
            state: root.state,
            pas_version: env!("CARGO_PKG_VERSION"),
            inputs: root.card.inputs.0.clone(),
            outputs: root.outputs.0.clone(),
            content_hash: content_hash(&artifacts),
            artifacts,
            steps: jobs.iter().map(|job| ManifestStep::of(job, receipts)).collect(),
            created_at: root.created_at,
            ended_at,
            elapsed_ms: millis(ended_at.since(root.created_at)),
            cost_usd: costs.cost_usd,
            costs,
        })
    }
}

impl ManifestStep {
    fn of(job: &Job, receipts: &[Arc<Receipt>]) -> Self {
        let elapsed =
            job.ended_at.zip(job.started_at).map(|(end, start)| end.since(start)).unwrap_or_default();
        Self {
            job_id: job.id.clone(),
            agent: job.card.agent.to_string(),
            task: job.card.task.clone(),
            state: job.state,
            attempt: job.attempt,
            started_at: job.started_at,
            ended_at: job.ended_at,
            elapsed_ms: millis(elapsed),
            cost_usd: cost_of_job(receipts, &job.id),
        }
    }
}

fn content_hash(artifacts: &[Artifact]) -> String {
    let mut hasher = blake3::Hasher::new();
    for artifact in artifacts.iter().filter(|artifact| artifact.deterministic) {
        hasher.update(format!("{}\0{}\n", artifact.path, artifact.blake3).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Money on the wire: a JSON number, exact to the micro-dollar (the contract).
fn as_number<S: Serializer>(usd: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    usd.wire().serialize(serializer)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
