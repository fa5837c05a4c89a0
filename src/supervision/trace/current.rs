//! The trace context that code runs under: set by whoever runs it, inherited by what it sends.

use std::cell::Cell;
use std::future::Future;

use super::record::{ActorNo, Header};
use crate::domain::trace::TraceContext;

/// On whose behalf something runs, and in which span.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Trace, and the span that is the cause of what happens here.
    pub context: TraceContext,
    /// The actor that runs it.
    pub actor: ActorNo,
}

tokio::task_local! {
    static CURRENT: Cell<Scope>;
}

/// The scope of the running task, if it has one.
#[must_use]
pub fn current() -> Option<Scope> {
    CURRENT.try_with(Cell::get).ok()
}

/// Runs a future under a scope: all it sends continues the scope's trace.
pub fn in_scope<F: Future>(scope: Scope, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(Cell::new(scope), future)
}

/// Runs a function under a context, on behalf of whoever runs now: what it sends is caused by it.
pub fn caused_by<R>(context: TraceContext, function: impl FnOnce() -> R) -> R {
    let actor = current().map_or(ActorNo::OUTSIDE, |scope| scope.actor);
    CURRENT.sync_scope(Cell::new(Scope { context, actor }), function)
}

/// Moves the running task to another scope; without effect outside of [`in_scope`].
pub(crate) fn set(scope: Scope) {
    // Only a worker calls this, always inside `in_scope`.
    let _ = CURRENT.try_with(|cell| cell.set(scope));
}

/// The header of a message sent now: a child span of the current scope, or a new trace.
#[must_use]
pub fn header(sent_ns: u64) -> Header {
    match current() {
        Some(scope) => Header {
            context: scope.context.child(),
            parent: Some(scope.context.span),
            from: scope.actor,
            sent_ns,
        },
        None => Header { context: TraceContext::new_root(), parent: None, from: ActorNo::OUTSIDE, sent_ns },
    }
}
