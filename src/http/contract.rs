//! The wire contracts: one OpenAPI document per port in `contracts/`, over shared JSON Schemas.
//!
//! Owns reading and bundling. The files in `contracts/` are the source of truth; they refer to shared schemas
//! as `schemas/<name>.json`, and the served document is self-contained: each such schema becomes
//! `#/components/schemas/<name>`. Failure policy: an unreadable contract is a defect of the build, reported
//! with the file when the port is set up; `tests/it/contracts.rs` finds it first.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Map, Value};

/// The embedded folder `contracts/`.
#[derive(rust_embed::RustEmbed)]
#[folder = "contracts/"]
struct ContractFiles;

/// The folder of shared schemas, relative to a document.
const SCHEMA_FOLDER: &str = "schemas/";
/// The methods of an OpenAPI path item that this edge uses.
const METHODS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("patch", Method::PATCH),
];

#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// No such file in the embedded folder.
    #[error("no contract file `{0}`")]
    Missing(String),
    /// Not JSON.
    #[error("contract file `{file}` is not JSON: {source}")]
    Json {
        /// The file, relative to `contracts/`.
        file: String,
        source: serde_json::Error,
    },
    /// A required part is missing.
    #[error("contract file `{file}` lacks {what}")]
    Incomplete {
        /// The file, relative to `contracts/`.
        file: String,
        what: &'static str,
    },
}

/// One operation of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractEndpoint {
    /// The `operationId`.
    pub name: String,
    pub method: Method,
    /// In OpenAPI's form, such as `/jobs/{job_id}`.
    pub path: String,
}

/// The contract of one port, ready to be served.
#[derive(Debug, Clone)]
pub struct PortContract {
    /// The service's name on the wire (`x-service` of the document), such as `agent_router`.
    pub service: String,
    /// The port without an offset (`x-port` of the document).
    pub port: u16,
    pub version: String,
    /// All operations, sorted by path.
    pub endpoints: Vec<ContractEndpoint>,
    /// The self-contained document as served.
    pub json: Bytes,
}

impl PortContract {
    /// Reads and bundles `contracts/<name>.json`.
    ///
    /// # Errors
    /// [`ContractError`] when the file is absent, no JSON, or no contract.
    pub fn load(name: &str) -> Result<Self, ContractError> {
        let file = format!("{name}.json");
        let document = bundled(&file)?;
        let lacks = |what| ContractError::Incomplete { file: file.clone(), what };
        let info = &document["info"];
        let service = info["x-service"].as_str().ok_or_else(|| lacks("info.x-service"))?.to_owned();
        let port = info["x-port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let version = info["version"].as_str().ok_or_else(|| lacks("info.version"))?.to_owned();
        let endpoints = endpoints(&document).ok_or_else(|| lacks("paths, or an operationId"))?;
        let json = Bytes::from(document.to_string());
        Ok(Self { service, port: port.ok_or_else(|| lacks("info.x-port"))?, version, endpoints, json })
    }

    /// Names of all contracts, sorted.
    #[must_use]
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = ContractFiles::iter()
            .filter_map(|file| file.strip_suffix(".json").filter(|n| !n.contains('/')).map(str::to_owned))
            .collect();
        names.sort_unstable();
        names
    }
}

/// Names of all shared schemas, sorted.
#[must_use]
pub fn schema_names() -> Vec<String> {
    let mut names: Vec<String> = ContractFiles::iter()
        .filter_map(|file| Some(file.strip_prefix(SCHEMA_FOLDER)?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort_unstable();
    names
}

/// A contract file, unbundled, by its path in `contracts/`: `registry.json`, `schemas/manifest.json`.
///
/// # Errors
/// [`ContractError`] when it is absent or no JSON.
pub fn read(file: &str) -> Result<Value, ContractError> {
    let embedded = ContractFiles::get(file).ok_or_else(|| ContractError::Missing(file.to_owned()))?;
    serde_json::from_slice(&embedded.data)
        .map_err(|source| ContractError::Json { file: file.to_owned(), source })
}

/// A document with all shared schemas that it refers to.
///
/// # Errors
/// [`ContractError`] when the document or a schema is absent or no JSON.
pub fn bundled(file: &str) -> Result<Value, ContractError> {
    let mut document = read(file)?;
    let mut wanted = Vec::new();
    point_inside(&mut document, SCHEMA_FOLDER, &mut wanted);
    let mut taken = Map::new();
    while let Some(name) = wanted.pop() {
        if taken.contains_key(&name) {
            continue;
        }
        let mut schema = read(&format!("{SCHEMA_FOLDER}{name}.json"))?;
        point_inside(&mut schema, "", &mut wanted);
        if let Some(members) = schema.as_object_mut() {
            // Inside a document these keys would change the base of references.
            members.remove("$id");
            members.remove("$schema");
        }
        taken.insert(name, schema);
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.extend(taken);
    } else if !taken.is_empty() {
        let what = "components.schemas, though it refers to shared schemas";
        return Err(ContractError::Incomplete { file: file.to_owned(), what });
    }
    Ok(document)
}

/// Rewrites each `"$ref": "<folder><name>.json"` to point into the document; collects the names.
fn point_inside(value: &mut Value, folder: &str, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if key == "$ref"
                    && let Some(name) = schema_name(member, folder)
                {
                    *member = Value::String(format!("#/components/schemas/{name}"));
                    names.push(name);
                } else {
                    point_inside(member, folder, names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_inside(item, folder, names)),
        _ => {}
    }
}

fn schema_name(reference: &Value, folder: &str) -> Option<String> {
    let text = reference.as_str()?;
    Some(text.strip_prefix(folder)?.strip_suffix(".json")?.to_owned())
}

fn endpoints(document: &Value) -> Option<Vec<ContractEndpoint>> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object()? {
        for (key, method) in METHODS {
            if let Some(operation) = item.get(key) {
                let name = operation["operationId"].as_str()?.to_owned();
                found.push(ContractEndpoint { name, method, path: path.clone() });
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_loads_and_is_self_contained() {
        let names = PortContract::names();
        assert!(names.len() >= 4, "{names:?}");
        for name in names {
            let contract = PortContract::load(&name).unwrap();
            assert!(contract.endpoints.len() > 4, "{name}");
            let text = std::str::from_utf8(&contract.json).unwrap();
            assert!(!text.contains("\"$ref\":\"schemas/"), "{name}");
        }
    }

    #[test]
    fn an_unknown_contract_is_named() {
        assert_eq!(PortContract::load("nothing").unwrap_err().to_string(), "no contract file `nothing.json`");
    }
}
