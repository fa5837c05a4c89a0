//! Tokens of a text, estimated from above without a tokenizer's table.
//!
//! Every call needs the figure for its hold before it is sent, and a table costs 35 MB and, for a megabyte, tens of
//! milliseconds; this takes one or two nanoseconds a byte. Tokenizers cut a text into words, numbers, marks and
//! spaces and each of these into pieces; the rates here are those of unfavourable texts of each kind, so that
//! OpenAI's tables count fewer tokens in prose, code and JSON. [`MARGIN`] covers the tokenizers that are not
//! public (Anthropic's count up to two thirds more than OpenAI's) and texts made of nothing but odd pieces.
//! Invariant: the bound is never above the number of bytes, which no tokenizer exceeds.

use std::io;

/// The bound is the estimate times this, as a fraction.
const MARGIN: (u64, u64) = (3, 2);
/// Tokens above the estimate: a few odd pieces in a short text weigh more than the margin.
const SLACK: u64 = 8;
/// Letters of a token in a word. English has more than four, identifiers and other languages about three.
const WORD_LETTERS: u64 = 3;
/// A longer run of letters is no word but a key, a hash or base 64, in tokens of two letters.
const LONGEST_WORD: u64 = 16;
const RANDOM_LETTERS: u64 = 2;
/// Marks of a token: `":"`, `);` and `->` are one each.
const MARKS: u64 = 2;
/// White space of a token, in lines and indents; one space belongs to the word behind it.
const SPACES: u64 = 4;

/// The kind of run that a byte continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TextRun {
    #[default]
    None,
    Lower,
    Upper,
    Spaces,
    Marks,
}

/// A count in progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenEstimate {
    tokens: u64,
    bytes: u64,
    run: TextRun,
    length: u64,
}

impl TokenEstimate {
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut estimate = Self::default();
        estimate.add(text);
        estimate
    }

    /// Adds a text of its own.
    pub fn add(&mut self, text: &str) {
        self.add_bytes(text.as_bytes());
        self.end_run();
    }

    /// Adds a value as it stands in JSON.
    pub fn add_json(&mut self, value: &impl serde::Serialize) {
        // Counting cannot fail, and no key here is impossible in JSON.
        let _ = serde_json::to_writer(&mut *self, value);
        self.end_run();
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.bytes += other.bytes;
    }

    /// Takes back what stands in a text added before, but is none.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        let tokens = self.tokens.saturating_sub(other.tokens);
        Self { tokens, bytes: self.bytes.saturating_sub(other.bytes), ..self }
    }

    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The most tokens of all that was added.
    #[must_use]
    pub fn bound(self) -> u64 {
        let (times, parts) = MARGIN;
        self.tokens.saturating_mul(times).div_ceil(parts).saturating_add(SLACK).min(self.bytes)
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for byte in bytes {
            match byte {
                b'a'..=b'z' => self.continue_word(TextRun::Lower),
                b'A'..=b'Z' => self.continue_word(TextRun::Upper),
                b' ' | b'\t' | b'\r' | b'\n' => self.continue_run(TextRun::Spaces, u64::from(*byte != b' ')),
                // Some tokenizers take every digit by itself.
                b'0'..=b'9' => self.single(1),
                // The first byte of a character says its length: one token of two, two of three, three of four
                // (CJK takes one to two, rare scripts and emoji up to their bytes).
                0xC0..=0xDF => self.single(1),
                0xE0..=0xEF => self.single(2),
                0xF0.. => self.single(3),
                0x80..=0xBF => {}
                _ => self.continue_run(TextRun::Marks, 0),
            }
        }
    }

    /// A capital after small letters begins a new word, as in `camelCase` and in base 64.
    fn continue_word(&mut self, letters: TextRun) {
        let is_same = match self.run {
            TextRun::Lower => letters == TextRun::Lower,
            TextRun::Upper => true,
            _ => false,
        };
        if !is_same {
            self.end_run();
        }
        self.run = letters;
        self.length += 1;
    }

    fn continue_run(&mut self, run: TextRun, extra: u64) {
        if self.run != run {
            self.end_run();
            self.run = run;
        }
        self.length += 1 + extra;
    }

    fn single(&mut self, tokens: u64) {
        self.end_run();
        self.tokens += tokens;
    }

    fn end_run(&mut self) {
        self.tokens += match self.run {
            TextRun::None => 0,
            TextRun::Lower | TextRun::Upper if self.length > LONGEST_WORD => {
                self.length.div_ceil(RANDOM_LETTERS)
            }
            TextRun::Lower | TextRun::Upper => self.length.div_ceil(WORD_LETTERS),
            TextRun::Marks => self.length.div_ceil(MARKS),
            TextRun::Spaces if self.length == 1 => 0,
            TextRun::Spaces => self.length.div_ceil(SPACES),
        };
        (self.run, self.length) = (TextRun::None, 0);
    }
}

