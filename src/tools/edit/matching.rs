//! The place of the text to be replaced: an exact match, or one with meaningless differences.
//!
//! Three differences are accepted, one level at a time and only where the previous level finds nothing: line
//! ends; blanks at line ends; one indent more or less, the same for all lines. Anything else is no match: a
//! wrong guess would silently corrupt a file. No failures: no hit is an answer.

use std::ops::Range;

use super::super::lines::{LineEnds, split_lines, without_end, without_trailing_blanks};

/// Most lines compared in searching for a text with differences; millions of equal lines must not occupy a
/// thread.
const MAX_COMPARED: usize = 5_000_000;

/// How far a hit differs from the wanted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MatchLevel {
    Exact,
    LineEnds,
    TrailingBlanks,
    Indent,
}

/// A range to be replaced, and the new bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextSplice {
    pub(crate) range: Range<usize>,
    pub(crate) with: Vec<u8>,
}

/// All hits of one level, in order, without overlaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextHits {
    pub(crate) level: MatchLevel,
    pub(crate) splices: Vec<TextSplice>,
}

/// The hits of `old` in `content` at the strictest level that has any.
pub(crate) fn find_hits(content: &[u8], old: &[u8], new: &[u8]) -> Option<TextHits> {
    let ends = LineEnds::of(content);
    // A spelled-out carriage return means exactly these bytes.
    let with = if old.contains(&b'\r') { new.to_vec() } else { ends.apply(new) };
    let exact = find_bytes(content, old, &with);
    if !exact.is_empty() {
        return Some(TextHits { level: MatchLevel::Exact, splices: exact });
    }
    let adapted = ends.apply(old);
    if adapted != old {
        let splices = find_bytes(content, &adapted, &ends.apply(new));
        if !splices.is_empty() {
            return Some(TextHits { level: MatchLevel::LineEnds, splices });
        }
    }
    [MatchLevel::TrailingBlanks, MatchLevel::Indent].into_iter().find_map(|level| {
        let splices = find_lines(content, old, new, level);
        (!splices.is_empty()).then_some(TextHits { level, splices })
    })
}

fn find_bytes(content: &[u8], old: &[u8], with: &[u8]) -> Vec<TextSplice> {
    memchr::memmem::find_iter(content, old)
        .map(|at| TextSplice { range: at..at + old.len(), with: with.to_vec() })
        .collect()
}

/// Hits by whole lines.
fn find_lines(content: &[u8], old: &[u8], new: &[u8], level: MatchLevel) -> Vec<TextSplice> {
    let wanted = split_lines(old);
    // Blank lines alone would be found anywhere.
    if wanted.iter().all(|line| without_trailing_blanks(line).is_empty()) {
        return Vec::new();
    }
    let lines = split_lines(content);
    let mut starts = Vec::with_capacity(lines.len());
    let mut offset = 0;
    for line in &lines {
        starts.push(offset);
        offset += line.len();
    }
    let ends = LineEnds::of(content);
    let takes_last_end = old.ends_with(b"\n");
    let mut splices = Vec::new();
    let mut compared = 0;
    let mut at = 0;
    while at + wanted.len() <= lines.len() {
        let window = &lines[at..at + wanted.len()];
        let with = shift_between(window, &wanted, level, &mut compared).and_then(|shift| shift.apply(new));
        if compared > MAX_COMPARED {
            // Some hits may be missing, so none is certain.
            return Vec::new();
        }
        let Some(with) = with else {
            at += 1;
            continue;
        };
        let last = window[window.len() - 1];
        let last_end = last.len() - without_end(last).len();
        let end = starts[at + wanted.len() - 1] + last.len();
        let mut with = ends.apply(&with);
        let mut range = starts[at]..end;
        if takes_last_end && last_end == 0 {
            // The file ends without a line end, and stays so.
            with.truncate(without_end(&with).len());
        } else if !takes_last_end {
            range.end -= last_end;
        }
        splices.push(TextSplice { range, with });
        at += wanted.len();
    }
    splices
}

/// The indent by which lines of a file differ from the wanted lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum IndentShift {
    Add(Vec<u8>),
    Remove(Vec<u8>),
}

impl IndentShift {
    /// From `wanted` to `found`, if nothing else differs.
    fn of_line(found: &[u8], wanted: &[u8]) -> Option<Self> {
        let is_blank = |indent: &[u8]| indent.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if let Some(indent) = found.strip_suffix(wanted) {
            return is_blank(indent).then(|| Self::Add(indent.to_vec()));
        }
        let indent = wanted.strip_suffix(found)?;
        is_blank(indent).then(|| Self::Remove(indent.to_vec()))
    }

    /// `text`, shifted alike; `None` when some line lacks the indent to be removed.
    fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        for line in split_lines(text) {
            let is_blank = without_trailing_blanks(line).is_empty();
            match self {
                Self::Add(indent) if !is_blank => {
                    out.extend_from_slice(indent);
                    out.extend_from_slice(line);
                }
                Self::Remove(indent) if !is_blank => out.extend_from_slice(line.strip_prefix(&**indent)?),
                _ => out.extend_from_slice(line),
            }
        }
        Some(out)
    }
}

/// The single shift between all lines of a window and the wanted lines.
fn shift_between(
    window: &[&[u8]],
    wanted: &[&[u8]],
    level: MatchLevel,
    compared: &mut usize,
) -> Option<IndentShift> {
    let mut shift: Option<IndentShift> = None;
    for (found, wanted) in window.iter().zip(wanted) {
        *compared += 1;
        let (found, wanted) = (without_trailing_blanks(found), without_trailing_blanks(wanted));
        match (found.is_empty(), wanted.is_empty()) {
            (true, true) => continue,
            (false, false) => {}
            _ => return None,
        }
        let here = IndentShift::of_line(found, wanted)?;
        match &shift {
            None => shift = Some(here),
            Some(before) if *before == here => {}
            Some(_) => return None,
        }
    }
    let shift = shift?;
    let is_none = shift == IndentShift::Add(Vec::new());
    (level == MatchLevel::Indent || is_none).then_some(shift)
}
