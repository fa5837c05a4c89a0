//! Receipts: what one attempt at a model call did, and what it cost.
//!
//! Invariants: every attempt for which money was held and something was sent has exactly one receipt,
//! whatever became of it; a receipt's `seq` is unique and grows in the order of settlement; a line of a
//! receipt file reads back as the receipt that was written ([`wire`]).

pub mod bill;
pub mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::budget::{HoldId, Label, Wanted};
use crate::domain::ids::JobId;
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceId;
use crate::domain::usage::Usage;

/// Longest error message kept, in bytes: a receipt is a record, not a log.
pub const MAX_MESSAGE: usize = 2_000;

/// How an attempt ended. Source: the gateway's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Answered by the provider that was chosen first.
    Success,
    /// Not answered, or cut short.
    Error,
    /// Not answered in time.
    Timeout,
    /// Answered in the place of another provider.
    Fallback,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub at: Timestamp,
    pub status: Status,
    /// What it used, as far as the vendor said.
    pub usage: Usage,
    pub cost: NanoUsd,
    /// From the first byte sent to the end, in milliseconds.
    pub latency_ms: u64,
    pub error_message: Option<String>,
    /// The provider in whose place this one answered.
    pub fallback_from: Option<String>,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
}

impl Outcome {
    /// An attempt whose outcome is not known: charged at its hold.
    #[must_use]
    pub fn unknown(held: NanoUsd, at: Timestamp, latency_ms: u64, why: &str) -> Self {
        Self {
            at,
            status: Status::Error,
            usage: Usage::default(),
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
    /// Its number, over all runs, in the order of settlement.
    pub seq: u64,
    /// The hold that it settled.
    pub hold: HoldId,
    /// What was asked, by whom, and how much was held for it.
    pub wanted: Wanted,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a job's own model calls cost, of these receipts; calls of its children are the children's.
#[must_use]
pub fn cost_of_job(receipts: &[Arc<Receipt>], job: &JobId) -> NanoUsd {
    let label = Label::from(job);
    let own = receipts.iter().filter(|receipt| receipt.wanted.job.as_ref() == Some(&label));
    own.map(|receipt| receipt.outcome.cost).sum()
}

impl Receipt {
    /// A receipt; an overlong message is shortened.
    #[must_use]
    pub fn new(seq: u64, hold: HoldId, wanted: Wanted, mut outcome: Outcome) -> Self {
        if let Some(message) = &mut outcome.error_message {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        }
        Self { seq, hold, wanted, outcome }
    }
}
