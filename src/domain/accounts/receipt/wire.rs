//! The line of a receipt in `artifacts/costs/<run_id>.jsonl`, which is also its form on the wire.
//!
//! Source of the shape: the gateway's contract (6120). Data without a field in the contract are in
//! `metadata`; `cost_nano_usd` there is the exact amount, `cost_usd` is rounded to the micro-dollar.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Receipt, ReceiptOutcome, ReceiptStatus};
use crate::accounts::budget::{CallKey, HoldId, RunName, ScopeLabel, SpendRequest};
use crate::money::NanoUsd;
use crate::time::Timestamp;
use crate::trace::TraceId;
use crate::usage::{ServiceTier, TokenUsage, is_no_search};

/// A receipt as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptDocument<'r> {
    request_id: Cow<'r, str>,
    run_id: RunName,
    agent: ScopeLabel,
    timestamp: Timestamp,
    provider: Cow<'r, str>,
    model: Cow<'r, str>,
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: Number,
    latency_ms: u64,
    status: ReceiptStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_message: Option<Cow<'r, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback_from: Option<Cow<'r, str>>,
    metadata: ReceiptMetadata,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ReceiptMetadata {
    seq: u64,
    attempt: u32,
    cost_nano_usd: NanoUsd,
    hold_id: HoldId,
    hold_nano_usd: NanoUsd,
    usage: TokenUsage,
    /// The call was ended before its end, and its usage is in part our own count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
    #[serde(default, skip_serializing_if = "ServiceTier::is_standard")]
    service_tier: ServiceTier,
    /// Of the vendor's own, billed beside the tokens.
    #[serde(default, skip_serializing_if = "is_no_search")]
    searches: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_id: Option<ScopeLabel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<ScopeLabel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
}

impl<'r> From<&'r Receipt> for ReceiptDocument<'r> {
    fn from(receipt: &'r Receipt) -> Self {
        let Receipt { seq, hold, wanted, outcome } = receipt;
        Self {
            request_id: Cow::Borrowed(&*wanted.call.request_id),
            run_id: wanted.run.clone(),
            agent: wanted.agent.clone(),
            timestamp: outcome.at,
            provider: Cow::Borrowed(&*wanted.provider),
            model: Cow::Borrowed(&*wanted.model),
            input_tokens: outcome.usage.prompt(),
            output_tokens: outcome.usage.output,
            cost_usd: outcome.cost.wire(),
            latency_ms: outcome.latency_ms,
            status: outcome.status.on_wire(),
            error_message: outcome.error_message.as_deref().map(Cow::Borrowed),
            fallback_from: outcome.fallback_from.as_deref().map(Cow::Borrowed),
            metadata: ReceiptMetadata {
                seq: *seq,
                attempt: wanted.call.attempt,
                cost_nano_usd: outcome.cost,
                hold_id: *hold,
                hold_nano_usd: wanted.worst,
                usage: outcome.usage,
                estimated: outcome.status == ReceiptStatus::Abandoned,
                service_tier: outcome.usage.tier,
                searches: outcome.usage.searches,
                job_id: wanted.job.clone(),
                lane: wanted.lane.clone(),
                trace_id: outcome.trace_id,
            },
        }
    }
}

impl From<ReceiptDocument<'_>> for Receipt {
    fn from(line: ReceiptDocument<'_>) -> Self {
        let ReceiptMetadata {
            seq,
            attempt,
            cost_nano_usd,
            hold_id,
            hold_nano_usd,
            usage,
            estimated,
            service_tier,
            searches,
            job_id,
            lane,
            trace_id,
        } = line.metadata;
        let wanted = SpendRequest {
            call: CallKey { request_id: line.request_id.into_owned(), attempt },
            run: line.run_id,
            job: job_id,
            agent: line.agent,
            lane,
            provider: line.provider.into_owned(),
            model: line.model.into_owned(),
            worst: hold_nano_usd,
        };
        let outcome = ReceiptOutcome {
            at: line.timestamp,
            status: if estimated { ReceiptStatus::Abandoned } else { line.status },
            usage: TokenUsage { searches, tier: service_tier, ..usage },
            cost: cost_nano_usd,
            latency_ms: line.latency_ms,
            error_message: line.error_message.map(Cow::into_owned),
            fallback_from: line.fallback_from.map(Cow::into_owned),
            trace_id,
        };
        Self { seq, hold: hold_id, wanted, outcome }
    }
}

