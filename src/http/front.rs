//! The one layer around every handler of every port.
//!
//! From outside in: the trace, the guard, the handler (within the trace, so that the handler's messages
//! continue it), and the conversion of errors. Invariants: a refused request is traced too; a panicking
//! handler yields an answer, not a lost connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;

use super::error::{in_contract_form, panicked};
use super::guard::RequestGuard;
use super::trace::{OpenSpan, SpanRecorder};
use crate::domain::trace::TraceContext;
use crate::supervision::trace::{ActorNumber, TraceScope, in_scope};

/// The layer's state.
pub(super) struct FrontShared {
    pub(super) guard: RequestGuard,
    pub(super) recorder: Arc<dyn SpanRecorder>,
}

/// The layer, for `axum::middleware::from_fn_with_state`.
pub(super) async fn pass(
    State(front): State<Arc<FrontShared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let open = OpenSpan::begin(&*front.recorder, &mut request);
    let mut look = front.guard.inspect(&request);
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
    let scope = TraceScope { context, actor: ActorNumber::OUTSIDE };
    let handling = AssertUnwindSafe(in_scope(scope, next.run(request))).catch_unwind();
    let response = handling.await.unwrap_or_else(|panic| panicked(&*panic));
    in_contract_form(response, &method, &uri).await
}
