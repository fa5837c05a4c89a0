//! The trace of a request: continues the caller's W3C `traceparent`, or starts one.
//!
//! Invariant: every request that reaches a router is recorded exactly once, even when the client leaves
//! before the answer (then without a status) or the guard refuses. A span ends when the answer's head is
//! ready; a stream that follows is not part of the span.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use tokio::time::Instant;

use super::edge_info::EdgeInfo;
use crate::domain::trace::{SpanId, TraceContext};

/// The header of W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The path of a span whose request matched no route; the raw path is unbounded and stays out.
pub const UNMATCHED: &str = "(unmatched)";

#[derive(Debug, Clone)]
pub struct HttpSpan {
    /// Trace and span of this request.
    pub context: TraceContext,
    /// The caller's span, when a valid `traceparent` came.
    pub parent: Option<SpanId>,
    pub port: u16,
    pub method: Method,
    /// The matched route, if any.
    pub route: Option<MatchedPath>,
    /// The answer's status; `None` when the client left first.
    pub status: Option<StatusCode>,
    /// When the request's head was read.
    pub started: Instant,
    /// When the answer's head was ready.
    pub ended: Instant,
}

impl HttpSpan {
    /// The route, such as `/jobs/{job_id}`, or [`UNMATCHED`].
    #[must_use]
    pub fn path(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }
}

/// The receiver of spans.
pub trait SpanRecorder: Send + Sync {
    /// Takes one span; must not block.
    fn record(&self, span: HttpSpan);
}

impl<F: Fn(HttpSpan) + Send + Sync> SpanRecorder for F {
    fn record(&self, span: HttpSpan) {
        self(span);
    }
}

/// Extractor: the trace context for everything that a handler causes.
#[derive(Debug, Clone, Copy)]
pub struct RequestTrace(pub TraceContext);

impl<S: Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let found = parts.extensions.get::<TraceContext>().copied();
        Ok(Self(found.unwrap_or_else(TraceContext::new_root)))
    }
}

/// A running request; recorded on drop, so that an abandoned one is recorded too.
pub(super) struct OpenSpan<'r> {
    recorder: &'r dyn SpanRecorder,
    context: TraceContext,
    span: Option<HttpSpan>,
}

impl<'r> OpenSpan<'r> {
    /// Begins the span of a request, and stores the trace context in the request.
    pub(super) fn begin(recorder: &'r dyn SpanRecorder, request: &mut Request) -> Self {
        let caller = caller(request.headers());
        let context = caller.map_or_else(TraceContext::new_root, TraceContext::child);
        let extensions = request.extensions();
        let started = Instant::now();
        let span = HttpSpan {
            context,
            parent: caller.map(|caller| caller.span),
            port: extensions.get::<EdgeInfo>().map_or(0, |edge| edge.local.port()),
            method: request.method().clone(),
            route: extensions.get::<MatchedPath>().cloned(),
            status: None,
            started,
            ended: started,
        };
        request.extensions_mut().insert(context);
        Self { recorder, context, span: Some(span) }
    }

    pub(super) const fn context(&self) -> TraceContext {
        self.context
    }

    /// Records the answer, and sets the answer's `traceparent`.
    pub(super) fn answered(mut self, response: &mut Response) {
        if let Some(span) = &mut self.span {
            span.status = Some(response.status());
        }
        if let Ok(value) = HeaderValue::try_from(self.context.traceparent()) {
            response.headers_mut().insert(TRACEPARENT, value);
        }
    }
}

impl Drop for OpenSpan<'_> {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.ended = Instant::now();
            self.recorder.record(span);
        }
    }
}

fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::from_traceparent(headers.get(TRACEPARENT)?.to_str().ok()?).ok()
}
