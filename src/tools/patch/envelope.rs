//! The `*** Begin Patch` form: files by name, hunks found by their text and by the `@@` lines above.

use super::super::failure::ToolFailure;
use super::parse::{FilePatch, HunkLineKind, PatchAction, PatchHunk, bad_line, bad_patch};

pub(super) const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const END_OF_FILE: &str = "*** End of File";

pub(super) fn parse(lines: &[&str], from: usize) -> Result<Vec<FilePatch>, ToolFailure> {
    let mut files = Vec::new();
    let mut at = from;
    while let Some(line) = lines.get(at) {
        let line = line.trim_end();
        at += 1;
        let file =
            |path: &str, action| FilePatch { path: path.to_owned(), action, hunks: Vec::new(), mode: None };
        if line == END {
            return Ok(files);
        } else if let Some(path) = line.strip_prefix("*** Add File: ") {
            let hunk = added_lines(lines, &mut at)?;
            files.push(FilePatch { hunks: vec![hunk], ..file(path, PatchAction::Add) });
        } else if let Some(path) = line.strip_prefix("*** Delete File: ") {
            files.push(file(path, PatchAction::Delete));
        } else if let Some(path) = line.strip_prefix("*** Update File: ") {
            let mut update = file(path, PatchAction::Update);
            if let Some(to) = lines.get(at).and_then(|line| line.trim_end().strip_prefix("*** Move to: ")) {
                update.action = PatchAction::Move(to.to_owned());
                at += 1;
            }
            update.hunks = hunks(lines, &mut at)?;
            if update.hunks.is_empty() && update.action == PatchAction::Update {
                return Err(bad_patch(
                    format!("it has no hunk for {path}."),
                    "add one, or leave the file out.",
                ));
            }
            files.push(update);
        } else if !line.is_empty() {
            let wanted = "`*** Add File: `, `*** Update File: `, `*** Delete File: ` or `*** End Patch`";
            return Err(bad_line(at - 1, line, wanted));
        }
    }
    Err(bad_patch(
        "it ends without `*** End Patch`, so it may be cut.",
        "send it whole, or in smaller patches.",
    ))
}

fn added_lines(lines: &[&str], at: &mut usize) -> Result<PatchHunk, ToolFailure> {
    let mut hunk = PatchHunk { header: "the new file".to_owned(), ..PatchHunk::default() };
    while let Some(line) = lines.get(*at).filter(|line| !line.starts_with("*** ")) {
        if !line.starts_with('+') {
            return Err(bad_line(*at, line, "a line of a new file, which begins with `+`"));
        }
        hunk.take(line);
        *at += 1;
    }
    Ok(hunk)
}

fn hunks(lines: &[&str], at: &mut usize) -> Result<Vec<PatchHunk>, ToolFailure> {
    let mut hunks: Vec<PatchHunk> = Vec::new();
    let mut hunk = PatchHunk::default();
    let mut finish = |hunk: &mut PatchHunk| {
        let done = std::mem::take(hunk);
        if !done.lines.is_empty() {
            hunks.push(done);
        }
    };
    while let Some(line) = lines.get(*at) {
        if line.trim_end() == END_OF_FILE {
            hunk.is_at_end = true;
        } else if line.starts_with("*** ") {
            break;
        } else if let Some(anchor) = line.strip_prefix("@@") {
            if !hunk.lines.is_empty() {
                finish(&mut hunk);
            }
            let anchor = anchor.trim().trim_end_matches("@@").trim();
            hunk.header = line.trim_end().to_owned();
            // Line numbers of the unified form are no text to search for.
            if !anchor.is_empty() && !anchor.starts_with('-') {
                hunk.anchors.push(anchor.to_owned());
            }
        } else if !hunk.take(line) {
            return Err(bad_line(*at, line, "a line of a hunk, which begins with a blank, `-`, `+` or `@@`"));
        }
        *at += 1;
    }
    // A blank line before the next file is layout, not context.
    while hunk.lines.last().is_some_and(|line| line.text.is_empty() && line.kind == HunkLineKind::Context) {
        hunk.lines.pop();
    }
    finish(&mut hunk);
    Ok(hunks)
}
