//! How an agent stands: separate facts, and the one word that follows from them.
//!
//! Every port, list and screen shows this word or maps it one to one; none has a rule of its own. The rule,
//! the first that fits; trouble comes before work, and what waits for a person before what runs:
//!
//! 1. `down`: it has ended, or is ending.
//! 2. `error`: it ended abnormally and is not back, or is silent for so long that it is being killed.
//! 3. `degraded`: it has not started yet, its last sign of life is later than an interval, or it ended
//!    abnormally within the last [`CRASH_SHOWN`].
//! 4. `paused`: its messages are held back.
//! 5. `waiting_approval`: a person is asked about one of its jobs, or by it.
//! 6. `blocked`: one of its jobs has failed for good, and its director decides.
//! 7. `running`: it handles a message, or one of its jobs is under way.
//! 8. `queued`: messages or jobs wait for it.
//! 9. `paused`: all its open jobs are held.
//! 10. `done`: one of its jobs was done lately.
//! 11. `ok`: it is alive and idle.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::approval::Approval;
use crate::domain::job::{Job, JobState};
use crate::domain::time::Timestamp;

/// How long a crash is shown by the word: long enough to be seen, and to be over once all is well again.
pub const CRASH_SHOWN: Duration = Duration::from_secs(10);

/// How long a job that is done is shown by the word.
pub const DONE_SHOWN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Ok,
    /// Something waits for it.
    Queued,
    Running,
    /// A person is asked.
    WaitingApproval,
    /// A failure waits for its director.
    Blocked,
    Paused,
    /// Up, but not as it should be.
    Degraded,
    Error,
    Down,
    /// Its last work is done.
    Done,
}

impl AgentStatus {
    /// Whether somebody should look: it does not work, or not well.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Degraded | Self::Error | Self::Down)
    }

    /// The word for a job where the contract wants one of these. A job that was cancelled is down, one
    /// that the run went on without is degraded.
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

/// Where an actor is in its life, as its supervisor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its first start is under way.
    Starting,
    Up,
    /// It ended abnormally and is to be started again.
    Restarting,
    /// It is silent for too long, and is being killed for it.
    Silent,
    /// It is ending or has ended.
    Ended,
}

/// What an agent's jobs say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
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

impl Work {
    /// Takes a job in.
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

/// Whether an agent is alive and well, whatever it has to do.
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

/// Whose decision an agent's work waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// A person's answer to a question.
    Person,
    /// Its director's, about a job that failed for good.
    Director,
}

/// How an agent stands: the word, and the facts that it sums up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentStanding {
    /// By the rule of this file.
    pub status: AgentStatus,
    pub health: AgentHealth,
    /// Whether its messages are held back.
    pub paused: bool,
    /// Its job under way that began last.
    pub working_on: Option<JobId>,
    /// The kind of the message in hand.
    pub handling: Option<&'static str>,
    /// Whose decision one of its jobs waits for.
    pub waiting_for: Option<WaitsFor>,
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

/// What the job book says of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentWork {
    open: Work,
    working_on: Option<(Option<Timestamp>, JobId)>,
    done_at: Option<Timestamp>,
}

impl AgentWork {
    /// The work of all agents that have any: out of the jobs that have not ended, the questions that wait for
    /// a person, and the jobs that ended lately.
    #[must_use]
    pub fn of_agents<'j>(
        active: impl IntoIterator<Item = &'j Job>,
        asked: impl IntoIterator<Item = &'j Approval>,
        ended: impl IntoIterator<Item = &'j Job>,
    ) -> HashMap<AgentName, Self> {
        let mut agents = HashMap::<AgentName, Self>::new();
        for job in active {
            agents.entry(job.card.agent.clone()).or_default().add_open(job);
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

    fn add_open(&mut self, job: &Job) {
        self.open.add(job.state);
        if job.state == JobState::Running {
            self.working_on = self.working_on.take().max(Some((job.started_at, job.id.clone())));
        }
    }

    /// What its jobs say at a moment.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Work {
        Work { done: self.done_at.is_some_and(|done| now.since(done) < DONE_SHOWN), ..self.open }
    }

    /// Its job under way that began last.
    #[must_use]
    pub fn working_on(&self) -> Option<&JobId> {
        self.working_on.as_ref().map(|(_, job)| job)
    }
}

