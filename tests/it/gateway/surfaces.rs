//! Every surface answers, whole and streamed, whoever the vendor is.

use pas::http::contract::bundled;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Stage, chat, streamed};
use crate::contracts::assert_fits;
use crate::support::Place;
use crate::vendor::Vendor;

const MODELS: [(Vendor, u16, &str); 5] = [
    (Vendor::OpenAi, 8100, "gpt-4-turbo"),
    (Vendor::Anthropic, 8101, "claude-haiku-4-5"),
    (Vendor::Gemini, 8102, "gemini-2.5-flash"),
    (Vendor::Grok, 8103, "grok-4"),
    (Vendor::Ollama, 8050, "llama3.1:8b"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_vendor_answers_through_gateway_and_adapter_with_one_receipt_each() {
    let stage = Stage::open().await;
    for (vendor, port, model) in MODELS {
        let run = format!("run-{port}");
        let answer = stage.chat(model, &run).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.body);
        let text = answer.body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        assert!(!text.is_empty());
        assert!(answer.headers.contains_key("x-pas-cost-usd") && answer.headers.contains_key("x-request-id"));
        let adapted = stage.post_as(port, "/chat/completions", chat(model), &run).await;
        assert_eq!(adapted.body["choices"][0]["message"]["content"], json!(text), "{}", adapted.body);
        let events = stage.post_as(6120, "/v1/chat/completions", streamed(model), &run).await.body;
        let events = events.as_str().unwrap().to_owned();
        assert!(events.ends_with("data: [DONE]\n\n"), "{model}: {events}");
        let receipts = stage.receipts(&run).await;
        assert_eq!(receipts.len(), 3, "{receipts:#?}");
        for receipt in &receipts {
            assert_eq!(receipt["status"], "success");
            assert_eq!(receipt["input_tokens"], answer.body["usage"]["prompt_tokens"], "{model}");
            assert_eq!(receipt["cost_usd"] == json!(0), vendor == Vendor::Ollama, "{receipt}");
        }
        assert_eq!(stage.vendors.get(vendor).calls(), 3);
    }
    stage.close().await;
}

/// Some clients add the version to their base URL, others expect it there, and Gemini has OpenAI's API below its own.
#[tokio::test(flavor = "multi_thread")]
async fn any_base_url_of_a_vendor_s_client_leads_to_its_api() {
    let stage = Stage::open().await;
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Say hello." }] }] });
    let message = json!({ "model": "claude-haiku-4-5", "max_tokens": 50,
        "messages": [{ "role": "user", "content": "Say hello." }] });
    for base in ["", "/v1", "/v1beta/openai"] {
        let answer = stage.post(6120, &format!("{base}/chat/completions"), chat("gpt-4-turbo")).await;
        assert_eq!((answer.status, &answer.body["object"]), (200, &json!("chat.completion")), "{base}");
        let known = stage.get(6120, &format!("{base}/models/gpt-4-turbo")).await;
        assert_eq!(known.body["id"], "gpt-4-turbo", "{base}: {}", known.body);
        let refused = stage.post(6120, &format!("{base}/chat/completions"), json!({})).await;
        assert!(refused.body["error"]["message"].is_string(), "in OpenAI's form: {}", refused.body);
    }
    for base in ["", "/v1", "/v1beta"] {
        let path = format!("{base}/models/gemini-2.5-flash:generateContent");
        let answer = stage.post(6120, &path, contents.clone()).await;
        assert!(answer.body["candidates"].is_array(), "{base}: {}", answer.body);
    }
    for base in ["", "/v1"] {
        let answer = stage.post(6120, &format!("{base}/messages"), message.clone()).await;
        assert_eq!((answer.status, &answer.body["type"]), (200, &json!("message")), "{base}");
        let counted = stage.post(6120, &format!("{base}/messages/count_tokens"), message.clone()).await;
        assert!(counted.body["input_tokens"].is_u64(), "{base}: {}", counted.body);
    }
    for path in ["/v1/v1/messages", "/v1beta/v1beta/models/m:generateContent"] {
        let refused = stage.post(6120, path, message.clone()).await;
        let sentence = refused.body["error"]["message"].as_str().unwrap_or_default();
        assert!(refused.status == 404 && sentence.contains("base URL"), "{path}: {}", refused.body);
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_and_responses_clients_are_served_by_any_vendor() {
    let stage = Stage::open().await;
    let message = json!({ "model": "gpt-4-turbo", "max_tokens": 50,
        "messages": [{ "role": "user", "content": "Say hello." }] });
    let answer = stage.post(6120, "/v1/messages", message.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["type"], &answer.body["role"]), (&json!("message"), &json!("assistant")));
    let mut stream = message;
    stream["stream"] = json!(true);
    let text = stage.post(6120, "/v1/messages", stream).await.body.as_str().unwrap().to_owned();
    assert!(text.starts_with("event: message_start") && text.contains("event: message_stop"), "{text}");
    let response = json!({ "model": "claude-haiku-4-5", "input": "Say hello." });
    let answer = stage.post(6120, "/v1/responses", response.clone()).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("completed")), "{}", answer.body);
    let mut stream = response;
    stream["stream"] = json!(true);
    let text = stage.post(6120, "/v1/responses", stream).await.body.as_str().unwrap().to_owned();
    assert!(text.contains("event: response.completed"), "{text}");
    let counted = stage.post(6120, "/v1/messages/count_tokens", count_body("claude-haiku-4-5")).await;
    assert_eq!(
        (counted.status, &counted.body),
        (200, &json!({ "input_tokens": 3 })),
        "the vendor's own count"
    );
    let mut elsewhere = count_body("gpt-4-turbo");
    elsewhere["max_tokens"] = json!(9);
    let counted = stage.post(6120, "/v1/messages/count_tokens", elsewhere).await;
    assert_eq!((counted.status, &counted.body), (200, &json!({ "input_tokens": 7 })), "an estimate");
    stage.close().await;
}

