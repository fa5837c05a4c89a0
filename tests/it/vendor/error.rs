//! The ways a vendor refuses a call, before a dialect gives them the vendor's form.

use super::fault::{Fault, RetryAfter};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No credential, or a wrong one: 401 (400 at Gemini).
    Credential,
    /// No such model: 404.
    UnknownModel(String),
    /// No such path: 404.
    UnknownPath(String),
    /// The request breaks a rule of the vendor's: 400, with the parameter and a sentence.
    Invalid(&'static str, String),
    /// Too many requests: 429.
    RateLimited(RetryAfter),
    /// More prompt than the model takes: 400, with the model's limit and what came.
    ContextTooLong(u64, u64),
    /// The prompt met the filter.
    Filtered,
    /// Any other status.
    Status(u16),
}

impl Refusal {
    /// What a fault refuses a good request with, if it does.
    pub(super) fn of(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Status(429) => Some(Self::RateLimited(RetryAfter::Absent)),
            Fault::Status(status) => Some(Self::Status(*status)),
            Fault::RateLimited(after) => Some(Self::RateLimited(*after)),
            Fault::PromptFiltered => Some(Self::Filtered),
            Fault::ContextTooLong => Some(Self::ContextTooLong(8192, 9001)),
            _ => None,
        }
    }
}
