//! What each vendor has of its own.

use pas::domain::usage::TokenUsage;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::{Fault, KEY, Server, Vendor};
use super::*;

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
    let told = TokenUsage { input: 10, cache_read: 20, output: 40, reasoning: 30, ..TokenUsage::default() };
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