fn count_body(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello, world" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn ollamas_own_calls_are_served_on_its_port() {
    let stage = Stage::open().await;
    let prompt = json!({ "model": "llama3.1:8b", "prompt": "Say hello." });
    let whole = stage.post(8050, "/generate", prompt.clone()).await.body;
    assert_eq!(whole["done"], true, "{whole}");
    let lines = stage.post(8050, "/api/generate", prompt).await.body;
    let lines: Vec<Value> =
        lines.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: String = lines.iter().filter_map(|line| line["response"].as_str()).collect();
    assert_eq!(json!(said), whole["response"]);
    assert_eq!(lines.last().unwrap()["done"], true);
    let tags = stage.get(8050, "/api/tags").await.body;
    assert!(tags["models"].as_array().unwrap().iter().any(|model| model["name"] == "llama3.1:8b"), "{tags}");
    let running = stage.get(8050, "/api/ps").await;
    assert_eq!((running.status, &running.body), (200, &json!({ "models": [] })));
    assert_eq!(stage.get(8050, "/api/version").await.body["version"], "0.13.0");
    let shown = stage.post(8050, "/api/show", json!({ "model": "llama3.1:8b" })).await.body;
    assert!(shown["capabilities"].as_array().unwrap().contains(&json!("completion")), "{shown}");
    let health = stage.get(8050, "/health").await.body;
    assert_eq!((&health["status"], &health["model_loaded"]), (&json!("healthy"), &json!(true)), "{health}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_classifiers_port_has_the_chat_forms_of_its_model() {
    let stage = Stage::open().await;
    let answer = stage.post_as(8052, "/chat/completions", chat("auto"), "tlc").await;
    assert_eq!((answer.status, &answer.body["model"]), (200, &json!("tinyllama:1.1b")), "{}", answer.body);
    let lines = stage.post_as(8052, "/chat/completions", streamed("tinyllama:1.1b"), "tlc").await.body;
    assert!(lines.as_str().unwrap().ends_with("data: [DONE]\n\n"), "{lines}");
    let prompt = json!({ "model": "tinyllama:1.1b", "prompt": "Say hello." });
    let whole = stage.post_as(8052, "/generate", prompt.clone(), "tlc").await.body;
    assert_eq!((&whole["done"], &whole["model"]), (&json!(true), &json!("tinyllama:1.1b")), "{whole}");
    let mut stream = prompt;
    stream["stream"] = json!(true);
    let lines = stage.post_as(8052, "/generate", stream, "tlc").await.body;
    let last: Value = serde_json::from_str(lines.as_str().unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(last["done"], true, "{lines}");
    assert_eq!(stage.receipts("tlc").await.len(), 4, "each call has its receipt");
    // Each form has its errors, and so has the classifier.
    let broken = stage.post(8052, "/chat/completions", json!({ "messages": 7 })).await.body;
    assert!(broken["error"]["message"].is_string() && broken["detail"].is_string(), "{broken}");
    let broken = stage.post(8052, "/classify_domain", json!({ "query": "" })).await;
    assert!(broken.status == 422 && broken.body["detail"].is_array(), "{}", broken.body);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_of_a_model_port_names_its_provider() {
    let stage = Stage::open().await;
    let vendors = ["openai", "anthropic", "gemini", "grok", "ollama"];
    for ((_, port, _), vendor) in MODELS.into_iter().zip(vendors) {
        let root = stage.get(port, "/").await.body;
        assert_eq!(root["provider"], vendor, "{root}");
        let name = if port < 8100 { "local-model" } else { "model-adapter" };
        let document = bundled(&format!("{name}.json")).unwrap();
        assert_fits(&document, &json!({ "$ref": "#/components/schemas/Root" }), &root, name);
    }
    assert_eq!(stage.get(6103, "/").await.body["provider"], Value::Null, "that is no vendor's port");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_form_of_their_surface() {
    let stage = Stage::open().await;
    let unknown = stage.chat("gpt-99", "").await;
    assert_eq!((unknown.status, &unknown.body["error"]["code"]), (404, &json!("model_not_found")));
    let broken = stage.post(6120, "/v1/messages", json!({ "model": "m" })).await;
    assert_eq!((broken.status, &broken.body["error"]["type"]), (400, &json!("invalid_request_error")));
    let broken = stage.post(8050, "/api/chat", json!({ "messages": 7 })).await;
    assert!(broken.status == 400 && broken.body["error"].is_string(), "{}", broken.body);
    let routed = json!({ "request_id": "r", "agent": "a", "requirements": { "model": "gpt-99" } });
    let routed = stage.post(6120, "/route", routed).await;
    assert!(routed.status == 404 && routed.body["detail"].is_string(), "{}", routed.body);
    // Whatever their form, all say the same sentence where every port has it.
    for (port, path, body) in [
        (6120, "/v1/chat/completions", chat("gpt-99")),
        (6120, "/v1/messages", json!({ "model": "m" })),
        (6120, "/v1/nothing", json!({})),
        (8101, "/chat/completions", json!({ "messages": [] })),
        (8050, "/generate", json!({ "prompt": 7 })),
        (8050, "/api/nothing", json!({})),
    ] {
        let refused = stage.post(port, path, body).await;
        let said = refused.body["error"]["message"].as_str().or_else(|| refused.body["error"].as_str());
        assert!(refused.status >= 400 && said.is_some(), "{path}: {}", refused.body);
        assert_eq!(refused.body["detail"].as_str(), said, "{path}");
    }
    stage.close().await;
}

/// The secret of a daemon that wants one.
const TOKEN: &str = "0123456789abcdef";

/// Posts `{}` with these headers in place of the usual ones; the status and the body.
async fn raw(place: &Place, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let port = 6120 + place.offset;
    let bearer = format!("Bearer {TOKEN}");
    let usual = [("content-type", "application/json"), ("content-length", "2"), ("authorization", &bearer)];
    let usual = usual.iter().filter(|(name, _)| headers.iter().all(|(own, _)| own != name));
    let lines: String = usual.chain(headers).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n{lines}\r\n{{}}");
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_edge_have_the_form_of_their_path() {
    let place = Place::with_documents(1).setting("PAS_HTTP__TOKEN", TOKEN);
    let swarm = place.start().await;
    let wrong = ("authorization", "Bearer wrong-wrong-wrong");
    let (stranger, long, text) =
        (("origin", "http://evil.test"), ("content-length", "999999999"), ("content-type", "text/plain"));
    for (path, headers, status, code) in [
        ("/v1/chat/completions", &[wrong][..], 401, "invalid_api_key"),
        ("/v1/chat/completions", &[stranger], 403, "forbidden"),
        ("/v1/responses", &[long], 413, "request_too_large"),
        ("/v1/audio/speech", &[], 404, "unknown_url"),
    ] {
        let (found, body) = raw(&place, path, headers).await;
        let error = &body["error"];
        assert_eq!((found, &error["code"]), (status, &json!(code)), "{body}");
        assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &Value::Null));
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    for (path, headers, status, kind) in [
        ("/v1/messages", &[wrong][..], 401, "authentication_error"),
        ("/v1/messages", &[stranger], 403, "permission_error"),
        ("/v1/messages", &[long], 413, "request_too_large"),
        ("/v1/messages", &[text], 415, "invalid_request_error"),
        ("/v1/messages/batches", &[], 404, "not_found_error"),
        ("/v1/files", &[("anthropic-version", "2023-06-01")], 404, "not_found_error"),
    ] {
        let (found, body) = raw(&place, path, headers).await;
        assert_eq!((found, &body["error"]["type"]), (status, &json!(kind)), "{body}");
        assert!(body["type"] == "error" && body["error"]["message"].is_string(), "{body}");
    }
    let (status, own) = raw(&place, "/nothing", &[]).await;
    assert!(status == 404 && own["detail"].is_string(), "{own}");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_say_who_made_them_at_what_price() {
    let stage = Stage::open().await;
    let body = json!({ "model": "text-embedding-3-small", "input": ["Elbe", "Oder"] });
    let answer = stage.post_as(6120, "/v1/embeddings", body, "vectors").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-pas-model"), "text-embedding-3-small");
    assert!(header("x-pas-provider").starts_with("openai-") && !header("x-pas-request-id").is_empty());
    let receipt = stage.receipts("vectors").await.pop().unwrap();
    assert!(header("x-pas-cost-usd").parse::<f64>().unwrap() > 0.0);
    let tokens = answer.body["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(receipt["metadata"]["cost_nano_usd"], tokens * 20, "0.02 dollars per million tokens");
    let chat = stage.chat("text-embedding-3-small", "vectors").await;
    assert_eq!(chat.status, 404, "it makes no text: {}", chat.body);
    stage.close().await;
}
