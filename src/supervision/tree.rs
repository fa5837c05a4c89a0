//! The picture of the supervision tree: written by supervisors, read by anyone, without a message.
//!
//! Invariant: there is no second copy of who supervises whom. Phases are written by supervisors, never by the
//! actor itself; the word for how an actor stands is the reader's to derive.

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
use super::mailbox::{Inspect, Vitals};
use super::policy::{ExitReason, RestartStrategy, RestartType};
use super::trace::ActorNo;
use crate::domain::time::Timestamp;

/// Where an actor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its first start is under way or still to come.
    Starting,
    Running,
    /// It ended and is to be started again.
    Restarting,
    /// It has been asked to end.
    Stopping,
    /// It has ended for good, or until someone starts it.
    Stopped,
    /// It gave no sign of life and is being killed.
    Hung,
    /// It was killed and does not yield.
    Spinning,
}

/// What is known of one actor.
pub struct Node {
    pub no: ActorNo,
    /// Its name, unique in the system.
    pub name: Arc<str>,
    /// How often it must show life; `None` for supervisors.
    pub heartbeat: Option<Duration>,
    pub(crate) parent: OnceLock<ActorNo>,
    /// Of supervisors: whom a crash of a child concerns.
    pub(crate) strategy: OnceLock<RestartStrategy>,
    /// When its supervisor starts it again.
    pub(crate) restart: OnceLock<RestartType>,
    pub(crate) children: RwLock<Vec<ActorNo>>,
    pub(crate) mailbox: OnceLock<Arc<dyn Inspect>>,
    pub(crate) control: Mutex<Option<ActorRef<SupervisorMessage>>>,
    /// Of a supervisor that has given up: over whom. Taken by the one above that gives up over it.
    pub(crate) gave_up: Mutex<Option<GivenUp>>,
    state: Mutex<NodeState>,
}

/// Over whom a supervisor gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The child that kept failing.
    pub child: String,
    pub fault: String,
    /// How often it was restarted within the period.
    pub restarts: usize,
}

/// The part of a node that changes.
#[derive(Debug, Clone)]
pub struct NodeState {
    /// Where it is in its life.
    pub phase: Phase,
    /// Which start is up, or was last.
    pub incarnation: u64,
    /// Unplanned restarts since the system began.
    pub restarts: u64,
    /// Why it ended last, and when.
    pub last_exit: Option<(ExitReason, Timestamp)>,
    /// Since when it is in this phase.
    pub since: Timestamp,
}

impl Node {
    /// A copy of its changing part.
    #[must_use]
    pub fn state(&self) -> NodeState {
        self.state.lock().clone()
    }

    /// Its mailbox at this moment; `None` for supervisors.
    #[must_use]
    pub fn vitals(&self) -> Option<Vitals> {
        self.mailbox.get().map(|mailbox| mailbox.vitals())
    }

    /// Who supervises it; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<ActorNo> {
        self.parent.get().copied()
    }

    /// Whom it supervises, in start order.
    #[must_use]
    pub fn children(&self) -> Vec<ActorNo> {
        self.children.read().clone()
    }
}

/// All actors of a system by number and by name.
#[derive(Default)]
pub struct Tree {
    nodes: RwLock<Nodes>,
    version: AtomicU64,
}

#[derive(Default)]
struct Nodes {
    by_no: HashMap<ActorNo, Arc<Node>>,
    by_name: HashMap<Arc<str>, ActorNo>,
    next: u32,
}

