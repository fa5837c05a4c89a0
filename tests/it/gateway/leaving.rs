//! Streams that nobody waits for any more: closed at their vendor at once, and charged by what was seen.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{Stage, chat, streamed};
use crate::support::{http_client, until};
use crate::vendor::{FOREVER, Fault, SaidAnswer, Vendor};

fn responses(model: &str) -> Value {
    json!({ "model": model, "input": "Say hello.", "stream": true, "max_output_tokens": 500 })
}

fn completion(model: &str) -> Value {
    json!({ "model": model, "prompt": "Say hello.", "stream": true, "max_tokens": 500 })
}

/// Reads the first piece of a stream and closes the connection.
async fn leave(stage: &Stage, path: &str, body: &Value, run: &str) {
    let request = http_client().post(stage.url(6120, path)).json(body).header("x-pas-run-id", run);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{run}");
    let mut pieces = response.bytes_stream();
    assert!(pieces.next().await.unwrap().is_ok());
}

async fn receipt(stage: &Stage, run: &str) -> Value {
    until("the call is settled", async || stage.receipts(run).await.pop()).await
}

/// An estimate: an error on the wire, with tokens of both kinds, below its hold.
#[track_caller]
fn assert_estimated(receipt: &Value) {
    let metadata = &receipt["metadata"];
    let nanos = |name: &str| metadata[name].as_u64().unwrap();
    assert_eq!((&receipt["status"], &metadata["estimated"]), (&json!("error"), &json!(true)), "{receipt}");
    assert!(receipt["error_message"].as_str().unwrap().contains("charged by"), "{receipt}");
    assert!(receipt["input_tokens"].as_u64() > Some(0), "{receipt}");
    assert!((1..nanos("hold_nano_usd")).contains(&nanos("cost_nano_usd")), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_leaves_is_closed_at_once_and_charged_by_what_was_seen() {
    let stage = Stage::open().await;
    // Each surface passed on and translated; the vendor would go on for ever.
    for (number, (path, body, vendor)) in [
        ("/v1/chat/completions", streamed("gpt-4-turbo"), Vendor::OpenAi),
        ("/v1/completions", completion("gpt-3.5-turbo"), Vendor::OpenAi),
        ("/v1/responses", responses("gpt-5-codex"), Vendor::OpenAi),
        ("/v1/messages", streamed("claude-haiku-4-5"), Vendor::Anthropic),
        ("/v1/chat/completions", streamed("claude-haiku-4-5"), Vendor::Anthropic),
        ("/v1/messages", streamed("gemini-2.5-pro"), Vendor::Gemini),
        ("/v1/chat/completions", streamed("grok-4"), Vendor::Grok),
    ]
    .into_iter()
    .enumerate()
    {
        let server = stage.vendors.get(vendor);
        let (before, run) = (server.left_early(), format!("left-{number}"));
        server.script([Fault::StallAfter(1, FOREVER)]);
        leave(&stage, path, &body, &run).await;
        let closed = async || (server.left_early() > before).then_some(());
        until(&format!("the vendor's connection of {run} is closed"), closed).await;
        let receipt = receipt(&stage, &run).await;
        assert_estimated(&receipt);
        // OpenAI and Grok count hidden thoughts at the end only.
        let is_said = receipt["error_message"].as_str().unwrap().contains("hidden reasoning");
        assert_eq!(
            is_said,
            ["gpt-5-codex", "grok-4"].contains(&body["model"].as_str().unwrap()),
            "{receipt}"
        );
        assert_eq!(stage.receipts(&run).await.len(), 1, "nothing was asked again");
    }
    assert_eq!(stage.get(6120, "/budgets/day").await.body["held_usd"], json!(0), "every hold is settled");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendor_s_own_figures_count_and_the_rest_by_a_tokenizer() {
    let stage = Stage::open().await;
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let start = json!({ "type": "message_start", "message": { "id": "m", "content": [], "usage": {
        "input_tokens": 1_000, "cache_read_input_tokens": 4_000, "output_tokens": 1 } } });
    let delta = json!({ "type": "content_block_delta", "index": 0, "delta": {
        "type": "text_delta", "text": "tiktoken is great!" } });
    let said = event("message_start", start) + &event("content_block_delta", delta);
    let server = stage.vendors.get(Vendor::Anthropic);
    server.script([Fault::SayAndWait(SaidAnswer::good("text/event-stream", said))]);
    leave(&stage, "/v1/messages", &streamed("claude-haiku-4-5"), "figures").await;
    let receipt = receipt(&stage, "figures").await;
    assert_estimated(&receipt);
    // One dollar a million, a tenth of it from the cache, five for output: six tokens by OpenAI's table.
    assert_eq!(
        receipt["metadata"]["cost_nano_usd"],
        json!(1_000 * 1_000 + 4_000 * 100 + 6 * 5_000),
        "{receipt}"
    );
    // The budget has it, and nothing more is held.
    stage.put(6120, "/budgets/run:figures", json!({ "budget_usd": 0.002 })).await;
    let budget = stage.get(6120, "/budget/figures").await.body;
    assert_eq!((&budget["spent_usd"], &budget["held_usd"]), (&json!(0.00143), &json!(0)), "{budget}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_first_piece_pays_its_prompt_and_asks_for_nothing_more() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    server.script([Fault::StallBeforeHeaders(FOREVER)]);
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(&streamed("gpt-4-turbo"));
    let sent = request.header("x-pas-run-id", "early").send();
    let is_asked = until("the vendor was asked", async || (server.calls() == 1).then_some(()));
    tokio::select! {
        answered = sent => panic!("{answered:?}"),
        () = is_asked => {}
    }
    until("the vendor's connection is closed", async || (server.left_early() == 1).then_some(())).await;
    let receipt = receipt(&stage, "early").await;
    assert_estimated(&receipt);
    assert_eq!((&receipt["output_tokens"], server.calls()), (&json!(0), 1), "{receipt}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_come_whole_is_charged_by_its_usage_although_its_client_left() {
    let stage = Stage::open().await;
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        { "index": 0, "delta": { "content": "x" }, "finish_reason": "stop" }], "usage": usage });
    let whole = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    stage
        .vendors
        .get(Vendor::OpenAi)
        .script([Fault::SayAndWait(SaidAnswer::good("text/event-stream", whole))]);
    leave(&stage, "/v1/chat/completions", &streamed("gpt-4-turbo"), "whole").await;
    let receipt = receipt(&stage, "whole").await;
    assert_eq!((&receipt["status"], &receipt["output_tokens"]), (&json!("success"), &json!(4)), "{receipt}");
    assert_eq!(receipt["metadata"]["estimated"], Value::Null);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_is_waited_for_and_charged_by_its_usage() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    server.script([Fault::Drip(64, std::time::Duration::from_millis(20))]);
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(&chat("gpt-4-turbo"));
    let sent = request.header("x-pas-run-id", "unwatched").send();
    let is_asked = until("the vendor was asked", async || (server.calls() == 1).then_some(()));
    tokio::select! {
        answered = sent => panic!("{answered:?}"),
        () = is_asked => {}
    }
    let receipt = receipt(&stage, "unwatched").await;
    assert_eq!(receipt["status"], "success", "{receipt}");
    assert!(receipt["output_tokens"].as_u64() > Some(0), "{receipt}");
    stage.close().await;
}
