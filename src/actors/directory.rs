//! The agents of the roster as services: identity from their definitions, vitals from the tree.
//!
//! Invariants: every agent of the roster is always listed, once, as `agent-<name>`; the status is derived at
//! the moment of reading ([`super::standing`]), never reported by the agent; reading sends no message. The
//! agent's worker is the tree node with the agent's own name.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use super::standing::AgentStandings;
use super::tasks;
use crate::domain::agent::AgentDefinition;
use crate::domain::registry::{RegisteredService, ServiceRole, ServiceStatus, ServiceType, agent_service_id};
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::supervision::ActorSystem;
use crate::supervision::tree::wall;

/// Silent intervals after which supervision calls an agent hung; decides the agents' time to live.
const HANG_FACTOR: u32 = crate::supervision::liveness::HANG_FACTOR;

/// An agent's vital signs at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentVitals {
    /// In the registry's vocabulary.
    pub status: ServiceStatus,
    /// The last heartbeat; `None` while the agent is not in the tree.
    pub last_beat: Option<Timestamp>,
    /// Messages waiting in the mailbox.
    pub queue_depth: Option<u64>,
    /// Share of the mailbox in use.
    pub load: Option<f64>,
}

/// The served ports, by the agent whose service they belong to. A definition's own `port` is where the
/// agent's service is meant to be; only services of this daemon have one.
pub type ServedPorts = BTreeMap<&'static str, u16>;

/// The agents as services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentDirectory(Arc<AgentDirectoryShared>);

#[derive(Debug)]
struct AgentDirectoryShared {
    standings: AgentStandings,
    roster: Arc<Roster>,
    entries: Vec<Arc<RegisteredService>>,
    by_id: HashMap<String, usize>,
    built_at: Timestamp,
}

impl AgentDirectory {
    /// The agents of `roster`; `served` has the bound ports of those with a service.
    #[must_use]
    pub fn new(roster: Arc<Roster>, served: &ServedPorts, standings: AgentStandings) -> Self {
        let built_at = Timestamp::now();
        let entries: Vec<_> =
            roster.iter().map(|agent| Arc::new(entry(&roster, agent, served, built_at))).collect();
        let by_id = entries.iter().enumerate().map(|(at, entry)| (entry.service_id.clone(), at)).collect();
        Self(Arc::new(AgentDirectoryShared { standings, roster, entries, by_id, built_at }))
    }

    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        &self.0.roster
    }

    /// The system the agents live in.
    #[must_use]
    pub fn system(&self) -> &ActorSystem {
        self.0.standings.system()
    }

    #[must_use]
    pub fn standings(&self) -> &AgentStandings {
        &self.0.standings
    }

    #[must_use]
    pub fn built_at(&self) -> Timestamp {
        self.0.built_at
    }

    /// All agents, in the roster's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<RegisteredService>> {
        self.0.entries.iter()
    }

    #[must_use]
    pub fn get(&self, service_id: &str) -> Option<&Arc<RegisteredService>> {
        self.0.by_id.get(service_id).map(|at| &self.0.entries[*at])
    }

    /// An agent's vital signs now, by the agent's name.
    #[must_use]
    pub fn life(&self, name: &str) -> AgentVitals {
        let Some(node) = self.system().tree().by_name(name) else {
            return AgentVitals {
                status: ServiceStatus::Down,
                last_beat: None,
                queue_depth: None,
                load: None,
            };
        };
        let vitals = node.vitals();
        AgentVitals {
            status: self.0.standings.of_node(&node, &node.state(), vitals.as_ref()).status.into(),
            last_beat: vitals.as_ref().map(|vitals| wall(vitals.last_beat)),
            queue_depth: vitals.as_ref().map(|vitals| vitals.depth as u64),
            load: vitals.as_ref().map(|vitals| vitals.depth as f64 / vitals.capacity.max(1) as f64),
        }
    }

    /// The agent an actor of the tree belongs to: the actor itself, or for a supervisor the agent that is its
    /// first child.
    #[must_use]
    pub fn agent_of(&self, actor: &str) -> Option<&AgentDefinition> {
        self.0.roster.get(actor).or_else(|| {
            let tree = self.system().tree();
            let first = tree.by_name(actor)?.children().into_iter().next()?;
            self.0.roster.get(&tree.name_of(first))
        })
    }
}

fn entry(
    roster: &Roster,
    agent: &AgentDefinition,
    served: &ServedPorts,
    registered_at: Timestamp,
) -> RegisteredService {
    let interval = agent.heartbeat_interval.seconds();
    let port = served.get(agent.name.as_str()).copied();
    // The internal form is no address: such an agent is called by name through the agent router.
    let url = port.map_or_else(
        || format!("internal://agents/{}", agent.name),
        |port| format!("http://localhost:{port}"),
    );
    RegisteredService {
        service_id: agent_service_id(agent.name.as_str()),
        name: agent.name.to_string(),
        kind: ServiceType::Agent,
        role: ServiceRole::Production,
        url,
        caps: agent.capabilities.iter().map(|capability| capability.as_str().to_owned()).collect(),
        labels: labels(roster, agent, port),
        ctx_limit: agent.max_tokens.map(|tokens| tokens.get().into()),
        cost_hint_usd_per_1k: None,
        heartbeat_interval_s: interval,
        ttl_s: interval.saturating_mul(HANG_FACTOR),
        registered_at,
    }
}

