//! Classification of questions: domain, and task, method and domain together (TMD).
//!
//! TMD is task (the use of the results), method (the way to search) and domain. [`domains`] uses the embedded
//! classifier of the ingest, [`extract`] the rules of `rules.rs`; both are pure. [`prompt`] asks a language
//! model behind [`TextModel`], whose answer is checked like any outside input. Failure policy: the embedded
//! classifier answers every text; a model may fail.

mod domains;
mod prompt;
mod rules;
#[cfg(test)]
mod tests;
mod tmd;

use std::fmt;

use futures_util::future::BoxFuture;

pub use domains::domains;
pub use prompt::{TextModelError, domains_by, tmd_by};
pub use tmd::{QueryTask, QueryTmd, RetrievalMethod, extract};

/// The name of the embedded classifier in answers.
pub const EMBEDDED: &str = "embedded-lexicon";

/// A language model that completes a prompt; the caller chooses the implementation.
pub trait TextModel: fmt::Debug + Send + Sync {
    fn name(&self) -> String;

    /// Whether the model is available now.
    fn is_ready(&self) -> bool {
        true
    }

    /// The completion of `prompt`, or a sentence with the reason of the failure.
    fn complete(&self, prompt: String) -> BoxFuture<'_, Result<String, String>>;
}
