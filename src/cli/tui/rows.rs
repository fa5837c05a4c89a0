//! The rows of a page: what can be chosen on it.

use std::collections::HashMap;

use super::model::{Model, Page};
use super::wire::{Event, Live, LiveJob, Node, Waiting};

/// Ending of the names of the agents' supervisors.
const SUPERVISOR: &str = "-sup";

#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'m> {
    /// What an action on it would be meant for.
    pub(super) target: &'m str,
    pub(super) what: What<'m>,
}

/// What a row shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'m> {
    /// An agent or service, so deep in the tree.
    Node(&'m Node, usize),
    Job(&'m LiveJob),
    Approval(&'m Waiting),
    Event(&'m Event),
}

impl What<'_> {
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
            Self::Event(event) => has(&event.event_type) || has(&super::words::event(event)),
        }
    }
}

/// The rows of the model's page that its filter leaves.
#[must_use]
pub(super) fn of(model: &Model) -> Vec<Row<'_>> {
    let words = model.filter.to_lowercase();
    let mut rows = all(model);
    if !words.is_empty() {
        rows.retain(|row| row.what.contains(&words));
    }
    rows
}

fn all(model: &Model) -> Vec<Row<'_>> {
    if model.page == Page::Log {
        return model.events.iter().map(|event| Row { target: "", what: What::Event(event) }).collect();
    }
    let Some(live) = &model.live else { return Vec::new() };
    match model.page {
        Page::Tree => nodes(live),
        Page::Jobs => live.jobs.iter().map(|job| Row { target: &job.job_id, what: What::Job(job) }).collect(),
        _ => {
            let row = |approval| {
                let approval: &Waiting = approval;
                Row { target: &approval.approval_id, what: What::Approval(approval) }
            };
            live.approvals.iter().map(row).collect()
        }
    }
}

/// The tree in drawing order. An agent's supervisor and its worker are one row, the worker's.
fn nodes(live: &Live) -> Vec<Row<'_>> {
    let mut below: HashMap<Option<u64>, Vec<&Node>> = HashMap::new();
    for node in &live.tree {
        below.entry(node.parent).or_default().push(node);
    }
    let mut rows = Vec::with_capacity(live.tree.len());
    // What is still to be drawn, the next one last.
    let mut waiting: Vec<(&Node, usize)> =
        below.get(&None).into_iter().flatten().rev().map(|node| (*node, 0)).collect();
    while let Some((node, depth)) = waiting.pop() {
        let children = below.get(&Some(node.no)).map(Vec::as_slice).unwrap_or_default();
        let worker = node
            .name
            .strip_suffix(SUPERVISOR)
            .and_then(|agent| children.iter().find(|child| child.name == agent).copied());
        let shown = worker.unwrap_or(node);
        rows.push(Row { target: &shown.name, what: What::Node(shown, depth) });
        let others = children.iter().filter(|child| Some(child.no) != worker.map(|worker| worker.no));
        waiting.extend(others.rev().map(|child| (*child, depth + 1)));
    }
    rows
}
