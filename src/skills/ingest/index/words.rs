//! The words of texts and queries: English stems, and pairs of characters where a script has no spaces.
//!
//! Chinese, Japanese and Korean write words in a row, and so do Thai, Lao, Khmer and Burmese; a dictionary for each
//! would be larger than PAS. Pairs of neighbouring characters find every word of two or more without one, and as
//! a phrase nothing else. Marks (vowel signs, tones, accents) belong to their word in every script. Invariant: builder and searcher register this one analyzer, so a query is cut as the text was.

use tantivy::Index;
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};
use unicode_normalization::char::is_combining_mark;

/// The name in the schema of indexes; a change of the rules changes the name.
pub(super) const ANALYZER: &str = "pas_words_3";
/// Bytes from which a run of letters is no word but data: forty letters of three bytes, as India's scripts have them,
/// whose words carry their endings.
const MAX_WORD_BYTES: usize = 120;

/// Frequent English words that distinguish no document: Lucene's list, and the words of questions.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "does", "for", "from", "how", "i",
    "if", "in", "into", "is", "it", "its", "no", "not", "of", "on", "or", "such", "that", "the", "their",
    "then", "there", "these", "they", "this", "to", "was", "what", "when", "where", "which", "who", "why",
    "will", "with", "your", "you", "my",
];

pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word.to_lowercase().as_str())
}

/// Makes the analyzer known to an index.
pub(super) fn register(index: &Index) {
    let words = TextAnalyzer::builder(PairTokenizer::default())
        .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
        .filter(LowerCaser)
        .filter(Stemmer::new(Language::English))
        .build();
    index.tokenizers().register(ANALYZER, words);
}

/// Cuts at everything but letters and digits, and runs of characters without spaces into pairs.
#[derive(Debug, Clone, Default)]
struct PairTokenizer {
    token: Token,
}

/// Words and pairs of one text.
struct PairStream<'a> {
    text: &'a str,
    /// Byte from which the next word or pair is looked for.
    at: usize,
    /// Whether the character at `at` was already the second of a pair.
    in_run: bool,
    token: &'a mut Token,
}

impl Tokenizer for PairTokenizer {
    type TokenStream<'a> = PairStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PairStream<'a> {
        self.token.reset();
        PairStream { text, at: 0, in_run: false, token: &mut self.token }
    }
}

impl TokenStream for PairStream<'_> {
    fn advance(&mut self) -> bool {
        while let Some(first) = self.text[self.at..].chars().next() {
            if !is_in_word(first) {
                self.skip(first);
                continue;
            }
            if !is_dense(first) {
                let rest = &self.text[self.at..];
                let length = rest.find(|c: char| !is_in_word(c) || is_dense(c)).unwrap_or(rest.len());
                self.give(length);
                self.at += length;
                self.in_run = false;
                return true;
            }
            let start = first.len_utf8();
            let second = self.text[self.at + start..].chars().next().filter(|c| is_dense(*c));
            let alone = second.is_none() && !self.in_run;
            if let Some(second) = second {
                self.give(start + second.len_utf8());
            } else if alone {
                self.give(start);
            }
            self.at += start;
            self.in_run = second.is_some();
            if second.is_some() || alone {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

impl PairStream<'_> {
    fn skip(&mut self, c: char) {
        self.at += c.len_utf8();
        self.in_run = false;
    }

    fn give(&mut self, length: usize) {
        let end = self.at + length;
        self.token.text.clear();
        self.token.text.push_str(&self.text[self.at..end]);
        self.token.offset_from = self.at;
        self.token.offset_to = end;
        self.token.position = self.token.position.wrapping_add(1);
    }
}

/// Letters, digits, and the marks on them.
pub(super) fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Kana and ideographs; Hangul, whose words carry endings, is found by pairs too; Thai, Lao, Burmese and Khmer.
fn is_dense(c: char) -> bool {
    is_in_word(c)
        && matches!(
            u32::from(c),
            0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3005..=0x3007 | 0x3040..=0x30ff | 0x3400..=0x9fff
                | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut tokenizer = PairTokenizer::default();
        let mut stream = tokenizer.token_stream(text);
        let mut words = Vec::new();
        while stream.advance() {
            let token = stream.token();
            assert_eq!(&text[token.offset_from..token.offset_to], token.text);
            words.push(token.text.clone());
        }
        words
    }

    #[test]
    fn runs_without_spaces_become_pairs_and_other_words_stay_whole() {
        assert_eq!(words("Größe, x86-64!"), ["Größe", "x86", "64"]);
        assert_eq!(words("配置文件"), ["配置", "置文", "文件"]);
        assert_eq!(words("PASは速い。木"), ["PAS", "は速", "速い", "木"]);
        assert_eq!(words("도서관 a"), ["도서", "서관", "a"]);
        assert_eq!(words("น้ำ PAS"), ["น้", "้ำ", "PAS"]);
        assert_eq!(words("ກິນ ນໍ້າ"), ["ກິ", "ິນ", "ນໍ", "ໍ້", "້າ"]);
        assert_eq!(words("ខ្មែរ។ក"), ["ខ្", "្ម", "មែ", "ែរ", "ក"]);
        assert_eq!(words("हिन्दी संस्कृत"), ["हिन्दी", "संस्कृत"]);
        assert_eq!(words("ファイル・名"), ["ファ", "ァイ", "イル", "名"]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_within_its_bounds(text in "[\\PC木林กำ้ ]{0,80}") {
            for word in words(&text) {
                prop_assert!(!word.is_empty());
            }
        }
    }
}
