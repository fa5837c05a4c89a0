//! A supervisor's child as it lives: its specification, its incarnation, and what its start and end tell
//! the tree and the event log.

use ractor::ActorCell;

use super::event::Happening;
use super::machine::Incarnation;
use super::policy::ExitReason;
use super::system::{ActorSystem, ChildSpec};
use super::tree::Phase;

pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) actor: Option<(ActorCell, Incarnation)>,
    /// What to call the coming end: the framework says `killed` for all of these.
    pub(super) cause: Option<ExitReason>,
    pub(super) ever_started: bool,
    pub(super) planned: bool,
}

impl Child {
    pub(super) fn new(spec: ChildSpec) -> Self {
        Self { spec, actor: None, cause: None, ever_started: false, planned: false }
    }

    pub(super) fn started(&mut self, system: &ActorSystem, actor: ActorCell, incarnation: Incarnation) {
        self.actor = Some((actor, incarnation));
        self.cause = None;
        let again = std::mem::replace(&mut self.ever_started, true);
        let planned = std::mem::take(&mut self.planned);
        let mut restarts = 0;
        system.0.tree.update(&self.spec.node, |state| {
            let known = state.incarnation > 0;
            state.incarnation += 1;
            state.phase = Phase::Running;
            if (again || known) && !planned {
                state.restarts += 1;
            }
            restarts = state.restarts;
        });
        let what = if again {
            Happening::Restarted { incarnation, restarts }
        } else {
            Happening::Started { incarnation }
        };
        system.0.events.publish(&self.spec.node.name, what);
    }

    pub(super) fn ended(&mut self, system: &ActorSystem, incarnation: Incarnation, reason: &ExitReason) {
        let node = &self.spec.node;
        let site = node.mailbox.get().and_then(|mailbox| mailbox.take_crash()).map(Box::new);
        system.0.tree.update(node, |state| {
            let stopping = state.phase == Phase::Stopping && !self.planned;
            state.phase = if stopping { Phase::Stopped } else { Phase::Restarting };
            state.last_exit = Some((reason.clone(), crate::domain::time::Timestamp::now()));
        });
        let what = if reason.is_abnormal() {
            Happening::Crashed { incarnation, reason: reason.clone(), site }
        } else {
            Happening::Stopped { reason: reason.clone() }
        };
        system.0.events.publish(&node.name, what);
    }
}