/// All that is seen of an actor at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Where it is in its life.
    pub life: Life,
    /// Whether its messages are held back.
    pub is_held: bool,
    /// Whether it has a message in hand.
    pub is_handling: bool,
    pub waiting: usize,
    /// How long it has been silent, and how often it must show life; `None` where nothing is expected.
    pub silence: Option<(Duration, Duration)>,
    /// How long ago it ended abnormally.
    pub crashed: Option<Duration>,
    /// What its jobs say.
    pub work: Work,
}

impl Signs {
    /// The word, by the rule of this file.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        match self.health() {
            AgentHealth::Ok => self.activity(),
            AgentHealth::Degraded => AgentStatus::Degraded,
            AgentHealth::Error => AgentStatus::Error,
            AgentHealth::Down => AgentStatus::Down,
        }
    }

    /// Whether it is alive and well.
    #[must_use]
    pub fn health(&self) -> AgentHealth {
        let is_late = self.silence.is_some_and(|(silent, interval)| silent > interval);
        let crashed = self.crashed.is_some_and(|ago| ago < CRASH_SHOWN);
        match self.life {
            Life::Ended => AgentHealth::Down,
            Life::Restarting | Life::Silent => AgentHealth::Error,
            Life::Starting => AgentHealth::Degraded,
            Life::Up if is_late || crashed => AgentHealth::Degraded,
            Life::Up => AgentHealth::Ok,
        }
    }

    /// Whose decision its jobs wait for.
    #[must_use]
    pub fn waiting_for(&self) -> Option<WaitsFor> {
        match self.work {
            Work { asks: true, .. } => Some(WaitsFor::Person),
            Work { blocked: true, .. } => Some(WaitsFor::Director),
            _ => None,
        }
    }

    fn activity(&self) -> AgentStatus {
        let Work { asks, blocked, running, queued, paused, done } = self.work;
        match () {
            () if self.is_held => AgentStatus::Paused,
            () if asks => AgentStatus::WaitingApproval,
            () if blocked => AgentStatus::Blocked,
            () if running || self.is_handling => AgentStatus::Running,
            () if queued || self.waiting > 0 => AgentStatus::Queued,
            () if paused => AgentStatus::Paused,
            () if done => AgentStatus::Done,
            () => AgentStatus::Ok,
        }
    }
}

