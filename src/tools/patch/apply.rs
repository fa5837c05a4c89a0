//! Applies the hunks of one file to its content.
//!
//! A hunk belongs where its old lines are: at the line named in the header, else at the only such place in
//! the file below the previous hunk. Lines are compared exactly, then without line ends and trailing blanks.
//! Invariants: a context line keeps the file's own text; lines that no hunk covers stay. Failure policy: each
//! hunk without a place is reported with the present text there, and then nothing is applied.

use std::cell::Cell;

use super::super::lines::{LineEnds, listed, numbered, split_lines, without_end, without_trailing_blanks};
use super::super::nearest::nearest_lines;
use super::parse::{HunkLine, HunkLineKind, PatchHunk};

/// Lines compared for one file: a patch of equal lines must not occupy a thread for hours.
const MAX_COMPARED: usize = 5_000_000;
/// Lines shown around the place where a hunk was expected.
const SHOWN_LINES: usize = 12;
/// Characters shown of each line.
const SHOWN_WIDTH: usize = 200;

/// The content after all hunks, or the reason for each failed hunk.
pub(super) fn apply_hunks(content: &[u8], hunks: &[PatchHunk]) -> Result<Vec<u8>, Vec<String>> {
    let lines = split_lines(content);
    let mut places = Vec::with_capacity(hunks.len());
    let mut failures = Vec::new();
    let mut search = HunkSearch { lines: &lines, from: 0, drift: 0, compared: Cell::new(0) };
    for (at, hunk) in hunks.iter().enumerate() {
        match search.place_of(hunk) {
            Ok(place) => {
                let length = hunk.old_lines().count();
                search.from = place + length;
                if let Some(expected) = expected_place(hunk) {
                    search.drift = place.cast_signed() - expected.cast_signed();
                }
                places.push(place..place + length);
            }
            Err(trouble) => failures.push(trouble.report(content, &lines, hunk, at)),
        }
    }
    if failures.is_empty() { Ok(rebuilt(content, &lines, hunks, &places)) } else { Err(failures) }
}

/// The line from 0 at which the header puts a hunk.
fn expected_place(hunk: &PatchHunk) -> Option<usize> {
    let start = hunk.old_start?;
    // Without old lines the header names the line before.
    Some(if hunk.old_lines().next().is_none() { start } else { start.saturating_sub(1) })
}

/// Why a hunk has no place.
enum HunkTrouble {
    NotThere { expected: Option<usize> },
    Ambiguous(Vec<usize>),
    NoContext,
    NoAnchor(String),
    ManyAnchors(String),
    TooCostly,
}

struct HunkSearch<'a> {
    lines: &'a [&'a [u8]],
    /// The first line that no earlier hunk covers.
    from: usize,
    /// Distance of the previous hunk from the place named in its header.
    drift: isize,
    compared: Cell<usize>,
}

impl HunkSearch<'_> {
    fn place_of(&self, hunk: &PatchHunk) -> Result<usize, HunkTrouble> {
        let old: Vec<&HunkLine> = hunk.old_lines().collect();
        let expected = expected_place(hunk)
            .map(|place| place.saturating_add_signed(self.drift))
            .filter(|place| *place >= self.from);
        let (from, is_anchored) = self.after_anchors(hunk)?;
        if old.is_empty() {
            return match (expected, hunk.anchors.last()) {
                // A line number alone is right only as long as nothing above has changed.
                (Some(_), _) if !self.lines.is_empty() => Err(HunkTrouble::NoContext),
                (_, Some(_)) if is_anchored => Ok(from + 1),
                (_, Some(anchor)) => Err(HunkTrouble::ManyAnchors(anchor.clone())),
                _ => Ok(self.lines.len()),
            };
        }
        for compare in [is_same, is_same_but_blanks] {
            let mut places = self.places(&old, from, compare);
            if hunk.is_at_end {
                places.retain(|place| place + old.len() == self.lines.len());
            }
            match (expected, &places[..]) {
                (Some(expected), places) if places.contains(&expected) => return Ok(expected),
                // Some places may be missing, so none is certain.
                _ if self.compared.get() >= MAX_COMPARED => return Err(HunkTrouble::TooCostly),
                (_, []) => {}
                (_, [place]) => return Ok(*place),
                (_, [place, ..]) if is_anchored => return Ok(*place),
                _ => return Err(HunkTrouble::Ambiguous(places)),
            }
        }
        Err(HunkTrouble::NotThere { expected })
    }

    /// The last of the hunk's anchor lines in the file, and whether that match is unique.
    fn after_anchors(&self, hunk: &PatchHunk) -> Result<(usize, bool), HunkTrouble> {
        let mut from = self.from;
        let mut is_anchored = false;
        for anchor in &hunk.anchors {
            let is_anchor = |line: &&[u8]| line.trim_ascii() == anchor.trim().as_bytes();
            let mut places = (from..self.lines.len()).filter(|at| is_anchor(&self.lines[*at]));
            from = places.next().ok_or_else(|| HunkTrouble::NoAnchor(anchor.clone()))?;
            is_anchored = places.next().is_none();
        }
        Ok((from, is_anchored))
    }

    fn places(&self, old: &[&HunkLine], from: usize, compare: fn(&[u8], &str) -> bool) -> Vec<usize> {
        let Some(last) = self.lines.len().checked_sub(old.len()) else { return Vec::new() };
        (from..=last)
            .take_while(|_| self.compared.get() < MAX_COMPARED)
            .filter(|at| {
                old.iter().zip(&self.lines[*at..]).all(|(line, found)| {
                    self.compared.set(self.compared.get() + 1);
                    compare(found, &line.text)
                })
            })
            .collect()
    }
}

