//! A person's actions on the running swarm, and their blast radius.
//!
//! Pure: names and rules only; `actors::steering` performs the actions.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::ids::{AgentName, JobId};
use super::job::Job;

/// Longest name of a principal, in characters: every audit entry has one.
pub const MAX_WHO: usize = 64;

/// The actions. Source: the HMI's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SteeringAction {
    /// An agent takes no messages; a job and all steps are paused.
    Pause,
    /// Ends a pause.
    Resume,
    /// An agent stops cleanly and starts again; a job restarts from the beginning, or is resubmitted if
    /// already ended.
    Restart,
    /// An agent is killed; a job is cancelled by force.
    Kill,
    /// A job goes to another agent.
    Reassign,
    /// A pending approval is granted.
    Approve,
    /// A pending approval is denied.
    Reject,
}

impl SteeringAction {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Reassign => "reassign",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// The acting principal: a name valid in an audit entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name of the acting principal must be 1 to {MAX_WHO} printable ASCII characters")]
pub struct PrincipalNameError;

impl PrincipalName {
    /// An anonymous principal, named after the entrance: `hmi`, `api`.
    #[must_use]
    pub fn by_way_of(port: &'static str) -> Self {
        Self(port.to_owned())
    }

    /// Parses a caller's name.
    ///
    /// # Errors
    /// [`PrincipalNameError`] when the name is empty, too long, or not printable.
    pub fn new(text: &str) -> Result<Self, PrincipalNameError> {
        let text = text.trim();
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if (1..=MAX_WHO).contains(&text.len()) && is_printable {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrincipalNameError)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The open jobs in the hands of these agents.
pub fn in_hands<'j>(jobs: &'j [Job], agents: &HashSet<AgentName>) -> impl Iterator<Item = &'j Job> {
    jobs.iter().filter(move |job| job.is_in_hand() && agents.contains(&job.card.agent))
}

/// These open jobs and all open jobs below them, in the order of `jobs`.
#[must_use]
pub fn with_those_below<'j>(jobs: &'j [Job], tops: &HashSet<JobId>) -> Vec<&'j Job> {
    let is_meant = |job: &&Job| {
        std::iter::successors(Some(job.id.clone()), JobId::parent).any(|above| tops.contains(&above))
    };
    jobs.iter().filter(|job| !job.state.is_terminal()).filter(is_meant).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{JobState, testing};

    const STATES: [JobState; 9] = [
        JobState::Queued,
        JobState::Running,
        JobState::AwaitingApproval,
        JobState::Blocked,
        JobState::Paused,
        JobState::Done,
        JobState::Failed,
        JobState::Cancelled,
        JobState::Quarantined,
    ];

    fn job(id: &str, agent: &str, state: JobState, paused_from: Option<JobState>) -> Job {
        let mut job = testing::job(id, agent, "t");
        (job.state, job.paused_from) = (state, paused_from);
        job
    }

    fn names(agents: &[&str]) -> HashSet<AgentName> {
        agents.iter().map(|name| AgentName::new(*name).unwrap()).collect()
    }

    #[test]
    fn who_acts_fits_into_a_line() {
        assert_eq!(PrincipalName::new(" cli:ada ").unwrap().as_str(), "cli:ada");
        for wrong in ["", "  ", "a\nb", "zo\u{eb}", "a\u{7f}", &"x".repeat(65)] {
            assert!(PrincipalName::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_namesake_is_not_below() {
        let jobs = ["run-1", "run-1.a", "run-1.a.b", "run-10", "run-1-2.a"];
        let jobs: Vec<Job> = jobs.iter().map(|id| job(id, "a", JobState::Queued, None)).collect();
        let tops = HashSet::from([JobId::new("run-1").unwrap()]);
        let found: Vec<_> = with_those_below(&jobs, &tops).iter().map(|job| job.id.as_str()).collect();
        assert_eq!(found, ["run-1", "run-1.a", "run-1.a.b"]);
    }

    fn any_jobs() -> impl Strategy<Value = Vec<Job>> {
        let row = (prop::collection::vec(0..3_u8, 1..4), 0..4_u8, 0..9_usize, prop::option::of(0..4_usize));
        prop::collection::vec(row, 0..30).prop_map(|rows| {
            rows.into_iter()
                .map(|(path, agent, state, from)| {
                    let id: Vec<String> = path.iter().map(|step| format!("s{step}")).collect();
                    let from = from.map(|from| STATES[from]).filter(|_| STATES[state] == JobState::Paused);
                    job(&id.join("."), &format!("a{agent}"), STATES[state], from)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn whom_it_concerns_is_alive_and_whoever_it_does_not_is_not_touched(jobs in any_jobs(), agent in 0..4_u8) {
            let agents = names(&[&format!("a{agent}")]);
            let held: Vec<&Job> = in_hands(&jobs, &agents).collect();
            for job in &held {
                prop_assert!(agents.contains(&job.card.agent) && !job.state.is_terminal());
            }
            let tops: HashSet<JobId> = held.iter().map(|job| job.id.clone()).collect();
            let concerned = with_those_below(&jobs, &tops);
            for job in &jobs {
                let is_below = tops.iter().any(|top| {
                    job.id == *top || job.id.as_str().starts_with(&format!("{top}."))
                });
                let is_concerned = concerned.iter().any(|other| std::ptr::eq(*other, job));
                prop_assert_eq!(is_concerned, is_below && !job.state.is_terminal(), "{}", job.id);
            }
            prop_assert!(held.iter().all(|job| concerned.iter().any(|other| std::ptr::eq(*other, *job))));
        }
    }
}
