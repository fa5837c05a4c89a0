//! Sizes and features of models, as of November 2026.
//!
//! A model that is not listed can still be called: nothing is refused beforehand, and the vendor reports
//! unsupported requests. Sources: the vendors' model pages; Ollama's `show` for the two local models.

use super::chat::{ChatContent, ChatMessage, ChatRequest, ContentPart, KnownPart};
use super::failure::VendorFailure;
use super::vendor::Vendor;

/// Month of the figures.
pub const AS_OF: &str = "2026-11";

/// Default limit of output tokens when neither the caller nor this table has one. Every call has a limit, so
/// that its maximum cost is known; 4,096 is the minimum among the known hosted models.
pub const DEFAULT_OUTPUT: u64 = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts {
    pub vendor: Vendor,
    /// The vendor's name, without the date of a snapshot.
    pub model: &'static str,
    /// Most tokens of prompt and answer together.
    pub context_window: u64,
    /// Most tokens of the answer.
    pub max_output: u64,
    pub features: ModelFeatures,
}

/// The features of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFeatures {
    pub tools: bool,
    pub images: bool,
    /// Answer as a stream.
    pub streaming: bool,
    /// Follows a JSON schema; otherwise only JSON mode, which every model here has.
    pub json: bool,
}

impl ModelFeatures {
    /// Their names, as requirements on the wire name them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("tools", self.tools),
            ("images", self.images),
            ("streaming", self.streaming),
            (if self.json { "json" } else { "json_mode" }, true),
        ];
        all.into_iter().filter_map(|(name, has)| has.then_some(name))
    }
}

const ALL: ModelFeatures = ModelFeatures { tools: true, images: true, streaming: true, json: true };
const BLIND: ModelFeatures = ModelFeatures { images: false, ..ALL };
/// Ollama answers 400 to tools for this model, since its template has no place for them.
const TEXT_ONLY: ModelFeatures = ModelFeatures { tools: false, ..BLIND };
/// Supports JSON mode and functions, but no schemas.
const NO_SCHEMA: ModelFeatures = ModelFeatures { json: false, ..ALL };

const fn row(
    vendor: Vendor,
    model: &'static str,
    context_window: u64,
    max_output: u64,
    features: ModelFeatures,
) -> ModelFacts {
    ModelFacts { vendor, model, context_window, max_output, features }
}

/// The known models. Where a vendor publishes no limit of the output, it is the context window.
pub const MODELS: &[ModelFacts] = &[
    row(Vendor::OpenAi, "gpt-5-codex", 272_000, 128_000, ALL),
    row(Vendor::OpenAi, "gpt-4-turbo", 128_000, 4_096, NO_SCHEMA),
    row(Vendor::OpenAi, "gpt-3.5-turbo", 16_385, 4_096, ModelFeatures { images: false, ..NO_SCHEMA }),
    row(Vendor::Anthropic, "claude-sonnet-4-5", 200_000, 64_000, ALL),
    row(Vendor::Anthropic, "claude-haiku-4-5", 200_000, 64_000, ALL),
    row(Vendor::Gemini, "gemini-2.5-pro", 1_048_576, 65_536, ALL),
    row(Vendor::Gemini, "gemini-2.5-flash", 1_048_576, 65_536, ALL),
    row(Vendor::Grok, "grok-beta", 131_072, 131_072, BLIND),
    row(Vendor::Grok, "grok-4", 256_000, 256_000, ALL),
    row(Vendor::Grok, "grok-4.7", 500_000, 500_000, ALL),
    row(Vendor::Ollama, "llama3.1:8b", 131_072, 131_072, BLIND),
    row(Vendor::Ollama, "tinyllama:1.1b", 2_048, 2_048, TEXT_ONLY),
];

/// Embedding models: called by name only, never for a chat. The local server's list is its own.
const EMBEDDERS: [(Vendor, &str); 4] = [
    (Vendor::OpenAi, "text-embedding-3-small"),
    (Vendor::OpenAi, "text-embedding-3-large"),
    (Vendor::OpenAi, "text-embedding-ada-002"),
    (Vendor::Gemini, "gemini-embedding-001"),
];

/// The vendor of an embedding model.
#[must_use]
pub fn embedder(model: &str) -> Option<Vendor> {
    EMBEDDERS.iter().find(|(_, known)| *known == model).map(|(vendor, _)| *vendor)
}

/// The facts of a model; the date of a snapshot (`gpt-4-turbo-2024-04-09`) does not matter.
#[must_use]
pub fn find(vendor: Vendor, model: &str) -> Option<&'static ModelFacts> {
    MODELS.iter().find(|facts| facts.vendor == vendor && is_snapshot_of(model, facts.model))
}