fn is_same(found: &[u8], wanted: &str) -> bool {
    found.strip_suffix(b"\n").unwrap_or(found) == wanted.as_bytes()
}

fn is_same_but_blanks(found: &[u8], wanted: &str) -> bool {
    without_trailing_blanks(found) == without_trailing_blanks(wanted.as_bytes())
}

fn rebuilt(
    content: &[u8],
    lines: &[&[u8]],
    hunks: &[PatchHunk],
    places: &[std::ops::Range<usize>],
) -> Vec<u8> {
    let ends = LineEnds::of(content);
    // A patch that spells out carriage returns means exactly these lines.
    let spells_ends = hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.text.ends_with('\r'));
    let mut out: Vec<Vec<u8>> = Vec::with_capacity(lines.len());
    let mut at = 0;
    let mut stays_open = false;
    for (hunk, place) in hunks.iter().zip(places) {
        out.extend(lines[at..place.start].iter().map(|line| line.to_vec()));
        at = place.start;
        for line in &hunk.lines {
            match line.kind {
                HunkLineKind::Context => out.push(lines[at].to_vec()),
                HunkLineKind::Added => out.push(added_line(line, ends, spells_ends)),
                HunkLineKind::Removed => {}
            }
            if line.kind != HunkLineKind::Added {
                at += 1;
            }
        }
        // The patch does not mention that the last line lacks a line end, so that stays.
        stays_open = at == lines.len()
            && lines.last().is_some_and(|line| !line.ends_with(b"\n"))
            && !hunk.lines.iter().any(|line| line.is_open);
    }
    out.extend(lines[at..].iter().map(|line| line.to_vec()));
    let last = out.len().saturating_sub(1);
    for (at, line) in out.iter_mut().enumerate() {
        if at < last && !line.ends_with(b"\n") {
            line.extend_from_slice(ends.terminator());
        } else if at == last && stays_open {
            line.truncate(without_end(line).len());
        }
    }
    out.concat()
}

fn added_line(line: &HunkLine, ends: LineEnds, spells_ends: bool) -> Vec<u8> {
    let mut bytes = line.text.as_bytes().to_vec();
    if !line.is_open {
        bytes.extend_from_slice(if spells_ends { b"\n" } else { ends.terminator() });
    }
    bytes
}

impl HunkTrouble {
    fn report(self, content: &[u8], lines: &[&[u8]], hunk: &PatchHunk, at: usize) -> String {
        let header = if hunk.header.is_empty() { String::new() } else { format!(" ({})", hunk.header) };
        let name = format!("hunk {}{header}", at + 1);
        match self {
            Self::NoAnchor(anchor) => format!("{name}: no line below the hunk before is `{anchor}`."),
            Self::NoContext => {
                format!("{name}: it has no line of context; give three lines around the new ones.")
            }
            Self::ManyAnchors(anchor) => {
                format!("{name}: several lines are `{anchor}`; give lines of context beside the new ones.")
            }
            Self::TooCostly => format!("{name}: too much would have to be compared to find its place."),
            Self::Ambiguous(places) => {
                let numbers: Vec<usize> = places.iter().map(|place| place + 1).collect();
                format!(
                    "{name}: its old lines stand {} times, from lines {}.",
                    places.len(),
                    listed(&numbers)
                )
            }
            Self::NotThere { expected } => {
                let text = |lines: &mut dyn Iterator<Item = &HunkLine>| {
                    lines.map(|line| format!("{}\n", line.text)).collect::<String>()
                };
                let new = text(&mut hunk.new_lines());
                if let Some(line) = only_place(content, &new) {
                    return format!("{name}: its new lines stand already, from line {line}.");
                }
                let old = text(&mut hunk.old_lines());
                let nearest = nearest_lines(content, old.as_bytes()).map(|range| range.start);
                let Some(start) = nearest.or(expected).filter(|start| *start < lines.len()) else {
                    return format!("{name}: its old lines are not in the file, nor any like them.");
                };
                let end = (start + hunk.old_lines().count().clamp(3, SHOWN_LINES)).min(lines.len());
                let there = numbered(&lines[start..end], start + 1, SHOWN_WIDTH);
                format!("{name}: its old lines are not there. The file has now:\n{there}")
            }
        }
    }
}

/// The line at which `text` begins, if it occurs exactly once.
fn only_place(content: &[u8], text: &str) -> Option<usize> {
    if text.trim().is_empty() {
        return None;
    }
    let ends = LineEnds::of(content);
    let text = ends.apply(text.as_bytes());
    let mut places = memchr::memmem::find_iter(content, &text);
    let first = places.next()?;
    places.next().is_none().then(|| super::super::lines::line_number(content, first))
}
