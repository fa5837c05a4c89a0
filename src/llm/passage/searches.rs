//! The searches that a vendor ran for an answer. They are billed beside the tokens, and the usage of these vendors
//! does not count them.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Items of Responses that are searches; one of files is charged as one of the web, which is dearer.
const SEARCHES: [&str; 2] = ["web_search_call", "file_search_call"];
/// Actions of a search that cost nothing: a page that was found is opened, or searched itself.
const FREE_ACTIONS: [&str; 3] = ["open_page", "find_in_page", "find"];
/// Older models of Gemini are billed by the prompt that a search answered, newer ones by the query.
const BILLED_BY_PROMPT: [&str; 2] = ["gemini-1", "gemini-2"];

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// An item, or its action.
#[derive(Deserialize)]
struct ItemGlance<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
}

impl ItemGlance<'_> {
    fn is_any(&self, kinds: &[&str]) -> bool {
        text(self.kind).is_some_and(|kind| kinds.contains(&kind.as_str()))
    }

    /// Whether it is a search that is billed: an action that nobody knows yet is.
    fn is_billed(&self) -> bool {
        let action = self.action.and_then(|action| serde_json::from_str::<ItemGlance<'_>>(action.get()).ok());
        self.is_any(&SEARCHES) && !action.is_some_and(|action| action.is_any(&FREE_ACTIONS))
    }
}

/// In the items of a response.
pub(super) fn of_output(items: &str) -> u32 {
    if !SEARCHES.iter().any(|kind| items.contains(kind)) {
        return 0;
    }
    count(each::<ItemGlance<'_>>(items).filter(ItemGlance::is_billed).count())
}

#[derive(Deserialize)]
struct GroundingGlance<'a> {
    #[serde(rename = "webSearchQueries", borrow, default)]
    queries: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GroundedGlance<'a> {
    #[serde(rename = "groundingMetadata", borrow, default)]
    grounding: Option<&'a RawValue>,
}

/// In the candidates of an answer of Gemini's.
pub(super) fn of_candidates(model: &str, candidates: &str) -> u32 {
    if !candidates.contains("webSearchQueries") {
        return 0;
    }
    of_groundings(model, each::<GroundedGlance<'_>>(candidates).filter_map(|candidate| candidate.grounding))
}

/// In the groundings of Gemini's candidates.
pub(super) fn of_groundings<'g>(model: &str, groundings: impl Iterator<Item = &'g RawValue>) -> u32 {
    let queries = |grounding: &RawValue| {
        let grounding: Option<GroundingGlance<'_>> = serde_json::from_str(grounding.get()).ok();
        let queries = grounding.and_then(|grounding| grounding.queries);
        queries.map_or(0, |queries| each::<&RawValue>(queries.get()).count())
    };
    count(groundings.map(queries).sum()).min(most_billed(model))
}

/// The most searches that a model of Gemini is billed for.
fn most_billed(model: &str) -> u32 {
    let model = model.strip_prefix("models/").unwrap_or(model);
    if BILLED_BY_PROMPT.iter().any(|old| model.starts_with(old)) { 1 } else { u32::MAX }
}

/// The elements of a list, each read by itself: one of an unknown shape hides no other.
fn each<'t, T: Deserialize<'t>>(list: &'t str) -> impl Iterator<Item = T> {
    let list: Vec<&'t RawValue> = serde_json::from_str(list).unwrap_or_default();
    list.into_iter().filter_map(|one| serde_json::from_str(one.get()).ok())
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
    fn an_item_of_an_unknown_shape_hides_no_search() {
        let search = r#"{"type":"web_search_call","action":{"type":"search"}}"#;
        for other in [
            r#"{"type":"computer_call","action":"click"}"#,
            r#"{"type":"shell_call","action":{"type":["exec"]}}"#,
            r#"{"type":7,"action":null}"#,
            "7",
        ] {
            assert_eq!(of_output(&format!("[{other},{search}]")), 1, "{other}");
        }
        let unknown = r#"[{"type":"web_search_call","action":"new"},{"type":"web_search_call","action":{"type":"new"}}]"#;
        assert_eq!(of_output(unknown), 2, "nothing is free by mistake");
        let candidates = r#"[{"groundingMetadata":null},7,{"groundingMetadata":{"webSearchQueries":null}},
            {"groundingMetadata":{"webSearchQueries":["a",{}]}}]"#;
        assert_eq!(of_candidates("gemini-3.8-flash", candidates), 2);
    }

    #[test]
    fn gemini_bills_newer_models_by_the_query() {
        let candidates = r#"[{"groundingMetadata":{"webSearchQueries":["a","b"]}},{"content":{}}]"#;
        assert_eq!(of_candidates("gemini-3.8-flash", candidates), 2);
        assert_eq!(of_candidates("gemini-2.5-pro", candidates), 1);
        assert_eq!(of_candidates("gemini-2.5-pro", "[{}]"), 0);
    }
}
