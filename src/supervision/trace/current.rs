//! The trace context of running code: set by the runner, inherited by every message sent.

use std::cell::Cell;
use std::future::Future;

use super::record::{ActorNumber, MessageHeader};
use pas_domain::trace::TraceContext;

/// The span and the actor that code runs for.
#[derive(Debug, Clone, Copy)]
pub struct TraceScope {
    /// Trace, and the span that causes everything sent from here.
    pub context: TraceContext,
    /// The actor that runs the code.
    pub actor: ActorNumber,
}

tokio::task_local! {
    static CURRENT: Cell<TraceScope>;
}

#[must_use]
pub fn current() -> Option<TraceScope> {
    CURRENT.try_with(Cell::get).ok()
}

/// Runs a future under a scope: every message sent continues the scope's trace.
pub fn in_scope<F: Future>(scope: TraceScope, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Cell::new(scope), future)
}

/// Runs a function for the current actor, with `context` as the cause of every message sent.
pub fn caused_by<R>(context: TraceContext, function: impl FnOnce() -> R) -> R {
    let actor = current().map_or(ActorNumber::OUTSIDE, |scope| scope.actor);
    CURRENT.sync_scope(Cell::new(TraceScope { context, actor }), function)
}

/// Moves the running task to another scope; without effect outside [`in_scope`].
pub(crate) fn set(scope: TraceScope) {
    // Only a worker calls this, always inside `in_scope`.
    let _ = CURRENT.try_with(|cell| cell.set(scope));
}

/// The header of a message sent now: a child span of the current scope, or a new trace.
#[must_use]
pub fn header(sent_ns: u64) -> MessageHeader {
    match current() {
        Some(scope) => MessageHeader {
            context: scope.context.child(),
            parent: Some(scope.context.span),
            from: scope.actor,
            sent_ns,
        },
        None => MessageHeader {
            context: TraceContext::new_root(),
            parent: None,
            from: ActorNumber::OUTSIDE,
            sent_ns,
        },
    }
}
