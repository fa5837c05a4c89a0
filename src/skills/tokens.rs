//! Token counting with the models' own tables, kept in memory only while in use.
//!
//! The tables are OpenAI's (`tiktoken-rs`): the newer one takes about 35 MB and 0.2 s to load, so
//! [`TokenCounter`] loads that table at the first count and [`TokenCounter::release`] drops it when idle.
//! Models of other vendors, whose tables are not public, are counted with the newer one. Failure policy: if a
//! table cannot be built (never seen), the count is the number of bytes, an upper bound.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// How long a table stays after the last use: the pause between two steps of a run.
pub const IDLE: Duration = Duration::from_secs(5);

/// Counts tokens. Shared; counts of one table run side by side.
#[derive(Default)]
pub struct TokenCounter {
    tables: Mutex<HashMap<Tokenizer, LoadedTokenizer>>,
}

struct LoadedTokenizer {
    table: Arc<CoreBPE>,
    used: Instant,
}

impl std::fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCounter").field("tables", &self.tables.lock().len()).finish()
    }
}

impl TokenCounter {
    /// Tokens of a text, special tokens read as text. `model` is a vendor's name of a model; an unknown model
    /// is counted with the newest public table. May load a table: call where 0.2 s do not matter. After that,
    /// about 70 µs per kilobyte.
    #[must_use]
    pub fn count(&self, text: &str, model: Option<&str>) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let count = self.table(kind(model)).map_or(text.len(), |table| table.count_ordinary(text));
        count as u64
    }

    /// Drops tables unused for this long; returns whether any is left.
    pub fn release(&self, idle: Duration) -> bool {
        let mut tables = self.tables.lock();
        tables.retain(|_, loaded| loaded.used.elapsed() < idle);
        if tables.is_empty() {
            tables.shrink_to_fit();
        }
        !tables.is_empty()
    }

    fn table(&self, kind: Tokenizer) -> Option<Arc<CoreBPE>> {
        // Locked while loading, so that two callers load one table.
        let mut tables = self.tables.lock();
        if let Some(loaded) = tables.get_mut(&kind) {
            loaded.used = Instant::now();
            return Some(Arc::clone(&loaded.table));
        }
        let built = match kind {
            Tokenizer::Cl100kBase => tiktoken_rs::cl100k_base(),
            _ => tiktoken_rs::o200k_base(),
        };
        let table = Arc::new(built.ok()?);
        tables.insert(kind, LoadedTokenizer { table: Arc::clone(&table), used: Instant::now() });
        Some(table)
    }
}

/// Two tables cover all models in use.
fn kind(model: Option<&str>) -> Tokenizer {
    match model.and_then(get_tokenizer) {
        Some(Tokenizer::Cl100kBase) => Tokenizer::Cl100kBase,
        _ => Tokenizer::O200kBase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_model_s_table() {
        let counter = TokenCounter::default();
        assert_eq!(counter.count("", None), 0);
        assert!(!counter.release(IDLE), "nothing is loaded for nothing");
        // From OpenAI's cookbook, "How to count tokens with tiktoken".
        assert_eq!(counter.count("tiktoken is great!", Some("gpt-4")), 6);
        assert_eq!(counter.count("お誕生日おめでとう", Some("gpt-3.5-turbo")), 9);
        assert_eq!(counter.count("お誕生日おめでとう", Some("gpt-4o")), 8);
        assert_eq!(counter.count("お誕生日おめでとう", Some("claude-sonnet-4-5")), 8);
        assert!(counter.release(IDLE));
        assert!(!counter.release(Duration::ZERO));
        assert_eq!(counter.count("<|endoftext|>", None), 7, "a special token in a text is text");
    }
}
