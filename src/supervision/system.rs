//! The actor system: makes child specifications and their addresses, starts and ends the tree, and
//! carries a person's wishes (kill, restart, pause) to the supervisor in charge.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use super::actor::{Actor, ActorError, Context};
use super::address::Address;
use super::control::{SupervisorMessage, Verb};
use super::event::{EventLog, Happening};
use super::mailbox::{DEFAULT_CAPACITY, Inspect, Mailbox, Vitals};
use super::policy::{ChildPolicy, PlannedRestart, Shutdown, SupervisorPolicy};
use super::supervisor::{Starter, Supervisor, SupervisorArgs};
use super::trace::{self, ActorNo, Record, Ring};
use super::tree::{GivenUp, Node, NodeState, Tree};
use super::worker::{Birth, Init, Worker};

/// How long a supervisor may take to answer a wish; it may be starting a subtree.
const CONTROL_DEADLINE: Duration = Duration::from_secs(30);

/// Time limits of a system.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Longest initialisation of a child.
    pub start_deadline: Duration,
    /// Longest orderly end of a worker, before it is killed.
    pub shutdown_deadline: Duration,
    /// Longest time between a kill and the end; a handler that spins takes longer and is reported.
    pub kill_grace: Duration,
    /// Intervals without a sign of life that make a worker hung.
    pub hang_factor: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            start_deadline: Duration::from_secs(30),
            shutdown_deadline: Duration::from_secs(5),
            kill_grace: Duration::from_secs(1),
            hang_factor: super::liveness::HANG_FACTOR,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) ring: Arc<Ring>,
    pub(crate) events: EventLog,
    pub(crate) tree: Tree,
    pub(crate) timing: Timing,
    root: OnceLock<ActorNo>,
}

/// A running (or not yet started) system. Cheap to clone.
#[derive(Clone)]
pub struct ActorSystem(pub(crate) Arc<Shared>);

/// How a supervisor starts and treats one child.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) node: Arc<Node>,
    pub(crate) policy: ChildPolicy,
    pub(crate) shutdown: Shutdown,
    pub(crate) start: Starter,
}

impl ChildSpec {
    /// With another restart type or significance.
    #[must_use]
    pub fn with_policy(mut self, policy: ChildPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With another way to end it.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.name
    }
}

/// Options of a worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// How often it must show life; `None` to leave it unwatched.
    pub heartbeat: Option<Duration>,
    /// Most messages that may wait.
    pub capacity: usize,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { heartbeat: Some(Duration::from_secs(60)), capacity: DEFAULT_CAPACITY }
    }
}

/// Why a wish was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("no actor is called `{0}`")]
    Unknown(String),
    /// The actor cannot do that: it is the root, or has no mailbox.
    #[error("`{0}` cannot be controlled this way")]
    Unsuitable(String),
    /// It is not running now.
    #[error("`{0}` is not running")]
    NotRunning(String),
    /// Its supervisor did not answer in time.
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
    node: Arc<Node>,
}

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActorSystem")
    }
}

impl Default for ActorSystem {
    fn default() -> Self {
        Self::new(Timing::default(), trace::ring::DEFAULT_CAPACITY)
    }
}

impl ActorSystem {
    /// A system without actors.
    #[must_use]
    pub fn new(timing: Timing, ring_records: usize) -> Self {
        trace::panics::install_hook();
        Self(Arc::new(Shared {
            ring: Arc::new(Ring::new(ring_records)),
            events: EventLog::default(),
            tree: Tree::default(),
            timing,
            root: OnceLock::new(),
        }))
    }

    /// The records of handled messages.
    #[must_use]
    pub fn ring(&self) -> &Arc<Ring> {
        &self.0.ring
    }

    #[must_use]
    pub fn timing(&self) -> Timing {
        self.0.timing
    }

    /// The log of what supervision did.
    #[must_use]
    pub fn events(&self) -> &EventLog {
        &self.0.events
    }

