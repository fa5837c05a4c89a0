//! The one HTTP client that talks to vendors.
//!
//! Invariants: nothing that costs money is sent without a [`Hold`] (the type demands it); every wait and
//! every size has a limit; credentials go to the endpoint's own host only, since no redirect is followed
//! and no proxy is used (`HTTP_PROXY` and its like are ignored: a proxy for plain `http` would read the
//! keys, and one that takes `localhost` would hide the local Ollama). Dropping a call closes its
//! connection, which is how a cancellation reaches the vendor. Failure policy: one attempt a call, no
//! retries here; every [`Failure`] says whether the vendor may have begun to work.

mod answer;
mod connect;
mod deadlines;
mod fault;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::Instant;

pub use self::deadlines::Deadlines;
pub use self::stream::ChunkStream;
use super::chat::{ChatRequest, Whole};
use super::dialect::{self, Asked, Completion, WireRequest};
use super::embedding::{EmbeddingRequest, EmbeddingResponse};
use super::endpoint::Endpoint;
use super::failure::{Failure, FailureKind};
use super::tls;
use super::vendor::Vendor;
use crate::domain::budget::Hold;
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

/// Idle connections kept to each vendor: as many as callers in a busy swarm, a socket each.
const IDLE_CONNECTIONS: usize = 64;
/// Time an idle connection is kept; vendors' load balancers close theirs after a minute or more.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);

/// Calls vendors. Clone it: all clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Made at the first call: reading the system's certificates takes time and memory that a swarm
    /// without models need not spend.
    http: std::sync::Arc<OnceLock<Result<reqwest::Client, Failure>>>,
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a whole answer; `request.model` is the vendor's name of the model.
    ///
    /// # Errors
    /// Any [`Failure`] but [`MissingUsage`](FailureKind::MissingUsage): an answer without usage is a
    /// [`Completion`] without one.
    pub async fn chat(
        &self,
        _hold: &Hold,
        endpoint: &Endpoint,
        request: &ChatRequest,
        deadlines: &Deadlines,
    ) -> Result<(Whole, Option<Usage>), Failure> {
        let vendor = endpoint.vendor();
        let wire = dialect::chat_request(vendor, request, false)?;
        let body = self.whole(endpoint, wire, deadlines).await?;
        if request.verbatim
            && let Some(usage) = dialect::usage_at_a_glance(vendor, &body)
        {
            return Ok((Whole::Verbatim(body), Some(usage)));
        }
        let read = dialect::chat_response(vendor, &asked(request), &body);
        let Completion { response, usage } = read.map_err(|failure| mask(failure, endpoint))?;
        Ok((Whole::Read(Box::new(response)), usage))
    }

    /// Asks for a stream, and waits for its first chunk: a call that fails before it can be tried again.
    ///
    /// # Errors
    /// Any [`Failure`]; later ones are items of the stream.
    pub async fn stream(
        &self,
        _hold: &Hold,
        endpoint: &Endpoint,
        request: &ChatRequest,
        deadlines: &Deadlines,
    ) -> Result<ChunkStream, Failure> {
        let wire = dialect::chat_request(endpoint.vendor(), request, true)?;
        let started = Instant::now();
        let response = self.send(endpoint, wire, deadlines, started).await?;
        let wanted = match endpoint.vendor() {
            Vendor::Ollama => &["json"][..],
            _ => &["text/event-stream"],
        };
        answer::check_content_type(endpoint.vendor(), &response, wanted)?;
        let decoder = dialect::decoder(endpoint.vendor(), asked(request), request.verbatim);
        ChunkStream::begin(endpoint, response, decoder, deadlines, started).await
    }

    /// Asks for embeddings. The usage is `None` where the vendor says nothing of it (Gemini).
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn embeddings(
        &self,
        _hold: &Hold,
        endpoint: &Endpoint,
        request: &EmbeddingRequest,
        deadlines: &Deadlines,
    ) -> Result<(EmbeddingResponse, Option<Usage>), Failure> {
        let wire = dialect::embedding_request(endpoint.vendor(), request)?;
        let body = self.whole(endpoint, wire, deadlines).await?;
        dialect::embedding_response(endpoint.vendor(), request, &body)
            .map_err(|failure| mask(failure, endpoint))
    }

    /// Reads the names of the vendor's models; costs nothing, so it needs no hold.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn models(&self, endpoint: &Endpoint, deadlines: &Deadlines) -> Result<Vec<String>, Failure> {
        let body = self.whole(endpoint, dialect::models_request(endpoint.vendor()), deadlines).await?;
        dialect::models_response(endpoint.vendor(), &body)
            .map_err(|failure| Failure { may_cost: false, ..mask(failure, endpoint) })
    }

    /// What the local Ollama has in its memory, as it says so (`GET /api/ps`); costs nothing.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn running(&self, endpoint: &Endpoint, deadlines: &Deadlines) -> Result<Value, Failure> {
        let body = self.whole(endpoint, WireRequest::get("/api/ps"), deadlines).await?;
        let read = serde_json::from_slice(&body).map_err(|error| error.to_string());
        read.map_err(|what| Failure { may_cost: false, ..Failure::malformed(endpoint.vendor(), &what) })
    }

    async fn whole(
        &self,
        endpoint: &Endpoint,
        wire: WireRequest,
        deadlines: &Deadlines,
    ) -> Result<Vec<u8>, Failure> {
        let started = Instant::now();
        let response = self.send(endpoint, wire, deadlines, started).await?;
        answer::check_content_type(endpoint.vendor(), &response, &["json"])?;
        answer::read_whole(endpoint.vendor(), response, deadlines, started).await
    }

    /// Sends the request and waits for the head of a good answer.
    async fn send(
        &self,
        endpoint: &Endpoint,
        wire: WireRequest,
        deadlines: &Deadlines,
        started: Instant,
    ) -> Result<Response, Failure> {
        let vendor = endpoint.vendor();
        if deadlines.overall.is_zero() {
            let message = format!("{}: no time was left for the call; nothing was sent", vendor.title());
            return Err(Failure::new(FailureKind::Cancelled, message));
        }
        let request = build(endpoint, wire)?;
        let http = self.http.get_or_init(build_client).as_ref().map_err(Clone::clone)?;
        let limit = deadlines.first_byte.min(deadlines.overall);
        let sent = connect::within(deadlines.connect.min(limit), http.execute(request));
        match tokio::time::timeout_at(started + limit, sent).await {
            Err(_) => Err(fault::first_byte_timeout(vendor, limit)),
            Ok(Err(error)) => Err(fault::of_sending(vendor, &error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => {
                Err(mask(answer::refused(vendor, response, deadlines, started).await, endpoint))
            }
        }
    }
}

fn asked(request: &ChatRequest) -> Asked {
    Asked { model: request.model.clone(), created: Timestamp::now().as_millis() / 1_000 }
}

fn build_client() -> Result<reqwest::Client, Failure> {
    let broken = |error: &dyn std::error::Error| {
        Failure::new(FailureKind::Connect, format!("the HTTP client for vendors cannot be made: {error}"))
    };
    tls::client_builder()
        .map_err(|error| broken(&error))?
        .no_proxy()
        .redirect(Policy::none())
        .tcp_nodelay(true)
        .connector_layer(connect::TimeLimit)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_CONNECTION)
        .user_agent(concat!("pas/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| broken(&error))
}

/// The HTTP request, with the credential in all the forms that the vendor takes.
fn build(endpoint: &Endpoint, wire: WireRequest) -> Result<reqwest::Request, Failure> {
    let vendor = endpoint.vendor();
    let url = endpoint.url(&wire.path).map_err(|error| {
        let message = format!("{}: the base URL cannot be used: {error}", vendor.title());
        Failure::new(FailureKind::Connect, message)
    })?;
    let method = if wire.body.is_empty() { Method::GET } else { Method::POST };
    let mut request = reqwest::Request::new(method, url);
    let headers = request.headers_mut();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream, application/x-ndjson"),
    );
    for (name, value) in wire.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in credentials(endpoint)? {
        headers.insert(name, value);
    }
    if !wire.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(wire.body.into());
    }
    Ok(request)
}

