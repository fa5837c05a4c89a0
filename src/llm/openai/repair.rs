//! Makes the loose answers of OpenAI-like servers exact before they are translated: calls without an index, the wrong
//! finish reason, and letters that were cut in two.

use std::collections::HashMap;

use crate::chat::{ChatChunk, ChatResponse};

/// Repairs the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct ChunkRepair {
    /// The open call of each choice and index, by its id, with its place among the choice's calls.
    open: HashMap<(u32, u32), (String, u32)>,
    /// Calls of each choice.
    calls: HashMap<u32, u32>,
    /// The first half of a letter, as it was escaped.
    half: String,
}

impl ChunkRepair {
    /// Two ids are two calls, whatever their index; an answer that calls ends with `tool_calls`.
    pub(super) fn repair(&mut self, chunk: &mut ChatChunk) {
        for choice in &mut chunk.choices {
            for call in &mut choice.delta.tool_calls {
                let id = call.id.clone().unwrap_or_default();
                let key = (choice.index, call.index);
                let known = self.open.get(&key).filter(|(open, _)| id.is_empty() || *open == id);
                call.index = if let Some((_, place)) = known {
                    *place
                } else {
                    let count = self.calls.entry(choice.index).or_default();
                    *count += 1;
                    self.open.insert(key, (id, *count - 1));
                    *count - 1
                };
            }
            if choice.finish_reason.as_deref() == Some("stop") && self.calls.contains_key(&choice.index) {
                choice.finish_reason = Some("tool_calls".to_owned());
            }
        }
    }

    /// JSON whose texts may end or begin with half of a surrogate pair: the half waits for the other one.
    pub(super) fn join_halves(&mut self, json: &str) -> String {
        let mut out = String::with_capacity(json.len() + self.half.len());
        let mut rest = json;
        while let Some(at) = rest.find('\\') {
            let (before, escape) = rest.split_at(at);
            out.push_str(before);
            let length = if escape.as_bytes().get(1) == Some(&b'u') { 6 } else { 2 };
            let Some((one, after)) = escape.split_at_checked(length) else {
                out.push_str(escape);
                return out;
            };
            rest = after;
            match surrogate(one) {
                Some(false) if rest.get(..6).and_then(surrogate) == Some(true) => {
                    out.push_str(one);
                    out.push_str(&rest[..6]);
                    rest = &rest[6..];
                }
                Some(false) => one.clone_into(&mut self.half),
                Some(true) if self.half.is_empty() => out.push_str("\\ufffd"),
                Some(true) => {
                    out.push_str(&std::mem::take(&mut self.half));
                    out.push_str(one);
                }
                None => out.push_str(one),
            }
        }
        out.push_str(rest);
        out
    }
}

/// Whether an escape is the second half of a pair; `None`: it is a letter of its own.
fn surrogate(escape: &str) -> Option<bool> {
    let code = u32::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()?;
    (0xD800..0xE000).contains(&code).then_some(code >= 0xDC00)
}

/// The same for a whole answer.
pub(super) fn finish(response: &mut ChatResponse) {
    for choice in &mut response.choices {
        if !choice.message.tool_calls.is_empty() && choice.finish_reason.as_deref() == Some("stop") {
            choice.finish_reason = Some("tool_calls".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chunk(choice: &Value) -> ChatChunk {
        serde_json::from_value(json!({ "choices": [choice] })).unwrap()
    }

    #[test]
    fn two_ids_are_two_calls_and_a_call_is_no_plain_stop() {
        let mut repair = ChunkRepair::default();
        let mut places = Vec::new();
        for call in [
            json!({ "id": "a", "function": { "name": "f", "arguments": "{" } }),
            json!({ "id": "a", "function": { "arguments": "}" } }),
            json!({ "index": 0, "id": "b", "function": { "name": "f" } }),
            json!({ "index": 0, "function": { "arguments": "{}" } }),
            json!({ "index": 7, "id": "c" }),
        ] {
            let mut chunk = chunk(&json!({ "delta": { "tool_calls": [call] } }));
            repair.repair(&mut chunk);
            places.push(chunk.choices[0].delta.tool_calls[0].index);
        }
        assert_eq!(places, [0, 0, 1, 1, 2]);
        let mut last = chunk(&json!({ "delta": {}, "finish_reason": "stop" }));
        repair.repair(&mut last);
        assert_eq!(last.choices[0].finish_reason.as_deref(), Some("tool_calls"));
    }

    #[test]
    fn a_letter_in_two_pieces_is_one_letter() {
        let mut repair = ChunkRepair::default();
        let pieces = [r#""a\\\n\ud83d""#, r#""\ude00b\ud83d\ude00""#, r#""\ude00c""#];
        let text: String = pieces
            .iter()
            .map(|piece| serde_json::from_str::<String>(&repair.join_halves(piece)).unwrap())
            .collect();
        assert_eq!(text, "a\\\n\u{1F600}b\u{1F600}\u{FFFD}c");
    }
}
