//! Ports 8100-8103 and 8050-8051: one vendor or local model each, in OpenAI's form; 8052 has its chat forms.
//!
//! The same way to a model as the gateway's, pinned to one vendor: holds, receipts and circuits are the
//! same. Without a key a port is up and says `degraded`; without the local server 8050 and 8051 do.

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
use super::model::{Style, caller, problem, read, reply};
use crate::actors::gateway::{Ask, Call, Gateway, LocalModel, Target};
use crate::llm::chat::ChatRequest;
use crate::llm::surface::{Form, Problem, ProblemKind};
use crate::llm::{Vendor, catalogue};

/// What one adapter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vendor(Vendor),
    /// One model of the local Ollama.
    Local(LocalModel),
}

impl Kind {
    /// The vendor behind it.
    #[must_use]
    pub const fn vendor(self) -> Vendor {
        match self {
            Self::Vendor(vendor) => vendor,
            Self::Local(_) => Vendor::Ollama,
        }
    }

    /// The model of calls that name none: a vendor's newest in the catalogue that is for everything.
    fn model(self) -> &'static str {
        match self {
            Self::Local(local) => local.model,
            Self::Vendor(Vendor::Grok) => "grok-4.7",
            Self::Vendor(vendor) => {
                catalogue::MODELS.iter().find(|facts| facts.vendor == vendor).map_or("", |facts| facts.model)
            }
        }
    }
}

#[derive(Clone)]
pub struct Adapter {
    kind: Kind,
    gateway: Gateway,
    port: u16,
    /// Who has set the vendor's key, where it needs one.
    key_from: Option<String>,
    started: Instant,
    /// Milliseconds that the last call took, plus one; 0 before the first.
    last_ms: Arc<AtomicU64>,
}

impl Adapter {
    /// An adapter on a port (with its offset), and who has set its key.
    #[must_use]
    pub fn new(kind: Kind, gateway: Gateway, port: u16, key_from: Option<String>) -> Self {
        Self { kind, gateway, port, key_from, started: Instant::now(), last_ms: Arc::default() }
    }

    /// A call of this adapter's vendor.
    fn call(&self, headers: &axum::http::HeaderMap, mut request: ChatRequest) -> Result<Call, Problem> {
        let vendor = self.kind.vendor();
        let own = format!("{vendor}/");
        if let Some(model) = request.model.strip_prefix(&own) {
            request.model = model.to_owned();
        }
        if request.model.is_empty() || request.model == "auto" || request.model.starts_with("auto:") {
            self.kind.model().clone_into(&mut request.model);
        }
        if request.messages.is_empty() {
            return Err(Problem::invalid("messages", "at least one message is needed"));
        }
        if let (false, Some(variable)) = (self.gateway.endpoint(vendor).is_ready(), vendor.key_variable()) {
            let text = format!("there is no key for {}; set {variable} and start anew", vendor.title());
            return Err(Problem::new(ProblemKind::NotConfigured, text));
        }
        Ok(Call { caller: caller(headers)?, target: Target::Pinned(vendor), ask: Ask::Chat(request) })
    }

    /// Makes the call and remembers how long it took to its first byte.
    async fn answer(
        &self,
        edge: &EdgeInfo,
        headers: &axum::http::HeaderMap,
        request: ChatRequest,
        style: Style,
    ) -> Response {
        let call = match self.call(headers, request) {
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

/// The routes of an adapter's port, without the common ones.
pub fn routes(adapter: Adapter) -> Router {
    let router = Router::new()
        .route("/chat/completions", post(chat))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(pages::models))
        .route("/info", get(pages::info));
    let router = match adapter.kind {
        Kind::Vendor(_) => router,
        Kind::Local(_) => router.merge(ollama::routes()),
    };
    router.with_state(adapter)
}

/// The chat forms alone, for a port that serves more than its model.
pub fn chat_forms(adapter: Adapter) -> Router {
    let router =
        Router::new().route("/chat/completions", post(chat)).route("/generate", post(ollama::generate));
    router.with_state(adapter)
}

async fn chat(
    State(adapter): State<Adapter>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read::<ChatRequest>(request).await {
        Ok(request) => {
            let style = Style::chat(&request);
            adapter.answer(&edge, &headers, request, style).await
        }
        Err(wrong) => problem(&wrong, Form::OpenAi),
    }
}
