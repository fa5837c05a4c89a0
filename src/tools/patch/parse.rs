//! The two forms of a patch, read into one: unified diffs, and the `*** Begin Patch` envelope.
//!
//! Forgiving where models err without harm (line counts in `@@` headers, text around the patch, blank lines
//! for blank context), strict everywhere else. Failure policy: [`ToolFailure`] with the number of the line at
//! fault.

use super::super::failure::{FailureClass, ToolFailure};
use super::envelope;
use super::unified;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePatch {
    pub(super) path: String,
    pub(super) action: PatchAction,
    pub(super) hunks: Vec<PatchHunk>,
    /// The new permissions, where the patch names them.
    pub(super) mode: Option<u32>,
}

/// The sort of a change to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PatchAction {
    Add,
    Delete,
    Update,
    /// Changed, and moved to this path.
    Move(String),
}

/// Lines that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PatchHunk {
    /// The header as written, to name the hunk in a failure.
    pub(super) header: String,
    /// Number of the first old line, from 1; 0 or the line before for a hunk without old lines.
    pub(super) old_start: Option<usize>,
    /// Lines somewhere above the hunk, outermost first.
    pub(super) anchors: Vec<String>,
    pub(super) lines: Vec<HunkLine>,
    /// The hunk ends where the file ends.
    pub(super) is_at_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HunkLineKind {
    Context,
    Removed,
    Added,
}

/// A line of a hunk, without sign and `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HunkLine {
    pub(super) kind: HunkLineKind,
    pub(super) text: String,
    /// The file ends after this line, without a line end.
    pub(super) is_open: bool,
}

impl PatchHunk {
    pub(super) fn old_lines(&self) -> impl Iterator<Item = &HunkLine> {
        self.lines.iter().filter(|line| line.kind != HunkLineKind::Added)
    }

    pub(super) fn new_lines(&self) -> impl Iterator<Item = &HunkLine> {
        self.lines.iter().filter(|line| line.kind != HunkLineKind::Removed)
    }

    /// Takes a line of a patch, if it can belong to a hunk.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let kind = match line.as_bytes().first() {
            None | Some(b' ') => HunkLineKind::Context,
            Some(b'-') => HunkLineKind::Removed,
            Some(b'+') => HunkLineKind::Added,
            Some(b'\\') => {
                if let Some(last) = self.lines.last_mut() {
                    last.is_open = true;
                }
                return true;
            }
            // A blank context line of a CRLF file, without the sign.
            Some(b'\r') if line.len() == 1 => {
                self.push(HunkLineKind::Context, line);
                return true;
            }
            Some(_) => return false,
        };
        self.push(kind, line.get(1..).unwrap_or_default());
        true
    }

    fn push(&mut self, kind: HunkLineKind, text: &str) {
        self.lines.push(HunkLine { kind, text: text.to_owned(), is_open: false });
    }
}

/// The files that a patch changes.
pub(super) fn parse_patch(text: &str) -> Result<Vec<FilePatch>, ToolFailure> {
    // A patch written with CRLF throughout says nothing about the file's line ends.
    let is_crlf = text.lines().count() > 0 && !text.replace("\r\n", "").contains('\n');
    let plain = if is_crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
    let lines: Vec<&str> = plain.strip_suffix('\n').unwrap_or(&plain).split('\n').collect();
    let files = match lines.iter().position(|line| line.trim_end() == envelope::BEGIN) {
        Some(begin) => envelope::parse(&lines, begin + 1)?,
        None => unified::parse(&lines)?,
    };
    if files.is_empty() {
        return Err(bad_patch(
            "no file is named in it.",
            "give a unified diff with `--- a/path` and `+++ b/path`, or `*** Begin Patch` … `*** End Patch`.",
        ));
    }
    Ok(files)
}

pub(super) fn bad_patch(why: impl Into<String>, advice: &str) -> ToolFailure {
    ToolFailure::new(FailureClass::BadPatch, "the patch", why, advice)
}

pub(super) fn bad_line(at: usize, line: &str, wanted: &str) -> ToolFailure {
    let shown: String = line.chars().take(80).collect();
    bad_patch(
        format!("line {} of it, `{shown}`, is not {wanted}.", at + 1),
        "correct this line of the patch.",
    )
}
