//! Client and vendor of different protocols: the fate of each member, and answers that servers give loosely.

use serde_json::{Value, json};

use super::Stage;
use super::passage::post;
use crate::vendor::{Fault, SaidAnswer, Vendor};

/// What becomes of a member on its way to a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The same member with the same value.
    Passed,
    /// The value stands elsewhere, in the vendor's words.
    Mapped,
    /// The call is refused, and nothing sent.
    Refused,
    /// It only tunes or labels, and the vendor has no word for it.
    Dropped,
}

use Fate::{Dropped as D, Mapped as M, Passed as P, Refused as R};

const MODELS: [(Vendor, &str); 5] = [
    (Vendor::OpenAi, "gpt-4-turbo"),
    (Vendor::Anthropic, "claude-haiku-4-5"),
    (Vendor::Gemini, "gemini-2.5-flash"),
    (Vendor::Grok, "grok-4"),
    (Vendor::Ollama, "llama3.1:8b"),
];

/// The member, its value, what of the value is looked for, and its fate at each of [`MODELS`].
type MemberRow = (&'static str, Value, &'static str, [Fate; 5]);

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

fn chat() -> Vec<MemberRow> {
    let function =
        json!([{ "type": "function", "function": { "name": "MARK", "parameters": { "type": "object" } } }]);
    let schema = json!({ "type": "object", "properties": { "MARK": { "type": "string" } } });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
    vec![
        ("temperature", json!(0.125), "0.125", [P, P, M, P, M]),
        ("top_p", json!(0.375), "0.375", [P, P, M, P, M]),
        ("stop", json!(["MARK"]), "MARK", [P, M, M, P, M]),
        ("tools", function, "MARK", [P, M, M, P, P]),
        ("response_format", format, "MARK", [P, M, M, P, M]),
        ("user", json!("MARK"), "MARK", [P, M, D, P, D]),
        ("metadata", json!({ "k": "MARK" }), "MARK", [P, D, D, P, D]),
        ("logit_bias", json!({ "MARK": 1 }), "MARK", [P, D, D, P, D]),
        ("service_tier", json!("MARK"), "MARK", [P, D, D, P, D]),
        ("prompt_cache_key", json!("MARK"), "MARK", [P, D, D, P, D]),
        ("x_unknown", json!("MARK"), "MARK", [P, D, D, P, D]),
        ("logprobs", json!(true), "logprobs", [P, R, R, P, R]),
        ("functions", json!([{ "name": "MARK" }]), "MARK", [P, R, R, P, R]),
    ]
}

fn messages() -> Vec<MemberRow> {
    let tool = json!([{ "name": "MARK", "input_schema": { "type": "object" } }]);
    let search = json!([{ "type": "web_search_20250305", "name": "MARK" }]);
    vec![
        ("system", json!("MARK"), "MARK", [M, P, M, M, M]),
        ("stop_sequences", json!(["MARK"]), "MARK", [M, P, M, M, M]),
        ("tools", tool, "MARK", [M, P, M, M, M]),
        ("tools", search, "MARK", [R, P, R, R, R]),
        ("metadata", json!({ "user_id": "MARK" }), "MARK", [D, P, D, D, D]),
        ("service_tier", json!("MARK"), "MARK", [D, P, D, D, D]),
        ("context_management", json!({ "x": "MARK" }), "MARK", [D, P, D, D, D]),
        ("x_unknown", json!("MARK"), "MARK", [D, P, D, D, D]),
    ]
}