/// Other names that agents' definitions have for models of the catalogue.
const OTHER_NAMES: [(&str, &str); 2] =
    [("llama-3.1-8b-instruct", "llama3.1:8b"), ("TinyLlama-1.1B-chat", "tinyllama:1.1b")];

/// A model's context window, for any provider: the one source, besides a registered provider's own figure.
#[must_use]
pub fn context_window(model: &str) -> Option<u64> {
    let model = match model.split_once('/') {
        Some((vendor, model)) if Vendor::from_name(vendor).is_some() => model,
        _ => model,
    };
    let model = OTHER_NAMES.iter().find(|(other, _)| *other == model).map_or(model, |(_, name)| name);
    let facts = MODELS.iter().find(|facts| is_snapshot_of(model, facts.model));
    facts.map(|facts| facts.context_window)
}

/// `base` itself, or followed by a date: a dash, then digits and dashes.
fn is_snapshot_of(model: &str, base: &str) -> bool {
    model.strip_prefix(base).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|date| date.len() >= 4 && date.chars().all(|c| c.is_ascii_digit() || c == '-'))
    })
}

/// The limit of output tokens for a request: its own, or the model's.
#[must_use]
pub fn output_limit(vendor: Vendor, request: &ChatRequest) -> u64 {
    let known = || find(vendor, &request.model).map(|facts| facts.max_output);
    request.output_limit().or_else(known).unwrap_or(DEFAULT_OUTPUT)
}

/// Refuses features that the model is known to lack, before a request is sent.
pub(super) fn check(vendor: Vendor, request: &ChatRequest) -> Result<(), VendorFailure> {
    let Some(facts) = find(vendor, &request.model) else { return Ok(()) };
    let lacks = if !facts.features.tools && !request.tools.is_empty() {
        "does not support tools"
    } else if !facts.features.images && request.messages.iter().any(has_image) {
        "does not support images"
    } else {
        return Ok(());
    };
    Err(VendorFailure::unsupported(vendor, &format!("model {} {lacks}; use another model", facts.model)))
}

fn has_image(message: &ChatMessage) -> bool {
    let Some(ChatContent::Parts(parts)) = &message.content else { return false };
    parts.iter().any(|part| matches!(part, ContentPart::Known(KnownPart::ImageUrl { .. })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_is_its_model_and_a_sibling_is_not() {
        let name = |vendor, model| find(vendor, model).map(|facts| facts.model);
        assert_eq!(name(Vendor::Anthropic, "claude-sonnet-4-5-20250929"), Some("claude-sonnet-4-5"));
        assert_eq!(name(Vendor::OpenAi, "gpt-4-turbo-2024-04-09"), Some("gpt-4-turbo"));
        assert_eq!(name(Vendor::Grok, "grok-4-0709"), Some("grok-4"));
        assert_eq!(name(Vendor::Grok, "grok-4.7"), Some("grok-4.7"));
        assert_eq!(name(Vendor::Grok, "grok-4-fast"), None);
        assert_eq!(name(Vendor::OpenAi, "grok-4"), None);
    }

    #[test]
    fn every_model_of_the_catalogue_has_one_window() {
        for facts in MODELS {
            let window = Some(facts.context_window);
            let [dated, with_vendor] =
                [format!("{}-20250929", facts.model), format!("{}/{}", facts.vendor, facts.model)];
            for name in [facts.model, &dated, &with_vendor] {
                assert_eq!(context_window(name), window, "{name}");
            }
        }
        assert_eq!(context_window("llama-3.1-8b-instruct"), context_window("llama3.1:8b"));
        assert_eq!((context_window("gpt-4"), context_window("x/gpt-4-turbo")), (None, None));
    }

    #[test]
    fn every_call_has_a_limit() {
        let mut request = ChatRequest { model: "claude-haiku-4-5".into(), ..ChatRequest::default() };
        assert_eq!(output_limit(Vendor::Anthropic, &request), 64_000);
        assert_eq!(output_limit(Vendor::OpenAi, &request), DEFAULT_OUTPUT);
        request.max_tokens = Some(7);
        assert_eq!(output_limit(Vendor::Anthropic, &request), 7);
    }

    #[test]
    fn what_a_model_lacks_is_refused_beforehand() {
        let request: ChatRequest = serde_json::from_value(json!({
            "model": "tinyllama:1.1b",
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        }))
        .unwrap();
        let refused = check(Vendor::Ollama, &request).unwrap_err();
        assert_eq!(refused.message, "Ollama: model tinyllama:1.1b does not support tools; use another model");
        let elsewhere = ChatRequest { model: "llama3.1:8b".into(), ..request };
        assert_eq!(check(Vendor::Ollama, &elsewhere), Ok(()));
    }
}
