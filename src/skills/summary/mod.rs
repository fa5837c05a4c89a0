//! Summaries of an agent's context: 1 to 2 thousand tokens, enough to continue the work.
//!
//! Owns the trait [`TextSummariser`] and the model-free implementation [`ExtractiveSummariser`], which picks
//! whole sentences and lines, so that numbers, names, paths, hashes and error messages stay verbatim; goals,
//! decisions, open items and failures come first. Invariants: the same text gives the same summary; a summary
//! never exceeds [`MAX_TOKENS`]; a text that fits is unchanged; a non-empty text has a non-empty summary. The
//! kept parts are found by comparing texts ([`compare`]), for every summariser. Failure policy: extraction
//! cannot fail.

mod compare;
mod facts;
mod select;
mod units;

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use compare::{ComparedPiece, compare};

use super::tokens::TokenCounter;
use facts::UnitClass;
use select::ChosenUnits;

/// Most tokens of a summary, and the size up to which a text stays unchanged.
pub const MAX_TOKENS: u64 = 2_000;
/// Tokens given to whole sentences and lines. With the facts and headings below, a long text gets a
/// summary in the upper half of 1 to 2 thousand.
const SENTENCE_TOKENS: u64 = 1_500;
/// Tokens given to names, numbers, paths and hashes whose sentences were not taken.
const FACT_TOKENS: u64 = 300;
/// The name of [`ExtractiveSummariser`].
pub const EXTRACTIVE: &str = "extractive";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryDigest {
    /// The summary, in Markdown.
    pub text: String,
    /// Tokens of the source.
    pub tokens_before: u64,
    pub tokens_after: u64,
    /// [`EXTRACTIVE`], or a model's name.
    pub method: String,
}

/// Why there is no summary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot summarise: {0}")]
pub struct SummaryError(pub String);

/// Makes summaries.
///
/// The seam for a language model: the implementation that calls a local model through the gateway lives with
/// the gateway, and replaces [`ExtractiveSummariser`] in the token governor. When a summariser fails, or the
/// answer is empty or above [`MAX_TOKENS`], the governor falls back to [`ExtractiveSummariser`].
pub trait TextSummariser: Send + Sync {
    /// Summarises a text.
    ///
    /// # Errors
    /// [`SummaryError`] when there is no summary now.
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<SummaryDigest, SummaryError>>;
}

/// Summarises by picking the most important units. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ExtractiveSummariser {
    counter: Arc<TokenCounter>,
}

impl ExtractiveSummariser {
    #[must_use]
    pub fn new(counter: Arc<TokenCounter>) -> Self {
        Self { counter }
    }

    /// Tokens of a text. May load the counter's table.
    #[must_use]
    pub fn count(&self, text: &str) -> u64 {
        self.counter.count(text, None)
    }

    /// The summary of a text. Takes about 0.3 s per megabyte, and loads the counter's table.
    #[must_use]
    pub fn digest(&self, text: &str) -> SummaryDigest {
        let count = |text: &str| self.counter.count(text, None);
        let tokens_before = count(text);
        let short = if tokens_before <= MAX_TOKENS { text.to_owned() } else { self.shorten(text) };
        SummaryDigest {
            tokens_after: count(&short),
            text: short,
            tokens_before,
            method: EXTRACTIVE.to_owned(),
        }
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

impl TextSummariser for ExtractiveSummariser {
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<SummaryDigest, SummaryError>> {
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.digest(&text));
        async move { work.await.map_err(|error| SummaryError(error.to_string())) }.boxed()
    }
}

/// The chosen units under one heading per class, in the order of the text, followed by the remaining facts.
fn draw(chosen: &ChosenUnits<'_>) -> String {
    let mut text = String::new();
    for class in UnitClass::ALL {
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
