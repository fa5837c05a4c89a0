//! Laws of all decoders: how a stream is divided changes nothing; a stream that is cut anywhere never ends
//! cleanly; anything else is malformed.

use proptest::prelude::*;

use super::*;
use crate::chat::ChatRole;
use crate::dialect::{AnswerDefaults, decoder};
use crate::passage::{self, GenerateTarget, OriginalRequest, PassedRequest, WireProtocol};

const OPENAI: &str = concat!(
    ": hello\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"content":"Grüße 🦀"},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"t2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":5}}}"#,
    "\n\ndata: [DONE]\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"output_tokens":1}}}"#,
    "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"sig\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße 🦀\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const GEMINI: &str = concat!(
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"hm\", \"thought\": true}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 8},\"modelVersion\": \"gemini\",\"responseId\": \"r\"}\r\n\r\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Grüße 🦀\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 8}}\r\n\r\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall\": {\"name\": \"f\",\"args\": {\"a\": 1}},\"thoughtSignature\": \"s\"},{\"functionCall\": {\"name\": \"g\",\"args\": {}}}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],",
    "\"usageMetadata\": {\"promptTokenCount\": 8,\"candidatesTokenCount\": 5,\"thoughtsTokenCount\": 20,\"totalTokenCount\": 33}}\r\n\r\n",
);

const OLLAMA: &str = concat!(
    r#"{"model":"llama","created_at":"2026-11-22T19:00:00Z","message":{"role":"assistant","content":"Grüße "},"done":false}"#,
    "\n",
    r#"{"model":"llama","created_at":"2026-11-22T19:00:01Z","message":{"role":"assistant","content":"🦀"},"done":false}"#,
    "\n",
    r#"{"model":"llama","created_at":"2026-11-22T19:00:02Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"function":{"name":"g","arguments":{}}}]},"done":false}"#,
    "\n",
    r#"{"model":"llama","created_at":"2026-11-22T19:00:03Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":7}"#,
    "\n",
);

const STREAMS: [(Vendor, &str); 5] = [
    (Vendor::OpenAi, OPENAI),
    (Vendor::Grok, OPENAI),
    (Vendor::Anthropic, ANTHROPIC),
    (Vendor::Gemini, GEMINI),
    (Vendor::Ollama, OLLAMA),
];

type DecodedStream = (Vec<Result<ChatChunk, VendorFailure>>, Result<Option<TokenUsage>, VendorFailure>);

fn decode<'a>(vendor: Vendor, pieces: impl IntoIterator<Item = &'a [u8]>) -> DecodedStream {
    let mut decoder = decoder(vendor, AnswerDefaults { model: "m".into(), created: 5 }, 1);
    let read = |said| match said {
        StreamItem::Chunk(chunk) => chunk,
        StreamItem::Verbatim(text) => panic!("nobody asked for {text:?}"),
    };
    let said = pieces.into_iter().flat_map(|piece| decoder.push(piece));
    let chunks = said.map(|said| said.map(read)).collect();
    (chunks, decoder.finish())
}

/// A stream of this protocol that is passed on: its events, its ending, its end.
fn passed<'a>(
    protocol: WireProtocol,
    wants_usage: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (String, String, Result<Option<TokenUsage>, VendorFailure>) {
    let body = match protocol {
        WireProtocol::Chat if wants_usage => {
            r#"{"model":"m","messages":[{}],"stream_options":{"include_usage":true}}"#
        }
        WireProtocol::Chat | WireProtocol::Messages => r#"{"model":"m","messages":[{}]}"#,
        WireProtocol::Responses => r#"{"model":"m","input":"x"}"#,
        WireProtocol::Completions => r#"{"model":"m","prompt":"x"}"#,
        WireProtocol::Generate => r#"{"contents":[{}]}"#,
    };
    passed_for(protocol, body, pieces)
}

/// The same of a request of its own.
fn passed_for<'a>(
    protocol: WireProtocol,
    body: &'static str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (String, String, Result<Option<TokenUsage>, VendorFailure>) {
    let headers = hyper::header::HeaderMap::new();
    let target = || GenerateTarget { model: "m".to_owned(), is_stream: true };
    let original = match protocol {
        WireProtocol::Generate => OriginalRequest::read_generate(target(), body.into(), &headers),
        _ => OriginalRequest::read(protocol, body.into(), None, &headers),
    };
    let request = PassedRequest { original: original.unwrap().into(), model: "m".into(), limit: None };
    let vendor = match protocol {
        WireProtocol::Messages => Vendor::Anthropic,
        WireProtocol::Generate => Vendor::Gemini,
        _ => Vendor::OpenAi,
    };
    let mut decoder = passage::decoder(vendor, &request, &headers);
    let mut text = Vec::new();
    for said in pieces.into_iter().flat_map(|piece| decoder.push(piece)) {
        match said {
            Ok(StreamItem::Verbatim(events)) => text.extend(events),
            Ok(StreamItem::Chunk(chunk)) => panic!("nobody asked for {chunk:?}"),
            Err(_) => {}
        }
    }
    let end = decoder.finish_body();
    (String::from_utf8(text).unwrap(), String::from_utf8(decoder.ending()).unwrap(), end)
}

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"\\ud83d\"}\n\n",
    "event: response.custom\ndata: {\"type\":\"response.custom\",\"b\":1,\"a\":2}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":5},\"output_tokens\":4}}}\n\n",
);

