//! The wire contracts are sound: OpenAPI 3.1, no dangling reference, examples that fit, errors documented.
//!
//! [`assert_routes_match_contract`] compares a live router with its document without calling a handler.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use pas::http::contract::{PortContract, bundled, read, schema_names};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Every document, bundled, with its name.
fn documents() -> Vec<(String, Value)> {
    PortContract::names()
        .into_iter()
        .map(|name| (name.clone(), bundled(&format!("{name}.json")).unwrap()))
        .collect()
}

/// Every operation as (path, method, operation).
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    found
}

/// Follows `value` into the document, if a reference.
pub(crate) fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference),
        None => value,
    }
}

/// Fails with the place and every error when `example` does not fit `schema`.
pub(crate) fn assert_fits(document: &Value, schema: &Value, example: &Value, place: &str) {
    let whole = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).expect(place);
    let errors: Vec<String> =
        validator.iter_errors(example).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{place}: {errors:#?}");
}

/// As [`assert_fits`], and fails where `answer` has a field that the contract lacks.
pub(crate) fn assert_says_no_more(document: &Value, schema: &Value, answer: &Value, place: &str) {
    let closed = json!({ "components": document["components"], "schema": schema });
    let mut composed = BTreeSet::new();
    parts_of_compositions(&closed, &mut composed);
    let mut closed = closed_objects(closed);
    for name in composed {
        // A part of an `allOf` knows only some of the fields: the whole is closed instead.
        closed["components"]["schemas"][&name].as_object_mut().unwrap().remove("additionalProperties");
    }
    assert_fits(&closed, &closed["schema"], answer, place);
}

/// The names of the schemas that some `allOf` refers to.
fn parts_of_compositions(value: &Value, found: &mut BTreeSet<String>) {
    let parts = value["allOf"].as_array().into_iter().flatten();
    let name = |part: &Value| part["$ref"].as_str()?.strip_prefix("#/components/schemas/").map(str::to_owned);
    found.extend(parts.filter_map(name));
    match value {
        Value::Object(members) => members.values().for_each(|member| parts_of_compositions(member, found)),
        Value::Array(items) => items.iter().for_each(|item| parts_of_compositions(item, found)),
        _ => {}
    }
}

/// `value` with every object schema closed that names properties and does not itself allow others.
fn closed_objects(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let has = |key: &str| members.contains_key(key);
            let names = members.get("properties").is_some_and(Value::is_object);
            let closing = match () {
                () if has("allOf") => Some("unevaluatedProperties"),
                () if names && !["additionalProperties", "anyOf", "oneOf"].into_iter().any(has) => {
                    Some("additionalProperties")
                }
                () => None,
            };
            let closed = members.into_iter().map(|(key, member)| match (&*key, member) {
                ("allOf", Value::Array(parts)) => (key, parts.into_iter().map(open_part).collect()),
                (_, member) => (key, closed_objects(member)),
            });
            let closed: serde_json::Map<String, Value> = closed.collect();
            let closing = closing.map(|key| (key.to_owned(), json!(false)));
            Value::Object(closed.into_iter().chain(closing).collect())
        }
        Value::Array(items) => items.into_iter().map(closed_objects).collect(),
        other => other,
    }
}

/// A part of an `allOf`: open at the top, closed below.
fn open_part(part: Value) -> Value {
    let mut part = closed_objects(part);
    part.as_object_mut().unwrap().remove("additionalProperties");
    part
}

#[test]
fn documents_have_what_openapi_demands() {
    for (name, document) in documents() {
        assert_eq!(document["openapi"], "3.1.0", "{name}");
        for field in ["title", "version", "description", "x-service"] {
            assert!(document["info"][field].is_string(), "{name}: info.{field}");
        }
        let mut ids = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            let place = format!("{name}: {method} {path}");
            assert!(["get", "put", "post", "delete", "patch"].contains(&method.as_str()), "{place}");
            assert!(
                ids.insert(operation["operationId"].as_str().expect(&place).to_owned()),
                "{place}: twice"
            );
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            let responses = operation["responses"].as_object().expect(&place);
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}: no success");
            for response in responses.values() {
                assert!(resolved(&document, response)["description"].is_string(), "{place}");
            }
            let named: BTreeSet<_> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let declared: BTreeSet<_> = parameters
                .iter()
                .filter(|p| p["in"] == "path")
                .map(|p| p["name"].as_str().unwrap())
                .collect();
            assert_eq!(named, declared, "{place}: path parameters");
        }
    }
}

