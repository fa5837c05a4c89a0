//! The heartbeat monitor: notices who has fallen silent, says so, and has the dead deregistered.
//!
//! Two sources meet here. Outside services: their silence is read off the registry at every sweep, and
//! the rule of [`crate::domain::heartbeat`] says what follows. Agents: supervision itself notices and
//! acts; its events become alerts. Invariants: each step of the rule is told once; a service is told to
//! be deregistered only when the registry has done so. Alerts are kept in memory (the last
//! [`KEPT_ALERTS`]) and in the daily file ([`super::alert_journal`]), and told to the event stream. Soft state: a new incarnation
//! starts its counts anew and may tell a step again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::alert_journal::Journal;
use super::event_stream::Events;
use super::registry::{Counts, RegistryHandle, Watched};
use crate::domain::agent::AgentDefinition;
use crate::domain::event::{Draft, kind};
use crate::domain::heartbeat::{Action, Alert, AlertType, Transition, Watch};
use crate::domain::registry::agent_service_id;
use crate::domain::time::Timestamp;
use crate::supervision::liveness::HANG_FACTOR;
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, Happening,
    Message as ActorMessage, Reply, SupervisionEvent, WorkerOptions,
};

/// Alerts kept in memory: the most that `GET /alerts` can page through; some 300 KiB.
pub const KEPT_ALERTS: usize = 1000;
/// Shortest pause between two sweeps, whatever is due: a look at 10,000 services takes milliseconds.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for an answer; the monitor never waits itself.
const DEADLINE: Duration = Duration::from_secs(5);
/// The label by which an outside service names who stands above it.
const PARENT_LABEL: &str = "parent";

/// What the monitor is told and asked.
#[derive(Debug)]
pub enum Message {
    /// Time to look at the outside services.
    Sweep,
    Supervision(Box<SupervisionEvent>),
    /// The registry has decided about a service that missed its third beat.
    Expired {
        /// As it was when it was judged.
        watched: Box<Watched>,
        /// Whether it was deregistered.
        gone: bool,
    },
    /// The alerts in memory, oldest first.
    Alerts(Reply<Vec<NumberedAlert>>),
    Stats(Reply<Stats>),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Supervision(_) => "supervision",
            Self::Expired { .. } => "expired",
            Self::Alerts(_) => "alerts",
            Self::Stats(_) => "stats",
        }
    }
}

/// An alert with its number, which rises by one from alert to alert.
pub type NumberedAlert = (u64, Alert);

/// How the services do, and when it was last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    pub counts: Counts,
    pub last_check: Option<Timestamp>,
}

/// The monitor's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MonitorHandle {
    address: Address<Message>,
    check_interval: Duration,
}

impl MonitorHandle {
    /// The alerts in memory, newest last.
    ///
    /// # Errors
    /// [`CallError`] when the monitor does not answer.
    pub async fn alerts(&self) -> Result<Vec<NumberedAlert>, CallError> {
        self.address.call(DEADLINE, Message::Alerts).await
    }

    /// How the services do.
    ///
    /// # Errors
    /// [`CallError`] when the monitor does not answer.
    pub async fn stats(&self) -> Result<Stats, CallError> {
        self.address.call(DEADLINE, Message::Stats).await
    }

    /// The longest time between two looks.
    #[must_use]
    pub fn check_interval(&self) -> Duration {
        self.check_interval
    }
}

struct State {
    registry: RegistryHandle,
    events: Events,
    journal: Journal,
    watches: HashMap<String, Watch>,
    /// Agents that were told to be down and not yet to be back.
    fallen: HashSet<String>,
    alerts: VecDeque<NumberedAlert>,
    last_check: Option<Timestamp>,
    /// When the sweep after the next one is due; read by the timer.
    next_due: watch::Sender<Option<Duration>>,
}

