//! The actor system: makes child specifications and their addresses, starts and ends the tree, and passes a
//! person's kill, restart or pause to the supervisor in charge.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use super::actor::{Actor, ActorContext, ActorError};
use super::address::Address;
use super::awake_clock::start_awake_clock;
use super::control::{SupervisorMessage, SupervisorRequest};
use super::event::{EventLog, SupervisionEventKind};
use super::mailbox::{DEFAULT_CAPACITY, Mailbox, MailboxControl, MailboxVitals};
use super::policy::{ChildPolicy, PlannedRestart, ShutdownPolicy, SupervisorPolicy};
use super::supervisor::{ChildStarter, Supervisor, SupervisorArgs};
use super::trace::{self, ActorNumber, TraceRecord, TraceRing};
use super::tree::{ActorNode, ActorTree, GivenUp, NodeState};
use super::worker::{Worker, WorkerArgs, WorkerInit};

/// How long a supervisor may take to answer a request; generous, as starting a subtree delays the answer.
const CONTROL_DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub struct SystemTiming {
    /// Longest initialisation of a child.
    pub start_deadline: Duration,
    /// Longest orderly end of a worker, before it is killed.
    pub shutdown_deadline: Duration,
    /// Longest time between a kill and the end; a handler that spins takes longer and is reported.
    pub kill_grace: Duration,
    /// Heartbeat intervals of silence that make a worker hung.
    pub hang_factor: u32,
}

impl Default for SystemTiming {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(30),
            shutdown_deadline: Duration::from_secs(5),
            kill_grace: Duration::from_secs(1),
            hang_factor: super::liveness::HANG_FACTOR,
        }
    }
}

pub(crate) struct SystemShared {
    pub(crate) ring: Arc<TraceRing>,
    pub(crate) events: EventLog,
    pub(crate) tree: ActorTree,
    pub(crate) timing: SystemTiming,
    root: OnceLock<ActorNumber>,
}

/// A running (or not yet started) system. Cheap to clone.
#[derive(Clone)]
pub struct ActorSystem(pub(crate) Arc<SystemShared>);

/// How a supervisor starts and treats one child.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) node: Arc<ActorNode>,
    pub(crate) policy: ChildPolicy,
    pub(crate) shutdown: ShutdownPolicy,
    pub(crate) start: ChildStarter,
}

impl ChildSpec {
    /// With another restart type or significance.
    #[must_use]
    pub fn with_policy(mut self, policy: ChildPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With another shutdown policy.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: ShutdownPolicy) -> Self {
        self.shutdown = shutdown;
        self
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.name
    }
}

#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// How often the worker must send a heartbeat; `None` to leave it unwatched.
    pub heartbeat: Option<Duration>,
    /// Most messages that may wait.
    pub capacity: usize,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { heartbeat: Some(Duration::from_secs(60)), capacity: DEFAULT_CAPACITY }
    }
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("no actor is named `{0}`")]
    Unknown(String),
    /// The actor does not support the request: it is the root, or has no mailbox.
    #[error("`{0}` cannot be controlled this way")]
    Unsuitable(String),
    /// The actor is not running now.
    #[error("`{0}` is not running")]
    NotRunning(String),
    /// The actor's supervisor did not answer in time.
    #[error("the supervisor of `{0}` did not answer in time")]
    Timeout(String),
}

/// Why the root ended or did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the supervision tree {0}")]
pub struct RootFailure(pub(crate) String);

/// The root of a started system; ends with [`RootHandle::shutdown`] or by giving up.
pub struct RootHandle {
    root: ActorRef<SupervisorMessage>,
    done: tokio::task::JoinHandle<()>,
    node: Arc<ActorNode>,
}

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActorSystem")
    }
}

impl Default for ActorSystem {
    fn default() -> Self {
        Self::new(SystemTiming::default(), trace::ring::DEFAULT_CAPACITY)
    }
}

impl ActorSystem {
    /// A system without actors.
    #[must_use]
    pub fn new(timing: SystemTiming, ring_records: usize) -> Self {
        trace::panics::install_hook();
        start_awake_clock();
        Self(Arc::new(SystemShared {
            ring: Arc::new(TraceRing::new(ring_records)),
            events: EventLog::default(),
            tree: ActorTree::default(),
            timing,
            root: OnceLock::new(),
        }))
    }

    /// The records of handled messages.
    #[must_use]
    pub fn ring(&self) -> &Arc<TraceRing> {
        &self.0.ring
    }

    #[must_use]
    pub fn timing(&self) -> SystemTiming {
        self.0.timing
    }

    #[must_use]
    pub fn events(&self) -> &EventLog {
        &self.0.events
    }

    /// The supervision tree, readable without a message.
    #[must_use]
    pub fn tree(&self) -> &ActorTree {
        &self.0.tree
    }

