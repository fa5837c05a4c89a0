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

/// Danish words that Norwegian writes otherwise, or not at all; and the other way round. Trigrams are seldom
/// sure which of the two a text is.
const DANISH: &[&str] = &[
    "af", "at", "efter", "nogle", "kun", "bliver", "blive", "blev", "uden", "gennem", "meget", "mellem",
    "op", "sig", "mig", "dig", "nu", "hvad", "brug", "bruge", "bruges", "sprog", "igen", "andet", "fejl",
    "lige", "hvornår", "ind",
];
const NORWEGIAN: &[&str] = &[
    "av", "å", "etter", "noen", "bare", "blir", "bli", "ble", "uten", "gjennom", "mye", "mellom", "opp",
    "seg", "meg", "deg", "nå", "hva", "bruk", "brukes", "språk", "igjen", "annet", "feil", "når", "inn",
    "mer",
];
/// Swedish words that neither of the two has: a short Swedish text is taken for Norwegian by its trigrams.
const SWEDISH: &[&str] = &[
    "och", "är", "att", "inte", "från", "för", "på", "när", "där", "här", "så", "ett", "jag", "också",
    "använda", "används", "eller", "efter", "bara", "utan", "genom", "mycket", "mellan", "upp", "sig", "mig",
    "dig", "vad", "språk", "igen", "annat", "fel", "blir", "finns", "filen", "filer", "många", "denna",
    "detta", "vill",
];
/// Words of the one language for each of the other, from which a text is in it.
const CLEAR_LEAD: usize = 3;
/// Share of words that are the one language's own from which a text of unsure trigrams is in it.
const MIN_OWN_WORDS: f64 = 0.05;
/// Share of a plain text's pieces that must be words of prose for any answer but English: a table of
/// replacements or coordinates holds some.
const MIN_PROSE_SHARE: f64 = 0.4;

/// Everything but prose: fenced and indented code, directives and fields of reStructuredText, HTML comments and tags, link targets, addresses,
/// inline code, and words with inner punctuation, digits or capitals (identifiers and file names).
static NOT_PROSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xms)
        ^[\ ]{0,3}```.*?(?:^[\ ]{0,3}```|\z) | ^[\ ]{0,3}~~~.*?(?:^[\ ]{0,3}~~~|\z) | ^(?:\t|[\ ]{4,})\S[^\n]*$
        | ^\.\.[\ ][^\n]*$ | ^[\ \t]*:[a-z][a-z-]*:[^\n]*$
        | <!--.*?--> | <[^<>\n]{1,400}> | \]\([^()\s]{1,400}\) | ^\s*\[[^\]\n]{1,200}\]:[^\n]*$
        | [a-zA-Z]{2,10}://\S+ | `[^`\n]{1,400}`
        | [^\s]*(?:[\p{L}\p{N}][_/:.@=\#\\+<>$]+[\p{L}\p{N}]|\p{Ll}\p{Lu}|\d)[^\s]*",
    )
    .ok()
});

/// ISO 639-3 code, or the empty string when unsure.
pub(super) fn of(text: &str, kind: &str) -> &'static str {
    if !matches!(kind, "text" | "markdown" | "html" | "licence" | "document") {
        return "";
    }
    let prose = prose(text);
    if prose.chars().filter(|c| c.is_alphabetic()).count() < MIN_LETTERS && !dense(&prose) {
        return "";
    }
    let Some(found) = whatlang::detect(&prose) else { return "" };
    let latin = found.script() == whatlang::Script::Latin;
    // Trigrams are seldom sure of a short English text full of names; function words are.
    if latin && reads_english(&prose) && (!found.is_reliable() || found.lang() == whatlang::Lang::Eng) {
        return "eng";
    }
    if latin && found.lang() != whatlang::Lang::Eng && kind == "text" && !mostly_prose(text, &prose) {
        return "";
    }
    if latin && let Some(code) = scandinavian(&prose, found.lang()) {
        return code;
    }
    if found.is_reliable() { found.lang().code() } else { "" }
}

