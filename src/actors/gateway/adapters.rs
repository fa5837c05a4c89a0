//! Probes models and registers those that can be called: models of vendors with a key, the local Ollama's, and those
//! of the user's servers.
//!
//! Probes every [`LOOK_EVERY`] and registers models with the router (providers `<vendor>-<model>`) and, for
//! local ones, with the registry. While a caller misses the local server, that is probed every
//! [`LOOK_AGAIN`]. Failure policy: a failed registration is logged and repeated at the next probe.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;

use super::candidate::{ADAPTER, VendorEndpoints, endpoint_of};
use super::offers::{ModelOffers, OfferedModels};
use super::servers::ServerReadiness;
use crate::actors::provider_router::{ProviderFilter, ProviderRouterHandle, ProviderSnapshot};
use crate::actors::registry::{RegistryError, RegistryHandle};
use crate::domain::accounts::price::PriceTable;
use crate::domain::registry::{ServiceHeartbeat, ServiceRegistration, ServiceStatus};
use crate::domain::time::Timestamp;
use crate::llm::catalogue;
use crate::llm::{CallDeadlines, Vendor, VendorClient};

/// Time between two probes: half the silence that the registry allows a service.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Time between two probes of a missed local server: soon enough for a person, and a refused connection a
/// second costs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Probes after a start until the router has taken all models.
const FIRST_LOOKS: u32 = 5;
/// How long the local server counts as missed after a request for it: clients poll every few seconds.
const MISSED_FOR: Duration = Duration::from_secs(10);
/// Time for a local server to list its models; a slower one counts as absent.
const LOOK: Duration = Duration::from_secs(2);
/// The deadlines of a probe of the local server.
pub(super) const LOOKING: CallDeadlines = CallDeadlines::all(LOOK);

/// A model with a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalModel {
    /// Ollama's name of the model.
    pub model: &'static str,
    /// The port of the model's service, before the offset.
    pub port: u16,
    /// The service's id in the registry (the contract).
    pub service_id: &'static str,
    /// The name of the service.
    pub name: &'static str,
    /// Capabilities (the contract).
    pub caps: &'static [&'static str],
    /// Number of parameters, as people write it.
    pub parameters: &'static str,
    /// Quantization of the weights, in the tag that Ollama serves under this name.
    pub quantization: &'static str,
    /// Length of the hidden vectors.
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

/// The result of the last probe, and when the local server was last missed.
#[derive(Debug, Clone, Default)]
pub struct LocalReadiness(Arc<LocalReadinessShared>);

#[derive(Debug, Default)]
struct LocalReadinessShared {
    local: Mutex<LocalServerState>,
    missed: Notify,
    /// Set once every model that could be called after the start is registered.
    looked: SetOnce<()>,
}

#[derive(Debug, Default)]
struct LocalServerState {
    answers: bool,
    models: BTreeSet<String>,
    /// The last request that found the local server absent.
    missed_at: Option<Instant>,
}

impl LocalReadiness {
    /// Whether the local Ollama answered.
    #[must_use]
    pub fn ollama_answers(&self) -> bool {
        self.asked().answers
    }

    /// The local server's models.
    #[must_use]
    pub fn ollama_models(&self) -> BTreeSet<String> {
        self.asked().models.clone()
    }

    /// Whether the local server has this model.
    #[must_use]
    pub fn has(&self, model: &str) -> bool {
        self.asked().models.contains(model)
    }

    /// Waits until the first probe after the start has registered its models.
    pub(super) async fn has_looked(&self) {
        self.0.looked.wait().await;
    }

    /// Notes a request for a model that no provider serves: the local server is missed, unless it answers.
    pub(super) fn miss(&self) {
        drop(self.asked());
    }

    fn asked(&self) -> MutexGuard<'_, LocalServerState> {
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

    /// Stores the result of a probe; returns whether it changed.
    fn found(&self, models: Option<Vec<String>>) -> bool {
        let mut local = self.0.local.lock();
        let is_news = local.answers != models.is_some();
        local.answers = models.is_some();
        local.models = models.into_iter().flatten().collect();
        is_news
    }

