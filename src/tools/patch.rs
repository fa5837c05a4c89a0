//! `patch`: changes to several files, all of them or none.
//!
//! Invariants: no file is touched before every hunk of every file has a place; new contents are first written
//! beside the files, so that only renames are left, and these are undone if one fails. Failure policy: the
//! answer names each failed hunk, with the text now at that place.

mod apply;
mod envelope;
mod parse;
mod unified;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::lines::cut_at;
use super::suggest::with_nearest_files;
use super::tree::{MAX_WHOLE_FILE, TreePath};
use apply::apply_hunks;
use parse::{FilePatch, PatchAction, parse_patch};

/// The largest patch.
const MAX_PATCH: usize = 1024 * 1024;
/// The most files of one patch.
const MAX_FILES: usize = 200;
/// Most bytes of all files of one patch together, which are in memory at once.
const MAX_TOTAL: usize = 64 * 1024 * 1024;
/// Bytes that the failures of all hunks take together.
const REPORT_CAP: usize = 12 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchArguments {
    pub(super) patch: String,
}

/// A file before and after the patch; `None` where it does not exist.
#[derive(Debug)]
struct PatchedFile {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    mode_before: Option<u32>,
    mode: Option<u32>,
}

type PatchedFiles = BTreeMap<TreePath, PatchedFile>;

pub(super) fn patch(
    arguments: &PatchArguments,
    context: &mut FileContext<'_>,
) -> Result<ToolText, ToolFailure> {
    if arguments.patch.len() > MAX_PATCH {
        return Err(ToolFailure::new(
            FailureClass::TooLarge,
            "the patch",
            "it has more than 1 MiB.",
            "send several smaller ones.",
        ));
    }
    let patches = parse_patch(&arguments.patch)?;
    if patches.len() > MAX_FILES {
        return Err(parse::bad_patch("it changes more than 200 files.", "send several smaller ones."));
    }
    let mut files = PatchedFiles::new();
    let mut failures: Vec<ToolFailure> = Vec::new();
    for patch in &patches {
        if let Err(failure) = prepare(patch, context, &mut files) {
            failures.push(failure);
        }
    }
    if let Some(first) = failures.first() {
        let why =
            failures.iter().map(|failure| format!("{}: {}", failure.what, failure.why)).collect::<Vec<_>>();
        let advice = format!("nothing was changed. {}", first.do_next);
        return Err(ToolFailure::new(first.class, "the patch", cut_at(&why.join("\n"), REPORT_CAP), advice));
    }
    files.retain(|_, file| {
        file.before != file.after || (file.after.is_some() && file.mode_before != file.mode)
    });
    put_in_place(&files, context)?;
    let mut text = String::new();
    for (path, file) in &files {
        let done = match (&file.before, &file.after) {
            (None, Some(_)) => "new",
            (Some(_), None) => "deleted",
            _ => "changed",
        };
        text.push_str(&format!("{done} {}\n", path.as_str()));
        match &file.after {
            Some(after) => context.seen.remember(path, after),
            None => context.seen.forget(path),
        }
    }
    if files.is_empty() {
        return Ok(ToolText::unchanged("the files are so already."));
    }
    Ok(ToolText::changed(text))
}

