//! Steps of a call as spans of its trace: select, hold, provider call.

use crate::domain::trace::TraceContext;
use crate::supervision::ActorSystem;
use crate::supervision::trace::{ActorNo, Outcome, Record, current};

/// A step under way.
pub(super) struct Step {
    kind: &'static str,
    started_ns: u64,
}

impl Step {
    pub(super) fn begin(system: &ActorSystem, kind: &'static str) -> Self {
        Self { kind, started_ns: system.ring().now_ns() }
    }

    /// Records it as done by `actor`, caused by whatever runs now.
    pub(super) fn end(self, system: &ActorSystem, actor: ActorNo, ok: bool) {
        let scope = current();
        let context = scope.as_ref().map_or_else(TraceContext::new_root, |scope| scope.context.child());
        system.ring().write(Record {
            trace: context.trace,
            span: context.span,
            parent: scope.as_ref().map(|scope| scope.context.span),
            from: scope.map_or(ActorNo::OUTSIDE, |scope| scope.actor),
            to: actor,
            kind: self.kind,
            sent_ns: self.started_ns,
            started_ns: self.started_ns,
            ended_ns: system.ring().now_ns(),
            outcome: if ok { Outcome::Ok } else { Outcome::Error },
        });
    }
}
