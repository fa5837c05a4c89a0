//! The forms in which clients name a model: with a vendor before it, dated, or by another name.

use super::{BY_NAME, MODELS, ModelFacts};
use crate::vendor::Vendor;

/// Shortest date of a snapshot, in characters: `001` at Gemini, `0613` at OpenAI.
const SHORTEST_DATE: usize = 3;
/// Google's own clients write this before a model's name.
const PATH: &str = "models/";

/// A model that a client named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedModel {
    pub facts: &'static ModelFacts,
    /// Its name as the vendor takes it: a dated name stays dated.
    pub name: String,
}

/// The model of a client's name: `gpt-5`, `gpt-5-2025-08-07`, `openai/gpt-5`, `google/gemini-3.8-flash`,
/// `models/gemini-3.8-flash`, `claude-opus-4.8`.
#[must_use]
pub fn resolve(name: &str) -> Option<NamedModel> {
    let (vendor, model) = split(name);
    if let Some(facts) = find(model, vendor) {
        return Some(NamedModel { facts, name: model.to_owned() });
    }
    // Elsewhere Anthropic's versions are written with a dot.
    let dashed = model.replace('.', "-");
    let facts =
        find(&dashed, Some(Vendor::Anthropic)).filter(|facts| vendor.is_none_or(|v| v == facts.vendor));
    facts.map(|facts| NamedModel { facts, name: dashed })
}

/// The vendor before a name, and the name without it.
#[must_use]
pub(super) fn split(name: &str) -> (Option<Vendor>, &str) {
    let name = name.strip_prefix(PATH).unwrap_or(name);
    match name.split_once('/') {
        Some((before, model)) => match Vendor::from_prefix(before) {
            Some(vendor) => (Some(vendor), model.strip_prefix(PATH).unwrap_or(model)),
            None => (None, name),
        },
        None => (None, name),
    }
}

/// A model by its name, an alias or a dated name, of one vendor or of any.
pub(super) fn find(model: &str, vendor: Option<Vendor>) -> Option<&'static ModelFacts> {
    let exact = |name: &str| {
        let places = BY_NAME.get(name)?;
        let found = places.iter().map(|at| &MODELS[*at]);
        found.into_iter().find(|facts| vendor.is_none_or(|vendor| facts.vendor == vendor))
    };
    exact(model).or_else(|| undated(model).find_map(exact))
}

/// The names of which this one may be a snapshot, longest first.
fn undated(model: &str) -> impl Iterator<Item = &str> {
    let mut base = model;
    std::iter::from_fn(move || {
        let (head, tail) = base.rsplit_once(['-', '@'])?;
        base = head;
        (!tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit())).then_some(head)
    })
    .filter(|base| model.len() > base.len() + SHORTEST_DATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(name: &str) -> Option<(Vendor, &'static str, String)> {
        resolve(name).map(|found| (found.facts.vendor, found.facts.model, found.name))
    }

    #[test]
    fn a_snapshot_is_its_model_and_a_sibling_is_not() {
        let name = |model| resolve(model).map(|found| found.facts.model);
        for (dated, model) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-opus-5@20260724", "claude-opus-5"),
            ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
            ("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
            ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
            ("gpt-5-2025-08-07", "gpt-5"),
            ("gpt-6-luna-2026-09-22", "gpt-6-luna"),
            ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
            ("gpt-4-0613", "gpt-4"),
            ("gemini-2.0-flash-001", "gemini-2.0-flash"),
            ("grok-4-0709", "grok-4"),
            ("grok-4.7", "grok-4.7"),
        ] {
            assert_eq!(name(dated), Some(model), "{dated}");
        }
        for unknown in ["grok-4-ultra", "gpt-99", "claude-opus-4-9", "gpt-5-12", "gemini-3.7-flash-image", ""]
        {
            assert_eq!(name(unknown), None, "{unknown}");
        }
        assert_eq!(find("grok-4", Some(Vendor::OpenAi)), None);
    }

    #[test]
    fn a_name_may_begin_with_its_vendor_or_its_path() {
        for (named, vendor, name) in [
            ("openai/gpt-5.5", Vendor::OpenAi, "gpt-5.5"),
            ("google/gemini-3.8-flash", Vendor::Gemini, "gemini-3.8-flash"),
            ("gemini/gemini-flash-latest", Vendor::Gemini, "gemini-flash-latest"),
            ("models/gemini-3.8-flash", Vendor::Gemini, "gemini-3.8-flash"),
            ("google/models/gemini-3.8-flash", Vendor::Gemini, "gemini-3.8-flash"),
            ("xai/grok-4.7", Vendor::Grok, "grok-4.7"),
            ("x-ai/grok-4.7", Vendor::Grok, "grok-4.7"),
            ("anthropic/claude-opus-4.8", Vendor::Anthropic, "claude-opus-4-8"),
            ("claude-opus-4.8", Vendor::Anthropic, "claude-opus-4-8"),
            ("anthropic/claude-haiku-4-5-20251001", Vendor::Anthropic, "claude-haiku-4-5-20251001"),
        ] {
            let found = resolved(named).unwrap_or_else(|| panic!("{named}"));
            assert_eq!((found.0, &*found.2), (vendor, name), "{named}");
        }
        for none in ["openai/claude-opus-4-8", "azure/gpt-5.5", "google/claude-opus-4.8", "openai/"] {
            assert_eq!(resolved(none), None, "{none}");
        }
    }
}
