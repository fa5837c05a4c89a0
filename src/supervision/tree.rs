//! The supervision tree as readers see it: written by supervisors, read by anyone, without a message.
//!
//! Invariant: there is no second copy of the hierarchy. Supervisors write the phases, never the actor itself;
//! an actor's status is derived by the reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use ractor::ActorRef;
use serde::Serialize;
use tokio::time::Instant;

use super::control::SupervisorMessage;
use super::mailbox::{MailboxControl, MailboxVitals};
use super::policy::{ExitReason, RestartStrategy, RestartType};
use super::trace::ActorNumber;
use pas_domain::time::Timestamp;

/// A phase of an actor's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorPhase {
    /// The first start is under way or still to come.
    Starting,
    Running,
    /// Ended, to be started again.
    Restarting,
    /// Asked to end.
    Stopping,
    /// Ended for good, or until someone starts it.
    Stopped,
    /// Missed heartbeats and is being killed.
    Hung,
    /// Was killed and does not yield.
    Spinning,
}

/// The published state of one actor.
pub struct ActorNode {
    pub number: ActorNumber,
    /// Unique in the system.
    pub name: Arc<str>,
    /// How often the actor must send a heartbeat; `None` for supervisors.
    pub heartbeat: Option<Duration>,
    pub(crate) parent: OnceLock<ActorNumber>,
    /// Of supervisors: which children a child's crash affects.
    pub(crate) strategy: OnceLock<RestartStrategy>,
    /// When the supervisor starts this actor again.
    pub(crate) restart: OnceLock<RestartType>,
    pub(crate) children: RwLock<Vec<ActorNumber>>,
    pub(crate) mailbox: OnceLock<Arc<dyn MailboxControl>>,
    pub(crate) control: Mutex<Option<ActorRef<SupervisorMessage>>>,
    /// Of a supervisor that has given up: over which child. Taken by the supervisor above when that one gives
    /// up.
    pub(crate) gave_up: Mutex<Option<GivenUp>>,
    state: Mutex<NodeState>,
}

/// The child over which a supervisor gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The child that kept failing.
    pub child: String,
    pub fault: String,
    /// Restarts within the period.
    pub restarts: usize,
}

/// The part of a node that changes.
#[derive(Debug, Clone)]
pub struct NodeState {
    pub phase: ActorPhase,
    /// The current or last start.
    pub incarnation: u64,
    /// Unplanned restarts since the system began.
    pub restarts: u64,
    /// Reason and time of the last end.
    pub last_exit: Option<(ExitReason, Timestamp)>,
    /// Start of the current phase.
    pub since: Timestamp,
}

impl ActorNode {
    /// A copy of the node's changing part.
    #[must_use]
    pub fn state(&self) -> NodeState {
        self.state.lock().clone()
    }

    /// The mailbox at this moment; `None` for supervisors.
    #[must_use]
    pub fn vitals(&self) -> Option<MailboxVitals> {
        self.mailbox.get().map(|mailbox| mailbox.vitals())
    }

    /// The supervisor; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<ActorNumber> {
        self.parent.get().copied()
    }

    /// The supervised actors, in start order.
    #[must_use]
    pub fn children(&self) -> Vec<ActorNumber> {
        self.children.read().clone()
    }
}

/// All actors of a system by number and by name.
#[derive(Default)]
pub struct ActorTree {
    nodes: RwLock<ActorNodes>,
    version: AtomicU64,
}

#[derive(Default)]
struct ActorNodes {
    by_number: HashMap<ActorNumber, Arc<ActorNode>>,
    by_name: HashMap<Arc<str>, ActorNumber>,
    next: u32,
}

impl ActorTree {
    pub(crate) fn insert(&self, name: &str, heartbeat: Option<Duration>) -> Arc<ActorNode> {
        let mut nodes = self.nodes.write();
        nodes.next += 1;
        let no = ActorNumber(nodes.next);
        let node = Arc::new(ActorNode {
            number: no,
            name: Arc::from(name),
            heartbeat,
            parent: OnceLock::new(),
            strategy: OnceLock::new(),
            restart: OnceLock::new(),
            children: RwLock::default(),
            mailbox: OnceLock::new(),
            control: Mutex::new(None),
            gave_up: Mutex::new(None),
            state: Mutex::new(NodeState {
                phase: ActorPhase::Starting,
                incarnation: 0,
                restarts: 0,
                last_exit: None,
                since: Timestamp::now(),
            }),
        });
        nodes.by_number.insert(no, Arc::clone(&node));
        nodes.by_name.insert(Arc::clone(&node.name), no);
        self.bump();
        node
    }

