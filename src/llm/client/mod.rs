//! The one HTTP client that talks to vendors.
//!
//! Invariants: nothing that costs money is sent without a [`Hold`] (a parameter of the functions); every wait
//! and every size has a limit; credentials go only to the endpoint's own host, since no redirect is followed
//! and no proxy is used (`HTTP_PROXY` and the like are ignored: a proxy for plain `http` would read the keys,
//! and one that handles `localhost` would hide the local Ollama). Dropping a call closes its connection,
//! which is how a cancel reaches the vendor. Failure policy: one attempt per call, no retries here; every
//! [`VendorFailure`] states whether the vendor may have begun to work.

mod answer;
mod connect;
mod deadlines;
mod fault;
mod passing;
mod stream;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use serde_json::Value;
use tokio::time::Instant;

pub use self::deadlines::CallDeadlines;
pub use self::stream::ChunkStream;
use self::transport::{VendorResponse, VendorTransport};
use super::chat::ChatRequest;
use super::dialect::{self, AnswerDefaults, Completion, VendorRequest};
use super::embedding::{EmbeddingRequest, EmbeddingResponse};
use super::endpoint::VendorEndpoint;
use super::failure::{VendorFailure, VendorFailureKind};
use super::openai::{self, ServedModel};
use super::vendor::Vendor;
use pas_domain::accounts::budget::Hold;
use pas_domain::usage::TokenUsage;

/// Idle connections per vendor: one for each caller in a busy swarm.
const IDLE_CONNECTIONS: usize = 64;
/// Time an idle connection is kept; vendors' load balancers close theirs after a minute or more.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);

/// Calls vendors. Clone it: all clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct VendorClient {
    /// Built at the first call: loading the system's certificates takes time and memory, which a swarm
    /// without models saves.
    http: Arc<OnceLock<Result<VendorTransport, VendorFailure>>>,
}

impl VendorClient {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a complete answer; `request.model` is the vendor's name of the model.
    ///
    /// # Errors
    /// Any [`VendorFailure`] but [`MissingUsage`](VendorFailureKind::MissingUsage): an answer without usage
    /// is a [`Completion`] without one.
    pub async fn chat(
        &self,
        _hold: &Hold,
        endpoint: &VendorEndpoint,
        request: &ChatRequest,
        deadlines: &CallDeadlines,
    ) -> Result<Completion, VendorFailure> {
        let vendor = endpoint.vendor();
        let wire = dialect::chat_request(vendor, request, false)?;
        let body = self.read_answer(endpoint, wire, deadlines).await?;
        let read = dialect::chat_response(vendor, &AnswerDefaults::now(&request.model), &body);
        read.map_err(|failure| mask(failure, endpoint))
    }

    /// Asks for a stream, and waits for the first chunk: a call that fails before it can be retried.
    ///
    /// # Errors
    /// Any [`VendorFailure`]; later ones are items of the stream.
    pub async fn stream(
        &self,
        _hold: &Hold,
        endpoint: &VendorEndpoint,
        request: &ChatRequest,
        deadlines: &CallDeadlines,
    ) -> Result<ChunkStream, VendorFailure> {
        let wire = dialect::chat_request(endpoint.vendor(), request, true)?;
        let started = Instant::now();
        let response = self.send(endpoint, wire, deadlines, started).await?;
        let wanted = match endpoint.vendor() {
            Vendor::Ollama => &["json"][..],
            _ => &["text/event-stream"],
        };
        answer::check_content_type(endpoint.vendor(), &response, wanted)?;
        let asked = AnswerDefaults::now(&request.model);
        let decoder = dialect::decoder(endpoint.vendor(), asked, request.answers());
        ChunkStream::begin(endpoint, response, decoder, deadlines, started).await
    }

    /// Asks for embeddings. The usage is `None` when the vendor reports none (Gemini).
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn embeddings(
        &self,
        _hold: &Hold,
        endpoint: &VendorEndpoint,
        request: &EmbeddingRequest,
        deadlines: &CallDeadlines,
    ) -> Result<(EmbeddingResponse, Option<TokenUsage>), VendorFailure> {
        let wire = dialect::embedding_request(endpoint.vendor(), request)?;
        let body = self.read_answer(endpoint, wire, deadlines).await?;
        dialect::embedding_response(endpoint.vendor(), request, &body)
            .map_err(|failure| mask(failure, endpoint))
    }

    /// Reads the names of the vendor's models; costs nothing, so it needs no hold.
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn models(
        &self,
        endpoint: &VendorEndpoint,
        deadlines: &CallDeadlines,
    ) -> Result<Vec<String>, VendorFailure> {
        let body = self.read_answer(endpoint, dialect::models_request(endpoint.vendor()), deadlines).await?;
        dialect::models_response(endpoint.vendor(), &body)
            .map_err(|failure| VendorFailure { may_cost: false, ..mask(failure, endpoint) })
    }

