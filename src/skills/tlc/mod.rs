//! Questions instead of documents: which domain one is about, and what it wants done how (TMD).
//!
//! TMD is task (what to do with what is found), method (how to look for it) and domain. [`domains`] uses
//! the embedded classifier of the ingest, [`extract`] the rules of `rules.rs`; both are pure. [`prompt`]
//! is the same questions for a language model behind [`TextModel`], whose answer is checked like any
//! outside input. Failure policy: the embedded way answers every text; a model's may fail.

mod domains;
mod prompt;
mod rules;
#[cfg(test)]
mod tests;
mod tmd;

use std::fmt;

use futures_util::future::BoxFuture;

pub use domains::domains;
pub use prompt::{ModelError, domains_by, tmd_by};
pub use tmd::{Method, Task, Tmd, extract};

/// Name under which answers of the embedded way are told.
pub const EMBEDDED: &str = "embedded-lexicon";

/// A language model that completes a prompt; what lies behind it is the caller's choice.
pub trait TextModel: fmt::Debug + Send + Sync {
    fn name(&self) -> String;

    /// Whether it can be asked now.
    fn is_ready(&self) -> bool {
        true
    }

    /// The text that follows `prompt`, or a sentence on why there is none.
    fn complete(&self, prompt: String) -> BoxFuture<'_, Result<String, String>>;
}
