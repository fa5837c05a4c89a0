//! The inputs of the metrics step: what each finished step of a run took, and what its model calls cost.
//!
//! Pure. Invariant: costs are sums over receipts, as in the run's manifest; what was paid by no finished
//! step (a caller that named only the run, a step that is still at work) stands apart, so that steps and
//! rest are all of the run's receipts.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::job::Job;
use crate::domain::json::Json;
use crate::domain::money::NanoUsd;
use crate::domain::receipt::{Receipt, cost_of_job};

/// The figures of these jobs, all of one run, whose receipts are given.
pub(super) fn metrics_inputs(jobs: &[Job], receipts: &[Arc<Receipt>]) -> Json {
    let mut rest: NanoUsd = receipts.iter().map(|receipt| receipt.outcome.cost).sum();
    let steps: Vec<Value> = jobs
        .iter()
        .filter(|job| job.ended_at.is_some() && job.started_at.is_some())
        .map(|job| {
            let cost = cost_of_job(receipts, &job.id);
            rest = rest.saturating_sub(cost);
            json!({
                "job_id": job.id, "agent": job.card.agent, "step": job.id.step(), "task": job.card.task,
                "started_at": job.started_at, "ended_at": job.ended_at, "attempts": job.attempt,
                "bytes_out": job.artifacts.iter().map(|artifact| artifact.bytes).sum::<u64>(),
                "cost_usd": decimal(cost),
            })
        })
        .collect();
    Json(json!({ "steps": steps, "other_cost_usd": decimal(rest) }))
}

/// Exact: money on a card is a decimal, never a binary number.
fn decimal(amount: NanoUsd) -> String {
    amount.usd().normalize().to_string()
}
