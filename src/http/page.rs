//! The routes of every port: `/health`, `/`, `/openapi.json` and `/docs`.
//!
//! Invariant: all of them follow from the contract document, so nothing is listed twice. The interactive
//! page is Swagger UI, embedded in the binary; its content policy allows this port only.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::contract::PortContract;
use super::edge_info::EdgeInfo;
use super::error::{ApiError, ApiResult};
use crate::domain::time::Timestamp;

/// Own code and images only; Swagger UI needs inline styles and `data:` images.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Adds fields to `/health` beyond `"status": "ok"`; a `status` among them replaces that.
///
/// The service must bound the time that this takes.
pub type HealthReporter = Arc<dyn Fn() -> BoxFuture<'static, ApiResult<Map<String, Value>>> + Send + Sync>;

struct ContractPage {
    contract: PortContract,
    health: HealthReporter,
}

/// A health hook without fields.
#[must_use]
pub fn plain_health() -> HealthReporter {
    Arc::new(|| Box::pin(async { Ok(Map::new()) }))
}

/// The health of a service, with default fields for name, port and time, which the service may replace.
#[must_use]
pub fn named_health(health: HealthReporter, name: &'static str, port: u16) -> HealthReporter {
    Arc::new(move || {
        let added = health();
        Box::pin(async move {
            let common =
                [("service", json!(name)), ("port", json!(port)), ("timestamp", json!(Timestamp::now()))];
            let mut fields: Map<_, _> =
                common.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            fields.extend(added.await?);
            Ok(fields)
        })
    })
}

/// The common routes of a port, to be merged with the service's own.
pub fn routes(contract: PortContract, health: HealthReporter) -> Router {
    let page = Arc::new(ContractPage { contract, health });
    beside_root(Arc::clone(&page)).merge(Router::new().route("/", get(root)).with_state(page))
}

/// The same for a port whose `/` is a page for people; a client that accepts JSON and no HTML still gets the
/// description.
pub fn routes_with_front(
    contract: PortContract,
    health: HealthReporter,
    front: impl Fn(&HeaderMap) -> Response + Clone + Send + Sync + 'static,
) -> Router {
    let page = Arc::new(ContractPage { contract, health });
    let state = Arc::clone(&page);
    let either = async move |headers: HeaderMap, edge: Extension<EdgeInfo>| {
        let mut response = if wants_description(&headers) {
            root(State(state), edge).await.into_response()
        } else {
            front(&headers)
        };
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        response
    };
    beside_root(page).route("/", get(either))
}

/// Whether a client accepts JSON by name and HTML not at all; `*/*` names neither.
fn wants_description(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("text/html")
}

fn beside_root(page: Arc<ContractPage>) -> Router {
    Router::new()
        .route("/health", get(health_of))
        .route("/openapi.json", get(openapi))
        .route("/docs", get(docs))
        .route("/docs/", get(docs))
        .route("/docs/{file}", get(docs_file))
        .with_state(page)
}

async fn health_of(State(page): State<Arc<ContractPage>>) -> ApiResult<Json<Value>> {
    let mut health = Map::from_iter([("status".to_owned(), json!("ok"))]);
    health.extend((page.health)().await?);
    Ok(Json(Value::Object(health)))
}

async fn root(State(page): State<Arc<ContractPage>>, Extension(edge): Extension<EdgeInfo>) -> Json<Value> {
    let contract = &page.contract;
    let endpoints: Map<String, Value> = contract
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.name.clone(), json!(format!("{} {}", endpoint.method, endpoint.path))))
        .collect();
    let mut told = json!({
        "service": contract.service,
        "version": contract.version,
        "port": edge.local.port(),
        "status": "running",
        "endpoints": endpoints,
        "docs": "/docs",
    });
    // The contract repeats the provider of a model port here; the health hook knows the provider.
    let health = (page.health)().await.unwrap_or_default();
    if let Some(provider) = health.get("provider") {
        told["provider"] = provider.clone();
    }
    Json(told)
}

async fn openapi(State(page): State<Arc<ContractPage>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], page.contract.json.clone())
}

/// Headers of all documentation answers.
const DOCS_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY)),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

async fn docs(State(page): State<Arc<ContractPage>>) -> impl IntoResponse {
    let shell = include_str!("docs.html").replace("{service}", &page.contract.service);
    (DOCS_HEADERS, Html(shell))
}

async fn docs_file(Path(file): Path<String>) -> ApiResult<Response> {
    let config = utoipa_swagger_ui::Config::from("/openapi.json").try_it_out_enabled(true);
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config))
        .map_err(|error| ApiError::internal(&error.to_string()))?
        .ok_or_else(|| ApiError::not_found(format!("no documentation file {file}")))?;
    Ok((DOCS_HEADERS, [(CONTENT_TYPE, found.content_type)], found.bytes.into_owned()).into_response())
}
