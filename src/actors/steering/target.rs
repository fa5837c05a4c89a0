//! Resolves a name to an agent, a service, a job or an approval, with a picture of the target's state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{SteeringDeps, SteeringError};
use crate::domain::ids::{AgentName, ApprovalId, JobId};
use crate::domain::job::Job;
use crate::domain::steering::SteeringAction;
use crate::store::StoreError;
use crate::supervision::tree::ActorNode;

use super::super::jobs::JobError;

/// The beginning of an agent's id in the registry; pages that know agents from there use that id.
const SERVICE_PREFIX: &str = "agent-";
/// Services that carry the very request: once ended, they could not answer it.
const CARRIERS: [&str; 2] = ["edge", "steering"];
/// Most agents in the picture of a subtree: more would make an audit line that nobody reads.
const MAX_PICTURED: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SteeringTarget {
    /// An agent of the roster.
    Agent(AgentName),
    /// A worker of the daemon's own.
    Service(Arc<str>),
    /// A job, with all its descendants.
    Job(JobId),
    /// An approval that waits for a person.
    Approval(ApprovalId),
}

impl SteeringTarget {
    /// Resolves a name. Agents come first: a run never has an agent's name.
    pub(super) fn resolve(means: &SteeringDeps, name: &str) -> Result<Self, SteeringError> {
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
        Err(SteeringError::Unknown(format!("there is no agent, job or approval named `{shown}`")))
    }

    fn of_tree(node: &ActorNode) -> Result<Self, SteeringError> {
        let name = &node.name;
        if node.vitals().is_none() {
            let what = if node.parent().is_none() { "the daemon's root" } else { "a supervisor" };
            return Err(SteeringError::Refused(format!(
                "`{name}` is {what}; act on an agent, with its subtree if intended"
            )));
        }
        if CARRIERS.contains(&&**name) {
            return Err(SteeringError::Refused(format!(
                "`{name}` carries this very request and could not answer it; its supervisor restarts it when it fails"
            )));
        }
        Ok(Self::Service(Arc::clone(name)))
    }

    /// Why this target does not allow the action.
    pub(super) fn unsuitable(&self, action: SteeringAction) -> SteeringError {
        let action = action.as_str();
        SteeringError::Refused(match self {
            Self::Agent(name) => format!(
                "`{name}` is an agent: it can be paused, resumed, restarted and killed; `{action}` is for a job or an \
                 approval"
            ),
            Self::Service(name) => format!(
                "`{name}` is a service of the daemon, which others wait for: it can be restarted and killed; `{action}` \
                 does not apply"
            ),
            Self::Job(id) => format!("`{action}` does not apply to the job `{id}`"),
            Self::Approval(id) => {
                format!("`{id}` is an approval: it can be approved or rejected; `{action}` does not apply")
            }
        })
    }
}

/// The row, if there is one.
fn found<T>(read: Result<T, JobError>) -> Result<Option<T>, SteeringError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(JobError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The target's state, for the audit; null for an unknown target.
pub(super) fn pictured(means: &SteeringDeps, name: &str, subtree: bool) -> Value {
    let picture = match SteeringTarget::resolve(means, name) {
        Ok(SteeringTarget::Agent(agent)) if subtree => Ok(subtree_picture(means, &agent)),
        Ok(SteeringTarget::Agent(agent)) => Ok(actor_picture(means, agent.as_str())),
        Ok(SteeringTarget::Service(service)) => Ok(actor_picture(means, &service)),
        Ok(SteeringTarget::Job(id)) => job_picture(means, &id),
        Ok(SteeringTarget::Approval(id)) => means.jobs.book.approval(&id).map(
            |asked| json!({ "status": asked.status, "job_id": asked.job_id, "decided_by": asked.decided_by }),
        ),
        Err(_) => Ok(Value::Null),
    };
    picture.unwrap_or_else(|error| json!({ "unreadable": error.to_string() }))
}

fn actor_picture(means: &SteeringDeps, name: &str) -> Value {
    let Some(node) = means.system.tree().by_name(name) else { return Value::Null };
    let (state, vitals) = (node.state(), node.vitals());
    let standing = means.standings.of_node(&node, &state, vitals.as_ref());
    json!({
        "status": standing.status, "phase": state.phase, "incarnation": state.incarnation,
        "restarts": state.restarts,
    })
}

fn subtree_picture(means: &SteeringDeps, agent: &AgentName) -> Value {
    let names = means.agents(agent, true);
    let shown: Map<String, Value> =
        names.iter().take(MAX_PICTURED).map(|name| (name.to_string(), actor_picture(means, name))).collect();
    json!({ "agents": names.len(), "each": shown })
}

fn job_picture(means: &SteeringDeps, id: &JobId) -> Result<Value, JobError> {
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
