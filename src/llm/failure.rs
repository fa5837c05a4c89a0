//! Every way a call of a model can fail, and what each means for a retry, a fallback and the bill.

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The vendor's limit of requests or tokens (429).
    RateLimited,
    /// The vendor has trouble or is overloaded (5xx, Anthropic's 529).
    Server,
    /// No connection: refused, unknown host, TLS.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// The request was sent and no byte of an answer came in time.
    FirstByteTimeout,
    /// Bytes came, then none for too long, or the whole took too long.
    BodyTimeout,
    /// The connection ended in the middle of the answer.
    Cut,
    /// What came is not the vendor's form: no JSON, no SSE, another content type, too large.
    Malformed,
    /// The answer is whole, but says nothing of what it used.
    MissingUsage,
    /// The vendor's filter refused the prompt or the answer.
    ContentFilter,
    /// The prompt is longer than the model's context window.
    ContextTooLong,
    /// The vendor does not accept our credential (401, 403), or there is none.
    Credential,
    /// The vendor does not know the model (404).
    UnknownModel,
    /// The vendor finds the request faulty (other 4xx).
    BadRequest,
    /// The dialect cannot express the request (an image for a vendor without images, say).
    Unsupported,
    /// The caller left, or its deadline passed before an attempt was begun.
    Cancelled,
}

/// A failed attempt at a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// The vendor's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// For people: what happened, at which vendor, what to do. Never holds a credential or a body.
    pub message: String,
    /// How long the vendor asks us to wait.
    pub retry_after: Option<Duration>,
    /// Whether the vendor may have begun to work on it: then the outcome is unknown and its hold is
    /// charged until reconciled.
    pub may_cost: bool,
}

impl Failure {
    /// A failure with neither status nor wait.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, message: message.into(), retry_after: None, may_cost: false }
    }

    /// The same, where the vendor may have begun to work.
    #[must_use]
    pub const fn costing(mut self) -> Self {
        self.may_cost = true;
        self
    }
}

impl FailureKind {
    /// Every kind, in the order of their declaration.
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

    /// Whether another provider may answer what this one did not. Not after a fault of the request
    /// itself, a filter's word, or the caller's leaving.
    #[must_use]
    pub const fn may_fall_back(self) -> bool {
        self.is_transient()
            || matches!(self, Self::Credential | Self::UnknownModel | Self::Unsupported | Self::MissingUsage)
    }
}
