//! Receipts: the outcome and cost of one attempt at a model call.
//!
//! Invariants: every attempt that held money and sent something has exactly one receipt, whatever the
//! outcome; `seq` is unique and grows in the order of settlement; a line of a receipt file parses back into
//! the same receipt ([`wire`]).

pub mod bill;
pub mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::accounts::budget::{HoldId, ScopeLabel, SpendRequest};
use crate::ids::JobId;
use crate::money::NanoUsd;
use crate::time::Timestamp;
use crate::trace::TraceId;
use crate::usage::TokenUsage;

/// Longest error message kept, in bytes: a receipt is a record, not a log.
pub const MAX_MESSAGE: usize = 2_000;

/// How an attempt ended. Source: the gateway's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptStatus {
    /// Answered by the first choice of provider.
    Success,
    /// Not answered, or cut short.
    Error,
    /// Not answered in time.
    Timeout,
    /// Answered in place of another provider.
    Fallback,
    /// Ended by us before its end, because nobody waits for it any more; its usage is an estimate. On the
    /// wire an `error` that is marked as estimated.
    Abandoned,
}

impl ReceiptStatus {
    /// One of the contract's words.
    #[must_use]
    pub const fn on_wire(self) -> Self {
        match self {
            Self::Abandoned => Self::Error,
            other => other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptOutcome {
    pub at: Timestamp,
    pub status: ReceiptStatus,
    /// Usage, as far as the vendor reported it; of an abandoned call also as far as it was seen.
    pub usage: TokenUsage,
    pub cost: NanoUsd,
    /// From the first byte sent to the end, in milliseconds.
    pub latency_ms: u64,
    pub error_message: Option<String>,
    /// The provider in whose place this one answered.
    pub fallback_from: Option<String>,
    pub trace_id: Option<TraceId>,
}

impl ReceiptOutcome {
    /// An unknown outcome: charged the full hold.
    #[must_use]
    pub fn unknown(held: NanoUsd, at: Timestamp, latency_ms: u64, why: &str) -> Self {
        Self {
            at,
            status: ReceiptStatus::Error,
            usage: TokenUsage::default(),
            cost: held,
            latency_ms,
            error_message: Some(why.to_owned()),
            fallback_from: None,
            trace_id: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Number over all runs, in the order of settlement.
    pub seq: u64,
    pub hold: HoldId,
    /// The request, with the amount held.
    pub wanted: SpendRequest,
    pub outcome: ReceiptOutcome,
}

/// The cost of a job's own model calls among these receipts, without the children's.
#[must_use]
pub fn cost_of_job(receipts: &[Arc<Receipt>], job: &JobId) -> NanoUsd {
    let label = ScopeLabel::from(job);
    let own = receipts.iter().filter(|receipt| receipt.wanted.job.as_ref() == Some(&label));
    own.map(|receipt| receipt.outcome.cost).sum()
}

impl Receipt {
    /// A receipt; an overlong message is shortened.
    #[must_use]
    pub fn new(seq: u64, hold: HoldId, wanted: SpendRequest, mut outcome: ReceiptOutcome) -> Self {
        if let Some(message) = &mut outcome.error_message {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        }
        Self { seq, hold, wanted, outcome }
    }
}
