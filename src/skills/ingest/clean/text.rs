//! Repairs of characters: mojibake, line ends, invisible characters, Unicode NFC, white space.
//!
//! Invariant: once [`super::normalise`] has run the repairs to their fixed point, repeating one changes
//! nothing. Failure policy: only certain repairs are made.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Sound runs of non-ASCII characters allowed per broken one: with more, the text is probably right
/// and speaks about mojibake.
const BROKEN_PER_SOUND: usize = 9;
/// Broken runs that decode to several characters of another script, from which they are evidence.
const MIN_LONG_RUNS: usize = 3;

/// The characters of windows-1252 at 0x80–0x9F; the gaps are C1 controls, as in the WHATWG encoding.
const CP1252_HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

static BLANK_LINES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\n{4,}").ok());
static TERMINAL_CODES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]").ok());

/// Undoes UTF-8 that was read as windows-1252 or Latin-1; `None` when there is none, or no certainty.
pub(super) fn mojibake(text: &str) -> Option<String> {
    let (mut broken, mut sound, mut strong, mut long) = (0, 0, 0, 0);
    for run in runs(text).filter(|run| !run.is_ascii()) {
        match repaired(run) {
            None => sound += 1,
            Some(whole) => {
                broken += 1;
                strong += usize::from(whole.chars().all(is_western));
                long += usize::from(whole.chars().count() > 1);
            }
        }
    }
    let certain = (strong > 0 || long >= MIN_LONG_RUNS) && broken >= sound * BROKEN_PER_SOUND;
    certain.then(|| runs(text).map(|run| repaired(run).map_or(Cow::Borrowed(run), Cow::Owned)).collect())
}

/// Alternating runs of ASCII and other characters.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let ascii = rest.chars().next()?.is_ascii();
        let end = rest.find(|c: char| c.is_ascii() != ascii).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        Some(run)
    })
}

/// The original of a run that was misread completely.
fn repaired(run: &str) -> Option<String> {
    if run.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = run.chars().map(byte_of).collect();
    String::from_utf8(bytes?).ok()
}

fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ 0x80..=0xff => u8::try_from(code).ok(),
        _ => CP1252_HIGH.iter().position(|high| *high == c).and_then(|at| u8::try_from(at + 0x80).ok()),
    }
}

/// Letters and signs of western texts, which misread text mostly means.
fn is_western(c: char) -> bool {
    matches!(u32::from(c), 0xa0..=0xff | 0x2010..=0x2044 | 0x20ac | 0x2122 | 0x2190..=0x2193)
}

/// `\r\n`, `\r` and the Unicode separators become `\n`.
pub(super) fn line_ends(text: &str) -> Option<String> {
    let foreign = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];
    text.contains(foreign).then(|| text.replace("\r\n", "\n").replace(foreign, "\n"))
}

/// Overstrike of typewriters and `man`: a letter struck twice is bold, one over `_` is underlined.
pub(super) fn overstrike(text: &str) -> Option<String> {
    if !text.contains('\u{8}') {
        return None;
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\u{8}' {
            kept.push(c);
            continue;
        }
        let struck = kept.chars().next_back().filter(|c| *c != '\n');
        match (struck, rest.clone().next()) {
            // The letter stays, whichever of the two comes first.
            (Some(letter), Some('_')) if letter != '_' => {
                rest.next();
            }
            (Some(_), Some(over)) if over != '\n' => {
                kept.pop();
            }
            _ => {}
        }
    }
    Some(kept)
}

/// Takes out control characters, terminal colour codes and characters of no width.
pub(super) fn invisible(text: &str) -> Option<String> {
    if !text.contains(is_invisible) && !text.contains(['\u{200c}', '\u{200d}']) {
        return None;
    }
    let bare = match TERMINAL_CODES.as_ref() {
        Some(codes) if text.contains('\x1b') => codes.replace_all(text, ""),
        _ => Cow::Borrowed(text),
    };
    let mut kept = String::with_capacity(bare.len());
    let mut rest = bare.chars().filter(|c| !is_invisible(*c)).peekable();
    while let Some(c) = rest.next() {
        let joiner = matches!(c, '\u{200c}' | '\u{200d}');
        let mut between =
            || kept.chars().next_back().is_some_and(joins) && rest.peek().copied().is_some_and(joins);
        if !joiner || between() {
            kept.push(c);
        }
    }
    (kept != text).then_some(kept)
}