    /// The specification of a worker, and an address that works once the worker is started.
    pub fn worker<A, F, Fut>(
        &self,
        name: &str,
        options: WorkerOptions,
        init: F,
    ) -> (ChildSpec, Address<A::Message>)
    where
        A: Actor,
        F: Fn(ActorContext<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ActorError>> + Send + 'static,
    {
        let node = self.0.tree.insert(name, options.heartbeat);
        let mailbox = Arc::new(Mailbox::new(node.number, options.capacity, Arc::clone(&self.0.ring)));
        let inspect: Arc<dyn MailboxControl> = Arc::<Mailbox<A::Message>>::clone(&mailbox);
        // The node is new: no mailbox is set yet.
        let _ = node.mailbox.set(inspect);
        let address = Address::new(mailbox);
        let init: WorkerInit<A> = Arc::new(move |context| Box::pin(init(context)));
        let start: ChildStarter = {
            let address = address.clone();
            Arc::new(move |supervisor: ActorCell, incarnation| {
                let birth = WorkerArgs { address: address.clone(), incarnation, init: Arc::clone(&init) };
                Box::pin(async move {
                    let spawned =
                        ractor::Actor::spawn_linked(None, Worker::<A>::new(), birth, supervisor).await;
                    spawned.map(|(actor, _)| actor.get_cell()).map_err(start_error)
                })
            })
        };
        let shutdown = ShutdownPolicy::Deadline(self.0.timing.shutdown_deadline);
        (ChildSpec { node, policy: ChildPolicy::default(), shutdown, start }, address)
    }

    /// The specification of a supervisor over `children`, started in this order.
    #[must_use]
    pub fn supervisor(&self, name: &str, policy: SupervisorPolicy, children: Vec<ChildSpec>) -> ChildSpec {
        let node = self.0.tree.insert(name, None);
        for child in &children {
            adopt(&node, child);
        }
        // The node is new: no strategy is set yet.
        let _ = node.strategy.set(policy.strategy);
        let args = SupervisorArgs { system: self.clone(), node: Arc::clone(&node), policy, children };
        let start: ChildStarter = Arc::new(move |supervisor: ActorCell, _| {
            let args = args.clone();
            Box::pin(async move {
                let spawned = ractor::Actor::spawn_linked(None, Supervisor, args, supervisor).await;
                spawned.map(|(actor, _)| actor.get_cell()).map_err(start_error)
            })
        });
        ChildSpec { node, policy: ChildPolicy::default(), shutdown: ShutdownPolicy::Infinity, start }
    }

    /// Starts the whole tree, in order; returns when every child is up.
    ///
    /// # Errors
    /// [`RootFailure`] when a child failed to start; those started before it have been stopped.
    pub async fn start(
        &self,
        name: &str,
        policy: SupervisorPolicy,
        children: Vec<ChildSpec>,
    ) -> Result<RootHandle, RootFailure> {
        let node = self.0.tree.insert(name, None);
        for child in &children {
            adopt(&node, child);
        }
        // A system has one root; a second start is a bug that the first root survives.
        let _ = self.0.root.set(node.number);
        // The node is new: nothing has set this before.
        let _ = node.strategy.set(policy.strategy);
        let args = SupervisorArgs { system: self.clone(), node: Arc::clone(&node), policy, children };
        let (root, done) = ractor::Actor::spawn(None, Supervisor, args)
            .await
            .map_err(|error| RootFailure(format!("did not start: {}", start_error(error))))?;
        self.0.tree.update(&node, |state| {
            state.phase = super::tree::ActorPhase::Running;
            state.incarnation = 1;
        });
        Ok(RootHandle { root, done, node })
    }

    /// Kills the running incarnation of a worker: the message in hand is lost, and the supervisor decides
    /// about a restart. Returns the incarnation killed.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn kill(&self, name: &str) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| SupervisorRequest::Kill { child, reply }).await
    }

