//! Searches that a vendor runs for an answer: billed beside its tokens, at a known fee or at one that is stated.

use serde_json::{Value, json};

use super::Stage;
use crate::vendor::{Fault, SaidAnswer, Vendor};

/// The receipt of one call whose vendor answers this.
async fn receipt(
    stage: &Stage,
    vendor: Vendor,
    path: &str,
    body: Value,
    answer: SaidAnswer,
    run: &str,
) -> Value {
    stage.vendors.get(vendor).script([Fault::Say(answer)]);
    let reply = stage.post_as(6120, path, body, run).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    stage.receipts(run).await.pop().unwrap()
}

#[track_caller]
fn assert_cost(receipt: &Value, searches: u64, nanos: u64) {
    let metadata = &receipt["metadata"];
    assert_eq!(
        (&metadata["searches"], &metadata["cost_nano_usd"]),
        (&json!(searches), &json!(nanos)),
        "{receipt}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_openai_are_billed_whole_and_streamed() {
    let stage = Stage::open().await;
    let usage = json!({ "input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100 });
    let search =
        json!({ "type": "web_search_call", "id": "ws", "action": { "type": "search", "query": "q" } });
    let opened =
        json!({ "type": "web_search_call", "id": "wo", "action": { "type": "open_page", "url": "u" } });
    let response = json!({ "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5.5",
        "output": [search, opened, search], "usage": usage });
    let asked = json!({ "model": "gpt-5.5", "input": "rivers", "tools": [{ "type": "web_search" }] });
    let whole = SaidAnswer::json(200, &[], &response);
    let whole = receipt(&stage, Vendor::OpenAi, "/v1/responses", asked.clone(), whole, "whole").await;
    // 5 and 30 dollars a million tokens, and ten dollars a thousand searches.
    let nanos = 1_000 * 5_000 + 100 * 30_000 + 2 * 10_000_000;
    assert_cost(&whole, 2, nanos);
    assert_eq!(whole["error_message"], Value::Null, "the fee is known");
    let done = json!({ "type": "response.completed", "response": response });
    let events =
        SaidAnswer::good("text/event-stream", format!("event: response.completed\ndata: {done}\n\n"));
    let mut asked = asked;
    asked["stream"] = json!(true);
    assert_cost(&receipt(&stage, Vendor::OpenAi, "/v1/responses", asked, events, "streamed").await, 2, nanos);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_gemini_are_billed_by_the_query_whole_and_streamed() {
    let stage = Stage::open().await;
    let grounded = json!({
        "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "parts": [{ "text": "x" }] },
            "groundingMetadata": { "webSearchQueries": ["a", "b", "c"] } }],
        "usageMetadata": { "promptTokenCount": 1_000, "candidatesTokenCount": 100 },
    });
    let asked =
        json!({ "contents": [{ "parts": [{ "text": "rivers" }] }], "tools": [{ "googleSearch": {} }] });
    let path = |method: &str| format!("/v1beta/models/gemini-3.5-flash:{method}");
    let whole = SaidAnswer::json(200, &[], &grounded);
    let whole =
        receipt(&stage, Vendor::Gemini, &path("generateContent"), asked.clone(), whole, "whole").await;
    // 1.5 and 9 dollars a million tokens, and 14 dollars a thousand searches.
    let nanos = 1_000 * 1_500 + 100 * 9_000 + 3 * 14_000_000;
    assert_cost(&whole, 3, nanos);
    let events = || SaidAnswer::good("text/event-stream", format!("data: {grounded}\n\n"));
    let path = path("streamGenerateContent?alt=sse");
    let streamed = receipt(&stage, Vendor::Gemini, &path, asked.clone(), events(), "streamed").await;
    assert_cost(&streamed, 3, nanos);
    // An older model is billed by the prompt: 0.1 and 0.4 dollars a million tokens, and 35 dollars a thousand.
    let path = "/v1beta/models/gemini-2.5-flash-lite:streamGenerateContent?alt=sse";
    let older = receipt(&stage, Vendor::Gemini, path, asked, events(), "older").await;
    assert_cost(&older, 1, 1_000 * 100 + 100 * 400 + 35_000_000);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_searches_that_a_request_allows_are_held() {
    let stage = Stage::open().await;
    let held = async |path: &str, model: &str, more: Value| {
        let mut asked = json!({ "model": model, "max_tokens": 50, "input": "rivers",
            "messages": [{ "role": "user", "content": "rivers" }] });
        let unused = if path == "/v1/messages" { "input" } else { "messages" };
        asked.as_object_mut().unwrap().remove(unused);
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = stage.post_as(6120, path, asked, "held").await;
        let receipt = stage.receipts("held").await.pop().unwrap_or_else(|| panic!("{}", reply.body));
        receipt["metadata"]["hold_nano_usd"].as_u64().unwrap()
    };
    let uses = |uses: Value| json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search", "max_uses": uses }] });
    let messages = async |more: Value| held("/v1/messages", "claude-haiku-4-5", more).await;
    // Ten dollars a thousand at both vendors.
    assert_eq!(messages(uses(json!(5))).await - messages(uses(json!(2))).await, 3 * 10_000_000);
    let responses = async |calls: u64| {
        let more = json!({ "tools": [{ "type": "web_search" }], "max_tool_calls": calls });
        held("/v1/responses", "gpt-5.5", more).await
    };
    assert_eq!(responses(9).await - responses(1).await, 8 * 10_000_000);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_whose_fee_nobody_states_is_charged_at_the_dearest_and_the_receipt_says_so() {
    let stage = Stage::open().await;
    let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "grok-4.7",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "x" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100, "num_sources_used": 4 } });
    let asked = super::chat("grok-4.7");
    let said = SaidAnswer::json(200, &[], &answer);
    let receipt = receipt(&stage, Vendor::Grok, "/v1/chat/completions", asked, said, "sources").await;
    // 2 and 6 dollars a million tokens, and the dearest fee known: 35 dollars a thousand.
    assert_cost(&receipt, 4, 1_000 * 2_000 + 100 * 6_000 + 4 * 35_000_000);
    let note = receipt["error_message"].as_str().unwrap();
    assert!(note.contains("4 searches") && note.contains("35 US dollars"), "{note}");
    assert_eq!(receipt["status"], "success");
    stage.close().await;
}
