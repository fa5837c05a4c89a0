//! The cost of a job's model calls, summed from the gateway's receipts.
//!
//! Failure policy: when the gateway does not answer, or answers in an unknown form, there is no total and
//! the caller continues without one.

use super::CommandContext;
use super::client::GATEWAY;
use super::wire;
use crate::domain::accounts::receipt::Receipt;
use crate::domain::accounts::receipt::bill::ReceiptTotals;
use crate::domain::accounts::receipt::wire::ReceiptDocument;

/// The total of a job and all steps below it.
pub(super) async fn of(context: &CommandContext, job: &str) -> Option<ReceiptTotals> {
    let run = job.split('.').next()?;
    let answer = context.client.get_from(GATEWAY, &["receipts", run], &[]).await.ok()?;
    let lines: Vec<ReceiptDocument> = wire::read(&answer["receipts"]).ok()?;
    let receipts: Vec<Receipt> = lines.into_iter().map(Receipt::from).collect();
    Some(bill(&receipts, job))
}

/// A root job's total covers the whole run, including calls that name no job.
fn bill(receipts: &[Receipt], job: &str) -> ReceiptTotals {
    let is_root = !job.contains('.');
    let below =
        |named: &str| named.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let belongs =
        |receipt: &&Receipt| is_root || receipt.wanted.job.as_ref().is_some_and(|name| below(name.as_str()));
    ReceiptTotals::of(receipts.iter().filter(belongs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(job: Option<&str>) -> Receipt {
        let mut metadata = json!({
            "seq": 1, "attempt": 1, "cost_nano_usd": 5_000, "hold_id": 1, "hold_nano_usd": 9_000,
            "usage": crate::domain::usage::TokenUsage::default(),
        });
        if let Some(job) = job {
            metadata["job_id"] = json!(job);
        }
        let line = json!({
            "request_id": "r", "run_id": "run-1", "agent": "writer", "timestamp": "2026-11-22T16:00:00.000Z",
            "provider": "p", "model": "m", "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.000005,
            "latency_ms": 1, "status": "success", "metadata": metadata,
        });
        serde_json::from_value::<ReceiptDocument>(line).unwrap().into()
    }

    #[test]
    fn a_step_pays_for_itself_and_below_and_a_run_for_all() {
        let receipts = || {
            [None, Some("run-1.report"), Some("run-1.report.lane"), Some("run-1.reporting")]
                .map(receipt)
                .to_vec()
        };
        let calls = |job: &str| bill(&receipts(), job).calls;
        assert_eq!([calls("run-1"), calls("run-1.report"), calls("run-1.report.lane")], [4, 2, 1]);
    }
}
