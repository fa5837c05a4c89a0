//! The test servers themselves: what is asked, what comes, what is counted.

use std::time::{Duration, Instant};

use pas::domain::usage::Usage;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{At, Cut, FOREVER, Fault, KEY, RetryAfter, Server, Vendor};

/// Longer than any answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PROMPT: &str = "Hello, vendor of words";
const SAID: &str = "You said: Hello, vendor of words";

thread_local! {
    /// One a test (each has a thread of its own), as it takes long to build.
    static CLIENT: reqwest::Client = {
        // Already there after the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap()
    };
}

fn client() -> reqwest::Client {
    CLIENT.with(Clone::clone)
}

fn model(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenAi => "gpt-4-turbo",
        Vendor::Anthropic => "claude-sonnet-4-5",
        Vendor::Gemini => "gemini-2.5-flash",
        Vendor::Grok => "grok-4",
        Vendor::Ollama => "llama3.1:8b",
    }
}

/// The path of a chat and its body.
fn ask(vendor: Vendor, text: &str, stream: bool) -> (String, Value) {
    let messages = json!([{ "role": "user", "content": text }]);
    let mut body = json!({ "model": model(vendor), "messages": messages, "stream": stream });
    let path = match vendor {
        Vendor::OpenAi | Vendor::Grok => {
            if stream {
                body["stream_options"] = json!({ "include_usage": true });
            }
            "/chat/completions".to_owned()
        }
        Vendor::Anthropic => {
            body["max_tokens"] = json!(100);
            "/v1/messages".to_owned()
        }
        Vendor::Gemini => {
            body = json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] });
            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            format!("/v1beta/models/{}:{verb}", model(vendor))
        }
        Vendor::Ollama => "/api/chat".to_owned(),
    };
    (path, body)
}

fn request(server: &Server, path: &str, key: &str, body: &Value) -> RequestBuilder {
    let request = client().post(format!("{}{path}", server.url())).json(body);
    match server.vendor() {
        Vendor::Anthropic => request.header("x-api-key", key).header("anthropic-version", "2023-06-01"),
        Vendor::Gemini => request.header("x-goog-api-key", key),
        _ => request.bearer_auth(key),
    }
}

async fn send(server: &Server, stream: bool) -> reqwest::Result<Response> {
    let (path, body) = ask(server.vendor(), PROMPT, stream);
    request(server, &path, KEY, &body).send().await
}

