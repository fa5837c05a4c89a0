//! The canonical chat form: OpenAI's chat completions, request, response and stream chunk.
//!
//! Fields that PAS does not look at are kept in `extra` and passed on as they came, so that a client of
//! an OpenAI-like vendor loses nothing on the way.

mod answer;
mod request;
mod usage;

use serde::{Deserialize, Deserializer};

pub use answer::{
    ChatChunk, ChatResponse, Choice, ChunkChoice, Delta, FunctionDelta, Said, ToolCallDelta, Whole,
};
pub use request::{
    ChatRequest, Content, Function, FunctionCall, ImageUrl, KnownPart, Message, Part, Role, StreamOptions,
    Tool, ToolCall,
};
pub use usage::{CompletionDetails, PromptDetails, UsageReport};

/// SDKs write fields that are not set as `null`; for us both is the default.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