    /// Restarts a child on purpose: an orderly end, then a start, not counted against the intensity. Returns
    /// the incarnation ended.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn restart(&self, name: &str, why: PlannedRestart) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| SupervisorRequest::Restart { child, why, reply }).await
    }

    /// Ends a child and leaves it down; callers get [`CallError::Gone`](super::address::CallError::Gone).
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn terminate(&self, name: &str) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| SupervisorRequest::Terminate { child, reply }).await
    }

    /// Adds a child to a running supervisor, last in order, and starts it.
    ///
    /// # Errors
    /// [`ControlError`] when the supervisor is unknown or does not answer; a child that fails to start
    /// is reported as [`ControlError::NotRunning`] and forgotten.
    pub async fn start_child(&self, supervisor: &str, spec: ChildSpec) -> Result<(), ControlError> {
        let parent = self.node(supervisor)?;
        let name = spec.node.name.to_string();
        adopt(&parent, &spec);
        let answer =
            self.send(&parent, |reply| SupervisorRequest::StartChild { spec: Box::new(spec), reply }).await?;
        answer.map(|_| ()).ok_or(ControlError::NotRunning(name))
    }

    /// Pauses an actor's messages, or resumes them. Heartbeats go on meanwhile.
    ///
    /// # Errors
    /// [`ControlError`] when there is no such worker.
    pub fn set_paused(&self, name: &str, paused: bool) -> Result<(), ControlError> {
        let node = self.node(name)?;
        let mailbox = node.mailbox.get().ok_or_else(|| ControlError::Unsuitable(name.to_owned()))?;
        if mailbox.vitals().paused != paused {
            mailbox.set_paused(paused);
            self.0.events.publish(
                &node.name,
                if paused { SupervisionEventKind::Paused } else { SupervisionEventKind::Resumed },
            );
            self.0.tree.update(&node, |_| ());
        }
        Ok(())
    }

    /// A snapshot of the whole tree; `None` before the start.
    #[must_use]
    pub fn root_snapshot<S>(
        &self,
        standing: &impl Fn(&ActorNode, &NodeState, Option<&MailboxVitals>) -> S,
    ) -> Option<super::tree::TreeSnapshot<S>> {
        self.0.root.get().and_then(|root| self.0.tree.snapshot(*root, standing))
    }

    /// Records of messages that wait or are being handled, of all actors.
    #[must_use]
    pub fn open_records(&self) -> Vec<TraceRecord> {
        self.0
            .tree
            .all()
            .iter()
            .filter_map(|node| node.mailbox.get())
            .flat_map(|m| m.open_records())
            .collect()
    }

    async fn ask(
        &self,
        name: &str,
        verb: impl FnOnce(ActorNumber, oneshot::Sender<Option<u64>>) -> SupervisorRequest,
    ) -> Result<u64, ControlError> {
        let node = self.node(name)?;
        let parent = node.parent().and_then(|no| self.0.tree.by_number(no));
        let parent = parent.ok_or_else(|| ControlError::Unsuitable(name.to_owned()))?;
        let answer = self.send(&parent, |reply| verb(node.number, reply)).await?;
        answer.ok_or_else(|| ControlError::NotRunning(name.to_owned()))
    }

    async fn send(
        &self,
        supervisor: &ActorNode,
        verb: impl FnOnce(oneshot::Sender<Option<u64>>) -> SupervisorRequest,
    ) -> Result<Option<u64>, ControlError> {
        let name = || supervisor.name.to_string();
        let control = supervisor.control.lock().clone().ok_or_else(|| ControlError::NotRunning(name()))?;
        let (sender, receiver) = oneshot::channel();
        let message = SupervisorMessage::new(trace::current::header(self.0.ring.now_ns()), verb(sender));
        control.cast(message).map_err(|_| ControlError::NotRunning(name()))?;
        match tokio::time::timeout(CONTROL_DEADLINE, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(ControlError::NotRunning(name())),
            Err(_) => Err(ControlError::Timeout(name())),
        }
    }

    fn node(&self, name: &str) -> Result<Arc<ActorNode>, ControlError> {
        self.0.tree.by_name(name).ok_or_else(|| ControlError::Unknown(name.to_owned()))
    }
}

impl RootHandle {
    /// The root's number, for [`ActorTree::snapshot`].
    #[must_use]
    pub fn number(&self) -> ActorNumber {
        self.node.number
    }

    /// Waits until the root has ended unasked; returns the child that made the root give up.
    pub async fn ended(&mut self) -> Option<GivenUp> {
        // The framework's task does not panic; only its end matters here.
        let _ = (&mut self.done).await;
        self.node.gave_up.lock().take()
    }

    /// Stops the tree in reverse start order; returns when all have ended.
    pub async fn shutdown(mut self) {
        let header = trace::current::header(0);
        // A root that cannot be reached has ended already.
        let _ =
            self.root.cast(SupervisorMessage::new(header, SupervisorRequest::Shutdown { for_good: true }));
        self.ended().await;
    }
}

fn adopt(parent: &ActorNode, child: &ChildSpec) {
    // A specification is used under one supervisor only.
    let _ = child.node.parent.set(parent.number);
    let _ = child.node.restart.set(child.policy.restart);
    parent.children.write().push(child.node.number);
}

fn start_error(error: ractor::SpawnErr) -> String {
    match error {
        ractor::SpawnErr::StartupFailed(cause) => trace::panics::take()
            .map_or_else(|| cause.to_string(), |site| format!("{} at {}", site.message, site.place)),
        other => other.to_string(),
    }
}
