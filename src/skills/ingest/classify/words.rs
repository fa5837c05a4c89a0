//! The stems by which lexicon and input are compared.
//!
//! Invariant: a lexicon term and the same words in a text give the same stems, because both pass
//! through [`WordStemmer`]. Words are lower-cased, stripped of accents, split at everything that is no letter
//! or digit (so `k-means` is two words), freed of a possessive `'s`, and stemmed by Snowball's English.

use std::borrow::Cow;
use std::collections::HashMap;

use frostem::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StemmedWord {
    /// As written, but folded.
    pub(super) plain: String,
    /// The form for comparison.
    pub(super) stem: String,
}

/// Splits and stems; remembers stems, because stemming takes most of the time.
pub(super) struct WordStemmer {
    stemmer: Stemmer,
    known: HashMap<String, String>,
}

impl WordStemmer {
    pub(super) fn new() -> Self {
        Self { stemmer: Stemmer::new(Algorithm::English), known: HashMap::new() }
    }

    /// The words of a text, in order, at most `limit`.
    pub(super) fn split(&mut self, text: &str, limit: usize) -> Vec<StemmedWord> {
        let folded = fold(text);
        pieces(&folded)
            .take(limit)
            .map(|plain| StemmedWord { plain: plain.to_owned(), stem: self.stem(plain) })
            .collect()
    }

    fn stem(&mut self, plain: &str) -> String {
        if let Some(stem) = self.known.get(plain) {
            return stem.clone();
        }
        let stem = self.stemmer.stem(plain).into_owned();
        self.known.insert(plain.to_owned(), stem.clone());
        stem
    }
}

fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let straight = text.chars().map(|c| if c == '\u{2019}' { '\'' } else { c });
    Cow::Owned(straight.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect())
}

/// Words of a folded text. `c++` and `c#` keep their signs; `'s` falls, other apostrophes close up.
fn pieces(folded: &str) -> impl Iterator<Item = &str> {
    folded
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '+' | '#')))
        .map(|piece| piece.trim_matches('\'').trim_start_matches(['+', '#']))
        .map(|piece| piece.strip_suffix("'s").unwrap_or(piece))
        .filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        WordStemmer::new().split(text, 100).into_iter().map(|word| word.stem).collect()
    }

    #[test]
    fn spelling_variants_meet() {
        assert_eq!(stems("Brontë’s novels"), stems("bronte novel"));
        assert_eq!(stems("fine-tuning, k-means"), stems("fine tuning K means"));
        assert_eq!(stems("C++ and C#"), ["c++", "and", "c#"]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(stems(" -- '' ... ++ \u{0301}").is_empty());
    }
}