    /// The picture of the tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.0.tree
    }

    /// The specification of a worker, and the address that will reach it once it is started.
    pub fn worker<A, F, Fut>(
        &self,
        name: &str,
        options: WorkerOptions,
        init: F,
    ) -> (ChildSpec, Address<A::Message>)
    where
        A: Actor,
        F: Fn(Context<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ActorError>> + Send + 'static,
    {
        let node = self.0.tree.insert(name, options.heartbeat);
        let mailbox = Arc::new(Mailbox::new(node.no, options.capacity, Arc::clone(&self.0.ring)));
        let inspect: Arc<dyn Inspect> = Arc::<Mailbox<A::Message>>::clone(&mailbox);
        // The node is new: its mailbox is not set yet.
        let _ = node.mailbox.set(inspect);
        let address = Address::new(mailbox);
        let init: Init<A> = Arc::new(move |context| Box::pin(init(context)));
        let start: Starter = {
            let address = address.clone();
            Arc::new(move |supervisor: ActorCell, incarnation| {
                let birth = Birth { address: address.clone(), incarnation, init: Arc::clone(&init) };
                Box::pin(async move {
                    let spawned =
                        ractor::Actor::spawn_linked(None, Worker::<A>::new(), birth, supervisor).await;
                    spawned.map(|(actor, _)| actor.get_cell()).map_err(start_error)
                })
            })
        };
        let shutdown = Shutdown::Deadline(self.0.timing.shutdown_deadline);
        (ChildSpec { node, policy: ChildPolicy::default(), shutdown, start }, address)
    }

    /// The specification of a supervisor over `children`, which it starts in this order.
    #[must_use]
    pub fn supervisor(&self, name: &str, policy: SupervisorPolicy, children: Vec<ChildSpec>) -> ChildSpec {
        let node = self.0.tree.insert(name, None);
        for child in &children {
            adopt(&node, child);
        }
        // The node is new: nobody has said so before.
        let _ = node.strategy.set(policy.strategy);
        let args = SupervisorArgs { system: self.clone(), node: Arc::clone(&node), policy, children };
        let start: Starter = Arc::new(move |supervisor: ActorCell, _| {
            let args = args.clone();
            Box::pin(async move {
                let spawned = ractor::Actor::spawn_linked(None, Supervisor, args, supervisor).await;
                spawned.map(|(actor, _)| actor.get_cell()).map_err(start_error)
            })
        });
        ChildSpec { node, policy: ChildPolicy::default(), shutdown: Shutdown::Infinity, start }
    }

    /// Starts the whole tree, in order; returns when all of it is up.
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
        // A system has one root; a second start would be a mistake that the first one outlives.
        let _ = self.0.root.set(node.no);
        // The node is new: nobody has said so before.
        let _ = node.strategy.set(policy.strategy);
        let args = SupervisorArgs { system: self.clone(), node: Arc::clone(&node), policy, children };
        let (root, done) = ractor::Actor::spawn(None, Supervisor, args)
            .await
            .map_err(|error| RootFailure(format!("did not start: {}", start_error(error))))?;
        self.0.tree.update(&node, |state| {
            state.phase = super::tree::Phase::Running;
            state.incarnation = 1;
        });
        Ok(RootHandle { root, done, node })
    }

    /// Kills the running incarnation of a worker: what it was handling is lost, its supervisor decides
    /// what follows. Returns the incarnation killed.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn kill(&self, name: &str) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| Verb::Kill { child, reply }).await
    }

    /// Restarts a child on purpose: an orderly end, then a start, not counted against the intensity.
    /// Returns the incarnation that was ended.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn restart(&self, name: &str, why: PlannedRestart) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| Verb::Restart { child, why, reply }).await
    }

    /// Ends a child and leaves it down; its callers learn that it is gone.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was done then.
    pub async fn terminate(&self, name: &str) -> Result<u64, ControlError> {
        self.ask(name, |child, reply| Verb::Terminate { child, reply }).await
    }

    /// Adds a child to a running supervisor and starts it, last in order.
    ///
    /// # Errors
    /// [`ControlError`] when the supervisor is unknown or does not answer; a child that fails to start
    /// is reported as [`ControlError::NotRunning`] and forgotten.
    pub async fn start_child(&self, supervisor: &str, spec: ChildSpec) -> Result<(), ControlError> {
        let parent = self.node(supervisor)?;
        let name = spec.node.name.to_string();
        adopt(&parent, &spec);
        let answer = self.send(&parent, |reply| Verb::StartChild { spec: Box::new(spec), reply }).await?;
        answer.map(|_| ()).ok_or(ControlError::NotRunning(name))
    }

    /// Holds an actor's messages back, or lets them go on. It keeps showing life meanwhile.
    ///
    /// # Errors
    /// [`ControlError`] when there is no such worker.
    pub fn set_paused(&self, name: &str, paused: bool) -> Result<(), ControlError> {
        let node = self.node(name)?;
        let mailbox = node.mailbox.get().ok_or_else(|| ControlError::Unsuitable(name.to_owned()))?;
        if mailbox.vitals().paused != paused {
            mailbox.set_paused(paused);
            self.0.events.publish(&node.name, if paused { Happening::Paused } else { Happening::Resumed });
            self.0.tree.update(&node, |_| ());
        }
        Ok(())
    }

    /// The picture of the whole tree; `None` before it is started.
    #[must_use]
    pub fn root_snapshot<S>(
        &self,
        standing: &impl Fn(&Node, &NodeState, Option<&Vitals>) -> S,
    ) -> Option<super::tree::TreeSnapshot<S>> {
        self.0.root.get().and_then(|root| self.0.tree.snapshot(*root, standing))
    }

    /// Records of messages that wait or are being handled, of all actors.
    #[must_use]
    pub fn open_records(&self) -> Vec<Record> {
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
        verb: impl FnOnce(ActorNo, oneshot::Sender<Option<u64>>) -> Verb,
    ) -> Result<u64, ControlError> {
        let node = self.node(name)?;
        let parent = node.parent().and_then(|no| self.0.tree.by_no(no));
        let parent = parent.ok_or_else(|| ControlError::Unsuitable(name.to_owned()))?;
        let answer = self.send(&parent, |reply| verb(node.no, reply)).await?;
        answer.ok_or_else(|| ControlError::NotRunning(name.to_owned()))
    }

    async fn send(
        &self,
        supervisor: &Node,
        verb: impl FnOnce(oneshot::Sender<Option<u64>>) -> Verb,
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

    fn node(&self, name: &str) -> Result<Arc<Node>, ControlError> {
        self.0.tree.by_name(name).ok_or_else(|| ControlError::Unknown(name.to_owned()))
    }
}

