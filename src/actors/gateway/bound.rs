//! The most tokens a call can use, known before the call.
//!
//! Every vendor's tokenizer makes at least one byte of text into a token, so the bytes sent bound the tokens;
//! pictures are counted separately, not by their base 64. The bound is a few times too high for plain text,
//! which only matters to the hold: the charge is by usage.

use crate::llm::chat::{ChatContent, ChatMessage, ChatRequest, ContentPart, KnownPart};
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::passage::OriginalRequest;

/// Most tokens of one picture: 16 tiles of 258 at Gemini's largest scaling, the dearest of the vendors' rules
/// (OpenAI 1,445 in high detail, Anthropic about 1,600), doubled.
const PICTURE: u64 = 8_192;
/// Tokens of a message beside its text: role, separators, ids.
const MESSAGE: u64 = 32;
/// Tokens of a call beside its messages: the vendors' own instructions for tools are below 700.
const CALL: u64 = 1_024;
/// The window assumed of a model whose own is unknown.
const UNKNOWN_WINDOW: u64 = 200_000;
/// Output tokens where the caller sets no limit and the model's own is higher: an answer of a hundred pages.
/// A model's own limit would hold dollars for a greeting.
const OUTPUT: u64 = 32_768;

/// Most input tokens of a chat.
#[must_use]
pub fn prompt(request: &ChatRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(message).sum();
    let tools: u64 = request.tools.iter().map(written).sum();
    let format = request.response_format.as_ref().map_or(0, written);
    let extra: u64 = request.extra.values().map(written).sum();
    messages + tools + format + extra + CALL
}

fn message(message: &ChatMessage) -> u64 {
    let said = match &message.content {
        None => 0,
        Some(ChatContent::Text(text)) => text.len() as u64,
        Some(ChatContent::Parts(parts)) => parts.iter().map(part).sum(),
    };
    let calls: u64 = message.tool_calls.iter().map(written).sum();
    let extra: u64 = message.extra.values().map(written).sum();
    said + calls + extra + MESSAGE
}

fn part(part: &ContentPart) -> u64 {
    match part {
        ContentPart::Known(KnownPart::Text { text, .. }) => text.len() as u64,
        ContentPart::Known(KnownPart::ImageUrl { .. }) => PICTURE,
        ContentPart::Other(value) => written(value),
    }
}

/// Length of the value as JSON, in bytes.
fn written(value: &impl serde::Serialize) -> u64 {
    let mut count = ByteCounter(0);
    // Counting cannot fail, and no key here is impossible in JSON.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct ByteCounter(u64);

impl std::io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Most input tokens of a request that is passed on. What the vendor adds to it is bounded only by the window.
#[must_use]
pub fn original(original: &OriginalRequest, window: Option<u64>) -> u64 {
    let own = original.prompt_tokens() + CALL;
    if original.is_added_to() { own.max(window.unwrap_or(UNKNOWN_WINDOW)) } else { own }
}

/// Most input tokens of embeddings.
#[must_use]
pub fn embedding(request: &EmbeddingRequest) -> u64 {
    written(&request.input) + CALL
}

/// The output limit of a call: the caller's, or the model's own within reason; never more than the context
/// window leaves.
#[must_use]
pub fn output(asked: Option<u64>, models: Option<u64>, window: Option<u64>, prompt: u64) -> u64 {
    let limit = asked.unwrap_or_else(|| models.unwrap_or(OUTPUT).min(OUTPUT));
    let left = window.map_or(u64::MAX, |window| window.saturating_sub(prompt));
    // A prompt of nearly the window's bytes has far fewer tokens: assume that half of the window is left.
    let left = left.max(window.map_or(0, |window| window / 2));
    if asked.is_some() { limit } else { limit.min(left).max(1) }
}

/// The number of answers billed: OpenAI's `n`.
#[must_use]
pub fn answers(request: &ChatRequest) -> u64 {
    request.extra.get("n").and_then(serde_json::Value::as_u64).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::llm::chat::ChatRole;

    proptest! {
        #[test]
        fn the_bound_is_never_below_what_a_tokenizer_counts(text in "[ -~é☃\n]{0,200}") {
            let request = ChatRequest { messages: vec![ChatMessage::text(ChatRole::User, &*text)], ..ChatRequest::default() };
            let counted = tiktoken_rs::o200k_base_singleton().encode_with_special_tokens(&text).len() as u64;
            prop_assert!(counted <= prompt(&request));
        }
    }

    #[test]
    fn a_picture_is_not_counted_by_its_bytes() {
        let url = format!("data:image/png;base64,{}", "A".repeat(4_000_000));
        let request: ChatRequest = serde_json::from_value(json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}))
        .unwrap();
        assert!(prompt(&request) < 10_000);
    }

    #[test]
    fn a_limit_is_the_callers_or_fits_the_window() {
        assert_eq!(output(Some(7), Some(4_096), Some(8_192), 100), 7);
        assert_eq!(output(None, Some(4_096), Some(128_000), 100), 4_096);
        assert_eq!(output(None, Some(128_000), Some(272_000), 100), OUTPUT);
        assert_eq!(output(None, Some(2_048), Some(2_048), 1_524), 1_024);
        assert_eq!(output(None, None, None, 100), OUTPUT);
    }
}