    /// Waits until the next full probe is due: earlier once the missed local server answers a probe.
    async fn next_probe<P: Future<Output = bool>>(&self, probe: impl Fn() -> P) {
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

pub(super) struct ProviderProbe {
    pub(super) client: VendorClient,
    pub(super) router: ProviderRouterHandle,
    pub(super) registry: RegistryHandle,
    pub(super) prices: Arc<PriceTable>,
    pub(super) endpoints: VendorEndpoints,
    pub(super) port_offset: u16,
    pub(super) ready: LocalReadiness,
    pub(super) servers: ServerReadiness,
}

impl ProviderProbe {
    /// One full probe; the vendors first, since an absent local server may take its time. Returns whether the router has
    /// taken all models.
    async fn probe_vendors(&self) -> bool {
        let offers = ModelOffers {
            prices: &self.prices,
            endpoints: &self.endpoints,
            port_offset: self.port_offset,
            at: Timestamp::now(),
        };
        let mut offered = offers.of_vendors();
        let has_vendors = self.register(&offered).await;
        let servers = self.endpoints.servers();
        join_all(servers.iter().map(|server| self.servers.probe(&self.client, server))).await;
        self.probe_ollama().await;
        let mut local = offers.of_ollama(&self.ready.0.local.lock().models.clone());
        for server in servers {
            local.append(&mut offers.of_server(server, &self.servers.of(server.name()).models));
        }
        let has_local = self.register(&local).await;
        offered.append(&mut local);
        self.withdraw(&offered).await;
        for model in &LOCAL_MODELS {
            self.report_to_registry(model).await;
        }
        has_vendors && has_local
    }

    /// Probes for ever.
    pub(super) async fn run(self) {
        // A router that is still starting is there in a moment, and jobs wait for its models.
        for _ in 0..FIRST_LOOKS {
            if self.probe_vendors().await {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // A restarted gateway has set it before.
        let _ = self.ready.0.looked.set(());
        loop {
            self.ready.next_probe(|| self.probe_ollama()).await;
            self.probe_vendors().await;
        }
    }

    /// Whether the local server answers.
    async fn probe_ollama(&self) -> bool {
        let endpoint = endpoint_of(&self.endpoints, Vendor::Ollama);
        let found = self.client.models(endpoint, &LOOKING).await;
        let models = found.as_ref().map_or(0, Vec::len);
        if self.ready.found(found.as_ref().ok().cloned()) {
            match &found {
                Ok(_) => tracing::info!(address = endpoint.base_url(), models, "Ollama answers"),
                Err(_) => tracing::info!(address = endpoint.base_url(), "Ollama no longer answers"),
            }
        }
        found.is_ok()
    }

    /// Registers new and changed models, all in one commit; returns whether all are registered.
    async fn register(&self, offered: &OfferedModels) -> bool {
        let changed = offered.iter().filter(|(name, registration)| {
            self.router.provider(name).is_none_or(|seen| {
                let known = &seen.provider;
                let next = (*registration).clone().into_provider(Some(known), known.updated_at);
                next != **known
            })
        });
        let registering = changed.map(|(_, registration)| self.router.register(registration.clone()));
        let mut are_registered = true;
        for done in join_all(registering).await {
            are_registered &= done.is_ok();
            log(done.err(), "register a provider");
        }
        are_registered
    }

    /// Deactivates providers that can no longer be called: a key or a local model is gone.
    async fn withdraw(&self, offered: &OfferedModels) {
        for ProviderSnapshot { provider, .. } in self.router.providers(&ProviderFilter::default()) {
            if provider.metadata.get(ADAPTER).is_some() && !offered.contains_key(&provider.name) {
                log(self.router.deactivate(provider.name.clone()).await.err(), "deactivate a provider");
            }
        }
    }

    async fn report_to_registry(&self, local: &LocalModel) {
        let is_there = self.ready.0.local.lock().models.contains(local.model);
        let status = if is_there { ServiceStatus::Ok } else { ServiceStatus::Degraded };
        let beat = json!({ "service_id": local.service_id, "status": status });
        let Ok(beat) = serde_json::from_value::<ServiceHeartbeat>(beat) else { return };
        match self.registry.heartbeat(beat) {
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
            told => log(told.err(), "renew a local model in the registry"),
        }
    }
}

fn log<E: std::fmt::Display>(error: Option<E>, what: &str) {
    if let Some(error) = error {
        tracing::warn!(%error, "cannot {what}; trying again at the next probe");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Virtual time from the start of a wait to its end, and the number of probes; the server comes up at
    /// `up_at` and a caller asks at `asked_at`.
    async fn waited(up_at: Duration, asked_at: Option<Duration>) -> (Duration, u32) {
        let (ready, begun, probes) = (LocalReadiness::default(), Instant::now(), Cell::new(0));
        let look = ready.next_probe(|| {
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
        let ready = LocalReadiness::default();
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
