//! A value that fits a JSON Schema, always the same for the same schema: what the servers' model answers
//! when a schema is asked of it.

use serde_json::{Map, Value, json};

/// References deeper than this come from a schema that refers to itself.
const DEEPEST: usize = 16;

/// The value for a schema.
pub(super) fn sample(schema: &Value) -> Value {
    of(schema, schema, "value", 0)
}

fn of(schema: &Value, root: &Value, name: &str, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    let inner = |schema: &Value, name: &str| of(schema, root, name, depth + 1);
    if let Some(at) = schema["$ref"].as_str() {
        let target = root.pointer(at.trim_start_matches('#')).unwrap_or(&Value::Null);
        return inner(target, name);
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].get(0)) {
        return inner(first, name);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind.to_ascii_lowercase().as_str() {
        "string" => json!(name),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(7)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(0.5)),
        "boolean" => json!(true),
        "array" => json!([inner(&schema["items"], name)]),
        "null" => Value::Null,
        _ => {
            let none = Map::new();
            let fields = schema["properties"].as_object().unwrap_or(&none);
            fields
                .iter()
                .map(|(name, field)| (name.clone(), inner(field, name)))
                .collect::<Map<_, _>>()
                .into()
        }
    }
}
