//! The agents' current statuses: facts from the tree and the job book, judged by the one rule in
//! `domain::hmi::status`.
//!
//! Owns the newest reading of the job book. Two write that reading: the watcher ([`spec`]), which reads again
//! after commits, and callers that have just read the book for another purpose. Invariants: a reading is
//! never replaced by an older one; reading a status sends no message and waits for no disk. Failure policy:
//! when the book cannot be read the last reading stays, and the next commit is the next try.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use super::jobs::{JobError, JobsShared};
use super::jobs_snapshot::JobsSnapshot;
use crate::domain::hmi::{ActorLifecycle, ActorSigns, AgentStanding, AgentWork, JobSigns};
use crate::domain::ids::AgentName;
use crate::domain::time::Timestamp;
use crate::supervision::mailbox::MailboxVitals;
use crate::supervision::tree::{ActorNode, ActorPhase, NodeState};
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ChildSpec, WorkerOptions,
};

/// Least time between two readings: below the threshold of perception.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// The watcher's pause as a multiple of a reading's duration: readings take at most a tenth of one processor.
const REST: u32 = 9;
/// The longest pause, however long a reading took.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// The agents' statuses. Cheap to clone.
#[derive(Clone)]
pub struct AgentStandings(Arc<StandingsShared>);

struct StandingsShared {
    system: ActorSystem,
    reading: RwLock<WorkReading>,
    version: AtomicU64,
}

struct WorkReading {
    at: Timestamp,
    agents: HashMap<AgentName, AgentWork>,
}

impl fmt::Debug for AgentStandings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentStandings")
    }
}

impl AgentStandings {
    /// The agents of `system`, before anything about their jobs is known.
    #[must_use]
    pub fn new(system: ActorSystem) -> Self {
        let reading = WorkReading { at: Timestamp::from_millis(0), agents: HashMap::new() };
        Self(Arc::new(StandingsShared { system, reading: RwLock::new(reading), version: AtomicU64::new(0) }))
    }

    /// The system the agents live in.
    #[must_use]
    pub fn system(&self) -> &ActorSystem {
        &self.0.system
    }

    /// The status of the actor of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> AgentStanding {
        let node = self.0.system.tree().by_name(name);
        node.map_or(AgentStanding::ABSENT, |node| self.of_node(&node, &node.state(), node.vitals().as_ref()))
    }

    /// A node's status, with the state and mailbox seen at the same moment.
    #[must_use]
    pub fn of_node(
        &self,
        node: &ActorNode,
        state: &NodeState,
        vitals: Option<&MailboxVitals>,
    ) -> AgentStanding {
        let now = Timestamp::now();
        let reading = self.0.reading.read();
        let work = reading.agents.get(&*node.name);
        let signs = signs(node, state, vitals, work.map_or(JobSigns::default(), |work| work.at(now)), now);
        AgentStanding {
            status: signs.status(),
            health: signs.health(),
            paused: signs.is_paused,
            working_on: work.and_then(AgentWork::working_on).cloned(),
            handling: vitals.and_then(|vitals| vitals.current).map(|(kind, _)| kind),
            waiting_for: signs.waiting_for(),
        }
    }

    /// Publishes a reading of the job book, unless there is a newer one.
    pub fn publish(&self, jobs: &JobsSnapshot) {
        let agents = jobs.work_of_agents();
        let mut reading = self.0.reading.write();
        if reading.at > jobs.at {
            return;
        }
        reading.at = jobs.at;
        if reading.agents != agents {
            reading.agents = agents;
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Grows whenever the jobs of some agent changed, so that caches can check whether they are current.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }
}

fn signs(
    node: &ActorNode,
    state: &NodeState,
    vitals: Option<&MailboxVitals>,
    work: JobSigns,
    now: Timestamp,
) -> ActorSigns {
    let crashed = state.last_exit.as_ref().filter(|(reason, _)| reason.is_abnormal());
    ActorSigns {
        life: life(state.phase),
        is_paused: vitals.is_some_and(|vitals| vitals.paused),
        is_handling: vitals.is_some_and(|vitals| vitals.current.is_some()),
        waiting: vitals.map_or(0, |vitals| vitals.depth),
        silence: vitals.and_then(|vitals| Some((vitals.last_beat.elapsed(), node.heartbeat?))),
        crashed: crashed.map(|(_, at)| now.since(*at)),
        work,
    }
}

fn life(phase: ActorPhase) -> ActorLifecycle {
    match phase {
        ActorPhase::Starting => ActorLifecycle::Starting,
        ActorPhase::Running => ActorLifecycle::Up,
        ActorPhase::Restarting => ActorLifecycle::Restarting,
        ActorPhase::Hung | ActorPhase::Spinning => ActorLifecycle::Silent,
        ActorPhase::Stopping | ActorPhase::Stopped => ActorLifecycle::Ended,
    }
}

/// The watcher handles no message.
pub enum StandingMessage {}

impl ActorMessage for StandingMessage {
    fn kind(&self) -> &'static str {
        match *self {}
    }
}

