//! The proof of a kill or restart: readings from before and after, and nothing else.
//!
//! Each figure is the difference of two readings of one source (supervision tree, gateway, resource manager,
//! process groups, accounts). Anything that has not ended in time is not counted.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::{Instant, sleep};

use super::SteeringDeps;
use crate::actors::gateway::{CallOwner, WatchedCalls};
use crate::domain::accounts::budget::{HoldId, RunName, SpendRequest};
use crate::domain::ids::{AgentName, JobId};
use crate::domain::money::NanoUsd;

/// How long ended work may take to let go: a step stops at the next checkpoint (one document's time), a
/// stream when the reader gets the error.
const SETTLE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Serialize)]
pub struct SteeringProof {
    /// The workers that ended, and their next incarnations.
    pub agents: Vec<AgentProof>,
    /// Model calls that were cut off at their vendors.
    pub streams_closed: usize,
    /// Process groups that ended.
    pub processes_gone: usize,
    pub reservations_released: usize,
    /// Settled holds of calls that were in flight.
    #[serde(rename = "holds_released_usd", serialize_with = "as_usd")]
    pub holds_released: NanoUsd,
    /// Total cost of the affected jobs and of the calls that were in flight.
    #[serde(rename = "final_cost_usd", serialize_with = "as_usd")]
    pub final_cost: NanoUsd,
}

/// One worker, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentProof {
    pub name: Arc<str>,
    pub before: u64,
    pub after: u64,
    /// Time from the signal to the worker's supervisor until the worker was up again, in milliseconds; `None`
    /// if that took too long to wait for.
    pub back_ms: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde demands")]
pub(super) fn as_usd<S: Serializer>(amount: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    amount.wire().serialize(serializer)
}

#[derive(Debug, Clone, Default)]
pub(super) struct SteeringScope {
    /// The agents whose calls are included.
    pub(super) agents: HashSet<AgentName>,
    pub(super) jobs: HashSet<JobId>,
    /// Whether jobs below these are included.
    pub(super) with_those_below: bool,
}

impl SteeringScope {
    /// Whether a job is included. By id: callers may name jobs that PAS does not know.
    pub(super) fn has_job(&self, job: &str) -> bool {
        let is_below = |top: &JobId| job.strip_prefix(top.as_str()).is_some_and(|rest| rest.starts_with('.'));
        self.jobs.contains(job) || (self.with_those_below && self.jobs.iter().any(is_below))
    }

    pub(super) fn has_call(&self, job: Option<&str>, agent: &str) -> bool {
        self.agents.contains(agent) || job.is_some_and(|job| self.has_job(job))
    }

    pub(super) fn has_hold(&self, wanted: &SpendRequest) -> bool {
        self.has_call(wanted.job.as_ref().map(|job| job.as_str()), wanted.agent.as_str())
    }

    pub(super) fn has_owner(&self, owner: &CallOwner) -> bool {
        self.has_call(owner.job.as_ref().map(|job| job.as_str()), owner.agent.as_str())
    }
}

/// The readings from before.
pub(super) struct ProofReadings<'m> {
    means: &'m SteeringDeps,
    concern: SteeringScope,
    calls: WatchedCalls,
    processes: Vec<i32>,
    reservations: HashSet<String>,
    holds: Vec<(HoldId, SpendRequest)>,
}

impl<'m> ProofReadings<'m> {
    /// Reads the current state of this scope.
    pub(super) fn take(means: &'m SteeringDeps, concern: SteeringScope) -> Self {
        let meant = |job: &str| concern.has_job(job);
        Self {
            calls: means.gateway.watch_calls(|owner| concern.has_owner(owner)),
            processes: means.resources.groups().numbers(meant),
            reservations: means.resources.reservations_of(meant),
            holds: means.gateway.accounts().open_holds(|wanted| concern.has_hold(wanted)),
            means,
            concern,
        }
    }

