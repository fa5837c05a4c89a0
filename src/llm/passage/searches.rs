//! The searches that a vendor ran for an answer. They are billed beside the tokens, and the usage of these vendors
//! does not count them.

use std::borrow::Cow;

use serde::Deserialize;

/// Items of Responses that are searches; one of files is charged as one of the web, which is dearer.
const SEARCHES: [&str; 2] = ["web_search_call", "file_search_call"];
/// Older models of Gemini are billed by the prompt that a search answered, newer ones by the query.
const BILLED_BY_PROMPT: [&str; 2] = ["gemini-1", "gemini-2"];

#[derive(Deserialize)]
struct ItemGlance<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    action: Option<ActionGlance<'a>>,
}

/// A search, or the opening of a page that was found, which costs nothing.
#[derive(Deserialize)]
struct ActionGlance<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
}

/// In the items of a response.
pub(super) fn of_output(items: &str) -> u32 {
    if !SEARCHES.iter().any(|kind| items.contains(kind)) {
        return 0;
    }
    let items: Vec<ItemGlance<'_>> = serde_json::from_str(items).unwrap_or_default();
    let is_search = |item: &&ItemGlance<'_>| {
        SEARCHES.contains(&&*item.kind) && item.action.as_ref().is_none_or(|action| action.kind == "search")
    };
    count(items.iter().filter(is_search).count())
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroundingGlance {
    #[serde(default)]
    web_search_queries: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroundedGlance {
    #[serde(default)]
    grounding_metadata: GroundingGlance,
}

/// In the candidates of an answer of Gemini's.
pub(super) fn of_candidates(model: &str, candidates: &str) -> u32 {
    if !candidates.contains("webSearchQueries") {
        return 0;
    }
    let candidates: Vec<GroundedGlance> = serde_json::from_str(candidates).unwrap_or_default();
    of_groundings(model, candidates.iter().map(|candidate| &candidate.grounding_metadata))
}

/// In the groundings of Gemini's candidates.
pub(super) fn of_groundings<'g>(model: &str, groundings: impl Iterator<Item = &'g GroundingGlance>) -> u32 {
    let queries = groundings.map(|grounding| grounding.web_search_queries.len()).sum();
    let model = model.strip_prefix("models/").unwrap_or(model);
    let most = if BILLED_BY_PROMPT.iter().any(|old| model.starts_with(old)) { 1 } else { usize::MAX };
    count(most.min(queries))
}

fn count(searches: usize) -> u32 {
    u32::try_from(searches).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_counted_and_opened_pages_are_not() {
        let items = r#"[{"type":"reasoning","id":"r"},{"type":"web_search_call","action":{"type":"search","query":"q"}},
            {"type":"web_search_call","action":{"type":"open_page","url":"u"}},{"type":"web_search_call"},
            {"type":"file_search_call","queries":["a"]},{"type":"message","content":[]}]"#;
        assert_eq!(of_output(items), 3);
        assert_eq!(of_output("[]"), 0);
    }

    #[test]
    fn gemini_bills_newer_models_by_the_query() {
        let candidates = r#"[{"groundingMetadata":{"webSearchQueries":["a","b"]}},{"content":{}}]"#;
        assert_eq!(of_candidates("gemini-3.8-flash", candidates), 2);
        assert_eq!(of_candidates("gemini-2.5-pro", candidates), 1);
        assert_eq!(of_candidates("gemini-2.5-pro", "[{}]"), 0);
    }
}
