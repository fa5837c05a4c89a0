//! The failures of a model call, with their consequences for retry, fallback and cost.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::VendorEndpoint;
use super::refusal::VendorRefusal;
use super::stream::frame;
use pas_domain::usage::TokenUsage;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VendorFailureKind {
    /// The vendor's limit of requests or tokens (429).
    RateLimited,
    /// The vendor failed or is overloaded (5xx, Anthropic's 529).
    Server,
    /// No connection: refused, unknown host, TLS.
    Connect,
    /// The connect timeout passed.
    ConnectTimeout,
    /// The request was sent and no byte of an answer came in time.
    FirstByteTimeout,
    /// The answer began, then stalled or exceeded the overall deadline.
    BodyTimeout,
    /// The connection ended in the middle of the answer.
    Cut,
    /// The answer is not in the vendor's form: no JSON, no SSE, another content type, too large.
    Malformed,
    /// The answer is complete, but has no usage.
    MissingUsage,
    /// The vendor's filter refused the prompt or the answer.
    ContentFilter,
    /// The prompt is longer than the model's context window.
    ContextTooLong,
    /// The credential was rejected (401, 403), or there is none.
    Credential,
    /// The vendor does not know the model (404).
    UnknownModel,
    /// The vendor rejected the request (other 4xx).
    BadRequest,
    /// The dialect cannot express the request (an image for a vendor without images, say).
    Unsupported,
    /// The caller left, or its deadline passed before an attempt began.
    Cancelled,
}

/// A failed attempt at a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct VendorFailure {
    pub kind: VendorFailureKind,
    /// The vendor's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// For people: cause, vendor, remedy. Never contains a credential or a body.
    pub message: String,
    /// How long the vendor asks us to wait.
    pub retry_after: Option<Duration>,
    /// Whether the vendor may have begun to work: then the outcome is unknown and the hold is charged until
    /// reconciled.
    pub may_cost: bool,
    /// Usage that the vendor counted all the same; charged in place of the hold.
    pub used: Option<Box<TokenUsage>>,
    /// The vendor's own words, for a client of its protocol.
    pub said: Option<Arc<VendorRefusal>>,
}

impl VendorFailure {
    /// A failure with neither status nor wait.
    #[must_use]
    pub fn new(kind: VendorFailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            message: message.into(),
            retry_after: None,
            may_cost: false,
            used: None,
            said: None,
        }
    }

    /// The same failure, with the event of a passed-on stream that reported it.
    #[must_use]
    pub(super) fn with_event(mut self, name: &[u8], data: &[u8]) -> Self {
        if let Some(said) = &mut self.said {
            frame(&mut Arc::make_mut(said).event, name, data);
        }
        self
    }

    /// The same under the name of a server of the user's: its protocol's vendor has nothing to do with it.
    #[must_use]
    pub fn named(mut self, endpoint: &VendorEndpoint) -> Self {
        if let Some(rest) =
            endpoint.label().and_then(|_| self.message.strip_prefix(endpoint.vendor().title()))
        {
            self.message = format!("{}{rest}", endpoint.name());
        }
        self
    }

    /// The same, where the vendor may have begun to work.
    #[must_use]
    pub const fn costing(mut self) -> Self {
        self.may_cost = true;
        self
    }
}

impl VendorFailureKind {
    /// All kinds, in declaration order.
    pub const ALL: [Self; 16] = [
        Self::RateLimited,
        Self::Server,
        Self::Connect,
        Self::ConnectTimeout,
        Self::FirstByteTimeout,
        Self::BodyTimeout,
        Self::Cut,
        Self::Malformed,
        Self::MissingUsage,
        Self::ContentFilter,
        Self::ContextTooLong,
        Self::Credential,
        Self::UnknownModel,
        Self::BadRequest,
        Self::Unsupported,
        Self::Cancelled,
    ];

    /// Whether the same request may succeed at the same provider a little later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Server
                | Self::Connect
                | Self::ConnectTimeout
                | Self::FirstByteTimeout
                | Self::BodyTimeout
                | Self::Cut
                | Self::Malformed
        )
    }

    /// Whether to ask the same provider again: not for an answer that cannot be read, which was made and is
    /// billed, and would be again.
    #[must_use]
    pub const fn is_worth_repeating(self) -> bool {
        self.is_transient() && !matches!(self, Self::Malformed)
    }

    /// Whether another provider may succeed. Not after a faulty request, a content filter's refusal, or the
    /// caller's departure.
    #[must_use]
    pub const fn may_fall_back(self) -> bool {
        self.is_transient()
            || matches!(self, Self::Credential | Self::UnknownModel | Self::Unsupported | Self::MissingUsage)
    }
}