const PASSED: [(WireProtocol, bool, &str); 3] = [
    (WireProtocol::Chat, true, OPENAI),
    (WireProtocol::Messages, false, ANTHROPIC),
    (WireProtocol::Responses, false, RESPONSES),
];

#[test]
fn events_of_a_shared_protocol_pass_as_they_came_and_the_end_waits() {
    for (protocol, wants_usage, stream) in PASSED {
        let (text, ending, end) = passed(protocol, wants_usage, [stream.as_bytes()]);
        assert_eq!([text, ending.clone()].concat(), stream.strip_prefix(": hello\n\n").unwrap_or(stream));
        assert!(["[DONE]", "message_stop", "response.completed"].iter().any(|end| ending.contains(end)));
        assert_eq!(end.unwrap().map(|usage| (usage.cache_read > 0, usage.output > 0)), Some((true, true)));
    }
    let (without, _, end) = passed(WireProtocol::Chat, false, [OPENAI.as_bytes()]);
    assert!(!without.contains("prompt_tokens") && end.unwrap().is_some(), "{without}");
}

#[test]
fn gemini_s_events_pass_and_the_one_that_ends_the_last_candidate_waits() {
    let (text, ending, end) = passed(WireProtocol::Generate, false, [GEMINI.as_bytes()]);
    assert_eq!([text.clone(), ending.clone()].concat(), GEMINI.replace("\r\n", "\n"));
    assert!(ending.contains("\"STOP\"") && !text.contains("\"STOP\""), "{ending}");
    assert_eq!(end.unwrap().map(|usage| (usage.input, usage.output)), Some((8, 25)));
    let cut =
        &GEMINI[..GEMINI.find("data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall").unwrap()];
    assert!(passed(WireProtocol::Generate, false, [cut.as_bytes()]).2.is_err());
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":8}}\n\n";
    let (_, ending, end) = passed(WireProtocol::Generate, false, [blocked.as_bytes()]);
    assert_eq!((ending.as_str(), end.unwrap().map(|usage| usage.input)), (blocked, Some(8)));
}

/// A stream of two candidates, of which the first ends before the second begins.
const CANDIDATES: [&str; 3] = [
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\",\"index\":0}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"index\":1,\"groundingMetadata\":null}],\"usageMetadata\":null}\n\n",
    "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":1}],\"usageMetadata\":{\"promptTokenCount\":8}}\n\n",
];

#[test]
fn a_stream_of_several_candidates_ends_with_the_last_of_them() {
    let asked = r#"{"contents":[{}],"generationConfig":{"candidateCount":2}}"#;
    let (text, ending, end) =
        passed_for(WireProtocol::Generate, asked, CANDIDATES.iter().map(|one| one.as_bytes()));
    assert_eq!((text, ending), (CANDIDATES[..2].concat(), CANDIDATES[2].to_owned()));
    assert_eq!(end.unwrap().map(|usage| usage.input), Some(8));
    // A vendor that makes one of two has said all when its body ends.
    let (text, ending, end) = passed_for(WireProtocol::Generate, asked, [CANDIDATES[0].as_bytes()]);
    assert_eq!((text.as_str(), ending.as_str(), end.unwrap()), ("", CANDIDATES[0], None));

    let mut decoder = decoder(Vendor::Gemini, AnswerDefaults { model: "m".into(), created: 5 }, 2);
    let mut chunks = 0;
    for event in CANDIDATES {
        assert!(!decoder.is_whole(), "{event}");
        chunks += decoder.push(event.as_bytes()).iter().filter(|said| said.is_ok()).count();
    }
    assert!(decoder.is_whole() && chunks >= 6, "{chunks}");
}

#[test]
fn a_chat_that_said_all_is_whole_without_its_last_line() {
    let without = OPENAI.strip_suffix("data: [DONE]\n\n").unwrap();
    let (_, ending, end) = passed(WireProtocol::Chat, true, [without.as_bytes()]);
    assert!(end.unwrap().is_some() && ending == "data: [DONE]\n\n", "{ending}");
    for (protocol, wants_usage, stream) in PASSED {
        let cut = &stream[..stream.len() / 2];
        assert!(passed(protocol, wants_usage, [cut.as_bytes()]).2.is_err(), "{protocol:?}");
    }
}

