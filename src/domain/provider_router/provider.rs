//! Offers of models: a provider's registration and durable record.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::price::{TokenPrice, estimate};
use crate::json::{JsonValue, or_default};
use crate::time::Timestamp;

/// A provider's service level objectives; all optional.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ProviderSlo {
    /// 95th percentile of the time a call takes, ms.
    #[serde(default)]
    pub latency_p95_ms: Option<f64>,
    #[serde(default)]
    pub throughput_rps: Option<f64>,
    /// Share of calls that succeed, 0 to 100.
    #[serde(default)]
    pub availability_percent: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProviderRegistration {
    /// Registering under a known name updates that provider.
    pub name: String,
    /// The vendor's name of the model.
    pub model: String,
    /// Tokens that fit, input and output together.
    pub context_window: u64,
    /// US dollars for one input token.
    pub cost_per_input_token: TokenPrice,
    /// US dollars for one output token.
    pub cost_per_output_token: TokenPrice,
    pub endpoint: String,
    /// Features (`tools`, `vision`, `streaming`, …).
    #[serde(default, deserialize_with = "or_default")]
    pub features: BTreeSet<String>,
    #[serde(default)]
    pub slo: Option<ProviderSlo>,
    /// Anything else; an object.
    #[serde(default = "JsonValue::object", deserialize_with = "object_if_null")]
    pub metadata: JsonValue,
}

fn object_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonValue, D::Error> {
    Ok(Option::<JsonValue>::deserialize(deserializer)?.unwrap_or_else(JsonValue::object))
}

impl ProviderRegistration {
    /// Bytes of text: roughly the record's memory cost.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let features: usize = self.features.iter().map(String::len).sum();
        self.name.len() + self.model.len() + self.endpoint.len() + features + self.metadata.to_string().len()
    }

    /// The durable record, replacing `known` if given.
    #[must_use]
    pub fn into_provider(self, known: Option<&RegisteredProvider>, now: Timestamp) -> RegisteredProvider {
        RegisteredProvider {
            registered_at: known.map_or(now, |known| known.registered_at),
            name: self.name,
            model: self.model,
            context_window: self.context_window,
            cost_per_input_token: self.cost_per_input_token,
            cost_per_output_token: self.cost_per_output_token,
            endpoint: self.endpoint,
            features: self.features,
            slo: self.slo,
            metadata: self.metadata,
            active: true,
            updated_at: now,
        }
    }
}

/// The durable record of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisteredProvider {
    pub name: String,
    /// The vendor's name of the model.
    pub model: String,
    /// Tokens that fit, input and output together.
    pub context_window: u64,
    /// US dollars for one input token.
    pub cost_per_input_token: TokenPrice,
    /// US dollars for one output token.
    pub cost_per_output_token: TokenPrice,
    pub endpoint: String,
    pub features: BTreeSet<String>,
    pub slo: Option<ProviderSlo>,
    pub metadata: JsonValue,
    /// Whether the provider is offered; a deleted one is kept but inactive.
    pub active: bool,
    /// Time of the first registration.
    pub registered_at: Timestamp,
    /// Time of the last registration or deletion.
    pub updated_at: Timestamp,
}

impl RegisteredProvider {
    /// The cost estimate in US dollars that offers are compared by.
    #[must_use]
    pub fn estimate(&self) -> rust_decimal::Decimal {
        estimate(self.cost_per_input_token, self.cost_per_output_token)
    }

    /// The vendor from `metadata.provider`, if given.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        self.metadata.get("provider")?.as_str()
    }
}
