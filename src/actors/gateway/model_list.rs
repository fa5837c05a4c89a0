//! All models that PAS knows: at what price and from which source, served or ended, callable or not and why.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::endpoints::{CompatibleServer, VendorEndpoints, endpoint_of};
use super::{GatewayHandle, LocalReadiness, ServerReadiness};
use crate::actors::provider_router::{CallLimits, CallRequirements, RoutingOptimization};
use crate::config::ProvidersConfig;
use crate::domain::accounts::price::{ANY_MODEL, ModelPrice, PriceOrigin, PriceTable};
use crate::domain::provider_router::price::as_number;
use crate::domain::time::Timestamp;
use crate::llm::catalogue::{self, MODELS, ModelFacts, ModelKind};
use crate::llm::{Vendor, VendorEndpoint};

/// A vendor or a server of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderReadiness {
    pub name: String,
    pub base_url: String,
    /// Whether its models can be called: it has a key, or it answers.
    pub ready: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// US dollars per million tokens in and out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RatePair {
    #[serde(serialize_with = "as_number")]
    pub input_usd: Decimal,
    #[serde(serialize_with = "as_number")]
    pub output_usd: Decimal,
}

/// The rates of a whole call above so many tokens of its prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongPromptRates {
    pub prompt_tokens: u64,
    #[serde(flatten)]
    pub rates: RatePair,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceTierRates {
    pub tier: &'static str,
    #[serde(flatten)]
    pub rates: RatePair,
}

/// The price of a model, in US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CataloguePrice {
    #[serde(flatten)]
    pub standard: RatePair,
    #[serde(serialize_with = "as_number")]
    pub cache_read_usd: Decimal,
    /// For a thousand searches of the vendor's own.
    #[serde(serialize_with = "as_number")]
    pub searches_usd: Decimal,
    pub free: bool,
    pub long_prompts: Vec<LongPromptRates>,
    pub service_tiers: Vec<ServiceTierRates>,
    #[serde(serialize_with = "origin_word")]
    pub origin: PriceOrigin,
    /// The origin for people: a file, or a source with its version and date.
    pub source: String,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    pub provider: String,
    pub model: String,
    pub kind: ModelKind,
    pub context_window: Option<u64>,
    pub max_output: Option<u64>,
    pub price: Option<CataloguePrice>,
    /// Whether its vendor has shut it down.
    pub retired: bool,
    /// The day of its end, past or announced.
    pub ends: Option<&'static str>,
    /// The vendor's replacement.
    pub replacement: Option<&'static str>,
    pub callable: bool,
    /// Why not.
    pub problem: Option<String>,
    /// Whether `auto` may choose it.
    pub auto: bool,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct ModelCatalogue {
    /// The user's file of prices.
    pub own_prices: Option<String>,
    /// The source of the kept prices, with its version and date.
    pub kept_prices: String,
    pub providers: Vec<ProviderReadiness>,
    /// The choice of `auto` now.
    pub auto: Option<String>,
    /// The choice of `auto` now for a request with tools.
    pub auto_with_tools: Option<String>,
    pub models: Vec<CatalogueEntry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn origin_word<S: Serializer>(origin: &PriceOrigin, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match origin {
        PriceOrigin::Own => "own",
        PriceOrigin::BuiltIn => "built_in",
        PriceOrigin::Kept => "kept",
        PriceOrigin::Registration => "settings",
    })
}

/// The sources of a catalogue.
struct CatalogueSources<'s> {
    prices: &'s PriceTable,
    endpoints: &'s VendorEndpoints,
    local: &'s LocalReadiness,
    servers: &'s ServerReadiness,
    at: Timestamp,
}

impl GatewayHandle {
    /// All models, as of the last probe.
    #[must_use]
    pub fn catalogue(&self) -> ModelCatalogue {
        let inner = &self.inner;
        let sources = CatalogueSources {
            prices: &inner.prices,
            endpoints: &inner.endpoints,
            local: &inner.ready,
            servers: &inner.servers,
            at: Timestamp::now(),
        };
        let chosen = |features: &[&str]| {
            let features = features.iter().map(|feature| (*feature).to_owned()).collect();
            let requirements = CallRequirements { model: "auto".to_owned(), context_window: None, features };
            let choice =
                inner.router.select(&requirements, RoutingOptimization::default(), CallLimits::default());
            let chosen = choice.ok()?.chosen;
            Some(format!("{}/{}", chosen.vendor().unwrap_or(&chosen.name), chosen.model))
        };
        ModelCatalogue { auto: chosen(&[]), auto_with_tools: chosen(&["tools"]), ..sources.catalogue() }
    }
}

