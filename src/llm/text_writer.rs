//! Texts written by a model for the daemon's own use: the caller's interface.
//!
//! The gateway implements the trait and agents call it. The trait is below both, so that neither knows the
//! other.

use futures_util::future::BoxFuture;

use pas_domain::accounts::budget::{RunName, ScopeLabel};
use pas_domain::money::NanoUsd;

/// The caller of a text, and the scopes that pay.
#[derive(Debug, Clone)]
pub struct TextAuthor {
    /// The run that pays.
    pub run: RunName,
    pub job: ScopeLabel,
    /// The calling agent.
    pub agent: ScopeLabel,
    pub lane: Option<ScopeLabel>,
}

/// A text with its receipt.
#[derive(Debug, Clone)]
pub struct WrittenText {
    pub text: String,
    pub provider: String,
    pub model: String,
    pub cost: NanoUsd,
    /// The receipt's request id.
    pub request_id: String,
}

/// Writes summaries of findings.
pub trait TextWriter: Send + Sync {
    /// Whether a model is available now.
    fn is_ready(&self) -> bool;

    /// Asks for about 200 words on these findings; fails with a sentence. Dropping the future cancels the
    /// call; its cost so far is booked all the same.
    fn write(&self, author: TextAuthor, findings: String) -> BoxFuture<'_, Result<WrittenText, String>>;
}
