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
    let tokens = whole["metadata"]["cost_nano_usd"].as_u64().unwrap() - 3 * 14_000_000;
    assert_cost(&whole, 3, tokens + 3 * 14_000_000);
    assert!((1..14_000_000).contains(&tokens), "{whole}");
    let events = SaidAnswer::good("text/event-stream", format!("data: {grounded}\n\n"));
    let path = path("streamGenerateContent?alt=sse");
    let streamed = receipt(&stage, Vendor::Gemini, &path, asked, events, "streamed").await;
    assert_cost(&streamed, 3, tokens + 3 * 14_000_000);
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