/// The monitor as a child of a supervisor, and its handle. It looks at least every `sweep`, sooner where
/// a beat is due sooner, and writes below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    registry: RegistryHandle,
    events: Events,
    sweep: Duration,
    workdir: PathBuf,
) -> (ChildSpec, MonitorHandle) {
    let listened = system.clone();
    let (spec, address) = system.worker(name, options, move |context| {
        let next_due = watch::Sender::new(None);
        context.spawn(keep_time(context.address().clone(), registry.clone(), next_due.subscribe(), sweep));
        // Subscribed before the first agent can fall, as far as this actor is started before them.
        context.spawn(listen(context.address().clone(), listened.events().subscribe()));
        let state = State {
            registry: registry.clone(),
            events: events.clone(),
            journal: Journal::start(&workdir, &context),
            watches: HashMap::new(),
            fallen: HashSet::new(),
            alerts: VecDeque::new(),
            last_check: None,
            next_due,
        };
        async move { Ok(state) }
    });
    (spec, MonitorHandle { address, check_interval: sweep })
}

/// Asks for a sweep at least every `longest`; sooner when something is due sooner, or someone came.
async fn keep_time(
    address: Address<Message>,
    registry: RegistryHandle,
    mut due: watch::Receiver<Option<Duration>>,
    longest: Duration,
) {
    let mut membership = registry.membership();
    loop {
        // A full mailbox holds a sweep already.
        let _ = address.cast(Message::Sweep);
        let earliest = Instant::now() + MIN_PAUSE.min(longest);
        let mut at = Instant::now() + longest;
        loop {
            tokio::select! {
                () = sleep_until(at.max(earliest)) => break,
                changed = due.changed() => match (changed, *due.borrow_and_update()) {
                    (Ok(()), Some(left)) => at = at.min(Instant::now() + left),
                    (Ok(()), None) => {}
                    (Err(_), _) => return,
                },
                changed = membership.changed() => match changed {
                    Ok(()) => at = earliest,
                    Err(_) => return,
                },
            }
        }
    }
}