/// Computes the patched file, on top of the patch's earlier parts.
fn prepare(
    patch: &FilePatch,
    context: &FileContext<'_>,
    files: &mut PatchedFiles,
) -> Result<(), ToolFailure> {
    let path = loaded(&patch.path, context, files)?;
    let file = &files[&path];
    let fail = |class, why: String, advice: &str| ToolFailure::new(class, path.as_str(), why, advice);
    let mode = patch.mode.map(|mode| mode & 0o777).or(file.mode);
    let after = match (&patch.action, &file.after) {
        (PatchAction::Add, Some(there)) if !there.is_empty() || !patch.hunks.is_empty() => {
            let advice = "change it with an update in place of an addition.";
            return Err(fail(FailureClass::AlreadyExists, "the file exists already.".to_owned(), advice));
        }
        (PatchAction::Add, _) => Vec::new(),
        (_, Some(there)) => there.clone(),
        (_, None) => {
            let missing =
                fail(FailureClass::NotFound, "there is no such file.".to_owned(), "look for it with glob.");
            return Err(with_nearest_files(context.tree, &path, missing));
        }
    };
    let after = apply_hunks(&after, &patch.hunks).map_err(|failures| {
        let advice = "correct the hunks by the text that stands there now, and send the whole patch again.";
        fail(FailureClass::HunkFailed, failures.join("\n"), advice)
    })?;
    if after.len() as u64 > MAX_WHOLE_FILE {
        let why = "the file would grow beyond 16 MiB.".to_owned();
        return Err(fail(FailureClass::TooLarge, why, "make it with a program."));
    }
    match &patch.action {
        PatchAction::Delete if !after.is_empty() && !patch.hunks.is_empty() => {
            let why = "the patch deletes the file, but removes only some of its lines.".to_owned();
            return Err(fail(
                FailureClass::HunkFailed,
                why,
                "read the file, and delete it whole or change it.",
            ));
        }
        PatchAction::Delete => set(files, &path, None, mode),
        PatchAction::Move(to) => {
            let target = loaded(to, context, files)?;
            if files[&target].after.is_some() {
                let why = format!("it would be moved to {to}, which exists already.");
                return Err(fail(
                    FailureClass::AlreadyExists,
                    why,
                    "delete that file in the patch first, or choose a name.",
                ));
            }
            set(files, &path, None, mode);
            set(files, &target, Some(after), mode);
        }
        PatchAction::Add | PatchAction::Update => set(files, &path, Some(after), mode),
    }
    Ok(())
}

fn set(files: &mut PatchedFiles, path: &TreePath, after: Option<Vec<u8>>, mode: Option<u32>) {
    if let Some(file) = files.get_mut(path) {
        (file.after, file.mode) = (after, mode);
    }
}

/// The file in the tree, unless an earlier part of the patch has loaded or made it.
fn loaded(given: &str, context: &FileContext<'_>, files: &mut PatchedFiles) -> Result<TreePath, ToolFailure> {
    let path = context.tree.writable_path(given)?;
    if !files.contains_key(&path) {
        let present = context.tree.present(&path)?;
        let mode = present.as_ref().map(|present| present.mode & 0o777);
        let bytes = present.map(|present| present.bytes);
        let total: usize = files.values().filter_map(|file| file.before.as_ref()).map(Vec::len).sum();
        if total + bytes.as_ref().map_or(0, Vec::len) > MAX_TOTAL {
            let why = "with this file, the patch changes more than 64 MiB.";
            return Err(ToolFailure::new(FailureClass::TooLarge, given, why, "send several smaller ones."));
        }
        let file = PatchedFile { before: bytes.clone(), after: bytes, mode_before: mode, mode };
        files.insert(path.clone(), file);
    }
    Ok(path)
}

fn put_in_place(files: &PatchedFiles, context: &FileContext<'_>) -> Result<(), ToolFailure> {
    let mut staged = Vec::new();
    for (path, file) in files {
        let stage = match &file.after {
            Some(after) => Some(context.tree.stage(path, after, file.mode)?),
            None => None,
        };
        staged.push((path, file, stage));
    }
    let mut done: Vec<(&TreePath, &PatchedFile)> = Vec::new();
    for (path, file, stage) in staged {
        let result = match stage {
            Some(stage) => stage.put_in_place(),
            None => context.tree.remove(path),
        };
        if let Err(mut failure) = result {
            let lost: Vec<&str> = done
                .iter()
                .filter(|(path, file)| undo(path, file, context).is_err())
                .map(|(path, _)| path.as_str())
                .collect();
            failure.do_next = if lost.is_empty() {
                format!("nothing was changed. {}", failure.do_next)
            } else {
                format!("look at these files, which could not be put back: {}.", lost.join(", "))
            };
            return Err(failure);
        }
        done.push((path, file));
    }
    Ok(())
}

fn undo(path: &TreePath, file: &PatchedFile, context: &FileContext<'_>) -> Result<(), ToolFailure> {
    match &file.before {
        Some(before) => context.tree.stage(path, before, file.mode_before)?.put_in_place(),
        None => context.tree.remove(path),
    }
}

#[cfg(test)]
mod tests;
