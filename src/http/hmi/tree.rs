//! The supervision tree as a flat list: a row an actor, a parent before its children.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Number;

use super::Hmi;
use super::work::{Now, Part, Step};
use crate::domain::agent::{AgentDefinition, Role, Tier};
use crate::domain::context::Context;
use crate::domain::hmi::{AgentStatus, Life, Signs, Work};
use crate::domain::money::NanoUsd;
use crate::domain::roster::HierarchyLevel;
use crate::domain::time::Timestamp;
use crate::domain::window::{Figures, Window};
use crate::supervision::mailbox::Vitals;
use crate::supervision::trace::ActorNo;
use crate::supervision::tree::{Node, NodeState, Phase};

/// What directors are called, whose names say their lanes.
const DIRECTOR: &str = "director-";

/// One actor.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    no: u32,
    name: Arc<str>,
    parent: Option<u32>,
    kind: &'static str,
    pub(super) role: Option<Role>,
    tier: Option<Tier>,
    level: Option<HierarchyLevel>,
    lane: Option<String>,
    pub(super) status: AgentStatus,
    phase: Phase,
    depth: usize,
    capacity: usize,
    handled: u64,
    handling: Option<&'static str>,
    restarts: u64,
    last_exit: Option<String>,
    beat_age_ms: Option<u64>,
    ctx_used: Option<u64>,
    ctx_limit: Option<u64>,
    step: Option<Step>,
    cost_usd: Number,
}

/// What rows are made of, besides the nodes.
pub(super) struct Facts<'n> {
    hmi: &'n Hmi,
    now: &'n Now,
    parts: HashMap<&'n str, Part<'n>>,
    contexts: HashMap<Arc<str>, Context>,
    costs: BTreeMap<String, Figures>,
}

impl<'n> Facts<'n> {
    pub(super) fn gather(hmi: &'n Hmi, now: &'n Now) -> Self {
        Self {
            hmi,
            now,
            parts: now.parts(&hmi.jobs),
            contexts: hmi.governor.estimates().into_iter().collect(),
            costs: hmi.gateway.accounts().metrics(Window::Day).agents,
        }
    }

    /// What an agent's calls of the last day came to.
    pub(super) fn costs(&self, agent: &str) -> Figures {
        self.costs.get(agent).copied().unwrap_or_default()
    }

    /// The step that an agent is at.
    pub(super) fn step(&self, agent: &str) -> Option<Step> {
        self.parts.get(agent).and_then(|part| self.now.step(&self.hmi.jobs, part))
    }

    /// All rows: the root, then each supervisor's children in their order, each before its own.
    pub(super) fn rows(&self) -> Vec<Row> {
        let nodes = self.hmi.system.tree().all();
        let by_no: HashMap<ActorNo, &Arc<Node>> = nodes.iter().map(|node| (node.no, node)).collect();
        let is_top = |node: &&Arc<Node>| node.parent().is_none_or(|parent| !by_no.contains_key(&parent));
        let mut waiting: Vec<&Arc<Node>> = nodes.iter().filter(is_top).collect();
        waiting.reverse();
        let mut rows = Vec::with_capacity(nodes.len());
        while let Some(node) = waiting.pop() {
            rows.push(self.row(node));
            waiting.extend(node.children().iter().rev().filter_map(|child| by_no.get(child)));
        }
        rows
    }

    /// How an agent stands; down where it is not in the tree.
    pub(super) fn status(&self, agent: &str) -> AgentStatus {
        let node = self.hmi.system.tree().by_name(agent);
        node.map_or(AgentStatus::Down, |node| self.status_of(&node, &node.state(), node.vitals().as_ref()))
    }

    fn status_of(&self, node: &Node, state: &NodeState, vitals: Option<&Vitals>) -> AgentStatus {
        let work = self.parts.get(&*node.name).map_or(Work::default(), |part| part.work);
        signs(node, state, vitals, work, self.now.at).status()
    }

    fn row(&self, node: &Node) -> Row {
        let (state, vitals) = (node.state(), node.vitals());
        let agent = self.hmi.jobs.agents.roster().get(&node.name);
        let context = agent.and_then(|agent| self.contexts.get(agent.name.as_str()));
        let seen = vitals.as_ref();
        Row {
            no: node.no.0,
            name: Arc::clone(&node.name),
            parent: node.parent().map(|no| no.0),
            kind: if seen.is_some() { "worker" } else { "supervisor" },
            role: agent.map(|agent| agent.role),
            tier: agent.map(|agent| agent.tier),
            level: agent.and_then(|agent| self.hmi.jobs.agents.roster().level_of(&agent.name)),
            lane: agent.and_then(|agent| lane(self.hmi, agent)),
            status: self.status_of(node, &state, seen),
            phase: state.phase,
            depth: seen.map_or(0, |vitals| vitals.depth),
            capacity: seen.map_or(0, |vitals| vitals.capacity),
            handled: seen.map_or(0, |vitals| vitals.handled),
            handling: seen.and_then(|vitals| vitals.current).map(|(kind, _)| kind),
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

fn silent_ms(vitals: &Vitals) -> u64 {
    u64::try_from(vitals.last_beat.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The lane of an agent, as its director is called.
pub(super) fn lane(hmi: &Hmi, agent: &AgentDefinition) -> Option<String> {
    let director = hmi.jobs.agents.roster().lane_of(&agent.name)?;
    let name = director.name.as_str();
    Some(name.strip_prefix(DIRECTOR).unwrap_or(name).to_owned())
}

fn signs(node: &Node, state: &NodeState, vitals: Option<&Vitals>, work: Work, now: Timestamp) -> Signs {
    let crashed = state.last_exit.as_ref().filter(|(reason, _)| reason.is_abnormal());
    Signs {
        life: life(state.phase),
        is_held: vitals.is_some_and(|vitals| vitals.paused),
        is_handling: vitals.is_some_and(|vitals| vitals.current.is_some()),
        waiting: vitals.map_or(0, |vitals| vitals.depth),
        silence: vitals.and_then(|vitals| Some((vitals.last_beat.elapsed(), node.heartbeat?))),
        crashed: crashed.map(|(_, at)| now.since(*at)),
        work,
    }
}

fn life(phase: Phase) -> Life {
    match phase {
        Phase::Starting => Life::Starting,
        Phase::Running => Life::Up,
        Phase::Restarting => Life::Restarting,
        Phase::Hung | Phase::Spinning => Life::Silent,
        Phase::Stopping | Phase::Stopped => Life::Ended,
    }
}
