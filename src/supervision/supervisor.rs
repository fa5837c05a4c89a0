//! The supervisor as an actor: executes the decisions of [`SupervisorMachine`] and watches the workers'
//! liveness.
//!
//! Owns no decision about restarts. Invariants: every end of a child reaches the machine once, with the true
//! reason; a name is started again only when the last incarnation has ended; a child that does not end in
//! time is killed, and one that does not yield even then is reported.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::awake_clock::awake_elapsed;
use super::child::SupervisedChild;
use super::control::{SupervisorMessage, SupervisorRequest};
use super::event::SupervisionEventKind;
use super::liveness::{self, LivenessVerdict};
use super::machine::{
    ChildKey, Incarnation, MachineCommand, MachineInput, SupervisorEnding, SupervisorMachine,
};
use super::policy::{ExitReason, PlannedRestart, ShutdownPolicy, SupervisorPolicy};
use super::system::{ActorSystem, ChildSpec};
use super::trace::{ActorNumber, MessageOutcome, TraceRecord};
use super::tree::{ActorNode, ActorPhase, GivenUp};
use super::worker::SHUTDOWN;

/// Starts one incarnation, linked to the given supervisor.
pub(crate) type ChildStarter =
    Arc<dyn Fn(ActorCell, Incarnation) -> BoxFuture<'static, Result<ActorCell, String>> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct SupervisorArgs {
    pub(crate) system: ActorSystem,
    pub(crate) node: Arc<ActorNode>,
    pub(crate) policy: SupervisorPolicy,
    pub(crate) children: Vec<ChildSpec>,
}

pub(crate) struct SupervisorState {
    system: ActorSystem,
    node: Arc<ActorNode>,
    machine: SupervisorMachine,
    children: HashMap<ChildKey, SupervisedChild>,
    by_actor: HashMap<ActorId, (ChildKey, Incarnation)>,
    epoch: Instant,
    for_good: bool,
    /// The first start is under way: no report of a child's end can arrive before that is over.
    booting: bool,
    boot_failure: Option<String>,
    start_replies: HashMap<ChildKey, oneshot::Sender<Option<u64>>>,
}

pub(crate) struct Supervisor;

impl ractor::Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state = SupervisorState::new(args);
        state.feed_machine(&myself, MachineInput::Boot).await;
        state.booting = false;
        if let Some(failure) = state.boot_failure.take() {
            return Err(failure.into());
        }
        *state.node.control.lock() = Some(myself);
        Ok(state)
    }

    async fn post_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        state.schedule_tick(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let SupervisorMessage { header, verb } = message;
        let ring = Arc::clone(&state.system.0.ring);
        let mut record = TraceRecord::open(&header, state.node.number, verb.kind());
        record.started_ns = ring.now_ns();
        let scope = super::trace::TraceScope { context: header.context, actor: state.node.number };
        super::trace::in_scope(scope, state.handle_request(&myself, verb)).await;
        (record.ended_ns, record.outcome) = (ring.now_ns(), MessageOutcome::Ok);
        ring.write(record);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, reason) = match event {
            SupervisionEvent::ActorTerminated(actor, state, reason) => {
                // The last incarnation must release its resources (ports, tasks) before the next one starts.
                drop(state);
                (actor, exit_reason(reason.as_deref()))
            }
            SupervisionEvent::ActorFailed(actor, error) => (actor, ExitReason::Crashed(error.to_string())),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        if let Some((key, incarnation)) = state.by_actor.remove(&actor.get_id()) {
            state.child_ended(&myself, key, incarnation, reason).await;
        }
        Ok(())
    }
}

/// Translates the framework's reason for an end into OTP's.
fn exit_reason(text: Option<&str>) -> ExitReason {
    match text {
        None => ExitReason::Normal,
        Some(text) if text.starts_with(SHUTDOWN) => ExitReason::Shutdown,
        Some("killed" | "actor_task_cancelled") => ExitReason::Killed,
        Some(other) => ExitReason::Crashed(other.to_owned()),
    }
}

impl SupervisorState {
    fn new(args: SupervisorArgs) -> Self {
        let policies = args.children.iter().map(|child| child.policy);
        let machine = SupervisorMachine::new(args.policy, policies).seeded(fastrand::u64(..));
        let children = machine
            .children()
            .zip(args.children)
            .map(|(key, spec)| (key, SupervisedChild::new(spec)))
            .collect();
        Self {
            system: args.system,
            node: args.node,
            machine,
            children,
            by_actor: HashMap::new(),
            epoch: Instant::now(),
            for_good: false,
            booting: true,
            boot_failure: None,
            start_replies: HashMap::new(),
        }
    }