/// The labels of the contract; values are strings, and missing properties are left out.
fn labels(roster: &Roster, agent: &AgentDefinition, port: Option<u16>) -> BTreeMap<String, String> {
    let children: Vec<&str> = roster.children_of(&agent.name).map(|child| child.name.as_str()).collect();
    let tasks: Vec<&str> = tasks::catalogue().of_agent(agent).map(|entry| entry.task.as_ref()).collect();
    let amount = |amount: u32| (amount > 0).then(|| amount.to_string());
    let optional = [
        ("parent", agent.parent.as_ref().map(ToString::to_string)),
        ("children", (!children.is_empty()).then(|| children.join(","))),
        ("models_primary", agent.models.first().cloned()),
        ("models", (!agent.models.is_empty()).then(|| agent.models.join(","))),
        ("max_tokens", agent.max_tokens.map(|tokens| tokens.to_string())),
        ("gpus", amount(agent.resources.gpus)),
        ("gpu_memory_mb", amount(agent.resources.gpu_memory_mb)),
        ("port", port.map(|port| port.to_string())),
        ("tasks", (!tasks.is_empty()).then(|| tasks.join(","))),
    ];
    let always = [
        ("display_name", agent.display_name.clone()),
        ("tier", agent.tier.get().to_string()),
        ("mode", word(&agent.mode)),
        ("agent_role", agent.role.as_str().to_owned()),
        ("behaviour", agent.behaviour.as_str().to_owned()),
        // `{:?}` keeps the point: `0.0`, not `0`.
        ("token_target", format!("{:?}", agent.token_budget.target_ratio())),
        ("token_hard_max", format!("{:?}", agent.token_budget.hard_max_ratio())),
        ("cpu_cores", agent.resources.cpu_cores.to_string()),
        ("memory_mb", agent.resources.memory_mb.to_string()),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let own = always.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value));
    own.chain(right_labels(roster, agent)).collect()
}

/// The agent's effective rights: its own, limited by those of the agents above.
fn right_labels(roster: &Roster, agent: &AgentDefinition) -> impl Iterator<Item = (String, String)> {
    let rights = serde_json::to_value(roster.effective_rights(&agent.name)).unwrap_or_default();
    let rights = rights.as_object().cloned().unwrap_or_default();
    rights.into_iter().map(|(right, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (format!("right_{right}"), value)
    })
}

/// The wire's word for a value.
fn word<T: serde::Serialize + Debug>(value: &T) -> String {
    let written = serde_json::to_value(value).ok();
    written.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_else(|| format!("{value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(served: &[(&'static str, u16)]) -> AgentDirectory {
        let (roster, refusals) = crate::roster::load(None);
        assert!(refusals.is_empty());
        let served = served.iter().copied().collect();
        AgentDirectory::new(Arc::new(roster), &served, AgentStandings::new(ActorSystem::default()))
    }

    #[tokio::test]
    async fn the_fifty_agents_are_there_with_the_contracts_labels() {
        let directory = directory(&[]);
        assert_eq!(directory.iter().len(), 50);
        for name in ["tier", "mode", "agent_role", "token_target", "token_hard_max", "cpu_cores", "memory_mb"]
        {
            assert!(directory.iter().all(|agent| agent.labels.contains_key(name)), "{name}");
        }
        let auditor = directory.get("agent-corpus-auditor").unwrap();
        assert_eq!(auditor.url, "internal://agents/corpus-auditor");
        assert_eq!(auditor.labels["parent"], "manager-data");
        assert_eq!(auditor.labels["mode"], "task");
        assert_eq!(auditor.labels["token_target"], "0.3");
        assert_eq!((&*auditor.labels["right_filesystem"], &*auditor.labels["right_bash"]), ("rw", "false"));
        assert!(!auditor.labels.contains_key("port") && !auditor.labels.contains_key("children"));
        let architect = directory.get("agent-architect").unwrap();
        assert!(architect.labels["children"].contains("director-data"));
        assert!(!architect.labels.contains_key("parent"));
        assert_eq!(architect.labels["models_primary"], "claude-sonnet-4-5-20250929");
        assert_eq!(architect.labels["models"], "claude-sonnet-4-5-20250929,gpt-5-codex");
        assert_eq!((architect.ctx_limit, &*architect.labels["tasks"]), (Some(200_000), "change,ingest"));
        let trainer = directory.get("agent-qtower-trainer").unwrap();
        assert_eq!((&*trainer.labels["gpus"], &*trainer.labels["gpu_memory_mb"]), ("1", "8192"));
        assert_eq!((&*trainer.labels["tasks"], trainer.ctx_limit), ("task", None));
    }

    #[tokio::test]
    async fn only_a_port_that_is_served_is_an_address() {
        let directory = directory(&[("registry", 7121)]);
        let registry = directory.get("agent-registry").unwrap();
        assert_eq!((&*registry.url, &*registry.labels["port"]), ("http://localhost:7121", "7121"));
        let tester = directory.get("agent-contract-tester").unwrap();
        let meant = directory.roster().get("contract-tester").unwrap().port;
        assert!(meant.is_some(), "its definition names one");
        assert_eq!((&*tester.url, tester.labels.get("port")), ("internal://agents/contract-tester", None));
    }

    #[tokio::test]
    async fn an_agent_that_is_not_in_the_tree_is_down() {
        assert_eq!(directory(&[]).life("architect").status, ServiceStatus::Down);
    }
}
