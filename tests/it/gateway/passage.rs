//! Client and vendor of one protocol: what passes untouched, on the wire, both ways.
//!
//! Requests and answers here are texts, not values, since bytes are what is compared.

use serde_json::{Value, json};

use super::Stage;
use crate::support::http_client;
use crate::vendor::{At, Cut, Fault, Heard, SaidAnswer, Vendor};

/// An answer with its bytes.
pub(super) struct RawReply {
    pub(super) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl RawReply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }
}

/// Posts a text as it is, with headers, paid by a run.
pub(super) async fn post(
    stage: &Stage,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
    run: &str,
) -> RawReply {
    let request = http_client().post(stage.url(6120, path)).body(body.to_owned());
    let request = request.header("content-type", "application/json").header("x-pas-run-id", run);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    RawReply { status, headers, text: response.text().await.unwrap() }
}

pub(super) fn last(stage: &Stage, vendor: Vendor) -> Heard {
    stage.vendors.get(vendor).seen().into_iter().rev().find(|heard| heard.method == "POST").unwrap()
}

pub(super) fn sent(heard: &Heard) -> &str {
    std::str::from_utf8(&heard.raw).unwrap()
}

/// What a coding agent sends: cache marks on results, thinking between calls, a file, tools that the vendor or
/// the client runs, members in an order of their own, and what no gateway knows yet.
const AGENT: &str = r#"{"model":"claude-haiku-4-5", "zeta": {"b":1,"a":12345678901234567890123},
 "system":[{"type":"text","text":"base","cache_control":{"type":"ephemeral"}}],
 "messages":[{"role":"user","content":"go"},
  {"role":"assistant","content":[{"type":"thinking","thinking":"t1","signature":"s1"},{"type":"text","text":"first"},
   {"type":"tool_use","id":"toolu_1","name":"read","input":{"z":1,"a":2}},{"type":"thinking","thinking":"t2","signature":"s2"},
   {"type":"text","text":"second"},{"type":"tool_use","id":"toolu_2","name":"read","input":{}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[{"type":"text","text":"no"}]},
   {"type":"tool_result","tool_use_id":"toolu_2","content":"1","cache_control":{"type":"ephemeral","ttl":"1h"}},
   {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]},
  {"role":"system","content":"now be brief"},{"role":"user","content":"and?"}],
 "tools":[{"type":"web_search_20250305","name":"web_search","max_uses":5},{"type":"bash_20250124","name":"bash"},
  {"name":"read","input_schema":{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"type":"string"}}},
   "eager_input_streaming":true,"input_examples":[{"path":"x"}],"defer_loading":true}],
 "thinking":{"type":"adaptive"},"output_config":{"effort":"low"},"context_management":{"edits":[]},
 "metadata":{"user_id":"u"},"service_tier":"auto","stop_sequences":["END"],"max_tokens":4000}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_s_request_reaches_anthropic_byte_for_byte_and_its_answer_comes_back_so() {
    let stage = Stage::open().await;
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[
      {"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a","citations":[{"type":"page_location"}]},
      {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}},{"type":"new_block","b":1,"a":2}],
      "stop_reason":"pause_turn","stop_sequence":"END","usage":{"input_tokens":100,"cache_creation_input_tokens":3000,
      "cache_read_input_tokens":7000,"output_tokens":20,"service_tier":"standard"},"container":null}"#;
    let said = SaidAnswer {
        headers: vec![
            ("request-id", "req_vendor"),
            ("anthropic-ratelimit-tokens-remaining", "7"),
            ("set-cookie", "secret=1"),
        ],
        ..SaidAnswer::good("application/json", answer)
    };
    stage.vendors.get(Vendor::Anthropic).script([Fault::Say(said)]);
    let headers = [
        ("anthropic-beta", "interleaved-thinking-2025-05-14"),
        ("anthropic-version", "2023-06-01"),
        ("authorization", "Bearer sk-client"),
        ("x-api-key", "sk-client"),
    ];
    let reply = post(&stage, "/v1/messages?beta=true", AGENT, &headers, "agent").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, answer));
    assert_eq!(reply.header("request-id"), "req_vendor");
    assert_eq!(reply.header("anthropic-ratelimit-tokens-remaining"), "7");
    assert!(reply.header("set-cookie").is_empty() && !reply.header("x-pas-request-id").is_empty());
    let heard = last(&stage, Vendor::Anthropic);
    assert_eq!(
        (sent(&heard), heard.path.as_str(), heard.query.as_str()),
        (AGENT, "/v1/messages", "beta=true")
    );
    assert_eq!(heard.header("anthropic-beta"), "interleaved-thinking-2025-05-14");
    assert_eq!(heard.header("anthropic-version"), "2023-06-01");
    assert!(heard.headers.values().all(|value| value != "sk-client" && value != "Bearer sk-client"));
    let receipt = stage.receipts("agent").await.pop().unwrap();
    // A dollar a million tokens of input, a tenth of that from the cache, 1.25 into it, 5 of output.
    let nanos = 100 * 1_000 + 7_000 * 100 + 3_000 * 1_250 + 20 * 5_000;
    assert_eq!(receipt["metadata"]["cost_nano_usd"], json!(nanos), "{receipt}");
    let renamed = AGENT.replace("\"claude-haiku-4-5\"", "\"anthropic/claude-haiku-4-5\"");
    post(&stage, "/v1/messages", &renamed, &[], "agent").await;
    assert_eq!(sent(&last(&stage, Vendor::Anthropic)), AGENT, "only the name of the model differs");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_anthropic_s_keeps_the_id_that_its_support_asks_for() {
    let stage = Stage::open().await;
    let error = json!({ "type": "error", "request_id": "req_vendor",
        "error": { "type": "invalid_request_error", "message": "no" } });
    stage.vendors.get(Vendor::Anthropic).script([Fault::Say(SaidAnswer::json(400, &[], &error))]);
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let refused = post(&stage, "/v1/messages", body, &[], "").await;
    assert_eq!(
        (refused.status, &refused.json()["request_id"]),
        (400, &json!("req_vendor")),
        "{}",
        refused.text
    );
    stage.close().await;
}

