//! The heartbeat monitor: detects silent services, publishes alerts, and deregisters dead services.
//!
//! There are two sources. Outside services: every sweep reads their silence off the registry, and the rule of
//! [`crate::domain::heartbeat`] decides the action. Agents: supervision itself detects and acts; its events
//! become alerts. Invariants: each step of the rule is reported once; a service is reported as deregistered
//! only when the registry has done so; however many services take a step in one sweep, that is one request to
//! the registry and, beyond a screenful, one alert with a count. Alerts are kept in memory (the last [`KEPT_ALERTS`]) and in the daily
//! file ([`super::alert_journal`]), and published to the event stream. Soft state: a new incarnation starts
//! counting anew and may report a step again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::alert_journal::AlertJournal;
use super::event_stream::EventStreamHandle;
use super::registry::{JudgedService, RegistryHandle, ServiceCounts, WatchedService};
use crate::domain::agent::AgentDefinition;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::heartbeat::{
    HeartbeatAction, HeartbeatAlert, HeartbeatAlertType, HeartbeatTransition, HeartbeatWatch,
};
use crate::domain::registry::agent_service_id;
use crate::domain::time::Timestamp;
use crate::supervision::liveness::HANG_FACTOR;
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    SupervisionEvent, SupervisionEventKind, WorkerOptions,
};

/// Alerts kept in memory: the most that `GET /alerts` can page through; some 300 KiB.
pub const KEPT_ALERTS: usize = 1000;
/// Shortest pause between two sweeps, whatever is due: a sweep over 10,000 services takes milliseconds.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for an answer by callers; the monitor itself never waits.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most alerts of one step in one sweep that are reported each by itself; more are one alert with a count.
pub const ALERTS_APART: usize = 20;
/// Ids named in an alert about many services.
const NAMED_IDS: usize = 100;
const PARENT_LABEL: &str = "parent";

#[derive(Debug)]
pub enum MonitorMessage {
    /// Time to check the outside services.
    Sweep,
    Supervision(Box<SupervisionEvent>),
    /// The registry has decided about the services that missed their third heartbeat.
    Expired {
        /// The services as judged.
        watched: Vec<WatchedService>,
        /// The ids of those that the registry removed.
        gone: HashSet<String>,
    },
    /// The alerts in memory, oldest first.
    Alerts(ReplySender<Vec<NumberedAlert>>),
    Stats(ReplySender<MonitorStats>),
}

impl ActorMessage for MonitorMessage {
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

/// A number, which rises by one from alert to alert, and the alert.
pub type NumberedAlert = (u64, HeartbeatAlert);

/// The state of the services, and the time of the last sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorStats {
    pub counts: ServiceCounts,
    pub last_check: Option<Timestamp>,
}

/// The monitor's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MonitorHandle {
    address: Address<MonitorMessage>,
    check_interval: Duration,
}

impl MonitorHandle {
    /// The alerts in memory, newest last.
    ///
    /// # Errors
    /// [`CallError`] when the monitor does not answer.
    pub async fn alerts(&self) -> Result<Vec<NumberedAlert>, CallError> {
        self.address.call(DEADLINE, MonitorMessage::Alerts).await
    }

    /// The state of the services.
    ///
    /// # Errors
    /// [`CallError`] when the monitor does not answer.
    pub async fn stats(&self) -> Result<MonitorStats, CallError> {
        self.address.call(DEADLINE, MonitorMessage::Stats).await
    }

    /// The longest time between two sweeps.
    #[must_use]
    pub fn check_interval(&self) -> Duration {
        self.check_interval
    }
}

struct MonitorState {
    registry: RegistryHandle,
    events: EventStreamHandle,
    journal: AlertJournal,
    watches: HashMap<String, HeartbeatWatch>,
    /// Agents reported as down and not yet as back.
    fallen: HashSet<String>,
    alerts: VecDeque<NumberedAlert>,
    last_check: Option<Timestamp>,
    /// The registry is deciding about the dead of an earlier sweep.
    is_expiring: bool,
    /// When the sweep after the next one is due; read by the timer.
    next_due: watch::Sender<Option<Duration>>,
}

/// The monitor as a child of a supervisor, and a handle. Sweeps at least every `sweep`, earlier when a
/// heartbeat is due earlier, and writes below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    registry: RegistryHandle,
    events: EventStreamHandle,
    sweep: Duration,
    workdir: PathBuf,
) -> (ChildSpec, MonitorHandle) {
    let listened = system.clone();
    let (spec, address) = system.worker(name, options, move |context| {
        let next_due = watch::Sender::new(None);
        context.spawn(keep_time(context.address().clone(), registry.clone(), next_due.subscribe(), sweep));
        // Subscribed before any agent can fall, provided that this actor starts before them.
        context.spawn(listen(context.address().clone(), listened.events().subscribe()));
        let state = MonitorState {
            registry: registry.clone(),
            events: events.clone(),
            journal: AlertJournal::start(&workdir, &context),
            watches: HashMap::new(),
            fallen: HashSet::new(),
            alerts: VecDeque::new(),
            last_check: None,
            is_expiring: false,
            next_due,
        };
        async move { Ok(state) }
    });
    (spec, MonitorHandle { address, check_interval: sweep })
}

