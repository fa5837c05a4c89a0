//! JSON Schema converted to the OpenAPI 3.0 subset of the API.
//!
//! Expressible keywords are kept and references are inlined; inexpressible keywords that only narrow
//! (`additionalProperties`, `$schema`, `pattern` of keys, formats that the API does not know) are dropped, since
//! the model follows the listed properties anyway. The order of properties, in which the model writes, is said in
//! `propertyOrdering`: by itself the API sorts them by name. The API has no references, so a schema that refers to itself
//! is written out twice and is a text of JSON below that.

use serde_json::{Map, Value, json};

use crate::failure::VendorFailure;
use crate::vendor::Vendor;

/// Keywords with the same meaning there.
const KEPT: &[&str] = &[
    "title",
    "description",
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
    ORDERING,
];
/// The API's own keyword.
const ORDERING: &str = "propertyOrdering";
/// The formats that the API takes; it refuses all others.
const FORMATS: &[&str] = &["enum", "date-time", "int32", "int64", "float", "double"];
/// Deeper schemas are refused; people write a few levels.
const MAX_DEPTH: usize = 32;
/// How often a schema is written out inside of itself.
const MAX_UNROLLED: usize = 2;
/// Most values in a converted schema: references that refer to each other multiply.
const MAX_VALUES: usize = 10_000;

/// The schema in the API's form.
pub(super) fn openapi(schema: &Value) -> Result<Value, VendorFailure> {
    SchemaConversion { root: schema, open: Vec::new(), left: MAX_VALUES }.convert(schema, MAX_DEPTH)
}

struct SchemaConversion<'a> {
    root: &'a Value,
    /// References being written out, outermost first.
    open: Vec<&'a str>,
    /// Values that may still be written.
    left: usize,
}

impl<'a> SchemaConversion<'a> {
    fn convert(&mut self, schema: &'a Value, depth: usize) -> Result<Value, VendorFailure> {
        let (Some(below), Some(left)) = (depth.checked_sub(1), self.left.checked_sub(1)) else {
            let what = "takes no schema that is deeper than 32 levels or has more than 10,000 values";
            return Err(VendorFailure::unsupported(Vendor::Gemini, what));
        };
        self.left = left;
        let Some(fields) = schema.as_object() else { return Ok(json!({})) };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            return self.referred(reference, fields.get("description"), below);
        }
        let mut out = Map::new();
        for (name, value) in fields {
            match name.as_str() {
                "type" => set_type(&mut out, value),
                "const" => drop(out.insert("enum".to_owned(), json!([value]))),
                "enum" => drop(out.insert("enum".to_owned(), value.clone())),
                "format" if value.as_str().is_some_and(|format| FORMATS.contains(&format)) => {
                    out.insert("format".to_owned(), value.clone());
                }
                "properties" => {
                    let mut properties = Map::new();
                    for (key, inner) in value.as_object().into_iter().flatten() {
                        properties.insert(key.clone(), self.convert(inner, below)?);
                    }
                    out.insert("properties".to_owned(), properties.into());
                }
                "items" => drop(out.insert("items".to_owned(), self.convert(value, below)?)),
                "anyOf" | "oneOf" => self.set_alternatives(&mut out, value, below)?,
                "allOf" => {
                    for part in value.as_array().into_iter().flatten() {
                        merge(&mut out, self.convert(part, below)?);
                    }
                }
                name if KEPT.contains(&name) => drop(out.insert(name.to_owned(), value.clone())),
                _ => {}
            }
        }
        keep_only_text_enums(&mut out);
        set_ordering(&mut out);
        if out.get("type").is_some_and(|kind| kind == "array") {
            out.entry("items").or_insert_with(|| json!({ "type": "string" }));
        }
        Ok(out.into())
    }

    /// The target of a reference, with a description of its own.
    fn referred(
        &mut self,
        reference: &'a str,
        description: Option<&'a Value>,
        below: usize,
    ) -> Result<Value, VendorFailure> {
        let target = resolve(reference, self.root)?;
        if self.open.iter().filter(|open| **open == reference).count() >= MAX_UNROLLED {
            return Ok(
                json!({ "type": "string", "description": "JSON of the same form as the value around it" }),
            );
        }
        self.open.push(reference);
        let converted = self.convert(target, below);
        self.open.pop();
        let mut converted = converted?;
        if let (Some(own), Some(members)) = (description, converted.as_object_mut()) {
            members.insert("description".to_owned(), own.clone());
        }
        Ok(converted)
    }

    /// Alternatives, of which `null` becomes `nullable`; a single one that is left stands for itself.
    fn set_alternatives(
        &mut self,
        out: &mut Map<String, Value>,
        value: &'a Value,
        below: usize,
    ) -> Result<(), VendorFailure> {
        let is_null = |one: &&Value| one.get("type").is_some_and(|kind| kind == "null");
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if all.iter().any(|one| is_null(&one)) {
            out.insert("nullable".to_owned(), true.into());
        }
        let mut real = Vec::new();
        for one in all.iter().filter(|one| !is_null(one)) {
            real.push(self.convert(one, below)?);
        }
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
}

