//! What every request of every port passes on its way to a handler, and its answer on the way back.
//!
//! One layer: the trace around all of it, the guard, the handler (within its trace, so that every message it
//! sends continues it), and the forms of what went wrong. Invariants: a refused request is traced too; a
//! handler that panics is an answer, not a lost connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;

use super::error::{in_contract_form, panicked};
use super::guard::Guard;
use super::trace::{Open, Recorder};
use crate::domain::trace::TraceContext;
use crate::supervision::trace::{ActorNo, Scope, in_scope};

/// What it works with.
pub(super) struct Front {
    pub(super) guard: Guard,
    pub(super) recorder: Arc<dyn Recorder>,
}

/// The layer, for `axum::middleware::from_fn_with_state`.
pub(super) async fn pass(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let open = Open::begin(&*front.recorder, &mut request);
    let mut look = front.guard.look(&request);
    let answer = match look.answer.take() {
        Some(answer) => answer,
        None => handled(request, next, open.context()).await,
    };
    let mut response = look.leave(answer);
    open.answered(&mut response);
    response
}

async fn handled(request: Request, next: Next, context: TraceContext) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let scope = Scope { context, actor: ActorNo::OUTSIDE };
    let handling = AssertUnwindSafe(in_scope(scope, next.run(request))).catch_unwind();
    let response = handling.await.unwrap_or_else(|panic| panicked(&*panic));
    in_contract_form(response, &method, &uri).await
}