fn responses() -> Vec<MemberRow> {
    let schema = json!({ "type": "object", "properties": { "MARK": { "type": "string" } } });
    let text = json!({ "format": { "type": "json_schema", "name": "n", "schema": schema } });
    let custom = json!([{ "type": "custom", "name": "MARK" }]);
    let function = json!([{ "type": "function", "name": "MARK", "parameters": { "type": "object" } }]);
    vec![
        ("instructions", json!("MARK"), "MARK", [P, M, M, M, M]),
        ("tools", function, "MARK", [P, M, M, M, M]),
        ("tools", custom, "MARK", [P, R, R, R, R]),
        ("text", text, "MARK", [P, M, M, M, M]),
        ("previous_response_id", json!("MARK"), "MARK", [P, R, R, R, R]),
        ("include", json!(["MARK"]), "MARK", [P, D, D, D, D]),
        ("prompt_cache_key", json!("MARK"), "MARK", [P, D, D, D, D]),
        ("metadata", json!({ "k": "MARK" }), "MARK", [P, D, D, D, D]),
        ("x_unknown", json!("MARK"), "MARK", [P, D, D, D, D]),
    ]
}

fn base(path: &str, model: &str) -> Value {
    let messages = json!([{ "role": "user", "content": "hi" }]);
    match path {
        RESPONSES => json!({ "model": model, "input": "hi", "max_output_tokens": 50 }),
        _ => json!({ "model": model, "messages": messages, "max_tokens": 50 }),
    }
}