#[test]
fn every_operation_tells_its_errors() {
    for (name, document) in documents() {
        for (path, method, operation) in operations(&document) {
            let place = format!("{name}: {method} {path}");
            let told: BTreeSet<&str> =
                operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            let mut due = vec!["401", "403", "500"];
            if operation.get("requestBody").is_some() {
                due.extend(["408", "413", "415", "422"]);
            }
            if operation.get("parameters").is_some() {
                due.push("422");
            }
            for status in due {
                assert!(told.contains(status), "{place} does not tell of {status}");
            }
        }
    }
}

#[test]
fn references_resolve() {
    fn walk(document: &Value, value: &Value, place: &str) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer =
                        reference.strip_prefix('#').unwrap_or_else(|| panic!("{place}: {reference}"));
                    assert!(document.pointer(pointer).is_some(), "{place}: {reference} leads nowhere");
                }
                members.iter().for_each(|(key, member)| walk(document, member, &format!("{place}/{key}")));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(document, item, place)),
            _ => {}
        }
    }
    for (name, document) in documents() {
        walk(&document, &document, &name);
    }
}

#[test]
fn embedded_schemas_are_schemas_and_all_examples_fit() {
    let mut examples = 0;
    for (name, document) in documents() {
        for (schema_name, schema) in document["components"]["schemas"].as_object().unwrap() {
            jsonschema::meta::validate(schema).unwrap_or_else(|e| panic!("{name}: {schema_name}: {e}"));
        }
        for (path, method, operation) in operations(&document) {
            let place = format!("{name}: {method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                jsonschema::meta::validate(&parameter["schema"]).expect(&place);
            }
            let mut bodies = vec![&operation["requestBody"]];
            bodies
                .extend(operation["responses"].as_object().unwrap().values().map(|r| resolved(&document, r)));
            for body in bodies {
                for (kind, content) in body["content"].as_object().into_iter().flatten() {
                    if kind == "application/json" {
                        let example = content.get("example").unwrap_or_else(|| panic!("{place}: no example"));
                        assert_fits(&document, &content["schema"], example, &place);
                        examples += 1;
                    }
                }
            }
        }
    }
    assert!(examples > 100, "only {examples} examples were checked");
}

#[test]
fn shared_schemas_stand_alone_and_their_examples_fit() {
    let names = schema_names();
    for wanted in [
        "service_registration",
        "heartbeat",
        "status_update",
        "heartbeat_alert",
        "job_card",
        "manifest",
        "agent_definition",
        "agent_invocation",
        "agent_standing",
        "resource_request",
        "provider_registration",
        "routing_request",
        "routing_receipt",
        "llm_service",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}");
    }
    // Some document has each schema bundled, so references among them resolve.
    let components: serde_json::Map<_, _> = documents()
        .iter()
        .flat_map(|(_, d)| d["components"]["schemas"].as_object().unwrap().clone())
        .collect();
    let pool = json!({ "components": { "schemas": components } });
    for name in names {
        let schema = read(&format!("schemas/{name}.json")).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(schema["$id"], format!("https://pas.local/schemas/{name}.json"));
        assert!(schema.get("$defs").is_none(), "{name}: bundling would lose what $defs are relative to");
        let examples = schema["examples"].as_array().filter(|e| !e.is_empty());
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        for example in examples.unwrap_or_else(|| panic!("{name}: no example")) {
            assert_fits(&pool, &reference, example, &name);
        }
        let objection = format!("{name} takes anything");
        let validator =
            jsonschema::validator_for(&json!({ "allOf": [reference], "components": pool["components"] }));
        assert!(!validator.unwrap().is_valid(&json!({})), "{objection}");
    }
}

