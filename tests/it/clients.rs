//! Clients that others wrote against PAS, unchanged but for their base URL (`tests/clients`).
//!
//! They come from the package registries, pinned, and are installed by `scripts/setup-test.sh`. Behind the
//! vendors' own are the test servers of [`crate::vendor`]; a client of one vendor also asks models of the
//! others. Claude Code, Codex and the SDKs for Node are in modules of their own, as is the comparison of their
//! requests with direct ones ([`differential`]), and a small real model. Clients of the event stream follow a
//! real job, leave, and come back.

mod agent_run;
mod claude_code;
mod codex;
mod differential;
mod real_model;
mod relay;
mod sdks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::{Place, Swarm};
use crate::vendor::{Vendor, Vendors};

/// Time limit of one script, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// A script with fewer checks has ended too early.
const LEAST_CHECKS: usize = 8;
/// The ports of the contract that the clients are pointed at.
const GATEWAY: u16 = 6120;
const LLAMA: u16 = 8050;
const OPENAI_ADAPTER: u16 = 8100;
const EVENTS: u16 = 6102;
/// A picture of one dot, as PNG in base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Of the ingest that a client of the event stream follows.
const DOCUMENTS: usize = 12;

/// A daemon whose vendors are the test servers.
struct Stage {
    vendors: Vendors,
    place: Place,
    swarm: Swarm,
}

impl Stage {
    async fn open() -> Self {
        let vendors = Vendors::start().await;
        let place = vendors
            .variables()
            .into_iter()
            .fold(Place::with_documents(1), |place, (name, value)| place.setting(name, value));
        let swarm = place.start().await;
        Self { vendors, place, swarm }
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{}", port + self.place.offset)
    }

    /// Runs a script that asks a model.
    async fn run(&self, script: &str, model: &str, arguments: &[&str]) {
        let run = format!("{}-{model}", script.trim_end_matches(".py")).replace(':', "-");
        run_script(script, &[&["--model", model, "--run-id", &run], arguments].concat()).await;
    }

    fn calls(&self, vendor: Vendor) -> u64 {
        self.vendors.get(vendor).calls()
    }
}

/// Runs a script; on failure, fails the test with the script's output.
async fn run_script(script: &str, arguments: &[&str]) {
    let python = python();
    assert!(python.exists(), "{} is missing: run scripts/setup-test.sh", python.display());
    let output = Command::new(python)
        .args(["-W", "ignore::DeprecationWarning"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the script ends").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}:\n{printed}{complaint}");
    assert!(
        printed.lines().count() >= LEAST_CHECKS,
        "{script} {arguments:?} checked little:\n{printed}{complaint}"
    );
}

/// The interpreter made by the set-up, in cargo's target folder.
fn python() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-venv").join("bin/python")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openais_client_works_unchanged_with_models_of_every_vendor() {
    let stage = Stage::open().await;
    let gateway = stage.url(GATEWAY);
    let base = format!("{gateway}/v1");
    let common = ["--base-url", &base, "--budgets", &gateway, "--responses", "yes"];
    // The one with a price (free) in the built-in table.
    let with_embeddings = [&common[..], &["--embedding-model", "llama3.1:8b"]].concat();
    stage.run("openai_client.py", "gpt-5.4-mini", &with_embeddings).await;
    for model in ["claude-haiku-4-5", "gemini-3.5-flash", "grok-4.7"] {
        stage.run("openai_client.py", model, &common).await;
    }
    let asked = [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok];
    assert!(asked.iter().all(|vendor| stage.calls(*vendor) > 5), "each vendor has answered for itself");
    stage.swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openais_client_works_unchanged_with_an_adapter() {
    let stage = Stage::open().await;
    let base = format!("{}/v1", stage.url(OPENAI_ADAPTER));
    stage.run("openai_client.py", "gpt-5.4-mini", &["--base-url", &base]).await;
    stage.swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropics_client_works_unchanged_with_models_of_every_vendor() {
    let stage = Stage::open().await;
    for model in ["claude-haiku-4-5", "gpt-5.4-mini", "gemini-3.5-flash"] {
        stage.run("anthropic_client.py", model, &["--base-url", &stage.url(GATEWAY)]).await;
    }
    stage.swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_client_works_unchanged_with_models_of_every_vendor() {
    let stage = Stage::open().await;
    let base = stage.url(GATEWAY);
    for (model, signed) in [
        ("gemini-3.8-flash", "yes"),
        ("gemini-2.5-flash-lite", "no"),
        ("gpt-5.4-mini", "no"),
        ("claude-haiku-4-5", "no"),
        ("grok-4.7", "no"),
    ] {
        stage.run("google_client.py", model, &["--base-url", &base, "--signed", signed]).await;
    }
    let asked = [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok];
    assert!(asked.iter().all(|vendor| stage.calls(*vendor) > 5), "each vendor has answered for itself");
    stage.swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ollamas_client_works_unchanged() {
    let stage = Stage::open().await;
    stage.run("ollama_client.py", "llama3.1:8b", &["--base-url", &stage.url(LLAMA)]).await;
    assert!(stage.calls(Vendor::Ollama) > 5, "the local server has answered");
    stage.swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_event_stream_miss_nothing_of_a_real_job() {
    let place = Place::with_documents(DOCUMENTS);
    let swarm = place.start().await;
    let events = format!("http://{}", swarm.api.address_of(EVENTS));
    let source = place.corpus().display().to_string();
    let arguments = ["--events", &events, "--orchestrator", &swarm.api.base, "--source", &source];
    for script in ["socketio_client.py", "websocket_client.py", "sse_client.py"] {
        run_script(script, &arguments).await;
    }
    swarm.stop().await;
}
