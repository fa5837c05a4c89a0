//! Summaries of an agent's context: 1 to 2 thousand tokens that whoever continues can work from.
//!
//! Owns the seam [`Summariser`] and the one that needs no model ([`Extractive`]): it picks whole sentences
//! and lines, so that numbers, names, paths, hashes and error messages stay as they were written; goals,
//! decisions, open items and failures come first. Invariants: the same text gives the same summary; it
//! never exceeds [`MAX_TOKENS`]; a text that fits is left as it is; of a text that says something the
//! summary says something. What a summary kept is found by comparing texts ([`compare`]), so that it
//! holds for every summariser. Failure policy: extraction cannot fail.

mod compare;
mod facts;
mod select;
mod units;

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use compare::{Piece, compare};

use super::tokens::TokenCounter;
use facts::Class;
use select::Chosen;

/// Most tokens of a summary, and the size up to which a text stays as it is.
pub const MAX_TOKENS: u64 = 2_000;
/// Tokens given to whole sentences and lines. With the facts and headings below, a long text gets a
/// summary in the upper half of 1 to 2 thousand.
const SENTENCE_TOKENS: u64 = 1_500;
/// Tokens given to names, numbers, paths and hashes whose sentences were not taken.
const FACT_TOKENS: u64 = 300;
/// How [`Extractive`] calls itself.
pub const EXTRACTIVE: &str = "extractive";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The summary, in Markdown.
    pub text: String,
    /// Tokens of what it was made of.
    pub tokens_before: u64,
    pub tokens_after: u64,
    /// How it was made: [`EXTRACTIVE`], or a model's name.
    pub method: String,
}

/// Why there is no summary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no summary could be made: {0}")]
pub struct SummaryError(pub String);

/// Whoever makes summaries.
///
/// The seam for a language model: an implementation that asks a local model through the gateway lives
/// with the gateway, and is handed to the token governor in the place of [`Extractive`]. When it fails,
/// or its answer is empty or above [`MAX_TOKENS`], the governor falls back on [`Extractive`].
pub trait Summariser: Send + Sync {
    /// Summarises a text.
    ///
    /// # Errors
    /// [`SummaryError`] when it cannot be had now.
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<Digest, SummaryError>>;
}

/// Summarises by picking what matters most. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Extractive {
    counter: Arc<TokenCounter>,
}

impl Extractive {
    /// One that counts with this counter.
    #[must_use]
    pub fn new(counter: Arc<TokenCounter>) -> Self {
        Self { counter }
    }

    /// Tokens of a text. May load the counter's table.
    #[must_use]
    pub fn count(&self, text: &str) -> u64 {
        self.counter.count(text, None)
    }

    /// The summary of a text. Takes some 0.3 s a megabyte, and loads the counter's table.
    #[must_use]
    pub fn digest(&self, text: &str) -> Digest {
        let count = |text: &str| self.counter.count(text, None);
        let tokens_before = count(text);
        let short = if tokens_before <= MAX_TOKENS { text.to_owned() } else { self.shorten(text) };
        Digest { tokens_after: count(&short), text: short, tokens_before, method: EXTRACTIVE.to_owned() }
    }

    fn shorten(&self, text: &str) -> String {
        let count = |text: &str| self.counter.count(text, None);
        let mut chosen = select::choose(text, SENTENCE_TOKENS, FACT_TOKENS, &count);
        loop {
            let drawn = draw(&chosen);
            // Tokens may merge differently in the whole than in the parts.
            if count(&drawn) <= MAX_TOKENS || !chosen.give_up_one() {
                return drawn;
            }
        }
    }
}

impl Summariser for Extractive {
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<Digest, SummaryError>> {
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.digest(&text));
        async move { work.await.map_err(|error| SummaryError(error.to_string())) }.boxed()
    }
}

/// The chosen units under a heading each class, in the order of the text; what is named besides at the end.
fn draw(chosen: &Chosen<'_>) -> String {
    let mut text = String::new();
    for class in Class::ALL {
        let mut units = chosen.units(class).peekable();
        if units.peek().is_none() {
            continue;
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{gap}## {}\n", class.heading());
        for unit in units {
            let bullet = if units::is_item(unit) { "" } else { "- " };
            let _ = writeln!(text, "{bullet}{unit}");
        }
    }
    if !chosen.facts.is_empty() {
        let _ = writeln!(text, "\n## Also named\n\n{}", chosen.facts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
