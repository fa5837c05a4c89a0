//! The protocols that clients and vendors have in common.

use crate::inbound::ApiFormat;
use crate::vendor::Vendor;

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireProtocol {
    /// OpenAI's chat completions, which many servers speak.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's old completions of a text, which many servers speak.
    Completions,
    /// Gemini's `generateContent`; model and stream stand in its path.
    Generate,
}

impl WireProtocol {
    /// Whether a vendor speaks it, so that nothing needs to be translated.
    #[must_use]
    pub const fn is_spoken_by(self, vendor: Vendor) -> bool {
        match self {
            Self::Chat | Self::Completions => vendor.is_openai_like(),
            Self::Responses => matches!(vendor, Vendor::OpenAi),
            Self::Messages => matches!(vendor, Vendor::Anthropic),
            Self::Generate => matches!(vendor, Vendor::Gemini),
        }
    }

    /// The form of its errors.
    #[must_use]
    pub const fn format(self) -> ApiFormat {
        match self {
            Self::Chat | Self::Responses | Self::Completions => ApiFormat::OpenAi,
            Self::Messages => ApiFormat::Anthropic,
            Self::Generate => ApiFormat::Gemini,
        }
    }

    /// The member that holds the conversation.
    pub(super) const fn conversation(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Responses => "input",
            Self::Completions => "prompt",
            Self::Generate => "contents",
        }
    }

    /// Whether an answer is a list of choices with the usage beside it, as all of OpenAI's older forms have it.
    pub(super) const fn has_choices(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }

    /// Whether the ids of calls carry a signature through its clients, which have no other member for it.
    pub(super) const fn has_signed_ids(self) -> bool {
        matches!(self, Self::Messages | Self::Responses)
    }

    /// The members that limit the output; the first is the one to set. Gemini's stands in its configuration.
    pub(super) const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Messages | Self::Completions => &["max_tokens"],
            Self::Generate => &[],
        }
    }
}
