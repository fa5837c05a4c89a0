//! The natural language of a document, where the words allow a sure answer.
//!
//! Code, addresses and markup are removed first: identifiers mislead any detector. Failure policy: no answer
//! is better than a wrong one.

use std::sync::LazyLock;

use regex::Regex;

/// Letters of prose below which no answer is given: trigram statistics need a few sentences.
const MIN_LETTERS: usize = 80;
/// Bytes of prose considered: more adds time, not certainty.
const MAX_PROSE_BYTES: usize = 8 * 1024;

/// Share of [`ENGLISH`] words from which a text is English: English prose has 25 to 45 of 100, other
/// languages that share some of them stay below 12.
const MIN_SMALL_WORDS: f64 = 0.18;
/// The most frequent English words that are rare in related languages.
const ENGLISH: &[&str] = &[
    "the", "of", "and", "to", "is", "that", "for", "it", "with", "as", "this", "are", "be", "by", "from",
    "or", "which", "have", "has", "not", "you", "can", "will", "your", "use", "used", "when", "what", "if",
    "all", "but", "any", "on",
];

/// Everything but prose: fenced and indented code, HTML comments and tags, link targets, addresses,
/// inline code, and words with inner punctuation, digits or capitals (identifiers and file names).
static NOT_PROSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xms)
        ^[\ ]{0,3}```.*?(?:^[\ ]{0,3}```|\z) | ^[\ ]{0,3}~~~.*?(?:^[\ ]{0,3}~~~|\z) | ^(?:\t|[\ ]{4,})\S[^\n]*$
        | <!--.*?--> | <[^<>\n]{1,400}> | \]\([^()\s]{1,400}\) | ^\s*\[[^\]\n]{1,200}\]:[^\n]*$
        | [a-zA-Z]{2,10}://\S+ | `[^`\n]{1,400}`
        | [^\s]*(?:[\p{L}\p{N}][_/:.@=\#\\+<>$]+[\p{L}\p{N}]|\p{Ll}\p{Lu}|\d)[^\s]*",
    )
    .ok()
});

/// ISO 639-3 code, or the empty string when unsure.
pub(super) fn of(text: &str, kind: &str) -> &'static str {
    if !matches!(kind, "text" | "markdown" | "html" | "licence") {
        return "";
    }
    let prose = prose(text);
    if prose.chars().filter(|c| c.is_alphabetic()).count() < MIN_LETTERS && !dense(&prose) {
        return "";
    }
    match whatlang::detect(&prose) {
        Some(found) if found.is_reliable() => found.lang().code(),
        // Trigrams are seldom sure of a short English text full of names; function words are.
        Some(found) if found.script() == whatlang::Script::Latin && reads_english(&prose) => "eng",
        _ => "",
    }
}

fn reads_english(prose: &str) -> bool {
    let (mut all, mut small) = (0_u32, 0_u32);
    for word in prose.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        all += 1;
        small += u32::from(ENGLISH.contains(&word.to_ascii_lowercase().as_str()));
    }
    f64::from(small) >= f64::from(all) * MIN_SMALL_WORDS
}

fn prose(text: &str) -> String {
    // Four times as much as needed: the removals below mostly leave enough.
    let text = &text[..text.floor_char_boundary(MAX_PROSE_BYTES * 4)];
    let Some(not_prose) = NOT_PROSE.as_ref() else { return String::new() };
    let mut prose = not_prose.replace_all(text, " ").into_owned();
    prose.truncate(prose.floor_char_boundary(MAX_PROSE_BYTES));
    prose
}

/// Scripts in which one character stands for several letters of others.
fn dense(prose: &str) -> bool {
    let dense = |c: &char| matches!(u32::from(*c), 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af);
    prose.chars().filter(dense).count() >= MIN_LETTERS / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_from_prose_and_not_from_code() {
        let english = "# Title\n\nThis library reads configuration files and tells you what is wrong with \
                       them. It was written because the existing ones did not explain their errors well.\n\n\
                       ```rust\nlet größe = straße();\n```\n";
        assert_eq!(of(english, "markdown"), "eng");
        let german = "Diese Bibliothek liest Konfigurationsdateien und sagt, was an ihnen falsch ist. Sie \
                      wurde geschrieben, weil die vorhandenen ihre Fehler nicht gut erklären konnten.";
        assert_eq!(of(german, "text"), "deu");
        let chinese = "这个库读取配置文件并告诉你它们有什么问题。编写它是因为现有的库没有很好地解释错误。";
        assert_eq!(of(chinese, "text"), "cmn");
        assert_eq!(of(english, "code"), "");
        assert_eq!(of("serde 1.0", "text"), "");
        assert_eq!(of("```\nlet a = 1;\nlet b = 2;\n```\n", "markdown"), "");
    }
}
