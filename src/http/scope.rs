//! Puts a request's trace around its handler, so that every message it sends continues the trace.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::domain::trace::TraceContext;
use crate::supervision::trace::{ActorNo, Scope, in_scope};

/// A layer for every service's router (`axum::middleware::from_fn`).
pub async fn scope(request: Request, next: Next) -> Response {
    match request.extensions().get::<TraceContext>().copied() {
        Some(context) => in_scope(Scope { context, actor: ActorNo::OUTSIDE }, next.run(request)).await,
        None => next.run(request).await,
    }
}
