//! Tokens by our own count: for clients that ask, and for the bill of an abandoned call.
//!
//! Counted with the model's own table, where that is public, else with the nearest. The table is loaded for
//! the count and dropped soon after; holds, which every call needs, are counted without one ([`super::bound`]).

use std::sync::Arc;

use super::{GatewayHandle, ModelRequest};
use crate::domain::usage::TokenUsage;
use crate::llm::SeenAnswer;
use crate::llm::catalogue;
use crate::llm::chat::{ChatContent, ChatRequest, ContentPart, KnownPart};
use crate::skills::tokens::{IDLE, TokenCounter};

/// Tokens per message on top of the text (OpenAI's cookbook, "How to count tokens"; Anthropic's figure
/// is not public and about the same).
const MESSAGE: u64 = 4;
/// Tokens of a picture of a megapixel at Anthropic.
const PICTURE: u64 = 1_334;
/// The note in the receipt of a call that was left before its vendor reported the tokens of hidden reasoning.
const HIDDEN: &str = "the tokens of hidden reasoning are not known and not charged";
/// Bytes a token, where a request cannot be read as a chat: those of plain text.
const BYTES: u64 = 4;

impl GatewayHandle {
    /// Tokens of a chat's prompt; `None` when the count failed, which the log explains.
    pub async fn count_chat(&self, chat: ChatRequest) -> Option<u64> {
        self.count(move |counter| chat_tokens(counter, &chat)).await
    }

    /// The usage of a call that was ended early: the vendor's figures as far as they came, the rest by our own
    /// count; and the receipt's note, which names any part that is not covered.
    pub(super) async fn estimate(
        &self,
        ask: &ModelRequest,
        model: &str,
        seen: SeenAnswer,
        why: String,
    ) -> (TokenUsage, String) {
        let is_hidden = seen.usage.is_none() && catalogue::hides_reasoning(model);
        let known = seen.usage.unwrap_or_default();
        let ask = (known.prompt() == 0).then(|| ask.clone());
        let (model, output) = (model.to_owned(), seen.output);
        let counted = self.count(move |counter| {
            let prompt = ask.map_or(0, |ask| prompt_tokens(counter, &ask));
            (prompt, output.tokens(counter.count(&output.text, Some(&model))))
        });
        let (prompt, output) = counted.await.unwrap_or_default();
        let (input, output) = (known.input.saturating_add(prompt), known.output.max(output));
        let why = if is_hidden { format!("{why}; {HIDDEN}") } else { why };
        (TokenUsage { input, output, ..known }, why)
    }

    /// Counts on a thread that may block: the first count loads a table, which takes a few tenths of a second.
    async fn count<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TokenCounter) -> T + Send + 'static,
    ) -> Option<T> {
        let (counter, later) = (Arc::clone(&self.inner.counter), Arc::clone(&self.inner.counter));
        let counted = tokio::task::spawn_blocking(move || work(&counter)).await;
        self.run_detached(async move {
            tokio::time::sleep(IDLE).await;
            later.release(IDLE);
        });
        counted.inspect_err(|error| tracing::error!(%error, "cannot count tokens")).ok()
    }
}

fn prompt_tokens(counter: &TokenCounter, ask: &ModelRequest) -> u64 {
    match ask {
        ModelRequest::Chat(chat) => chat_tokens(counter, chat),
        ModelRequest::Original(original) => match original.translated() {
            Ok(translated) => chat_tokens(counter, &translated.chat),
            Err(_) => original.weight().text_bytes / BYTES,
        },
        ModelRequest::Embed(request) => {
            let hints = request.hints.iter().flat_map(serde_json::Map::values);
            let texts = [&request.input].into_iter().chain(hints);
            texts.map(|text| counter.count(&text.to_string(), Some(&request.model))).sum()
        }
    }
}

fn chat_tokens(counter: &TokenCounter, request: &ChatRequest) -> u64 {
    let text = |text: &str| counter.count(text, Some(&request.model));
    let part = |part: &ContentPart| match part {
        ContentPart::Known(KnownPart::Text { text: said, .. }) => text(said),
        ContentPart::Known(KnownPart::ImageUrl { .. }) => PICTURE,
        ContentPart::Other(value) => text(&value.to_string()),
    };
    let messages = request.messages.iter().map(|message| {
        let said = match &message.content {
            None => 0,
            Some(ChatContent::Text(said)) => text(said),
            Some(ChatContent::Parts(parts)) => parts.iter().map(part).sum(),
        };
        let calls = message.tool_calls.iter();
        let calls: u64 = calls.map(|call| text(&call.function.name) + text(&call.function.arguments)).sum();
        said + calls + MESSAGE
    });
    let tools = request.tools.iter().filter_map(|tool| serde_json::to_string(tool).ok());
    messages.sum::<u64>() + tools.map(|tool| text(&tool)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::embedding::EmbeddingRequest;
    use crate::llm::inbound::anthropic::MessagesRequest;

    #[test]
    fn text_tools_and_pictures_count() {
        let counter = TokenCounter::default();
        let tokens = |body: serde_json::Value| {
            let request: MessagesRequest = serde_json::from_value(body).unwrap();
            chat_tokens(&counter, &request.into_counted().unwrap())
        };
        let hello = tokens(
            json!({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello, world"}]}),
        );
        assert_eq!(hello, 3 + MESSAGE);
        let with_tool = tokens(json!({"model": "claude-haiku-4-5",
            "tools": [{"name": "w", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Hello, world"}]}));
        assert!(with_tool > hello);
        let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
        let seen = tokens(json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "image", "source": source}]}]}));
        assert_eq!(seen, PICTURE + MESSAGE);
    }

    #[test]
    fn what_is_said_beside_a_text_to_embed_counts() {
        let counter = TokenCounter::default();
        let tokens =
            |request: &EmbeddingRequest| prompt_tokens(&counter, &ModelRequest::Embed(request.clone()));
        let plain = EmbeddingRequest { input: json!("Hello"), ..EmbeddingRequest::default() };
        let title = serde_json::Map::from_iter([("title".to_owned(), json!("word ".repeat(1_000)))]);
        let titled = EmbeddingRequest { hints: vec![title], ..plain.clone() };
        assert!(tokens(&titled) > tokens(&plain) + 900);
    }
}
