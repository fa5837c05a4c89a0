//! From the name that a caller gives to the providers that may answer, and to the sentence when none may.
//!
//! The router knows models by the vendors' own names. Any other form (dated, an alias, `google/…`, `models/…`) is
//! brought to such a name first, and goes to the vendor as the caller wrote it. A model without a provider is called
//! all the same where its vendor has a key and it has a price; it never was offered, or not yet.

use std::sync::Arc;

use super::GatewayHandle;
use super::call::{GatewayError, ModelCall, ModelRequest, ModelTarget};
use super::candidate::{CallCandidate, endpoint_of};
use crate::actors::provider_router::Selection;
use crate::domain::accounts::price::ANY_MODEL;
use crate::domain::provider_router::{
    CallLimits, CallRequirements, ModelName, NoProviderFits, RoutingOptimization,
};
use crate::llm::Vendor;
use crate::llm::catalogue::{self, ModelKind};

/// Beginnings of names that only one vendor uses, for refusals.
const FAMILIES: [(&str, Vendor); 12] = [
    ("gpt-", Vendor::OpenAi),
    ("chatgpt-", Vendor::OpenAi),
    ("codex-", Vendor::OpenAi),
    ("o1", Vendor::OpenAi),
    ("o3", Vendor::OpenAi),
    ("o4", Vendor::OpenAi),
    ("text-embedding-", Vendor::OpenAi),
    ("claude-", Vendor::Anthropic),
    ("gemini-", Vendor::Gemini),
    ("gemma-", Vendor::Gemini),
    ("grok-", Vendor::Grok),
    ("learnlm-", Vendor::Gemini),
];

impl GatewayHandle {
    /// The candidates, best first; at least one.
    pub(super) fn candidates(&self, call: &ModelCall) -> Result<Vec<Arc<CallCandidate>>, GatewayError> {
        let tier = call.ask.service_tier();
        let found = match &call.target {
            ModelTarget::Pinned(vendor) => vec![self.pinned(*vendor, call.ask.model())],
            ModelTarget::Routed { requirements, optimization, limits } => {
                self.routed(requirements, *optimization, *limits, &call.ask)?
            }
        };
        Ok(found.into_iter().map(|one| Arc::new(one.asked_in(tier))).collect())
    }

    fn pinned(&self, vendor: Vendor, model: &str) -> CallCandidate {
        let (endpoints, prices) = (&self.inner.endpoints, &self.inner.prices);
        let resolved = catalogue::resolve(model).filter(|found| found.facts.vendor == vendor);
        let name = resolved.map_or_else(|| model.to_owned(), |found| found.name);
        CallCandidate::pinned(endpoints, vendor, &name, prices)
    }

    fn routed(
        &self,
        requirements: &CallRequirements,
        optimization: RoutingOptimization,
        limits: CallLimits,
        ask: &ModelRequest,
    ) -> Result<Vec<CallCandidate>, GatewayError> {
        match self.selected(requirements, optimization, limits) {
            Ok((choice, called)) => Ok(self.priced(&choice, called.as_deref())),
            Err(none) => self.unrouted(requirements, none, ask),
        }
    }

    /// The router's choice; where it knows the model by another name, with the caller's name as the vendor takes it.
    pub(super) fn selected(
        &self,
        requirements: &CallRequirements,
        optimization: RoutingOptimization,
        limits: CallLimits,
    ) -> Result<(Selection, Option<String>), NoProviderFits> {
        let select =
            |requirements: &CallRequirements| self.inner.router.select(requirements, optimization, limits);
        match select(requirements) {
            Ok(choice) => Ok((choice, None)),
            Err(none) if none.other_model == none.considered => {
                let Some((other, name)) = otherwise_named(requirements) else { return Err(none) };
                select(&other).map(|choice| (choice, Some(name)))
            }
            Err(none) => Err(none),
        }
    }

    /// The chosen providers as candidates; without any price the first is kept, so that the refusal can name it.
    fn priced(&self, choice: &Selection, called: Option<&str>) -> Vec<CallCandidate> {
        let inner = &self.inner;
        let all = std::iter::once(&choice.chosen).chain(&choice.alternatives);
        let found = all.map(|found| {
            let one = CallCandidate::routed(&inner.endpoints, &inner.own_ports, found, &inner.prices);
            match called {
                Some(name) => one.called(name.to_owned(), &inner.prices),
                None => one,
            }
        });
        let (priced, others): (Vec<_>, Vec<_>) = found.partition(|one| one.price.is_some());
        if priced.is_empty() { others } else { priced }
    }

