//! The provider router's read side: an immutable snapshot that anyone reads without a message.
//!
//! Invariants: a reader sees only whole changes; a change is visible to every read after the writer was
//! answered. A provider keeps the meter through updates, except to another endpoint or model, to which the
//! measurements no longer apply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::meter::ProviderMeter;
use crate::domain::provider_router::measured::ProviderFigures;
use crate::domain::provider_router::price::as_number;
use crate::domain::provider_router::{
    CallLimits, CallRequirements, CircuitPhase, ModelName, NoProviderFits, ProviderCandidate,
    ProviderSelection, RegisteredProvider, RoutingOptimization, select,
};

#[derive(Debug, Clone)]
pub(super) struct ProviderEntry {
    pub(super) provider: Arc<RegisteredProvider>,
    pub(super) meter: Arc<ProviderMeter>,
}

/// A provider's current state for readers; serialises as the contract's provider.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderSnapshot {
    #[serde(flatten)]
    pub provider: Arc<RegisteredProvider>,
    /// US dollars for 1000 input and 500 output tokens.
    #[serde(serialize_with = "as_number")]
    pub estimated_cost_usd: Decimal,
    /// Measurements from calls.
    pub measured: ProviderFigures,
    pub circuit: CircuitPhase,
    /// Seconds until the next call is allowed, while the circuit is open.
    pub rests_s: Option<f64>,
}

impl ProviderEntry {
    pub(super) fn seen(&self, now: Instant) -> ProviderSnapshot {
        let reading = self.meter.reading(now);
        ProviderSnapshot {
            estimated_cost_usd: self.provider.estimate(),
            provider: Arc::clone(&self.provider),
            measured: reading.figures,
            circuit: reading.phase,
            rests_s: reading.open_for.map(|rests| rests.as_secs_f64()),
        }
    }
}

/// A filter of active providers; absent fields match all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ProviderFilter {
    pub model: Option<String>,
    /// At least this many tokens of context.
    pub min_context: Option<u64>,
}

/// The numbers of providers and models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderCounts {
    pub active_providers: usize,
    pub inactive_providers: usize,
    /// Models of the active ones, sorted.
    pub unique_models: Vec<String>,
    /// The number of those models.
    pub total_models: usize,
}

type ProviderEntries = BTreeMap<String, ProviderEntry>;

/// The read side; written only by the provider router's actor.
#[derive(Debug, Default)]
pub(super) struct ProviderCache(ArcSwap<ProviderEntries>);

impl ProviderCache {
    /// Publishes new or changed records. Called only by the actor, one message at a time.
    pub(super) fn put(&self, providers: impl IntoIterator<Item = RegisteredProvider>) {
        let mut next = ProviderEntries::clone(&self.0.load());
        for provider in providers {
            let is_same = |known: &RegisteredProvider| {
                known.endpoint == provider.endpoint && known.model == provider.model
            };
            let meter = next.get(&provider.name).filter(|entry| is_same(&entry.provider));
            let meter = meter.map_or_else(ProviderMeter::new, |entry| Arc::clone(&entry.meter));
            next.insert(provider.name.clone(), ProviderEntry { provider: Arc::new(provider), meter });
        }
        self.0.store(Arc::new(next));
    }

    pub(super) fn entry(&self, name: &str) -> Option<ProviderEntry> {
        self.0.load().get(name).cloned()
    }

    pub(super) fn is_full(&self, most: usize) -> bool {
        self.0.load().len() >= most
    }

    pub(super) fn select(
        &self,
        requirements: &CallRequirements,
        optimization: RoutingOptimization,
        limits: CallLimits,
        now: Instant,
    ) -> Result<ProviderSelection, NoProviderFits> {
        let entries = self.0.load();
        let name = ModelName::parse(&requirements.model);
        let active = || entries.values().filter(|entry| entry.provider.active);
        // Most providers serve another model, and need no look at their meters.
        let fitting = active().filter(|entry| name.fits(&entry.provider));
        let candidates = fitting.map(|entry| {
            let (expected, rests) = entry.meter.expected(entry.provider.slo.as_ref(), now);
            ProviderCandidate { provider: Arc::clone(&entry.provider), expected, open_for: rests }
        });
        select(candidates, requirements, optimization, limits).map_err(|mut none| {
            let considered = active().count();
            none.other_model += considered - none.considered;
            none.considered = considered;
            none
        })
    }

    /// The smallest window of the active providers that serve a model of this name.
    pub(super) fn context_window(&self, model: &str) -> Option<u64> {
        let ModelName::Named(_) = ModelName::parse(model) else { return None };
        let entries = self.0.load();
        let serves =
            |provider: &RegisteredProvider| provider.active && ModelName::parse(model).fits(provider);
        let serving = entries.values().filter(|entry| serves(&entry.provider));
        serving.map(|entry| entry.provider.context_window).min()
    }

    pub(super) fn list(&self, listing: &ProviderFilter, now: Instant) -> Vec<ProviderSnapshot> {
        let fits = |provider: &RegisteredProvider| {
            provider.active
                && listing.model.as_ref().is_none_or(|model| *model == provider.model)
                && listing.min_context.is_none_or(|least| provider.context_window >= least)
        };
        self.0.load().values().filter(|entry| fits(&entry.provider)).map(|entry| entry.seen(now)).collect()
    }

    pub(super) fn counts(&self) -> ProviderCounts {
        let entries = self.0.load();
        let active: Vec<_> = entries.values().filter(|entry| entry.provider.active).collect();
        let models: BTreeSet<&str> = active.iter().map(|entry| entry.provider.model.as_str()).collect();
        ProviderCounts {
            active_providers: active.len(),
            inactive_providers: entries.len() - active.len(),
            total_models: models.len(),
            unique_models: models.into_iter().map(str::to_owned).collect(),
        }
    }
}
