//! What a name means: an agent, a service, a job or a question; and a picture of how it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Means, SteerError};
use crate::domain::ids::{AgentName, ApprovalId, JobId};
use crate::domain::job::Job;
use crate::domain::steering::Action;
use crate::store::StoreError;
use crate::supervision::tree::Node;

use super::super::jobs::JobError;

/// What an agent's id in the registry begins with; pages that know agents from there name them so.
const SERVICE_PREFIX: &str = "agent-";
/// Services that carry the very request: ended, they could not answer it.
const CARRIERS: [&str; 2] = ["edge", "steering"];
/// Most agents in the picture of a subtree: more would make a line of the audit that nobody reads.
const MAX_PICTURED: usize = 64;

/// What is acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An agent of the roster.
    Agent(AgentName),
    /// A worker of the daemon's own.
    Service(Arc<str>),
    /// A job, with those below it.
    Job(JobId),
    /// What waits for a person.
    Approval(ApprovalId),
}

impl Target {
    /// Finds out what a name means. Agents come first: a run is never called like one of them.
    pub(super) fn resolve(means: &Means, name: &str) -> Result<Self, SteerError> {
        let roster = means.jobs.agents.roster();
        let agent = roster.get(name).or_else(|| roster.get(name.strip_prefix(SERVICE_PREFIX)?));
        if let Some(agent) = agent {
            return Ok(Self::Agent(agent.name.clone()));
        }
        if let Some(node) = means.system.tree().by_name(name) {
            return Self::of_tree(&node);
        }
        if let Some(id) = ApprovalId::new(name).ok()
            && found(means.jobs.book.approval(&id))?.is_some()
        {
            return Ok(Self::Approval(id));
        }
        if let Some(id) = JobId::new(name).ok()
            && found(means.jobs.book.get(&id))?.is_some()
        {
            return Ok(Self::Job(id));
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(SteerError::Unknown(format!("there is no agent, job or question called `{shown}`")))
    }

    fn of_tree(node: &Node) -> Result<Self, SteerError> {
        let name = &node.name;
        if node.vitals().is_none() {
            let what = if node.parent().is_none() { "the daemon's root" } else { "a supervisor" };
            return Err(SteerError::Refused(format!(
                "`{name}` is {what}; act on an agent, with all below it where that is meant"
            )));
        }
        if CARRIERS.contains(&&**name) {
            return Err(SteerError::Refused(format!(
                "`{name}` carries this very request and could not answer it; its supervisor restarts it when it fails"
            )));
        }
        Ok(Self::Service(Arc::clone(name)))
    }

    /// Why this cannot be done to it.
    pub(super) fn unsuitable(&self, action: Action) -> SteerError {
        let action = action.as_str();
        SteerError::Refused(match self {
            Self::Agent(name) => format!(
                "`{name}` is an agent: it can be paused, resumed, restarted and killed; `{action}` is for a job or a \
                 question"
            ),
            Self::Service(name) => format!(
                "`{name}` is a service of the daemon, which others wait for: it can be restarted and killed, not told \
                 to `{action}`"
            ),
            Self::Job(id) => format!("`{action}` cannot be done to the job `{id}`"),
            Self::Approval(id) => {
                format!("`{id}` is a question: it can be approved or rejected, not told to `{action}`")
            }
        })
    }
}

/// A row, or nothing where there is none.
fn found<T>(read: Result<T, JobError>) -> Result<Option<T>, SteerError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(JobError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How a target stands, for the audit; null where it is nothing that is known.
pub(super) fn pictured(means: &Means, name: &str, subtree: bool) -> Value {
    let picture = match Target::resolve(means, name) {
        Ok(Target::Agent(agent)) if subtree => Ok(subtree_picture(means, &agent)),
        Ok(Target::Agent(agent)) => Ok(actor_picture(means, agent.as_str())),
        Ok(Target::Service(service)) => Ok(actor_picture(means, &service)),
        Ok(Target::Job(id)) => job_picture(means, &id),
        Ok(Target::Approval(id)) => means.jobs.book.approval(&id).map(
            |asked| json!({ "status": asked.status, "job_id": asked.job_id, "decided_by": asked.decided_by }),
        ),
        Err(_) => Ok(Value::Null),
    };
    picture.unwrap_or_else(|error| json!({ "unreadable": error.to_string() }))
}

fn actor_picture(means: &Means, name: &str) -> Value {
    let Some(node) = means.system.tree().by_name(name) else { return Value::Null };
    let (state, vitals) = (node.state(), node.vitals());
    let standing = means.standings.of_node(&node, &state, vitals.as_ref());
    json!({
        "status": standing.status, "phase": state.phase, "incarnation": state.incarnation,
        "restarts": state.restarts,
    })
}

fn subtree_picture(means: &Means, agent: &AgentName) -> Value {
    let names = means.agents(agent, true);
    let shown: Map<String, Value> =
        names.iter().take(MAX_PICTURED).map(|name| (name.to_string(), actor_picture(means, name))).collect();
    json!({ "agents": names.len(), "each": shown })
}

fn job_picture(means: &Means, id: &JobId) -> Result<Value, JobError> {
    let tree: Vec<Job> = means.jobs.book.subtree(id)?;
    let job = tree.first().ok_or(StoreError::Closed)?;
    let mut states = BTreeMap::<&str, usize>::new();
    for job in &tree {
        *states.entry(job.state.as_str()).or_default() += 1;
    }
    Ok(json!({
        "state": job.state, "agent": job.card.agent, "attempt": job.attempt, "fence": job.fence, "tree": states,
    }))
}