struct StandingWatcher;

impl Actor for StandingWatcher {
    type Message = StandingMessage;

    async fn handle(
        &mut self,
        message: StandingMessage,
        _: &ActorContext<StandingMessage>,
    ) -> Result<(), ActorError> {
        match message {}
    }
}

/// The watcher that keeps `standings` in step with the job book, as a child of a supervisor.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    jobs: Arc<JobsShared>,
    standings: AgentStandings,
) -> ChildSpec {
    let (spec, _) = system.worker(name, options, move |context| {
        context.spawn(watch(Arc::clone(&jobs), standings.clone()));
        async move { Ok(StandingWatcher) }
    });
    spec
}

async fn watch(jobs: Arc<JobsShared>, standings: AgentStandings) {
    let mut commits = jobs.book.commits();
    loop {
        // Before the reading: a commit made during this reading triggers the next.
        commits.mark_unchanged();
        let begun = Instant::now();
        if let Err(error) = read(&jobs, &standings).await {
            tracing::warn!(%error, "the job book could not be read; agents keep the status of the last reading");
        }
        tokio::time::sleep((begun.elapsed() * REST).clamp(MIN_PAUSE, MAX_PAUSE)).await;
        if commits.changed().await.is_err() {
            return;
        }
    }
}

async fn read(jobs: &Arc<JobsShared>, standings: &AgentStandings) -> Result<(), JobError> {
    let (jobs, standings) = (Arc::clone(jobs), standings.clone());
    let read =
        tokio::task::spawn_blocking(move || JobsSnapshot::read(&jobs).map(|jobs| standings.publish(&jobs)));
    // A reading that panicked, or was dropped with the runtime, has changed nothing.
    read.await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::hmi::{AgentHealth, AgentStatus};
    use crate::domain::job::{Job, JobState};
    use crate::supervision::policy::ExitReason;

    /// An agent called `coder` in a tree, up and idle.
    fn up() -> (ActorSystem, AgentStandings, Arc<ActorNode>) {
        let system = ActorSystem::default();
        let standings = AgentStandings::new(system.clone());
        let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let _ = system.worker("coder", options, |_| async { Ok(StandingWatcher) });
        let node = system.tree().by_name("coder").unwrap();
        system.tree().force_state(&node, |state| state.phase = ActorPhase::Running);
        (system, standings, node)
    }

    fn jobs(at: i64, state: JobState) -> JobsSnapshot {
        let job = Job { state, ..crate::domain::job::testing::job("run-1", "coder", "write") };
        let at = Timestamp::from_millis(at);
        JobsSnapshot {
            at,
            active: vec![job],
            runs: Vec::new(),
            runs_total: 0,
            asked: Vec::new(),
            held_up: HashSet::new(),
        }
    }

    #[tokio::test]
    async fn every_phase_has_its_word_and_trouble_comes_before_work() {
        let (system, standings, node) = up();
        standings.publish(&jobs(1, JobState::Running));
        for (phase, status, health) in [
            (ActorPhase::Running, AgentStatus::Running, AgentHealth::Ok),
            (ActorPhase::Starting, AgentStatus::Degraded, AgentHealth::Degraded),
            (ActorPhase::Restarting, AgentStatus::Error, AgentHealth::Error),
            (ActorPhase::Hung, AgentStatus::Error, AgentHealth::Error),
            (ActorPhase::Spinning, AgentStatus::Error, AgentHealth::Error),
            (ActorPhase::Stopping, AgentStatus::Down, AgentHealth::Down),
            (ActorPhase::Stopped, AgentStatus::Down, AgentHealth::Down),
        ] {
            system.tree().force_state(&node, |state| state.phase = phase);
            let standing = standings.of("coder");
            assert_eq!((standing.status, standing.health), (status, health), "{phase:?}");
            assert_eq!(standing.working_on.unwrap().as_str(), "run-1", "{phase:?}");
        }
        assert_eq!(standings.of("nobody"), AgentStanding::ABSENT);
    }

    #[tokio::test]
    async fn a_crash_a_moment_ago_degrades() {
        let (system, standings, node) = up();
        let crash = Some((ExitReason::Killed, Timestamp::now()));
        system.tree().force_state(&node, |state| state.last_exit = crash);
        assert_eq!(standings.of("coder").status, AgentStatus::Degraded);
    }

    #[tokio::test]
    async fn an_older_reading_replaces_nothing_and_only_a_change_is_a_new_version() {
        let (_system, standings, _) = up();
        standings.publish(&jobs(5, JobState::AwaitingApproval));
        let version = standings.version();
        standings.publish(&jobs(4, JobState::Running));
        assert_eq!(standings.of("coder").status, AgentStatus::WaitingApproval);
        standings.publish(&jobs(6, JobState::AwaitingApproval));
        assert_eq!(standings.version(), version, "the same again");
        standings.publish(&jobs(7, JobState::Blocked));
        assert_eq!(standings.of("coder").status, AgentStatus::Blocked);
        assert!(standings.version() > version);
    }
}