/// Passes on what supervision tells.
async fn listen(address: Address<Message>, mut events: broadcast::Receiver<SupervisionEvent>) {
    loop {
        match events.recv().await {
            Ok(event) if is_about_life(&event.what) => {
                if let Err(error) = address.cast(Message::Supervision(Box::new(event))) {
                    tracing::warn!(%error, "an event of supervision makes no alert");
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "events of supervision came faster than they could be told");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn is_about_life(what: &Happening) -> bool {
    use Happening::{Crashed, Escalated, Hung, Restarted, Spinning};
    matches!(what, Hung { .. } | Spinning { .. } | Escalated { .. } | Crashed { .. } | Restarted { .. })
}

impl State {
    fn sweep(&mut self, context: &Context<Message>) {
        let all = self.registry.watched();
        let present: HashSet<&str> = all.iter().map(|w| w.service.service_id.as_str()).collect();
        self.watches.retain(|id, _| present.contains(id.as_str()));
        let due = all.iter().filter_map(|w| w.service.pace().until_change(w.silence)).min();
        for watched in all {
            let pace = watched.service.pace();
            let id = watched.service.service_id.clone();
            let watch = self.watches.entry(id).or_insert_with(|| Watch::from_beat(watched.beat));
            for transition in watch.look(watched.beat, watched.silence, pace) {
                if transition == Transition::Deregister {
                    self.expire(watched.clone(), context);
                } else {
                    self.tell(alert(&watched, transition));
                }
            }
        }
        self.last_check = Some(Timestamp::now());
        self.next_due.send_replace(due);
    }

    /// Has the registry decide, as a task; the answer comes back as a message.
    fn expire(&self, watched: Watched, context: &Context<Message>) {
        let (registry, address) = (self.registry.clone(), context.address().clone());
        context.spawn(async move {
            let id = watched.service.service_id.clone();
            let gone = registry.expire(id.clone(), watched.beat).await.unwrap_or_else(|error| {
                tracing::warn!(service = id, %error, "a dead service is still registered; trying again");
                false
            });
            let answer = Message::Expired { watched: Box::new(watched), gone };
            if let Err(error) = address.cast(answer) {
                tracing::warn!(service = id, %error, "the end of a service makes no alert");
            }
        });
    }

    /// Tells that a service is gone; one that is not is looked at anew by the next sweep.
    fn expired(&mut self, watched: &Watched, gone: bool) {
        if gone {
            self.watches.remove(&watched.service.service_id);
            self.tell(alert(watched, Transition::Deregister));
        } else if let Some(watch) = self.watches.get_mut(&watched.service.service_id) {
            watch.retry_deregistration();
        }
    }

    fn supervised(&mut self, event: &SupervisionEvent) {
        let directory = self.registry.directory().clone();
        let Some(agent) = directory.agent_of(&event.actor) else { return };
        let name = agent.name.to_string();
        let (words, missed) = match &event.what {
            Happening::Restarted { .. } if self.fallen.remove(&name) => {
                ((AlertType::HeartbeatRestored, Action::Restored), 0)
            }
            Happening::Crashed { reason: ExitReason::Hung, .. } | Happening::Restarted { .. } => return,
            Happening::Crashed { .. } => ((AlertType::ServiceDown, Action::MarkedDown), 0),
            Happening::Hung { .. } | Happening::Spinning { .. } => {
                ((AlertType::ServiceDown, Action::Escalated), HANG_FACTOR)
            }
            Happening::Escalated { .. } => ((AlertType::ServiceDown, Action::Escalated), 0),
            _ => return,
        };
        if words.0 == AlertType::ServiceDown {
            self.fallen.insert(name);
        }
        let last_seen = directory.life(agent.name.as_str()).last_beat;
        self.tell(agent_alert(agent, words, missed, last_seen, event.at));
    }

    fn tell(&mut self, alert: Alert) {
        tracing::info!(service = alert.service_id, kind = ?alert.alert_type, action = ?alert.action, "alert");
        self.journal.append(&alert);
        self.events.publish(Draft::new(kind::ALERT, serde_json::to_value(&alert).unwrap_or_default()));
        if self.alerts.len() == KEPT_ALERTS {
            self.alerts.pop_front();
        }
        let number = self.alerts.back().map_or(0, |(number, _)| number + 1);
        self.alerts.push_back((number, alert));
    }

    fn stats(&self) -> Stats {
        Stats { counts: self.registry.counts(), last_check: self.last_check }
    }
}

fn alert(watched: &Watched, transition: Transition) -> Alert {
    let (alert_type, action) = transition.words();
    Alert {
        alert_type,
        service_id: watched.service.service_id.clone(),
        service_name: watched.service.name.clone(),
        missed_beats: transition.missed_beats(),
        last_seen: watched.last_seen,
        action,
        ts: Timestamp::now(),
        parent: watched.service.labels.get(PARENT_LABEL).cloned(),
    }
}

fn agent_alert(
    agent: &AgentDefinition,
    (alert_type, action): (AlertType, Action),
    missed_beats: u32,
    last_seen: Option<Timestamp>,
    ts: Timestamp,
) -> Alert {
    Alert {
        alert_type,
        service_id: agent_service_id(agent.name.as_str()),
        service_name: agent.name.to_string(),
        missed_beats,
        last_seen,
        action,
        ts,
        parent: agent.parent.as_ref().map(|parent| agent_service_id(parent.as_str())),
    }
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Sweep => self.sweep(context),
            Message::Supervision(event) => self.supervised(&event),
            Message::Expired { watched, gone } => self.expired(&watched, gone),
            Message::Alerts(reply) => reply.send(self.alerts.iter().cloned().collect()),
            Message::Stats(reply) => reply.send(self.stats()),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.journal.flush().await;
    }
}