impl ModelCatalogue {
    /// All models by the settings alone: nothing is asked, so no server answers.
    #[must_use]
    pub fn of_settings(providers: &ProvidersConfig, prices: &PriceTable) -> Self {
        let endpoints = VendorEndpoints::configured(providers);
        let (local, servers) = (LocalReadiness::default(), ServerReadiness::default());
        let at = Timestamp::now();
        CatalogueSources { prices, endpoints: &endpoints, local: &local, servers: &servers, at }.catalogue()
    }
}

impl CatalogueSources<'_> {
    fn catalogue(&self) -> ModelCatalogue {
        let vendors = Vendor::ALL.iter().map(|vendor| self.vendor(*vendor));
        let servers = self.endpoints.servers().iter().map(|server| self.server(server));
        let providers: Vec<ProviderReadiness> = vendors.chain(servers).collect();
        let mut models: Vec<CatalogueEntry> = MODELS
            .iter()
            .filter(|facts| facts.vendor != Vendor::Ollama)
            .map(|facts| self.known(facts))
            .collect();
        models.extend(self.own_rows());
        let local = self.local.ollama_models();
        models.extend(local.iter().map(|model| self.local_model(model)));
        models.extend(self.endpoints.servers().iter().flat_map(|server| self.server_models(server)));
        for entry in &mut models {
            self.judge(entry, &providers);
        }
        ModelCatalogue {
            own_prices: self.prices.own_file().map(str::to_owned),
            kept_prices: self.prices.origin_text(PriceOrigin::Kept),
            providers,
            auto: None,
            auto_with_tools: None,
            models,
        }
    }

    fn vendor(&self, vendor: Vendor) -> ProviderReadiness {
        let endpoint = endpoint_of(self.endpoints, vendor);
        let problem = match vendor.key_variable() {
            Some(variable) if !endpoint.is_ready() => Some(format!("no key: set {variable}")),
            None if !self.local.ollama_answers() => Some("does not answer".to_owned()),
            _ => None,
        };
        readiness(endpoint, problem)
    }

    fn server(&self, server: &CompatibleServer) -> ProviderReadiness {
        let state = self.servers.of(server.name());
        let missing = server.missing_key.as_ref().map(|variable| format!("no key: set {variable}"));
        let silent =
            || (!state.answers).then(|| state.problem.unwrap_or_else(|| "does not answer".to_owned()));
        readiness(&server.endpoint, missing.or_else(silent))
    }

    fn known(&self, facts: &ModelFacts) -> CatalogueEntry {
        let price = self.prices.find(facts.vendor.as_str(), facts.model, self.at);
        let retired = facts.is_retired(self.at);
        CatalogueEntry {
            kind: facts.kind,
            context_window: Some(facts.context_window),
            max_output: Some(facts.max_output).filter(|most| *most > 0),
            retired,
            ends: facts.end_day(),
            replacement: facts.replacement(),
            auto: facts.is_general && !retired,
            ..self.entry(facts.vendor.as_str(), facts.model, price)
        }
    }

    /// The names of the user's rows that are no model of the catalogue, except of servers: those list theirs.
    fn own_rows(&self) -> impl Iterator<Item = CatalogueEntry> {
        let of_vendor =
            self.prices.own_rows().iter().filter_map(|row| Some((Vendor::from_name(&row.provider)?, row)));
        of_vendor.flat_map(move |(vendor, row)| {
            let is_new = move |name: &&str| {
                *name != ANY_MODEL
                    && vendor != Vendor::Ollama
                    && !MODELS.iter().any(|facts| facts.vendor == vendor && facts.model == *name)
            };
            row.names().filter(is_new).map(move |name| {
                let price = self.prices.find(vendor.as_str(), name, self.at);
                let facts = catalogue::find(vendor, name);
                let window = row.window.or(facts.map(|facts| facts.context_window));
                let is_embedding = !row.price.is_free() && row.price.output_per_million().is_zero();
                CatalogueEntry {
                    kind: if is_embedding { ModelKind::Embedding } else { ModelKind::Chat },
                    context_window: window,
                    retired: facts.is_some_and(|facts| facts.is_retired(self.at)),
                    ends: facts.and_then(ModelFacts::end_day),
                    ..self.entry(vendor.as_str(), name, price)
                }
            })
        })
    }

    fn local_model(&self, model: &str) -> CatalogueEntry {
        let price = self.prices.find(Vendor::Ollama.as_str(), model, self.at);
        CatalogueEntry { auto: true, ..self.entry(Vendor::Ollama.as_str(), model, price) }
    }

    fn server_models(&self, server: &CompatibleServer) -> impl Iterator<Item = CatalogueEntry> {
        let state = self.servers.of(server.name());
        let names: BTreeSet<String> =
            state.models.iter().map(|model| model.id.clone()).chain(server.models.iter().cloned()).collect();
        names.into_iter().map(move |name| {
            let window = state.models.iter().find(|model| model.id == name).and_then(|model| model.window);
            let price = server.price(&name, self.prices);
            let entry = self.entry(server.name(), &name, price.as_ref());
            CatalogueEntry { context_window: window.or(entry.context_window), auto: true, ..entry }
        })
    }

    fn entry(&self, provider: &str, model: &str, price: Option<&ModelPrice>) -> CatalogueEntry {
        CatalogueEntry {
            provider: provider.to_owned(),
            model: model.to_owned(),
            kind: ModelKind::Chat,
            context_window: catalogue::context_window(model),
            max_output: None,
            price: price.map(|price| self.price(price)),
            retired: false,
            ends: None,
            replacement: None,
            callable: false,
            problem: None,
            auto: false,
        }
    }

    fn price(&self, price: &ModelPrice) -> CataloguePrice {
        let pair = |input_usd: Decimal, output_usd: Decimal| RatePair { input_usd, output_usd };
        let tiers = price.service_tiers();
        let tiers = tiers.map(|(tier, i, o)| ServiceTierRates { tier: tier.as_str(), rates: pair(i, o) });
        let long = price.long_prompts();
        let long = long.map(|(prompt_tokens, i, o)| LongPromptRates { prompt_tokens, rates: pair(i, o) });
        CataloguePrice {
            standard: pair(price.input_per_million(), price.output_per_million()),
            cache_read_usd: price.cache_read_per_million(),
            searches_usd: price.per_thousand_searches(),
            free: price.is_free(),
            long_prompts: long.collect(),
            service_tiers: tiers.collect(),
            origin: price.origin(),
            source: self.prices.origin_text(price.origin()),
        }
    }

    /// Whether it can be called now, and why not.
    fn judge(&self, entry: &mut CatalogueEntry, providers: &[ProviderReadiness]) {
        let provider = providers.iter().find(|provider| provider.name == entry.provider);
        entry.problem = if entry.retired {
            Some(entry.ends.map_or_else(|| "shut down".to_owned(), |day| format!("shut down on {day}")))
        } else if entry.price.is_none() {
            Some(format!("no price; {}", self.prices.missing_row(&entry.provider, &entry.model)))
        } else {
            provider.and_then(|provider| provider.problem.clone())
        };
        entry.callable = entry.problem.is_none();
        entry.auto &= entry.callable && entry.kind == ModelKind::Chat;
    }
}

