//! A provider that can be called: one of the router's, as an endpoint with a price.
//!
//! Invariant: the configured credentials go only to the configured addresses. A provider registered from
//! outside is called at its own address without them; one that leads back to this daemon is called where that
//! port would call ([`super::own_ports`]).

use std::sync::Arc;

use super::bound;
use super::bound_memory::BoundMemory;
pub(super) use super::endpoints::{CompatibleServer, VendorEndpoints, endpoint_of};
use super::own_ports::{ModelPort, OwnPorts};
use super::prepared::{CandidateRequest, PreparedRequest};
use crate::config::SecretText;
use crate::domain::accounts::price::{ModelPrice, PriceTable};
use crate::domain::money::NanoUsd;
use crate::domain::provider_router::RegisteredProvider;
use crate::domain::provider_router::model_name::adapter_name;
use crate::domain::time::Timestamp;
use crate::domain::usage::ServiceTier;
use crate::llm::endpoint::{NO_KEY, openai_base};
use crate::llm::inbound::anthropic;
use crate::llm::passage::{OriginalRequest, PassedRequest, WireProtocol, searches_of_chat};
use crate::llm::{Vendor, VendorEndpoint, catalogue};

/// Output tokens of a completion of a text that sets no limit, at OpenAI itself (API reference, "Completions"); servers
/// like it have defaults of their own.
const OPENAI_COMPLETION_TOKENS: u64 = 16;

/// The key in a provider's metadata that marks the gateway's own registrations.
pub(super) const ADAPTER: &str = "adapter";

/// A provider that can be called.
#[derive(Debug, Clone)]
pub(super) struct CallCandidate {
    /// The router's name of the provider.
    pub(super) provider: String,
    /// The vendor's name of the model.
    pub(super) model: String,
    pub(super) endpoint: VendorEndpoint,
    pub(super) price: Option<ModelPrice>,
    /// Tokens the model accepts, if known.
    pub(super) window: Option<u64>,
}

impl CallCandidate {
    /// A vendor as configured, whether or not the router knows the model. A dated name is called as it is, and
    /// counts for its model.
    pub(super) fn pinned(
        endpoints: &VendorEndpoints,
        vendor: Vendor,
        model: &str,
        prices: &PriceTable,
    ) -> Self {
        let base = catalogue::find(vendor, model).map_or(model, |facts| facts.model);
        let price = |name| prices.find(vendor.as_str(), name, Timestamp::now());
        Self {
            provider: adapter_name(vendor.as_str(), base),
            model: model.to_owned(),
            endpoint: endpoint_of(endpoints, vendor).clone(),
            price: price(model).or_else(|| price(base)).cloned(),
            window: catalogue::context_window(model),
        }
    }

    /// A model of one of the user's servers.
    pub(super) fn at_server(server: &CompatibleServer, model: &str, prices: &PriceTable) -> Self {
        Self {
            provider: server.provider(model),
            model: model.to_owned(),
            endpoint: server.endpoint.clone(),
            price: server.price(model, prices),
            window: catalogue::context_window(model),
        }
    }

    /// The same model by the name that the caller gave, as the vendor takes it: dated, or an alias.
    pub(super) fn called(mut self, name: String, prices: &PriceTable) -> Self {
        let own = prices.find(self.endpoint.name(), &name, Timestamp::now());
        self.price = own.cloned().or(self.price);
        self.model = name;
        self
    }

    /// The same for a call that asks for a service tier.
    pub(super) fn asked_in(mut self, tier: ServiceTier) -> Self {
        self.price = self.price.map(|price| price.asked_in(tier));
        self
    }

    /// A provider of the router.
    pub(super) fn routed(
        endpoints: &VendorEndpoints,
        own_ports: &OwnPorts,
        provider: &Arc<RegisteredProvider>,
        prices: &PriceTable,
    ) -> Self {
        let vendor = provider.vendor().and_then(Vendor::from_name);
        let is_ours = provider.metadata.get(ADAPTER).is_some();
        let server = provider.vendor().filter(|_| is_ours).and_then(|name| endpoints.server(name));
        if let Some(server) = server {
            let window = Some(provider.context_window);
            return Self { window, ..Self::at_server(server, &provider.model, prices) };
        }
        let own_vendor = match own_ports.at(&provider.endpoint) {
            Some(ModelPort::Pinned(vendor)) => Some(vendor),
            // A model of no known vendor has no price either: it is not called.
            Some(ModelPort::Gateway) => Some(vendor_of(&provider.model).unwrap_or(Vendor::ALL[0])),
            None => vendor.filter(|_| is_ours),
        };
        if let Some(vendor) = own_vendor {
            let pinned = Self::pinned(endpoints, vendor, unprefixed(&provider.model, vendor), prices);
            let window = Some(provider.context_window);
            return Self { provider: provider.name.clone(), window, ..pinned };
        }
        let listed = vendor.and_then(|v| prices.find(v.as_str(), &provider.model, Timestamp::now()));
        let declared = || {
            ModelPrice::per_token(provider.cost_per_input_token.usd(), provider.cost_per_output_token.usd())
        };
        Self {
            provider: provider.name.clone(),
            model: provider.model.clone(),
            endpoint: foreign(vendor.unwrap_or(Vendor::OpenAi), &provider.endpoint),
            price: listed.cloned().or_else(declared),
            window: Some(provider.context_window),
        }
    }