    /// The models that a server of OpenAI's protocol lists, with the windows that it states; costs nothing.
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn listed_models(
        &self,
        endpoint: &VendorEndpoint,
        deadlines: &CallDeadlines,
    ) -> Result<Vec<ServedModel>, VendorFailure> {
        let body = self.read_answer(endpoint, dialect::models_request(endpoint.vendor()), deadlines).await?;
        openai::models::listed(endpoint.vendor(), &body)
            .map_err(|failure| VendorFailure { may_cost: false, ..mask(failure, endpoint) })
    }

    /// The models loaded by the local Ollama (`GET /api/ps`); costs nothing.
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn running(
        &self,
        endpoint: &VendorEndpoint,
        deadlines: &CallDeadlines,
    ) -> Result<Value, VendorFailure> {
        let body = self.read_answer(endpoint, VendorRequest::get("/api/ps"), deadlines).await?;
        let read = serde_json::from_slice(&body).map_err(|error| error.to_string());
        read.map_err(|what| VendorFailure {
            may_cost: false,
            ..VendorFailure::malformed(endpoint.vendor(), &what)
        })
    }

    async fn read_answer(
        &self,
        endpoint: &VendorEndpoint,
        wire: VendorRequest,
        deadlines: &CallDeadlines,
    ) -> Result<Vec<u8>, VendorFailure> {
        let started = Instant::now();
        let response = self.send(endpoint, wire, deadlines, started).await?;
        answer::check_content_type(endpoint.vendor(), &response, &["json"])?;
        answer::read_whole(endpoint.vendor(), response, deadlines, started).await
    }

    /// Sends the request and waits for the head of a good answer.
    async fn send(
        &self,
        endpoint: &VendorEndpoint,
        wire: VendorRequest,
        deadlines: &CallDeadlines,
        started: Instant,
    ) -> Result<VendorResponse, VendorFailure> {
        let vendor = endpoint.vendor();
        if deadlines.overall.is_zero() {
            let message = format!("{}: no time was left for the call; nothing was sent", vendor.title());
            return Err(VendorFailure::new(VendorFailureKind::Cancelled, message));
        }
        let request = build(endpoint, wire)?;
        let http = self.http.get_or_init(open_transport).as_ref().map_err(Clone::clone)?;
        let limit = deadlines.first_byte.min(deadlines.overall);
        let sent = connect::within(deadlines.connect.min(limit), http.send(request));
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

fn open_transport() -> Result<VendorTransport, VendorFailure> {
    VendorTransport::new().map_err(|error| {
        let message = format!("cannot set up TLS for vendors: {error}");
        VendorFailure::new(VendorFailureKind::Connect, message)
    })
}

/// The HTTP request, with the credential in all forms that the vendor accepts.
fn build(endpoint: &VendorEndpoint, wire: VendorRequest) -> Result<Request<Full<Bytes>>, VendorFailure> {
    let (vendor, has_body) = (endpoint.vendor(), !wire.body.is_empty());
    let unusable = |error: &dyn std::error::Error| {
        let message = format!("{}: the base URL cannot be used: {error}", vendor.title());
        VendorFailure::new(VendorFailureKind::Connect, message)
    };
    let url = String::from(endpoint.url(&wire.path).map_err(|error| unusable(&error))?);
    let mut request = Request::new(Full::new(wire.body));
    *request.uri_mut() = Uri::try_from(url).map_err(|error| unusable(&error))?;
    *request.method_mut() = if has_body { Method::POST } else { Method::GET };
    let headers = request.headers_mut();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream, application/x-ndjson"),
    );
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("pas/", env!("CARGO_PKG_VERSION"))));
    headers.extend(wire.passed);
    for (name, value) in wire.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in credentials(endpoint)? {
        headers.insert(name, value);
    }
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(request)
}

/// Anthropic's clients send a key as bearer token or as `x-api-key`, depending on their age; PAS sends both.
fn credentials(endpoint: &VendorEndpoint) -> Result<Vec<(HeaderName, HeaderValue)>, VendorFailure> {
    let vendor = endpoint.vendor();
    let Some(key) = endpoint.credential() else {
        return match vendor.key_variable() {
            None => Ok(Vec::new()),
            Some(variable) => {
                let message = format!("{}: there is no key; set {variable}", vendor.title());
                Err(VendorFailure::new(VendorFailureKind::Credential, message))
            }
        };
    };
    let value = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            let message = format!("{}: the key holds characters that no key has", vendor.title());
            VendorFailure::new(VendorFailureKind::Credential, message)
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

/// Vendors' messages are passed on; a repeated key is removed.
fn mask(mut failure: VendorFailure, endpoint: &VendorEndpoint) -> VendorFailure {
    let key = endpoint.credential().map(|key| key.expose().trim()).filter(|key| !key.is_empty());
    let Some(key) = key else { return failure };
    if failure.message.contains(key) {
        failure.message = failure.message.replace(key, "***");
    }
    if let Some(said) = &mut failure.said {
        Arc::make_mut(said).hide(key);
    }
    failure
}
