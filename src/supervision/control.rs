//! Requests to a supervisor, each with a place in the trace.

use tokio::sync::oneshot;

use super::machine::{ChildKey, Incarnation};
use super::policy::PlannedRestart;
use super::system::ChildSpec;
use super::trace::{ActorNumber, MessageHeader};

pub(crate) enum SupervisorRequest {
    Shutdown {
        for_good: bool,
    },
    Kill {
        child: ActorNumber,
        reply: oneshot::Sender<Option<u64>>,
    },
    Restart {
        child: ActorNumber,
        why: PlannedRestart,
        reply: oneshot::Sender<Option<u64>>,
    },
    Terminate {
        child: ActorNumber,
        reply: oneshot::Sender<Option<u64>>,
    },
    StartChild {
        spec: Box<ChildSpec>,
        reply: oneshot::Sender<Option<u64>>,
    },
    /// Time to check the workers' liveness.
    Tick,
    /// A child's pause is over.
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

impl SupervisorRequest {
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

pub(crate) struct SupervisorMessage {
    pub(crate) header: MessageHeader,
    pub(crate) verb: SupervisorRequest,
}

impl SupervisorMessage {
    pub(crate) fn new(header: MessageHeader, verb: SupervisorRequest) -> Self {
        Self { header, verb }
    }
}
