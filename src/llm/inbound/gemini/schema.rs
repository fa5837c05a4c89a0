//! A schema in the API's own form as JSON Schema: types in lower case, `nullable` as a type of its own.

use serde_json::{Map, Value, json};

/// Keywords of the API that JSON Schema does not have.
const OWN: [&str; 3] = ["nullable", "propertyOrdering", "property_ordering"];
/// The API's own spellings, and those of JSON Schema.
const SPELLED: [(&str, &str); 7] = [
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
];
/// Keywords whose value protocol buffers write as a text.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"];

/// The schema as JSON Schema; any other value stays as it is.
pub(super) fn json_schema(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    let mut out = Map::new();
    for (name, value) in members.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        let spelled = SPELLED.iter().find(|(own, _)| own == name).map_or(name.as_str(), |(_, other)| other);
        let value = match (spelled, value) {
            ("type", Value::String(kind)) => json!(kind.to_lowercase()),
            ("properties", Value::Object(all)) => {
                all.iter().map(|(name, inner)| (name.clone(), json_schema(inner))).collect()
            }
            ("items", inner) => json_schema(inner),
            ("anyOf", Value::Array(all)) => all.iter().map(json_schema).collect(),
            (count, Value::String(text)) if COUNTS.contains(&count) => {
                text.parse::<u64>().map_or_else(|_| value.clone(), Value::from)
            }
            _ => value.clone(),
        };
        out.insert(spelled.to_owned(), value);
    }
    if members.get("nullable") == Some(&Value::Bool(true))
        && let Some(kind) = out.get_mut("type")
    {
        *kind = json!([kind, "null"]);
    }
    in_order(&mut out, members);
    Value::Object(out)
}

/// The properties in the order in which the model shall write them.
fn in_order(out: &mut Map<String, Value>, members: &Map<String, Value>) {
    let ordering = members.get("propertyOrdering").or_else(|| members.get("property_ordering"));
    let Some(Value::Array(ordering)) = ordering else { return };
    let Some(Value::Object(properties)) = out.get_mut("properties") else { return };
    let mut ordered = Map::new();
    for name in ordering.iter().filter_map(Value::as_str) {
        ordered.extend(properties.shift_remove_entry(name));
    }
    ordered.append(properties);
    *properties = ordered;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_orders_and_counts_are_those_of_json_schema() {
        let own = json!({
            "type": "OBJECT", "propertyOrdering": ["z", "a"], "required": ["z"],
            "properties": {
                "a": { "type": "STRING", "nullable": true, "max_length": "5" },
                "z": { "type": "ARRAY", "items": { "type": "INTEGER" }, "minItems": "1" },
                "b": { "any_of": [{ "type": "NUMBER" }, { "type": "BOOLEAN" }] },
            },
        });
        let wanted = json!({
            "type": "object", "required": ["z"],
            "properties": {
                "z": { "type": "array", "items": { "type": "integer" }, "minItems": 1 },
                "a": { "type": ["string", "null"], "maxLength": 5 },
                "b": { "anyOf": [{ "type": "number" }, { "type": "boolean" }] },
            },
        });
        assert_eq!(json_schema(&own).to_string(), wanted.to_string());
    }
}
