//! The log of a job with a model, as `pas tui` shows it: its rows, and what they come to.

use serde_json::Value;

use super::wire::{TuiApproval, TuiLogRow, TuiSnapshot};
use crate::domain::money::NanoUsd;

#[derive(Debug)]
pub(super) struct TuiTranscript {
    /// The job that was opened; rows may be of a step below it.
    pub(super) job_id: String,
    pub(super) rows: Vec<TuiLogRow>,
}

/// How the newest proof ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TuiProofEnd {
    pub(super) passed: bool,
    pub(super) text: String,
}

impl TuiTranscript {
    #[must_use]
    pub(super) const fn new(job_id: String) -> Self {
        Self { job_id, rows: Vec::new() }
    }

    /// Rows come in order; those that are there already are passed over.
    pub(super) fn add(&mut self, rows: Vec<TuiLogRow>) {
        let last = self.last_seq();
        self.rows.extend(rows.into_iter().filter(|row| row.seq > last));
    }

    #[must_use]
    pub(super) fn last_seq(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.seq)
    }

    fn of_kind<'t>(&'t self, kind: &'t str) -> impl DoubleEndedIterator<Item = &'t Value> {
        self.rows.iter().filter(move |row| row.kind == kind).map(|row| &row.row)
    }

    #[must_use]
    pub(super) fn turns(&self) -> usize {
        self.of_kind("answered").count()
    }

    /// Spent on answers, on summaries and by agents that wrote a part.
    #[must_use]
    pub(super) fn cost(&self) -> NanoUsd {
        let cost = |row: &TuiLogRow| row.row["cost_nano"].as_u64().unwrap_or_default();
        NanoUsd(self.rows.iter().map(cost).fold(0, u64::saturating_add))
    }

    /// Files and lines that differ from the base, by the newest row that counts them.
    #[must_use]
    pub(super) fn diffstat(&self) -> Option<&str> {
        self.rows.iter().rev().find_map(|row| row.row["diffstat"].as_str()).filter(|stat| !stat.is_empty())
    }

    #[must_use]
    pub(super) fn proof(&self) -> Option<TuiProofEnd> {
        let row = self.of_kind("proof_ended").next_back()?;
        let text = row["text"].as_str().unwrap_or_default().to_owned();
        Some(TuiProofEnd { passed: row["passed"] == true, text })
    }

    /// The verdict in words.
    #[must_use]
    pub(super) fn end(&self) -> Option<&str> {
        self.rows.iter().rev().find(|row| row.kind == "ended").map(|row| row.headline.as_str())
    }

    /// The question that the job, or a step below it, waits with.
    #[must_use]
    pub(super) fn question_in<'l>(&self, live: &'l TuiSnapshot) -> Option<&'l TuiApproval> {
        let is_ours = |asked: &&TuiApproval| {
            asked
                .job_id
                .strip_prefix(&self.job_id)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        live.approvals.iter().find(is_ours)
    }
}