fn readiness(endpoint: &VendorEndpoint, problem: Option<String>) -> ProviderReadiness {
    ProviderReadiness {
        name: endpoint.name().to_owned(),
        base_url: endpoint.base_url().to_owned(),
        ready: problem.is_none(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, SecretText, SwarmConfig};

    fn catalogue(own: &str) -> ModelCatalogue {
        let mut providers = SwarmConfig::load(&ConfigSources::default()).unwrap().providers;
        providers.openai.api_key = Some(SecretText::from("sk-test".to_owned()));
        ModelCatalogue::of_settings(&providers, &PriceTable::new(Some(("mine.toml", own))).unwrap())
    }

    #[test]
    fn each_model_says_its_price_its_source_and_why_it_cannot_be_called() {
        let own = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-7\"\ninput = 3\noutput = 9";
        let all = catalogue(own);
        let entry = |name: &str| all.models.iter().find(|entry| entry.model == name).unwrap();
        let own = entry("gpt-7");
        assert_eq!(
            (own.callable, own.auto, &*own.price.as_ref().unwrap().source),
            (true, false, "mine.toml")
        );
        let kept = entry("gpt-5.5");
        let price = kept.price.as_ref().unwrap();
        assert!(kept.callable && kept.auto && price.source.starts_with("genai-prices 0.2"), "{kept:?}");
        assert_eq!(price.long_prompts[0].prompt_tokens, 272_000);
        assert!(price.service_tiers.iter().any(|rates| rates.tier == "priority"));
        let ended = entry("gpt-4-turbo");
        assert_eq!(ended.problem.as_deref(), Some("shut down on 2026-10-23"));
        assert!(ended.retired && !ended.auto && ended.replacement == Some("gpt-5.6-sol"));
        assert_eq!(entry("claude-opus-4-8").problem.as_deref(), Some("no key: set ANTHROPIC_API_KEY"));
        assert_eq!(entry("grok-beta").price.as_ref().unwrap().source, "built in");
        let mut names: Vec<_> = all.models.iter().map(|entry| (&entry.provider, &entry.model)).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "each once");
    }
}
