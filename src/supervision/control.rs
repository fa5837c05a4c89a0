//! What a supervisor can be asked to do, with its place in the trace.

use tokio::sync::oneshot;

use super::machine::{ChildKey, Incarnation};
use super::policy::PlannedRestart;
use super::system::ChildSpec;
use super::trace::{ActorNo, Header};

/// What a supervisor is asked to do.
pub(crate) enum Verb {
    Shutdown {
        for_good: bool,
    },
    Kill {
        child: ActorNo,
        reply: oneshot::Sender<Option<u64>>,
    },
    Restart {
        child: ActorNo,
        why: PlannedRestart,
        reply: oneshot::Sender<Option<u64>>,
    },
    Terminate {
        child: ActorNo,
        reply: oneshot::Sender<Option<u64>>,
    },
    StartChild {
        spec: Box<ChildSpec>,
        reply: oneshot::Sender<Option<u64>>,
    },
    /// Time to look at the workers' lives.
    Tick,
    /// A child has stayed down for as long as it was to.
    Due {
        key: ChildKey,
    },
    /// An orderly end has taken too long.
    Overdue {
        key: ChildKey,
        incarnation: Incarnation,
    },
    /// A kill has taken too long.
    Unyielding {
        key: ChildKey,
        incarnation: Incarnation,
    },
}

impl Verb {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Shutdown { .. } => "shutdown",
            Self::Kill { .. } => "kill",
            Self::Restart { .. } => "restart",
            Self::Terminate { .. } => "terminate",
            Self::StartChild { .. } => "start_child",
            Self::Tick => "tick",
            Self::Due { .. } => "due",
            Self::Overdue { .. } => "overdue",
            Self::Unyielding { .. } => "unyielding",
        }
    }
}

/// A verb with its place in the trace.
pub(crate) struct SupervisorMessage {
    pub(crate) header: Header,
    pub(crate) verb: Verb,
}

impl SupervisorMessage {
    pub(crate) fn new(header: Header, verb: Verb) -> Self {
        Self { header, verb }
    }
}