/// The state of all agents in one sentence: how many there are, and how many are down or not well.
#[must_use]
pub fn health_line(total: usize, down: usize, unwell: usize) -> String {
    let agents = format!("{total} {}", if total == 1 { "agent" } else { "agents" });
    match (down, unwell) {
        (0, 0) if total == 0 => "no agents".to_owned(),
        (0, 0) => format!("{agents}, all answering"),
        (0, unwell) => format!("{agents}, {unwell} not well"),
        (down, 0) => format!("{agents}, {down} down"),
        (down, unwell) => format!("{agents}, {down} down, {unwell} not well"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Signs = Signs {
        life: Life::Up,
        is_held: false,
        is_handling: false,
        waiting: 0,
        silence: Some((Duration::from_secs(30), Duration::from_secs(60))),
        crashed: None,
        work: Work { asks: false, blocked: false, running: false, queued: false, paused: false, done: false },
    };

    fn with(states: &[JobState]) -> Signs {
        let mut work = Work::default();
        states.iter().for_each(|state| work.add(*state));
        Signs { work, ..IDLE }
    }

    #[test]
    fn life_decides_before_work() {
        let busy = with(&[JobState::Running, JobState::AwaitingApproval]);
        for (life, word) in [
            (Life::Ended, AgentStatus::Down),
            (Life::Restarting, AgentStatus::Error),
            (Life::Silent, AgentStatus::Error),
            (Life::Starting, AgentStatus::Degraded),
            (Life::Up, AgentStatus::WaitingApproval),
        ] {
            assert_eq!(Signs { life, is_held: true, ..busy }.status().is_trouble(), life != Life::Up);
            assert_eq!(Signs { life, ..busy }.status(), word);
        }
    }

    #[test]
    fn a_late_beat_or_a_fresh_crash_degrades_until_it_is_over() {
        let interval = Duration::from_secs(60);
        let late = |silent| Signs { silence: Some((silent, interval)), ..IDLE }.status();
        assert_eq!(late(interval), AgentStatus::Ok, "a beat is due after an interval, not late yet");
        assert_eq!(late(interval + Duration::from_millis(1)), AgentStatus::Degraded);
        assert_eq!(Signs { silence: None, ..IDLE }.status(), AgentStatus::Ok);
        let crashed = |ago| Signs { crashed: Some(ago), is_held: true, ..IDLE }.status();
        assert_eq!(crashed(Duration::ZERO), AgentStatus::Degraded);
        assert_eq!(crashed(CRASH_SHOWN), AgentStatus::Paused);
    }

    #[test]
    fn what_needs_a_person_comes_before_what_runs() {
        use JobState::{AwaitingApproval, Blocked, Done, Failed, Paused, Queued, Running};
        for (jobs, word) in [
            (&[Done, Paused, Queued, Running, Blocked, AwaitingApproval][..], AgentStatus::WaitingApproval),
            (&[Done, Paused, Queued, Running, Blocked], AgentStatus::Blocked),
            (&[Done, Paused, Queued, Running], AgentStatus::Running),
            (&[Done, Paused, Queued], AgentStatus::Queued),
            (&[Done, Paused], AgentStatus::Paused),
            (&[Done, Failed], AgentStatus::Done),
            (&[Failed], AgentStatus::Ok),
        ] {
            assert_eq!(with(jobs).status(), word, "{jobs:?}");
            assert_eq!(Signs { is_held: true, ..with(jobs) }.status(), AgentStatus::Paused, "{jobs:?}");
        }
    }

    #[test]
    fn messages_count_as_work_where_there_are_no_jobs() {
        assert_eq!(IDLE.status(), AgentStatus::Ok);
        assert_eq!(Signs { waiting: 1, ..IDLE }.status(), AgentStatus::Queued);
        assert_eq!(Signs { waiting: 1, is_handling: true, ..IDLE }.status(), AgentStatus::Running);
    }

    #[test]
    fn the_facts_stand_apart_from_the_word() {
        let asked = Signs { is_held: true, ..with(&[JobState::Running, JobState::AwaitingApproval]) };
        assert_eq!((asked.status(), asked.health()), (AgentStatus::Paused, AgentHealth::Ok));
        assert_eq!(asked.waiting_for(), Some(WaitsFor::Person), "a pause does not answer the question");
        let crashed = Signs { life: Life::Restarting, ..with(&[JobState::Blocked]) };
        assert_eq!((crashed.status(), crashed.health()), (AgentStatus::Error, AgentHealth::Error));
        assert_eq!(crashed.waiting_for(), Some(WaitsFor::Director));
        assert_eq!(IDLE.waiting_for(), None);
    }

    #[test]
    fn work_is_gathered_by_agent_and_done_fades() {
        let job = |id: &str, state, started: i64| Job {
            state,
            started_at: Some(Timestamp::from_millis(started)),
            ended_at: Some(Timestamp::from_millis(started)),
            ..crate::domain::job::testing::job(id, "coder", "write")
        };
        let open = [job("run-1.a", JobState::Running, 1), job("run-1.b", JobState::Running, 5)];
        let ended = [job("run-0.a", JobState::Done, 7), job("run-0.b", JobState::Failed, 9)];
        let agents = AgentWork::of_agents(&open, [], &ended);
        let work = &agents[&open[0].card.agent];
        assert_eq!(work.working_on().map(JobId::as_str), Some("run-1.b"), "the one that began last");
        let done_at = |millis| work.at(Timestamp::from_millis(millis)).done;
        assert!(done_at(7) && done_at(7 + 299_999) && !done_at(7 + 300_000));
    }

    #[test]
    fn health_is_one_line() {
        assert_eq!(health_line(50, 0, 0), "50 agents, all answering");
        assert_eq!(health_line(50, 1, 2), "50 agents, 1 down, 2 not well");
        assert_eq!(health_line(50, 0, 1), "50 agents, 1 not well");
        assert_eq!(health_line(1, 1, 0), "1 agent, 1 down");
        assert_eq!(health_line(0, 0, 0), "no agents");
    }
}
