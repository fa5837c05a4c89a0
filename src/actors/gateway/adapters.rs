//! Which models can be called: the known ones of vendors with a key, and what the local Ollama has.
//!
//! Looks every now and then and tells the router (providers `<vendor>-<model>`) and, for the local
//! models, the registry. Failure policy: what cannot be told is logged and told at the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use rust_decimal::Decimal;
use serde_json::json;

use super::candidate::{ADAPTER, Endpoints, endpoint_of};
use crate::actors::provider_router::{Listing, ProviderRouter, Seen};
use crate::actors::registry::{RegistryError, RegistryHandle};
use crate::domain::price::Prices;
use crate::domain::registry::{Beat, Registration as ServiceRegistration, ServiceStatus};
use crate::domain::routing::model_name::adapter_name;
use crate::domain::routing::{Registration, TokenPrice};
use crate::domain::time::Timestamp;
use crate::llm::catalogue::{self, MODELS};
use crate::llm::{Client, Deadlines, Vendor};

/// Between two looks: half of what the registry lets a service be silent.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);
/// For a local server to say what it has; one that takes longer is taken for absent.
const LOOK: Duration = Duration::from_secs(2);
/// The limits of a look at the local server.
pub(super) const LOOKING: Deadlines =
    Deadlines { connect: LOOK, first_byte: LOOK, idle: LOOK, overall: LOOK };
/// Context window assumed for a local model that is not in the catalogue: Ollama's own default.
const LOCAL_WINDOW: u64 = 4_096;

/// A model with a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalModel {
    /// Its name at Ollama.
    pub model: &'static str,
    /// The port of its service, before the offset.
    pub port: u16,
    /// Its id in the registry (the contract).
    pub service_id: &'static str,
    /// The name of its service.
    pub name: &'static str,
    /// What it is for (the contract).
    pub caps: &'static [&'static str],
    /// Parameters, as people write them.
    pub parameters: &'static str,
    /// How its weights are packed, in the tag that Ollama serves under this name.
    pub quantization: &'static str,
    /// Length of its inner vectors.
    pub embedding_dim: u64,
}

/// The local models (the contract); sizes are those of Ollama's library.
pub const LOCAL_MODELS: [LocalModel; 2] = [
    LocalModel {
        model: "llama3.1:8b",
        port: 8050,
        service_id: "agent-llm_llama31_8b",
        name: "llama-3.1-8b",
        caps: &["reasoning", "planning", "code_review", "explanation", "general_completion"],
        parameters: "8B",
        quantization: "Q4_K_M",
        embedding_dim: 4_096,
    },
    LocalModel {
        model: "tinyllama:1.1b",
        port: 8051,
        service_id: "agent-llm_tinyllama_1b",
        name: "tinyllama-1.1b",
        caps: &["classification", "tagging", "extraction", "filtering", "simple_completion"],
        parameters: "1.1B",
        quantization: "Q4_0",
        embedding_dim: 2_048,
    },
];

/// What was seen at the last look.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<Mutex<Local>>);

#[derive(Debug, Default)]
struct Local {
    answers: bool,
    models: BTreeSet<String>,
}

impl Ready {
    /// Whether the local Ollama answered.
    #[must_use]
    pub fn ollama_answers(&self) -> bool {
        self.0.lock().answers
    }

    /// The models it has.
    #[must_use]
    pub fn ollama_models(&self) -> BTreeSet<String> {
        self.0.lock().models.clone()
    }

    /// Whether it has this model.
    #[must_use]
    pub fn has(&self, model: &str) -> bool {
        self.0.lock().models.contains(model)
    }
}

/// Looks, and tells.
pub(super) struct Keeper {
    client: Client,
    router: ProviderRouter,
    registry: RegistryHandle,
    prices: Arc<Prices>,
    endpoints: Endpoints,
    port_offset: u16,
    ready: Ready,
}

impl Keeper {
    pub(super) const fn new(
        client: Client,
        router: ProviderRouter,
        registry: RegistryHandle,
        prices: Arc<Prices>,
        endpoints: Endpoints,
        port_offset: u16,
        ready: Ready,
    ) -> Self {
        Self { client, router, registry, prices, endpoints, port_offset, ready }
    }

    /// One look at everything; the vendors first, since a local server may take its time to be absent.
    pub(super) async fn look(&self) {
        let mut offered = BTreeMap::new();
        for facts in MODELS.iter().filter(|facts| facts.vendor != Vendor::Ollama) {
            if endpoint_of(&self.endpoints, facts.vendor).is_ready() {
                self.offer(facts.vendor, facts.model, &mut offered);
            }
        }
        self.register(&offered).await;
        self.look_at_ollama().await;
        let mut local = BTreeMap::new();
        for model in self.ready.ollama_models() {
            self.offer(Vendor::Ollama, &model, &mut local);
        }
        self.register(&local).await;
        offered.append(&mut local);
        self.withdraw(&offered).await;
        for model in &LOCAL_MODELS {
            self.tell_registry(model).await;
        }
    }

