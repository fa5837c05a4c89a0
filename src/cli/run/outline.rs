//! What a job is at, read from the tree of its steps: pure functions. How far it is, the daemon tells.

use crate::cli::wire::WireJob;
use crate::domain::job::JobState;

/// A job's steps, counted without coordinators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepCount {
    /// Terminal steps.
    pub(super) done: usize,
    /// Steps known so far; coordinators add more.
    pub(super) total: usize,
}

pub(super) fn step_count(root: &WireJob) -> StepCount {
    let leaves = || root.walk().filter(|job| job.children.is_empty());
    StepCount { done: leaves().filter(|job| job.state.is_terminal()).count(), total: leaves().count() }
}

/// Jobs at work now: running, and not merely waiting for their own steps.
pub(super) fn active(root: &WireJob) -> Vec<&WireJob> {
    let waits = |job: &WireJob| job.children.iter().any(|child| !child.state.is_terminal());
    root.walk().filter(|job| job.state == JobState::Running && !waits(job)).collect()
}

/// Jobs that wait for approval.
pub(super) fn waiting_for_a_person(root: &WireJob) -> impl Iterator<Item = &WireJob> {
    root.walk().filter(|job| job.state == JobState::AwaitingApproval)
}

/// The findings of the report step: the first `outputs.findings` of the tree, as sentences.
pub(super) fn findings(root: &WireJob) -> Vec<String> {
    let lists = root.walk().filter_map(|job| job.outputs["findings"].as_array());
    let sentence = |value: &serde_json::Value| {
        let text = value.as_str().or_else(|| value["text"].as_str());
        text.map_or_else(|| value.to_string(), str::to_owned)
    };
    lists
        .map(|list| list.iter().map(sentence).collect::<Vec<_>>())
        .find(|list| !list.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::cli::run) fn job(id: &str, state: &str, fraction: f64, children: &[Value]) -> Value {
        let at = "2026-11-22T16:00:00.000Z";
        let ended = ["done", "failed", "cancelled"].contains(&state).then_some("2026-11-22T16:00:02.480Z");
        json!({
            "job_id": id, "run_id": "ingest-x", "step": id.rsplit('.').next(), "agent": format!("agent-{}", id.len()),
            "task": "t", "created_at": at, "started_at": at, "ended_at": ended, "state": state,
            "outputs": {}, "progress": {"done": 3, "total": 10, "beats": 1, "note": "reading", "fraction": fraction, "known": true},
            "children": children,
        })
    }

    pub(in crate::cli::run) fn tree() -> Value {
        let steps = [
            job("ingest-x.data.audit", "done", 1.0, &[]),
            job("ingest-x.data.clean", "running", 0.5, &[]),
            job("ingest-x.data.push", "awaiting_approval", 0.0, &[]),
        ];
        job("ingest-x", "running", 0.25, &[job("ingest-x.data", "running", 0.0, &steps)])
    }

    #[test]
    fn coordinators_that_wait_are_not_counted() {
        let root: WireJob = serde_json::from_value(tree()).unwrap();
        assert_eq!(step_count(&root), StepCount { done: 1, total: 3 });
        let working: Vec<_> = active(&root).iter().map(|job| &*job.job_id).collect();
        assert_eq!(working, ["ingest-x.data.clean"]);
        let asking: Vec<_> = waiting_for_a_person(&root).map(|job| &*job.job_id).collect();
        assert_eq!(asking, ["ingest-x.data.push"]);
    }

    #[test]
    fn findings_are_found_wherever_they_are() {
        let mut value = tree();
        value["children"][0]["children"][0]["outputs"] = json!({"findings": ["one", {"text": "two"}, 3]});
        let root: WireJob = serde_json::from_value(value).unwrap();
        assert_eq!(findings(&root), ["one", "two", "3"]);
    }
}