    async fn handle_request(&mut self, myself: &ActorRef<SupervisorMessage>, verb: SupervisorRequest) {
        match verb {
            SupervisorRequest::Shutdown { for_good } => {
                self.for_good = for_good;
                self.feed_machine(myself, MachineInput::Shutdown).await;
            }
            SupervisorRequest::Kill { child, reply } => {
                let killed = self.key_of(child).and_then(|key| self.kill(myself, key, ExitReason::Killed));
                let _ = reply.send(killed);
            }
            SupervisorRequest::Restart { child, why, reply } => {
                let running = self.key_of(child).and_then(|key| Some((key, self.machine.running(key)?)));
                let _ = reply.send(running.map(|(_, incarnation)| incarnation));
                if let Some((key, _)) = running {
                    self.planned_restart(myself, key, why).await;
                }
            }
            SupervisorRequest::Terminate { child, reply } => {
                let key = self.key_of(child);
                let running = key.and_then(|key| self.machine.running(key));
                let _ = reply.send(running);
                if let Some(key) = key {
                    self.close_mailbox(key);
                    self.feed_machine(myself, MachineInput::Terminate(key)).await;
                }
            }
            SupervisorRequest::StartChild { spec, reply } => {
                let key = self.machine.add(spec.policy);
                self.children.insert(key, SupervisedChild::new(*spec));
                self.start_replies.insert(key, reply);
                self.feed_machine(myself, MachineInput::Start(key)).await;
            }
            SupervisorRequest::Tick => {
                self.check_liveness(myself);
                self.schedule_tick(myself);
            }
            SupervisorRequest::Due { key } => self.feed_machine(myself, MachineInput::Due(key)).await,
            SupervisorRequest::Overdue { key, incarnation } => {
                if self.is_current(key, incarnation) {
                    self.kill(myself, key, ExitReason::Killed);
                }
            }
            SupervisorRequest::Unyielding { key, incarnation } => self.report_spinning(key, incarnation),
        }
    }

    async fn planned_restart(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        key: ChildKey,
        why: PlannedRestart,
    ) {
        if let Some(child) = self.children.get_mut(&key) {
            child.planned = true;
            self.system.0.events.publish(&child.spec.node.name, SupervisionEventKind::PlannedRestart { why });
        }
        self.feed_machine(myself, MachineInput::Restart(key)).await;
    }

