//! An agent's status: separate facts, and the one word that follows from them.
//!
//! Every port, list and screen shows this word or maps it one to one; none has a rule of its own. The first
//! match wins; trouble comes before work, and work before what the agent also waits for:
//!
//! 1. `down`: the actor has ended, or is ending.
//! 2. `error`: the actor ended abnormally and is not back, or is hung and being killed.
//! 3. `degraded`: the actor has not started yet, or its last sign of life is older than one interval.
//! 4. `running`: the agent handles a message, or works on a job ([`super::activity`]), also while it is
//!    paused and ends what it has begun.
//! 5. `degraded`: the actor ended abnormally within the last [`CRASH_SHOWN`], and is not at work again.
//! 6. `paused`: the mailbox is paused.
//! 7. `waiting_approval`: an approval is pending for one of the agent's jobs, or requested by the agent.
//! 8. `blocked`: a job of the agent has failed for good, and the director decides.
//! 9. `queued`: messages or jobs wait for the agent.
//! 10. `paused`: all open jobs of the agent are paused.
//! 11. `done`: a job of the agent was done recently.
//! 12. `ok`: the agent is alive and idle.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::activity;
use crate::ids::{AgentName, JobId};
use crate::job::approval::Approval;
use crate::job::{Job, JobState};
use crate::time::Timestamp;

/// How long a crash shows in the status: long enough to be seen, and gone once all is well again.
pub const CRASH_SHOWN: Duration = Duration::from_secs(10);

/// How long a finished job shows in the status.
pub const DONE_SHOWN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Ok,
    /// Messages or jobs wait.
    Queued,
    Running,
    /// A person is asked.
    WaitingApproval,
    /// A failure waits for the director.
    Blocked,
    Paused,
    /// Up, but impaired.
    Degraded,
    Error,
    Down,
    /// The last work is done.
    Done,
}

impl AgentStatus {
    /// Whether the agent needs attention.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Degraded | Self::Error | Self::Down)
    }

    /// The status of a job in these words, for the contract. A cancelled job is down, a waived one degraded.
    #[must_use]
    pub const fn of_job(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::AwaitingApproval => Self::WaitingApproval,
            JobState::Blocked => Self::Blocked,
            JobState::Paused => Self::Paused,
            JobState::Done => Self::Done,
            JobState::Failed => Self::Error,
            JobState::Cancelled => Self::Down,
            JobState::Quarantined => Self::Degraded,
        }
    }
}

/// An actor's phase, known to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorLifecycle {
    /// The first start is under way.
    Starting,
    Up,
    /// Ended abnormally, to be started again.
    Restarting,
    /// Silent for too long, and being killed for that.
    Silent,
    /// Ending, or ended.
    Ended,
}

/// The facts from an agent's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobSigns {
    /// A person is asked about one.
    pub asks: bool,
    /// One has failed for good.
    pub blocked: bool,
    /// One is under way.
    pub running: bool,
    pub queued: bool,
    pub paused: bool,
    /// One was done lately.
    pub done: bool,
}

impl JobSigns {
    pub fn add(&mut self, state: JobState) {
        match state {
            JobState::Queued => self.queued = true,
            JobState::Running => self.running = true,
            JobState::AwaitingApproval => self.asks = true,
            JobState::Blocked => self.blocked = true,
            JobState::Paused => self.paused = true,
            JobState::Done => self.done = true,
            JobState::Failed | JobState::Cancelled | JobState::Quarantined => {}
        }
    }
}

/// An agent's health, whatever the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentHealth {
    /// Alive, on time, and without a fresh crash.
    Ok,
    /// Starting, late, or back from a crash a moment ago.
    Degraded,
    /// Crashed and not back yet, or silent and being killed.
    Error,
    Down,
}

/// The decision maker that an agent's work waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionMaker {
    /// A person's answer to a question.
    Person,
    /// The director's, about a job that failed for good.
    Director,
}

/// An agent's status with the underlying facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentStanding {
    /// By the rule of this file.
    pub status: AgentStatus,
    pub health: AgentHealth,
    /// Whether the mailbox is paused.
    pub paused: bool,
    /// The job under way that began last.
    pub working_on: Option<JobId>,
    /// The kind of the message in hand.
    pub handling: Option<&'static str>,
    /// Whose decision one of the jobs waits for.
    pub waiting_for: Option<DecisionMaker>,
}

