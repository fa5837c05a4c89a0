//! A submitted job card, and the one check behind every entrance to the job book.
//!
//! Pure: external facts (the tasks of agents, whether a source is readable) come from [`CardFacts`].
//! Invariants: a card that passes names an agent that knows the task, and inputs that the task reads; a card
//! that can never work is refused with a sentence that names a valid choice. All faults of a card are
//! reported at once.

mod inputs;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DEFAULT_PRIORITY, JobCard, MAX_PRIORITY};
use crate::agent::AgentDefinition;
use crate::agent_choice::{self, AgentAvailability, AgentWish};
use crate::ids::AgentName;
use crate::json::{JsonValue, canonical_text};
use crate::resource_manager::ResourceAmounts;
use crate::roster::Roster;
use crate::similar_name::nearest_name;
use crate::task::{TaskCatalogue, TaskRefusal};
use crate::time::Timestamp;

pub use crate::task::InputKind;

/// Longest name of a task or capability: a line in a list.
const MAX_NAME_CHARS: usize = 100;
/// Longest approval: a line that a person reads before approving.
const MAX_APPROVAL_CHARS: usize = 100;
/// Most approvals of a card: more than a person reads before one click.
const MAX_APPROVALS: usize = 32;
const MAX_KEY_CHARS: usize = 200;
/// The agent of a card that names none.
pub const DEFAULT_AGENT: &str = "architect";

/// A submitted card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    pub task: String,
    #[serde(default)]
    pub inputs: Option<Map<String, Value>>,
    /// Default: chosen by `capability`, else [`DEFAULT_AGENT`].
    pub agent: Option<AgentName>,
    /// Required capability of the agent.
    pub capability: Option<String>,
    /// 0 to 9.
    pub priority: Option<u8>,
    /// Seconds from acceptance.
    pub deadline_s: Option<f64>,
    /// Acts that a person must approve before the job begins.
    #[serde(default)]
    pub approvals_required: Vec<String>,
    pub resource_request: Option<Map<String, Value>>,
    /// Identifies a repeated submission.
    pub idempotency_key: Option<String>,
}

/// External facts for the check.
pub trait CardFacts {
    fn roster(&self) -> &Roster;
    /// All tasks, and which agent takes which.
    fn tasks(&self) -> &TaskCatalogue;
    /// Why no language model can be called now; `None` when one can.
    fn no_model(&self) -> Option<&str>;
    /// Why an input of this kind is unusable, as a phrase after the input's name; `None` when usable. May
    /// block.
    fn trouble_with(&self, kind: InputKind, text: &str) -> Option<String>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardFault {
    /// The field's path, with `.` between parts.
    pub field: String,
    /// The kind on the wire, in Pydantic's words: `missing`, `extra_forbidden`, `value_error`, …
    pub kind: &'static str,
    /// The fault, and a valid choice.
    pub msg: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRefusal {
    /// The card names an agent that does not exist.
    #[error("{0}")]
    NoSuchAgent(String),
    /// The card could never work.
    #[error("{}", sentence(.0))]
    Invalid(Vec<CardFault>),
}

fn sentence(faults: &[CardFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for CardFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.msg)
    }
}

/// Faults found so far.
#[derive(Default)]
pub(super) struct CardFaults(Vec<CardFault>);

impl CardFaults {
    pub(super) fn add(&mut self, field: impl Into<String>, kind: &'static str, msg: impl Into<String>) {
        self.0.push(CardFault { field: field.into(), kind, msg: msg.into() });
    }

    fn length(&mut self, field: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.add(field, "string_too_short", "must not be empty");
        } else if text.chars().count() > max {
            self.add(field, "string_too_long", format!("takes at most {max} characters"));
        }
    }

    /// Adds the fault of an unknown name, with the nearest known name if any.
    pub(super) fn unknown(&mut self, field: &str, wrong: &str, known: &[&str]) {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let msg = match nearest_name(wrong, known.iter().copied()) {
            Some(name) => format!("unknown name `{wrong}`; did you mean `{name}`? Known: {list}"),
            None => format!("unknown name `{wrong}`; known: {list}"),
        };
        self.add(format!("{field}.{wrong}"), "extra_forbidden", msg);
    }
}

impl JobRequest {
    /// The card of a call from outside any job: the payload is a card, or, with none of a card's fields, the
    /// inputs themselves.
    ///
    /// # Errors
    /// [`CardRefusal::Invalid`] when a field has another form than a card's.
    pub fn of_invocation(
        agent: &AgentName,
        task: String,
        payload: &Map<String, Value>,
    ) -> Result<Self, CardRefusal> {
        let mut fields = payload.clone();
        for word in ["action", "agent"] {
            fields.remove(word);
        }
        let read = if fields.contains_key("inputs") {
            fields.insert("task".to_owned(), Value::String(task));
            Self::deserialize(Value::Object(fields)).map_err(|error| {
                let fault =
                    CardFault { field: "payload".into(), kind: "value_error", msg: error.to_string() };
                CardRefusal::Invalid(vec![fault])
            })?
        } else {
            fields.remove("task");
            Self { task, inputs: Some(fields), ..Self::default() }
        };
        Ok(Self { agent: Some(agent.clone()), ..read })
    }

