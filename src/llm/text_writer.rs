//! Texts that the daemon asks of a model for its own use, as whoever asks sees it.
//!
//! The gateway writes them; agents ask for them. The trait stands below both, so that neither knows the other.

use futures_util::future::BoxFuture;

use crate::domain::budget::{Label, RunName};
use crate::domain::money::NanoUsd;

/// Who a text is written for, and who pays.
#[derive(Debug, Clone)]
pub struct TextAuthor {
    /// The run that pays.
    pub run: RunName,
    /// The job it is for.
    pub job: Label,
    /// The agent that asks.
    pub agent: Label,
    pub lane: Option<Label>,
}

/// A text, and the receipt for it.
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
    /// Whether there is a model that may be asked now.
    fn is_ready(&self) -> bool;

    /// Has some 200 words written about these findings; or why there are none, in a sentence. Dropped, the
    /// call is given up; what it costs until then is booked all the same.
    fn write(&self, author: TextAuthor, findings: String) -> BoxFuture<'_, Result<WrittenText, String>>;
}