/// What becomes of a member.
async fn fate(stage: &Stage, path: &str, row: &MemberRow, vendor: Vendor, model: &str) -> Fate {
    let (name, value, mark, _) = row;
    let mut body = base(path, model);
    body[*name] = value.clone();
    let server = stage.vendors.get(vendor);
    let calls = server.calls();
    let reply = post(stage, path, &body.to_string(), &[], "members").await;
    if server.calls() == calls {
        assert!(reply.status == 400 && reply.text.contains("\"message\""), "{name}: {}", reply.text);
        return R;
    }
    let heard = server.seen().into_iter().rev().find(|heard| heard.method == "POST").unwrap();
    match heard.body.get(*name) {
        Some(sent) if sent == value => P,
        _ if String::from_utf8_lossy(&heard.raw).contains(mark) => M,
        _ => D,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_has_one_fate_at_each_vendor() {
    let stage = Stage::open().await;
    let mut wrong = Vec::new();
    for (path, rows) in [(CHAT, chat()), (MESSAGES, messages()), (RESPONSES, responses())] {
        for row in rows {
            let mut found = row.3;
            for (place, (vendor, model)) in found.iter_mut().zip(MODELS) {
                *place = fate(&stage, path, &row, vendor, model).await;
            }
            if found != row.3 {
                wrong.push(format!("{path} {} {}: {found:?}, not {:?}", row.0, row.1, row.3));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.close().await;
}

/// A stream of a server that is loose: calls without an index, a letter in two pieces, `stop` after calls, no
/// last line.
fn loose() -> String {
    let chunk = |delta: Value, finish: Value| {
        json!({ "id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        .to_string()
    };
    let call = |id: &str, path: &str| {
        let function = json!({ "name": "read", "arguments": format!("{{\"path\":\"{path}\"}}") });
        chunk(json!({ "tool_calls": [{ "id": id, "type": "function", "function": function }] }), Value::Null)
    };
    let half = |half: &str| chunk(json!({ "content": "HALF" }), Value::Null).replace("HALF", half);
    let usage = json!({ "id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
        "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 } });
    let all = [
        half("\\ud83d"),
        half("\\ude00"),
        call("a", "1"),
        call("b", "2"),
        chunk(json!({}), json!("stop")),
        usage.to_string(),
    ];
    all.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loose_server_s_stream_is_whole_in_every_form() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::Grok);
    let mut body = base(MESSAGES, "grok-4");
    body["stream"] = json!(true);
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", loose()))]);
    let reply = post(&stage, MESSAGES, &body.to_string(), &[], "loose").await;
    assert_eq!(reply.text.matches("\"type\":\"tool_use\"").count(), 2, "{}", reply.text);
    assert!(
        reply.text.contains('\u{1F600}') && reply.text.contains(r#""stop_reason":"tool_use""#),
        "{}",
        reply.text
    );
    assert!(reply.text.contains("message_stop") && !reply.text.contains("event: error"), "{}", reply.text);
    let mut body = base(RESPONSES, "grok-4");
    body["stream"] = json!(true);
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", loose()))]);
    let reply = post(&stage, RESPONSES, &body.to_string(), &[], "loose").await;
    assert_eq!(
        reply.text.matches("event: response.function_call_arguments.done").count(),
        2,
        "{}",
        reply.text
    );
    assert!(reply.text.contains("response.completed"), "{}", reply.text);
    let costs: Vec<_> =
        stage.receipts("loose").await.iter().map(|receipt| receipt["input_tokens"].clone()).collect();
    assert_eq!(costs, [json!(100), json!(100)]);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_with_a_call_that_was_cut_off_and_a_picture_from_a_tool_goes_on() {
    let stage = Stage::open().await;
    let call =
        json!({ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\": 1" } });
    let mut body = base(CHAT, "claude-haiku-4-5");
    body["messages"] = json!([{ "role": "user", "content": "a" }, { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "c1", "content": "error" }]);
    let reply = post(&stage, CHAT, &body.to_string(), &[], "history").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let heard = stage.vendors.get(Vendor::Anthropic).seen().pop().unwrap();
    assert_eq!(heard.body["messages"][1]["content"][0]["input"], json!({ "arguments": "{\"a\": 1" }));
    let mut body = base(MESSAGES, "gpt-4-turbo");
    let source = json!({ "type": "base64", "media_type": "image/png", "data": "AAAA" });
    let picture = json!([{ "type": "image", "source": source }]);
    body["messages"] = json!([{ "role": "user", "content": "look" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "read", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": picture }] }]);
    let reply = post(&stage, MESSAGES, &body.to_string(), &[], "history").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let heard = stage
        .vendors
        .get(Vendor::OpenAi)
        .seen()
        .into_iter()
        .rev()
        .find(|heard| heard.method == "POST")
        .unwrap();
    let turns = heard.body["messages"].as_array().unwrap();
    let with_picture = turns.iter().filter(|turn| turn.to_string().contains("image_url"));
    assert_eq!(with_picture.map(|turn| turn["role"].as_str().unwrap()).collect::<Vec<_>>(), ["user"]);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_takes_every_tool_and_an_answer_that_it_aborts_costs_what_it_counted() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::Gemini);
    let node = json!({ "type": "object", "properties": { "u": { "type": "string", "format": "uri" },
        "l": { "type": "array" }, "n": { "$ref": "#/$defs/N" } } });
    let tree = json!({ "name": "tree", "input_schema": { "type": "object", "properties": { "n": { "$ref": "#/$defs/N" } },
        "$defs": { "N": node } } });
    let mut body = base(MESSAGES, "gemini-2.5-flash");
    body["tools"] = json!([tree]);
    let reply = post(&stage, MESSAGES, &body.to_string(), &[], "tree").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let sent = server.seen().pop().unwrap().body.to_string();
    assert!(sent.contains("\"items\"") && !sent.contains("\"uri\"") && !sent.contains("$ref"), "{sent}");
    let aborted = json!({ "candidates": [{ "content": { "role": "model", "parts": [] }, "index": 0,
        "finishReason": "MALFORMED_FUNCTION_CALL" }], "modelVersion": "m", "responseId": "r",
        "usageMetadata": { "promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120 } });
    server.script([Fault::Say(SaidAnswer::json(200, &[], &aborted))]);
    let reply = post(&stage, CHAT, &base(CHAT, "gemini-2.5-flash").to_string(), &[], "aborted").await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (502, &json!("provider_failed")));
    let receipts = stage.receipts("aborted").await;
    let [receipt] = receipts.as_slice() else { panic!("{receipts:#?}") };
    let (cost, held) = (&receipt["metadata"]["cost_nano_usd"], &receipt["metadata"]["hold_nano_usd"]);
    assert_eq!((&receipt["input_tokens"], &receipt["output_tokens"]), (&json!(100), &json!(20)));
    assert!(cost.as_u64() > Some(0) && cost.as_u64() < held.as_u64(), "{receipt}");
    stage.close().await;
}