    pub(crate) fn remove(&self, no: ActorNumber) {
        let mut nodes = self.nodes.write();
        if let Some(node) = nodes.by_number.remove(&no) {
            if nodes.by_name.get(&node.name) == Some(&no) {
                nodes.by_name.remove(&node.name);
            }
            if let Some(parent) = node.parent().and_then(|parent| nodes.by_number.get(&parent)) {
                parent.children.write().retain(|child| *child != no);
            }
        }
        drop(nodes);
        self.bump();
    }

    pub(crate) fn update(&self, node: &ActorNode, change: impl FnOnce(&mut NodeState)) {
        let mut state = node.state.lock();
        let before = state.phase;
        change(&mut state);
        if state.phase != before {
            state.since = Timestamp::now();
        }
        drop(state);
        self.bump();
    }

    /// Puts a node into a state that a test of a crate above needs.
    #[cfg(feature = "testing")]
    pub fn force_state(&self, node: &ActorNode, change: impl FnOnce(&mut NodeState)) {
        self.update(node, change);
    }

    fn bump(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change of any node, so that caches can check whether they are current.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<ActorNode>> {
        let nodes = self.nodes.read();
        nodes.by_name.get(name).and_then(|no| nodes.by_number.get(no)).cloned()
    }

    #[must_use]
    pub fn by_number(&self, no: ActorNumber) -> Option<Arc<ActorNode>> {
        self.nodes.read().by_number.get(&no).cloned()
    }

    /// The name for a number, for readers of the trace.
    #[must_use]
    pub fn name_of(&self, no: ActorNumber) -> Arc<str> {
        self.by_number(no).map_or_else(|| Arc::from("outside"), |node| Arc::clone(&node.name))
    }

    /// All actors, by number.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<ActorNode>> {
        let mut all: Vec<_> = self.nodes.read().by_number.values().cloned().collect();
        all.sort_by_key(|node| node.number);
        all
    }

    /// A snapshot of an actor and everything below; `standing` gives the status of each.
    #[must_use]
    pub fn snapshot<S>(
        &self,
        root: ActorNumber,
        standing: &impl Fn(&ActorNode, &NodeState, Option<&MailboxVitals>) -> S,
    ) -> Option<TreeSnapshot<S>> {
        let node = self.by_number(root)?;
        let state = node.state();
        let children =
            node.children().into_iter().filter_map(|child| self.snapshot(child, standing)).collect();
        let vitals = node.vitals();
        Some(TreeSnapshot {
            standing: standing(&node, &state, vitals.as_ref()),
            queue_depth: vitals.as_ref().map_or(0, |vitals| vitals.depth),
            last_heartbeat: vitals.as_ref().map(|vitals| wall(vitals.last_beat)),
            name: Arc::clone(&node.name),
            kind: if node.mailbox.get().is_some() { "worker" } else { "supervisor" },
            phase: state.phase,
            incarnation: state.incarnation,
            restarts: state.restarts,
            last_exit: state.last_exit.map(|(reason, at)| LastExit { reason, at }),
            since: state.since,
            mailbox: vitals.as_ref().map(MailboxSnapshot::new),
            children,
        })
    }
}

/// One actor and all actors below it, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct TreeSnapshot<S> {
    pub name: Arc<str>,
    /// `supervisor` or `worker`.
    pub kind: &'static str,
    /// The status, as given by the caller of [`ActorTree::snapshot`].
    #[serde(flatten)]
    pub standing: S,
    pub phase: ActorPhase,
    pub incarnation: u64,
    pub restarts: u64,
    /// Reason and time of the last end.
    pub last_exit: Option<LastExit>,
    /// Start of the current phase.
    pub since: Timestamp,
    pub queue_depth: usize,
    /// The last heartbeat, of workers.
    pub last_heartbeat: Option<Timestamp>,
    /// The mailbox, of workers.
    pub mailbox: Option<MailboxSnapshot>,
    /// The supervised actors, in start order.
    pub children: Vec<TreeSnapshot<S>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct LastExit {
    #[serde(flatten)]
    pub reason: ExitReason,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Serialize)]
pub struct MailboxSnapshot {
    pub depth: usize,
    /// Most messages that may wait.
    pub capacity: usize,
    pub handled: u64,
    /// Whether messages are paused.
    pub paused: bool,
    /// Kind of the message being handled.
    pub handling: Option<&'static str>,
    pub last_beat_at: Timestamp,
}

impl MailboxSnapshot {
    fn new(vitals: &MailboxVitals) -> Self {
        Self {
            depth: vitals.depth,
            capacity: vitals.capacity,
            handled: vitals.handled,
            paused: vitals.paused,
            handling: vitals.current.map(|(kind, _)| kind),
            last_beat_at: wall(vitals.last_beat),
        }
    }
}

/// A past monotonic time as wall-clock time.
#[must_use]
pub fn wall(at: Instant) -> Timestamp {
    let ago = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(Timestamp::now().as_millis() - ago)
}
