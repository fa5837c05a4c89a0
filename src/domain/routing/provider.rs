//! Offers of models: what a provider says of itself when it registers, and the durable record of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::price::{TokenPrice, estimate};
use crate::domain::json::{Json, or_default};
use crate::domain::time::Timestamp;

/// What a provider promises (its service level objectives); what it does not promise is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Slo {
    /// 95th percentile of the time a call takes, ms.
    #[serde(default)]
    pub latency_p95_ms: Option<f64>,
    #[serde(default)]
    pub throughput_rps: Option<f64>,
    /// Share of calls that succeed, 0 to 100.
    #[serde(default)]
    pub availability_percent: Option<f64>,
}

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Registration {
    /// Its name; registering under a known one updates that provider.
    pub name: String,
    /// The model it serves, as the vendor names it.
    pub model: String,
    /// Tokens that fit, input and output together.
    pub context_window: u64,
    /// US dollars for one input token.
    pub cost_per_input_token: TokenPrice,
    /// US dollars for one output token.
    pub cost_per_output_token: TokenPrice,
    pub endpoint: String,
    /// What it can do (`tools`, `vision`, `streaming`, …).
    #[serde(default, deserialize_with = "or_default")]
    pub features: BTreeSet<String>,
    #[serde(default)]
    pub slo: Option<Slo>,
    /// Whatever else it says; an object.
    #[serde(default = "Json::object", deserialize_with = "object_if_null")]
    pub metadata: Json,
}

fn object_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    Ok(Option::<Json>::deserialize(deserializer)?.unwrap_or_else(Json::object))
}

impl Registration {
    /// Bytes of text in it: what a record costs in memory, near enough.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let features: usize = self.features.iter().map(String::len).sum();
        self.name.len() + self.model.len() + self.endpoint.len() + features + self.metadata.to_string().len()
    }

    /// The record of it, in place of `known` if that is there.
    #[must_use]
    pub fn into_provider(self, known: Option<&Provider>, now: Timestamp) -> Provider {
        Provider {
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
pub struct Provider {
    pub name: String,
    /// The model it serves, as the vendor names it.
    pub model: String,
    /// Tokens that fit, input and output together.
    pub context_window: u64,
    /// US dollars for one input token.
    pub cost_per_input_token: TokenPrice,
    /// US dollars for one output token.
    pub cost_per_output_token: TokenPrice,
    pub endpoint: String,
    /// What it can do.
    pub features: BTreeSet<String>,
    pub slo: Option<Slo>,
    /// Whatever else it says.
    pub metadata: Json,
    /// Whether it is offered; a deleted provider is kept and is not.
    pub active: bool,
    /// When it first registered.
    pub registered_at: Timestamp,
    /// When it last registered or was deleted.
    pub updated_at: Timestamp,
}

impl Provider {
    /// The cost estimate in US dollars that offers are compared by.
    #[must_use]
    pub fn estimate(&self) -> rust_decimal::Decimal {
        estimate(self.cost_per_input_token, self.cost_per_output_token)
    }

    /// The vendor, where the provider says it: `metadata.provider`.
    #[must_use]
    pub fn vendor(&self) -> Option<&str> {
        self.metadata.get("provider")?.as_str()
    }
}
