//! A stream in Anthropic's form: message_start, blocks with their deltas, message_delta, message_stop.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::response::message_id;
use super::{REASONING, THINKING_BLOCKS, stop_reason};
use crate::chat::{ChatChunk, ChatDelta, ToolCallDelta};
use crate::inbound::{ApiFormat, ApiProblem, InboundWriter, event, tools, usage};
use pas_domain::usage::TokenUsage;

/// The kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessagesBlockKind {
    Thinking,
    Text,
    Tool(u32),
}

/// Writes a stream of messages events.
///
/// One block is open at a time. A late delta of a tool call whose block is closed already (no vendor sends
/// one,
/// but the canonical form allows it) goes to that block by index.
#[derive(Debug, Default)]
pub struct MessagesWriter {
    has_begun: bool,
    open: Option<(MessagesBlockKind, usize)>,
    blocks: usize,
    tools: HashMap<u32, usize>,
    finish: Option<String>,
    stop_sequence: Option<Value>,
}

impl MessagesWriter {
    fn begin(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = json!({
            "id": message_id(&chunk.id), "type": "message", "role": "assistant", "model": chunk.model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": usage::anthropic(&TokenUsage::default()),
        });
        event(out, "message_start", &json!({ "type": "message_start", "message": message }));
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((_, index)) = self.open.take() {
            event(out, "content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
        }
    }

    /// The index of the block for `kind`, opened if it is not open.
    fn block(&mut self, kind: MessagesBlockKind, start: impl FnOnce() -> Value, out: &mut Vec<u8>) -> usize {
        if let Some((open, index)) = self.open
            && open == kind
        {
            return index;
        }
        if let MessagesBlockKind::Tool(number) = kind
            && let Some(index) = self.tools.get(&number)
        {
            return *index;
        }
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((kind, index));
        if let MessagesBlockKind::Tool(number) = kind {
            self.tools.insert(number, index);
        }
        let data = json!({ "type": "content_block_start", "index": index, "content_block": start() });
        event(out, "content_block_start", &data);
        index
    }

    fn delta(&mut self, delta: &ChatDelta, out: &mut Vec<u8>) {
        self.thought(delta, out);
        let refusal = delta.extra.get("refusal").and_then(Value::as_str);
        for text in [delta.content.as_deref(), refusal].into_iter().flatten().filter(|text| !text.is_empty())
        {
            let index = self.block(MessagesBlockKind::Text, || json!({ "type": "text", "text": "" }), out);
            block_delta(index, &json!({ "type": "text_delta", "text": text }), out);
        }
        for call in &delta.tool_calls {
            self.call(call, out);
        }
    }

    fn thought(&mut self, delta: &ChatDelta, out: &mut Vec<u8>) {
        let start = || json!({ "type": "thinking", "thinking": "", "signature": "" });
        if let Some(text) = delta.extra.get(REASONING).and_then(Value::as_str).filter(|text| !text.is_empty())
        {
            let index = self.block(MessagesBlockKind::Thinking, start, out);
            block_delta(index, &json!({ "type": "thinking_delta", "thinking": text }), out);
        }
        let Some(Value::Array(blocks)) = delta.extra.get(THINKING_BLOCKS) else { return };
        for block in blocks {
            if block["type"] == "redacted_thinking" {
                self.close(out);
                let index = self.blocks;
                self.blocks += 1;
                self.open = Some((MessagesBlockKind::Thinking, index));
                let data = json!({ "type": "content_block_start", "index": index, "content_block": block });
                event(out, "content_block_start", &data);
                self.close(out);
            } else if let Some(signature) = block["signature"].as_str().filter(|text| !text.is_empty()) {
                let index = self.block(MessagesBlockKind::Thinking, start, out);
                block_delta(index, &json!({ "type": "signature_delta", "signature": signature }), out);
                // A signed thought is complete.
                self.close(out);
            }
        }
    }

    fn call(&mut self, call: &ToolCallDelta, out: &mut Vec<u8>) {
        let function = call.function.clone().unwrap_or_default();
        let start = || {
            let id = call.id.clone().unwrap_or_else(|| format!("toolu_{}", call.index));
            let id = tools::signed_id(&id, call.extra_content.as_ref());
            json!({ "type": "tool_use", "id": id, "name": function.name.unwrap_or_default(), "input": {} })
        };
        let index = self.block(MessagesBlockKind::Tool(call.index), start, out);
        if let Some(piece) = function.arguments.filter(|piece| !piece.is_empty()) {
            block_delta(index, &json!({ "type": "input_json_delta", "partial_json": piece }), out);
        }
    }
}

fn block_delta(index: usize, delta: &Value, out: &mut Vec<u8>) {
    let data = json!({ "type": "content_block_delta", "index": index, "delta": delta });
    event(out, "content_block_delta", &data);
}

impl InboundWriter for MessagesWriter {
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        self.begin(chunk, out);
        // Anthropic's form knows one answer a request.
        let Some(choice) = chunk.choices.iter().find(|choice| choice.index == 0) else { return };
        self.delta(&choice.delta, out);
        if let Some(finish) = &choice.finish_reason {
            self.finish = Some(finish.clone());
            self.stop_sequence = choice.extra.get("stop_sequence").cloned();
        }
    }

