//! The units for a summary: lines of chats, lists, logs and code; sentences of prose.
//!
//! Invariants: ranges are in order, do not overlap, cover all characters but white space between them, and
//! none is longer than [`MAX_UNIT`] bytes (rounded to a character).

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::ingest::chunk::sentences;

/// Longest unit in bytes: a long sentence. Longer ones (minified code, encoded data) are cut.
const MAX_UNIT: usize = 600;
/// Lines up to this length in bytes stay whole in lists, chats and logs.
const MAX_LINE: usize = 240;
/// Average length of a line from which a paragraph without marks is taken for wrapped prose.
const PROSE_LINE: usize = 55;

/// Byte ranges of the units of a text.
pub(super) fn split(text: &str) -> Vec<Range<usize>> {
    let (mut units, mut paragraph, mut fenced) = (Vec::new(), Vec::new(), false);
    for (start, line) in lines(text) {
        let fence = line.trim_start().starts_with("```");
        if fenced || fence || line.trim().is_empty() {
            close(text, &mut paragraph, &mut units);
            push(text, start..start + line.len(), &mut units);
            fenced ^= fence;
        } else {
            paragraph.push(start..start + line.len());
        }
    }
    close(text, &mut paragraph, &mut units);
    units
}

/// Whether a unit is an item of a list already, or a heading.
pub(super) fn is_item(unit: &str) -> bool {
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = (1..=3).contains(&digits) && unit[digits..].starts_with([')', '.']);
    numbered || ["- ", "* ", "+ ", "• ", "#"].iter().any(|mark| unit.starts_with(mark))
}

/// The speaker, if the unit begins a turn of a chat: `User:`, `**Assistant:**`, `[tool]`.
pub(super) fn speaker(unit: &str) -> Option<&str> {
    const SPEAKERS: &[&str] =
        &["user", "human", "assistant", "ai", "system", "developer", "tool", "card", "result"];
    let name = unit.trim_start_matches(['*', '[', '#', ' ']);
    let end = name.find(|c: char| !c.is_alphanumeric())?;
    let (name, rest) = name.split_at(end);
    let is_mark = rest.trim_start_matches(['*', ' ']).starts_with([':', ']']);
    (is_mark && SPEAKERS.contains(&name.to_lowercase().as_str())).then_some(name)
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

/// Ends a paragraph: wrapped prose becomes sentences, everything else lines.
fn close(text: &str, paragraph: &mut Vec<Range<usize>>, units: &mut Vec<Range<usize>>) {
    let (Some(first), Some(last)) = (paragraph.first(), paragraph.last()) else { return };
    let whole = first.start..last.end;
    let marked = |range: &Range<usize>| {
        let line = text[range.clone()].trim();
        is_item(line) || speaker(line).is_some() || line.starts_with(['|', '>', '{', '}', '[', '/'])
    };
    let is_prose = !paragraph.iter().any(marked) && whole.len() / paragraph.len() >= PROSE_LINE;
    if is_prose {
        push_sentences(text, whole, units);
        paragraph.clear();
    }
    for line in paragraph.drain(..) {
        if line.len() <= MAX_LINE {
            push(text, line, units);
        } else {
            push_sentences(text, line, units);
        }
    }
}

fn push_sentences(text: &str, range: Range<usize>, units: &mut Vec<Range<usize>>) {
    for sentence in sentences::split(&text[range.clone()]) {
        push(text, range.start + sentence.start..range.start + sentence.end, units);
    }
}

/// Adds a range without surrounding white space, in pieces where too long.
fn push(text: &str, range: Range<usize>, units: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    let mut open = start..start;
    for word in text[start..end].split_word_bounds() {
        // One word beyond the limit (encoded data) is cut between characters.
        let mut rest = word;
        while !rest.is_empty() {
            let room = MAX_UNIT.saturating_sub(open.len());
            if rest.len() <= room {
                open.end += rest.len();
                break;
            }
            let fits = if open.is_empty() { rest.floor_char_boundary(room) } else { 0 };
            open.end += fits;
            rest = &rest[fits..];
            keep(text, open.clone(), units);
            open = open.end..open.end;
        }
    }
    keep(text, open, units);
}

fn keep(text: &str, range: Range<usize>, units: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    if start < end {
        units.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn chats_lists_logs_and_code_are_taken_by_the_line_and_prose_by_the_sentence() {
        assert_eq!(
            of("User: fix it. Now.\nAssistant: done.\n\n- one. two.\n- three\n```\nlet a = 1;\n\nb\n```\n"),
            [
                "User: fix it. Now.",
                "Assistant: done.",
                "- one. two.",
                "- three",
                "```",
                "let a = 1;",
                "b",
                "```"
            ]
        );
        let prose = "The first sentence is wrapped over more than one line of the\nfile. The second one follows it \
                     and goes on to the end here.\n";
        assert_eq!(of(prose).len(), 2);
        assert_eq!(
            of("これは文です。次の文です。これは三番目の文です。それから四番目の文が来ます。").len(),
            4
        );
    }

    #[test]
    fn turns_of_a_chat_are_known_by_their_speaker() {
        for turn in ["User: x", "**Assistant:** x", "[tool] x", "### Human: x", "AI : x"] {
            assert!(speaker(turn).is_some(), "{turn}");
        }
        for other in ["Userland is", "Note: x", "user", ""] {
            assert!(speaker(other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn units_hold_everything_but_white_space(text in "(\\PC|[ \n`.-]){0,400}") {
            let mut at = 0;
            for unit in split(&text) {
                prop_assert!(unit.start >= at && unit.end > unit.start && unit.len() <= MAX_UNIT + 4);
                prop_assert!(text[at..unit.start].chars().all(char::is_whitespace));
                at = unit.end;
            }
            prop_assert!(text[at..].chars().all(char::is_whitespace));
        }
    }

    #[test]
    fn data_without_words_is_cut() {
        let data = "é".repeat(5_000);
        assert!(of(&data).iter().all(|unit| unit.len() <= MAX_UNIT));
        assert_eq!(of(&data).concat(), data);
    }
}