const EVENTS: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[],\"usage\":{\"input_tokens\":12345,\"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"new_kind\",\"b\":1,\"a\":2}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"citations_delta\",\"citation\":{}}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"},\"usage\":{\"output_tokens\":20}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_stream_pass_as_they_are_and_the_last_after_its_receipt() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::Anthropic);
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":4000,"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", EVENTS))]);
    let reply = post(&stage, "/v1/messages", body, &[], "events").await;
    assert_eq!(
        (reply.status, reply.text.as_str(), reply.header("content-type")),
        (200, EVENTS, "text/event-stream; charset=utf-8")
    );
    let receipt = stage.receipts("events").await.pop().unwrap();
    assert_eq!(
        (&receipt["input_tokens"], &receipt["output_tokens"]),
        (&json!(12_355), &json!(20)),
        "{receipt}"
    );
    // The vendor's own error is the client's; a cut is told in its form.
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let begun = EVENTS.split_once("event: content_block_delta").unwrap().0;
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", [begun, error].concat()))]);
    let reply = post(&stage, "/v1/messages", body, &[], "cut").await;
    assert_eq!(reply.text, [begun, error].concat());
    server.script([Fault::Cut(At::After(2), Cut::Reset)]);
    let reply = post(&stage, "/v1/messages", body, &[], "cut").await;
    assert!(
        reply.text.contains("event: error\ndata: {") && !reply.text.contains("message_stop"),
        "{}",
        reply.text
    );
    let receipts = stage.receipts("cut").await;
    assert!(
        receipts.len() == 2 && receipts.iter().all(|receipt| receipt["status"] == "error"),
        "{receipts:#?}"
    );
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_passes_to_openai_and_to_those_who_speak_as_it_does() {
    let stage = Stage::open().await;
    let answer = r#"{"x":{"b":1,"a":2},"id":"c","object":"chat.completion","created":1.5,"model":"gpt","choices":[{"index":0,
        "message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"patch","input":"x"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}"#;
    for (vendor, model) in [(Vendor::OpenAi, "gpt-5-codex"), (Vendor::Grok, "grok-4")] {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"x","name":"n"}},{{"role":"assistant","content":null,"function_call":{{"name":"f","arguments":"{{}}"}}}},
            {{"role":"function","name":"f","content":"1"}}],"model":"{model}","tools":[{{"type":"custom","custom":{{"name":"patch","format":{{"type":"text"}}}}}}],
            "metadata":{{"k":"v"}},"store":true,"top_k":5,"response_format":{{"type":"json_schema","json_schema":{{"name":"r","schema":{{"type":"object",
            "properties":{{"reasoning":{{}},"answer":{{}}}}}}}}}},"max_completion_tokens":50}}"#
        );
        // A server that names its content type wrongly is read all the same, once.
        let server = stage.vendors.get(vendor);
        server.script([Fault::Say(SaidAnswer::good("text/plain", answer))]);
        let (calls, run) = (server.calls(), format!("chat-{model}"));
        let reply = post(&stage, "/v1/chat/completions", &body, &[("openai-beta", "x=v1")], &run).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, answer), "{model}");
        let heard = last(&stage, vendor);
        assert_eq!((sent(&heard), heard.header("openai-beta")), (body.as_str(), "x=v1"));
        assert_eq!(server.calls(), calls + 1);
        assert_eq!(stage.receipts(&run).await[0]["input_tokens"], json!(100));
    }
    let body = r#"{"model":"gpt-4-turbo","stream":true,"messages":[{"role":"user","content":"hi there"}],"max_tokens":50}"#;
    let reply = post(&stage, "/v1/chat/completions", body, &[], "stream").await;
    assert!(
        reply.text.ends_with("data: [DONE]\n\n") && !reply.text.contains("prompt_tokens"),
        "{}",
        reply.text
    );
    let asked = body.replace("50}", "50,\"stream_options\":{\"include_usage\":true}}");
    assert_eq!(sent(&last(&stage, Vendor::OpenAi)), asked, "PAS asks for the usage that it needs");
    let reply = post(&stage, "/v1/chat/completions", &asked, &[], "stream").await;
    assert_eq!(reply.text.matches("prompt_tokens\"").count(), 1, "{}", reply.text);
    assert!(stage.receipts("stream").await.iter().all(|receipt| receipt["input_tokens"].as_u64() > Some(0)));
    stage.close().await;
}

