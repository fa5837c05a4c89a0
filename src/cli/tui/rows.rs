//! The selectable rows of a page.

use std::collections::HashMap;

use super::model::{TuiModel, TuiPage};
use super::wire::{TuiApproval, TuiEvent, TuiJob, TuiLogRow, TuiNode, TuiSnapshot};

/// Ending of the names of the agents' supervisors.
const SUPERVISOR: &str = "-sup";

#[derive(Debug, Clone, Copy)]
pub(super) struct TuiRow<'m> {
    /// The target of an action on this row.
    pub(super) target: &'m str,
    pub(super) what: TuiRowContent<'m>,
}

/// The content of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum TuiRowContent<'m> {
    /// An agent or service, with its depth in the tree.
    Node(&'m TuiNode, usize),
    Job(&'m TuiJob),
    Approval(&'m TuiApproval),
    Event(&'m TuiEvent),
    LogRow(&'m TuiLogRow),
}

impl TuiRowContent<'_> {
    fn contains(&self, words: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(words);
        match self {
            Self::Node(node, _) => {
                has(&node.name) || has(&node.status) || node.step.as_ref().is_some_and(|step| has(&step.task))
            }
            Self::Job(job) => has(&job.job_id) || has(&job.task) || has(&job.agent) || has(job.state.word()),
            Self::Approval(approval) => {
                has(&approval.job_id) || has(&approval.agent) || has(&approval.action)
            }
            Self::LogRow(row) => has(&row.kind) || has(&row.headline),
            Self::Event(event) => has(&event.event_type) || has(&super::words::event(event)),
        }
    }
}

/// The rows of the current page that match the filter.
#[must_use]
pub(super) fn of(model: &TuiModel) -> Vec<TuiRow<'_>> {
    let words = model.filter.to_lowercase();
    let mut rows = all(model);
    if !words.is_empty() {
        rows.retain(|row| row.what.contains(&words));
    }
    rows
}

fn all(model: &TuiModel) -> Vec<TuiRow<'_>> {
    if model.page == TuiPage::Log {
        return model
            .events
            .iter()
            .map(|event| TuiRow { target: "", what: TuiRowContent::Event(event) })
            .collect();
    }
    let Some(live) = &model.live else { return Vec::new() };
    if model.page == TuiPage::Transcript {
        let Some(open) = &model.transcript else { return Vec::new() };
        // An action on any row decides the question that the job waits with.
        let target = open.question_in(live).map_or("", |asked| asked.approval_id.as_str());
        return open.rows.iter().map(|row| TuiRow { target, what: TuiRowContent::LogRow(row) }).collect();
    }
    match model.page {
        TuiPage::Tree => nodes(live),
        TuiPage::Jobs => live
            .jobs
            .iter()
            .map(|job| TuiRow { target: &job.job_id, what: TuiRowContent::Job(job) })
            .collect(),
        _ => {
            let row = |approval| {
                let approval: &TuiApproval = approval;
                TuiRow { target: &approval.approval_id, what: TuiRowContent::Approval(approval) }
            };
            live.approvals.iter().map(row).collect()
        }
    }
}

/// The tree in drawing order. An agent's supervisor and its worker are one row, the worker's.
fn nodes(live: &TuiSnapshot) -> Vec<TuiRow<'_>> {
    let mut below: HashMap<Option<u64>, Vec<&TuiNode>> = HashMap::new();
    for node in &live.tree {
        below.entry(node.parent).or_default().push(node);
    }
    let mut rows = Vec::with_capacity(live.tree.len());
    // Nodes still to visit, the next one last.
    let mut waiting: Vec<(&TuiNode, usize)> =
        below.get(&None).into_iter().flatten().rev().map(|node| (*node, 0)).collect();
    while let Some((node, depth)) = waiting.pop() {
        let children = below.get(&Some(node.no)).map(Vec::as_slice).unwrap_or_default();
        let worker = node
            .name
            .strip_suffix(SUPERVISOR)
            .and_then(|agent| children.iter().find(|child| child.name == agent).copied());
        let shown = worker.unwrap_or(node);
        rows.push(TuiRow { target: &shown.name, what: TuiRowContent::Node(shown, depth) });
        let others = children.iter().filter(|child| Some(child.no) != worker.map(|worker| worker.no));
        waiting.extend(others.rev().map(|child| (*child, depth + 1)));
    }
    rows
}
