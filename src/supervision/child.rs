//! A supervisor's running child: specification, incarnation, and the entries that start and end leave in the
//! tree and the event log.

use ractor::ActorCell;

use super::event::SupervisionEventKind;
use super::machine::Incarnation;
use super::policy::ExitReason;
use super::system::{ActorSystem, ChildSpec};
use super::tree::ActorPhase;

pub(super) struct SupervisedChild {
    pub(super) spec: ChildSpec,
    pub(super) actor: Option<(ActorCell, Incarnation)>,
    /// The true reason of the coming end, which the framework reports as `killed` in all these cases.
    pub(super) cause: Option<ExitReason>,
    pub(super) ever_started: bool,
    pub(super) planned: bool,
}

impl SupervisedChild {
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
            state.phase = ActorPhase::Running;
            if (again || known) && !planned {
                state.restarts += 1;
            }
            restarts = state.restarts;
        });
        let what = if again {
            SupervisionEventKind::Restarted { incarnation, restarts }
        } else {
            SupervisionEventKind::Started { incarnation }
        };
        system.0.events.publish(&self.spec.node.name, what);
    }

    pub(super) fn ended(&mut self, system: &ActorSystem, incarnation: Incarnation, reason: &ExitReason) {
        let node = &self.spec.node;
        let site = node.mailbox.get().and_then(|mailbox| mailbox.take_crash()).map(Box::new);
        system.0.tree.update(node, |state| {
            let stopping = state.phase == ActorPhase::Stopping && !self.planned;
            state.phase = if stopping { ActorPhase::Stopped } else { ActorPhase::Restarting };
            state.last_exit = Some((reason.clone(), pas_domain::time::Timestamp::now()));
        });
        let what = if reason.is_abnormal() {
            SupervisionEventKind::Crashed { incarnation, reason: reason.clone(), site }
        } else {
            SupervisionEventKind::Stopped { reason: reason.clone() }
        };
        system.0.events.publish(&node.name, what);
    }
}
