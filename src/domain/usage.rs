//! Token usage of a model call, in disjoint classes, so that no token is charged twice and none is free.
//!
//! Vendors count differently: OpenAI's prompt count includes cached tokens, Anthropic's does not;
//! reasoning tokens are part of the output count everywhere but at Gemini. The dialects in `llm` bring
//! every vendor's figures into this form.

use serde::{Deserialize, Serialize};

/// The tier of service that answered a call, as far as it has a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    #[default]
    Standard,
    /// Cheaper, when there is room.
    Flex,
    /// Dearer, ahead of others.
    Priority,
    /// Within a day, by a vendor's batch API; PAS itself makes no such calls.
    Batch,
}

impl ServiceTier {
    /// A vendor's word for a tier. Words for "as usual", and words that no vendor has yet, are the standard tier.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
        }
    }

    #[must_use]
    pub fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

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
    /// Output tokens spent on reasoning; a part of `output`, never charged on top.
    pub reasoning: u64,
    /// Web searches that the vendor ran and bills beside the tokens. Not stored with the classes.
    #[serde(skip)]
    pub searches: u32,
    /// The tier that answered. Not stored with the classes.
    #[serde(skip)]
    pub tier: ServiceTier,
}

/// Whether a count of searches says nothing, and so is left out of what is written.
#[must_use]
pub const fn is_no_search(count: &u32) -> bool {
    *count == 0
}

impl TokenUsage {
    /// The same, answered in a tier.
    #[must_use]
    pub const fn in_tier(self, tier: ServiceTier) -> Self {
        Self { tier, ..self }
    }

    /// The same with at least so many searches.
    #[must_use]
    pub fn with_searches(self, searches: u32) -> Self {
        Self { searches: self.searches.max(searches), ..self }
    }

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