#[test]
fn a_vendor_s_own_error_event_is_kept_for_its_client() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    let openai = "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n";
    let responses = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"x\",\"param\":null}\n\n";
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"x\"}}}\n\n";
    let gemini = "data: {\"error\":{\"code\":503,\"message\":\"x\",\"status\":\"UNAVAILABLE\"}}\n\n";
    for (protocol, event) in [
        (WireProtocol::Messages, error),
        (WireProtocol::Chat, openai),
        (WireProtocol::Responses, responses),
        (WireProtocol::Responses, failed),
        (WireProtocol::Generate, gemini),
    ] {
        let failure = passed(protocol, false, [event.as_bytes()]).2.unwrap_err();
        let said = failure.said.clone().unwrap();
        assert_eq!((said.message(), String::from_utf8(said.event.clone()).unwrap()), ("x", event.to_owned()));
        assert_eq!((failure.kind, failure.may_cost), (VendorFailureKind::Server, true), "{event}");
    }
}

/// Text, thinking, calls (id, name, arguments) and reason, put together as a client does.
#[derive(Debug, Default, PartialEq)]
struct AssembledAnswer {
    text: String,
    reasoning: String,
    calls: Vec<(String, String, String)>,
    reason: Option<String>,
}

fn seen(chunks: &[Result<ChatChunk, VendorFailure>]) -> AssembledAnswer {
    let mut seen = AssembledAnswer::default();
    for choice in chunks.iter().flat_map(|chunk| &chunk.as_ref().unwrap().choices) {
        seen.text += choice.delta.content.as_deref().unwrap_or_default();
        seen.reasoning +=
            choice.delta.extra.get("reasoning_content").and_then(|text| text.as_str()).unwrap_or("");
        for call in &choice.delta.tool_calls {
            let at = usize::try_from(call.index).unwrap();
            seen.calls.resize(seen.calls.len().max(at + 1), Default::default());
            let function = call.function.clone().unwrap();
            seen.calls[at].0 += call.id.as_deref().unwrap_or_default();
            seen.calls[at].1 += function.name.as_deref().unwrap_or_default();
            seen.calls[at].2 += function.arguments.as_deref().unwrap_or_default();
        }
        seen.reason = choice.finish_reason.clone().or(seen.reason);
    }
    seen
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn text_thinking_parallel_calls_reason_and_usage_arrive_from_every_vendor() {
    let ids = |vendor| match vendor {
        Vendor::Gemini => ["call_r_0", "call_r_1"],
        Vendor::Ollama => ["call_20261122190000_0", "call_20261122190000_1"],
        _ => ["t1", "t2"],
    };
    for (vendor, stream) in STREAMS {
        let (chunks, end) = decode(vendor, [stream.as_bytes()]);
        let [first, second] = ids(vendor);
        let openai_like = vendor.is_openai_like();
        let wanted = AssembledAnswer {
            text: "Grüße 🦀".into(),
            reasoning: if openai_like || vendor == Vendor::Ollama { "" } else { "hm" }.into(),
            calls: vec![
                call(first, "f", if openai_like { "" } else { r#"{"a":1}"# }),
                call(second, "g", "{}"),
            ],
            reason: Some("tool_calls".into()),
        };
        assert_eq!(seen(&chunks), wanted, "{vendor}");
        let usage = match vendor {
            Vendor::OpenAi | Vendor::Grok => {
                TokenUsage { input: 4, cache_read: 5, output: 4, ..TokenUsage::default() }
            }
            Vendor::Anthropic => TokenUsage {
                input: 25,
                cache_read: 7,
                cache_write_5m: 4,
                cache_write_1h: 6,
                output: 15,
                ..TokenUsage::default()
            },
            Vendor::Gemini => TokenUsage { input: 8, output: 25, reasoning: 20, ..TokenUsage::default() },
            Vendor::Ollama => TokenUsage { input: 26, output: 7, ..TokenUsage::default() },
        };
        assert_eq!(end.unwrap(), Some(usage), "{vendor}");
        let chunks: Vec<ChatChunk> = chunks.into_iter().map(Result::unwrap).collect();
        assert_eq!(chunks[0].choices[0].delta.role, Some(ChatRole::Assistant), "{vendor}");
        let last = chunks.last().unwrap();
        assert!(last.choices.is_empty());
        assert_eq!(
            last.usage.as_ref().map(|report| report.to_usage().total()),
            Some(usage.total()),
            "{vendor}"
        );
        assert_eq!(chunks.iter().filter(|chunk| chunk.usage.is_some()).count(), 1, "{vendor}");
    }
}

#[test]
fn a_stream_cut_at_any_byte_never_ends_cleanly() {
    for (vendor, stream) in STREAMS {
        for end in 0..stream.len() {
            let (chunks, result) = decode(vendor, [&stream.as_bytes()[..end]]);
            assert!(chunks.iter().all(Result::is_ok), "{vendor} {end}");
            let failure = result.expect_err("cut");
            assert_eq!((failure.kind, failure.may_cost), (VendorFailureKind::Cut, true), "{vendor} {end}");
        }
    }
}

#[test]
fn an_error_in_the_stream_is_its_last_item() {
    for (vendor, event, kind) in [
        (
            Vendor::OpenAi,
            "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n",
            VendorFailureKind::Server,
        ),
        (
            Vendor::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n",
            VendorFailureKind::Server,
        ),
        (
            Vendor::Gemini,
            "data: {\"error\":{\"code\":429,\"message\":\"x\",\"status\":\"RESOURCE_EXHAUSTED\"}}\r\n\r\n",
            VendorFailureKind::RateLimited,
        ),
        (Vendor::Ollama, "{\"error\":\"out of memory\"}\n", VendorFailureKind::Server),
    ] {
        let stream = STREAMS.iter().find(|(known, _)| *known == vendor).unwrap().1;
        let (chunks, end) = decode(vendor, [event.as_bytes(), stream.as_bytes()]);
        assert_eq!(chunks.len(), 1, "{vendor}");
        let failure = chunks[0].as_ref().unwrap_err();
        assert_eq!((failure.kind, failure.may_cost), (kind, true), "{vendor}");
        assert_eq!(end.as_ref(), Err(failure), "{vendor}");
    }
}

#[test]
fn what_is_no_stream_is_malformed() {
    let garbage = [
        "<html>oops</html>",
        "<html>\n\n",
        "data: {oops\n\n",
        "data: {}\n\n",
        "{\"a\"]",
        "{\"a\":1}\n",
        "\0\u{1}\n",
    ];
    for (vendor, _) in STREAMS {
        for bytes in garbage {
            let (_, end) = decode(vendor, [bytes.as_bytes()]);
            assert_eq!(end.unwrap_err().kind, VendorFailureKind::Malformed, "{vendor} {bytes:?}");
        }
    }
}

#[test]
fn a_stream_that_is_whole_without_usage_says_so() {
    let cut_usage = |stream: &str, from: &str, to: &str| {
        let (start, end) = (stream.find(from).unwrap(), stream.rfind(to).unwrap());
        format!("{}{}", &stream[..start], &stream[end..])
    };
    let openai = cut_usage(
        OPENAI,
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt\",\"choices\":[],",
        "data: [DONE]",
    );
    assert_eq!(decode(Vendor::OpenAi, [openai.as_bytes()]).1, Ok(None));
    let ollama = OLLAMA.replace(",\"prompt_eval_count\":26,\"eval_count\":7", "");
    assert_eq!(decode(Vendor::Ollama, [ollama.as_bytes()]).1, Ok(None));
}

/// The stream in pieces that end at these places.
fn split(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| bytes[start..*end].to_vec()).collect()
}

proptest! {
    // 20,000 divisions of each of the five streams: 100,000.
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn how_a_stream_is_divided_changes_nothing(places in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        for (vendor, stream) in STREAMS {
            let pieces = split(stream.as_bytes(), &places);
            let divided = decode(vendor, pieces.iter().map(Vec::as_slice));
            prop_assert_eq!(&divided, whole(vendor));
        }
        for (protocol, wants_usage, stream) in PASSED {
            let pieces = split(stream.as_bytes(), &places);
            let divided = passed(protocol, wants_usage, pieces.iter().map(Vec::as_slice));
            prop_assert_eq!(divided, passed(protocol, wants_usage, [stream.as_bytes()]));
        }
    }
}

fn whole(vendor: Vendor) -> &'static DecodedStream {
    static WHOLE: std::sync::LazyLock<Vec<(Vendor, DecodedStream)>> = std::sync::LazyLock::new(|| {
        STREAMS.iter().map(|(vendor, stream)| (*vendor, decode(*vendor, [stream.as_bytes()]))).collect()
    });
    WHOLE.iter().find(|(known, _)| *known == vendor).map(|(_, decoded)| decoded).unwrap()
}

proptest! {
    #[test]
    fn a_broken_stream_breaks_the_same_however_divided(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'd'), Just(b':'), Just(b'{'), any::<u8>()], 0..80),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        after in any::<prop::sample::Index>(),
    ) {
        for (vendor, stream) in STREAMS {
            let at = after.index(stream.len());
            let stream = [&stream.as_bytes()[..at], &bytes, &stream.as_bytes()[at..]].concat();
            let pieces = split(&stream, &places);
            let divided = decode(vendor, pieces.iter().map(Vec::as_slice));
            prop_assert_eq!(divided, decode(vendor, [&stream[..]]));
        }
    }
}