    /// Whether a request passes to this candidate as it came.
    pub(super) fn takes(&self, original: &OriginalRequest) -> bool {
        self.endpoint.speaks(original.protocol())
    }

    /// The request for this candidate, with its model and an output limit, and the bound of the call; `None`:
    /// the price is unknown.
    pub(super) fn prepare(
        &self,
        ask: CandidateRequest,
        memory: &BoundMemory,
    ) -> Option<(PreparedRequest, CallBound)> {
        let price = self.price.as_ref()?;
        let bound = |prompt, output, answers, searches| {
            let prompt = memory.raised(&self.provider, prompt);
            CallBound { prompt, output, answers, searches, worst: NanoUsd::ZERO }.at_price(price)
        };
        Some(match ask {
            CandidateRequest::Chat(mut request) => {
                request.model.clone_from(&self.model);
                if self.endpoint.vendor() != Vendor::Anthropic {
                    anthropic::without_own_fields(&mut request);
                }
                let prompt = bound::prompt(&request);
                let asked = request.output_limit();
                let limit = self.output(asked, prompt);
                if asked.is_none() {
                    request.max_completion_tokens = Some(limit);
                }
                let bound = bound(prompt, limit, request.answers(), searches_of_chat(&request));
                (PreparedRequest::Chat(request), bound)
            }
            CandidateRequest::Embed(mut request) => {
                request.model.clone_from(&self.model);
                let bound = bound(bound::embedding(&request), 0, 1, 0);
                (PreparedRequest::Embed(request), bound)
            }
            CandidateRequest::Passed(original) => {
                let prompt = bound::original(&original, self.window);
                let asked = self.output_limit_of(&original);
                let (output, searches) = (self.output(asked, prompt), original.searches(&self.model));
                let bound = bound(prompt, output, original.answers(), searches);
                // A client that set no limit gets the model's own, unless a budget needs one.
                (
                    PreparedRequest::Passed(PassedRequest {
                        original,
                        model: self.model.clone(),
                        limit: None,
                    }),
                    bound,
                )
            }
        })
    }

    /// The output limit at which a call costs at most `left`; `None`: it is below `floor`, or no limit helps.
    pub(super) fn affordable(&self, bound: &CallBound, left: NanoUsd, floor: u64) -> Option<CallBound> {
        let price = self.price.as_ref()?;
        let at = |output| CallBound { output, ..*bound }.at_price(price);
        let (mut fits, mut exceeds) = (floor.max(1), bound.output);
        if fits >= exceeds || at(fits).worst > left {
            return None;
        }
        while exceeds - fits > 1 {
            let middle = fits + (exceeds - fits) / 2;
            if at(middle).worst <= left {
                fits = middle;
            } else {
                exceeds = middle;
            }
        }
        Some(at(fits))
    }

    /// The limit that a request sets, or that OpenAI's API sets where the request has none.
    fn output_limit_of(&self, original: &OriginalRequest) -> Option<u64> {
        let is_completion = original.protocol() == WireProtocol::Completions;
        let is_sixteen = is_completion && self.endpoint.is_openai_itself();
        original.output_limit().or(is_sixteen.then_some(OPENAI_COMPLETION_TOKENS))
    }

    fn output(&self, asked: Option<u64>, prompt: u64) -> u64 {
        let known = catalogue::find(self.endpoint.vendor(), &self.model).map(|facts| facts.max_output);
        bound::output(asked, known, self.window, prompt)
    }
}

/// The most that a call may use and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallBound {
    pub(super) prompt: u64,
    /// Tokens of each answer.
    pub(super) output: u64,
    answers: u64,
    /// Searches that the vendor bills.
    searches: u32,
    pub(super) worst: NanoUsd,
}

impl CallBound {
    fn at_price(self, price: &ModelPrice) -> Self {
        let output = self.output.saturating_mul(self.answers);
        Self { worst: price.worst(self.prompt, output, self.searches), ..self }
    }
}

