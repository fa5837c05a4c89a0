//! Phases of a call as spans of its trace: select, hold, provider call.

use crate::domain::trace::TraceContext;
use crate::supervision::ActorSystem;
use crate::supervision::trace::{ActorNumber, MessageOutcome, TraceRecord, current};

/// A phase in progress.
pub(in crate::actors) struct CallSpan {
    kind: &'static str,
    started_ns: u64,
}

impl CallSpan {
    pub(in crate::actors) fn begin(system: &ActorSystem, kind: &'static str) -> Self {
        Self { kind, started_ns: system.ring().now_ns() }
    }

    /// Records the phase as done by `actor`, caused by the current scope.
    pub(in crate::actors) fn end(self, system: &ActorSystem, actor: ActorNumber, ok: bool) {
        let scope = current();
        let context = scope.as_ref().map_or_else(TraceContext::new_root, |scope| scope.context.child());
        system.ring().write(TraceRecord {
            trace: context.trace,
            span: context.span,
            parent: scope.as_ref().map(|scope| scope.context.span),
            from: scope.map_or(ActorNumber::OUTSIDE, |scope| scope.actor),
            to: actor,
            kind: self.kind,
            sent_ns: self.started_ns,
            started_ns: self.started_ns,
            ended_ns: system.ring().now_ns(),
            outcome: if ok { MessageOutcome::Ok } else { MessageOutcome::Error },
        });
    }
}