    fn finish(&mut self, used: Option<&TokenUsage>, out: &mut Vec<u8>) {
        self.close(out);
        let delta = json!({
            "stop_reason": stop_reason(self.finish.as_deref()), "stop_sequence": self.stop_sequence.take(),
        });
        let used = usage::anthropic(&used.copied().unwrap_or_default());
        event(out, "message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": used }));
        event(out, "message_stop", &json!({ "type": "message_stop" }));
    }

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        event(out, "error", &problem.body(ApiFormat::Anthropic));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message;
    use super::*;
    use crate::inbound::ProblemKind;
    use crate::inbound::testing::{chunk, events, streamed, text_chunk, written};

    /// Puts a stream together as Anthropic's SDKs do.
    fn assembled(events: &[Value]) -> Value {
        let mut message = Value::Null;
        let mut partial: HashMap<usize, String> = HashMap::new();
        for event in events {
            let index = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
            match event["type"].as_str().unwrap() {
                "message_start" => message = event["message"].clone(),
                "content_block_start" => {
                    let blocks = message["content"].as_array_mut().unwrap();
                    assert_eq!(blocks.len(), index, "blocks are numbered in order");
                    blocks.push(event["content_block"].clone());
                }
                "content_block_delta" => {
                    let (block, delta) = (&mut message["content"][index], &event["delta"]);
                    let add = |field: &mut Value, more: &Value| {
                        *field = json!(format!("{}{}", field.as_str().unwrap(), more.as_str().unwrap()));
                    };
                    match delta["type"].as_str().unwrap() {
                        "text_delta" => add(&mut block["text"], &delta["text"]),
                        "thinking_delta" => add(&mut block["thinking"], &delta["thinking"]),
                        "signature_delta" => add(&mut block["signature"], &delta["signature"]),
                        "input_json_delta" => {
                            let text = partial.entry(index).or_default();
                            text.push_str(delta["partial_json"].as_str().unwrap());
                        }
                        other => panic!("{other}"),
                    }
                }
                "message_delta" => {
                    message["stop_reason"] = event["delta"]["stop_reason"].clone();
                    message["usage"] = event["usage"].clone();
                }
                _ => {}
            }
        }
        for (index, text) in partial {
            message["content"][index]["input"] = serde_json::from_str(&text).unwrap();
        }
        message
    }

    proptest! {
        #[test]
        fn a_stream_put_together_is_the_whole_answer(streamed in streamed()) {
            let used = TokenUsage { input: 11, output: 7, ..TokenUsage::default() };
            let text = written(&mut MessagesWriter::default(), &streamed.chunks, Ok(Some(&used)));
            let events = events(&text);
            prop_assert_eq!(assembled(&events), message(&streamed.whole, Some(&used)));
            let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
            prop_assert_eq!(count("content_block_start"), count("content_block_stop"));
            prop_assert_eq!(&events.last().unwrap()["type"], "message_stop");
        }
    }

    #[test]
    fn signed_thought_ends_its_block() {
        let chunks = [
            chunk(json!({"reasoning_content": "hm"}), None),
            chunk(
                json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "sig"}]}),
                None,
            ),
            text_chunk("4"),
            chunk(json!({}), Some("stop")),
        ];
        let message = assembled(&events(&written(&mut MessagesWriter::default(), &chunks, Ok(None))));
        assert_eq!(
            message["content"],
            json!([{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "4"}])
        );
    }

    #[test]
    fn a_cut_is_an_error_event_and_no_stop() {
        let problem = ApiProblem::new(ProblemKind::Cut, "cut");
        let events = events(&written(&mut MessagesWriter::default(), &[text_chunk("Hi")], Err(&problem)));
        assert_eq!(events.last().unwrap()["error"]["type"], "api_error");
        assert!(events.iter().all(|event| event["type"] != "message_stop"));
    }
}
