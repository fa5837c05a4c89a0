//! Ports 8100-8103 and 8050-8051: one vendor or local model each, in OpenAI's form; 8052 shares the chat
//! forms.
//!
//! Calls take the gateway's path, pinned to one vendor: holds, receipts and circuit breakers are shared.
//! Failure policy: a port without its key stays up and reports `degraded`, as 8050 and 8051 do without the
//! local server.

mod ollama;
mod pages;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};

pub use self::pages::health;

use super::edge_info::EdgeInfo;
use super::model::{ReplyFormat, caller, problem, read_original, reply};
use crate::actors::gateway::{GatewayHandle, LocalModel, ModelCall, ModelRequest, ModelTarget};
use crate::domain::time::Timestamp;
use crate::llm::chat::ChatRequest;
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::passage::WireProtocol;
use crate::llm::{Vendor, catalogue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterKind {
    Vendor(Vendor),
    /// One model of the local Ollama.
    Local(LocalModel),
}

impl AdapterKind {
    /// The vendor behind the adapter.
    #[must_use]
    pub const fn vendor(self) -> Vendor {
        match self {
            Self::Vendor(vendor) => vendor,
            Self::Local(_) => Vendor::Ollama,
        }
    }

    /// The default model: a vendor's newest general-purpose one that it still serves.
    fn model(self) -> &'static str {
        match self {
            Self::Local(local) => local.model,
            Self::Vendor(vendor) => catalogue::default_model(vendor, Timestamp::now()),
        }
    }
}

#[derive(Clone)]
pub struct ModelAdapter {
    kind: AdapterKind,
    gateway: GatewayHandle,
    port: u16,
    /// The source of the vendor's key, where one is needed.
    key_from: Option<String>,
    started: Instant,
    /// Duration of the last call in milliseconds, plus one; 0 before the first.
    last_ms: Arc<AtomicU64>,
}

impl ModelAdapter {
    /// An adapter on a port (offset included), with the source of the vendor's key.
    #[must_use]
    pub fn new(kind: AdapterKind, gateway: GatewayHandle, port: u16, key_from: Option<String>) -> Self {
        Self { kind, gateway, port, key_from, started: Instant::now(), last_ms: Arc::default() }
    }

    /// The vendor's name of the model that a request asks for.
    fn model_named(&self, asked: &str) -> String {
        let own = format!("{}/", self.kind.vendor());
        let model = asked.strip_prefix(&own).unwrap_or(asked);
        let is_free = model.is_empty() || model == "auto" || model.starts_with("auto:");
        if is_free { self.kind.model().to_owned() } else { model.to_owned() }
    }

    /// A call of this adapter's vendor.
    fn call(&self, headers: &axum::http::HeaderMap, ask: ModelRequest) -> Result<ModelCall, ApiProblem> {
        let vendor = self.kind.vendor();
        if let (false, Some(variable)) = (self.gateway.endpoint(vendor).is_ready(), vendor.key_variable()) {
            let text = format!("no key for {}; set {variable} and restart the daemon", vendor.title());
            return Err(ApiProblem::new(ProblemKind::NotConfigured, text));
        }
        Ok(ModelCall::new(caller(headers)?, ModelTarget::Pinned(vendor), ask))
    }

    /// A call in the canonical form.
    fn canonical(&self, mut request: ChatRequest) -> Result<ModelRequest, ApiProblem> {
        request.model = self.model_named(&request.model);
        if request.messages.is_empty() {
            return Err(ApiProblem::invalid("messages", "at least one message is required"));
        }
        Ok(ModelRequest::Chat(request))
    }

    /// Makes the call and records the time to the first byte.
    async fn answer(
        &self,
        edge: &EdgeInfo,
        headers: &axum::http::HeaderMap,
        ask: Result<ModelRequest, ApiProblem>,
        style: ReplyFormat,
    ) -> Response {
        let call = match ask.and_then(|ask| self.call(headers, ask)) {
            Ok(call) => call,
            Err(wrong) => return problem(&wrong, style.form()),
        };
        let begun = Instant::now();
        let response = reply(&self.gateway, call, style, edge).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(took.saturating_add(1), Ordering::Relaxed);
        response
    }

    fn last_request_ms(&self) -> Option<u64> {
        self.last_ms.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// The adapter's own routes.
pub fn routes(adapter: ModelAdapter) -> Router {
    let router = Router::new()
        .route("/chat/completions", post(chat))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(pages::models))
        .route("/info", get(pages::info));
    let router = match adapter.kind {
        AdapterKind::Vendor(_) => router,
        AdapterKind::Local(_) => router.merge(ollama::routes()),
    };
    router.with_state(adapter)
}

/// Only the chat forms, for a port that serves more than a model.
pub fn chat_forms(adapter: ModelAdapter) -> Router {
    let router =
        Router::new().route("/chat/completions", post(chat)).route("/generate", post(ollama::generate));
    router.with_state(adapter)
}

async fn chat(
    State(adapter): State<ModelAdapter>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read_original(WireProtocol::Chat, request).await {
        Ok(original) => {
            let model = adapter.model_named(original.model());
            let original = Arc::new(original.for_model(model));
            let style = ReplyFormat::Client(Arc::clone(&original));
            adapter.answer(&edge, &headers, Ok(ModelRequest::Original(original)), style).await
        }
        Err(wrong) => problem(&wrong, ApiFormat::OpenAi),
    }
}
