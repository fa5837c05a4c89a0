//! OpenAI's old completions of a text: passed on where they are spoken, refused in words elsewhere.

use serde_json::json;

use super::Stage;
use super::passage::{last, post, sent};
use crate::vendor::Vendor;

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_passes_whole_and_streamed_and_is_paid_by_its_usage() {
    let stage = Stage::open().await;
    let body = r#"{"model":"gpt-3.5-turbo","prompt":"The Elbe flows","max_tokens":40, "suffix":null,"zeta":{"b":1,"a":2}}"#;
    for path in ["/v1/completions", "/completions"] {
        let reply = post(&stage, path, body, &[], "whole").await;
        let answer = reply.json();
        assert_eq!((reply.status, &answer["object"]), (200, &json!("text_completion")), "{answer}");
        assert_eq!(answer["choices"][0]["text"], "You said: The Elbe flows");
        let heard = last(&stage, Vendor::OpenAi);
        assert_eq!((sent(&heard), heard.path.as_str()), (body, "/v1/completions"), "byte for byte");
        let receipt = stage.receipts("whole").await.pop().unwrap();
        assert_eq!(receipt["input_tokens"], answer["usage"]["prompt_tokens"]);
        // 0.5 dollars a million tokens in, 1.5 out.
        let [input, output] =
            ["prompt_tokens", "completion_tokens"].map(|name| answer["usage"][name].as_u64().unwrap());
        assert_eq!(receipt["metadata"]["cost_nano_usd"], json!(input * 500 + output * 1_500), "{receipt}");
    }
    let streamed = body.replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"");
    let reply = post(&stage, "/v1/completions", &streamed, &[], "streamed").await;
    let pieces = reply.text.matches("\"text\":").count();
    assert!(reply.text.ends_with("data: [DONE]\n\n") && pieces > 3, "{}", reply.text);
    assert!(!reply.text.contains("\"usage\""), "the client asked for none: {}", reply.text);
    let receipt = stage.receipts("streamed").await.pop().unwrap();
    assert!(receipt["output_tokens"].as_u64() > Some(0) && receipt["status"] == "success", "{receipt}");
    let asked = streamed.replace("\"zeta\"", "\"stream_options\":{\"include_usage\":true},\"zeta\"");
    let reply = post(&stage, "/v1/completions", &asked, &[], "streamed").await;
    assert!(reply.text.contains("\"usage\":{"), "{}", reply.text);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_a_completion_may_bill_is_held() {
    let stage = Stage::open().await;
    let held = async |more: &str| {
        let body = format!(r#"{{"model":"gpt-3.5-turbo","prompt":{more},"max_tokens":1000}}"#);
        let reply = post(&stage, "/v1/completions", &body, &[], "held").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        stage.receipts("held").await.pop().unwrap()["metadata"]["hold_nano_usd"].as_u64().unwrap()
    };
    let one = held(r#""a""#).await;
    // A thousand tokens at 1.5 dollars a million.
    let answer = 1_000 * 1_500;
    let more = async |prompt: &str| (held(prompt).await - one) / answer;
    assert_eq!(more(r#""a","n":2"#).await, 1);
    assert_eq!(more(r#""a","best_of":4,"n":2"#).await, 3, "those that are not returned, too");
    assert_eq!(more(r#"["a","b","c"]"#).await, 2);
    assert_eq!(more("[[1,2],[3]]").await, 1);
    assert_eq!(more("[1,2,3]").await, 0, "one prompt of three tokens");
    // Another server at `base_url` has limits of its own: a call without one is not cut at OpenAI's sixteen tokens.
    stage.put(6120, "/budgets/run:unlimited-capped", json!({ "budget_usd": 1 })).await;
    let body = r#"{"model":"gpt-3.5-turbo","prompt":"a"}"#;
    assert_eq!(post(&stage, "/v1/completions", body, &[], "unlimited-capped").await.status, 200);
    let sent: serde_json::Value = serde_json::from_str(sent(&last(&stage, Vendor::OpenAi))).unwrap();
    assert!(sent["max_tokens"].as_u64().unwrap() > 1_000, "{sent}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_other_protocols_refuse_a_completion_and_say_where_to_ask() {
    let stage = Stage::open().await;
    for model in ["claude-haiku-4-5", "gemini-2.5-flash-lite", "llama3.1:8b"] {
        let body = format!(r#"{{"model":"{model}","prompt":"x"}}"#);
        let reply = post(&stage, "/v1/completions", &body, &[], "refused").await;
        let said = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(reply.status == 400 && said.contains("/v1/chat/completions"), "{model}: {}", reply.text);
    }
    assert!(stage.receipts("refused").await.is_empty());
    stage.close().await;
}