/// The line of a receipt, with the line feed.
///
/// # Errors
/// Never for a receipt: JSON can represent every field.
pub fn line_of(receipt: &Receipt) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::with_capacity(640);
    serde_json::to_writer(&mut line, &ReceiptDocument::from(receipt))?;
    line.push(b'\n');
    Ok(line)
}

/// The receipt of a line, with or without the line feed.
///
/// # Errors
/// The line is no receipt of ours.
pub fn receipt_of(line: &[u8]) -> Result<Receipt, serde_json::Error> {
    serde_json::from_slice::<ReceiptDocument<'_>>(line).map(Receipt::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        let wanted = SpendRequest {
            call: CallKey { request_id: "req-1".into(), attempt: 2 },
            run: RunName::new("run-1").unwrap(),
            job: Some(ScopeLabel::new("run-1.step").unwrap()),
            agent: ScopeLabel::new("coder").unwrap(),
            lane: None,
            provider: "anthropic-claude-sonnet-4-5".into(),
            model: "claude-sonnet-4-5".into(),
            worst: NanoUsd(90_000_000),
        };
        let usage = TokenUsage {
            input: 133,
            cache_read: 20_000,
            cache_write_5m: 10_000,
            output: 700,
            ..TokenUsage::default()
        };
        let outcome = ReceiptOutcome {
            at: "2026-11-22T16:00:00.123Z".parse().unwrap(),
            status: ReceiptStatus::Fallback,
            usage,
            cost: NanoUsd(54_399_000),
            latency_ms: 1_234,
            error_message: None,
            fallback_from: Some("openai-gpt-5-codex".into()),
            trace_id: TraceId::from_u128(7),
        };
        Receipt::new(9, HoldId(4_294_967_297), wanted, outcome)
    }

    #[test]
    fn a_line_has_the_contracts_shape() {
        let line = String::from_utf8(line_of(&receipt()).unwrap()).unwrap();
        assert_eq!(
            line,
            concat!(
                r#"{"request_id":"req-1","run_id":"run-1","agent":"coder","#,
                r#""timestamp":"2026-11-22T16:00:00.123Z","provider":"anthropic-claude-sonnet-4-5","#,
                r#""model":"claude-sonnet-4-5","input_tokens":30133,"output_tokens":700,"cost_usd":0.054399,"#,
                r#""latency_ms":1234,"status":"fallback","fallback_from":"openai-gpt-5-codex","#,
                r#""metadata":{"seq":9,"attempt":2,"cost_nano_usd":54399000,"hold_id":4294967297,"#,
                r#""hold_nano_usd":90000000,"usage":{"input":133,"cache_read":20000,"cache_write_5m":10000,"#,
                r#""cache_write_1h":0,"audio_input":0,"output":700,"reasoning":0},"job_id":"run-1.step","#,
                r#""trace_id":"00000000000000000000000000000007"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_tier_and_the_searches_are_read_back() {
        let mut receipt = receipt();
        receipt.outcome.usage.searches = 3;
        receipt.outcome.usage.tier = ServiceTier::Flex;
        let line = line_of(&receipt).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains(r#""service_tier":"flex","searches":3"#), "{text}");
        assert_eq!(receipt_of(&line).unwrap(), receipt);
    }

    #[test]
    fn an_abandoned_call_is_an_error_that_is_marked_as_estimated() {
        let mut receipt = receipt();
        receipt.outcome.status = ReceiptStatus::Abandoned;
        let line = line_of(&receipt).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains(r#""status":"error""#) && text.contains(r#""estimated":true"#), "{text}");
        assert_eq!(receipt_of(&line).unwrap(), receipt);
    }

    #[test]
    fn a_line_reads_back_as_its_receipt_and_a_part_of_it_does_not() {
        let receipt = receipt();
        let line = line_of(&receipt).unwrap();
        assert_eq!(receipt_of(&line).unwrap(), receipt);
        for cut in 0..line.len() - 1 {
            assert!(receipt_of(&line[..cut]).is_err());
        }
    }
}
