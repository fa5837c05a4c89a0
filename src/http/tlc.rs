//! Port 8052: the TLC domain classifier.
//!
//! Answers with the embedded classifier, or through a language model if available and asked for. Failure
//! policy: without a model's answer, `backend=model` fails with 503 and the reason; `backend=auto` falls back
//! to the embedded classifier.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractQuery};
use super::page::HealthReporter;
use crate::domain::json::or_default;
use crate::domain::provider_router::histogram::DurationHistogram;
use crate::domain::registry::{ServiceRegistration, ServiceRole, ServiceType};
use crate::skills::ingest::classify::KnowledgeDomain;
use crate::skills::tlc::{self, EMBEDDED, QueryTmd, RetrievalMethod, TextModel, TextModelError};

/// Longest query in characters; a longer text is a document.
const MAX_QUERY: usize = 20_000;
/// Most documents beside a query: one page of search results.
const MAX_DOCUMENTS: usize = 50;
/// Longest document in characters; the classifier only reads the beginning.
const MAX_DOCUMENT: usize = 100_000;
/// Default number of domains in an answer (the contract).
const TOP: usize = 3;
/// Longest wait for a model: a small local one answers within seconds, and a person is waiting.
const MODEL_DEADLINE: Duration = Duration::from_secs(30);
/// Confidence reported for a model's task, method and domain: about the accuracy of small models.
const MODEL_CONFIDENCE: f32 = 0.5;
/// Most words that the classifier reads.
const CONTEXT_WORDS: u32 = 8_000;
/// The contract's names.
const CAPABILITIES: [&str; 3] = ["domain_classification", "tmd_extraction", "domain_validation"];

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlcApi(Arc<TlcShared>);

#[derive(Debug)]
struct TlcShared {
    model: Option<Arc<dyn TextModel>>,
    started: Instant,
    seen: Mutex<TlcStats>,
}

/// Timing of requests.
#[derive(Debug, Default)]
struct TlcStats {
    took: DurationHistogram,
    requests: u64,
    words: u64,
    total: Duration,
    last: Option<Duration>,
}

/// The requested backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TlcBackend {
    #[default]
    Embedded,
    /// The model only.
    Model,
    /// The model, or the embedded classifier when the model does not answer.
    Auto,
}

#[derive(Deserialize)]
struct BackendQuery {
    #[serde(default)]
    backend: TlcBackend,
}

impl TlcApi {
    /// A classifier that may use `model`.
    #[must_use]
    pub fn new(model: Option<Arc<dyn TextModel>>) -> Self {
        Self(Arc::new(TlcShared { model, started: Instant::now(), seen: Mutex::default() }))
    }

    /// The model, while available.
    fn connected(&self) -> Option<&Arc<dyn TextModel>> {
        self.0.model.as_ref().filter(|model| model.is_ready())
    }

    /// The model for this request, if any.
    fn model(&self, backend: TlcBackend) -> ApiResult<Option<&Arc<dyn TextModel>>> {
        match (backend, self.connected()) {
            (TlcBackend::Embedded, _) | (TlcBackend::Auto, None) => Ok(None),
            (_, Some(model)) => Ok(Some(model)),
            (TlcBackend::Model, None) => {
                Err(ApiError::busy("no language model is available; use backend=embedded or backend=auto"))
            }
        }
    }

    /// Asks the model if there is one, and falls back to the embedded classifier if that is allowed.
    async fn answer<T: Send + 'static>(
        &self,
        backend: TlcBackend,
        by_model: impl FnOnce(Arc<dyn TextModel>) -> BoxFuture<'static, Result<T, TextModelError>>,
        embedded: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<(T, String)> {
        if let Some(model) = self.model(backend)? {
            let late =
                || TextModelError::Silent(model.name(), format!("no answer within {MODEL_DEADLINE:?}"));
            let answer = tokio::time::timeout(MODEL_DEADLINE, by_model(Arc::clone(model))).await;
            match answer.unwrap_or_else(|_| Err(late())) {
                Ok(answer) => return Ok((answer, model.name())),
                Err(error) if backend == TlcBackend::Model => return Err(ApiError::busy(error.to_string())),
                Err(error) => tracing::info!(%error, "the embedded classifier answers instead of the model"),
            }
        }
        // A long document takes tens of milliseconds: too long for the edge's threads.
        let answer =
            tokio::task::spawn_blocking(embedded).await.map_err(|error| ApiError::internal(&error))?;
        Ok((answer, EMBEDDED.to_owned()))
    }

