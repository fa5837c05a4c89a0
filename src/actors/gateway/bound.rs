//! The most tokens a call can use, known before the call.
//!
//! Text is estimated from above ([`TokenEstimate`] says how, and with which margin); pictures are counted
//! separately, not by their base 64, and files as densely as pages can be written, at most a window full. Tokens
//! that a vendor counts beyond the bound are charged all the same: the ledger books the whole bill, the log says so,
//! and later holds for that provider are raised ([`super::bound_memory`]).

use crate::llm::chat::{ChatContent, ChatMessage, ChatRequest, ContentPart, KnownPart};
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::passage::OriginalRequest;
use crate::llm::token_estimate::TokenEstimate;

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
    let mut text = TokenEstimate::default();
    let pictures: u64 = request.messages.iter().map(|said| message(said, &mut text)).sum();
    request.tools.iter().for_each(|tool| text.add_json(tool));
    request.response_format.iter().chain(request.extra.values()).for_each(|value| text.add_json(value));
    let messages = (request.messages.len() as u64).saturating_mul(MESSAGE);
    text.bound().saturating_add(pictures).saturating_add(messages).saturating_add(CALL)
}

/// Adds a message's text; returns the most tokens of its pictures.
fn message(message: &ChatMessage, text: &mut TokenEstimate) -> u64 {
    message.tool_calls.iter().for_each(|call| text.add_json(call));
    message.extra.values().for_each(|value| text.add_json(value));
    match &message.content {
        None => 0,
        Some(ChatContent::Text(said)) => {
            text.add(said);
            0
        }
        Some(ChatContent::Parts(parts)) => parts.iter().map(|one| part(one, text)).sum(),
    }
}

fn part(part: &ContentPart, text: &mut TokenEstimate) -> u64 {
    match part {
        ContentPart::Known(KnownPart::Text { text: said, .. }) => text.add(said),
        ContentPart::Known(KnownPart::ImageUrl { .. }) => return PICTURE,
        ContentPart::Other(value) => text.add_json(value),
    }
    0
}

/// Most input tokens of a request that is passed on. Additions of the vendor are bounded only by the window.
#[must_use]
pub fn original(original: &OriginalRequest, window: Option<u64>) -> u64 {
    let (weight, window) = (original.weight(), window.unwrap_or(UNKNOWN_WINDOW));
    let own = weight.text.saturating_add(weight.pictures).saturating_add(weight.files.min(window)) + CALL;
    if weight.has_linked_file || original.is_added_to() { own.max(window) } else { own }
}

/// Most input tokens of embeddings.
#[must_use]
pub fn embedding(request: &EmbeddingRequest) -> u64 {
    let mut text = TokenEstimate::default();
    text.add_json(&request.input);
    request.hints.iter().flat_map(serde_json::Map::values).for_each(|hint| text.add_json(hint));
    text.bound() + CALL
}

/// The output limit of a call: the caller's, or the model's own within reason; never more than the context
/// window leaves.
#[must_use]
pub fn output(asked: Option<u64>, models: Option<u64>, window: Option<u64>, prompt: u64) -> u64 {
    let limit = asked.unwrap_or_else(|| models.unwrap_or(OUTPUT).min(OUTPUT));
    let left = window.map_or(u64::MAX, |window| window.saturating_sub(prompt));
    // The bound of a prompt is well above its tokens: assume that half of the window is left.
    let left = left.max(window.map_or(0, |window| window / 2));
    if asked.is_some() { limit } else { limit.min(left).max(1) }
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
    fn an_embedding_is_held_with_what_is_said_beside_its_text() {
        let plain = EmbeddingRequest { input: json!("a"), ..EmbeddingRequest::default() };
        let title = serde_json::Map::from_iter([("title".to_owned(), json!("word ".repeat(1_000)))]);
        let titled = EmbeddingRequest { hints: vec![title], ..plain.clone() };
        assert!(embedding(&titled) > embedding(&plain) + 1_000);
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
