//! `edit`: replaces texts in a file, all of them or none.
//!
//! Owns the pure [`apply_edits`] and the tool around it. Invariants: every edit is found in the original
//! file, not in the result of another edit; no byte outside the replaced ranges changes; mode and line ends
//! stay. Failure policy: an edit that does not fit leaves the file alone, and the answer says for each such
//! edit where it nearly fits, where it fits too often, or that it is already applied.

mod matching;

use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::lines::{line_number, listed, short_diff, split_lines};
use super::nearest::nearest_lines;
use super::seen::SeenStanding;
use super::suggest::with_nearest_files;
use super::tree::MAX_WHOLE_FILE;
use super::write::changes_since;
use matching::{MatchLevel, TextHits, TextSplice, find_hits};

/// The most edits of one call.
const MAX_EDITS: usize = 50;
/// Bytes of the difference that a failed edit shows.
const DIFF_CAP: usize = 2 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditArguments {
    pub(super) path: String,
    pub(super) edits: Vec<EditPiece>,
}

/// One replacement: `old` occurs `count` times, and each becomes `new`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditPiece {
    pub(super) old: String,
    pub(super) new: String,
    #[serde(default = "once")]
    pub(super) count: usize,
}

fn once() -> usize {
    1
}

impl EditArguments {
    pub(super) fn check(&self) -> Result<(), ToolFailure> {
        let bad = |why: String, advice: &str| {
            Err(ToolFailure::new(FailureClass::BadArguments, &self.path, why, advice))
        };
        if self.edits.is_empty() || self.edits.len() > MAX_EDITS {
            return bad(
                "`edits` is a list of 1 to 50 edits.".to_owned(),
                "give at least one, or use several calls.",
            );
        }
        for (at, piece) in self.edits.iter().enumerate() {
            if piece.old.is_empty() {
                return bad(
                    format!("edits[{at}].old is empty."),
                    "give the text to be replaced; write makes a new file.",
                );
            }
            if piece.old == piece.new {
                return bad(format!("edits[{at}]: `old` and `new` are the same."), "leave this edit out.");
            }
            if piece.count == 0 {
                return bad(format!("edits[{at}].count is 0."), "give how often `old` stands in the file.");
            }
        }
        Ok(())
    }
}

pub(super) fn edit(
    arguments: &EditArguments,
    context: &mut FileContext<'_>,
) -> Result<ToolText, ToolFailure> {
    let path = context.tree.writable_path(&arguments.path)?;
    let present = context.tree.present(&path)?.ok_or_else(|| {
        let missing = ToolFailure::from_io(path.as_str(), &std::io::ErrorKind::NotFound.into());
        with_nearest_files(context.tree, &path, missing)
    })?;
    let others = match context.seen.standing(&path, &present.bytes) {
        SeenStanding::Changed(before) => changes_since(before, &present.bytes),
        SeenStanding::Never | SeenStanding::Same => None,
    };
    let outcome = apply_edits(&present.bytes, &arguments.edits).map_err(|trouble| {
        let mut why = trouble.why;
        if let Some(diff) = &others {
            why.push_str(&format!("\nThe file changed since you read it:\n{diff}"));
        }
        let advice = format!("nothing was changed. {}", trouble.advice);
        ToolFailure::new(trouble.class, path.as_str(), why, advice)
    })?;
    if outcome.bytes.len() as u64 > MAX_WHOLE_FILE {
        let why = "the file would grow beyond 16 MiB.";
        return Err(ToolFailure::new(FailureClass::TooLarge, path.as_str(), why, "make it with a program."));
    }
    if outcome.bytes == present.bytes {
        return Ok(ToolText::unchanged(format!("{} is the same already.", path.as_str())));
    }
    context.tree.stage(&path, &outcome.bytes, Some(present.mode))?.put_in_place()?;
    context.seen.remember(&path, &outcome.bytes);
    let mut text = format!("edited {}: {}.", path.as_str(), outcome.places());
    for note in &outcome.notes {
        text.push_str(&format!("\n{note}"));
    }
    if let Some(diff) = others {
        text.push_str(&format!("\nOthers changed the file since you read it, which was kept:\n{diff}"));
    }
    Ok(ToolText::changed(text))
}

/// A file after the edits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EditOutcome {
    bytes: Vec<u8>,
    /// In order, without overlaps.
    splices: Vec<TextSplice>,
    notes: Vec<String>,
}

impl EditOutcome {
    /// The changed lines, by their new numbers.
    fn places(&self) -> String {
        let mut shift = 0_isize;
        let mut places = Vec::new();
        for splice in &self.splices {
            let start = splice.range.start.saturating_add_signed(shift);
            let first = line_number(&self.bytes, start);
            let last = line_number(&self.bytes, (start + splice.with.len()).saturating_sub(1).max(start));
            places.push(if first == last {
                format!("line {first}")
            } else {
                format!("lines {first}-{last}")
            });
            shift += splice.with.len().cast_signed() - splice.range.len().cast_signed();
        }
        const SHOWN: usize = 20;
        let more = places.len().saturating_sub(SHOWN);
        let text = places[..places.len() - more].join(", ");
        if more == 0 { text } else { format!("{text} and {more} more places") }
    }
}