    fn unrouted(
        &self,
        requirements: &CallRequirements,
        none: NoProviderFits,
        ask: &ModelRequest,
    ) -> Result<Vec<CallCandidate>, GatewayError> {
        let inner = &self.inner;
        inner.ready.miss();
        let model = &requirements.model;
        let refused = || inner.refusals.of_model(model).filter(|_| none.resting > 0);
        if let Some(failure) = refused() {
            return Err(GatewayError::Failed { failure, receipt: None, attempts: 0 });
        }
        if none.other_model != none.considered || matches!(ModelName::parse(model), ModelName::Auto(_)) {
            return Err(none.into());
        }
        let (candidate, is_new) = self.unlisted(model, ask).ok_or_else(|| unknown(model, none.clone()))?;
        if !candidate.endpoint.is_ready() {
            return Err(self.without_key(&candidate, none));
        }
        if candidate.price.is_none() {
            return Err(GatewayError::no_price(&candidate, &inner.prices));
        }
        if is_new { Ok(vec![candidate]) } else { Err(none.into()) }
    }

    /// A configured vendor or server for a model that no provider serves, and whether none ever did: a model that
    /// was registered and deleted is not called behind the router's back.
    fn unlisted(&self, name: &str, ask: &ModelRequest) -> Option<(CallCandidate, bool)> {
        let inner = &self.inner;
        if let Some((server, model)) =
            name.split_once('/').and_then(|(who, model)| Some((inner.endpoints.server(who)?, model)))
        {
            let candidate = CallCandidate::at_server(server, model, &inner.prices);
            let is_new = !inner.router.is_recorded(&candidate.provider);
            return Some((candidate, is_new));
        }
        let resolved = catalogue::resolve(name);
        let embeds = resolved.as_ref().is_some_and(|found| found.facts.kind == ModelKind::Embedding);
        if embeds && !matches!(ask, ModelRequest::Embed(_)) {
            return None;
        }
        let (vendor, model) = match resolved {
            Some(found) => (found.facts.vendor, found.name),
            None => self.vendor_named(name)?,
        };
        let candidate = CallCandidate::pinned(&inner.endpoints, vendor, &model, &inner.prices);
        let is_new = !inner.router.is_recorded(&candidate.provider);
        Some((candidate, is_new))
    }

    /// The vendor of a model that the catalogue does not know: named before it, in a row of the user's, or by the
    /// family of its name.
    fn vendor_named(&self, name: &str) -> Option<(Vendor, String)> {
        let named = name.split_once('/').and_then(|(who, model)| Some((Vendor::from_prefix(who)?, model)));
        if let Some((vendor, model)) = named.filter(|(_, model)| !model.is_empty()) {
            return Some((vendor, model.to_owned()));
        }
        let mut rows = self.inner.prices.own_rows().iter();
        let row = rows.find(|row| row.names().any(|own| own == name && own != ANY_MODEL));
        let of_row = row.and_then(|row| Vendor::from_name(&row.provider));
        let family = || FAMILIES.iter().find(|(begin, _)| name.starts_with(begin)).map(|(_, vendor)| *vendor);
        of_row.or_else(family).map(|vendor| (vendor, name.to_owned()))
    }

    fn without_key(&self, candidate: &CallCandidate, none: NoProviderFits) -> GatewayError {
        let vendor = candidate.endpoint.vendor();
        match vendor.key_variable() {
            Some(variable) if endpoint_of(&self.inner.endpoints, vendor) == &candidate.endpoint => {
                GatewayError::NoKey { model: candidate.model.clone(), vendor, variable }
            }
            _ => none.into(),
        }
    }
}

/// The requirements with the vendor's own name of the model, and the caller's name as the vendor takes it.
fn otherwise_named(requirements: &CallRequirements) -> Option<(CallRequirements, String)> {
    let found = catalogue::resolve(&requirements.model)?;
    let model = format!("{}/{}", found.facts.vendor, found.facts.model);
    Some((CallRequirements { model, ..requirements.clone() }, found.name))
}

/// The refusal of a model that nothing is known of.
fn unknown(model: &str, none: NoProviderFits) -> GatewayError {
    if none.considered == 0 { none.into() } else { GatewayError::UnknownModel { model: model.to_owned() } }
}