impl Tree {
    pub(crate) fn insert(&self, name: &str, heartbeat: Option<Duration>) -> Arc<Node> {
        let mut nodes = self.nodes.write();
        nodes.next += 1;
        let no = ActorNo(nodes.next);
        let node = Arc::new(Node {
            no,
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
                phase: Phase::Starting,
                incarnation: 0,
                restarts: 0,
                last_exit: None,
                since: Timestamp::now(),
            }),
        });
        nodes.by_no.insert(no, Arc::clone(&node));
        nodes.by_name.insert(Arc::clone(&node.name), no);
        self.bump();
        node
    }

    pub(crate) fn remove(&self, no: ActorNo) {
        let mut nodes = self.nodes.write();
        if let Some(node) = nodes.by_no.remove(&no) {
            if nodes.by_name.get(&node.name) == Some(&no) {
                nodes.by_name.remove(&node.name);
            }
            if let Some(parent) = node.parent().and_then(|parent| nodes.by_no.get(&parent)) {
                parent.children.write().retain(|child| *child != no);
            }
        }
        drop(nodes);
        self.bump();
    }

    pub(crate) fn update(&self, node: &Node, change: impl FnOnce(&mut NodeState)) {
        let mut state = node.state.lock();
        let before = state.phase;
        change(&mut state);
        if state.phase != before {
            state.since = Timestamp::now();
        }
        drop(state);
        self.bump();
    }

    fn bump(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change of any node: whoever caches a picture compares it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// An actor by name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Node>> {
        let nodes = self.nodes.read();
        nodes.by_name.get(name).and_then(|no| nodes.by_no.get(no)).cloned()
    }

    /// An actor by number.
    #[must_use]
    pub fn by_no(&self, no: ActorNo) -> Option<Arc<Node>> {
        self.nodes.read().by_no.get(&no).cloned()
    }

    /// The name for a number, for readers of the trace.
    #[must_use]
    pub fn name_of(&self, no: ActorNo) -> Arc<str> {
        self.by_no(no).map_or_else(|| Arc::from("outside"), |node| Arc::clone(&node.name))
    }

    /// All actors, by number.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Node>> {
        let mut all: Vec<_> = self.nodes.read().by_no.values().cloned().collect();
        all.sort_by_key(|node| node.no);
        all
    }

    /// The picture below (and with) an actor; `standing` says how each of them stands.
    #[must_use]
    pub fn snapshot<S>(
        &self,
        root: ActorNo,
        standing: &impl Fn(&Node, &NodeState, Option<&Vitals>) -> S,
    ) -> Option<TreeSnapshot<S>> {
        let node = self.by_no(root)?;
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

/// One actor and those below it, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct TreeSnapshot<S> {
    pub name: Arc<str>,
    /// `supervisor` or `worker`.
    pub kind: &'static str,
    /// How it stands, as whoever looks puts it.
    #[serde(flatten)]
    pub standing: S,
    /// Where it is in its life.
    pub phase: Phase,
    pub incarnation: u64,
    pub restarts: u64,
    /// Why it ended last.
    pub last_exit: Option<LastExit>,
    /// Since when it is in its phase.
    pub since: Timestamp,
    pub queue_depth: usize,
    /// When it last showed life, for workers.
    pub last_heartbeat: Option<Timestamp>,
    /// Its mailbox, for workers.
    pub mailbox: Option<MailboxSnapshot>,
    /// Those it supervises, in start order.
    pub children: Vec<TreeSnapshot<S>>,
}

/// An end, and when.
#[derive(Debug, Clone, Serialize)]
pub struct LastExit {
    #[serde(flatten)]
    pub reason: ExitReason,
    pub at: Timestamp,
}

/// A mailbox as shown.
#[derive(Debug, Clone, Serialize)]
pub struct MailboxSnapshot {
    pub depth: usize,
    /// Most that may wait.
    pub capacity: usize,
    pub handled: u64,
    /// Whether messages are held back.
    pub paused: bool,
    /// Kind of the message being handled.
    pub handling: Option<&'static str>,
    /// When it last showed life.
    pub last_beat_at: Timestamp,
}

impl MailboxSnapshot {
    fn new(vitals: &Vitals) -> Self {
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

/// A monotonic time of the past as wall-clock time.
#[must_use]
pub fn wall(at: Instant) -> Timestamp {
    let ago = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(Timestamp::now().as_millis() - ago)
}