    /// Ends the calls that were in flight at the reading, and none begun since.
    pub(super) fn end_calls(&self) {
        self.calls.end();
    }

    /// Waits at most [`SETTLE`] for the end; returns the proof of everything ended by then.
    pub(super) async fn proof(self, agents: Vec<AgentProof>) -> SteeringProof {
        let deadline = Instant::now() + SETTLE;
        let streams_closed = self.calls.closed_within(SETTLE).await;
        while Instant::now() < deadline && !(self.still_reserved().is_empty() && self.surviving().is_empty())
        {
            sleep(LOOK).await;
        }
        let open: HashSet<HoldId> =
            self.means.gateway.accounts().open_holds(|_| true).into_iter().map(|(id, _)| id).collect();
        let released = self.holds.iter().filter(|(id, _)| !open.contains(id)).map(|(_, hold)| hold.worst);
        SteeringProof {
            agents,
            streams_closed,
            processes_gone: self.processes.len() - self.surviving().len(),
            reservations_released: self.reservations.len() - self.still_reserved().len(),
            holds_released: released.sum(),
            final_cost: self.final_cost().await,
        }
    }

    /// Earlier reservations that are still active.
    fn still_reserved(&self) -> Vec<String> {
        let held = self.means.resources.reservations_of(|job| self.concern.has_job(job));
        self.reservations.intersection(&held).cloned().collect()
    }

    /// Earlier process groups that still exist.
    fn surviving(&self) -> Vec<i32> {
        let known = self.means.resources.groups().numbers(|job| self.concern.has_job(job));
        self.processes.iter().copied().filter(|number| known.contains(number)).collect()
    }

    /// All settled receipts of the jobs and of the calls that were in flight, each once.
    async fn final_cost(&self) -> NanoUsd {
        let of_jobs = self.concern.jobs.iter().map(|job| RunName::from(&job.run()));
        let runs: BTreeSet<RunName> =
            of_jobs.chain(self.holds.iter().map(|(_, wanted)| wanted.run.clone())).collect();
        let held: HashSet<HoldId> = self.holds.iter().map(|(id, _)| *id).collect();
        let mut cost = NanoUsd::ZERO;
        for run in runs {
            let receipts = match self.means.gateway.accounts().receipts(&run).await {
                Ok(receipts) => receipts,
                Err(error) => {
                    tracing::warn!(%run, %error, "a run's receipts cannot be read; a proof leaves its cost out");
                    continue;
                }
            };
            let is_meant = |job: Option<&str>| job.is_some_and(|job| self.concern.has_job(job));
            let meant = receipts.iter().filter(|receipt| {
                let job = receipt.wanted.job.as_ref().map(|job| job.as_str());
                held.contains(&receipt.hold) || is_meant(job)
            });
            cost = cost.saturating_add(meant.map(|receipt| receipt.outcome.cost).sum());
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concern(jobs: &[&str], with_those_below: bool) -> SteeringScope {
        let agents = HashSet::from([AgentName::new("corpus-auditor").unwrap()]);
        let jobs = jobs.iter().map(|id| JobId::new(*id).unwrap()).collect();
        SteeringScope { agents, jobs, with_those_below }
    }

    #[test]
    fn an_agents_own_jobs_are_meant_and_those_below_only_with_a_job() {
        let own = concern(&["run-1.data"], false);
        assert!(own.has_job("run-1.data") && !own.has_job("run-1.data.lane") && !own.has_job("run-1"));
        let tree = concern(&["run-1"], true);
        assert!(tree.has_job("run-1.data.lane") && !tree.has_job("run-10") && !tree.has_job("run-10.data"));
    }

    #[test]
    fn a_call_is_meant_by_its_agent_or_its_job() {
        let concern = concern(&["run-1"], false);
        assert!(concern.has_call(None, "corpus-auditor") && concern.has_call(Some("run-1"), "client"));
        assert!(!concern.has_call(Some("run-2"), "client") && !concern.has_call(None, "client"));
    }
}