    /// Feeds one input to the machine and executes the commands, until the machine waits.
    async fn feed_machine(&mut self, myself: &ActorRef<SupervisorMessage>, input: MachineInput) {
        let mut commands: VecDeque<MachineCommand> = self.machine.step(self.epoch.elapsed(), input).into();
        while let Some(command) = commands.pop_front() {
            match command {
                MachineCommand::Start(key, incarnation) => {
                    let answer = self.start(myself, key, incarnation).await;
                    commands.extend(self.machine.step(self.epoch.elapsed(), answer));
                }
                MachineCommand::Stop(key, incarnation) if self.booting => {
                    let answer = self.stop_and_wait(key, incarnation).await;
                    commands.extend(self.machine.step(self.epoch.elapsed(), answer));
                }
                MachineCommand::Stop(key, incarnation) => self.stop(myself, key, incarnation),
                MachineCommand::Wait(key, until) => {
                    let pause = until.saturating_sub(self.epoch.elapsed());
                    self.remind(myself, pause, SupervisorRequest::Due { key });
                }
                MachineCommand::Forget(key) => self.forget(key),
                MachineCommand::Exit(ending) => self.exit(myself, ending),
            }
        }
    }

    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        key: ChildKey,
        incarnation: Incarnation,
    ) -> MachineInput {
        let Some(child) = self.children.get_mut(&key) else {
            return MachineInput::StartFailed(key, ExitReason::StartFailed("the child is unknown".into()));
        };
        let starting = (child.spec.start)(myself.get_cell(), incarnation);
        let deadline = self.system.0.timing.start_deadline;
        let started = match tokio::time::timeout(deadline, starting).await {
            Ok(started) => started,
            Err(_) => Err(format!("initialisation took longer than {deadline:?}")),
        };
        match started {
            Ok(actor) => {
                self.by_actor.insert(actor.get_id(), (key, incarnation));
                child.started(&self.system, actor, incarnation);
                self.answer_start(key, Some(incarnation));
                MachineInput::Started(key)
            }
            Err(error) => {
                let reason = ExitReason::StartFailed(error);
                child.ended(&self.system, incarnation, &reason);
                self.answer_start(key, None);
                MachineInput::StartFailed(key, reason)
            }
        }
    }

    fn answer_start(&mut self, key: ChildKey, answer: Option<u64>) {
        if let Some(reply) = self.start_replies.remove(&key) {
            if answer.is_none() {
                self.forget(key);
            }
            let _ = reply.send(answer);
        }
    }

    fn stop(&mut self, myself: &ActorRef<SupervisorMessage>, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = self.children.get(&key) else { return };
        let Some((actor, _)) = &child.actor else { return };
        self.system.0.tree.update(&child.spec.node, |state| state.phase = ActorPhase::Stopping);
        match child.spec.shutdown {
            ShutdownPolicy::BrutalKill => actor.kill(),
            ShutdownPolicy::Deadline(deadline) => {
                actor.stop(Some(SHUTDOWN.to_owned()));
                self.remind(myself, deadline, SupervisorRequest::Overdue { key, incarnation });
            }
            ShutdownPolicy::Infinity => {
                let control = child.spec.node.control.lock().clone();
                let header = super::trace::current::header(self.system.0.ring.now_ns());
                let for_good = self.for_good;
                let asked = control.map(|c| {
                    c.cast(SupervisorMessage::new(header, SupervisorRequest::Shutdown { for_good }))
                });
                if !matches!(asked, Some(Ok(()))) {
                    actor.stop(Some(SHUTDOWN.to_owned()));
                }
            }
        }
    }

    /// Ends a child of a supervisor that fails to start.
    async fn stop_and_wait(&mut self, key: ChildKey, incarnation: Incarnation) -> MachineInput {
        let answer = MachineInput::Exited(key, incarnation, ExitReason::Shutdown);
        let Some(child) = self.children.get_mut(&key) else { return answer };
        let Some((actor, _)) = child.actor.take() else { return answer };
        self.by_actor.remove(&actor.get_id());
        let deadline = match child.spec.shutdown {
            ShutdownPolicy::Infinity => None,
            ShutdownPolicy::Deadline(deadline) => Some(deadline),
            ShutdownPolicy::BrutalKill => Some(Duration::ZERO),
        };
        let control = child.spec.node.control.lock().clone();
        match control {
            Some(control) => {
                let header = super::trace::current::header(self.system.0.ring.now_ns());
                // A child that cannot be reached has ended already, and the wait is over at once.
                let _ = control
                    .cast(SupervisorMessage::new(header, SupervisorRequest::Shutdown { for_good: false }));
            }
            None => actor.stop(Some(SHUTDOWN.to_owned())),
        }
        if actor.wait(deadline).await.is_err() {
            actor.kill();
        }
        child.ended(&self.system, incarnation, &ExitReason::Shutdown);
        answer
    }

    fn kill(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        key: ChildKey,
        cause: ExitReason,
    ) -> Option<Incarnation> {
        let child = self.children.get_mut(&key)?;
        let (actor, incarnation) = child.actor.as_ref()?;
        let incarnation = *incarnation;
        child.cause.get_or_insert(cause);
        actor.kill();
        if let Some(mailbox) = child.spec.node.mailbox.get() {
            mailbox.cut_off();
        }
        let grace = self.system.0.timing.kill_grace;
        self.remind(myself, grace, SupervisorRequest::Unyielding { key, incarnation });
        Some(incarnation)
    }

    async fn child_ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        key: ChildKey,
        incarnation: Incarnation,
        reason: ExitReason,
    ) {
        let Some(child) = self.children.get_mut(&key) else { return };
        child.actor = None;
        let reason = child.cause.take().filter(|_| reason == ExitReason::Killed).unwrap_or(reason);
        child.ended(&self.system, incarnation, &reason);
        self.feed_machine(myself, MachineInput::Exited(key, incarnation, reason)).await;
        self.settle(key);
    }

    /// After a decision: marks a child that is down and will not be restarted as stopped.
    fn settle(&self, key: ChildKey) {
        let Some(child) = self.children.get(&key).filter(|child| child.actor.is_none()) else { return };
        let stays_down = !self.machine.is_ending() && !self.machine.is_coming_back(key);
        if stays_down && child.spec.node.state().phase == ActorPhase::Restarting {
            self.system.0.tree.update(&child.spec.node, |state| state.phase = ActorPhase::Stopped);
            self.close_mailbox(key);
        }
    }

    fn forget(&mut self, key: ChildKey) {
        if let Some(child) = self.children.remove(&key) {
            if let Some(mailbox) = child.spec.node.mailbox.get() {
                mailbox.close();
            }
            self.system.0.tree.remove(child.spec.node.number);
        }
    }

    fn exit(&mut self, myself: &ActorRef<SupervisorMessage>, ending: SupervisorEnding) {
        let text = match ending {
            SupervisorEnding::Asked => SHUTDOWN.to_owned(),
            SupervisorEnding::AutoShutdown => format!("{SHUTDOWN}: the significant children have ended"),
            SupervisorEnding::IntensityReached => {
                let restarts = self.machine.recent_restarts(self.epoch.elapsed());
                self.note_giving_up(restarts);
                self.system.0.events.publish(&self.node.name, SupervisionEventKind::Escalated { restarts });
                format!("{SHUTDOWN}: {restarts} restarts within the period")
            }
            SupervisorEnding::BootFailed(key, reason) => {
                let name =
                    self.children.get(&key).map(|child| child.spec.name().to_owned()).unwrap_or_default();
                self.boot_failure = Some(format!("`{name}` {reason}"));
                return;
            }
        };
        if self.for_good {
            self.children.values().filter_map(|child| child.spec.node.mailbox.get()).for_each(|m| m.close());
        }
        *self.node.control.lock() = None;
        myself.stop(Some(text));
    }

    /// Notes the child and the fault that spent the budget, for the report that the tree ended: when a
    /// supervisor below has given up, the note names the child that one gave up over.
    fn note_giving_up(&self, restarts: usize) {
        let Some(child) = self.machine.culprit().and_then(|key| self.children.get(&key)) else { return };
        let node = &child.spec.node;
        let below = node.gave_up.lock().take();
        let fault = || node.state().last_exit.map(|(reason, _)| reason.to_string()).unwrap_or_default();
        let word =
            below.unwrap_or_else(|| GivenUp { child: node.name.to_string(), fault: fault(), restarts });
        tracing::error!(
            supervisor = &*self.node.name,
            child = word.child,
            fault = word.fault,
            restarts,
            "supervisor gives up: more restarts than its budget allows; the supervisor above decides"
        );
        *self.node.gave_up.lock() = Some(word);
    }

    fn close_mailbox(&self, key: ChildKey) {
        if let Some(mailbox) = self.children.get(&key).and_then(|child| child.spec.node.mailbox.get()) {
            mailbox.close();
        }
    }

    /// Checks the workers for silence, and asks each for the next heartbeat.
    fn check_liveness(&mut self, myself: &ActorRef<SupervisorMessage>) {
        let mut hung = Vec::new();
        for (key, child) in &self.children {
            let (Some(interval), Some(_)) = (child.spec.node.heartbeat, &child.actor) else { continue };
            let (Some(mailbox), None) = (child.spec.node.mailbox.get(), &child.cause) else { continue };
            let vitals = mailbox.vitals();
            let silent = awake_elapsed(vitals.last_beat);
            match liveness::judge(silent, interval, self.system.0.timing.hang_factor) {
                LivenessVerdict::Probe => mailbox.probe(),
                LivenessVerdict::Hung => hung.push((*key, silent, vitals.current.map(|(kind, _)| kind))),
            }
        }
        for (key, silent, handling) in hung {
            if let Some(child) = self.children.get(&key) {
                let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
                self.system
                    .0
                    .events
                    .publish(&child.spec.node.name, SupervisionEventKind::Hung { silent_ms, handling });
                self.system.0.tree.update(&child.spec.node, |state| state.phase = ActorPhase::Hung);
            }
            self.kill(myself, key, ExitReason::Hung);
        }
    }

    fn report_spinning(&self, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = self.children.get(&key).filter(|_| self.is_current(key, incarnation)) else {
            return;
        };
        let handling = child.spec.node.vitals().and_then(|vitals| vitals.current).map(|(kind, _)| kind);
        self.system.0.tree.update(&child.spec.node, |state| state.phase = ActorPhase::Spinning);
        self.system.0.events.publish(&child.spec.node.name, SupervisionEventKind::Spinning { handling });
    }

    fn schedule_tick(&self, myself: &ActorRef<SupervisorMessage>) {
        let intervals = self.children.values().filter_map(|child| child.spec.node.heartbeat);
        if let Some(shortest) = intervals.min() {
            self.remind(myself, shortest / liveness::PROBES_PER_INTERVAL, SupervisorRequest::Tick);
        }
    }

    fn remind(&self, myself: &ActorRef<SupervisorMessage>, after: Duration, verb: SupervisorRequest) {
        let ring = Arc::clone(&self.system.0.ring);
        // The timer ends with the supervisor: the framework drops a message to an ended actor.
        let _detached = myself.send_after(after, move || {
            SupervisorMessage::new(super::trace::current::header(ring.now_ns()), verb)
        });
    }

    fn is_current(&self, key: ChildKey, incarnation: Incarnation) -> bool {
        self.children.get(&key).and_then(|child| child.actor.as_ref()).is_some_and(|(_, i)| *i == incarnation)
    }

    fn key_of(&self, no: ActorNumber) -> Option<ChildKey> {
        self.children.iter().find(|(_, child)| child.spec.node.number == no).map(|(key, _)| *key)
    }
}
