//! The models of the vendors: sizes, features, other names, ends. As of November 2026.
//!
//! A model that is not listed can still be called where it has a price: nothing is refused beforehand, and the
//! vendor reports unsupported requests. PAS's own facts stand in [`facts`]; models that only the kept prices name
//! are added with the data of their rows.

mod facts;
mod names;

use std::collections::HashMap;
use std::sync::LazyLock;

use self::facts::FACTS;
pub use self::names::{NamedModel, resolve};
use super::chat::{ChatContent, ChatMessage, ChatRequest, ContentPart, KnownPart};
use super::failure::VendorFailure;
use super::openai;
use super::vendor::Vendor;
use pas_domain::accounts::price::PricedModel;
use pas_domain::accounts::price::kept::KeptPrices;
use pas_domain::time::Timestamp;

/// Month of the figures.
pub const AS_OF: &str = "2026-11";

/// Default limit of output tokens when neither the caller nor this table has one. Every call has a limit, so
/// that its maximum cost is known; 4,096 is the minimum among the known hosted models.
pub const DEFAULT_OUTPUT: u64 = 4_096;

/// The window and the output limit of a model of which only the price is known: those of every hosted model of the
/// last two years.
const USUAL_WINDOW: u64 = 128_000;
const USUAL_OUTPUT: u64 = 16_384;

/// The use of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    Chat,
    Embedding,
}

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
    pub kind: ModelKind,
    /// Whether `auto` may choose it, as long as it is served.
    pub is_general: bool,
    ends: ModelEnd,
}

/// When a vendor stops serving a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelEnd {
    /// No end is announced.
    Open,
    /// On a day (UTC); with the vendor's replacement, "": none named.
    On { day: &'static str, replacement: &'static str },
    /// It has ended; the day is not known.
    Past,
}

impl ModelFacts {
    /// Whether the vendor has shut it down by a time.
    #[must_use]
    pub fn is_retired(&self, at: Timestamp) -> bool {
        match self.ends {
            ModelEnd::Open => false,
            ModelEnd::On { day, .. } => *day <= *at.to_string(),
            ModelEnd::Past => true,
        }
    }

    /// The day (`2026-12-11`) of its end, past or announced.
    #[must_use]
    pub const fn end_day(&self) -> Option<&'static str> {
        match self.ends {
            ModelEnd::On { day, .. } => Some(day),
            ModelEnd::Open | ModelEnd::Past => None,
        }
    }

    /// The model that the vendor recommends in its place.
    #[must_use]
    pub fn replacement(&self) -> Option<&'static str> {
        match self.ends {
            ModelEnd::On { replacement, .. } => Some(replacement).filter(|name| !name.is_empty()),
            ModelEnd::Open | ModelEnd::Past => None,
        }
    }
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

impl Default for ModelFeatures {
    /// Those of every hosted model of the last two years.
    fn default() -> Self {
        Self { tools: true, images: true, streaming: true, json: true }
    }
}

/// The known models; of each vendor, the default of its port first.
pub static MODELS: LazyLock<Vec<ModelFacts>> = LazyLock::new(|| {
    let own = FACTS.iter().map(|row| ModelFacts {
        vendor: row.vendor,
        model: row.model,
        context_window: row.window,
        max_output: row.output,
        features: row.features,
        kind: row.kind,
        is_general: row.is_general,
        ends: row.ends,
    });
    let mut models: Vec<ModelFacts> = own.collect();
    for row in kept_rows() {
        let Some(vendor) = Vendor::from_name(&row.provider) else { continue };
        let is_known =
            |facts: &ModelFacts| facts.vendor == vendor && row.names().any(|name| name == facts.model);
        if !models.iter().any(is_known) {
            models.push(of_price(vendor, row));
        }
    }
    models
});

/// Places in [`MODELS`] by name and alias.
static BY_NAME: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut places: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (at, facts) in MODELS.iter().enumerate() {
        places.entry(facts.model).or_default().push(at);
    }
    for row in kept_rows() {
        let of_vendor = |at: &&usize| MODELS[**at].vendor.as_str() == row.provider;
        let place = row.names().find_map(|name| places.get(name)?.iter().find(of_vendor).copied());
        let Some(place) = place else { continue };
        for name in row.names() {
            let known = places.entry(name).or_default();
            if !known.iter().any(|at| MODELS[*at].vendor == MODELS[place].vendor) {
                known.push(place);
            }
        }
    }
    places
});

fn kept_rows() -> &'static [PricedModel] {
    KeptPrices::get().map_or(&[], KeptPrices::rows)
}

/// The facts in a price row. A model without a price for its answers embeds.
fn of_price(vendor: Vendor, row: &'static PricedModel) -> ModelFacts {
    let answers = row.price.is_free() || !row.price.output_per_million().is_zero();
    let window = row.window.unwrap_or(USUAL_WINDOW);
    ModelFacts {
        vendor,
        model: &row.model,
        context_window: window,
        max_output: USUAL_OUTPUT.min(window),
        features: ModelFeatures::default(),
        kind: if answers { ModelKind::Chat } else { ModelKind::Embedding },
        is_general: false,
        ends: if row.is_retired { ModelEnd::Past } else { ModelEnd::Open },
    }
}

/// The vendor of an embedding model.
#[must_use]
pub fn embedder(model: &str) -> Option<Vendor> {
    let found = resolve(model)?;
    (found.facts.kind == ModelKind::Embedding).then_some(found.facts.vendor)
}