/// Kinds of tools and items that only Responses has.
const CODEX: &str = r#"{"model":"gpt-5-codex","include":["reasoning.encrypted_content"],"store":false,"prompt_cache_key":"pk",
 "tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"spawn","parameters":{}}]},
  {"type":"custom","name":"apply_patch","format":{"type":"grammar","syntax":"lark","definition":"start: /.+/s"}},
  {"type":"local_shell"},{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]},
 "input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}]},
  {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"ENC"},{"type":"item_reference","id":"msg_1"},
  {"type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"x"},{"type":"custom_tool_call_output","call_id":"c","output":"o"}],
 "previous_response_id":"resp_0","text":{"verbosity":"low"},"service_tier":"flex","safety_identifier":"s","metadata":null,
 "max_output_tokens":500}"#;

#[tokio::test(flavor = "multi_thread")]
async fn responses_go_to_openai_s_own_responses() {
    let stage = Stage::open().await;
    let reply = post(&stage, "/v1/responses", CODEX, &[], "codex").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.text.contains(r#""x_new_member":{"#), "{}", reply.text);
    let heard = last(&stage, Vendor::OpenAi);
    assert_eq!((sent(&heard), heard.path.as_str()), (CODEX, "/v1/responses"));
    let body = CODEX.replacen('{', r#"{"stream":true,"#, 1);
    let reply = post(&stage, "/v1/responses", &body, &[], "codex").await;
    let (kinds, end): (Vec<&str>, &str) =
        (reply.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect(), "response.completed");
    assert_eq!((kinds.first(), kinds.last()), (Some(&"response.created"), Some(&end)), "{}", reply.text);
    let receipts = stage.receipts("codex").await;
    assert!(
        receipts.len() == 2 && receipts.iter().all(|receipt| receipt["output_tokens"].as_u64() > Some(0))
    );
    // To another vendor, what it has no word for is refused by its name.
    let elsewhere = r#"{"model":"claude-haiku-4-5","input":"x","previous_response_id":"resp_0"}"#;
    let refused = post(&stage, "/v1/responses", elsewhere, &[], "codex").await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("previous_response_id")));
    assert_eq!(stage.receipts("codex").await.len(), 2, "nothing was sent");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_s_refusal_keeps_its_status_words_and_headers() {
    let stage = Stage::open().await;
    let message = r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let chat = r#"{"model":"gpt-4-turbo","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let anthropic = |kind: &str, text: &str| json!({"type":"error","error":{"type":kind,"message":text},"request_id":"r"});
    let openai = |code: &str, text: &str| json!({"error":{"message":text,"type":"invalid_request_error","param":"reasoning_effort","code":code}});
    let long = "x".repeat(900);
    let quota = [("retry-after", "287441"), ("anthropic-ratelimit-unified-status", "rejected")];
    for (vendor, path, body, said, times) in [
        (
            Vendor::OpenAi,
            "/v1/chat/completions",
            chat,
            SaidAnswer::json(400, &[], &openai("unsupported_value", &long)),
            1,
        ),
        (Vendor::OpenAi, "/v1/chat/completions", chat, SaidAnswer::json(422, &[], &openai("odd", "no")), 1),
        (
            Vendor::OpenAi,
            "/v1/chat/completions",
            chat,
            SaidAnswer::json(403, &[], &openai("unverified", "Your organization must be verified")),
            1,
        ),
        (
            Vendor::Anthropic,
            "/v1/messages",
            message,
            SaidAnswer::json(413, &[], &anthropic("request_too_large", "big")),
            1,
        ),
        (
            Vendor::Anthropic,
            "/v1/messages",
            message,
            SaidAnswer::json(529, &[], &anthropic("overloaded_error", "Overloaded")),
            3,
        ),
        (
            Vendor::Anthropic,
            "/v1/messages",
            message,
            SaidAnswer::json(429, &quota, &anthropic("rate_limit_error", "weekly")),
            1,
        ),
    ] {
        let told: Value = serde_json::from_str(&said.body).unwrap();
        let (status, headers) = (said.status, said.headers.clone());
        stage.vendors.get(vendor).script(std::iter::repeat_n(Fault::Say(said), times));
        let reply = post(&stage, path, body, &[], "refused").await;
        let error = reply.json()["error"].clone();
        assert_eq!(reply.status, status, "{}", reply.text);
        for name in ["type", "code", "param", "message"] {
            assert_eq!(error[name], told["error"][name], "{name}: {}", reply.text);
        }
        for (name, value) in headers {
            assert_eq!(reply.header(name), value);
        }
        assert_ne!(reply.header("x-should-retry"), "false", "its clients decide as they do without PAS");
    }
    let receipts = stage.receipts("refused").await;
    assert!(receipts.iter().all(|receipt| receipt["cost_usd"] == json!(0)), "{receipts:#?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answered_costs_nothing_and_what_cannot_be_read_is_asked_once() {
    let stage = Stage::open().await;
    let body =
        r#"{"model":"claude-sonnet-4-5","max_tokens":64000,"messages":[{"role":"user","content":"hi"}]}"#;
    let server = stage.vendors.get(Vendor::Anthropic);
    server.script(std::iter::repeat_n(Fault::Html(502), 3));
    let reply = post(&stage, "/v1/messages", body, &[], "page").await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (502, &json!("api_error")));
    let receipts = stage.receipts("page").await;
    assert!(
        receipts.len() == 3 && receipts.iter().all(|receipt| receipt["cost_usd"] == json!(0)),
        "{receipts:#?}"
    );
    server.script([Fault::Say(SaidAnswer::good("application/json", "{\"content\": [,"))]);
    let calls = server.calls();
    let reply = post(&stage, "/v1/messages", body, &[], "unread").await;
    assert_eq!((reply.status, server.calls()), (502, calls + 1), "{}", reply.text);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_falls_back_to_a_vendor_of_another_protocol() {
    let stage = Stage::open().await;
    let offer = json!({
        "name": "other", "model": "claude-haiku-4-5", "context_window": 200_000,
        "endpoint": stage.vendors.url(Vendor::OpenAi), "metadata": { "provider": "openai" },
        "cost_per_input_token": 1e-3, "cost_per_output_token": 1e-3,
    });
    assert_eq!(stage.post(6103, "/register", offer).await.status, 200);
    stage.vendors.get(Vendor::Anthropic).script(std::iter::repeat_n(Fault::Status(500), 3));
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let reply = post(&stage, "/v1/messages", body, &[], "fall").await;
    let receipts = stage.receipts("fall").await;
    // The other server takes another key, so it refuses; what counts is that it was asked, in its own form.
    assert_eq!((receipts.len(), reply.header("x-pas-request-id").is_empty()), (4, false), "{receipts:#?}");
    let heard = last(&stage, Vendor::OpenAi);
    assert_eq!(
        (heard.path.as_str(), &heard.body["messages"][0]["content"]),
        ("/v1/chat/completions", &json!("x"))
    );
    // A file has no word in the other form: only its own vendor is asked.
    stage.vendors.get(Vendor::Anthropic).script([Fault::Status(400)]);
    let calls = stage.vendors.get(Vendor::OpenAi).calls();
    let reply = post(&stage, "/v1/messages", AGENT, &[], "file").await;
    assert_eq!((reply.status, stage.vendors.get(Vendor::OpenAi).calls()), (400, calls));
    stage.close().await;
}