    /// Records a request that began at `began`; returns the answer's metadata.
    fn metadata(&self, began: Instant, query: &str, model_used: &str) -> Value {
        let took = began.elapsed();
        let mut seen = self.0.seen.lock();
        seen.took.add(took);
        seen.requests += 1;
        seen.words += query.split_whitespace().count() as u64;
        seen.total += took;
        seen.last = Some(took);
        json!({ "processing_time_ms": millis(took), "model_used": model_used })
    }
}

/// The classifier's routes, without the [chat forms](super::adapter::chat_forms) of the model behind the
/// port.
pub fn routes(tlc: TlcApi) -> Router {
    Router::new()
        .route("/classify_domain", post(classify_domain))
        .route("/extract_tmd", post(extract_tmd))
        .route("/info", get(info))
        .with_state(tlc)
}

/// The fields of `/health`.
#[must_use]
pub fn health(tlc: TlcApi) -> HealthReporter {
    Arc::new(move || {
        let last = tlc.0.seen.lock().last.map(millis);
        let told = json!({
            "status": "healthy",
            "service": "tlc_domain_classifier",
            "ollama_backend": tlc.connected().map(|model| model.name()),
            "model": EMBEDDED,
            "model_loaded": true,
            "uptime_seconds": tlc.0.started.elapsed().as_secs(),
            "last_request_ms": last,
        });
        let told: Map<String, Value> = told.as_object().cloned().unwrap_or_default();
        Box::pin(std::future::ready(Ok(told)))
    })
}