    async fn look_at_ollama(&self) {
        let endpoint = endpoint_of(&self.endpoints, Vendor::Ollama);
        let found = self.client.models(endpoint, &LOOKING).await;
        let mut local = self.ready.0.lock();
        if local.answers != found.is_ok() {
            match &found {
                Ok(models) => {
                    tracing::info!(address = endpoint.base_url(), models = models.len(), "Ollama answers");
                }
                Err(_) => tracing::info!(address = endpoint.base_url(), "Ollama answers no more"),
            }
        }
        *local = Local { answers: found.is_ok(), models: found.unwrap_or_default().into_iter().collect() };
    }

    /// Takes in a model that has a price.
    fn offer(&self, vendor: Vendor, model: &str, offered: &mut BTreeMap<String, Registration>) {
        let Some(price) = self.prices.find(vendor.as_str(), model, Timestamp::now()) else { return };
        let per_token = |usd: Decimal| TokenPrice::new(usd / Decimal::from(1_000_000)).ok();
        let (Some(input), Some(output)) =
            (per_token(price.input_per_million()), per_token(price.output_per_million()))
        else {
            return;
        };
        let facts = catalogue::find(vendor, model);
        let features = facts.map(|facts| facts.features.names().map(str::to_owned).collect());
        let name = adapter_name(vendor.as_str(), model);
        let registration = Registration {
            name: name.clone(),
            model: model.to_owned(),
            context_window: facts.map_or(LOCAL_WINDOW, |facts| facts.context_window),
            cost_per_input_token: input,
            cost_per_output_token: output,
            endpoint: format!("http://localhost:{}", self.port_of(vendor, model)),
            features: features.unwrap_or_else(|| BTreeSet::from(["streaming".to_owned()])),
            slo: None,
            metadata: json!({ "provider": vendor.as_str(), ADAPTER: true }).into(),
        };
        offered.insert(name, registration);
    }

    fn port_of(&self, vendor: Vendor, model: &str) -> u16 {
        let local = || LOCAL_MODELS.iter().find(|local| local.model == model);
        let port = match vendor {
            Vendor::OpenAi => 8100,
            Vendor::Anthropic => 8101,
            Vendor::Gemini => 8102,
            Vendor::Grok => 8103,
            Vendor::Ollama => local().map_or(LOCAL_MODELS[0].port, |local| local.port),
        };
        port.saturating_add(self.port_offset)
    }

    /// Registers what is new or has changed, all at once: one commit takes them all.
    async fn register(&self, offered: &BTreeMap<String, Registration>) {
        let changed = offered.iter().filter(|(name, registration)| {
            self.router.provider(name).is_none_or(|seen| {
                let known = &seen.provider;
                let next = (*registration).clone().into_provider(Some(known), known.updated_at);
                next != **known
            })
        });
        let registering = changed.map(|(_, registration)| self.router.register(registration.clone()));
        for done in join_all(registering).await {
            log(done.err(), "register a provider");
        }
    }

    /// Takes back what cannot be called any more: a key or a local model is gone.
    async fn withdraw(&self, offered: &BTreeMap<String, Registration>) {
        for Seen { provider, .. } in self.router.providers(&Listing::default()) {
            if provider.metadata.get(ADAPTER).is_some() && !offered.contains_key(&provider.name) {
                log(self.router.deactivate(provider.name.clone()).await.err(), "take back a provider");
            }
        }
    }

    async fn tell_registry(&self, local: &LocalModel) {
        let status = if self.ready.has(local.model) { ServiceStatus::Ok } else { ServiceStatus::Degraded };
        let beat = json!({ "service_id": local.service_id, "status": status });
        let Ok(beat) = serde_json::from_value::<Beat>(beat) else { return };
        match self.registry.heartbeat(beat).await {
            Err(RegistryError::Unknown(_)) => {
                let registration = json!({
                    "service_id": local.service_id, "name": local.name, "type": "model", "role": "production",
                    "url": format!("http://localhost:{}", local.port.saturating_add(self.port_offset)),
                    "caps": local.caps, "labels": { "tier": "2", "model": local.model },
                    "ctx_limit": catalogue::find(Vendor::Ollama, local.model).map(|facts| facts.context_window),
                    "cost_hint": { "usd_per_1k": 0.0 },
                });
                let Ok(registration) = serde_json::from_value::<ServiceRegistration>(registration) else {
                    return;
                };
                log(self.registry.register(registration).await.err(), "register a local model");
            }
            told => log(told.err(), "tell the registry of a local model"),
        }
    }
}

fn log<E: std::fmt::Display>(error: Option<E>, what: &str) {
    if let Some(error) = error {
        tracing::warn!(%error, "cannot {what}; trying again at the next look");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_models_are_in_the_catalogue() {
        for local in LOCAL_MODELS {
            assert!(catalogue::find(Vendor::Ollama, local.model).is_some(), "{}", local.model);
        }
    }
}