/// Every object schema below `value` by place, with the names of its fields.
fn object_schemas(value: &Value, place: &str, found: &mut Vec<(String, BTreeSet<String>)>) {
    match value {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object)
                && !properties.is_empty()
            {
                found.push((place.to_owned(), properties.keys().cloned().collect()));
            }
            members.iter().for_each(|(key, member)| object_schemas(member, &format!("{place}/{key}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| object_schemas(item, place, found)),
        _ => {}
    }
}

#[test]
fn a_message_is_written_once_and_every_shared_one_is_used() {
    let fields = |value: &Value| -> BTreeSet<String> {
        value["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let shared: BTreeMap<BTreeSet<String>, String> = schema_names()
        .into_iter()
        .map(|name| (fields(&read(&format!("schemas/{name}.json")).unwrap()), name))
        .collect();
    let (mut repeated, mut text) = (Vec::new(), String::new());
    for name in PortContract::names() {
        let document = read(&format!("{name}.json")).unwrap();
        let mut found = Vec::new();
        object_schemas(&document, &name, &mut found);
        repeated.extend(found.into_iter().filter_map(|(place, fields)| {
            Some(format!("{place} repeats schemas/{}.json; refer to it", shared.get(&fields)?))
        }));
        text += &document.to_string();
    }
    assert!(repeated.is_empty(), "{repeated:#?}");
    for name in shared.values() {
        let by_schemas = || {
            schema_names().iter().any(|other| {
                other != name
                    && read(&format!("schemas/{other}.json"))
                        .unwrap()
                        .to_string()
                        .contains(&format!("\"{name}.json\""))
            })
        };
        let is_used = text.contains(&format!("\"schemas/{name}.json\"")) || by_schemas();
        assert!(is_used, "no document refers to schemas/{name}.json");
    }
}

#[test]
fn a_wrong_example_is_found() {
    let document = bundled("registry.json").unwrap();
    let schema = json!({ "$ref": "#/components/schemas/heartbeat" });
    let wrong = json!({ "service_id": "a", "status": "excellent" });
    let found = std::panic::catch_unwind(|| assert_fits(&document, &schema, &wrong, "here"));
    assert!(found.is_err());
}

#[test]
#[should_panic(expected = "another")]
fn a_field_beyond_the_contract_is_found() {
    let document = bundled("hmi.json").unwrap();
    let schema = json!({ "$ref": "#/components/schemas/CostSums" });
    let answer = json!({ "usd": 1.0, "tokens": 1, "requests": 1, "another": 1 });
    assert_fits(&document, &schema, &answer, "open, it fits");
    assert_says_no_more(&document, &schema, &answer, "here");
}

#[test]
fn a_whole_of_parts_is_closed_as_one() {
    let document = bundled("model-adapter.json").unwrap();
    let response = &document["paths"]["/info"]["get"]["responses"]["200"]["content"]["application/json"];
    let mut answer = response["example"].clone();
    assert_says_no_more(&document, &response["schema"], &answer, "its own fields and those of its part");
    answer["another"] = json!(1);
    let found = std::panic::catch_unwind(|| {
        assert_says_no_more(&document, &response["schema"], &answer, "one too many");
    });
    assert!(found.is_err());
}

/// Asserts that `router` takes exactly the methods of each path in the contract `name`.
///
/// Asks with a method no route has: an unknown path answers 404, a known one 405 with the allowed methods in
/// `Allow`. No handler runs. (axum cannot list its routes, so paths beyond the contract are not seen.) The
/// router must be bare, without the edge's guard.
pub(crate) async fn assert_routes_match_contract(name: &str, router: Router) {
    let contract = PortContract::load(name).unwrap();
    let mut expected: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for endpoint in &contract.endpoints {
        let methods = expected.entry(&endpoint.path).or_default();
        methods.insert(endpoint.method.to_string());
        if endpoint.method == Method::GET {
            methods.insert("HEAD".to_owned());
        }
    }
    for (path, methods) in expected {
        // Any segment does: extractors run in handlers only.
        let uri = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let uri = uri.collect::<Vec<_>>().join("/");
        let request = Request::builder().method("TRACE").uri(uri).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 405, "{name}: {path} is not served");
        let allowed = response.headers()[header::ALLOW].to_str().unwrap();
        let allowed: BTreeSet<String> = allowed.split(',').map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed, methods, "{name}: {path}");
    }
}

fn heartbeat_monitor(stats: axum::routing::MethodRouter) -> Router {
    use axum::routing::get;
    let contract = PortContract::load("heartbeat-monitor").unwrap();
    let common = pas::http::page::routes(contract, pas::http::page::plain_health());
    common.route("/stats", stats).route("/alerts", get(async || "unused"))
}

#[tokio::test]
async fn the_route_check_passes_a_complete_router() {
    let router = heartbeat_monitor(axum::routing::get(async || "unused"));
    assert_routes_match_contract("heartbeat-monitor", router).await;
}

#[tokio::test]
#[should_panic(expected = "/stats")]
async fn the_route_check_finds_a_wrong_method() {
    let router = heartbeat_monitor(axum::routing::post(async || "unused"));
    assert_routes_match_contract("heartbeat-monitor", router).await;
}
