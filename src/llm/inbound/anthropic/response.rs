//! A whole answer in Anthropic's form.

use serde_json::{Value, json};

use super::{REASONING, THINKING_BLOCKS, stop_reason};
use crate::chat::{ChatContent, ChatMessage, ChatResponse};
use crate::inbound::{tools, usage};
use pas_domain::usage::TokenUsage;

/// The answer as a message; without a usage from the vendor the counts are 0.
#[must_use]
pub fn message(response: &ChatResponse, used: Option<&TokenUsage>) -> Value {
    let choice = response.choices.first();
    let finish = choice.and_then(|choice| choice.finish_reason.as_deref());
    json!({
        "id": message_id(&response.id),
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": choice.map(|choice| blocks(&choice.message)).unwrap_or_default(),
        "stop_reason": stop_reason(finish),
        "stop_sequence": choice.and_then(|choice| choice.extra.get("stop_sequence")),
        "usage": usage::anthropic(&used.copied().unwrap_or_default()),
    })
}

/// Anthropic's ids begin with `msg_`; SDKs do not demand it, people look for it.
pub(super) fn message_id(id: &str) -> String {
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}

fn blocks(message: &ChatMessage) -> Vec<Value> {
    let mut blocks = thought(message);
    let said = message.content.as_ref().map(ChatContent::to_text).unwrap_or_default();
    let refusal = message.refusal.as_deref().unwrap_or_default();
    for text in [said.as_str(), refusal] {
        if !text.is_empty() {
            blocks.push(json!({ "type": "text", "text": text }));
        }
    }
    let call = |call: &crate::chat::ToolCall| {
        let input = tools::to_object(&call.function.arguments);
        let id = tools::signed_id(&call.id, call.extra_content.as_ref());
        json!({ "type": "tool_use", "id": id, "name": call.function.name, "input": input })
    };
    blocks.extend(message.tool_calls.iter().map(call));
    blocks
}

fn thought(message: &ChatMessage) -> Vec<Value> {
    if let Some(Value::Array(blocks)) = message.extra.get(THINKING_BLOCKS) {
        return blocks.clone();
    }
    let text = message.extra.get(REASONING).and_then(Value::as_str).filter(|text| !text.is_empty());
    let block = |text| json!({ "type": "thinking", "thinking": text, "signature": "" });
    text.map(block).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::testing::answer;

    #[test]
    fn thought_text_and_calls_become_blocks_in_this_order() {
        let call = json!({"id": "c1", "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\":\"Bern\"}"}});
        let said = json!({"role": "assistant", "content": "Let me look.", "tool_calls": [call],
            "reasoning_content": "hm"});
        let used = TokenUsage { input: 10, cache_read: 90, output: 5, ..TokenUsage::default() };
        let message = message(&answer(said, "tool_calls"), Some(&used));
        assert_eq!(
            message["content"],
            json!([
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bern"}},
            ])
        );
        assert_eq!((&message["stop_reason"], &message["id"]), (&json!("tool_use"), &json!("msg_chatcmpl-1")));
        assert_eq!(message["usage"]["input_tokens"], 10);
        assert_eq!(message["usage"]["cache_read_input_tokens"], 90);
    }

    #[test]
    fn signed_thought_is_handed_back_as_it_came() {
        let blocks = json!([{"type": "thinking", "thinking": "hm", "signature": "sig"}]);
        let said = json!({"role": "assistant", "content": "4", "thinking_blocks": blocks});
        assert_eq!(message(&answer(said, "stop"), None)["content"][0], blocks[0]);
    }

    #[test]
    fn reasons_to_stop_are_anthropics_words() {
        for (ours, theirs) in [
            ("stop", "end_turn"),
            ("length", "max_tokens"),
            ("tool_calls", "tool_use"),
            ("content_filter", "refusal"),
        ] {
            let message = message(&answer(json!({"role": "assistant", "content": "x"}), ours), None);
            assert_eq!(message["stop_reason"], theirs);
        }
    }
}
