//! The five vendors with their constants: name, default address, key variable.

use serde::{Deserialize, Serialize};

/// A vendor of models, that is: a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// OpenAI, and every server that speaks its chat completions.
    OpenAi,
    Anthropic,
    Gemini,
    Grok,
    Ollama,
}

impl Vendor {
    /// All of them, in the order of their adapters' ports.
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Grok, Self::Ollama];

    /// Its name on the wire and in prices.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Grok => "grok",
            Self::Ollama => "ollama",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Gemini",
            Self::Grok => "Grok",
            Self::Ollama => "Ollama",
        }
    }

    /// The vendor of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.as_str() == name)
    }

    /// The vendor that clients mean by a word before a model's name, as in `google/gemini-3.8-flash`.
    #[must_use]
    pub fn from_prefix(word: &str) -> Option<Self> {
        match word {
            "google" => Some(Self::Gemini),
            "xai" | "x-ai" => Some(Self::Grok),
            name => Self::from_name(name),
        }
    }

    /// The environment variable of the key; `None` when no key is needed.
    #[must_use]
    pub const fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Gemini => Some("GEMINI_API_KEY"),
            Self::Grok => Some("GROK_API_KEY"),
            Self::Ollama => None,
        }
    }

    /// Whether the vendor speaks OpenAI's own form, so that unknown fields may pass.
    #[must_use]
    pub const fn is_openai_like(self) -> bool {
        matches!(self, Self::OpenAi | Self::Grok)
    }
}

impl std::fmt::Display for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
