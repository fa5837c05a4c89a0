//! The members read of a request, and its changes on the way.

use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::Vendor;
use crate::dialect::VendorRequest;

fn read(protocol: WireProtocol, body: &str) -> Result<OriginalRequest, ApiProblem> {
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static("anthropic-beta"), HeaderValue::from_static("b")),
        (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer sk-client")),
    ]);
    OriginalRequest::read(protocol, Bytes::copy_from_slice(body.as_bytes()), Some("beta=true"), &headers)
}

fn sent(protocol: WireProtocol, body: &str, model: &str, limit: Option<u64>) -> VendorRequest {
    let original = Arc::new(read(protocol, body).unwrap());
    let vendor = if protocol == WireProtocol::Messages { Vendor::Anthropic } else { Vendor::OpenAi };
    PassedRequest { original, model: model.to_owned(), limit }.wire(vendor)
}

fn text(wire: &VendorRequest) -> &str {
    std::str::from_utf8(&wire.body).unwrap()
}

/// Members in an order of their own, unknown ones, long numbers, odd spaces.
const CLAUDE: &str = r#"{ "zeta":{"b":1,"a":12345678901234567890123}, "model" : "claude-x","stream":true,
  "messages":[{"role":"user","content":[{"type":"tool_result","cache_control":{"ttl":"1h","type":"ephemeral"}}]}],"max_tokens":64000 }"#;

#[test]
fn a_request_for_its_own_model_is_sent_byte_for_byte() {
    let wire = sent(WireProtocol::Messages, CLAUDE, "claude-x", None);
    assert_eq!((text(&wire), wire.path.as_str()), (CLAUDE, "/v1/messages?beta=true"));
    assert_eq!(
        (&wire.passed["anthropic-beta"], wire.passed.get("authorization")),
        (&"b".parse().unwrap(), None)
    );
    assert_eq!(
        wire.passed["anthropic-version"], "2023-06-01",
        "what the vendor requires and the client left out"
    );
    let renamed = sent(WireProtocol::Messages, CLAUDE, "claude-y", None);
    assert_eq!(text(&renamed), CLAUDE.replace("claude-x", "claude-y"));
    let original = read(WireProtocol::Messages, CLAUDE).unwrap();
    assert_eq!(
        (original.model(), original.is_stream(), original.output_limit()),
        ("claude-x", true, Some(64_000))
    );
}

