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
}

impl WireProtocol {
    /// Whether a vendor speaks it, so that nothing needs to be translated.
    #[must_use]
    pub const fn is_spoken_by(self, vendor: Vendor) -> bool {
        match self {
            Self::Chat => vendor.is_openai_like(),
            Self::Responses => matches!(vendor, Vendor::OpenAi),
            Self::Messages => matches!(vendor, Vendor::Anthropic),
        }
    }

    /// The path below the vendor's base URL.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// The form of its errors.
    #[must_use]
    pub const fn format(self) -> ApiFormat {
        match self {
            Self::Chat | Self::Responses => ApiFormat::OpenAi,
            Self::Messages => ApiFormat::Anthropic,
        }
    }

    /// The member that holds the conversation.
    pub(super) const fn conversation(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Responses => "input",
        }
    }

    /// The members that limit the output; the first is the one to set.
    pub(super) const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Messages => &["max_tokens"],
        }
    }
}