/// Anthropic's clients send a key as bearer token or as `x-api-key`, by their age; both are sent.
fn credentials(endpoint: &Endpoint) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let vendor = endpoint.vendor();
    let Some(key) = endpoint.credential() else {
        return match vendor.key_variable() {
            None => Ok(Vec::new()),
            Some(variable) => {
                let message = format!("{}: there is no key; set {variable}", vendor.title());
                Err(Failure::new(FailureKind::Credential, message))
            }
        };
    };
    let value = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            let message = format!("{}: the key holds characters that no key has", vendor.title());
            Failure::new(FailureKind::Credential, message)
        })?;
        value.set_sensitive(true);
        Ok(value)
    };
    let key = key.expose().trim();
    let bearer = format!("Bearer {key}");
    Ok(match vendor {
        Vendor::OpenAi | Vendor::Grok | Vendor::Ollama => vec![(AUTHORIZATION, value(&bearer)?)],
        Vendor::Anthropic => {
            vec![(AUTHORIZATION, value(&bearer)?), (HeaderName::from_static("x-api-key"), value(key)?)]
        }
        Vendor::Gemini => vec![(HeaderName::from_static("x-goog-api-key"), value(key)?)],
    })
}

/// Vendors' words are passed on; should they repeat the key, it is taken out.
fn mask(mut failure: Failure, endpoint: &Endpoint) -> Failure {
    if let Some(key) = endpoint.credential() {
        let key = key.expose().trim();
        if !key.is_empty() && failure.message.contains(key) {
            failure.message = failure.message.replace(key, "***");
        }
    }
    failure
}
