//! Port 6101's actions on a whole daemon: blast radius, effect, proof, and audit.

mod agents;
mod audit;
mod jobs;

use std::path::Path;

use pas::http::contract::bundled;
use serde_json::{Value, json};

use crate::contracts::{assert_says_no_more, resolved};
use crate::support::{Api, Place};

const HMI: u16 = 6101;
/// Enough to catch a step in mid-work.
const DOCUMENTS: usize = 200;
/// An agent of the roster whose step comes first.
const AUDITOR: &str = "corpus-auditor";

/// One thread, so that a step takes long enough to be caught at work.
fn place() -> Place {
    Place::with_documents(DOCUMENTS).setting("PAS_JOBS__THREADS", 1)
}

fn hmi(api: &Api) -> Api {
    api.with_base(format!("http://{}", api.address_of(HMI)))
}

/// Checks one answer against the operation in the contract.
#[track_caller]
fn fits(path: &str, method: &str, status: u16, body: &Value) {
    let document = bundled("hmi.json").unwrap();
    let place = format!("{method} {path}: {status}");
    let response = document["paths"][path][method]["responses"].get(status.to_string());
    let response = resolved(&document, response.unwrap_or_else(|| panic!("{place} is not told of: {body}")));
    assert_says_no_more(&document, &response["content"]["application/json"]["schema"], body, &place);
}

/// Performs an action; returns the status and the answer, which fits the contract.
async fn try_act(api: &Api, body: Value) -> (u16, Value) {
    let (status, answer) = hmi(api).post("/api/action", body).await;
    fits("/api/action", "post", status.as_u16(), &answer);
    (status.as_u16(), answer)
}

/// Performs an action that must succeed.
async fn act(api: &Api, body: Value) -> Value {
    let (status, answer) = try_act(api, body.clone()).await;
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{body}: {answer}");
    answer
}

/// Performs an action that must be refused; returns the reason.
async fn refused(api: &Api, body: Value, with: u16) -> String {
    let (status, answer) = try_act(api, body.clone()).await;
    assert_eq!(status, with, "{body}: {answer}");
    answer["detail"].to_string()
}

async fn radius(api: &Api, query: &str) -> Value {
    let found = hmi(api).get(&format!("/api/blast-radius?{query}")).await;
    fits("/api/blast-radius", "get", 200, &found);
    found
}

/// The audit, newest first.
async fn acts(api: &Api) -> Vec<Value> {
    let list = hmi(api).get("/api/audit?limit=50").await;
    fits("/api/audit", "get", 200, &list);
    list["entries"].as_array().unwrap().clone()
}

/// The lines of the audit's files.
fn lines(workdir: &Path) -> Vec<Value> {
    let Ok(files) = std::fs::read_dir(workdir.join("artifacts/hmi/audit")) else { return Vec::new() };
    let text: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(jobs: &Value) -> Vec<&str> {
    jobs.as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}