    /// The card to store, or all faults of this one.
    ///
    /// # Errors
    /// [`CardRefusal`].
    pub fn check(&self, facts: &dyn CardFacts, now: Timestamp) -> Result<JobCard, CardRefusal> {
        let mut faults = CardFaults::default();
        self.check_form(&mut faults);
        let agent = self.agent(facts, &mut faults)?;
        if let Some(agent) = agent.filter(|_| !self.task.is_empty()) {
            match facts.tasks().admit(facts.roster(), agent, &self.task, facts.no_model()) {
                Ok(entry) => {
                    let inputs = self.inputs.as_ref();
                    inputs::check(facts, entry, inputs.unwrap_or(&Map::new()), &mut faults);
                }
                Err(TaskRefusal(reason)) => faults.add("task", "value_error", reason),
            }
        }
        match agent {
            Some(agent) if faults.0.is_empty() => Ok(self.card(&agent.name, now)),
            _ => Err(CardRefusal::Invalid(faults.0)),
        }
    }

    fn check_form(&self, faults: &mut CardFaults) {
        faults.length("task", &self.task, MAX_NAME_CHARS);
        if let Some(capability) = &self.capability {
            faults.length("capability", capability, MAX_NAME_CHARS);
        }
        if let Some(key) = &self.idempotency_key {
            faults.length("idempotency_key", key, MAX_KEY_CHARS);
        }
        if self.priority.is_some_and(|priority| priority > MAX_PRIORITY) {
            faults.add("priority", "less_than_equal", format!("must be at most {MAX_PRIORITY}"));
        }
        if self.deadline_s.is_some_and(|s| !(s > 0.0 && s.is_finite())) {
            faults.add("deadline_s", "value_error", "must be a positive number of seconds");
        }
        if self.approvals_required.len() > MAX_APPROVALS {
            faults.add("approvals_required", "too_long", format!("takes at most {MAX_APPROVALS} items"));
        }
        for (position, approval) in self.approvals_required.iter().enumerate() {
            faults.length(&format!("approvals_required.{position}"), approval, MAX_APPROVAL_CHARS);
        }
        if let Some(request) = &self.resource_request {
            check_resources(request, faults);
        }
    }

    /// The agent. `None` when no agent offers the capability.
    fn agent<'r>(
        &self,
        facts: &'r dyn CardFacts,
        faults: &mut CardFaults,
    ) -> Result<Option<&'r AgentDefinition>, CardRefusal> {
        let roster = facts.roster();
        let root = AgentName::new(DEFAULT_AGENT).ok().and_then(|name| roster.get(name.as_str()));
        let Some(name) = &self.agent else {
            let Some(capability) = &self.capability else { return Ok(root) };
            let capabilities = [capability.as_str()];
            let from = root.map(|root| &root.name);
            let wish = AgentWish { capabilities: &capabilities, task: Some(&self.task), from };
            let ranked = agent_choice::ranked(roster, facts.tasks(), wish, |_| AgentAvailability::IDLE);
            let routed = ranked.into_iter().next();
            if routed.is_none() {
                let msg = format!("no agent offers `{capability}`; `GET /agents` on port 6100 lists them");
                faults.add("capability", "value_error", msg);
            }
            return Ok(routed);
        };
        let Some(agent) = roster.get(name.as_str()) else {
            let names = roster.iter().map(|agent| agent.name.as_str());
            let hint = nearest_name(name.as_str(), names);
            let hint = hint.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
            return Err(CardRefusal::NoSuchAgent(format!(
                "no agent `{name}`{hint}; `GET /agents` on port 6100 lists them"
            )));
        };
        if let Some(capability) = self.capability.as_deref().filter(|capability| !agent.can(capability)) {
            let who: Vec<_> =
                roster.with_capability(capability).map(|agent| format!("`{}`", agent.name)).collect();
            let who = if who.is_empty() { "no agent".to_owned() } else { who.join(", ") };
            let msg = format!("`{name}` does not offer `{capability}`; {who} does");
            faults.add("capability", "value_error", msg);
        }
        Ok(Some(agent))
    }

    fn card(&self, agent: &AgentName, now: Timestamp) -> JobCard {
        let deadline = self.deadline_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
        JobCard {
            agent: agent.clone(),
            task: self.task.clone(),
            capability: self.capability.clone(),
            inputs: JsonValue(Value::Object(self.inputs.clone().unwrap_or_default())),
            priority: self.priority.unwrap_or(DEFAULT_PRIORITY),
            resource_request: self.resource_request.clone().map(|request| JsonValue(Value::Object(request))),
            approvals_required: self.approvals_required.clone(),
            deadline_at: deadline.map(|deadline| now.plus(deadline)),
            optional: false,
        }
    }

    /// BLAKE3 over the card's content, whatever the spelling: used to compare submissions with the same
    /// idempotency key. Excludes the key itself and the time of acceptance.
    #[must_use]
    pub fn fingerprint(&self, agent: &AgentName) -> String {
        let asked = Self {
            agent: Some(agent.clone()),
            priority: Some(self.priority.unwrap_or(DEFAULT_PRIORITY)),
            inputs: Some(self.inputs.clone().unwrap_or_default()),
            idempotency_key: None,
            ..self.clone()
        };
        let value = serde_json::to_value(asked).unwrap_or_default();
        format!("card-2:{}", blake3::hash(canonical_text(&value).as_bytes()).to_hex())
    }
}

/// The names of the resource manager's contract.
const RESOURCES: [&str; 5] = ["cpu", "mem_mb", "gpu", "gpu_mem_mb", "ports"];

fn check_resources(request: &Map<String, Value>, faults: &mut CardFaults) {
    for name in request.keys().filter(|name| !RESOURCES.contains(&name.as_str())) {
        faults.unknown("resource_request", name, &RESOURCES);
    }
    if let Err(error) = ResourceAmounts::deserialize(&Value::Object(request.clone())) {
        faults.add("resource_request", "value_error", error.to_string());
    }
    let ports = request.get("ports").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    if let Err(error) = Vec::<u16>::deserialize(&ports) {
        faults.add("resource_request.ports", "value_error", error.to_string());
    }
}
