//! A small real model (SmolLM2, 135 million parameters) behind llama.cpp's server, through PAS: real tokens, real
//! grammar, real vectors. What it says is not asserted, only that it says it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{GATEWAY, python};
use crate::support::{Api, Place, Swarm, http_client};

/// For the server to load its weights, on a busy machine.
const LOADING: Duration = Duration::from_secs(60);

/// The servers, which end with this.
struct ModelServer {
    _process: Child,
    texts: String,
    embeddings: String,
}

impl ModelServer {
    /// Starts both under these names of the model.
    async fn start(texts: &str, embeddings: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/model_server.py");
        let mut process = Command::new(python())
            .arg(script)
            .args([texts, embeddings])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let urls = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the server says where it is");
                if let Ok(urls @ Value::Object(_)) = serde_json::from_str::<Value>(&line) {
                    return urls;
                }
            }
        };
        let urls = tokio::time::timeout(LOADING, urls).await.expect("the server starts in time");
        let url = |name: &str| urls[name].as_str().unwrap().to_owned();
        Self { texts: url("texts"), embeddings: url("embeddings"), _process: process }
    }
}

/// The name of the model at its servers.
const MODEL: &str = "smollm2-135m-instruct";
/// The same weights at the server that makes vectors of texts.
const VECTORS: &str = "smollm2-135m-vectors";
/// The router's port.
const ROUTER: u16 = 6103;
/// Its price, in US dollars a token: there to be counted.
const PRICE: f64 = 0.000_001;

/// A daemon that knows no other model.
struct ModelStage {
    place: Place,
    swarm: Swarm,
    server: ModelServer,
}

impl ModelStage {
    async fn open() -> Self {
        // Nobody listens on the port of discarded bytes: no local model but this one.
        let place = Place::with_documents(1).setting("OLLAMA_HOST", "http://127.0.0.1:9");
        let (server, swarm) = (ModelServer::start(MODEL, VECTORS).await, place.start().await);
        let stage = Self { place, swarm, server };
        // With a window so small, nobody asks the second for words.
        for (model, window, endpoint) in
            [(MODEL, 4096, &stage.server.texts), (VECTORS, 512, &stage.server.embeddings)]
        {
            let offer = json!({ "name": model, "model": model, "context_window": window, "endpoint": endpoint,
                "cost_per_input_token": PRICE, "cost_per_output_token": PRICE });
            stage.at(ROUTER).ask("/register", offer).await;
        }
        stage
    }

    /// A client of one of the daemon's ports.
    fn at(&self, port: u16) -> Api {
        let base = format!("http://127.0.0.1:{}", port + self.place.offset);
        self.swarm.api.with_base(base)
    }

    /// The receipts of a run.
    async fn receipts(&self, run: &str) -> Vec<Value> {
        let receipts = self.at(GATEWAY).get(&format!("/receipts/{run}")).await;
        receipts["receipts"].as_array().unwrap().clone()
    }

    /// The answer to a request for the model, paid by a run.
    async fn ask(&self, path: &str, body: Value, run: &str) -> Value {
        let (status, _, answer) = self.at(GATEWAY).send(path, body, &[("x-pas-run-id", run)]).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn chat(text: &str) -> Value {
    json!({ "model": MODEL, "max_tokens": 40, "temperature": 0, "seed": 7,
        "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_chats_streams_fills_a_schema_makes_vectors_and_writes_a_summary() {
    let stage = ModelStage::open().await;
    let answer = stage.ask("/v1/chat/completions", chat("What is the capital of France?"), "chat").await;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let usage = &answer["usage"];
    let (input, output) =
        (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
    assert!(!text.trim().is_empty() && input > 5 && (1..=40).contains(&output), "{answer}");
    let receipt = stage.receipts("chat").await.pop().unwrap();
    assert_eq!(
        (&receipt["input_tokens"], &receipt["output_tokens"], &receipt["metadata"]["cost_nano_usd"]),
        (&json!(input), &json!(output), &json!((input + output) * 1_000))
    );
    streams(&stage, text).await;
    fills_a_schema(&stage).await;
    makes_vectors(&stage).await;
    writes_a_summary(&stage).await;
    stage.swarm.stop().await;
}

/// The same words piece by piece.
async fn streams(stage: &ModelStage, whole: &str) {
    let mut body = chat("What is the capital of France?");
    body["stream"] = json!(true);
    let url = format!("{}/v1/chat/completions", stage.at(GATEWAY).base);
    let request = http_client().post(url).header("x-pas-run-id", "stream").json(&body);
    let events = request.send().await.unwrap().text().await.unwrap();
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
    let chunks =
        events.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let pieces: Vec<String> = chunks
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert!(pieces.len() > 3, "{events}");
    assert_eq!(pieces.concat(), whole);
    assert_eq!(stage.receipts("stream").await.len(), 1);
}

/// A grammar leaves the model no other choice, also through the form of another vendor.
async fn fills_a_schema(stage: &ModelStage) {
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["city", "size"],
        "properties": { "city": { "type": "string", "maxLength": 12 }, "size": { "enum": ["small", "large"] } } });
    let mut body = chat("Name one city, as JSON.");
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "city", "strict": true, "schema": schema } });
    let answer = stage.ask("/v1/chat/completions", body, "schema").await;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let city: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(city["city"].is_string() && (city["size"] == "small" || city["size"] == "large"), "{city}");
    let body = json!({ "model": MODEL, "max_tokens": 20, "messages": [{ "role": "user", "content": "Say hello." }] });
    let message = stage.ask("/v1/messages", body, "messages").await;
    assert!(message["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{message}");
}

/// The same text gives the same vector, another gives another.
async fn makes_vectors(stage: &ModelStage) {
    let body =
        json!({ "model": VECTORS, "input": ["A cat sleeps.", "Interest rates rise.", "A cat sleeps."] });
    let answer = stage.ask("/v1/embeddings", body, "vectors").await;
    let vector = |row: usize| -> Vec<f64> {
        let values = answer["data"][row]["embedding"].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (cat, rates, again) = (vector(0), vector(1), vector(2));
    let likeness = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    assert_eq!(cat.len(), 576, "the width of the model");
    assert!(likeness(&cat, &again) > 0.999 && likeness(&cat, &rates) < 0.99, "{cat:?} {rates:?}");
    assert!(stage.receipts("vectors").await[0]["input_tokens"].as_u64() > Some(5));
}

/// The words of a report, from the findings of a real job.
async fn writes_a_summary(stage: &ModelStage) {
    let api = &stage.swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let receipts = stage.receipts(&run).await;
    let [receipt] = receipts.as_slice() else { panic!("one receipt, not {receipts:#?}") };
    assert_eq!((&receipt["model"], &receipt["status"]), (&json!(MODEL), &json!("success")));
    assert!(receipt["output_tokens"].as_u64() > Some(5), "{receipt}");
    let report = stage.place.dir.path().join(format!("artifacts/runs/{run}/report/report.md"));
    let report = std::fs::read_to_string(report).unwrap();
    for part in [MODEL, receipt["request_id"].as_str().unwrap()] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}