/// Decides between the neighbours by the words and letters that only one of them has. The empty code: the
/// letters contradict the trigrams, and the words do not decide.
fn scandinavian(prose: &str, guess: whatlang::Lang) -> Option<&'static str> {
    let words: Vec<String> = prose.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let own = |list: &[&str]| words.iter().filter(|word| list.contains(word)).count();
    let (danish, norwegian) = (own(DANISH), own(NORWEGIAN));
    let neighbour = matches!(guess, whatlang::Lang::Dan | whatlang::Lang::Nob);
    // Swedish and Dutch share a few of the words, no text of theirs all of these signs.
    let signs = prose.contains(['æ', 'ø', 'Æ', 'Ø']);
    let swedish = own(SWEDISH);
    let swedish_letters = !signs && prose.contains(['ä', 'ö', 'Ä', 'Ö']);
    if !signs && neighbour && swedish >= CLEAR_LEAD && (swedish_letters || swedish > danish.max(norwegian)) {
        return Some("swe");
    }
    if neighbour && swedish_letters {
        return Some("");
    }
    let enough = danish.max(norwegian) as f64 >= words.len() as f64 * MIN_OWN_WORDS;
    if !(neighbour || signs && enough) {
        return None;
    }
    if danish >= CLEAR_LEAD.max(norwegian * CLEAR_LEAD) {
        Some("dan")
    } else if norwegian >= CLEAR_LEAD.max(danish * CLEAR_LEAD) {
        Some("nob")
    } else {
        None
    }
}

/// Whether words make up enough of a text's pieces.
fn mostly_prose(text: &str, prose: &str) -> bool {
    let text = &text[..text.floor_char_boundary(MAX_PROSE_BYTES)];
    let pieces = text.split_whitespace().count();
    let words = prose.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    words as f64 >= pieces as f64 * MIN_PROSE_SHARE
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

    #[test]
    fn danish_and_norwegian_are_kept_apart() {
        let danish = "Dette program læser indstillinger af filer og viser, hvad der er forkert. Det kan bruges uden \
                      netværk, og efter brug bliver intet gemt. Nogle fejl vises kun én gang, så læs dem igen, og giv \
                      lige besked, når sproget mangler.";
        assert_eq!(of(danish, "text"), "dan");
        let norwegian = "Dette programmet leser innstillinger av filer og viser hva som er feil. Det kan brukes uten \
                         nettverk, og etter bruk blir ingenting lagret. Noen feil vises bare én gang, så les dem igjen, \
                         og si fra om språket mangler.";
        assert_eq!(of(norwegian, "text"), "nob");
        let swedish = "Det här programmet läser inställningar från filer och visar vad som är fel. Det kan användas utan \
                       nätverk, och efter användning sparas ingenting. Vissa fel visas bara en gång, så läs dem igen.";
        assert_eq!(of(swedish, "text"), "swe");
    }

    #[test]
    fn a_short_swedish_text_is_not_norwegian() {
        for swedish in [
            "Vi har skrivit om delar av programmet och lagt till mer hjälp. Det är snabbare nu, men kräver mer minne.",
            "En samling av små verktyg för att läsa och skriva filer. De är skrivna i ett språk som är lätt att lära.",
            "Ett enkelt program som visar innehållet i en fil och inget annat. Det finns ingen hjälp utom denna text.",
            "Skriv av texten och spara filen. Mer information om formatet finns i manualen till programmet och i filen.",
        ] {
            let code = of(swedish, "text");
            assert!(code == "swe" || code.is_empty(), "{code}: {swedish}");
        }
        let norwegian = "Vi har skrevet om deler av programmet og lagt til mer hjelp. Det er raskere nå, men krever mer minne, og \
                         det kan ikke brukes uten nettverk.";
        assert_eq!(of(norwegian, "text"), "nob");
    }

    #[test]
    fn generated_pages_and_tables_have_no_language() {
        let generated = "quill package\n=============\n\nSubmodules\n----------\n\nquill\\_ink module\n\n\
                         .. automodule:: quill.ink\n   :members:\n   :undoc-members:\n   :show-inheritance:\n";
        assert_eq!(of(generated, "text"), "");
        let table: String = (0..60).map(|n| format!("lle{n}\tgwyn{n}\tcoch\t{n}.5\t{}\n", n * 7)).collect();
        assert_eq!(of(&table, "text"), "");
    }
}
