//! Sentences of a paragraph: the rules of UAX #29, with the breaks taken back that are none.
//!
//! UAX #29 ends a sentence at every line end and after every abbreviation before a capital. Prose in files is
//! wrapped, so a line end counts only where a list item begins. Invariants: ranges are in order, cover all
//! characters but white space, and are never empty.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Abbreviations (lower case, without their last full stop) that do not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "e.g", "i.e", "cf", "vs", "etc", "eg", "ie", "fig", "no", "vol", "pp", "approx", "resp", "al", "dr",
    "mr", "mrs", "ms", "prof", "st", "jr", "sr", "inc", "ltd", "co", "dept", "ed", "eds", "ver", "sec",
    "z.b", "bzw", "usw", "ca", "d.h", "vgl", "nr", "p.ex", "p",
];

/// Byte ranges of the sentences.
pub(crate) fn split(paragraph: &str) -> Vec<Range<usize>> {
    let mut sentences: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for (start, piece) in paragraph.split_sentence_bound_indices() {
        let end = start + piece.len();
        open = match open {
            Some(earlier) if continues(&paragraph[earlier.clone()], piece) => Some(earlier.start..end),
            Some(earlier) => {
                sentences.push(earlier);
                Some(start..end)
            }
            None => Some(start..end),
        };
    }
    sentences.extend(open);
    sentences.into_iter().filter_map(|range| trimmed(paragraph, range)).collect()
}

/// Whether `next` belongs to the sentence that `earlier` begins.
fn continues(earlier: &str, next: &str) -> bool {
    let body = earlier.trim_end();
    if body.is_empty() {
        return true;
    }
    if earlier.ends_with('\n') && starts_item(next) {
        return false;
    }
    !ends_sentence(body)
}

fn ends_sentence(body: &str) -> bool {
    let bare = body.trim_end_matches(|c: char| "\"')]}*_`”’»".contains(c));
    let Some(stem) = bare.strip_suffix('.') else {
        return bare.ends_with(|c: char| "!?…。！？।؟".contains(c)) || (bare.is_empty() && !body.is_empty());
    };
    let word = stem.rsplit(|c: char| c.is_whitespace() || "([{\"'".contains(c)).next().unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let item_number = stem.lines().next_back().is_some_and(|line| {
        let line = line.trim();
        !line.is_empty() && line.len() <= 3 && line.bytes().all(|b| b.is_ascii_digit())
    });
    !initial && !item_number && !ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// A list item or a quotation begins.
fn starts_item(line: &str) -> bool {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = (1..=3).contains(&digits) && line[digits..].starts_with(['.', ')']);
    let rest = line.strip_prefix(['-', '*', '+', '>', '•']);
    numbered || rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn abbreviations_numbers_and_names_do_not_end_a_sentence() {
        for one in [
            "Use a tool, e.g. Make, or none.",
            "It needs version 1.2.3 of lib.rs today.",
            "Pi is 3.14 or so.",
            "J. Doe wrote it.",
            "See fig. 3 for more, i.e. Everything.",
            "A sentence that is\nwrapped over two lines.",
        ] {
            assert_eq!(sentences(one), [one]);
        }
    }

    #[test]
    fn sentences_and_list_items_are_told_apart() {
        assert_eq!(sentences("One. Two! Three?"), ["One.", "Two!", "Three?"]);
        assert_eq!(
            sentences("- first item\n- second\n  wrapped\n3. third"),
            ["- first item", "- second\n  wrapped", "3. third"]
        );
        assert_eq!(sentences("これは文です。次の文です。"), ["これは文です。", "次の文です。"]);
        assert_eq!(sentences("He said \"Stop.\" Then he left."), ["He said \"Stop.\"", "Then he left."]);
    }
}
