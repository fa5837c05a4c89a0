//! The supervision tree as a flat list: one row per actor, a parent before its children.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Number;

use super::HmiApi;
use super::work::{CurrentStep, LiveJobs};
use crate::domain::accounts::window::{TimeWindow, WindowFigures};
use crate::domain::agent::{AgentDefinition, AgentRole, AgentTier};
use crate::domain::hmi::AgentStanding;
use crate::domain::job::Job;
use crate::domain::money::NanoUsd;
use crate::domain::roster::HierarchyLevel;
use crate::domain::token_governor::AgentContext;
use crate::supervision::mailbox::MailboxVitals;
use crate::supervision::trace::ActorNumber;
use crate::supervision::tree::{ActorNode, ActorPhase};

/// The prefix of directors' names; the rest is the lane.
const DIRECTOR: &str = "director-";

#[derive(Debug, Serialize)]
pub(super) struct TreeRow {
    no: u32,
    name: Arc<str>,
    parent: Option<u32>,
    kind: &'static str,
    pub(super) role: Option<AgentRole>,
    tier: Option<AgentTier>,
    level: Option<HierarchyLevel>,
    lane: Option<String>,
    #[serde(flatten)]
    pub(super) standing: AgentStanding,
    phase: ActorPhase,
    depth: usize,
    capacity: usize,
    handled: u64,
    restarts: u64,
    last_exit: Option<String>,
    beat_age_ms: Option<u64>,
    ctx_used: Option<u64>,
    ctx_limit: Option<u64>,
    step: Option<CurrentStep>,
    cost_usd: Number,
}

/// The data of rows besides the nodes.
pub(super) struct TreeFacts<'n> {
    hmi: &'n HmiApi,
    now: &'n LiveJobs,
    steps: HashMap<&'n str, &'n Job>,
    contexts: HashMap<Arc<str>, AgentContext>,
    costs: BTreeMap<String, WindowFigures>,
}

impl<'n> TreeFacts<'n> {
    pub(super) fn gather(hmi: &'n HmiApi, now: &'n LiveJobs) -> Self {
        Self {
            hmi,
            now,
            steps: now.steps(&hmi.jobs),
            contexts: hmi.governor.estimates().into_iter().collect(),
            costs: hmi.gateway.accounts().metrics(TimeWindow::Day).agents,
        }
    }

    /// The cost of an agent's calls in the last day.
    pub(super) fn costs(&self, agent: &str) -> WindowFigures {
        self.costs.get(agent).copied().unwrap_or_default()
    }

    pub(super) fn step(&self, agent: &str) -> Option<CurrentStep> {
        self.steps.get(agent).map(|job| self.now.step(&self.hmi.jobs, job))
    }

    /// All rows in depth-first order.
    pub(super) fn rows(&self) -> Vec<TreeRow> {
        let nodes = self.hmi.system.tree().all();
        let by_no: HashMap<ActorNumber, &Arc<ActorNode>> =
            nodes.iter().map(|node| (node.number, node)).collect();
        let is_top = |node: &&Arc<ActorNode>| node.parent().is_none_or(|parent| !by_no.contains_key(&parent));
        let mut waiting: Vec<&Arc<ActorNode>> = nodes.iter().filter(is_top).collect();
        waiting.reverse();
        let mut rows = Vec::with_capacity(nodes.len());
        while let Some(node) = waiting.pop() {
            rows.push(self.row(node));
            waiting.extend(node.children().iter().rev().filter_map(|child| by_no.get(child)));
        }
        rows
    }

    /// An agent's status.
    pub(super) fn standing(&self, agent: &str) -> AgentStanding {
        self.hmi.registry.directory().standings().of(agent)
    }

    fn row(&self, node: &ActorNode) -> TreeRow {
        let (state, vitals) = (node.state(), node.vitals());
        let agent = self.hmi.jobs.agents.roster().get(&node.name);
        let context = agent.and_then(|agent| self.contexts.get(agent.name.as_str()));
        let seen = vitals.as_ref();
        TreeRow {
            no: node.number.0,
            name: Arc::clone(&node.name),
            parent: node.parent().map(|no| no.0),
            kind: if seen.is_some() { "worker" } else { "supervisor" },
            role: agent.map(|agent| agent.role),
            tier: agent.map(|agent| agent.tier),
            level: agent.and_then(|agent| self.hmi.jobs.agents.roster().level_of(&agent.name)),
            lane: agent.and_then(|agent| lane(self.hmi, agent)),
            standing: self.hmi.registry.directory().standings().of_node(node, &state, seen),
            phase: state.phase,
            depth: seen.map_or(0, |vitals| vitals.depth),
            capacity: seen.map_or(0, |vitals| vitals.capacity),
            handled: seen.map_or(0, |vitals| vitals.handled),
            restarts: state.restarts,
            last_exit: state.last_exit.map(|(reason, _)| reason.to_string()),
            beat_age_ms: node.heartbeat.and(seen).map(silent_ms),
            ctx_used: context.map(|context| context.ctx_used),
            ctx_limit: context.map(|context| context.ctx_limit.get()),
            step: agent.and_then(|agent| self.step(agent.name.as_str())),
            cost_usd: agent.map_or(NanoUsd::default(), |agent| self.costs(agent.name.as_str()).cost).wire(),
        }
    }
}

fn silent_ms(vitals: &MailboxVitals) -> u64 {
    u64::try_from(vitals.last_beat.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The lane of an agent, from the director's name.
pub(super) fn lane(hmi: &HmiApi, agent: &AgentDefinition) -> Option<String> {
    let director = hmi.jobs.agents.roster().lane_of(&agent.name)?;
    let name = director.name.as_str();
    Some(name.strip_prefix(DIRECTOR).unwrap_or(name).to_owned())
}
