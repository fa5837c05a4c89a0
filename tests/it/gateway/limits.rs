//! What budgets and rate limits mean for calls that are passed on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Stage;
use super::passage::{last, post, sent};
use crate::vendor::{Fault, SaidAnswer, Vendor};

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_shortens_an_answer_before_it_refuses_one() {
    let stage = Stage::open().await;
    // What a coding agent sends first: 77 kB, and a limit that alone may cost a dollar.
    let prompt = "words ".repeat(13_000);
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":64000,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    stage.put(6120, "/budgets/run:agent", json!({ "budget_usd": 1 })).await;
    let reply = post(&stage, "/v1/messages", &body, &[], "agent").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let lowered: u64 = reply.header("x-pas-max-tokens").parse().unwrap();
    assert!((1_024..64_000).contains(&lowered), "{lowered}");
    let wanted = body.replace("64000", &lowered.to_string());
    assert_eq!(sent(&last(&stage, Vendor::Anthropic)), wanted, "nothing else differs");
    let receipt = stage.receipts("agent").await.pop().unwrap();
    assert!(receipt["metadata"]["hold_nano_usd"].as_u64() <= Some(1_000_000_000), "{receipt}");
    // The client says what is too short to be of use; and where nothing fits, the budget refuses.
    let reply = post(&stage, "/v1/messages", &body, &[("x-pas-min-tokens", "63000")], "agent").await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (429, &json!("billing_error")));
    stage.put(6120, "/budgets/run:poor", json!({ "budget_usd": 0.01 })).await;
    assert_eq!(post(&stage, "/v1/messages", &body, &[], "poor").await.status, 429);
    assert!(stage.receipts("poor").await.is_empty());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_limit_gets_the_model_s_own_unless_a_budget_needs_one() {
    let stage = Stage::open().await;
    let body = r#"{"model":"gpt-5-codex","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(post(&stage, "/v1/chat/completions", body, &[], "free").await.status, 200);
    assert_eq!(sent(&last(&stage, Vendor::OpenAi)), body);
    stage.put(6120, "/budgets/run:capped", json!({ "budget_usd": 5 })).await;
    assert_eq!(post(&stage, "/v1/chat/completions", body, &[], "capped").await.status, 200);
    let limit = last(&stage, Vendor::OpenAi).body["max_completion_tokens"].as_u64();
    assert!(limit > Some(1_000), "{limit:?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_callers_of_a_limited_model_are_told_what_the_first_was() {
    let stage = Stage::open().await;
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let error = json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "weekly" } });
    let headers = [("retry-after", "600"), ("anthropic-ratelimit-unified-status", "rejected")];
    let server = stage.vendors.get(Vendor::Anthropic);
    server.script([Fault::Say(SaidAnswer::json(429, &headers, &error))]);
    for caller in ["first", "second", "third"] {
        let reply = post(&stage, "/v1/messages", body, &[], caller).await;
        assert_eq!(reply.status, 429, "{caller}: {}", reply.text);
        assert_eq!(reply.json()["error"]["message"], "weekly");
        assert_eq!(reply.header("anthropic-ratelimit-unified-status"), "rejected");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((590..=600).contains(&wait), "{wait}");
    }
    assert_eq!((server.calls(), stage.receipts("second").await.len()), (1, 0));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_resets_soon_is_waited_for() {
    let stage = Stage::open().await;
    let error = json!({ "error": { "message": "Please try again in 1s.", "type": "tokens", "code": "rate_limit_exceeded" } });
    let headers = [("x-ratelimit-reset-tokens", "1s"), ("x-ratelimit-remaining-tokens", "0")];
    stage.vendors.get(Vendor::Grok).script([Fault::Say(SaidAnswer::json(429, &headers, &error))]);
    let begun = Instant::now();
    let body = r#"{"model":"grok-4","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let reply = post(&stage, "/v1/chat/completions", body, &[], "reset").await;
    assert!(reply.status == 200 && begun.elapsed() >= Duration::from_secs(1), "{}", reply.text);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_responses_is_asked_for_a_chat() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    let missing = json!({ "detail": "Not Found" });
    server.script([Fault::Say(SaidAnswer::json(404, &[], &missing))]);
    let body = r#"{"model":"gpt-4-turbo","input":"hi","tools":[]}"#;
    for calls in [2, 3] {
        let reply = post(&stage, "/v1/responses", body, &[], "server").await;
        assert_eq!((reply.status, &reply.json()["object"]), (200, &json!("response")), "{}", reply.text);
        assert_eq!(
            (server.calls(), last(&stage, Vendor::OpenAi).path.as_str()),
            (calls, "/v1/chat/completions")
        );
    }
    let costs: Vec<Value> =
        stage.receipts("server").await.iter().map(|receipt| receipt["status"].clone()).collect();
    assert_eq!(costs, [json!("error"), json!("success"), json!("success")]);
    // Without a way to say it as a chat, it is refused by its name.
    let custom = r#"{"model":"gpt-4-turbo","input":"hi","tools":[{"type":"custom","name":"p"}]}"#;
    let reply = post(&stage, "/v1/responses", custom, &[], "server").await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("tools[0].type")));
    stage.close().await;
}