impl RootHandle {
    /// The root's number, for [`Tree::snapshot`].
    #[must_use]
    pub fn no(&self) -> ActorNo {
        self.node.no
    }

    /// Waits until the root has ended by itself: over whom it gave up.
    pub async fn ended(&mut self) -> Option<GivenUp> {
        // The framework's task does not panic; that it ended is all there is to know of it.
        let _ = (&mut self.done).await;
        self.node.gave_up.lock().take()
    }

    /// Ends the tree in reverse start order and waits for it.
    pub async fn shutdown(mut self) {
        let header = trace::current::header(0);
        // A root that cannot be reached has ended already.
        let _ = self.root.cast(SupervisorMessage::new(header, Verb::Shutdown { for_good: true }));
        self.ended().await;
    }
}

fn adopt(parent: &Node, child: &ChildSpec) {
    // A specification is used under one supervisor only.
    let _ = child.node.parent.set(parent.no);
    let _ = child.node.restart.set(child.policy.restart);
    parent.children.write().push(child.node.no);
}

fn start_error(error: ractor::SpawnErr) -> String {
    match error {
        ractor::SpawnErr::StartupFailed(cause) => trace::panics::take()
            .map_or_else(|| cause.to_string(), |site| format!("{} at {}", site.message, site.place)),
        other => other.to_string(),
    }
}
