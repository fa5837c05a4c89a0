//! Token usage of a model call, in disjoint classes, so that no token is charged twice and none is free.
//!
//! Vendors count differently: OpenAI's prompt count includes cached tokens, Anthropic's does not;
//! reasoning tokens are part of the output count everywhere but at Gemini. The dialects in `llm` bring
//! every vendor's figures into this form.

use serde::{Deserialize, Serialize};

/// Tokens of one call. The classes do not overlap, except that `reasoning` is a part of `output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Input tokens that were neither read from nor written to a cache, and are not audio.
    pub input: u64,
    /// Input tokens read from the vendor's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a cache that lives five minutes.
    pub cache_write_5m: u64,
    /// Input tokens written to a cache that lives one hour.
    pub cache_write_1h: u64,
    /// Input tokens of audio that were not cached.
    pub audio_input: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Output tokens spent on reasoning; a part of `output`, never charged beside it.
    pub reasoning: u64,
}

impl TokenUsage {
    /// All input tokens, whatever their class: what the context window held before the answer.
    #[must_use]
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.audio_input)
    }

    #[must_use]
    pub const fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}