/// The gateway's vendor for a model name: from `vendor/model`, or from the catalogue.
fn vendor_of(model: &str) -> Option<Vendor> {
    let named = || model.split_once('/').and_then(|(vendor, _)| Vendor::from_prefix(vendor));
    catalogue::resolve(model).map(|found| found.facts.vendor).or_else(named)
}

/// The vendor's name of a model.
fn unprefixed(model: &str, vendor: Vendor) -> &str {
    let rest = model.strip_prefix(vendor.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(model)
}

/// A registered address; of OpenAI's form it may be written for people.
fn foreign(vendor: Vendor, address: &str) -> VendorEndpoint {
    let is_openai_like = matches!(vendor, Vendor::OpenAi | Vendor::Grok);
    let base_url =
        if is_openai_like { openai_base(address) } else { address.trim_end_matches('/').to_owned() };
    let credential = vendor.key_variable().map(|_| SecretText::from(NO_KEY.to_owned()));
    let endpoint = VendorEndpoint::new(vendor, &base_url, credential);
    // A server of unknown make in OpenAI's form: only chat completions are certain.
    endpoint.note_no_responses();
    endpoint
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::domain::provider_router::ProviderRegistration;
    use crate::llm::chat::{ChatMessage, ChatRequest, ChatRole};

    fn endpoints() -> VendorEndpoints {
        let key = SecretText::from("sk-ours".to_owned());
        let endpoint = |vendor: Vendor| {
            VendorEndpoint::new(vendor, &format!("https://{vendor}.example"), Some(key.clone()))
        };
        Vendor::ALL.map(endpoint).into()
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests write their JSON in place")]
    fn provider(model: &str, cost: f64, metadata: serde_json::Value) -> Arc<RegisteredProvider> {
        let registration: ProviderRegistration = serde_json::from_value(json!({
            "name": "somebody", "model": model, "context_window": 8_192, "endpoint": "http://localhost:9000",
            "cost_per_input_token": cost, "cost_per_output_token": cost, "metadata": metadata,
        }))
        .unwrap();
        Arc::new(registration.into_provider(None, Timestamp::now()))
    }

    #[test]
    fn our_keys_stay_with_our_addresses() {
        let prices = PriceTable::new(None).unwrap();
        let registered = provider("gpt-4-turbo", 0.5, json!({ "provider": "openai" }));
        let candidate = CallCandidate::routed(&endpoints(), &OwnPorts::default(), &registered, &prices);
        assert_eq!(candidate.endpoint.base_url(), "http://localhost:9000/v1");
        assert_eq!(candidate.endpoint.credential(), Some(&SecretText::from(NO_KEY.to_owned())));
        let ours = provider("gpt-4-turbo", 0.5, json!({ "provider": "openai", "adapter": true }));
        let candidate = CallCandidate::routed(&endpoints(), &OwnPorts::default(), &ours, &prices);
        assert_eq!(candidate.endpoint, *endpoint_of(&endpoints(), Vendor::OpenAi));
    }

    #[test]
    fn a_provider_that_says_it_is_free_is_free_and_one_that_is_unknown_has_no_price() {
        let prices = PriceTable::new(None).unwrap();
        let own = provider("own", 0.0, json!({}));
        let free = CallCandidate::routed(&endpoints(), &OwnPorts::default(), &own, &prices);
        assert!(free.price.unwrap().is_free());
        assert!(CallCandidate::pinned(&endpoints(), Vendor::OpenAi, "gpt-99", &prices).price.is_none());
    }

    #[test]
    fn a_provider_at_an_own_port_is_called_where_that_port_would_call_at_the_vendor_s_price() {
        let prices = PriceTable::new(None).unwrap();
        // The registration has port 9000, another vendor and its own price; none of these counts.
        for (port, model, vendor, asked) in [
            (ModelPort::Pinned(Vendor::OpenAi), "gpt-4-turbo", Vendor::OpenAi, "gpt-4-turbo"),
            (ModelPort::Gateway, "gpt-4-turbo", Vendor::OpenAi, "gpt-4-turbo"),
            (ModelPort::Gateway, "openai/gpt-4-turbo", Vendor::OpenAi, "gpt-4-turbo"),
        ] {
            let own_ports = OwnPorts::from_iter([(9000, port)]);
            let registered = provider(model, 0.5, json!({ "provider": "anthropic" }));
            let candidate = CallCandidate::routed(&endpoints(), &own_ports, &registered, &prices);
            assert_eq!(candidate.endpoint, *endpoint_of(&endpoints(), vendor));
            assert_eq!((candidate.provider.as_str(), candidate.model.as_str()), ("somebody", asked));
            let listed = prices.find(vendor.as_str(), asked, Timestamp::now());
            assert_eq!(candidate.price.as_ref(), listed);
        }
        let own_ports = OwnPorts::from_iter([(9000, ModelPort::Gateway)]);
        for unknown in ["own", "auto"] {
            let registered = provider(unknown, 0.5, json!({}));
            let candidate = CallCandidate::routed(&endpoints(), &own_ports, &registered, &prices);
            assert!(candidate.price.is_none(), "nobody to ask for `{unknown}` but the gateway itself");
        }
    }

    #[test]
    fn every_call_has_a_limit_and_a_greatest_cost() {
        let prices = PriceTable::new(None).unwrap();
        let candidate = CallCandidate::pinned(&endpoints(), Vendor::OpenAi, "gpt-4-turbo", &prices);
        let messages = vec![ChatMessage::text(ChatRole::User, "x".repeat(10_000))];
        let ask = CandidateRequest::Chat(ChatRequest { messages, ..ChatRequest::default() });
        let (prepared, bound) = candidate.prepare(ask, &BoundMemory::default()).unwrap();
        let worst = bound.worst;
        let PreparedRequest::Chat(request) = prepared else { unreachable!("it was a chat") };
        assert_eq!((request.model.as_str(), request.output_limit()), ("gpt-4-turbo", Some(4_096)));
        // 10 and 30 dollars per million tokens; less than the text's bytes, and more than a tokenizer counts.
        let output = 4_096 * 30_000;
        assert!(worst.0 > output + 5_000 * 10_000 && worst.0 < output + 10_000 * 10_000, "{worst}");
    }

    #[test]
    fn a_completion_without_a_limit_is_held_at_sixteen_tokens_at_openai_itself_only() {
        let prices = PriceTable::new(None).unwrap();
        for (base, held) in [
            ("https://api.openai.com/v1", 16),
            ("https://eu.api.openai.com/v1", 16),
            ("https://api.openai.com.example/v1", 4_096),
            ("http://127.0.0.1:8080/v1", 4_096),
        ] {
            let endpoints = Vendor::ALL.map(|vendor| VendorEndpoint::new(vendor, base, None)).into();
            let candidate = CallCandidate::pinned(&endpoints, Vendor::OpenAi, "gpt-3.5-turbo", &prices);
            let body = br#"{"model":"gpt-3.5-turbo","prompt":"a"}"#.as_slice().into();
            let original =
                OriginalRequest::read(WireProtocol::Completions, body, None, &HeaderMap::new()).unwrap();
            let ask = CandidateRequest::Passed(Arc::new(original));
            let (_, bound) = candidate.prepare(ask, &BoundMemory::default()).unwrap();
            assert_eq!(bound.output, held, "{base}");
        }
    }

    #[test]
    fn a_limit_is_lowered_to_what_is_left_and_not_below_its_floor() {
        let prices = PriceTable::new(None).unwrap();
        let candidate = CallCandidate::pinned(&endpoints(), Vendor::OpenAi, "gpt-4-turbo", &prices);
        let price = candidate.price.as_ref().unwrap();
        let bound = CallBound { prompt: 1_000, output: 4_096, answers: 1, searches: 0, worst: NanoUsd::ZERO };
        let bound = bound.at_price(price);
        let at = |left: u64| {
            candidate.affordable(&bound, NanoUsd(left), 100).map(|bound| (bound.output, bound.worst.0))
        };
        // 10 and 30 dollars a million: the prompt is 10,000,000 nanodollars, each token of the answer 30,000.
        assert_eq!(at(10_000_000 + 2_000 * 30_000 + 29_999), Some((2_000, 70_000_000)));
        assert_eq!(at(10_000_000 + 100 * 30_000), Some((100, 13_000_000)));
        assert_eq!(at(10_000_000 + 100 * 30_000 - 1), None);
        assert_eq!(candidate.affordable(&bound, NanoUsd(u64::MAX), 5_000), None, "it is below the floor");
    }

    #[test]
    fn an_address_written_for_people_becomes_a_base() {
        for (vendor, written, base) in [
            (Vendor::OpenAi, "http://localhost:9", "http://localhost:9/v1"),
            (Vendor::OpenAi, "http://localhost:9/v1/chat/completions", "http://localhost:9/v1"),
            (Vendor::OpenAi, "https://h/api/v2/", "https://h/api/v2"),
            (Vendor::Ollama, "http://localhost:11434/", "http://localhost:11434"),
        ] {
            assert_eq!(foreign(vendor, written).base_url(), base);
        }
    }
}
