//! The events of a stream of Gemini's answers, passed on.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::searches::{self, GroundingGlance};
use crate::failure::VendorFailure;
use crate::gemini::response::GeminiUsage;
use crate::stream::{DecodedItems, EventDecoder, frame};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

const VENDOR: Vendor = Vendor::Gemini;

/// The state so far.
pub(super) struct PassedGenerateDecoder {
    model: String,
    /// Whether each candidate has ended.
    candidates: BTreeMap<u32, bool>,
    usage: Option<TokenUsage>,
    searches: u32,
    /// The event that ends the last candidate, and all behind it.
    ending: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateEventGlance {
    #[serde(default)]
    candidates: Vec<CandidateGlance>,
    #[serde(default)]
    prompt_feedback: Option<FeedbackGlance>,
    #[serde(default)]
    usage_metadata: Option<GeminiUsage>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateGlance {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    finish_reason: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    grounding_metadata: GroundingGlance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeedbackGlance {
    #[serde(default)]
    block_reason: Option<serde::de::IgnoredAny>,
}

impl PassedGenerateDecoder {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            candidates: BTreeMap::new(),
            usage: None,
            searches: 0,
            ending: Vec::new(),
        }
    }

    fn note(&mut self, glance: &GenerateEventGlance) {
        for candidate in &glance.candidates {
            *self.candidates.entry(candidate.index).or_default() |= candidate.finish_reason.is_some();
        }
        let is_blocked = glance.prompt_feedback.as_ref().is_some_and(|said| said.block_reason.is_some());
        if is_blocked && self.candidates.is_empty() {
            self.candidates.insert(0, true);
        }
        let groundings = glance.candidates.iter().map(|candidate| &candidate.grounding_metadata);
        self.searches = self.searches.max(searches::of_groundings(&self.model, groundings));
        let usage = glance.usage_metadata.as_ref().and_then(GeminiUsage::usage);
        self.usage = usage.or(self.usage);
    }
}

impl EventDecoder for PassedGenerateDecoder {
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        let glance: GenerateEventGlance = serde_json::from_slice(data)
            .map_err(|error| VendorFailure::malformed(VENDOR, &error.to_string()))?;
        if glance.error.is_some() {
            let unknown = || VendorFailure::malformed(VENDOR, "an error event without an error");
            let failure = vendor_error::in_answer(VENDOR, data).unwrap_or_else(unknown);
            return Err(failure.with_event(name, data));
        }
        self.note(&glance);
        if self.is_over() {
            frame(&mut self.ending, name, data);
        } else {
            chunks.pass(name, data);
        }
        Ok(())
    }

    /// There is no end marker: the stream is over when every candidate has ended.
    fn is_over(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.values().all(|has_ended| *has_ended)
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage.map(|usage| TokenUsage { searches: self.searches, ..usage })
    }

    fn ending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ending)
    }
}
