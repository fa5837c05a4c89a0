//! The fault table: what each way a vendor can fail means for the client and on the receipt.

use serde_json::{Value, json};

use super::{Stage, streamed};
use crate::vendor::{At, Cut, Fault, RetryAfter, Vendor};

/// The model has one provider, so nothing falls back.
struct Case {
    fault: Fault,
    /// How often it happens.
    times: usize,
    /// The client's status, and the `status` of each attempt's receipt.
    whole: (u16, &'static [&'static str]),
}

fn case(fault: Fault, times: usize, status: u16, receipts: &'static [&'static str]) -> Case {
    Case { fault, times, whole: (status, receipts) }
}

fn table() -> Vec<Case> {
    const ALWAYS: usize = 3;
    vec![
        case(Fault::Status(500), 1, 200, &["error", "success"]),
        case(Fault::Status(500), ALWAYS, 502, &["error", "error", "error"]),
        case(Fault::Status(503), 1, 200, &["error", "success"]),
        case(Fault::RateLimited(RetryAfter::Seconds(1)), 1, 200, &["error", "success"]),
        case(Fault::RateLimited(RetryAfter::Seconds(60)), 1, 429, &["error"]),
        case(Fault::Status(400), 1, 400, &["error"]),
        case(Fault::ContextTooLong, 1, 400, &["error"]),
        case(Fault::PromptFiltered, 1, 400, &["error"]),
        case(Fault::Status(403), 1, 502, &["error"]),
        case(Fault::Cut(At::BeforeHeaders, Cut::Reset), 1, 200, &["error", "success"]),
        case(Fault::cut_half_way(Cut::Close), 1, 200, &["error", "success"]),
        case(Fault::MalformedJson, ALWAYS, 502, &["error", "error", "error"]),
        case(Fault::Html(200), 1, 200, &["error", "success"]),
        case(Fault::Html(502), 1, 200, &["error", "success"]),
        case(Fault::Empty, 1, 200, &["error", "success"]),
        case(Fault::MissingUsage, 1, 200, &["success"]),
        case(Fault::EveryByte, 1, 200, &["success"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_answer_and_its_receipts() {
    let mut wrong = Vec::new();
    for (number, case) in table().into_iter().enumerate() {
        // A daemon each: a provider that failed often would rest in the next case.
        let stage = Stage::open().await;
        let server = stage.vendors.get(Vendor::OpenAi);
        server.script(std::iter::repeat_n(case.fault.clone(), case.times));
        let answer = stage.chat("gpt-4-turbo", "faults").await;
        let receipts = stage.receipts("faults").await;
        let found: Vec<&str> = receipts.iter().map(|receipt| receipt["status"].as_str().unwrap()).collect();
        if (answer.status, found.as_slice()) != case.whole {
            let fault = &case.fault;
            wrong.push(format!("{number} {fault:?}: {} {found:?} {}", answer.status, answer.body));
        }
        let attempts: Vec<u64> =
            receipts.iter().map(|receipt| receipt["metadata"]["attempt"].as_u64().unwrap()).collect();
        assert_eq!(attempts, (1..=receipts.len() as u64).collect::<Vec<_>>());
        if answer.status >= 500 {
            assert_eq!(answer.body["error"]["receipt"]["status"], "error", "{}", answer.body);
        }
        stage.close().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_tried_again_and_costs_nothing() {
    let stage = Stage::open().await;
    stage.vendors.get(Vendor::OpenAi).down().await;
    let answer = stage.chat("gpt-4-turbo", "down").await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    let receipts = stage.receipts("down").await;
    assert!(!receipts.is_empty());
    for receipt in receipts {
        assert_eq!((&receipt["status"], &receipt["cost_usd"]), (&json!("error"), &json!(0)), "{receipt}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_ends_with_an_error_on_every_surface() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    let bodies = [
        ("/v1/chat/completions", streamed("gpt-4-turbo"), "\"error\"", "[DONE]"),
        ("/v1/messages", streamed("gpt-4-turbo"), "event: error", "message_stop"),
        (
            "/v1/responses",
            json!({ "model": "gpt-4-turbo", "input": "Say hello.", "stream": true }),
            "event: error",
            "response.completed",
        ),
    ];
    for (path, body, marker, end) in bodies {
        server.script([Fault::Cut(At::After(2), Cut::Reset)]);
        let run = path.rsplit('/').next().unwrap();
        let text = match stage.post_as(6120, path, body, run).await.body {
            Value::String(text) => text,
            other => panic!("{path}: {other}"),
        };
        assert!(text.contains(marker) && !text.contains(end), "{path}: {text}");
        let receipts = stage.receipts(run).await;
        assert_eq!(receipts.len(), 1, "{path}: no second attempt once pieces went out");
        assert_eq!(receipts[0]["status"], "error");
        let (cost, held) =
            (&receipts[0]["metadata"]["cost_nano_usd"], &receipts[0]["metadata"]["hold_nano_usd"]);
        assert_eq!(cost, held, "what was used is not known, so the hold is charged");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_provider_answers_and_its_receipt_says_for_whom() {
    let stage = Stage::open().await;
    stage.vendors.get(Vendor::Ollama).script(std::iter::repeat_n(Fault::Status(500), 3));
    stage.vendors.get(Vendor::Ollama).offer("tinyllama:1.1b", 2048);
    let answer = stage.chat("auto", "fall").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipts = stage.receipts("fall").await;
    let last = receipts.last().unwrap();
    assert_eq!((&last["status"], receipts.len()), (&json!("fallback"), 4), "{receipts:#?}");
    assert!(last["fallback_from"].as_str().unwrap().starts_with("ollama-"), "{last}");
    stage.close().await;
}
