//! The test servers themselves: what is asked, what comes, what is counted.

mod faults;
mod plays;
mod rules;
mod talk;

use std::time::{Duration, Instant};

use pas::domain::usage::TokenUsage;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{KEY, Server, Vendor};

/// Longer than any answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PROMPT: &str = "Hello, vendor of words";
const SAID: &str = "You said: Hello, vendor of words";

thread_local! {
    /// One a test (each has a thread of its own), as it takes long to build.
    static CLIENT: reqwest::Client = {
        let builder = pas::llm::tls::plain_client_builder().unwrap();
        builder.timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap()
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
        let one = TokenUsage { input: 6, output: 8, ..TokenUsage::default() };
        assert_eq!(server.billed(), TokenUsage { input: 2 * one.input, output: 2 * one.output, ..one });
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
        assert_eq!(server.billed(), TokenUsage::default());
    }
}
