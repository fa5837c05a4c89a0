//! Arguments of tool calls: JSON text in the canonical form, an object at Anthropic and Ollama; and the ids of
//! calls, which carry a thought signature through clients that have no member for it.
//!
//! Gemini refuses a call that comes back without the signature of the thought before it. In the chat form it is a
//! member of the call, as Google's own endpoint has it. The clients of Anthropic's form and of Responses drop
//! members that they do not know, and all of them return ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::chat::{FunctionCall, ToolCall};
use crate::{exact_integers, gemini};

/// Between an id and the signature, whose letters are those that all vendors take in ids.
const SIGNED: &str = "__thought_";

/// The members that hold the id of a call, in the forms whose clients return nothing else.
const ID_MEMBERS: [&str; 3] = ["\"id\"", "\"tool_use_id\"", "\"call_id\""];

/// The member for text that is no JSON object, so that no model output is lost. An answer cut at its token
/// limit ends in the middle of its arguments.
pub(super) const UNPARSED: &str = "unparsed_arguments";

/// The id of a call for a client without a member for its signature.
pub(super) fn signed_id(id: &str, extra_content: Option<&Value>) -> String {
    match extra_content.and_then(gemini::signature_in) {
        Some(signature) => format!("{id}{SIGNED}{}", URL_SAFE_NO_PAD.encode(signature)),
        None => id.to_owned(),
    }
}

/// The call with an id that a client returned.
pub(super) fn call_of(id: String, function: FunctionCall) -> ToolCall {
    let signature = id
        .split_once(SIGNED)
        .and_then(|(_, signature)| String::from_utf8(URL_SAFE_NO_PAD.decode(signature).ok()?).ok());
    let extra_content = signature.map(|signature| gemini::signed(&signature));
    ToolCall { extra_content, ..ToolCall::of_function(plain_id(id), function) }
}

/// The id without a signature.
pub(super) fn plain_id(mut id: String) -> String {
    id.truncate(id.find(SIGNED).unwrap_or(id.len()));
    id
}

/// A text of JSON with plain ids, for a vendor that knows nothing of signatures in them; `None` when all are
/// plain. Texts that only look like such an id stay.
pub(crate) fn with_plain_ids(json: &str) -> Option<String> {
    let mut rest = json;
    let mut out: Option<String> = None;
    while let Some((before, behind)) = rest.split_once(SIGNED) {
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let end = end.unwrap_or(behind.len());
        let is_id = end > 0 && behind[end..].starts_with('"') && ends_within_id(before);
        let out = out.get_or_insert_default();
        out.push_str(before);
        if !is_id {
            out.push_str(SIGNED);
            out.push_str(&behind[..end]);
        }
        rest = &behind[end..];
    }
    out.map(|out| out + rest)
}

/// Whether a text of JSON ends within the value of a member that holds the id of a call.
fn ends_within_id(json: &str) -> bool {
    let name = |opened: usize| json[..opened].trim_end().strip_suffix(':').map(str::trim_end);
    let name = json.rfind('"').and_then(name);
    name.is_some_and(|name| ID_MEMBERS.iter().any(|member| name.ends_with(member)))
}

/// The arguments as an object; no text at all is no arguments.
pub(super) fn to_object(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match exact_integers::value_of(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({ UNPARSED: arguments }),
    }
}

/// The arguments as text.
pub(super) fn to_text(arguments: &Value) -> String {
    let written = || exact_integers::text_of(arguments);
    match arguments {
        Value::Object(object) if object.len() == 1 => match object.get(UNPARSED) {
            Some(Value::String(text)) => text.clone(),
            _ => written(),
        },
        Value::Null => "{}".to_owned(),
        _ => written(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_a_signature_and_gives_it_back() {
        let extra = gemini::signed("C/+x=");
        let id = signed_id("call_1", Some(&extra));
        assert!(id.len() < 40 && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{id}");
        let function = FunctionCall { name: "f".into(), arguments: "{}".into() };
        let call = call_of(id.clone(), function.clone());
        assert_eq!((call.id.as_str(), call.extra_content), ("call_1", Some(extra)));
        assert_eq!(plain_id(id.clone()), "call_1");
        assert_eq!(signed_id("call_1", None), "call_1");
        assert_eq!(call_of("call_1".into(), function).extra_content, None);
        let body = format!(
            r#"{{"id":"{id}","b":"the mark __thought_ in a text","call_id" : "{id}","c":"of __thought_abc"}}"#
        );
        assert_eq!(with_plain_ids(&body).unwrap(), body.replace(&id, "call_1"));
        assert_eq!(with_plain_ids(r#"{"id":"call_1"}"#), None);
    }

    #[test]
    fn whatever_a_model_wrote_survives_both_ways() {
        for text in [r#"{"q":"x"}"#, r#"{"z":12345678901234567890123,"a":1}"#, "{\"q\":\"cut", "[1]", "7"] {
            assert_eq!(to_text(&to_object(text)), text);
        }
        assert_eq!(to_text(&to_object("")), "{}");
        assert_eq!(to_object(r#"{"a": 1}"#), json!({"a": 1}));
    }
}
