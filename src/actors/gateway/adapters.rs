//! Which models can be called: the known ones of vendors with a key, and what the local Ollama has.
//!
//! Looks every [`LOOK_EVERY`] and registers models with the router (providers `<vendor>-<model>`) and, for the
//! local ones, with the registry. While somebody misses the local server, that is probed every [`LOOK_AGAIN`].
//! Failure policy: a registration that fails is logged and made again at the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use rust_decimal::Decimal;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

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
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two probes of a local server that somebody misses: soon enough for a person, and a refused
/// connection a second costs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long somebody who asked for the local server counts as missing it: clients poll every few seconds.
const MISSED_FOR: Duration = Duration::from_secs(10);
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

/// What was seen at the last look, and who misses the local server since.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<ReadyCell>);

#[derive(Debug, Default)]
struct ReadyCell {
    local: Mutex<Local>,
    missed: Notify,
}

#[derive(Debug, Default)]
struct Local {
    answers: bool,
    models: BTreeSet<String>,
    /// When somebody last asked for it in vain.
    missed_at: Option<Instant>,
}

impl Ready {
    /// Whether the local Ollama answered.
    #[must_use]
    pub fn ollama_answers(&self) -> bool {
        self.asked().answers
    }

    /// The models it has.
    #[must_use]
    pub fn ollama_models(&self) -> BTreeSet<String> {
        self.asked().models.clone()
    }

    /// Whether it has this model.
    #[must_use]
    pub fn has(&self, model: &str) -> bool {
        self.asked().models.contains(model)
    }

    /// Somebody wants a model that nobody serves: the local server is missed, unless it answers.
    pub(super) fn miss(&self) {
        drop(self.asked());
    }

    fn asked(&self) -> MutexGuard<'_, Local> {
        let mut local = self.0.local.lock();
        if !local.answers {
            local.missed_at = Some(Instant::now());
            self.0.missed.notify_one();
        }
        local
    }

    fn is_missed(&self) -> bool {
        let local = self.0.local.lock();
        !local.answers && local.missed_at.is_some_and(|at| at.elapsed() < MISSED_FOR)
    }

    /// Takes in what a probe found; whether that is news.
    fn found(&self, models: Option<Vec<String>>) -> bool {
        let mut local = self.0.local.lock();
        let is_news = local.answers != models.is_some();
        local.answers = models.is_some();
        local.models = models.into_iter().flatten().collect();
        is_news
    }

    /// Waits until the next look is due: sooner once the local server answers a probe that somebody who
    /// misses it was the reason for.
    async fn next_look<P: Future<Output = bool>>(&self, probe: impl Fn() -> P) {
        let due = Instant::now() + LOOK_EVERY;
        while Instant::now() < due {
            if self.is_missed() {
                tokio::time::sleep(LOOK_AGAIN).await;
                if probe().await {
                    return;
                }
            } else {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => return,
                    () = self.0.missed.notified() => {}
                }
            }
        }
    }
}

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
    async fn look(&self) {
        let mut offered = BTreeMap::new();
        for facts in MODELS.iter().filter(|facts| facts.vendor != Vendor::Ollama) {
            if endpoint_of(&self.endpoints, facts.vendor).is_ready() {
                self.offer(facts.vendor, facts.model, &mut offered);
            }
        }
        self.register(&offered).await;
        self.look_at_ollama().await;
        let mut local = BTreeMap::new();
        let models = self.ready.0.local.lock().models.clone();
        for model in models {
            self.offer(Vendor::Ollama, &model, &mut local);
        }
        self.register(&local).await;
        offered.append(&mut local);
        self.withdraw(&offered).await;
        for model in &LOCAL_MODELS {
            self.tell_registry(model).await;
        }
    }

    /// Looks again and again.
    pub(super) async fn run(self) {
        loop {
            self.look().await;
            self.ready.next_look(|| self.look_at_ollama()).await;
        }
    }

    /// Whether the local server answers.
    async fn look_at_ollama(&self) -> bool {
        let endpoint = endpoint_of(&self.endpoints, Vendor::Ollama);
        let found = self.client.models(endpoint, &LOOKING).await;
        let models = found.as_ref().map_or(0, Vec::len);
        if self.ready.found(found.as_ref().ok().cloned()) {
            match &found {
                Ok(_) => tracing::info!(address = endpoint.base_url(), models, "Ollama answers"),
                Err(_) => tracing::info!(address = endpoint.base_url(), "Ollama answers no more"),
            }
        }
        found.is_ok()
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
        let is_there = self.ready.0.local.lock().models.contains(local.model);
        let status = if is_there { ServiceStatus::Ok } else { ServiceStatus::Degraded };
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
    use std::cell::Cell;

    use super::*;

    /// Virtual time from the beginning of a wait to its end; the server comes up at `up_at` and somebody asks
    /// at `asked_at`. With the number of probes.
    async fn waited(up_at: Duration, asked_at: Option<Duration>) -> (Duration, u32) {
        let (ready, begun, probes) = (Ready::default(), Instant::now(), Cell::new(0));
        let look = ready.next_look(|| {
            probes.set(probes.get() + 1);
            std::future::ready(begun.elapsed() >= up_at)
        });
        let asks = async {
            let Some(at) = asked_at else { return };
            tokio::time::sleep_until(begun + at).await;
            assert!(!ready.has("a-model"));
        };
        tokio::join!(look, asks);
        (begun.elapsed(), probes.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_server_that_is_missed_is_seen_soon_after_it_came_up() {
        let secs = Duration::from_secs;
        let (asked, up) = (Duration::from_millis(3_300), Duration::from_millis(7_500));
        let (seen, probes) = waited(up, Some(asked)).await;
        assert!(seen >= up && seen <= up + secs(2), "{seen:?}");
        assert_eq!(probes, 5, "one a second");
        let (seen, probes) = waited(secs(1), None).await;
        assert_eq!((seen.as_secs(), probes), (LOOK_EVERY.as_secs(), 0), "nobody asks, nobody looks");
        let (seen, probes) = waited(secs(60), Some(secs(3))).await;
        assert_eq!(
            (seen.as_secs(), probes),
            (LOOK_EVERY.as_secs(), 10),
            "who asked once does not wait for ever"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_is_not_missed() {
        let ready = Ready::default();
        assert!(ready.found(Some(vec!["a-model".to_owned()])), "news");
        assert!(ready.has("a-model") && !ready.has("another") && !ready.is_missed());
        assert!(!ready.found(Some(Vec::new())), "no news");
        assert!(ready.found(None) && !ready.ollama_answers() && ready.is_missed());
    }

    #[test]
    fn the_local_models_are_in_the_catalogue() {
        for local in LOCAL_MODELS {
            assert!(catalogue::find(Vendor::Ollama, local.model).is_some(), "{}", local.model);
        }
    }
}
