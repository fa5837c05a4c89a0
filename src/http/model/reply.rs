//! Answers to model calls: complete, streamed, or refused.
//!
//! Every answer has the headers `x-pas-request-id` (also under the names that the vendors' SDKs look for),
//! `x-pas-provider` and `x-pas-model`; a complete answer has `x-pas-cost-usd`, a stream
//! `x-pas-cost-at-most-usd`, because the cost of a stream is known only at its end. `x-pas-max-tokens` is the
//! output limit, when budgets have lowered it.

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

use super::response_writer::ReplyFormat;
use crate::actors::gateway::{
    AnsweringModel, EmbeddingAnswer, GatewayError, GatewayHandle, ModelCall, ModelRequest, ModelStreamEvent,
    StreamedAnswer,
};
use crate::domain::money::NanoUsd;
use crate::http::edge_info::EdgeInfo;
use crate::llm::chat::StreamItem;
use crate::llm::inbound::gemini::GenerateList;
use crate::llm::inbound::{ApiFormat, ApiProblem, InboundWriter, ProblemKind};

/// Most bytes of a stream in one write: beyond that, memory grows and writes get no cheaper.
const WRITE: usize = 16 * 1024;

/// Makes a call and answers in the client's format.
pub(in crate::http) async fn reply(
    gateway: &GatewayHandle,
    call: ModelCall,
    style: ReplyFormat,
    edge: &EdgeInfo,
) -> Response {
    let request_id = call.caller.request_id.clone();
    let form = style.form();
    let wants_stream = match &call.ask {
        ModelRequest::Chat(request) => request.stream,
        ModelRequest::Original(original) => original.is_stream(),
        ModelRequest::Embed(_) => false,
    };
    let answered = if wants_stream {
        gateway.stream(call).await.map(|streamed| stream(streamed, style, edge.shutdown.clone()))
    } else {
        gateway.reply(call).await.map(|replied| {
            let headers = about(&replied.by, "x-pas-cost-usd", replied.receipt.outcome.cost);
            (headers, style.completion(replied)).into_response()
        })
    };
    let mut response = answered.unwrap_or_else(|error| refusal(&error, form));
    name_request(response.headers_mut(), &request_id);
    response
}

/// Asks for embeddings and answers in the form made by `body`.
pub(in crate::http) async fn embed(
    gateway: &GatewayHandle,
    call: ModelCall,
    form: ApiFormat,
    body: impl FnOnce(EmbeddingAnswer) -> Value,
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

fn refusal(error: &GatewayError, form: ApiFormat) -> Response {
    problem(&error.problem(), form)
}

/// A problem in an inbound format.
pub(in crate::http) fn problem(problem: &ApiProblem, form: ApiFormat) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem.body(form))).into_response();
    let headers = response.headers_mut();
    if let Some(said) = problem.said_in(form) {
        // The vendor's clients decide by nothing but the vendor's own words and headers.
        headers.extend(said.headers.clone());
        return response;
    }
    if let Some(wait) = problem.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    // The SDKs of OpenAI and Anthropic retry by default; PAS has retried already.
    let retry = if problem.is_worth_a_retry() { "true" } else { "false" };
    headers.insert("x-should-retry", HeaderValue::from_static(retry));
    response
}

fn about(by: &AnsweringModel, cost_name: &'static str, cost: NanoUsd) -> HeaderMap {
    let cost = cost.usd().normalize().to_string();
    let lowered = by.lowered_limit.map(|limit| limit.to_string());
    let lowered = lowered.as_deref().map(|limit| (HeaderName::from_static("x-pas-max-tokens"), limit));
    let told = [
        (HeaderName::from_static("x-pas-provider"), by.provider.as_str()),
        (HeaderName::from_static("x-pas-model"), by.model.as_str()),
        (HeaderName::from_static(cost_name), cost.as_str()),
    ];
    told.into_iter()
        .chain(lowered)
        .filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?)))
        .collect()
}

/// Sets the request id in the headers read by clients of PAS and of the vendors; a vendor's own id stays.
pub(in crate::http) fn name_request(headers: &mut HeaderMap, id: &str) {
    let Ok(value) = HeaderValue::from_str(id) else { return };
    headers.insert(HeaderName::from_static("x-pas-request-id"), value.clone());
    for name in ["x-request-id", "request-id"] {
        headers.entry(HeaderName::from_static(name)).or_insert_with(|| value.clone());
    }
}

fn stream(streamed: StreamedAnswer, style: ReplyFormat, shutdown: CancellationToken) -> Response {
    let mut headers = about(&streamed.by, "x-pas-cost-at-most-usd", streamed.held);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(style.stream_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Buffering proxies would delay chunks.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let is_passed = streamed.passed.is_some();
    headers.extend(streamed.passed.unwrap_or_default());
    let written = ReplyStream {
        pieces: Some(streamed.events),
        list: style.list(),
        writer: style.writer(is_passed),
        shutdown: Box::pin(shutdown.cancelled_owned()),
    };
    (headers, Body::from_stream(written)).into_response()
}

/// A stream's bytes. Ready items go out together; none waits for more.
struct ReplyStream {
    /// `None` once the end is written.
    pieces: Option<BoxStream<'static, ModelStreamEvent>>,
    list: Option<GenerateList>,
    writer: Box<dyn InboundWriter>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ReplyStream {
    fn write(&mut self, piece: &ModelStreamEvent, out: &mut Vec<u8>) {
        match piece {
            ModelStreamEvent::Item(StreamItem::Chunk(chunk)) => return self.writer.chunk(chunk, out),
            ModelStreamEvent::Item(StreamItem::Verbatim(events)) => return out.extend_from_slice(events),
            ModelStreamEvent::Finished { usage, ending, .. } => {
                self.writer.finish(usage.as_ref(), out);
                out.extend_from_slice(ending);
            }
            ModelStreamEvent::Failed(failure) => self.writer.fail(&ApiProblem::from(failure), out),
        }
        self.pieces = None;
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        let problem =
            ApiProblem::new(ProblemKind::Cut, "the daemon is shutting down; the answer is incomplete");
        self.writer.fail(&problem, out);
        self.pieces = None;
    }
}

impl Stream for ReplyStream {
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
        let is_over = this.pieces.is_none();
        if let Some(list) = &mut this.list {
            out = list.more(&out);
            if is_over {
                out.extend_from_slice(list.end());
                this.list = None;
            } else if out.is_empty() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(out.into())))
    }
}