/// The order of an object's properties; one alone has none.
fn set_ordering(out: &mut Map<String, Value>) {
    let names =
        out.get("properties").and_then(Value::as_object).map(|all| all.keys().cloned().collect::<Vec<_>>());
    if let Some(names) = names.filter(|names| names.len() > 1) {
        out.entry(ORDERING).or_insert_with(|| names.into());
    }
}

/// Adds a part of `allOf`: properties and required names of all parts hold, of other keywords the last.
fn merge(out: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (name, value) in part {
        match (name.as_str(), out.get_mut(&name), value) {
            ("properties", Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            ("required" | ORDERING, Some(Value::Array(known)), Value::Array(more)) => {
                let more: Vec<Value> = more.into_iter().filter(|one| !known.contains(one)).collect();
                known.extend(more);
            }
            (_, _, value) => drop(out.insert(name, value)),
        }
    }
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

fn resolve<'a>(reference: &str, root: &'a Value) -> Result<&'a Value, VendorFailure> {
    let found = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
    found
        .ok_or_else(|| VendorFailure::faulty(format!("the schema has an unresolved reference {reference:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VendorFailureKind;

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
            "required": ["kind"],
            "propertyOrdering": ["kind", "level", "owner", "list", "title"]})
        );
    }

    #[test]
    fn what_the_api_refuses_is_left_out_and_what_it_requires_filled_in() {
        let schema = json!({"type": "object", "properties": {
            "u": {"type": "string", "format": "uri"}, "t": {"type": "string", "format": "date-time"},
            "l": {"type": "array"},
            "r": {"$ref": "#/$defs/N", "description": "own"},
            "a": {"allOf": [{"properties": {"x": {"type": "string"}}, "required": ["x"]},
                {"properties": {"y": {"type": "string"}}, "required": ["y"]}]}},
            "$defs": {"N": {"type": "string"}}});
        assert_eq!(
            openapi(&schema).unwrap()["properties"],
            json!({"u": {"type": "string"}, "t": {"type": "string", "format": "date-time"},
                "l": {"type": "array", "items": {"type": "string"}},
                "r": {"type": "string", "description": "own"},
                "a": {"properties": {"x": {"type": "string"}, "y": {"type": "string"}}, "required": ["x", "y"],
                    "propertyOrdering": ["x", "y"]}})
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_written_out_and_one_that_refers_to_nothing_is_refused() {
        let own = json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object",
            "properties": {"next": {"$ref": "#/$defs/Tree"}}}}});
        let written = openapi(&own).unwrap();
        assert_eq!(written.pointer("/properties/next/type"), Some(&json!("object")));
        assert_eq!(written.pointer("/properties/next/properties/next/type"), Some(&json!("string")));
        let many = (0..12).map(|at| (format!("p{at}"), json!({"$ref": format!("#/$defs/D{at}")})));
        let many = json!({"type": "object", "properties": serde_json::Map::from_iter(many)});
        let defs = (0..12).map(|at| (format!("D{at}"), many.clone()));
        let tangle = json!({"$ref": "#/$defs/D0", "$defs": serde_json::Map::from_iter(defs)});
        assert_eq!(openapi(&tangle).unwrap_err().kind, VendorFailureKind::Unsupported);
        assert_eq!(openapi(&json!({"$ref": "#/$defs/X"})).unwrap_err().kind, VendorFailureKind::BadRequest);
    }
}
