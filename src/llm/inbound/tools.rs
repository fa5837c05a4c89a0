//! Arguments of tool calls: JSON text in the canonical form, an object at Anthropic and Ollama.

use serde_json::{Map, Value, json};

/// The member for text that is no JSON object, so that no model output is lost. An answer cut at its token
/// limit ends in the middle of its arguments.
pub(super) const UNPARSED: &str = "unparsed_arguments";

/// The arguments as an object; no text at all is no arguments.
pub(super) fn to_object(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({ UNPARSED: arguments }),
    }
}

/// The arguments as text.
pub(super) fn to_text(arguments: &Value) -> String {
    match arguments {
        Value::Object(object) if object.len() == 1 => match object.get(UNPARSED) {
            Some(Value::String(text)) => text.clone(),
            _ => arguments.to_string(),
        },
        Value::Null => "{}".to_owned(),
        _ => arguments.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_model_wrote_survives_both_ways() {
        for text in [r#"{"q":"x"}"#, "{\"q\":\"cut", "[1]", "7"] {
            assert_eq!(to_text(&to_object(text)), text);
        }
        assert_eq!(to_text(&to_object("")), "{}");
        assert_eq!(to_object(r#"{"a": 1}"#), json!({"a": 1}));
    }
}