/// Asks for a sweep at least every `longest`; earlier when a heartbeat is due or a service has registered.
async fn keep_time(
    address: Address<MonitorMessage>,
    registry: RegistryHandle,
    mut due: watch::Receiver<Option<Duration>>,
    longest: Duration,
) {
    let mut membership = registry.membership();
    loop {
        // A full mailbox has a sweep already.
        let _ = address.cast(MonitorMessage::Sweep);
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

/// Forwards supervision events.
async fn listen(address: Address<MonitorMessage>, mut events: broadcast::Receiver<SupervisionEvent>) {
    loop {
        match events.recv().await {
            Ok(event) if is_about_life(&event.kind) => {
                if let Err(error) = address.cast(MonitorMessage::Supervision(Box::new(event))) {
                    tracing::warn!(%error, "an event of supervision makes no alert");
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "supervision events came faster than they could be forwarded");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn is_about_life(what: &SupervisionEventKind) -> bool {
    use SupervisionEventKind::{Crashed, Escalated, Hung, Restarted, Spinning};
    matches!(what, Hung { .. } | Spinning { .. } | Escalated { .. } | Crashed { .. } | Restarted { .. })
}

impl MonitorState {
    fn sweep(&mut self, context: &ActorContext<MonitorMessage>) {
        let all = self.registry.watched();
        let present: HashSet<&str> = all.iter().map(|w| w.service.service_id.as_str()).collect();
        self.watches.retain(|id, _| present.contains(id.as_str()));
        let due = all.iter().filter_map(|w| w.service.pace().until_change(w.silence)).min();
        let (mut dead, mut alerts) = (Vec::new(), Vec::new());
        for watched in all {
            let pace = watched.service.pace();
            let id = watched.service.service_id.clone();
            let watch = self.watches.entry(id).or_insert_with(|| HeartbeatWatch::from_beat(watched.beat));
            for transition in watch.observe(watched.beat, watched.silence, pace) {
                match transition {
                    HeartbeatTransition::Deregister if self.is_expiring => watch.retry_deregistration(),
                    HeartbeatTransition::Deregister => dead.push(watched.clone()),
                    _ => alerts.push(alert(&watched, transition)),
                }
            }
        }
        self.publish_together(alerts);
        if !dead.is_empty() {
            self.expire(dead, context);
        }
        self.last_check = Some(Timestamp::now());
        self.next_due.send_replace(due);
    }

    /// Lets the registry decide, in a task; the answer comes back as a message.
    fn expire(&mut self, watched: Vec<WatchedService>, context: &ActorContext<MonitorMessage>) {
        self.is_expiring = true;
        let (registry, address) = (self.registry.clone(), context.address().clone());
        context.spawn(async move {
            let judged = |watched: &WatchedService| JudgedService {
                service_id: watched.service.service_id.clone(),
                beat: watched.beat,
            };
            let gone = registry.expire(watched.iter().map(judged).collect()).await;
            let gone = gone.unwrap_or_else(|error| {
                let services = watched.len();
                tracing::warn!(services, %error, "dead services are still registered; trying again");
                Vec::new()
            });
            let answer = MonitorMessage::Expired { watched, gone: gone.into_iter().collect() };
            if let Err(error) = address.send(answer).await {
                tracing::debug!(%error, "the monitor has ended; the next incarnation judges again");
            }
        });
    }

    /// Reports the services that are gone; the next sweep checks those that are not.
    fn expired(&mut self, watched: &[WatchedService], gone: &HashSet<String>) {
        self.is_expiring = false;
        let mut alerts = Vec::new();
        for watched in watched {
            let id = &watched.service.service_id;
            if gone.contains(id) {
                self.watches.remove(id);
                alerts.push(alert(watched, HeartbeatTransition::Deregister));
            } else if let Some(watch) = self.watches.get_mut(id) {
                watch.retry_deregistration();
            }
        }
        self.publish_together(alerts);
    }

    fn supervised(&mut self, event: &SupervisionEvent) {
        let directory = self.registry.directory().clone();
        let Some(agent) = directory.agent_of(&event.actor) else { return };
        let name = agent.name.to_string();
        let (words, missed) = match &event.kind {
            SupervisionEventKind::Restarted { .. } if self.fallen.remove(&name) => {
                ((HeartbeatAlertType::HeartbeatRestored, HeartbeatAction::Restored), 0)
            }
            SupervisionEventKind::Crashed { reason: ExitReason::Hung, .. }
            | SupervisionEventKind::Restarted { .. } => return,
            SupervisionEventKind::Crashed { .. } => {
                ((HeartbeatAlertType::ServiceDown, HeartbeatAction::MarkedDown), 0)
            }
            SupervisionEventKind::Hung { .. } | SupervisionEventKind::Spinning { .. } => {
                ((HeartbeatAlertType::ServiceDown, HeartbeatAction::Escalated), HANG_FACTOR)
            }
            SupervisionEventKind::Escalated { .. } => {
                ((HeartbeatAlertType::ServiceDown, HeartbeatAction::Escalated), 0)
            }
            _ => return,
        };
        if words.0 == HeartbeatAlertType::ServiceDown {
            self.fallen.insert(name);
        }
        let last_seen = directory.life(agent.name.as_str()).last_beat;
        self.publish_alert(agent_alert(agent, words, missed, last_seen, event.at));
    }

    /// Publishes the alerts of one sweep: many of one step as one alert with their count.
    fn publish_together(&mut self, alerts: Vec<HeartbeatAlert>) {
        let mut steps: BTreeMap<HeartbeatAction, Vec<HeartbeatAlert>> = BTreeMap::new();
        for alert in alerts {
            steps.entry(alert.action).or_default().push(alert);
        }
        for (_, mut alerts) in steps {
            if alerts.len() > ALERTS_APART {
                alerts = together(alerts).into_iter().collect();
            }
            alerts.into_iter().for_each(|alert| self.publish_alert(alert));
        }
    }

    fn publish_alert(&mut self, alert: HeartbeatAlert) {
        tracing::info!(service = alert.service_id, kind = ?alert.alert_type, action = ?alert.action, "alert");
        self.journal.append(&alert);
        let data = serde_json::to_value(&alert).unwrap_or_default();
        self.events
            .publish(SwarmEventDraft { id: alert.id_of_many(), ..SwarmEventDraft::new(kind::ALERT, data) });
        if self.alerts.len() == KEPT_ALERTS {
            self.alerts.pop_front();
        }
        let number = self.alerts.back().map_or(0, |(number, _)| number + 1);
        self.alerts.push_back((number, alert));
    }

    fn stats(&self) -> MonitorStats {
        MonitorStats { counts: self.registry.counts(), last_check: self.last_check }
    }
}

/// One alert about many services: the first by id, the number of all, and the first ids.
fn together(mut alerts: Vec<HeartbeatAlert>) -> Option<HeartbeatAlert> {
    alerts.sort_by(|a, b| a.service_id.cmp(&b.service_id));
    let count = u32::try_from(alerts.len()).ok();
    let service_ids = alerts.iter().take(NAMED_IDS).map(|alert| alert.service_id.clone()).collect();
    let first = alerts.into_iter().next()?;
    Some(HeartbeatAlert { count, service_ids, parent: None, ..first })
}

fn alert(watched: &WatchedService, transition: HeartbeatTransition) -> HeartbeatAlert {
    let (alert_type, action) = transition.words();
    HeartbeatAlert {
        alert_type,
        service_id: watched.service.service_id.clone(),
        service_name: watched.service.name.clone(),
        missed_beats: transition.missed_beats(),
        last_seen: watched.last_seen,
        action,
        ts: Timestamp::now(),
        parent: watched.service.labels.get(PARENT_LABEL).cloned(),
        count: None,
        service_ids: Vec::new(),
    }
}

fn agent_alert(
    agent: &AgentDefinition,
    (alert_type, action): (HeartbeatAlertType, HeartbeatAction),
    missed_beats: u32,
    last_seen: Option<Timestamp>,
    ts: Timestamp,
) -> HeartbeatAlert {
    HeartbeatAlert {
        alert_type,
        service_id: agent_service_id(agent.name.as_str()),
        service_name: agent.name.to_string(),
        missed_beats,
        last_seen,
        action,
        ts,
        parent: agent.parent.as_ref().map(|parent| agent_service_id(parent.as_str())),
        count: None,
        service_ids: Vec::new(),
    }
}

impl Actor for MonitorState {
    type Message = MonitorMessage;

    async fn handle(
        &mut self,
        message: MonitorMessage,
        context: &ActorContext<MonitorMessage>,
    ) -> Result<(), ActorError> {
        match message {
            MonitorMessage::Sweep => self.sweep(context),
            MonitorMessage::Supervision(event) => self.supervised(&event),
            MonitorMessage::Expired { watched, gone } => self.expired(&watched, &gone),
            MonitorMessage::Alerts(reply) => reply.send(self.alerts.iter().cloned().collect()),
            MonitorMessage::Stats(reply) => reply.send(self.stats()),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.journal.flush().await;
    }
}