async fn post(server: &Server, path: &str, body: &Value) -> (StatusCode, Value) {
    let answer = request(server, path, KEY, body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Waits for something that the server counts.
async fn until(there: impl Fn() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where the text of a whole answer is.
const fn text_at(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenAi | Vendor::Grok => "/choices/0/message/content",
        Vendor::Anthropic => "/content/0/text",
        Vendor::Gemini => "/candidates/0/content/parts/0/text",
        Vendor::Ollama => "/message/content",
    }
}

/// The documents of a stream.
fn events(vendor: Vendor, text: &str) -> Vec<Value> {
    let lines = text.lines().map(str::trim);
    let datas = lines.filter_map(|line| match vendor {
        Vendor::Ollama => Some(line).filter(|line| !line.is_empty()),
        _ => line.strip_prefix("data:").map(str::trim_start).filter(|data| *data != "[DONE]"),
    });
    datas.map(|data| serde_json::from_str(data).unwrap_or_else(|why| panic!("{why}: {data}"))).collect()
}

/// The text of a stream.
fn streamed(vendor: Vendor, text: &str) -> String {
    let at = match vendor {
        Vendor::OpenAi | Vendor::Grok => "/choices/0/delta/content",
        Vendor::Anthropic => "/delta/text",
        _ => text_at(vendor),
    };
    events(vendor, text).iter().filter_map(|event| event.pointer(at)?.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_vendor_answers_and_streams_the_same_text() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let whole: Value = send(&server, false).await.unwrap().json().await.unwrap();
        assert_eq!(whole.pointer(text_at(vendor)).unwrap(), SAID, "{whole}");
        let stream = send(&server, true).await.unwrap().text().await.unwrap();
        assert_eq!(streamed(vendor, &stream), SAID, "{stream}");
        let one = Usage { input: 6, output: 8, ..Usage::default() };
        assert_eq!(server.billed(), Usage { input: 2 * one.input, output: 2 * one.output, ..one });
        assert_eq!((server.calls(), server.left_early()), (2, 0));
        assert_eq!(server.seen()[0].body, ask(vendor, PROMPT, false).1);
    }
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_model_are_refused() {
    for vendor in [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok] {
        let server = Server::start(vendor).await;
        let (path, mut body) = ask(vendor, PROMPT, false);
        let refused = request(&server, &path, "wrong", &body).send().await.unwrap().status();
        assert_eq!(refused.as_u16(), if vendor == Vendor::Gemini { 400 } else { 401 });
        if body["model"].is_string() {
            body["model"] = json!("no-such-model");
        }
        let unknown = post(&server, &path.replace(model(vendor), "no-such-model"), &body).await;
        assert_eq!(unknown.0, StatusCode::NOT_FOUND, "{}", unknown.1);
        assert_eq!(server.billed(), Usage::default());
    }
}

#[tokio::test]
async fn faults_of_status_come_in_the_vendors_form_and_then_all_is_well() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let seconds = Fault::RateLimited(RetryAfter::Seconds(7));
        server.script([seconds, Fault::RateLimited(RetryAfter::Date(60)), Fault::Status(529)]);
        let limited = send(&server, true).await.unwrap();
        assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
        let header = limited.headers().get("retry-after").cloned();
        let body: Value = limited.json().await.unwrap();
        if vendor == Vendor::Gemini {
            assert_eq!(body["error"]["details"][0]["retryDelay"], "7s");
        } else {
            assert_eq!(header.unwrap(), "7", "{body}");
        }
        let dated = send(&server, false).await.unwrap();
        let date = dated.headers()["retry-after"].to_str().unwrap();
        assert!(jiff::fmt::rfc2822::parse(date).is_ok(), "{date}");
        let overloaded = send(&server, false).await.unwrap();
        assert_eq!(overloaded.status().as_u16(), 529);
        assert!(overloaded.json::<Value>().await.unwrap().is_object());
        assert!(server.script_is_done());
        assert!(send(&server, false).await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn cuts_are_seen_as_cuts() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        for how in [Cut::Close, Cut::Reset] {
            for stream in [false, true] {
                server.script(
                    [At::BeforeHeaders, At::BeforeFirstByte, At::After(2)].map(|at| Fault::Cut(at, how)),
                );
                assert!(send(&server, stream).await.is_err());
                assert!(send(&server, stream).await.unwrap().bytes().await.is_err());
                let mut cut = send(&server, stream).await.unwrap();
                assert!(!cut.chunk().await.unwrap().unwrap().is_empty());
                let end = loop {
                    match cut.chunk().await {
                        Ok(Some(_)) => {}
                        end => break end,
                    }
                };
                assert!(end.is_err(), "{vendor:?} {how:?} {stream}");
            }
        }
        assert_eq!(server.left_early(), 0, "it was the server that left");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_counted() {
    let server = Server::start(Vendor::OpenAi).await;
    let stalls = [
        Fault::StallBeforeHeaders(FOREVER),
        Fault::StallBeforeFirstByte(FOREVER),
        Fault::StallAfter(2, FOREVER),
    ];
    server.script(stalls);
    let short = Duration::from_millis(100);
    tokio::select! {
        answer = send(&server, true) => panic!("no stall: {answer:?}"),
        () = until(|| server.calls() == 1) => {}
    }
    for frames in [0, 1] {
        let mut answer = send(&server, true).await.unwrap();
        for _ in 0..frames {
            assert!(answer.chunk().await.unwrap().is_some());
        }
        let rest = async { while answer.chunk().await.unwrap().is_some() {} };
        assert!(tokio::time::timeout(short, rest).await.is_err());
        drop(answer);
    }
    until(|| server.left_early() == 3).await;
}

#[tokio::test]
async fn splits_and_odd_frames_say_the_same() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let plain = send(&server, true).await.unwrap().text().await.unwrap();
        let drip = Fault::Drip(64, Duration::from_micros(100));
        for fault in [Fault::EveryByte, Fault::Split(1), Fault::Split(2), drip] {
            server.script([fault]);
            assert_eq!(send(&server, true).await.unwrap().text().await.unwrap(), plain);
        }
        server.script([Fault::OddFrames, Fault::OddFrames, Fault::Split(3)]);
        let odd = send(&server, true).await.unwrap().text().await.unwrap();
        assert_ne!(odd, plain);
        assert_eq!(streamed(vendor, &odd), SAID, "{odd}");
        for _ in 0..2 {
            let whole: Value = send(&server, false).await.unwrap().json().await.unwrap();
            assert_eq!(whole.pointer(text_at(vendor)).unwrap(), SAID);
        }
    }
}

#[tokio::test]
async fn broken_bodies_are_broken() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let whole = async |fault| {
            server.script([fault]);
            send(&server, false).await.unwrap().text().await.unwrap()
        };
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        assert!(!is_json(&whole(Fault::MalformedJson).await));
        assert!(!is_json(&whole(Fault::MalformedFrames).await));
        assert!(whole(Fault::Html(200)).await.starts_with("<!DOCTYPE html>"));
        assert_eq!(whole(Fault::Empty).await, "");
        assert!(whole(Fault::Huge(3 << 20)).await.len() > 3 << 20);
        assert!(!whole(Fault::MissingUsage).await.to_lowercase().contains("usage"));
        server.script([Fault::None, Fault::MissingEnd, Fault::ErrorAfter(2), Fault::MissingUsage]);
        let plain = send(&server, true).await.unwrap().text().await.unwrap();
        let endless = send(&server, true).await.unwrap().text().await.unwrap();
        assert!(plain.starts_with(&endless) && endless.len() < plain.len());
        let failing = send(&server, true).await.unwrap().text().await.unwrap();
        assert!(!events(vendor, &failing).last().unwrap()["error"].is_null(), "{failing}");
        let silent = send(&server, true).await.unwrap().text().await.unwrap();
        let reports = ["\"usage\":{", "usageMetadata", "eval_count"];
        assert!(!reports.iter().any(|report| silent.contains(report)), "{silent}");
        assert_eq!(streamed(vendor, &silent), SAID);
    }
}

