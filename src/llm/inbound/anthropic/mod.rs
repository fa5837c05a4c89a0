//! Anthropic's Messages API: `POST /v1/messages` and `/v1/messages/count_tokens`.
//!
//! Source: Anthropic's API reference "Messages", "Streaming messages", "Extended thinking". Thought is kept
//! in a message's `thinking_blocks` (with signatures, which Anthropic requires back) beside
//! `reasoning_content`, the name used by OpenAI-like vendors. Anthropic-only fields travel in the canonical
//! form's `extra` and are removed by [`without_own_fields`] before a call to another vendor.

mod request;
mod response;
mod stream;

use serde_json::{Map, Value};

pub use self::request::MessagesRequest;
pub use self::response::message;
pub use self::stream::MessagesWriter;
use super::super::chat::{ChatContent, ChatMessage, ChatRequest, ContentPart, KnownPart};

/// Where a message's thought stands: `[{"type": "thinking", "thinking", "signature"}, …]`.
pub const THINKING_BLOCKS: &str = "thinking_blocks";
/// The thought as plain text.
pub const REASONING: &str = "reasoning_content";
/// Members of a request that only Anthropic takes.
const OWN_OF_REQUEST: [&str; 3] = ["thinking", "metadata", "container"];
/// Members of a message that only Anthropic takes.
const OWN_OF_MESSAGE: [&str; 3] = [THINKING_BLOCKS, "is_error", CACHE_CONTROL];
const CACHE_CONTROL: &str = "cache_control";

/// Removes Anthropic-only members; other vendors refuse unknown ones.
pub fn without_own_fields(request: &mut ChatRequest) {
    take(&mut request.extra, &OWN_OF_REQUEST);
    for tool in &mut request.tools {
        tool.cache_control = None;
    }
    for message in &mut request.messages {
        clean(message);
    }
}

/// The beginning of a failed tool's result where the vendor has no mark for failures.
const FAILED: &str = "The tool failed: ";

fn clean(message: &mut ChatMessage) {
    if message.extra.get("is_error") == Some(&Value::Bool(true)) {
        let mark = |text: &str| [FAILED, text].concat();
        match &mut message.content {
            Some(ChatContent::Parts(parts)) => {
                let text = KnownPart::Text { text: FAILED.to_owned(), extra: Map::new() };
                parts.insert(0, ContentPart::Known(text));
            }
            Some(ChatContent::Text(text)) => *text = mark(text),
            None => message.content = Some(ChatContent::Text(mark(""))),
        }
    }
    take(&mut message.extra, &OWN_OF_MESSAGE);
    let Some(ChatContent::Parts(parts)) = &mut message.content else { return };
    for part in parts {
        if let ContentPart::Known(KnownPart::Text { extra, .. }) = part {
            take(extra, &[CACHE_CONTROL]);
        }
    }
}

fn take(members: &mut Map<String, Value>, names: &[&str]) {
    if !members.is_empty() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// The stop reason in Anthropic's words.
fn stop_reason(finish: Option<&str>) -> &'static str {
    match finish {
        Some("length") => "max_tokens",
        Some("tool_calls" | "function_call") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}