#[test]
fn only_what_must_differ_is_spliced_in() {
    let chat = r#"{"stream_options":{"x": 1},"model":"gpt","messages":[{}],"stream":true}"#;
    let wire = sent(WireProtocol::Chat, chat, "gpt", Some(7));
    let wanted = r#"{"stream_options":{"x": 1,"include_usage":true},"model":"gpt","messages":[{}],"stream":true,"max_completion_tokens":7}"#;
    assert_eq!(text(&wire), wanted);
    assert!(wire.passed.get("anthropic-version").is_none());
    let asked =
        chat.replace(r#""x": 1"#, r#""include_usage":true"#).replace("\"gpt\"", "\"gpt\",\"max_tokens\":9");
    assert_eq!(text(&sent(WireProtocol::Chat, &asked, "gpt", None)), asked);
    assert!(text(&sent(WireProtocol::Chat, &asked, "gpt", Some(8))).contains(r#""max_tokens":8,"#));
    let responses = r#"{"model":"gpt","input":"hi","previous_response_id":"r"}"#;
    let wire = sent(WireProtocol::Responses, responses, "gpt", Some(7));
    assert_eq!(text(&wire), responses.replace("\"r\"}", "\"r\",\"max_output_tokens\":7}"));
    assert!(read(WireProtocol::Responses, responses).unwrap().is_added_to());
}

#[test]
fn what_pas_added_to_an_answer_does_not_go_back_to_openai() {
    let messages = json!([{"role": "assistant", "content": "y", "reasoning_content": "t", "extra_content": {},
            "tool_calls": [{"id": "a", "n": 12345678901234567u64, "extra_content": {"google": {"thought_signature": "s"}}}]},
        {"role": "user", "content": "reasoning_content"}]);
    let body = json!({"model": "gpt", "messages": messages}).to_string();
    let wire = sent(WireProtocol::Chat, &body, "gpt", None);
    let clean: Value = serde_json::from_slice(&wire.body).unwrap();
    let calls = json!([{"id": "a", "n": 12345678901234567u64}]);
    assert_eq!(clean["messages"][0], json!({"role": "assistant", "content": "y", "tool_calls": calls}));
    assert_eq!(clean["messages"][1]["content"], "reasoning_content");
    // A server of Google's models behind OpenAI's form wants its signatures back.
    let google = body.replace("\"gpt\"", "\"gemini-3-pro\"");
    assert_eq!(text(&sent(WireProtocol::Chat, &google, "gemini-3-pro", None)), google);
}

#[test]
fn ids_that_carry_a_signature_are_plain_for_other_vendors() {
    let claude = r#"{"model":"c","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"call_1__thought_U0lH","name":"f","input":{}}]}, {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1__thought_U0lH","content":"x"}]}]}"#;
    let plain = claude.replace("__thought_U0lH", "");
    assert_eq!(text(&sent(WireProtocol::Messages, claude, "c", None)), plain);
    let openai = r#"{"model":"gpt","input":[{"type":"function_call_output","call_id":"call_1__thought_U0lH","output":"x"}]}"#;
    assert_eq!(
        text(&sent(WireProtocol::Responses, openai, "gpt", None)),
        openai.replace("__thought_U0lH", "")
    );
}

#[test]
fn a_text_that_looks_like_a_signed_id_is_no_id() {
    let prompt = r#"{"model":"gpt","prompt":"see call_1__thought_U0lH","max_tokens":9}"#;
    assert_eq!(text(&sent(WireProtocol::Completions, prompt, "gpt", None)), prompt);
    let said =
        r#"{"model":"c","max_tokens":9,"messages":[{"role":"user","content":"call_1__thought_U0lH"}]}"#;
    assert_eq!(text(&sent(WireProtocol::Messages, said, "c", None)), said);
    let contents =
        r#"{"contents":[{"parts":[{"functionCall":{"id":"call_1__thought_U0lH","name":"f","args":{}}}]}]}"#;
    let original = Arc::new(generate(contents).unwrap());
    let passed = PassedRequest { original, model: "gemini-x".to_owned(), limit: None };
    assert_eq!(text(&passed.wire(Vendor::Gemini)), contents, "its signatures have a member of their own");
}

#[test]
fn what_pas_cannot_read_is_refused_by_name() {
    for (body, param) in [
        ("", None),
        ("{", None),
        ("[]", None),
        (r#"{"model":"a","model":"b","messages":[{}]}"#, None),
        (r#"{"model":"a"}"#, Some("messages")),
        (r#"{"model":"a","messages":[ ]}"#, Some("messages")),
        (r#"{"model":"a","messages":7}"#, Some("messages")),
        (r#"{"model":7,"messages":[{}]}"#, Some("model")),
        (r#"{"model":"a","messages":[{}],"stream":"yes"}"#, Some("stream")),
        (r#"{"model":"a","messages":[{}],"max_tokens":-1}"#, Some("max_tokens")),
    ] {
        let problem = read(WireProtocol::Chat, body).unwrap_err();
        assert_eq!((problem.status(), problem.param.as_deref()), (400, param), "{body}");
    }
    let nulls = r#"{"model":"a","messages":[{}],"stream":null,"max_tokens":null,"max_completion_tokens":5.0,"n":null}"#;
    let read = read(WireProtocol::Chat, nulls).unwrap();
    assert_eq!((read.is_stream(), read.output_limit(), read.answers()), (false, Some(5), 1));
}

fn generate(body: &str) -> Result<OriginalRequest, ApiProblem> {
    let target = GenerateTarget { model: "gemini-x".to_owned(), is_stream: true };
    OriginalRequest::read_generate(target, Bytes::copy_from_slice(body.as_bytes()), &HeaderMap::new())
}

#[test]
fn gemini_s_path_names_the_model_and_its_configuration_the_limits() {
    let body = r#"{"contents":[{}], "generation_config":{"maxOutputTokens":7,"candidate_count":3,
        "thinkingConfig":{"thinkingBudget":2048}},"serviceTier":"FLEX","stream":false}"#;
    let request = generate(body).unwrap();
    assert_eq!((request.model(), request.is_stream()), ("gemini-x", true));
    assert_eq!((request.output_limit(), request.answers()), (Some(7), 3));
    assert_eq!((request.least_output(), request.service_tier()), (2_048 + 1_024, ServiceTier::Flex));
    let passed = PassedRequest { original: Arc::new(request), model: "gemini-y".to_owned(), limit: None };
    let wire = passed.wire(Vendor::Gemini);
    assert_eq!((text(&wire), wire.path.as_str()), (body, "/models/gemini-y:streamGenerateContent?alt=sse"));
    assert_eq!(passed.count_wire(Vendor::Gemini).path, "/models/gemini-y:countTokens");
    let limited = PassedRequest { limit: Some(5), ..passed };
    assert_eq!(text(&limited.wire(Vendor::Gemini)), body.replace(":7,", ":5,"));
    assert_eq!(generate("{}").unwrap_err().param.as_deref(), Some("contents"));
    assert!(generate(r#"{"generateContentRequest":{}}"#).is_ok(), "to be counted");
}

#[test]
fn a_completion_s_answers_are_counted_by_its_prompts() {
    let answers = |members: &str| {
        read(WireProtocol::Completions, &format!(r#"{{"model":"m"{members}}}"#)).unwrap().answers()
    };
    for (members, wanted) in [
        ("", 1),
        (r#","prompt":"a""#, 1),
        (r#","prompt":"a","n":2"#, 2),
        (r#","prompt":["a","b"]"#, 2),
        (r#","prompt":["a","b"],"n":2,"best_of":3"#, 6),
        (r#","prompt":[1,2,3]"#, 1),
        (r#","prompt":[[1,2],[3]]"#, 2),
    ] {
        assert_eq!(answers(members), wanted, "{members}");
    }
    let wire = sent(WireProtocol::Completions, r#"{"model":"m","prompt":"a"}"#, "n", Some(9));
    assert_eq!(
        (text(&wire), wire.path.split('?').next().unwrap()),
        (r#"{"model":"n","prompt":"a","max_tokens":9}"#, "/completions")
    );
    let prompt = read(WireProtocol::Completions, r#"{"model":"m","prompt":"a"}"#).unwrap();
    assert!(!prompt.is_added_to(), "the prompt is the request itself");
}
