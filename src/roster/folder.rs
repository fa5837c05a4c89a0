//! A user's folder of definitions: every `*.md` below, by path.
//!
//! Skipped silently: hidden files and folders, `README.md`, other extensions, a folder that does not exist.
//! Refused with a reason: symbolic links (one could lead out of the folder, or in a circle), anything but a
//! regular file, and files that are too large, unreadable or not UTF-8. Invariant: memory and time are
//! bounded by the limits here, whatever the folder contains.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use pas_domain::agent::{
    AgentDefinition, DefinitionError, DefinitionRefusal, MAX_DEFINITION_BYTES, parse_bytes,
};

/// Most definitions taken from a folder: twenty times the built-in roster; more is the wrong folder.
pub const MAX_FILES: usize = 1_000;
/// Deepest folder searched; a role and a team need two levels.
pub const MAX_FOLDER_DEPTH: usize = 8;

/// Reads all definitions below a folder, in the order of their paths.
///
/// Blocks on the disk. Refusals name files below the folder's path as given.
#[must_use]
pub fn read_folder(folder: &Path) -> (Vec<AgentDefinition>, Vec<DefinitionRefusal>) {
    let (mut definitions, mut refusals) = (Vec::new(), Vec::new());
    if matches!(folder.try_exists(), Ok(false)) {
        return (definitions, refusals);
    }
    if folder.is_file() {
        return (definitions, vec![refusal(folder, "is no folder")]);
    }
    let walk = WalkDir::new(folder).max_depth(MAX_FOLDER_DEPTH).sort_by_file_name();
    let mut taken = 0;
    for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                refusals.push(unreadable_entry(folder, &error));
                continue;
            }
        };
        if !is_definition(&entry) {
            continue;
        }
        if taken == MAX_FILES {
            let reason = format!("more than {MAX_FILES} definitions: those from here on are left out");
            refusals.push(refusal(entry.path(), reason));
            break;
        }
        taken += 1;
        match read_definition(&entry) {
            Ok(definition) => definitions.push(definition),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (definitions, refusals)
}

fn refusal(path: &Path, reason: impl Into<String>) -> DefinitionRefusal {
    DefinitionError { file: path.display().to_string(), line: None, reason: reason.into() }
}

fn unreadable_entry(folder: &Path, error: &walkdir::Error) -> DefinitionRefusal {
    let reason =
        error.io_error().map_or_else(|| error.to_string(), |cause| format!("cannot be read: {cause}"));
    refusal(error.path().unwrap_or(folder), reason)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_definition(entry: &DirEntry) -> bool {
    let is_markdown = entry.path().extension().is_some_and(|extension| extension == "md");
    is_markdown && !entry.file_type().is_dir() && entry.file_name() != "README.md"
}

fn read_definition(entry: &DirEntry) -> Result<AgentDefinition, DefinitionRefusal> {
    let path = entry.path();
    if entry.file_type().is_symlink() {
        return Err(refusal(path, "is a symbolic link; put the file itself here"));
    }
    if !entry.file_type().is_file() {
        return Err(refusal(path, "is no regular file"));
    }
    let bytes = read_bounded(path).map_err(|error| refusal(path, format!("cannot be read: {error}")))?;
    parse_bytes(&path.display().to_string(), &bytes)
}

/// At most one byte more than a definition may have, enough to detect one that is too long.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_DEFINITION_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