/// Edits that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EditTrouble {
    class: FailureClass,
    why: String,
    advice: String,
}

/// All edits, found in the original `content`.
fn apply_edits(content: &[u8], pieces: &[EditPiece]) -> Result<EditOutcome, EditTrouble> {
    let mut found: Vec<(usize, TextSplice)> = Vec::new();
    let mut notes = Vec::new();
    let mut troubles = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let name = if pieces.len() == 1 { "the edit".to_owned() } else { format!("edits[{at}]") };
        match find_hits(content, piece.old.as_bytes(), piece.new.as_bytes()) {
            Some(hits) if hits.splices.len() == piece.count => {
                notes.extend(level_note(&name, hits.level));
                found.extend(hits.splices.into_iter().map(|splice| (at, splice)));
            }
            Some(hits) => troubles.push(count_trouble(content, &name, piece, &hits)),
            None => troubles.push(no_hit_trouble(content, &name, piece)),
        }
    }
    if let Some(first) = troubles.first() {
        let class = first.class;
        let why = troubles.iter().map(|trouble| trouble.why.as_str()).collect::<Vec<_>>().join("\n");
        return Err(EditTrouble { class, why, advice: first.advice.clone() });
    }
    found.sort_by_key(|(_, splice)| splice.range.start);
    for pair in found.windows(2) {
        if pair[0].1.range.end > pair[1].1.range.start {
            let line = line_number(content, pair[1].1.range.start);
            return Err(EditTrouble {
                class: FailureClass::BadArguments,
                why: format!(
                    "edits[{}] and edits[{}] both replace text in line {line}.",
                    pair[0].0, pair[1].0
                ),
                advice: "join them into one edit.".to_owned(),
            });
        }
    }
    let splices: Vec<TextSplice> = found.into_iter().map(|(_, splice)| splice).collect();
    Ok(EditOutcome { bytes: spliced(content, &splices), splices, notes })
}

fn spliced(content: &[u8], splices: &[TextSplice]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len());
    let mut from = 0;
    for splice in splices {
        bytes.extend_from_slice(&content[from..splice.range.start]);
        bytes.extend_from_slice(&splice.with);
        from = splice.range.end;
    }
    bytes.extend_from_slice(&content[from..]);
    bytes
}

fn level_note(name: &str, level: MatchLevel) -> Option<String> {
    let difference = match level {
        MatchLevel::Exact | MatchLevel::LineEnds => return None,
        MatchLevel::TrailingBlanks => "blanks at line ends",
        MatchLevel::Indent => "its indent, and `new` was shifted alike",
    };
    Some(format!("{name} was found but for {difference}."))
}

fn count_trouble(content: &[u8], name: &str, piece: &EditPiece, hits: &TextHits) -> EditTrouble {
    let lines: Vec<usize> =
        hits.splices.iter().map(|splice| line_number(content, splice.range.start)).collect();
    let times = hits.splices.len();
    let why =
        format!("{name}: `old` stands {times} times, not {}: in lines {}.", piece.count, listed(&lines));
    let advice = format!("take more lines around it into `old`, or give \"count\": {times} to replace all.");
    EditTrouble { class: FailureClass::Ambiguous, why, advice }
}

fn no_hit_trouble(content: &[u8], name: &str, piece: &EditPiece) -> EditTrouble {
    if !piece.new.is_empty()
        && let Some(hits) = find_hits(content, piece.new.as_bytes(), b"")
        && hits.splices.len() == piece.count
        && hits.level <= MatchLevel::LineEnds
    {
        let line = line_number(content, hits.splices[0].range.start);
        return EditTrouble {
            class: FailureClass::AlreadyApplied,
            why: format!("{name}: `old` is not there, and `new` stands already, in line {line}."),
            advice: "leave this edit out; it seems to be done.".to_owned(),
        };
    }
    let mut why = format!("{name}: `old` is not in the file.");
    let mut advice = "read the file, and copy `old` from it without the line numbers.".to_owned();
    if let Some(range) = nearest_lines(content, piece.old.as_bytes()) {
        let first = range.start + 1;
        let there = split_lines(content)[range].concat();
        let diff = short_diff(piece.old.as_bytes(), &there, DIFF_CAP);
        why.push_str(&format!(" Nearest is line {first}; from `old` (-) to the file (+):\n{diff}"));
        advice = "correct `old` by the lines with +.".to_owned();
    }
    EditTrouble { class: FailureClass::NoMatch, why, advice }
}

#[cfg(test)]
mod tests;