impl io::Write for TokenEstimate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add_bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

    use super::*;

    fn tables() -> [&'static CoreBPE; 2] {
        [o200k_base_singleton(), cl100k_base_singleton()]
    }

    fn counted(text: &str) -> u64 {
        tables().map(|table| table.count_ordinary(text) as u64).into_iter().max().unwrap_or_default()
    }

    /// Texts of the kinds that requests are made of.
    fn samples() -> Vec<(&'static str, String)> {
        let request = serde_json::json!({"tools": [{"name": "read_file", "input_schema": {"type": "object",
            "properties": {"file_path": {"type": "string", "description": "The absolute path"}}}}]});
        let ids = (0_u32..200)
            .map(|at| format!("{:032x} ", u128::from(at).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C)));
        vec![
            ("prose", include_str!("../../README.md").to_owned()),
            ("rules", include_str!("../../ARCHITECTURE.md").to_owned()),
            ("code", include_str!("client/mod.rs").to_owned()),
            ("schema", include_str!("../../contracts/gateway.json").to_owned()),
            ("script", include_str!("../../Makefile").to_owned()),
            ("request", request.to_string().repeat(20)),
            ("escaped", serde_json::json!(include_str!("lib.rs")).to_string()),
            (
                "German",
                "Die Geschwindigkeitsbegrenzung überraschte Größe und Straßenverkehrsordnung. ".repeat(20),
            ),
            ("Russian", "Быстрая коричневая лиса прыгает через ленивую собаку. ".repeat(20)),
            ("Greek", "Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ".repeat(20)),
            ("Japanese", "お誕生日おめでとうございます。今日は天気がいいですね。".repeat(20)),
            ("Chinese", "自然语言处理是人工智能领域中的一个重要方向。".repeat(20)),
            ("Hindi", "प्राकृतिक भाषा प्रसंस्करण एक महत्वपूर्ण क्षेत्र है। ".repeat(20)),
            ("emoji", "🎉🚀👩‍💻🇨🇭 ".repeat(50)),
            ("ids", ids.collect()),
            ("numbers", "3.14159265358979, -273.15; 2026-11-30T12:34:56Z ".repeat(40)),
        ]
    }

    #[test]
    fn no_public_table_counts_more_than_the_bound_and_common_ones_not_more_than_the_estimate() {
        for (name, text) in samples() {
            let (found, bound) = (counted(&text), TokenEstimate::of(&text).bound());
            assert!(found <= bound, "{name}: {found} tokens, {bound} at most");
            if ["prose", "rules", "code", "schema", "script", "request", "escaped"].contains(&name) {
                assert!(found * 3 / 2 <= bound, "{name}: the margin is used up by {found} of {bound}");
                assert!(bound <= 4 * found, "{name}: {bound} is far above {found}");
            }
        }
    }

    #[test]
    fn a_part_that_is_no_text_is_taken_back() {
        let whole = TokenEstimate::of("{\"a\":\"some words\",\"data\":\"iVBORw0KGgoAAAANSUhEUg\"}");
        let text = TokenEstimate::of("{\"a\":\"some words\",\"data\":\"\"}");
        let left = whole.without(TokenEstimate::of("iVBORw0KGgoAAAANSUhEUg"));
        assert!(left.tokens.abs_diff(text.tokens) <= 1, "{left:?} {text:?}");
        assert_eq!(left.bytes, text.bytes);
    }

    #[test]
    fn json_counts_as_it_is_written_however_it_is_divided() {
        let value = serde_json::json!({"name": "read", "n": [1, 2.5, null], "text": "some \"words\"\n"});
        let mut written = TokenEstimate::default();
        written.add_json(&value);
        let text = TokenEstimate::of(&value.to_string());
        assert_eq!((written.tokens, written.bytes), (text.tokens, text.bytes));
    }

    #[test]
    fn the_bound_holds_for_a_few_odd_pieces() {
        let text = "afbxg yfppa";
        assert!(counted(text) <= TokenEstimate::of(text).bound());
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_texts_of_any_letters(
            text in prop_oneof!["[a-z ]{0,300}", "[A-Za-z0-9+/]{0,300}", "[a-f0-9-]{0,300}", "\\PC{0,200}", "[ \t\n]{0,60}"],
        ) {
            let (found, bound) = (counted(&text), TokenEstimate::of(&text).bound());
            prop_assert!(found <= bound.max(1), "{found} tokens, {bound} at most");
        }
    }
}
