//! The canonical chat form: OpenAI's chat completions, request, response and stream chunk.
//!
//! Fields that PAS does not use are kept in `extra` and passed on unchanged, so that a client of an
//! OpenAI-like vendor loses nothing.

mod answer;
mod request;
mod usage;

use serde::{Deserialize, Deserializer};

pub use answer::{
    ChatChoice, ChatChunk, ChatDelta, ChatResponse, ChunkChoice, FunctionDelta, StreamItem, ToolCallDelta,
};
pub use request::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, ContentPart, FunctionCall, ImageUrl,
    KnownPart, StreamOptions, ToolCall, ToolFunction,
};
pub use usage::{CompletionDetails, PromptDetails, UsageReport};

/// SDKs write unset fields as `null`; both mean the default.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
