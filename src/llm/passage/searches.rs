//! The searches of a vendor's own, which are billed beside the tokens: those that a request allows, and those that
//! were run for an answer, where the vendor's usage does not count them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::MemberSpans;
use super::protocol::WireProtocol;
use crate::inbound::gemini::proto;
use crate::openai;

/// Searches of a request that allows them and sets no limit: more than models run for nearly all answers.
const UNDECLARED: u32 = 10;
/// Sources that a model of Grok reads where a request sets no limit.
const GROK_SOURCES: u32 = 20;
/// Tools of Gemini's that search, in the first of their spellings.
const GEMINI_TOOLS: [&str; 3] = ["googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"];
/// Items of Responses that are searches; one of files is charged as one of the web, which is dearer.
const SEARCHES: [&str; 2] = ["web_search_call", "file_search_call"];
/// Actions of a search that cost nothing: a page that was found is opened, or searched itself.
const FREE_ACTIONS: [&str; 3] = ["open_page", "find_in_page", "find"];
/// Older models of Gemini are billed by the prompt that a search answered, newer ones by the query.
const BILLED_BY_PROMPT: [&str; 2] = ["gemini-1", "gemini-2"];

#[derive(Deserialize)]
struct ToolGlance<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_uses: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SourcesGlance<'a> {
    #[serde(borrow, default)]
    mode: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_search_results: Option<&'a RawValue>,
}

/// The most searches that a model runs for a request with these members.
pub(super) fn allowed<'t>(
    protocol: WireProtocol,
    model: &str,
    member: impl Fn(&str) -> Option<&'t str>,
) -> u32 {
    let tools = member("tools").unwrap_or_default();
    let kinds = || each::<ToolGlance<'_>>(tools).filter_map(|tool| Some((text(tool.kind)?, tool)));
    match protocol {
        WireProtocol::Completions => 0,
        WireProtocol::Chat => openai::searches_of(model).max(allowed_sources(member("search_parameters"))),
        WireProtocol::Messages => {
            let searching = kinds().filter(|(kind, _)| kind.starts_with("web_search"));
            let uses = searching.map(|(_, tool)| tool.max_uses.and_then(number).unwrap_or(UNDECLARED));
            uses.fold(0, u32::saturating_add)
        }
        WireProtocol::Responses => {
            let searches = |kind: &str| kind.starts_with("web_search") || kind == "file_search";
            let calls = member("max_tool_calls").and_then(|calls| serde_json::from_str(calls).ok());
            // A prompt that the vendor keeps may have tools of its own.
            let is_stored = member("prompt").is_some_and(|prompt| prompt != "null");
            let may_search = is_stored || kinds().any(|(kind, _)| searches(&kind));
            if may_search { calls.unwrap_or(UNDECLARED) } else { 0 }
        }
        WireProtocol::Generate => {
            let searches = |tool: &&RawValue| {
                let spans = MemberSpans::of(tool.get()).unwrap_or_default();
                spans.names().any(|name| GEMINI_TOOLS.contains(&proto::spelled(name).as_str()))
            };
            // A list of one may lack its brackets.
            let all = if tools.starts_with('{') { format!("[{tools}]") } else { tools.to_owned() };
            let has_any = each::<&RawValue>(&all).any(|tool| searches(&tool));
            if has_any { UNDECLARED.min(most_billed(model)) } else { 0 }
        }
    }
}

/// The most sources that a model of Grok reads for a chat with these `search_parameters`.
pub(super) fn allowed_sources(parameters: Option<&str>) -> u32 {
    let parameters = parameters.and_then(|text| serde_json::from_str::<Option<SourcesGlance<'_>>>(text).ok());
    let Some(parameters) = parameters.flatten() else { return 0 };
    let is_off = text(parameters.mode).is_some_and(|mode| mode == "off");
    if is_off { 0 } else { parameters.max_search_results.and_then(number).unwrap_or(GROK_SOURCES) }
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

fn number(value: &RawValue) -> Option<u32> {
    serde_json::from_str(value.get()).ok()
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
    fn a_request_allows_the_searches_of_its_tools_and_no_others() {
        let of = |protocol, model: &str, body: &'static str| {
            let spans = MemberSpans::of(body).unwrap();
            allowed(protocol, model, |name| spans.get(body, name))
        };
        for (protocol, body, wanted) in [
            (
                WireProtocol::Messages,
                r#"{"tools":[{"type":"web_search_20250305","max_uses":8},{"name":"f"}]}"#,
                8,
            ),
            (WireProtocol::Messages, r#"{"tools":[{"type":"web_search_20260209","max_uses":null}]}"#, 10),
            (WireProtocol::Messages, r#"{"tools":[{"type":"custom","name":"web_search","max_uses":8}]}"#, 0),
            (WireProtocol::Responses, r#"{"tools":[{"type":"function"},{"type":"web_search"}]}"#, 10),
            (WireProtocol::Responses, r#"{"tools":[{"type":"file_search"}],"max_tool_calls":3}"#, 3),
            (WireProtocol::Responses, r#"{"tools":[{"type":"function"}],"max_tool_calls":3}"#, 0),
            (WireProtocol::Responses, r#"{"prompt":{"id":"pmpt_1"}}"#, 10),
            (WireProtocol::Responses, r#"{"prompt":null}"#, 0),
            (WireProtocol::Chat, r#"{"search_parameters":{"mode":"auto","max_search_results":4}}"#, 4),
            (WireProtocol::Chat, r#"{"search_parameters":{}}"#, 20),
            (WireProtocol::Chat, r#"{"search_parameters":{"mode":"off"}}"#, 0),
            (WireProtocol::Chat, r#"{"search_parameters":null,"tools":null}"#, 0),
            (WireProtocol::Generate, r#"{"tools":[{"functionDeclarations":[]},{"google_search":{}}]}"#, 10),
            (WireProtocol::Generate, r#"{"tools":{"googleSearch":{}}}"#, 10),
            (WireProtocol::Generate, r#"{"tools":[{"codeExecution":{}}]}"#, 0),
            (WireProtocol::Completions, r#"{"tools":[{"type":"web_search"}]}"#, 0),
        ] {
            assert_eq!(of(protocol, "gemini-3.8-flash", body), wanted, "{body}");
        }
        assert_eq!(
            of(WireProtocol::Generate, "models/gemini-2.5-pro", r#"{"tools":[{"googleSearch":{}}]}"#),
            1
        );
        assert_eq!(of(WireProtocol::Chat, "gpt-5-search-api", "{}"), 1);
    }

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
