//! Budgets at the gateway: refusals with what is left, windows, a caller that leaves.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::{Stage, chat, streamed};
use crate::support::until;
use crate::vendor::{Fault, Vendor};

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_refuses_what_it_cannot_hold_and_says_what_is_left() {
    let stage = Stage::open().await;
    let set = stage.post(6120, "/budget?run_id=poor&budget_usd=0.000001", json!({})).await;
    assert_eq!((set.status, &set.body["status"]), (200, &json!("Budget set successfully")), "{}", set.body);
    let refused = stage.chat("gpt-4-turbo", "poor").await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (429, &json!("insufficient_quota")));
    assert_eq!(refused.body["error"]["remaining_usd"], json!(0.000001));
    assert_eq!(refused.headers["x-should-retry"], "false");
    assert_eq!(stage.vendors.get(Vendor::OpenAi).calls(), 0, "nothing was sent");
    let message =
        json!({ "model": "gpt-4-turbo", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    let refused = stage.post_as(6120, "/v1/messages", message, "poor").await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (429, &json!("billing_error")));
    let free = stage.chat("llama3.1:8b", "poor").await;
    assert_eq!(free.status, 200, "what is free is always granted");
    assert_eq!(stage.post(6120, "/budget?run_id=poor&budget_usd=0", json!({})).await.status, 400);
    assert_eq!(stage.get(6120, "/budget/nobody").await.body["budget_set"], false);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_is_in_budget_windows_and_file() {
    let stage = Stage::open().await;
    stage.post(6120, "/budget?run_id=rich&budget_usd=10", json!({})).await;
    let mut routed = json!({ "request_id": "r-1", "run_id": "rich", "agent": "architect",
        "requirements": { "model": "openai/gpt-4-turbo" } });
    routed["payload"] = json!({ "messages": chat("")["messages"], "max_tokens": 50 });
    let answer = stage.post(6120, "/route", routed).await;
    assert_eq!(
        (answer.status, &answer.body["provider"]),
        (200, &json!("openai-gpt-4-turbo")),
        "{}",
        answer.body
    );
    let cost = &answer.body["cost"]["cost_usd"];
    let budget = stage.get(6120, "/budget/rich").await.body;
    assert_eq!((&budget["spent_usd"], &budget["held_usd"]), (cost, &json!(0)), "{budget}");
    let metrics = stage.get(6120, "/metrics?window=hour").await.body;
    assert_eq!((&metrics["total_cost_usd"], &metrics["total_requests"]), (cost, &json!(1)), "{metrics}");
    assert_eq!(stage.get(6120, "/metrics?window=year").await.status, 400);
    let file = stage.place.dir.path().join("artifacts/costs/rich.jsonl");
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(file).unwrap().trim()).unwrap();
    assert_eq!((&line["cost_usd"], &line["request_id"]), (cost, &json!("r-1")));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_is_paid_for_by_what_was_used() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    server.script([Fault::Drip(40, Duration::from_millis(20))]);
    let request = reqwest_post(&stage, streamed("gpt-4-turbo"), "left");
    let mut body = request.send().await.unwrap().bytes_stream();
    assert!(body.next().await.unwrap().is_ok());
    drop(body);
    let settled = async || stage.receipts("left").await.pop();
    let receipt = until("the call is settled", settled).await;
    assert_eq!(receipt["status"], "success", "{receipt}");
    assert!(receipt["output_tokens"].as_u64().unwrap() > 0, "{receipt}");
    assert_eq!(server.left_early(), 0, "the answer was read to its end");
    stage.close().await;
}

fn reqwest_post(stage: &Stage, body: serde_json::Value, run: &str) -> reqwest::RequestBuilder {
    let url = stage.url(6120, "/v1/chat/completions");
    crate::support::http_client().post(url).json(&body).header("x-pas-run-id", run)
}