fn is_invisible(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
}

/// Scripts behind Greek and Cyrillic, and emoji: where joiners change the rendering.
fn joins(c: char) -> bool {
    c >= '\u{590}' && !c.is_whitespace() && !matches!(c, '\u{2000}'..='\u{206f}')
}

/// Unicode normalisation form C.
pub(super) fn nfc(text: &str) -> Option<String> {
    (!is_nfc(text)).then(|| text.nfc().collect())
}

/// No space at line ends, two blank lines at most, none at the start, and one `\n` at the end.
pub(super) fn spacing(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    let bare = lines.trim_start_matches('\n').trim_end();
    let mut spaced = match BLANK_LINES.as_ref() {
        Some(blank) => blank.replace_all(bare, "\n\n\n").into_owned(),
        None => bare.to_owned(),
    };
    if !spaced.is_empty() {
        spaced.push('\n');
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misread(text: &str) -> String {
        text.bytes()
            .map(
                |b| {
                    if (0x80..0xa0).contains(&b) { CP1252_HIGH[usize::from(b) - 0x80] } else { char::from(b) }
                },
            )
            .collect()
    }

    #[test]
    fn misread_utf8_is_restored() {
        for text in
            ["Grüße aus Köln – “schön”, 5 €", "naïve café", "Съешь же ещё этих булок", "日本語 です テキスト"]
        {
            assert_eq!(mojibake(&misread(text)).as_deref(), Some(text));
        }
        let twice = misread(&misread("Müller"));
        assert_eq!(mojibake(&twice).as_deref(), Some(misread("Müller").as_str()));
    }

    #[test]
    fn sound_text_is_left_alone() {
        for text in [
            "Grüße aus Köln",
            "“CAFÉ”",
            "CAFÉ…",
            "ESPAÑA, AÑO… NIÑ…",
            "It shows Ã© where é was meant",
            "plain",
            "São Paulo, IRMÃ, NÃO",
        ] {
            assert_eq!(mojibake(text), None, "{text}");
        }
    }

    #[test]
    fn joiners_stay_where_scripts_need_them() {
        assert_eq!(invisible("می\u{200c}خواهم 👩\u{200d}💻"), None);
        assert_eq!(invisible("a\u{200d}b\u{200b}c\u{0}\u{202e}d").as_deref(), Some("abcd"));
        assert_eq!(invisible("\x1b[1;31mred\x1b[0m").as_deref(), Some("red"));
    }

    #[test]
    fn struck_letters_are_written_once() {
        let bold = |word: &str| word.chars().map(|c| format!("{c}\u{8}{c}")).collect::<String>();
        let under = |word: &str| word.chars().map(|c| format!("_\u{8}{c}")).collect::<String>();
        let line = format!("{} of {} and a\u{8}_b\u{8}_", bold("SYNOPSIS"), under("file"));
        assert_eq!(overstrike(&line).as_deref(), Some("SYNOPSIS of file and ab"));
        assert_eq!(overstrike("x\u{8}x\u{8}x +\u{8}o\n\u{8}y").as_deref(), Some("x o\ny"));
        assert_eq!(overstrike("_\u{8}_\u{8}a_").as_deref(), Some("a_"));
        assert_eq!(overstrike("plain"), None);
    }

    #[test]
    fn spacing_keeps_two_blank_lines() {
        assert_eq!(spacing("\n\n a  \n\n\n\n\n b\t\n"), " a\n\n\n b\n");
        assert_eq!(spacing(" \n\t\n"), "");
    }
}
