//! The inputs of the metrics step: time and model costs of every finished step of a run.
//!
//! Pure. Invariant: costs are sums over receipts, as in the run's manifest; costs of no finished step (a
//! caller that named only the run, a step still running) are listed apart, so that steps and rest add up to
//! all of the run's receipts.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::accounts::receipt::{Receipt, cost_of_job};
use crate::domain::job::Job;
use crate::domain::json::JsonValue;
use crate::domain::money::NanoUsd;

/// The figures of these jobs of one run with these receipts.
pub(super) fn metrics_inputs(jobs: &[Job], receipts: &[Arc<Receipt>]) -> JsonValue {
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
    JsonValue(json!({ "steps": steps, "other_cost_usd": decimal(rest) }))
}

/// Exact: money on a card is a decimal, never a binary number.
fn decimal(amount: NanoUsd) -> String {
    amount.usd().normalize().to_string()
}