impl AgentStanding {
    /// Of an agent that is not in the tree.
    pub const ABSENT: Self = Self {
        status: AgentStatus::Down,
        health: AgentHealth::Down,
        paused: false,
        working_on: None,
        handling: None,
        waiting_for: None,
    };
}

/// One agent's entries in the job book.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentWork {
    open: JobSigns,
    working_on: Option<(Option<Timestamp>, JobId)>,
    done_at: Option<Timestamp>,
}

impl AgentWork {
    /// The work of all agents that have any, from the open jobs, the pending approvals, and the jobs that
    /// ended recently. `is_held_up` says of a running job that it waits for machine resources.
    #[must_use]
    pub fn of_agents<'j>(
        active: impl IntoIterator<Item = &'j Job>,
        asked: impl IntoIterator<Item = &'j Approval>,
        ended: impl IntoIterator<Item = &'j Job>,
        is_held_up: impl Fn(&JobId) -> bool,
    ) -> HashMap<AgentName, Self> {
        let mut agents = HashMap::<AgentName, Self>::new();
        let active: Vec<&Job> = active.into_iter().collect();
        let activities = activity::of_jobs(active.iter().copied(), is_held_up);
        for job in active {
            let at = activities.get(&job.id).copied().unwrap_or(job.state);
            agents.entry(job.card.agent.clone()).or_default().add_open(job, at);
        }
        for approval in asked {
            agents.entry(approval.agent.clone()).or_default().open.asks = true;
        }
        for job in ended.into_iter().filter(|job| job.state == JobState::Done) {
            let work = agents.entry(job.card.agent.clone()).or_default();
            work.done_at = work.done_at.max(job.ended_at);
        }
        agents
    }

    fn add_open(&mut self, job: &Job, activity: JobState) {
        self.open.add(activity);
        if activity == JobState::Running {
            self.working_on = self.working_on.take().max(Some((job.started_at, job.id.clone())));
        }
    }

    /// The facts from the agent's jobs at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> JobSigns {
        JobSigns { done: self.done_at.is_some_and(|done| now.since(done) < DONE_SHOWN), ..self.open }
    }

    /// The job under way that began last.
    #[must_use]
    pub fn working_on(&self) -> Option<&JobId> {
        self.working_on.as_ref().map(|(_, job)| job)
    }
}

/// Everything observed of an actor at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorSigns {
    pub life: ActorLifecycle,
    /// Whether the mailbox is paused.
    pub is_paused: bool,
    /// Whether a message is being handled.
    pub is_handling: bool,
    pub waiting: usize,
    /// Length of the silence, and the interval between expected signs of life; `None` where none are
    /// expected.
    pub silence: Option<(Duration, Duration)>,
    /// Time since the last abnormal end.
    pub crashed: Option<Duration>,
    /// The facts from the agent's jobs.
    pub work: JobSigns,
}

impl ActorSigns {
    /// The word, by the rule of this file.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        let has_crashed = self.life == ActorLifecycle::Up && !self.is_late();
        match self.health() {
            AgentHealth::Ok => self.activity(),
            AgentHealth::Degraded if has_crashed && self.activity() == AgentStatus::Running => {
                AgentStatus::Running
            }
            AgentHealth::Degraded => AgentStatus::Degraded,
            AgentHealth::Error => AgentStatus::Error,
            AgentHealth::Down => AgentStatus::Down,
        }
    }

    /// The agent's health, whatever the work.
    #[must_use]
    pub fn health(&self) -> AgentHealth {
        let crashed = self.crashed.is_some_and(|ago| ago < CRASH_SHOWN);
        match self.life {
            ActorLifecycle::Ended => AgentHealth::Down,
            ActorLifecycle::Restarting | ActorLifecycle::Silent => AgentHealth::Error,
            ActorLifecycle::Starting => AgentHealth::Degraded,
            ActorLifecycle::Up if self.is_late() || crashed => AgentHealth::Degraded,
            ActorLifecycle::Up => AgentHealth::Ok,
        }
    }

    fn is_late(&self) -> bool {
        self.silence.is_some_and(|(silent, interval)| silent > interval)
    }

    /// Whose decision the agent's jobs wait for.
    #[must_use]
    pub fn waiting_for(&self) -> Option<DecisionMaker> {
        match self.work {
            JobSigns { asks: true, .. } => Some(DecisionMaker::Person),
            JobSigns { blocked: true, .. } => Some(DecisionMaker::Director),
            _ => None,
        }
    }

    fn activity(&self) -> AgentStatus {
        let JobSigns { asks, blocked, running, queued, paused, done } = self.work;
        match () {
            () if running || self.is_handling => AgentStatus::Running,
            () if self.is_paused => AgentStatus::Paused,
            () if asks => AgentStatus::WaitingApproval,
            () if blocked => AgentStatus::Blocked,
            () if queued || self.waiting > 0 => AgentStatus::Queued,
            () if paused => AgentStatus::Paused,
            () if done => AgentStatus::Done,
            () => AgentStatus::Ok,
        }
    }
}

