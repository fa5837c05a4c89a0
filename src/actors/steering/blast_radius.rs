//! The blast radius: the agents and jobs an action would touch, read from snapshots only.
//!
//! Lists the targets that [`super::agents`] and [`super::jobs`] would act on at this moment; the swarm goes
//! on meanwhile, so the proof may list a job more or less.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::proof::{SteeringScope, as_usd};
use super::target::SteeringTarget;
use super::{SteeringDeps, SteeringError};
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::{Job, JobState, takeover};
use crate::domain::money::NanoUsd;
use crate::domain::steering::{SteeringAction, in_hands, with_those_below};

#[derive(Debug, Clone, Serialize)]
pub struct BlastRadius {
    /// The agents, by name; each before those below it.
    pub agents: Vec<Arc<str>>,
    /// The agents' jobs, with all jobs below those.
    pub jobs: Vec<JobLine>,
    /// The most that these agents' and jobs' calls in flight may cost.
    #[serde(rename = "usd_in_flight", serialize_with = "as_usd")]
    pub in_flight: NanoUsd,
    /// Of a job to be reassigned: the agents that can take it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takers: Option<Vec<AgentName>>,
}

/// One job of a blast radius.
#[derive(Debug, Clone, Serialize)]
pub struct JobLine {
    pub job_id: JobId,
    pub task: String,
    pub agent: AgentName,
    pub state: JobState,
}

pub(super) fn of(
    means: &SteeringDeps,
    target: &str,
    action: SteeringAction,
    subtree: bool,
) -> Result<BlastRadius, SteeringError> {
    let active = means.jobs.book.active()?;
    match SteeringTarget::resolve(means, target)? {
        SteeringTarget::Agent(agent) => {
            let named = means.agents(&agent, subtree);
            let touched = if action == SteeringAction::Kill { means.ended_with(&named)? } else { named };
            Ok(of_workers(means, touched, &active))
        }
        SteeringTarget::Service(service) if action == SteeringAction::Kill => {
            Ok(of_workers(means, means.ended_with(&[service])?, &active))
        }
        SteeringTarget::Service(service) => Ok(of_workers(means, vec![service], &active)),
        // Only the job itself begins anew; the jobs below go on.
        SteeringTarget::Job(id) if matches!(action, SteeringAction::Reassign | SteeringAction::Restart) => {
            let alone: Vec<&Job> = active.iter().filter(|job| job.id == id).collect();
            let roster = means.jobs.agents.roster();
            let takers = alone.first().filter(|_| action == SteeringAction::Reassign);
            let takers = takers.map(|job| takeover::takers(roster, means.jobs.tasks, job));
            Ok(BlastRadius { takers, ..of_jobs(means, &alone) })
        }
        SteeringTarget::Job(id) => Ok(of_jobs(means, &with_those_below(&active, &HashSet::from([id])))),
        SteeringTarget::Approval(id) => {
            let job = means.jobs.book.approval(&id)?.job_id;
            Ok(of_jobs(means, &with_those_below(&active, &HashSet::from([job]))))
        }
    }
}

fn of_workers(means: &SteeringDeps, workers: Vec<Arc<str>>, active: &[Job]) -> BlastRadius {
    let agents: HashSet<AgentName> = workers.iter().filter_map(|name| AgentName::new(&**name).ok()).collect();
    let held: HashSet<JobId> = in_hands(active, &agents).map(|job| job.id.clone()).collect();
    let jobs = with_those_below(active, &held);
    radius(means, workers, agents, &jobs)
}

fn of_jobs(means: &SteeringDeps, jobs: &[&Job]) -> BlastRadius {
    let mut workers = Vec::<Arc<str>>::new();
    for job in jobs.iter().filter(|job| job.is_in_hand()) {
        let name = job.card.agent.as_str();
        if workers.iter().all(|known| **known != *name) {
            workers.push(Arc::from(name));
        }
    }
    // The agents' other calls do not belong to these jobs.
    radius(means, workers, HashSet::new(), jobs)
}

fn radius(
    means: &SteeringDeps,
    workers: Vec<Arc<str>>,
    agents: HashSet<AgentName>,
    jobs: &[&Job],
) -> BlastRadius {
    let ids = jobs.iter().map(|job| job.id.clone()).collect();
    let concern = SteeringScope { agents, jobs: ids, with_those_below: false };
    let holds = means.gateway.accounts().open_holds(|wanted| concern.has_hold(wanted));
    let line = |job: &&Job| JobLine {
        job_id: job.id.clone(),
        task: job.card.task.clone(),
        agent: job.card.agent.clone(),
        state: job.state,
    };
    BlastRadius {
        agents: workers,
        jobs: jobs.iter().map(line).collect(),
        in_flight: holds.iter().map(|(_, wanted)| wanted.worst).sum(),
        takers: None,
    }
}
