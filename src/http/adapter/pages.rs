//! An adapter's `/health`, `/info` and `/v1/models`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{AdapterKind, ModelAdapter};
use crate::actors::provider_router::ProviderSnapshot;
use crate::domain::provider_router::model_name::adapter_name;
use crate::domain::time::Timestamp;
use crate::http::page::HealthReporter;
use crate::llm::model_caller::ModelCaller as _;
use crate::llm::{Vendor, catalogue};

/// The adapter's fields of `/health`.
#[must_use]
pub fn health(adapter: ModelAdapter) -> HealthReporter {
    Arc::new(move || {
        let told = match adapter.health() {
            Value::Object(told) => told,
            _ => Map::new(),
        };
        Box::pin(std::future::ready(Ok(told)))
    })
}

impl ModelAdapter {
    fn health(&self) -> Value {
        let common = json!({
            "port": self.port, "model": self.kind.model(),
            "uptime_seconds": self.started.elapsed().as_secs(), "last_request_ms": self.last_request_ms(),
        });
        let own = match self.kind {
            AdapterKind::Vendor(vendor) => {
                let endpoint = self.gateway.endpoint(vendor);
                let is_ready = endpoint.is_ready();
                json!({
                    "status": word(is_ready), "provider": vendor.as_str(), "api_key_present": is_ready,
                    "key_from": self.key_from.as_ref().filter(|_| is_ready), "base_url": endpoint.base_url(),
                })
            }
            AdapterKind::Local(local) => {
                let ready = self.gateway.ready();
                let is_loaded = ready.has(local.model);
                json!({
                    "status": word(is_loaded), "provider": "ollama",
                    "ollama_backend": self.gateway.endpoint(Vendor::Ollama).base_url(),
                    "ollama_answers": ready.ollama_answers(), "model_loaded": is_loaded,
                })
            }
        };
        merged(common, own)
    }

    /// The provider of this adapter's model, once registered.
    fn seen(&self) -> Option<ProviderSnapshot> {
        let name = adapter_name(self.kind.vendor().as_str(), self.kind.model());
        self.gateway.router().provider(&name)
    }

    fn performance(&self) -> Value {
        json!(self.seen().map(|seen| seen.measured))
    }

    /// The models served here.
    pub(super) async fn models(&self) -> BTreeSet<String> {
        let (vendor, now) = (self.kind.vendor(), Timestamp::now());
        let is_served = |facts: &&catalogue::ModelFacts| {
            facts.vendor == vendor && facts.kind == catalogue::ModelKind::Chat && !facts.is_retired(now)
        };
        match self.kind {
            AdapterKind::Vendor(_) => {
                let known = catalogue::MODELS.iter().filter(is_served);
                known.map(|facts| facts.model.to_owned()).collect()
            }
            AdapterKind::Local(_) => {
                // Just after a start nobody has asked the local server yet.
                self.gateway.settled().await;
                self.gateway.ready().ollama_models()
            }
        }
    }
}

const fn word(is_well: bool) -> &'static str {
    if is_well { "healthy" } else { "degraded" }
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (one.as_object_mut(), other) {
        members.extend(more);
    }
    one
}

pub(super) async fn models(State(adapter): State<ModelAdapter>) -> Json<Value> {
    let created = Timestamp::now().as_millis() / 1_000;
    let owner = adapter.kind.vendor().as_str();
    let model = |id| json!({ "id": id, "object": "model", "created": created, "owned_by": owner });
    let data: Vec<Value> = adapter.models().await.into_iter().map(model).collect();
    Json(json!({ "object": "list", "data": data }))
}

pub(super) async fn info(State(adapter): State<ModelAdapter>) -> Json<Value> {
    let (vendor, model) = (adapter.kind.vendor(), adapter.kind.model());
    let facts = catalogue::find(vendor, model);
    let window = facts.map(|facts| facts.context_window);
    let can: Vec<&str> = facts.into_iter().flat_map(|facts| facts.features.names()).collect();
    let own = match adapter.kind {
        AdapterKind::Vendor(_) => {
            let price = adapter.gateway.prices().find(vendor.as_str(), model, Timestamp::now());
            let per_token = |usd: Decimal| -> Value {
                let usd = (usd / Decimal::from(1_000_000)).normalize().to_string();
                serde_json::from_str(&usd).unwrap_or_default()
            };
            json!({
                "provider": vendor.as_str(),
                "model": {
                    "name": model, "provider": vendor.as_str(), "context_window": window,
                    "cost_per_input_token": price.map(|price| per_token(price.input_per_million())),
                    "cost_per_output_token": price.map(|price| per_token(price.output_per_million())),
                    "capabilities": can,
                },
                "performance": adapter.performance(),
            })
        }
        AdapterKind::Local(local) => {
            let seen = adapter.performance();
            json!({
                "model": {
                    "name": model, "parameters": local.parameters, "quantization": local.quantization,
                    "context_length": window, "embedding_dim": local.embedding_dim,
                },
                "capabilities": local.caps,
                "performance": {
                    "avg_throughput_tok_s": null, "avg_latency_ms": seen["latency_p50_ms"], "p95_latency_ms": seen["latency_p95_ms"],
                },
            })
        }
    };
    let common = json!({
        "service_name": service_name(adapter.kind),
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": ["/health", "/info", "/chat/completions", "/v1/chat/completions", "/v1/models"],
    });
    Json(merged(common, own))
}

fn service_name(kind: AdapterKind) -> String {
    match kind {
        AdapterKind::Vendor(vendor) => format!("{vendor}-adapter"),
        AdapterKind::Local(local) => local.name.to_owned(),
    }
}
