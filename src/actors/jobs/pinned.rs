//! Runs that are closed and must stay all the same.
//!
//! A question about them is open, or an open job was told to read them: its inputs name the run, one of its jobs, or a
//! file of it.

use std::collections::HashSet;

use serde_json::Value;

use super::book::JobError;
use super::listing::walk;
use super::tables::{ACTIVE, APPROVALS, JOBS};
use crate::domain::ids::RunId;
use crate::domain::job::approval::ApprovalStatus;
use crate::store::{KeyRange, ScanOrder, StoreView};

pub(super) struct PinnedRuns {
    /// Those about which a person has to decide something.
    waiting: HashSet<RunId>,
    /// All words in the inputs of open jobs.
    words: HashSet<String>,
}

impl PinnedRuns {
    pub(super) fn read(view: &StoreView<'_>) -> Result<Self, JobError> {
        let (mut waiting, mut words) = (HashSet::new(), HashSet::new());
        walk(view, &APPROVALS, KeyRange::all(), ScanOrder::Ascending, |_, approval| {
            waiting.extend((approval.status == ApprovalStatus::Pending).then_some(approval.run_id));
            Ok(())
        })?;
        walk(view, &ACTIVE, KeyRange::all(), ScanOrder::Ascending, |id, ()| {
            if let Some(job) = view.get(&JOBS, id)? {
                add_words(&job.card.inputs.0, &mut words);
            }
            Ok(())
        })?;
        Ok(Self { waiting, words })
    }

    pub(super) fn has(&self, run: &RunId) -> bool {
        self.waiting.contains(run) || self.words.contains(run.as_str())
    }
}

/// Adds the words of all texts in a value, cut at what no id of a run contains.
fn add_words(value: &Value, words: &mut HashSet<String>) {
    let is_of_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match value {
        Value::String(text) => {
            words.extend(text.split(|c| !is_of_id(c)).filter(|word| !word.is_empty()).map(str::to_owned));
        }
        Value::Array(values) => values.iter().for_each(|value| add_words(value, words)),
        Value::Object(members) => members.values().for_each(|value| add_words(value, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_id_by_a_jobs_and_by_a_path() {
        let mut words = HashSet::new();
        let inputs = serde_json::json!({
            "continues": "change-a1", "source": "/w/artifacts/runs/ingest-b2/clean", "jobs": [{ "of": "ingest-c3.audit" }],
        });
        add_words(&inputs, &mut words);
        for run in ["change-a1", "ingest-b2", "ingest-c3"] {
            assert!(words.contains(run), "{run}");
        }
        assert!(!words.contains("ingest-b"), "a part of an id is another run");
    }
}
