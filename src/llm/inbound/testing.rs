//! Shared by the tests of the inbound formats: chunks, and streams written and read back.
#![allow(clippy::needless_pass_by_value, reason = "tests write their JSON in place")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ApiProblem, InboundWriter};
use crate::chat::{ChatChunk, ChatResponse};
use pas_domain::usage::TokenUsage;

/// A chunk with one delta.
pub(super) fn chunk(delta: Value, finish: Option<&str>) -> ChatChunk {
    serde_json::from_value(json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_763_800_000, "model": "m-1",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    }))
    .unwrap()
}

/// A chunk of text.
pub(super) fn text_chunk(text: &str) -> ChatChunk {
    chunk(json!({ "content": text }), None)
}

/// A whole answer with one message.
pub(super) fn answer(message: Value, finish: &str) -> ChatResponse {
    serde_json::from_value(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_763_800_000, "model": "m-1",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
    }))
    .unwrap()
}

/// The whole output of a writer.
pub(super) fn written(
    writer: &mut dyn InboundWriter,
    chunks: &[ChatChunk],
    end: Result<Option<&TokenUsage>, &ApiProblem>,
) -> String {
    let mut out = Vec::new();
    for chunk in chunks {
        writer.chunk(chunk, &mut out);
    }
    match end {
        Ok(usage) => writer.finish(usage, &mut out),
        Err(problem) => writer.fail(problem, &mut out),
    }
    String::from_utf8(out).unwrap()
}

/// The data of all server-sent events; each event's name must be its data's `type`.
pub(super) fn events(text: &str) -> Vec<Value> {
    let event = |block: &str| {
        let (name, data) = block.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str(), "{block}");
        data
    };
    text.split("\n\n").filter(|block| !block.is_empty()).map(event).collect()
}

/// An answer of thought, text and calls, and the chunks it comes in, divided anywhere.
#[derive(Debug, Clone)]
pub(super) struct StreamedSample {
    pub(super) whole: ChatResponse,
    pub(super) chunks: Vec<ChatChunk>,
}

/// Any answer, divided in any way.
pub(super) fn streamed() -> impl Strategy<Value = StreamedSample> {
    let pieces = || prop::collection::vec("[a-zé☃\"\\\\ \n]{1,6}", 0..5);
    let calls = prop::collection::vec((prop::collection::vec("[a-z☃]{1,4}", 0..4), "[a-z_]{1,8}"), 0..3);
    (pieces(), pieces(), calls).prop_map(|(thought, text, calls)| build(&thought, &text, &calls))
}

fn build(thought: &[String], text: &[String], calls: &[(Vec<String>, String)]) -> StreamedSample {
    let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), None)];
    chunks.extend(thought.iter().map(|piece| chunk(json!({ "reasoning_content": piece }), None)));
    chunks.extend(text.iter().map(|piece| text_chunk(piece)));
    let mut whole_calls = Vec::new();
    for (index, (pieces, name)) in calls.iter().enumerate() {
        let id = format!("call_{index}");
        let first = json!({ "index": index, "id": id, "type": "function",
            "function": { "name": name, "arguments": "" } });
        chunks.push(chunk(json!({ "tool_calls": [first] }), None));
        let bits: Vec<String> = std::iter::once("{\"q\":\"".to_owned())
            .chain(pieces.iter().cloned())
            .chain(std::iter::once("\"}".to_owned()))
            .collect();
        for bit in &bits {
            let delta = json!({ "index": index, "function": { "arguments": bit } });
            chunks.push(chunk(json!({ "tool_calls": [delta] }), None));
        }
        whole_calls.push(json!({ "id": id, "type": "function",
            "function": { "name": name, "arguments": bits.concat() } }));
    }
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    chunks.push(chunk(json!({}), Some(finish)));
    let mut message = json!({ "role": "assistant" });
    let (text, thought) = (text.concat(), thought.concat());
    if !text.is_empty() {
        message["content"] = json!(text);
    }
    if !thought.is_empty() {
        message["reasoning_content"] = json!(thought);
    }
    if !whole_calls.is_empty() {
        message["tool_calls"] = json!(whole_calls);
    }
    StreamedSample { whole: answer(message, finish), chunks }
}
