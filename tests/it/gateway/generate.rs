//! Gemini's own protocol: untouched to Gemini, translated for everybody else.

use serde_json::{Value, json};

use super::Stage;
use super::passage::{last, post, sent};
use crate::vendor::{Fault, SaidAnswer, Vendor};

const WHOLE: &str = "/v1beta/models/gemini-3.8-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse";

/// Signed calls, both spellings, a tool that runs at the vendor, an order of its own, long numbers.
const SIGNED: &str = r#"{ "contents":[{"role":"user","parts":[{"text":"go"}]},
  {"role":"model","parts":[{"functionCall":{"name":"f","args":{"z":12345678901234567890123,"a":1}},"thoughtSignature":"c2lnbmVk"}]},
  {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"x"}}}]}],
 "tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]},{"googleSearch":{}}],
 "generation_config":{"thinking_config":{"includeThoughts":true},"temperature":1.0},"safetySettings":[]}"#;

const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"newPart":{"b":1,"a":2}},
  {"functionCall":{"name":"f","args":{}},"thoughtSignature":"bmV3"}],"role":"model"},"finishReason":"STOP","index":0}],
  "usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":125},
  "modelVersion":"gemini-3.8-flash","responseId":"r1"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_gemini_byte_for_byte_and_its_answer_comes_back_so() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::Gemini);
    server.script([Fault::Say(SaidAnswer::good("application/json; charset=UTF-8", ANSWER))]);
    let headers = [("x-goog-api-key", "sk-client"), ("x-goog-api-client", "google-genai-sdk/2.33.0")];
    let reply = post(&stage, &format!("{WHOLE}?key=sk-client"), SIGNED, &headers, "signed").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ANSWER));
    let heard = last(&stage, Vendor::Gemini);
    assert_eq!((sent(&heard), heard.path.as_str(), heard.query.as_str()), (SIGNED, WHOLE, ""));
    assert_eq!(heard.header("x-goog-api-client"), "google-genai-sdk/2.33.0");
    assert!(heard.headers.values().all(|value| value != "sk-client"), "{:?}", heard.headers);
    let receipt = stage.receipts("signed").await.pop().unwrap();
    assert_eq!((&receipt["input_tokens"], &receipt["output_tokens"]), (&json!(100), &json!(25)), "{receipt}");
    // Also below `/v1`, and with the vendor's name before the model's.
    for path in [
        "/v1/models/gemini-3.8-flash:generateContent",
        "/v1beta/models/google/gemini-3.8-flash:generateContent",
    ] {
        let reply = post(&stage, path, SIGNED, &[], "signed").await;
        assert_eq!(
            (reply.status, last(&stage, Vendor::Gemini).path.as_str()),
            (200, WHOLE),
            "{}",
            reply.text
        );
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_stream_pass_and_the_last_after_its_receipt() {
    let stage = Stage::open().await;
    let part = |text: &str, more: &str| {
        format!(
            "data: {{\"candidates\": [{{\"content\": {{\"parts\": [{{\"text\": \"{text}\"}}]}}{more},\"index\": 0}}],\
             \"usageMetadata\": {{\"promptTokenCount\": 9,\"candidatesTokenCount\": 4}},\"zeta\":1}}\n\n"
        )
    };
    let events = [part("a", ""), part("b", ""), part("", ",\"finishReason\": \"STOP\"")].concat();
    let server = stage.vendors.get(Vendor::Gemini);
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", events.clone()))]);
    let body = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let reply = post(&stage, STREAM, body, &[], "events").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, events.as_str()));
    assert_eq!(last(&stage, Vendor::Gemini).query, "alt=sse");
    let receipt = stage.receipts("events").await.pop().unwrap();
    assert_eq!((&receipt["input_tokens"], &receipt["output_tokens"]), (&json!(9), &json!(4)), "{receipt}");
    // A stream that ends before its last event is a cut, and says so in the vendor's form.
    server.script([Fault::Say(SaidAnswer::good("text/event-stream", part("a", "")))]);
    let cut = post(&stage, STREAM, body, &[], "cut").await.text;
    let last: Value = serde_json::from_str(cut.trim().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(
        (&last["error"]["code"], &last["error"]["status"]),
        (&json!(502), &json!("INTERNAL")),
        "{cut}"
    );
    assert_eq!(stage.receipts("cut").await.pop().unwrap()["status"], "error");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_gemini_s_form_whoever_refuses() {
    let stage = Stage::open().await;
    let body = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let error = json!({ "error": { "code": 400, "message": "no", "status": "INVALID_ARGUMENT",
        "details": [{ "@type": "type.googleapis.com/google.rpc.BadRequest" }] } });
    stage.vendors.get(Vendor::Gemini).script([Fault::Say(SaidAnswer::json(400, &[], &error))]);
    let reply = post(&stage, WHOLE, body, &[], "").await;
    assert_eq!(reply.status, 400);
    let said = reply.json()["error"].clone();
    assert!(
        ["code", "message", "status", "details"].iter().all(|name| said[*name] == error["error"][*name]),
        "{said}"
    );
    let unknown = post(&stage, "/v1beta/models/no-such-model:generateContent", body, &[], "").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    let method = post(&stage, "/v1beta/models/gemini-3.8-flash:predict", body, &[], "").await;
    assert!(method.status == 404 && method.text.contains(":embedContent"), "{}", method.text);
    let empty = post(&stage, WHOLE, r#"{"contents":[]}"#, &[], "").await;
    assert_eq!((empty.status, &empty.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    stage.put(6120, "/budgets/run:poor", json!({ "budget_usd": 0.000_001 })).await;
    let poor = post(&stage, WHOLE, body, &[], "poor").await;
    assert_eq!((poor.status, &poor.json()["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_lowers_the_limit_within_the_configuration() {
    let stage = Stage::open().await;
    stage.put(6120, "/budgets/run:capped", json!({ "budget_usd": 0.05 })).await;
    let body =
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"topK":4,"maxOutputTokens":60000}}"#;
    let reply = post(&stage, WHOLE, body, &[], "capped").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let lowered: u64 = reply.header("x-pas-max-tokens").parse().unwrap();
    assert!((1_024..60_000).contains(&lowered), "{lowered}");
    assert_eq!(sent(&last(&stage, Vendor::Gemini)), body.replace("60000", &lowered.to_string()));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_every_vendor_answer_in_gemini_s_form() {
    let stage = Stage::open().await;
    let body = json!({ "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [{ "role": "user", "parts": [{ "text": "Say hello." }] }] });
    for model in ["gpt-5.4-mini", "claude-haiku-4-5", "grok-4.7", "llama3.1:8b", "gemini-3.8-flash"] {
        let reply = stage.post(6120, &format!("/v1beta/models/{model}:generateContent"), body.clone()).await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        assert_eq!(reply.body["candidates"][0]["content"]["parts"][0]["text"], "You said: Say hello.");
        assert!(reply.body["usageMetadata"]["totalTokenCount"].as_u64() > Some(0), "{model}: {}", reply.body);
        let path = format!("/v1beta/models/{model}:streamGenerateContent?alt=sse");
        let events = stage.post(6120, &path, body.clone()).await.body.as_str().unwrap().replace("\r\n", "\n");
        let events = events.split("\n\n").filter(|event| !event.is_empty());
        let events: Vec<Value> = events
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        let said: String = events
            .iter()
            .filter_map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str())
            .collect();
        let last = events.last().unwrap();
        assert_eq!(
            (said.as_str(), &last["candidates"][0]["finishReason"]),
            ("You said: Say hello.", &json!("STOP"))
        );
        let counted =
            stage.post(6120, &format!("/v1beta/models/{model}:countTokens"), body.clone()).await.body;
        assert!(counted["totalTokens"].as_u64() > Some(2), "{model}: {counted}");
    }
    let listed = stage.get(6120, "/v1beta/models").await.body;
    let names: Vec<&str> =
        listed["models"].as_array().unwrap().iter().filter_map(|model| model["name"].as_str()).collect();
    assert!(names.contains(&"models/gemini-3.8-flash") && names.contains(&"models/gpt-5.5"), "{names:?}");
    let one = stage.get(6120, "/v1beta/models/gemini-3.8-flash").await.body;
    assert_eq!(
        (&one["name"], &one["inputTokenLimit"]),
        (&json!("models/gemini-3.8-flash"), &json!(1_000_000))
    );
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tier_that_answered_is_read_from_the_head_or_the_usage() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::Gemini);
    let body = r#"{"contents":{"parts":{"text":"hi"}},"service_tier":"SERVICE_TIER_PRIORITY"}"#;
    let answer = |usage: Value| {
        json!({ "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "parts": [{ "text": "x" }] } }],
            "usageMetadata": usage })
    };
    let plain = || answer(json!({ "promptTokenCount": 9, "candidatesTokenCount": 4 }));
    let said =
        || answer(json!({ "promptTokenCount": 9, "candidatesTokenCount": 4, "serviceTier": "priority" }));
    let head = [("x-gemini-service-tier", "priority")];
    let events = |answer: Value| SaidAnswer::good("text/event-stream", format!("data: {answer}\n\n"));
    for (path, answer, tier) in [
        (WHOLE, SaidAnswer::json(200, &head, &plain()), json!("priority")),
        (WHOLE, SaidAnswer::json(200, &[], &said()), json!("priority")),
        (WHOLE, SaidAnswer::json(200, &[("x-gemini-service-tier", "standard")], &plain()), Value::Null),
        (STREAM, SaidAnswer { headers: head.to_vec(), ..events(plain()) }, json!("priority")),
        (STREAM, events(said()), json!("priority")),
    ] {
        server.script([Fault::Say(answer)]);
        let reply = post(&stage, path, body, &[], "tier").await;
        assert_eq!((reply.status, sent(&last(&stage, Vendor::Gemini))), (200, body), "{}", reply.text);
        let receipt = stage.receipts("tier").await.pop().unwrap();
        assert_eq!(receipt["metadata"]["service_tier"], tier, "{path}: {receipt}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_as_google_reads_it_and_refused_by_the_member_s_name() {
    let stage = Stage::open().await;
    let path = |model: &str| format!("/v1beta/models/{model}:generateContent");
    let lenient = r#"{"contents":{"parts":{"text":"Say hello."}},"systemInstruction":null,"tools":null,
        "generationConfig":{"maxOutputTokens":"100","temperature":"0.5","topP":null,"stopSequences":"END"}}"#;
    for model in ["gemini-3.8-flash", "gpt-4-turbo", "claude-haiku-4-5"] {
        let reply = post(&stage, &path(model), lenient, &[], "lenient").await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.text);
    }
    assert_eq!(last(&stage, Vendor::OpenAi).body["max_completion_tokens"], json!(100));
    let heard = last(&stage, Vendor::Anthropic).body;
    assert_eq!(
        (&heard["max_tokens"], &heard["temperature"], &heard["stop_sequences"]),
        (&json!(100), &json!(0.5), &json!(["END"]))
    );
    for (model, body, place) in [
        (
            "gemini-3.8-flash",
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{},"generation_config":{"maxOutputTokens":9}}"#,
            "generationConfig",
        ),
        (
            "gemini-3.8-flash",
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}"#,
            "generationConfig.maxOutputTokens",
        ),
        (
            "gemini-3.8-flash",
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":"many"}}"#,
            "generationConfig.maxOutputTokens",
        ),
        ("gpt-5.4-mini", r#"{"contents":[{"parts":[{"text":7}]}]}"#, "contents[0].parts[0].text"),
        ("gpt-5.4-mini", r#"{"contents":[7]}"#, "contents[0]"),
        ("gpt-5.4-mini", r#"{"contents":[{"parts":[{"text":"x"}]}],"toolConfig":7}"#, "toolConfig"),
    ] {
        let reply = post(&stage, &path(model), body, &[], "refused").await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, &error["status"]), (400, &json!("INVALID_ARGUMENT")), "{}", reply.text);
        let said = error["message"].as_str().unwrap();
        assert!(said.starts_with(&format!("{place}: ")), "{body}: {said}");
        assert!(!["struct", "enum", "variant"].iter().any(|word| said.contains(word)), "{said}");
    }
    assert!(stage.receipts("refused").await.is_empty());
    let counted = r#"{"generateContentRequest":{"contents":[{"parts":[{"text":7}]}]}}"#;
    let reply = post(&stage, "/v1beta/models/gpt-5.4-mini:countTokens", counted, &[], "").await;
    assert!(reply.text.contains("generateContentRequest.contents[0].parts[0].text: "), "{}", reply.text);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_events_is_one_list() {
    let stage = Stage::open().await;
    let body = r#"{"contents":[{"parts":[{"text":"Say hello."}]}]}"#;
    let path = |model: &str| format!("/v1beta/models/{model}:streamGenerateContent");
    for model in ["gemini-3.8-flash", "gpt-5.4-mini"] {
        let reply = post(&stage, &path(model), body, &[], "list").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json; charset=UTF-8"));
        let answers = reply.json();
        let answers = answers.as_array().unwrap();
        let text = |answer: &Value| {
            answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().to_owned()
        };
        assert_eq!(answers.iter().map(text).collect::<String>(), "You said: Say hello.");
        assert!(answers.len() > 2 && answers.last().unwrap()["candidates"][0]["finishReason"] == "STOP");
    }
    assert_eq!(last(&stage, Vendor::Gemini).query, "alt=sse");
    let part = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0}]}"#;
    let cut = SaidAnswer::good("text/event-stream", format!("data: {part}\n\n"));
    stage.vendors.get(Vendor::Gemini).script([Fault::Say(cut)]);
    let cut = post(&stage, &path("gemini-3.8-flash"), body, &[], "list").await.json();
    assert_eq!(cut[0], serde_json::from_str::<Value>(part).unwrap());
    assert_eq!((&cut[1]["error"]["status"], cut.as_array().unwrap().len()), (&json!("INTERNAL"), 2), "{cut}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_embedded_one_by_one_or_as_a_batch() {
    let stage = Stage::open().await;
    let of = |text: &str| json!({ "content": { "parts": [{ "text": text }] }, "taskType": "CLUSTERING", "outputDimensionality": 8 });
    for model in ["gemini-embedding-001", "text-embedding-3-small"] {
        let path = |method: &str| format!("/v1beta/models/{model}:{method}");
        let one = stage.post(6120, &path("embedContent"), of("a")).await;
        assert_eq!(one.status, 200, "{}", one.body);
        let both =
            stage.post(6120, &path("batchEmbedContents"), json!({ "requests": [of("a"), of("b")] })).await;
        let vectors = both.body["embeddings"].as_array().unwrap();
        assert_eq!((vectors.len(), &vectors[0]), (2, &one.body["embedding"]), "{}", both.body);
        assert_eq!(vectors[0]["values"].as_array().unwrap().len(), 8);
    }
    let asked = last(&stage, Vendor::Gemini).body;
    assert_eq!(asked["requests"][1]["taskType"], "CLUSTERING", "{asked}");
    assert_eq!(last(&stage, Vendor::OpenAi).body.get("taskType"), None);
    stage.close().await;
}
