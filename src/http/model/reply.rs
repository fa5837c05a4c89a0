//! Answers on their way out: whole, streamed, or refused.
//!
//! Headers of every answer: `x-pas-request-id` (also under the names that the vendors' SDKs look for),
//! `x-pas-provider`, `x-pas-model`; whole ones `x-pas-cost-usd`, streams `x-pas-cost-at-most-usd`,
//! because what a stream costs is known at its end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::Value;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::style::Style;
use crate::actors::gateway::{Answerer, Ask, Call, Embedded, Gateway, GatewayError, Piece, Streamed};
use crate::domain::money::NanoUsd;
use crate::http::edge_info::EdgeInfo;
use crate::llm::chat::Said;
use crate::llm::surface::{Form, Problem, ProblemKind, Writer};

/// As much of a stream as is put into one write: beyond it, memory grows and no write gets cheaper.
const WRITE: usize = 16 * 1024;

/// Makes a call and answers it in a style.
pub(in crate::http) async fn reply(
    gateway: &Gateway,
    mut call: Call,
    style: Style,
    edge: &EdgeInfo,
) -> Response {
    let request_id = call.caller.request_id.clone();
    let (form, mut wants_stream) = (style.form(), false);
    if let Ask::Chat(request) = &mut call.ask {
        wants_stream = request.stream;
        request.verbatim = style.is_canonical();
    }
    let answered = if wants_stream {
        gateway.stream(call).await.map(|streamed| stream(streamed, style, edge.shutdown.clone()))
    } else {
        gateway.reply(call).await.map(|replied| {
            let headers = about(&replied.by, "x-pas-cost-usd", replied.receipt.outcome.cost);
            (headers, style.whole(replied)).into_response()
        })
    };
    let mut response = answered.unwrap_or_else(|error| refusal(&error, form));
    name_request(response.headers_mut(), &request_id);
    response
}

/// Asks for embeddings and answers them in the form that `body` makes.
pub(in crate::http) async fn embed(
    gateway: &Gateway,
    call: Call,
    form: Form,
    body: impl FnOnce(Embedded) -> Value,
) -> Response {
    let request_id = call.caller.request_id.clone();
    let mut response = match gateway.embed(call).await {
        Ok(embedded) => {
            let headers = about(&embedded.by, "x-pas-cost-usd", embedded.receipt.outcome.cost);
            (headers, Json(body(embedded))).into_response()
        }
        Err(error) => refusal(&error, form),
    };
    name_request(response.headers_mut(), &request_id);
    response
}

fn refusal(error: &GatewayError, form: Form) -> Response {
    problem(&error.problem(), form)
}

/// A problem in the form of a surface.
pub(in crate::http) fn problem(problem: &Problem, form: Form) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem.body(form))).into_response();
    let headers = response.headers_mut();
    if let Some(wait) = problem.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    // The SDKs of OpenAI and Anthropic repeat by themselves unless told; PAS has repeated already.
    let retry = if problem.is_worth_a_retry() { "true" } else { "false" };
    headers.insert("x-should-retry", HeaderValue::from_static(retry));
    response
}

fn about(by: &Answerer, cost_name: &'static str, cost: NanoUsd) -> HeaderMap {
    let cost = cost.usd().normalize().to_string();
    let told = [
        (HeaderName::from_static("x-pas-provider"), by.provider.as_str()),
        (HeaderName::from_static("x-pas-model"), by.model.as_str()),
        (HeaderName::from_static(cost_name), cost.as_str()),
    ];
    told.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?))).collect()
}

/// Names the request in the headers that clients of PAS and of the vendors look at.
pub(in crate::http) fn name_request(headers: &mut HeaderMap, id: &str) {
    let Ok(value) = HeaderValue::from_str(id) else { return };
    for name in ["x-pas-request-id", "x-request-id", "request-id"] {
        headers.insert(HeaderName::from_static(name), value.clone());
    }
}

fn stream(streamed: Streamed, style: Style, shutdown: CancellationToken) -> Response {
    let mut headers = about(&streamed.by, "x-pas-cost-at-most-usd", streamed.held);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(style.stream_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Buffering proxies would hold pieces back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let written = Written {
        pieces: Some(streamed.pieces),
        writer: style.writer(),
        shutdown: Box::pin(shutdown.cancelled_owned()),
    };
    (headers, Body::from_stream(written)).into_response()
}

/// A stream's bytes. What is ready together goes out together; nothing waits for more.
struct Written {
    /// `None` once the last piece is written.
    pieces: Option<BoxStream<'static, Piece>>,
    writer: Box<dyn Writer>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Written {
    fn write(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Said(Said::Chunk(chunk)) => return self.writer.chunk(chunk, out),
            Piece::Said(Said::Verbatim(events)) => return self.writer.verbatim(events, out),
            Piece::Finished { usage, .. } => self.writer.finish(usage.as_ref(), out),
            Piece::Failed(failure) => self.writer.fail(&Problem::from(failure), out),
        }
        self.pieces = None;
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        let problem = Problem::new(ProblemKind::Cut, "the daemon is shutting down; the answer is not whole");
        self.writer.fail(&problem, out);
        self.pieces = None;
    }
}

impl Stream for Written {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut out = Vec::new();
        while let Some(pieces) = &mut this.pieces {
            match pieces.poll_next_unpin(context) {
                Poll::Ready(Some(piece)) => this.write(&piece, &mut out),
                Poll::Ready(None) => this.pieces = None,
                Poll::Pending if !out.is_empty() => break,
                Poll::Pending => match this.shutdown.poll_unpin(context) {
                    Poll::Ready(()) => this.stop(&mut out),
                    Poll::Pending => return Poll::Pending,
                },
            }
            if out.len() >= WRITE {
                break;
            }
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(out.into())))
    }
}
