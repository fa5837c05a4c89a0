//! The complete answer, and the vendor's usage with disjoint classes of input.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{THINKING_BLOCKS, finish_reason};
use crate::dialect::{AnswerDefaults, Completion};
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{AssistantMessage, ChunkHead};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::{ServiceTier, TokenUsage};

/// The head of a message, in an answer or at the start of a stream.
#[derive(Deserialize)]
pub(super) struct AnthropicResponse {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) model: String,
    pub(super) content: Vec<AnthropicBlock>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    pub(super) usage: Option<AnthropicUsage>,
}

/// A block of content; unknown kinds are ignored.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum AnthropicBlock {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    Thinking {
        thinking: String,
        #[serde(default)]
        signature: Option<String>,
    },
    RedactedThinking {
        data: String,
    },
    #[serde(other)]
    Other,
}

/// The vendor's usage. In a stream the later report counts, field by field.
#[derive(Deserialize, Clone, Copy, Default)]
pub(crate) struct AnthropicUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "tier")]
    service_tier: Option<ServiceTier>,
    server_tool_use: Option<ServerToolUse>,
}

/// The tools that the vendor ran and bills by their number.
#[derive(Deserialize, Clone, Copy)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: u32,
}

fn tier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServiceTier>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(word.as_deref().map(ServiceTier::from_word))
}

#[derive(Deserialize, Clone, Copy)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: u64,
    #[serde(default)]
    ephemeral_1h_input_tokens: u64,
}

impl AnthropicUsage {
    /// Updates this report with a later one, whose figures are cumulative.
    pub(crate) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens: later.output_tokens.or(self.output_tokens),
            service_tier: later.service_tier.or(self.service_tier),
            server_tool_use: later.server_tool_use.or(self.server_tool_use),
        }
    }

    /// In disjoint classes; `None` without counts. A cache write of unknown lifetime counts as five minutes,
    /// the vendor's default.
    pub(crate) fn usage(&self) -> Option<TokenUsage> {
        let split = self.cache_creation;
        let written_1h = split.map_or(0, |split| split.ephemeral_1h_input_tokens);
        let written_5m = split.map_or(0, |split| split.ephemeral_5m_input_tokens);
        let written =
            self.cache_creation_input_tokens.unwrap_or(0).max(written_1h.saturating_add(written_5m));
        Some(TokenUsage {
            input: self.input_tokens?,
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: written - written_1h,
            cache_write_1h: written_1h,
            output: self.output_tokens?,
            searches: self.server_tool_use.map_or(0, |tools| tools.web_search_requests),
            tier: anthropic_tier(self.service_tier),
            ..TokenUsage::default()
        })
    }
}

/// A commitment of capacity is billed by its own contract, so `priority` costs as usual here.
fn anthropic_tier(said: Option<ServiceTier>) -> ServiceTier {
    said.filter(|tier| *tier != ServiceTier::Priority).unwrap_or_default()
}

pub(crate) fn chat(asked: &AnswerDefaults, body: &[u8]) -> Result<Completion, VendorFailure> {
    let answer: AnthropicResponse = exact_integers::read(body).map_err(|error| {
        vendor_error::in_answer(Vendor::Anthropic, body)
            .unwrap_or_else(|| VendorFailure::malformed(Vendor::Anthropic, &error.to_string()))
    })?;
    let mut head = ChunkHead { id: answer.id, asked: asked.clone() };
    head.model(answer.model);
    let mut said = AssistantMessage::default();
    let mut thoughts = Vec::new();
    for block in answer.content {
        match block {
            AnthropicBlock::Text { text } => said.text.push_str(&text),
            AnthropicBlock::ToolUse { id, name, input } => said.call(id, name, &object(input)),
            AnthropicBlock::Thinking { thinking, signature } => {
                said.reasoning.push_str(&thinking);
                thoughts.push(thinking_block(&thinking, signature));
            }
            AnthropicBlock::RedactedThinking { data } => thoughts.push(redacted_block(&data)),
            AnthropicBlock::Other => {}
        }
    }
    if !thoughts.is_empty() {
        said.extra.insert(THINKING_BLOCKS.to_owned(), thoughts.into());
    }
    let reason = finish_reason(answer.stop_reason.as_deref().unwrap_or_default());
    Ok(head.completion(vec![said.choice(0, reason)], answer.usage.and_then(|usage| usage.usage())))
}

/// A call without input gets an empty object.
pub(super) fn object(input: Value) -> Value {
    if input.is_null() { Value::Object(Map::new()) } else { input }
}

pub(super) fn thinking_block(thinking: &str, signature: Option<String>) -> Value {
    let mut block = serde_json::json!({"type": "thinking", "thinking": thinking});
    if let Some(signature) = signature {
        block["signature"] = signature.into();
    }
    block
}

pub(super) fn redacted_block(data: &str) -> Value {
    serde_json::json!({"type": "redacted_thinking", "data": data})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::VendorFailureKind;
    use crate::chat::ChatContent;

    #[test]
    fn text_calls_thinking_and_caches_all_arrive() {
        let body = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "text", "text": "I look "}, {"type": "text", "text": "twice."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Köln"}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}}],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 2_095, "cache_creation_input_tokens": 3_000, "cache_read_input_tokens": 4_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
                "output_tokens": 503, "service_tier": "standard"},
        });
        let found =
            chat(&AnswerDefaults { model: "m".into(), created: 9 }, body.to_string().as_bytes()).unwrap();
        let choice = &found.response.choices[0];
        assert_eq!(choice.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(choice.message.content, Some(ChatContent::Text("I look twice.".into())));
        let calls: Vec<_> =
            choice.message.tool_calls.iter().map(|call| (&*call.id, &*call.function.arguments)).collect();
        assert_eq!(calls, [("toolu_1", r#"{"city":"Köln"}"#), ("toolu_2", "{}")]);
        assert_eq!(choice.message.extra["thinking_blocks"][0]["signature"], "sig");
        assert_eq!(choice.message.extra["reasoning_content"], "hm");
        let usage = TokenUsage {
            input: 2_095,
            cache_read: 4_000,
            cache_write_5m: 1_000,
            cache_write_1h: 2_000,
            output: 503,
            ..TokenUsage::default()
        };
        assert_eq!(found.usage, Some(usage));
        let report = found.response.usage.unwrap();
        assert_eq!((report.prompt_tokens, report.total_tokens), (9_095, 9_598));
    }

    #[test]
    fn a_cache_write_without_a_split_lives_five_minutes_and_missing_counts_are_missing() {
        let read = |usage: Value| serde_json::from_value::<AnthropicUsage>(usage).unwrap().usage();
        let old = json!({"input_tokens": 1, "cache_creation_input_tokens": 7, "output_tokens": 2});
        assert_eq!(
            read(old),
            Some(TokenUsage { input: 1, cache_write_5m: 7, output: 2, ..TokenUsage::default() })
        );
        assert_eq!(read(json!({"input_tokens": 1})), None);
    }

    #[test]
    fn an_error_or_garbage_is_no_answer() {
        let kind = |body: &str| chat(&AnswerDefaults::default(), body.as_bytes()).unwrap_err().kind;
        assert_eq!(kind("{\"id\":1}"), VendorFailureKind::Malformed);
        assert_eq!(
            kind(r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#),
            VendorFailureKind::RateLimited
        );
    }
}
