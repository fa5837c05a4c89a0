//! The blast radius: whom and what an act would touch, from snapshots alone.
//!
//! What it names is what [`super::agents`] and [`super::jobs`] would do at this moment; the swarm lives on
//! meanwhile, so the proof may tell of a job more or less.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::proof::{Concern, as_usd};
use super::target::Target;
use super::{Means, SteerError};
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::{Job, JobState};
use crate::domain::money::NanoUsd;
use crate::domain::steering::{Action, in_hands, with_those_below};

/// What would be touched.
#[derive(Debug, Clone, Serialize)]
pub struct BlastRadius {
    /// The agents, by name; each before those below it.
    pub agents: Vec<Arc<str>>,
    /// Jobs in their hands, and those below these.
    pub jobs: Vec<JobLine>,
    /// What calls under way of these agents and jobs may cost at most.
    #[serde(rename = "usd_in_flight", serialize_with = "as_usd")]
    pub in_flight: NanoUsd,
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
    means: &Means,
    target: &str,
    action: Action,
    subtree: bool,
) -> Result<BlastRadius, SteerError> {
    let active = means.jobs.book.active()?;
    match Target::resolve(means, target)? {
        Target::Agent(agent) => {
            let named = means.agents(&agent, subtree);
            let touched = if action == Action::Kill { means.ended_with(&named)? } else { named };
            Ok(of_workers(means, touched, &active))
        }
        Target::Service(service) if action == Action::Kill => {
            Ok(of_workers(means, means.ended_with(&[service])?, &active))
        }
        Target::Service(service) => Ok(of_workers(means, vec![service], &active)),
        // The job alone is begun anew; what is below it goes on.
        Target::Job(id) if matches!(action, Action::Reassign | Action::Restart) => {
            let alone: Vec<&Job> = active.iter().filter(|job| job.id == id).collect();
            Ok(of_jobs(means, &alone))
        }
        Target::Job(id) => Ok(of_jobs(means, &with_those_below(&active, &HashSet::from([id])))),
        Target::Approval(id) => {
            let job = means.jobs.book.approval(&id)?.job_id;
            Ok(of_jobs(means, &with_those_below(&active, &HashSet::from([job]))))
        }
    }
}

fn of_workers(means: &Means, workers: Vec<Arc<str>>, active: &[Job]) -> BlastRadius {
    let agents: HashSet<AgentName> = workers.iter().filter_map(|name| AgentName::new(&**name).ok()).collect();
    let held: HashSet<JobId> = in_hands(active, &agents).map(|job| job.id.clone()).collect();
    let jobs = with_those_below(active, &held);
    radius(means, workers, agents, &jobs)
}

fn of_jobs(means: &Means, jobs: &[&Job]) -> BlastRadius {
    let mut workers = Vec::<Arc<str>>::new();
    for job in jobs.iter().filter(|job| job.is_in_hand()) {
        let name = job.card.agent.as_str();
        if workers.iter().all(|known| **known != *name) {
            workers.push(Arc::from(name));
        }
    }
    // The agents' other calls are none of these jobs' business.
    radius(means, workers, HashSet::new(), jobs)
}

fn radius(means: &Means, workers: Vec<Arc<str>>, agents: HashSet<AgentName>, jobs: &[&Job]) -> BlastRadius {
    let ids = jobs.iter().map(|job| job.id.clone()).collect();
    let concern = Concern { agents, jobs: ids, with_those_below: false };
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
    }
}