/// The facts of a model by its name, an alias, or a dated name (`gpt-4-turbo-2024-04-09`).
#[must_use]
pub fn find(vendor: Vendor, model: &str) -> Option<&'static ModelFacts> {
    names::find(model, Some(vendor))
}

/// The model that a vendor's port uses when its caller names none: the newest general one that is served.
#[must_use]
pub fn default_model(vendor: Vendor, at: Timestamp) -> &'static str {
    let mut of_vendor = MODELS.iter().filter(|facts| facts.vendor == vendor && facts.is_general);
    of_vendor.find(|facts| !facts.is_retired(at)).map_or("", |facts| facts.model)
}

/// A model by the name that somebody wrote down, or its vendor's replacement where it has been shut down since.
#[must_use]
pub fn served(model: &str, at: Timestamp) -> &str {
    /// Replacements are replaced in turn; no chain is as long.
    const MOST_STEPS: usize = 8;
    let mut name = model;
    for _ in 0..MOST_STEPS {
        let facts = resolve(name).map(|found| found.facts).filter(|facts| facts.is_retired(at));
        let Some(next) = facts.and_then(ModelFacts::replacement) else { break };
        name = next;
    }
    name
}

/// Other names that agents' definitions have for models of the catalogue.
const OTHER_NAMES: [(&str, &str); 2] =
    [("llama-3.1-8b-instruct", "llama3.1:8b"), ("TinyLlama-1.1B-chat", "tinyllama:1.1b")];

/// A model's context window, for any provider: the one source, besides a registered provider's own figure.
#[must_use]
pub fn context_window(model: &str) -> Option<u64> {
    let model = OTHER_NAMES.iter().find(|(other, _)| *other == model).map_or(model, |(_, name)| name);
    resolve(model).map(|found| found.facts.context_window)
}

/// Whether a model thinks without showing it, and its vendor counts the thought only at the end of an answer.
#[must_use]
pub fn hides_reasoning(model: &str) -> bool {
    let Some(found) = resolve(model) else { return false };
    match found.facts.vendor {
        Vendor::OpenAi => openai::request::is_reasoning(found.facts.model),
        Vendor::Grok => !found.facts.model.contains("non-reasoning"),
        Vendor::Anthropic | Vendor::Gemini | Vendor::Ollama => false,
    }
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

    fn at(day: &str) -> Timestamp {
        format!("{day}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn the_kept_prices_can_be_read_and_their_models_are_known() {
        let kept = KeptPrices::get().unwrap();
        for row in kept.rows() {
            let vendor = Vendor::from_name(&row.provider).unwrap();
            for name in row.names() {
                assert!(find(vendor, name).is_some(), "{name}");
            }
        }
        for facts in FACTS {
            assert_eq!(find(facts.vendor, facts.model).map(|found| found.model), Some(facts.model));
        }
    }

    #[test]
    fn a_model_ends_on_its_day_and_is_no_default_afterwards() {
        let facts = find(Vendor::OpenAi, "gpt-5-nano-2025-08-07").unwrap();
        assert_eq!((facts.end_day(), facts.replacement()), (Some("2026-12-11"), Some("gpt-6-luna")));
        assert!(!facts.is_retired(at("2026-12-10")) && facts.is_retired(at("2026-12-11")));
        for vendor in [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok] {
            for day in ["2026-12-01", "2030-01-01"] {
                let model = default_model(vendor, at(day));
                assert!(!find(vendor, model).unwrap().is_retired(at(day)), "{model}");
            }
        }
        let served = |model| served(model, at("2026-12-12"));
        assert_eq!(served("claude-sonnet-4-5-20250929"), "claude-sonnet-5-5");
        assert_eq!(
            (served("gpt-5-codex"), served("gpt-5.5"), served("mine")),
            ("gpt-5.4", "gpt-5.5", "mine")
        );
        assert_eq!(served("codex-mini"), "gpt-5.4", "a replacement has been replaced in turn");
        let past = find(Vendor::Grok, "grok-2-latest").unwrap();
        assert!(past.is_retired(at("2026-12-01")) && past.end_day().is_none(), "the kept source says so");
    }

    #[test]
    fn every_end_is_a_day_and_every_replacement_has_a_window() {
        for facts in MODELS.iter() {
            if let Some(day) = facts.end_day() {
                assert!(day.parse::<jiff::civil::Date>().is_ok(), "{}: {day}", facts.model);
            }
            if let Some(other) = facts.replacement() {
                assert!(find(facts.vendor, other).is_some(), "{}: {other}", facts.model);
            }
            assert!(facts.context_window >= facts.max_output, "{}", facts.model);
        }
    }

    #[test]
    fn every_model_of_the_catalogue_has_one_window() {
        for facts in MODELS.iter() {
            let window = Some(facts.context_window);
            let [dated, with_vendor] =
                [format!("{}-20250929", facts.model), format!("{}/{}", facts.vendor, facts.model)];
            for name in [facts.model, &dated, &with_vendor] {
                assert_eq!(context_window(name), window, "{name}");
            }
        }
        assert_eq!(context_window("llama-3.1-8b-instruct"), context_window("llama3.1:8b"));
        assert_eq!((context_window("gpt-7"), context_window("x/gpt-4-turbo")), (None, None));
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
