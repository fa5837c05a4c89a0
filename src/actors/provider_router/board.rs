//! The provider router's read side: an immutable snapshot that anyone reads without a message.
//!
//! Invariants: a reader sees whole changes only; every change that a writer was told of is seen by
//! whoever asks afterwards. A provider's meter stays with it through updates, unless those make it
//! another one (another endpoint or model): then what was measured is not about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::meter::Meter;
use crate::domain::routing::measured::Figures;
use crate::domain::routing::price::as_number;
use crate::domain::routing::{
    Candidate, Choice, Limits, ModelName, NoneFits, Optimization, Phase, Provider, Requirements, select,
};

/// A provider and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) provider: Arc<Provider>,
    pub(super) meter: Arc<Meter>,
}

/// A provider as others see it now; serialises as the contract's provider.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    #[serde(flatten)]
    pub provider: Arc<Provider>,
    /// US dollars for 1000 input and 500 output tokens.
    #[serde(serialize_with = "as_number")]
    pub estimated_cost_usd: Decimal,
    /// What calls have shown.
    pub measured: Figures,
    /// Where its circuit stands.
    pub circuit: Phase,
    /// Seconds until it may be asked again, while it rests.
    pub rests_s: Option<f64>,
}

impl Entry {
    pub(super) fn seen(&self, now: Instant) -> Seen {
        let reading = self.meter.reading(now);
        Seen {
            estimated_cost_usd: self.provider.estimate(),
            provider: Arc::clone(&self.provider),
            measured: reading.figures,
            circuit: reading.phase,
            rests_s: reading.rests.map(|rests| rests.as_secs_f64()),
        }
    }
}

/// Which active providers to list; what is not said does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Listing {
    pub model: Option<String>,
    /// With at least so many tokens of context.
    pub min_context: Option<u64>,
}

/// How many providers and models there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub active_providers: usize,
    pub inactive_providers: usize,
    /// Models of the active ones, sorted.
    pub unique_models: Vec<String>,
    /// How many those are.
    pub total_models: usize,
}

type Entries = BTreeMap<String, Entry>;

/// The read side; written by the provider router's actor alone.
#[derive(Debug, Default)]
pub(super) struct Board(ArcSwap<Entries>);

impl Board {
    /// Publishes records that are new or have changed. Only the actor calls it, one message at a time.
    pub(super) fn put(&self, providers: impl IntoIterator<Item = Provider>) {
        let mut next = Entries::clone(&self.0.load());
        for provider in providers {
            let is_same =
                |known: &Provider| known.endpoint == provider.endpoint && known.model == provider.model;
            let meter = next.get(&provider.name).filter(|entry| is_same(&entry.provider));
            let meter = meter.map_or_else(Meter::new, |entry| Arc::clone(&entry.meter));
            next.insert(provider.name.clone(), Entry { provider: Arc::new(provider), meter });
        }
        self.0.store(Arc::new(next));
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.0.load().get(name).cloned()
    }

    pub(super) fn is_full(&self, most: usize) -> bool {
        self.0.load().len() >= most
    }

    pub(super) fn select(
        &self,
        requirements: &Requirements,
        optimization: Optimization,
        limits: Limits,
        now: Instant,
    ) -> Result<Choice, NoneFits> {
        let entries = self.0.load();
        let candidates = entries.values().filter(|entry| entry.provider.active).map(|entry| {
            let (expected, rests) = entry.meter.expected(entry.provider.slo.as_ref(), now);
            Candidate { provider: Arc::clone(&entry.provider), expected, rests }
        });
        select(candidates, requirements, optimization, limits)
    }

    /// The least window of the active providers that serve a model of this name.
    pub(super) fn context_window(&self, model: &str) -> Option<u64> {
        let ModelName::Named(_) = ModelName::parse(model) else { return None };
        let entries = self.0.load();
        let serves = |provider: &Provider| provider.active && ModelName::parse(model).fits(provider);
        let serving = entries.values().filter(|entry| serves(&entry.provider));
        serving.map(|entry| entry.provider.context_window).min()
    }

    pub(super) fn list(&self, listing: &Listing, now: Instant) -> Vec<Seen> {
        let fits = |provider: &Provider| {
            provider.active
                && listing.model.as_ref().is_none_or(|model| *model == provider.model)
                && listing.min_context.is_none_or(|least| provider.context_window >= least)
        };
        self.0.load().values().filter(|entry| fits(&entry.provider)).map(|entry| entry.seen(now)).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let entries = self.0.load();
        let active: Vec<_> = entries.values().filter(|entry| entry.provider.active).collect();
        let models: BTreeSet<&str> = active.iter().map(|entry| entry.provider.model.as_str()).collect();
        Counts {
            active_providers: active.len(),
            inactive_providers: entries.len() - active.len(),
            total_models: models.len(),
            unique_models: models.into_iter().map(str::to_owned).collect(),
        }
    }
}
