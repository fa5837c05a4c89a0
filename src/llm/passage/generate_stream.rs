//! The events of a stream of Gemini's answers, passed on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::report_of;
use super::protocol::WireProtocol;
use super::request::PassedRequest;
use super::searches;
use crate::failure::VendorFailure;
use crate::stream::{DecodedItems, EventDecoder, frame};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::{ServiceTier, TokenUsage};

const VENDOR: Vendor = Vendor::Gemini;

/// The state so far.
pub(super) struct PassedGenerateDecoder {
    model: String,
    /// The number of candidates asked for.
    answers: u64,
    /// Whether each candidate that has begun has ended.
    candidates: BTreeMap<u32, bool>,
    is_blocked: bool,
    /// As the head of the answer says it, for events that do not.
    tier: ServiceTier,
    usage: Option<TokenUsage>,
    searches: u32,
    /// Events that may be the last: they wait until it is known, by their name and data.
    held_back: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateEventGlance<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<CandidateGlance<'a>>>,
    #[serde(default)]
    prompt_feedback: Option<FeedbackGlance>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateGlance<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    finish_reason: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default)]
    grounding_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeedbackGlance {
    #[serde(default)]
    block_reason: Option<serde::de::IgnoredAny>,
}

impl PassedGenerateDecoder {
    pub(super) fn new(passed: &PassedRequest, tier: Option<ServiceTier>) -> Self {
        Self {
            model: passed.model.clone(),
            answers: passed.original.answers(),
            candidates: BTreeMap::new(),
            is_blocked: false,
            tier: tier.unwrap_or_default(),
            usage: None,
            searches: 0,
            held_back: Vec::new(),
        }
    }

    fn note(&mut self, glance: &GenerateEventGlance<'_>) {
        let candidates = glance.candidates.as_deref().unwrap_or_default();
        for candidate in candidates {
            let has_ended = self.candidates.entry(candidate.index.unwrap_or_default()).or_default();
            *has_ended |= candidate.finish_reason.is_some();
        }
        self.is_blocked |= glance.prompt_feedback.as_ref().is_some_and(|said| said.block_reason.is_some());
        let groundings = candidates.iter().filter_map(|candidate| candidate.grounding_metadata);
        self.searches = self.searches.max(searches::of_groundings(&self.model, groundings));
        let usage = glance.usage_metadata.and_then(|report| report_of(WireProtocol::Generate, report.get()));
        self.usage = usage.or(self.usage);
    }
}

impl EventDecoder for PassedGenerateDecoder {
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        let glance: GenerateEventGlance<'_> = serde_json::from_slice(data)
            .map_err(|error| VendorFailure::malformed(VENDOR, &error.to_string()))?;
        if glance.error.is_some() {
            let unknown = || VendorFailure::malformed(VENDOR, "an error event without an error");
            let failure = vendor_error::in_answer(VENDOR, data).unwrap_or_else(unknown);
            return Err(failure.with_event(name, data));
        }
        let was_over = self.is_over();
        self.note(&glance);
        if !was_over {
            self.held_back.drain(..).for_each(|(name, data)| chunks.pass(&name, &data));
        }
        if self.may_end() {
            self.held_back.push((name.to_owned(), data.to_owned()));
        } else {
            chunks.pass(name, data);
        }
        Ok(())
    }

    /// There is no end marker: the stream is over when every candidate has ended. One that has not begun yet may
    /// still come.
    fn is_over(&self) -> bool {
        self.may_end() && (self.candidates.is_empty() || self.candidates.len() as u64 >= self.answers)
    }

    /// A vendor may make fewer candidates than were asked for.
    fn may_end(&self) -> bool {
        let has_begun = self.is_blocked || !self.candidates.is_empty();
        has_begun && self.candidates.values().all(|has_ended| *has_ended)
    }

    fn usage(&self) -> Option<TokenUsage> {
        let usage = self.usage.map(|usage| usage.with_searches(self.searches))?;
        Some(if usage.tier.is_standard() { usage.in_tier(self.tier) } else { usage })
    }

    fn ending(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.held_back.drain(..).for_each(|(name, data)| frame(&mut out, &name, &data));
        out
    }
}
