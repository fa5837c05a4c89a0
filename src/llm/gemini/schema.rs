//! JSON Schema converted to the OpenAPI 3.0 subset of the API.
//!
//! Expressible keywords are kept and references are inlined; inexpressible keywords that only narrow
//! (`additionalProperties`, `$schema`, `pattern` of keys) are dropped, since the model follows the listed
//! properties anyway. A recursive schema cannot be expressed, and is refused.

use serde_json::{Map, Value, json};

use crate::llm::failure::VendorFailure;
use crate::llm::vendor::Vendor;

/// Keywords with the same meaning there.
const KEPT: &[&str] = &[
    "title",
    "description",
    "format",
    "nullable",
    "default",
    "example",
    "required",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "propertyOrdering",
];
/// Deeper schemas count as recursive; people write a few levels.
const MAX_DEPTH: usize = 32;

/// The schema in the API's form.
pub(super) fn openapi(schema: &Value) -> Result<Value, VendorFailure> {
    convert(schema, schema, MAX_DEPTH)
}

fn convert(schema: &Value, root: &Value, depth: usize) -> Result<Value, VendorFailure> {
    let Some(below) = depth.checked_sub(1) else {
        let what = "takes no schema that refers to itself, or is deeper than 32 levels";
        return Err(VendorFailure::unsupported(Vendor::Gemini, what));
    };
    let Some(fields) = schema.as_object() else { return Ok(json!({})) };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        return convert(resolve(reference, root)?, root, below);
    }
    let mut out = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "type" => set_type(&mut out, value),
            "const" => drop(out.insert("enum".to_owned(), json!([value]))),
            "enum" => drop(out.insert("enum".to_owned(), value.clone())),
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                let converted =
                    properties.map(|(key, inner)| Ok((key.clone(), convert(inner, root, below)?)));
                out.insert(
                    "properties".to_owned(),
                    converted.collect::<Result<Map<_, _>, VendorFailure>>()?.into(),
                );
            }
            "items" => drop(out.insert("items".to_owned(), convert(value, root, below)?)),
            "anyOf" | "oneOf" => set_alternatives(&mut out, value, root, below)?,
            "allOf" => {
                for part in value.as_array().into_iter().flatten() {
                    if let Value::Object(part) = convert(part, root, below)? {
                        out.extend(part);
                    }
                }
            }
            name if KEPT.contains(&name) => drop(out.insert(name.to_owned(), value.clone())),
            _ => {}
        }
    }
    keep_only_text_enums(&mut out);
    Ok(out.into())
}

/// The API's enumerations are of texts; of other types only the type is left.
fn keep_only_text_enums(out: &mut Map<String, Value>) {
    let texts = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    match out.get("enum").map(texts) {
        Some(true) => drop(out.entry("type").or_insert_with(|| "string".into())),
        Some(false) => drop(out.remove("enum")),
        None => {}
    }
}

/// `["string", "null"]` is a string that may be null.
fn set_type(out: &mut Map<String, Value>, value: &Value) {
    let Some(types) = value.as_array() else {
        out.insert("type".to_owned(), value.clone());
        return;
    };
    if types.iter().any(|one| one == "null") {
        out.insert("nullable".to_owned(), true.into());
    }
    let real: Vec<&Value> = types.iter().filter(|one| *one != "null").collect();
    match real[..] {
        [] => {}
        [one] => drop(out.insert("type".to_owned(), one.clone())),
        _ => drop(out.insert("anyOf".to_owned(), real.iter().map(|one| json!({"type": one})).collect())),
    }
}

/// Alternatives, of which `null` becomes `nullable`; a single one that is left stands for itself.
fn set_alternatives(
    out: &mut Map<String, Value>,
    value: &Value,
    root: &Value,
    below: usize,
) -> Result<(), VendorFailure> {
    let is_null = |one: &&Value| one.get("type").is_some_and(|kind| kind == "null");
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.iter().any(|one| is_null(&one)) {
        out.insert("nullable".to_owned(), true.into());
    }
    let real = all.iter().filter(|one| !is_null(one)).map(|one| convert(one, root, below));
    let mut real = real.collect::<Result<Vec<_>, _>>()?;
    match (real.len(), real.pop()) {
        (1, Some(Value::Object(only))) => out.extend(only),
        (_, Some(last)) => {
            real.push(last);
            out.insert("anyOf".to_owned(), real.into());
        }
        (_, None) => {}
    }
    Ok(())
}

fn resolve<'a>(reference: &str, root: &'a Value) -> Result<&'a Value, VendorFailure> {
    let found = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
    found
        .ok_or_else(|| VendorFailure::faulty(format!("the schema has an unresolved reference {reference:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::VendorFailureKind;

    #[test]
    fn references_alternatives_and_nulls_are_said_in_the_apis_words() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
            "properties": {
                "kind": {"const": "a"},
                "level": {"type": "integer", "enum": [1, 2]},
                "owner": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
                "list": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}, "minItems": 1},
                "title": {"type": ["string", "null"], "description": "d"}},
            "required": ["kind"],
            "$defs": {"Person": {"type": "object", "properties": {"name": {"type": "string"}}}},
        });
        assert_eq!(
            openapi(&schema).unwrap(),
            json!({
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": ["a"]},
                "level": {"type": "integer"},
                "owner": {"type": "object", "properties": {"name": {"type": "string"}}, "nullable": true},
                "list": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}, "minItems": 1},
                "title": {"type": "string", "nullable": true, "description": "d"}},
            "required": ["kind"]})
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_or_to_nothing_is_refused() {
        let own = json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object",
            "properties": {"next": {"$ref": "#/$defs/Tree"}}}}});
        assert_eq!(openapi(&own).unwrap_err().kind, VendorFailureKind::Unsupported);
        assert_eq!(openapi(&json!({"$ref": "#/$defs/X"})).unwrap_err().kind, VendorFailureKind::BadRequest);
    }
}