/// The registration of this service on `port`.
#[must_use]
pub fn registration(port: u16) -> ServiceRegistration {
    ServiceRegistration {
        service_id: Some("agent-tlc_domain_classifier".to_owned()),
        name: "tlc_domain_classifier".to_owned(),
        kind: ServiceType::Model,
        role: ServiceRole::Production,
        url: format!("http://localhost:{port}"),
        caps: CAPABILITIES.map(str::to_owned).to_vec(),
        labels: [("tier", "2".to_owned()), ("port", port.to_string())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ctx_limit: Some(CONTEXT_WORDS.into()),
        cost_hint: None,
        heartbeat_interval_s: 30,
        ttl_s: 90,
    }
}

#[derive(Deserialize)]
struct ClassifyBody {
    query: String,
    #[serde(default)]
    top_k: Option<usize>,
    #[serde(default, deserialize_with = "or_default")]
    context_docs: Vec<String>,
}

async fn classify_domain(
    State(tlc): State<TlcApi>,
    ContractQuery(BackendQuery { backend }): ContractQuery<BackendQuery>,
    ContractJson(ClassifyBody { query, top_k, context_docs }): ContractJson<ClassifyBody>,
) -> ApiResult<Json<Value>> {
    let began = Instant::now();
    let top = top_k.unwrap_or(TOP);
    let mut checks = RequestChecks::body();
    checks.range("top_k", &top, 1..=10);
    check(&mut checks, &query, &context_docs)?;
    let asked = Arc::new((query, context_docs));
    let (for_model, for_embedded) = (Arc::clone(&asked), Arc::clone(&asked));
    let by_model = move |model: Arc<dyn TextModel>| {
        async move { tlc::domains_by(&*model, &for_model.0, &for_model.1, top).await }.boxed()
    };
    let embedded = move || tlc::domains(&for_embedded.0, &for_embedded.1);
    let (ranked, model_used) = tlc.answer(backend, by_model, embedded).await?;
    let primary = ranked.first().map_or(KnowledgeDomain::Other, |(domain, _)| *domain).name();
    let domains: Vec<Value> = ranked
        .iter()
        .take(top)
        .map(|(domain, share)| json!({ "domain": domain.name(), "confidence": rounded(*share) }))
        .collect();
    let metadata = tlc.metadata(began, &asked.0, &model_used);
    Ok(Json(json!({
        "query": asked.0, "domains": domains, "primary_domain": primary, "metadata": metadata,
    })))
}

#[derive(Deserialize)]
struct ExtractBody {
    query: String,
    #[serde(default, deserialize_with = "or_default")]
    context_docs: Vec<String>,
    #[serde(default)]
    method_hint: Option<RetrievalMethod>,
}

async fn extract_tmd(
    State(tlc): State<TlcApi>,
    ContractQuery(BackendQuery { backend }): ContractQuery<BackendQuery>,
    ContractJson(ExtractBody { query, context_docs, method_hint }): ContractJson<ExtractBody>,
) -> ApiResult<Json<Value>> {
    let began = Instant::now();
    check(&mut RequestChecks::body(), &query, &context_docs)?;
    let asked = Arc::new((query, context_docs));
    let (for_model, for_embedded) = (Arc::clone(&asked), Arc::clone(&asked));
    let by_model = move |model: Arc<dyn TextModel>| {
        async move { tlc::tmd_by(&*model, &for_model.0, &for_model.1, method_hint, MODEL_CONFIDENCE).await }
            .boxed()
    };
    let embedded = move || tlc::extract(&for_embedded.0, &for_embedded.1, method_hint);
    let (QueryTmd { task, method, domain }, model_used) = tlc.answer(backend, by_model, embedded).await?;
    let metadata = tlc.metadata(began, &asked.0, &model_used);
    Ok(Json(json!({
        "query": asked.0,
        "tmd": { "task": task.0, "method": method.0, "domain": domain.0.name() },
        "confidence": {
            "task": rounded(task.1), "method": rounded(method.1), "domain": rounded(domain.1),
        },
        "metadata": metadata,
    })))
}

fn check(checks: &mut RequestChecks, query: &str, documents: &[String]) -> ApiResult<()> {
    checks
        .len("query", query, 1..=MAX_QUERY)
        .that("query", query.is_empty() || !query.trim().is_empty(), "must not be blank")
        .count("context_docs", documents, 0..=MAX_DOCUMENTS);
    for document in documents {
        checks.len("context_docs", document, 0..=MAX_DOCUMENT);
    }
    checks.done()
}

async fn info(State(tlc): State<TlcApi>) -> Json<Value> {
    let seen = tlc.0.seen.lock();
    let average = (seen.requests > 0).then(|| millis(seen.total) / seen.requests as f64);
    let seconds = seen.total.as_secs_f64();
    let throughput = (seconds > 0.0).then(|| (seen.words as f64 / seconds).round());
    Json(json!({
        "service_name": "tlc_domain_classifier",
        "version": env!("CARGO_PKG_VERSION"),
        "model": {
            "name": EMBEDDED,
            "parameters": "weighted lexicon of 21 domains",
            "quantization": "none",
            "context_length": CONTEXT_WORDS,
            "embedding_dim": 0,
        },
        "capabilities": CAPABILITIES,
        "performance": {
            "avg_throughput_tok_s": throughput,
            "avg_latency_ms": average,
            "p95_latency_ms": seen.took.quantile_ms(0.95),
        },
        "endpoints": [
            "POST /classify_domain", "POST /extract_tmd", "POST /chat/completions", "POST /generate", "GET /health",
            "GET /info",
        ],
    }))
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// Shares to four decimals, as in the ingest's files.
fn rounded(share: f32) -> f64 {
    (f64::from(share) * 1e4).round() / 1e4
}