#[tokio::test]
async fn a_closed_port_refuses_until_it_is_open_again() {
    let server = Server::start(Vendor::Grok).await;
    server.down().await;
    assert!(send(&server, false).await.unwrap_err().is_connect());
    server.up().await;
    assert!(send(&server, false).await.unwrap().status().is_success());
}

fn weather() -> Value {
    json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } })
}

#[tokio::test]
async fn tools_are_called_in_parallel_and_their_results_read() {
    let server = Server::start(Vendor::OpenAi).await;
    let tool =
        |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": weather() } });
    let (path, mut body) = ask(Vendor::OpenAi, PROMPT, false);
    body["tools"] = json!([tool("now"), tool("soon")]);
    let (_, answer) = post(&server, &path, &body).await;
    let message = answer["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][1]["function"]["name"], "soon");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"city","days":7}"#);
    let id = |at: usize| message["tool_calls"][at]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    messages.push(json!({ "role": "tool", "tool_call_id": id(1), "content": "rain" }));
    let (status, missing) = post(&server, &path, &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{missing}");
    let more = json!({ "role": "tool", "tool_call_id": id(0), "content": "sun" });
    body["messages"].as_array_mut().unwrap().push(more);
    let (_, answer) = post(&server, &path, &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "The tools answered: rain; sun");
    body["parallel_tool_calls"] = json!(false);
    body["messages"] = json!([{ "role": "user", "content": "again" }]);
    let (_, answer) = post(&server, &path, &body).await;
    assert_eq!(answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn anthropic_has_its_rules() {
    let server = Server::start(Vendor::Anthropic).await;
    let (path, mut body) = ask(Vendor::Anthropic, PROMPT, false);
    body["temperature"] = json!(0.5);
    assert!(post(&server, &path, &body).await.0.is_success(), "the older version has it");
    let newer = client().post(format!("{}{path}", server.url())).bearer_auth(KEY);
    let newer = newer.header("anthropic-version", "2026-10-21").json(&body).send().await.unwrap();
    assert_eq!(newer.status(), StatusCode::BAD_REQUEST);
    let long = "long ".repeat(2000);
    let marked = |ttl: &str| json!({ "type": "ephemeral", "ttl": ttl });
    body["system"] = json!([{ "type": "text", "text": long, "cache_control": marked("1h") }]);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    let first = post(&server, &path, &body).await.1;
    assert_eq!(first["usage"]["cache_creation"]["ephemeral_1h_input_tokens"], 2500);
    assert_eq!(first["usage"]["input_tokens"], 6);
    assert_eq!(first["content"][0]["type"], "thinking");
    let second = post(&server, &path, &body).await.1;
    assert_eq!(second["usage"]["cache_read_input_tokens"], 2500);
    let (_, count) = post(&server, "/v1/messages/count_tokens", &body).await;
    assert_eq!(count["input_tokens"], 2506);
    assert_eq!(server.calls(), 4, "a count is no call");
}

#[tokio::test]
async fn anthropic_streams_all_kinds_of_events() {
    let server = Server::start(Vendor::Anthropic).await;
    let (path, mut body) = ask(Vendor::Anthropic, PROMPT, true);
    body["tools"] = json!([{ "name": "now", "input_schema": weather() }]);
    body["thinking"] = json!({ "type": "adaptive" });
    let text = request(&server, &path, KEY, &body).send().await.unwrap().text().await.unwrap();
    let all = events(Vendor::Anthropic, &text);
    let kinds = ["message_start", "content_block_start", "ping", "content_block_stop", "message_delta"];
    assert!(kinds.iter().all(|kind| all.iter().any(|event| event["type"] == *kind)), "{text}");
    let bits = all.iter().filter_map(|event| event["delta"]["partial_json"].as_str());
    assert_eq!(bits.collect::<String>(), r#"{"city":"city","days":7}"#);
    assert_eq!(all.last().unwrap()["type"], "message_stop");
}

#[tokio::test]
async fn gemini_has_its_rules() {
    let server = Server::start(Vendor::Gemini).await;
    let (path, mut body) = ask(Vendor::Gemini, PROMPT, false);
    body["generation_config"] = json!({ "thinking_config": { "include_thoughts": true } });
    let (_, answer) = post(&server, &path, &body).await;
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["thought"], true);
    assert_eq!(answer["usageMetadata"]["thoughtsTokenCount"], 64);
    assert_eq!(answer["usageMetadata"]["totalTokenCount"], 6 + 8 + 64);
    body["tools"] = json!([{ "functionDeclarations": [{ "name": "now", "parameters": weather() }] }]);
    let (_, answer) = post(&server, &path.replace("v1beta", "v1"), &body).await;
    let call = &answer["candidates"][0]["content"]["parts"][1]["functionCall"];
    assert_eq!(call, &json!({ "name": "now", "args": { "city": "city", "days": 7 } }));
    server.script([Fault::PromptFiltered]);
    let (status, blocked) = post(&server, &path, &body).await;
    assert!(status.is_success() && blocked["promptFeedback"]["blockReason"].is_string());
    body["temperature"] = json!(1);
    assert_eq!(post(&server, &path, &body).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn usage_can_be_told_and_each_vendor_reports_it_in_its_way() {
    let told = Usage { input: 10, cache_read: 20, output: 40, reasoning: 30, ..Usage::default() };
    let report = async |vendor| {
        let server = Server::start(vendor).await;
        server.bill(Some(told));
        let body: Value = send(&server, false).await.unwrap().json().await.unwrap();
        assert_eq!(server.billed(), told);
        body
    };
    let openai = report(Vendor::OpenAi).await["usage"].clone();
    assert_eq!(
        (openai["prompt_tokens"].as_u64(), openai["completion_tokens"].as_u64()),
        (Some(30), Some(40))
    );
    let grok = report(Vendor::Grok).await["usage"].clone();
    assert_eq!((grok["completion_tokens"].as_u64(), grok["total_tokens"].as_u64()), (Some(10), Some(70)));
    let anthropic = report(Vendor::Anthropic).await["usage"].clone();
    assert_eq!(
        (anthropic["input_tokens"].as_u64(), anthropic["output_tokens"].as_u64()),
        (Some(10), Some(40))
    );
    let gemini = report(Vendor::Gemini).await["usageMetadata"].clone();
    assert_eq!(
        (gemini["promptTokenCount"].as_u64(), gemini["candidatesTokenCount"].as_u64()),
        (Some(30), Some(10))
    );
}

#[tokio::test]
async fn openai_refuses_what_reasoning_models_do_not_take() {
    let server = Server::start(Vendor::OpenAi).await;
    let (path, mut body) = ask(Vendor::OpenAi, PROMPT, false);
    body["model"] = json!("gpt-5-codex");
    body["max_completion_tokens"] = json!(2);
    let (_, short) = post(&server, &path, &body).await;
    assert_eq!(short["choices"][0]["finish_reason"], "length");
    body["max_tokens"] = json!(100);
    let (status, refused) = post(&server, &path, &body).await;
    assert_eq!((status.as_u16(), refused["error"]["code"].as_str()), (400, Some("unsupported_parameter")));
    let long =
        json!({ "model": "gpt-3.5-turbo", "messages": [{ "role": "user", "content": "x".repeat(80_000) }] });
    assert_eq!(post(&server, &path, &long).await.1["error"]["code"], "context_length_exceeded");
    let texts = json!({ "model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8 });
    let (_, vectors) = post(&server, "/embeddings", &texts).await;
    assert_eq!(vectors["data"][1]["embedding"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn ollama_lists_generates_and_embeds() {
    let server = Server::start(Vendor::Ollama).await;
    let tags: Value =
        client().get(format!("{}/api/tags", server.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(tags["models"][0]["name"], "llama3.1:8b");
    let body = json!({ "model": "llama3.1:8b", "prompt": "Hi", "stream": false });
    assert_eq!(post(&server, "/api/generate", &body).await.1["response"], "You said: Hi");
    let body = json!({ "model": "llama3.1:8b", "input": ["a", "b"] });
    assert_eq!(post(&server, "/api/embed", &body).await.1["embeddings"].as_array().unwrap().len(), 2);
    let (path, mut body) = ask(Vendor::Ollama, PROMPT, false);
    body["model"] = json!("tinyllama:1.1b");
    body["tools"] = json!([{ "type": "function", "function": { "name": "now" } }]);
    assert_eq!(post(&server, &path, &body).await.0, StatusCode::BAD_REQUEST);
}