/// How many of a kind there are, and how many of them are down or unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthCount {
    pub total: usize,
    pub down: usize,
    pub unwell: usize,
}

impl HealthCount {
    fn in_words(self, one: &str, many: &str) -> String {
        let Self { total, down, unwell } = self;
        let all = format!("{total} {}", if total == 1 { one } else { many });
        match (down, unwell) {
            (0, 0) if total == 0 => format!("no {many}"),
            (0, 0) => format!("{all}, all answering"),
            (0, unwell) => format!("{all}, {unwell} unhealthy"),
            (down, 0) => format!("{all}, {down} down"),
            (down, unwell) => format!("{all}, {down} down, {unwell} unhealthy"),
        }
    }
}

/// All agents, and all services from outside if there are any, in one sentence.
#[must_use]
pub fn health_line(agents: HealthCount, outside: HealthCount) -> String {
    let agents = agents.in_words("agent", "agents");
    match outside.total {
        0 => agents,
        _ => format!("{agents}; {}", outside.in_words("outside service", "outside services")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: ActorSigns = ActorSigns {
        life: ActorLifecycle::Up,
        is_paused: false,
        is_handling: false,
        waiting: 0,
        silence: Some((Duration::from_secs(30), Duration::from_secs(60))),
        crashed: None,
        work: JobSigns {
            asks: false,
            blocked: false,
            running: false,
            queued: false,
            paused: false,
            done: false,
        },
    };

    fn with(states: &[JobState]) -> ActorSigns {
        let mut work = JobSigns::default();
        states.iter().for_each(|state| work.add(*state));
        ActorSigns { work, ..IDLE }
    }

    #[test]
    fn life_decides_before_work() {
        let busy = with(&[JobState::Running, JobState::AwaitingApproval]);
        for (life, word) in [
            (ActorLifecycle::Ended, AgentStatus::Down),
            (ActorLifecycle::Restarting, AgentStatus::Error),
            (ActorLifecycle::Silent, AgentStatus::Error),
            (ActorLifecycle::Starting, AgentStatus::Degraded),
            (ActorLifecycle::Up, AgentStatus::Running),
        ] {
            assert_eq!(
                ActorSigns { life, is_paused: true, ..busy }.status().is_trouble(),
                life != ActorLifecycle::Up
            );
            assert_eq!(ActorSigns { life, ..busy }.status(), word);
        }
    }

    #[test]
    fn a_late_beat_or_a_fresh_crash_degrades_until_it_is_over() {
        let interval = Duration::from_secs(60);
        let late = |silent| ActorSigns { silence: Some((silent, interval)), ..IDLE }.status();
        assert_eq!(late(interval), AgentStatus::Ok, "a beat is due after an interval, not late yet");
        assert_eq!(late(interval + Duration::from_millis(1)), AgentStatus::Degraded);
        assert_eq!(ActorSigns { silence: None, ..IDLE }.status(), AgentStatus::Ok);
        let crashed = |ago| ActorSigns { crashed: Some(ago), is_paused: true, ..IDLE }.status();
        assert_eq!(crashed(Duration::ZERO), AgentStatus::Degraded);
        assert_eq!(crashed(CRASH_SHOWN), AgentStatus::Paused);
        let at_work = ActorSigns { crashed: Some(Duration::ZERO), ..with(&[JobState::Running]) };
        assert_eq!((at_work.status(), at_work.health()), (AgentStatus::Running, AgentHealth::Degraded));
        let silent = Some((interval + Duration::from_millis(1), interval));
        assert_eq!(ActorSigns { silence: silent, ..at_work }.status(), AgentStatus::Degraded);
    }

    #[test]
    fn an_agent_that_works_is_running_whatever_else_waits() {
        use JobState::{AwaitingApproval, Blocked, Done, Failed, Paused, Queued, Running};
        for (jobs, word) in [
            (&[Done, Paused, Queued, Running, Blocked, AwaitingApproval][..], AgentStatus::Running),
            (&[Done, Paused, Queued, Blocked, AwaitingApproval], AgentStatus::WaitingApproval),
            (&[Done, Paused, Queued, Blocked], AgentStatus::Blocked),
            (&[Done, Paused, Queued], AgentStatus::Queued),
            (&[Done, Paused], AgentStatus::Paused),
            (&[Done, Failed], AgentStatus::Done),
            (&[Failed], AgentStatus::Ok),
        ] {
            assert_eq!(with(jobs).status(), word, "{jobs:?}");
            let held_back = ActorSigns { is_paused: true, ..with(jobs) }.status();
            let works = word == AgentStatus::Running;
            assert_eq!(held_back, if works { word } else { AgentStatus::Paused }, "{jobs:?}");
        }
    }

    #[test]
    fn messages_count_as_work_where_there_are_no_jobs() {
        assert_eq!(IDLE.status(), AgentStatus::Ok);
        assert_eq!(ActorSigns { waiting: 1, ..IDLE }.status(), AgentStatus::Queued);
        assert_eq!(ActorSigns { waiting: 1, is_handling: true, ..IDLE }.status(), AgentStatus::Running);
    }

    #[test]
    fn the_facts_stand_apart_from_the_word() {
        let asked = ActorSigns { is_paused: true, ..with(&[JobState::Running, JobState::AwaitingApproval]) };
        assert_eq!((asked.status(), asked.health()), (AgentStatus::Running, AgentHealth::Ok));
        assert_eq!(asked.waiting_for(), Some(DecisionMaker::Person), "a pause does not answer the question");
        let crashed = ActorSigns { life: ActorLifecycle::Restarting, ..with(&[JobState::Blocked]) };
        assert_eq!((crashed.status(), crashed.health()), (AgentStatus::Error, AgentHealth::Error));
        assert_eq!(crashed.waiting_for(), Some(DecisionMaker::Director));
        assert_eq!(IDLE.waiting_for(), None);
    }

    #[test]
    fn work_is_gathered_by_agent_and_done_fades() {
        let job = |id: &str, state, started: i64| Job {
            state,
            started_at: Some(Timestamp::from_millis(started)),
            ended_at: Some(Timestamp::from_millis(started)),
            ..crate::job::testing::job(id, "coder", "write")
        };
        let open = [job("run-1.a", JobState::Running, 1), job("run-1.b", JobState::Running, 5)];
        let ended = [job("run-0.a", JobState::Done, 7), job("run-0.b", JobState::Failed, 9)];
        let agents = AgentWork::of_agents(&open, [], &ended, |_| false);
        let work = &agents[&open[0].card.agent];
        assert_eq!(work.working_on().map(JobId::as_str), Some("run-1.b"), "the one that began last");
        let done_at = |millis| work.at(Timestamp::from_millis(millis)).done;
        assert!(done_at(7) && done_at(7 + 299_999) && !done_at(7 + 300_000));
    }

    #[test]
    fn health_is_one_line() {
        let count = |total, down, unwell| HealthCount { total, down, unwell };
        let line = |total, down, unwell| health_line(count(total, down, unwell), HealthCount::default());
        assert_eq!(line(50, 0, 0), "50 agents, all answering");
        assert_eq!(line(50, 1, 2), "50 agents, 1 down, 2 unhealthy");
        assert_eq!(line(50, 0, 1), "50 agents, 1 unhealthy");
        assert_eq!(line(1, 1, 0), "1 agent, 1 down");
        assert_eq!(line(0, 0, 0), "no agents");
        let dead = health_line(count(50, 0, 0), count(1000, 1000, 0));
        assert_eq!(dead, "50 agents, all answering; 1000 outside services, 1000 down");
        assert!(health_line(count(1, 0, 0), count(1, 0, 0)).ends_with("; 1 outside service, all answering"));
    }
}
