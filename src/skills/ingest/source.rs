//! The folder (or single file) an ingest reads: listing and reading files safely.
//!
//! Invariants: nothing outside the source is ever read, nor a store of keys ([`super::key_stores`]); only regular files
//! are opened (a named pipe would block forever), and none of the kernel's; the listing is sorted by the bytes of the
//! relative paths. A look at the source, at a folder before it is listed, and at or into a file that is not on a local
//! disk has a deadline ([`super::waiting_reads`]); only a file system that answers for a folder and then falls silent
//! while its entries are read is waited for. Failure policy: a missing source is a [`SkillError::Permanent`]; an error
//! with one file becomes that file's row.

use std::collections::HashMap;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};
use parking_lot::Mutex;

use super::documents::ReadingRules;
use super::formats::{AuditRow, AuditStatus};
use super::key_stores::{self, KeyStores};
use super::settings::IngestSettings;
use super::waiting_reads::{FILE_DEADLINE, FileSystemKind, WaitFailure, in_time, read_now};
use crate::{SkillError, StepContext, is_passing};

/// A folder with another program's objects, never documents.
const SKIPPED_FOLDER: &str = ".git";

#[derive(Debug)]
pub(super) struct IngestSource {
    /// Canonical folder that all paths are relative to.
    root: PathBuf,
    /// Set when the source is one file of `root`.
    only: Option<PathBuf>,
    /// Largest file that is read, in bytes.
    pub(super) max_file_bytes: u64,
    /// Most files that are listed.
    max_files: u64,
    /// The program that reads some documents in processes of their own.
    program: Option<PathBuf>,
    folders: Arc<KnownFolders>,
}

/// What is known of the folders of a source.
#[derive(Debug)]
struct KnownFolders {
    stores: KeyStores,
    /// The file systems that the folders met so far are in, or why that cannot be told: one wait each.
    kinds: Mutex<HashMap<PathBuf, Result<FileSystemKind, FileTrouble>>>,
    /// Folders that are not listed.
    left_out: Mutex<Vec<(PathBuf, FileTrouble)>>,
}

impl KnownFolders {
    fn kind(&self, folder: &Path) -> Result<FileSystemKind, FileTrouble> {
        if let Some(known) = self.kinds.lock().get(folder) {
            return known.clone();
        }
        let asked = folder.to_owned();
        let kind = in_time(FILE_DEADLINE, move || FileSystemKind::of(&asked))
            .map_err(late)
            .and_then(|kind| kind.map_err(|error| unreadable(&error)));
        self.kinds.lock().insert(folder.to_owned(), kind.clone());
        kind
    }

    /// Whether a path met in a listing is gone into: every file, and every folder that answers and holds no keys.
    fn may_enter(&self, entry: &DirEntry) -> bool {
        if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
            return true;
        }
        if entry.depth() > 0 && entry.file_name() == SKIPPED_FOLDER {
            return false;
        }
        let path = entry.path();
        let trouble = self.stores.withheld(path).and_then(|()| self.kind(path).map(drop));
        match trouble {
            Ok(()) => true,
            Err(trouble) => {
                self.left_out.lock().push((path.to_owned(), trouble));
                false
            }
        }
    }
}

/// One listed path: a readable regular file, or the reason why not.
#[derive(Debug)]
pub(super) struct ListedFile {
    /// Relative to the source.
    pub(super) relative: PathBuf,
    /// `Ok(size in bytes)`, or the row's status and reason.
    pub(super) state: Result<u64, FileTrouble>,
}

struct RegularFile {
    path: PathBuf,
    bytes: u64,
    file_system: FileSystemKind,
}

/// The status and reason in the audit row of a skipped file.
pub(super) type FileTrouble = (AuditStatus, String);

impl IngestSource {
    /// Takes `source` (an absolute path) from the card's inputs, and the limits from the settings.
    ///
    /// # Errors
    /// [`SkillError::Permanent`] when an input is missing, malformed or leads nowhere.
    pub(super) fn open(step: &StepContext) -> Result<Self, SkillError> {
        let given = step.inputs().get("source").and_then(|value| value.as_str()).ok_or_else(|| {
            SkillError::Permanent("the card names no source: set inputs.source to an absolute folder".into())
        })?;
        if !Path::new(given).is_absolute() {
            return Err(SkillError::Permanent(format!(
                "the source {given} is not an absolute path: set inputs.source to one"
            )));
        }
        let IngestSettings { max_file_bytes, max_files, key_stores, .. } = IngestSettings::of(step)?;
        let refuse = |error: &io::Error| {
            let text =
                format!("cannot read the source {given}: {error}; check that it exists and is readable");
            if is_passing(error) { SkillError::Passing(text) } else { SkillError::Permanent(text) }
        };
        let asked = PathBuf::from(given);
        let look = move || {
            let path = fs::canonicalize(asked)?;
            let meta = fs::metadata(&path)?;
            if meta.is_dir() {
                fs::read_dir(&path)?;
            }
            Ok((path, meta))
        };
        let looked = in_time(FILE_DEADLINE, look)
            .map_err(|failure| SkillError::Passing(format!("cannot read the source {given}: {failure}")))?;
        let (path, meta) = looked.map_err(|error: io::Error| refuse(&error))?;
        let stores = KeyStores::new(&key_stores);
        if let Some(name) = stores.around(&path) {
            return Err(SkillError::Permanent(format!("the source {given} {}", key_stores::remark(name))));
        }
        let (root, only) = if meta.is_dir() {
            (path, None)
        } else if meta.is_file() {
            let parent = path.parent().unwrap_or(Path::new("/")).to_path_buf();
            (parent, path.file_name().map(PathBuf::from))
        } else {
            return Err(SkillError::Permanent(format!(
                "the source {given} is {}: use a folder or a regular file",
                special(meta.file_type())
            )));
        };
        let folders = KnownFolders { stores, kinds: Mutex::default(), left_out: Mutex::default() };
        let program = step.program().map(Path::to_owned);
        Ok(Self { root, only, max_file_bytes, max_files, program, folders: Arc::new(folders) })
    }

    /// How the documents of this source are read.
    pub(super) fn reading(&self) -> ReadingRules<'_> {
        ReadingRules { max_bytes: self.max_file_bytes, program: self.program.as_deref() }
    }

    /// Lists every file below the source, in the order of the path bytes.
    ///
    /// # Errors
    /// [`SkillError::Permanent`] for too many files; [`SkillError::Cancelled`]; an error with a path becomes
    /// that path's [`ListedFile::state`].
    pub(super) fn list(&self, step: &StepContext) -> Result<Vec<ListedFile>, SkillError> {
        let mut found = Vec::new();
        if let Some(only) = &self.only {
            found.push(self.judge(only.clone()));
            return Ok(found);
        }
        let folders = Arc::clone(&self.folders);
        let walk = WalkBuilder::new(&self.root)
            .standard_filters(false)
            .follow_links(false)
            .filter_entry(move |entry| folders.may_enter(entry))
            .build();
        for entry in walk {
            step.checkpoint()?;
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
                Ok(entry) => found.extend(self.relative(entry.path()).map(|path| self.judge(path))),
                Err(error) => found.extend(self.unlisted(&error)),
            }
            if found.len() as u64 > self.max_files {
                return Err(SkillError::Permanent(format!(
                    "the source {} holds more than {} files, the most of one job: give a folder below it, or \
                     raise `max_files` in the job's inputs or in [ingest] of pas.toml",
                    self.root.display(),
                    self.max_files
                )));
            }
        }
        for (path, trouble) in self.folders.left_out.lock().drain(..) {
            found.extend(self.relative(&path).map(|relative| ListedFile { relative, state: Err(trouble) }));
        }
        found.sort_by(|a, b| {
            a.relative.as_os_str().as_encoded_bytes().cmp(b.relative.as_os_str().as_encoded_bytes())
        });
        Ok(found)
    }

    /// Reads a listed file, checking again that it is a regular file of the source.
    ///
    /// # Errors
    /// The status and reason of the file's row.
    pub(super) fn read(&self, relative: &Path) -> Result<Vec<u8>, FileTrouble> {
        let RegularFile { path, file_system, .. } = self.resolve(relative)?;
        // One byte more than allowed reveals a file that has grown since the listing.
        let most = self.max_file_bytes + 1;
        let bytes = match file_system {
            FileSystemKind::Local => read_now(&path, most),
            FileSystemKind::Kernel | FileSystemKind::Served => {
                in_time(FILE_DEADLINE, move || read_now(&path, most)).map_err(late)?
            }
        };
        let bytes = bytes.map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > self.max_file_bytes { Err(self.too_large(None)) } else { Ok(bytes) }
    }

    /// The file of an audit row, relative to the source.
    pub(super) fn path_of(row: &AuditRow) -> PathBuf {
        raw::decode(&row.raw_path).unwrap_or_else(|| PathBuf::from(&row.path))
    }

    fn relative(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    fn judge(&self, relative: PathBuf) -> ListedFile {
        let state = self.resolve(&relative).and_then(|RegularFile { bytes, .. }| {
            if bytes > self.max_file_bytes { Err(self.too_large(Some(bytes))) } else { Ok(bytes) }
        });
        ListedFile { relative, state }
    }

    /// The regular file behind a path of the source. In a folder of a local disk only a link leads to a file
    /// system that may not answer (or a single file that is mounted there, which is not guarded against).
    fn resolve(&self, relative: &Path) -> Result<RegularFile, FileTrouble> {
        let path = self.root.join(relative);
        self.folders.stores.withheld(&path)?;
        let folder = path.parent().unwrap_or(&self.root);
        if self.folders.kind(folder)? == FileSystemKind::Local {
            let meta = fs::symlink_metadata(&path).map_err(|error| unreadable(&error))?;
            if !meta.is_symlink() {
                return regular_file(path, &meta);
            }
        }
        let (root, folders) = (self.root.clone(), Arc::clone(&self.folders));
        in_time(FILE_DEADLINE, move || look(path, &root, &folders.stores)).map_err(late)?
    }

    fn unlisted(&self, error: &ignore::Error) -> Option<ListedFile> {
        let relative = self.relative(error_path(error)?)?;
        let state = Err(error.io_error().map_or_else(
            || (AuditStatus::Unreadable, "cannot be listed".to_owned()),
            |error| match unreadable(error) {
                (AuditStatus::Unreadable, reason) => {
                    (AuditStatus::Unreadable, format!("a folder that cannot be listed: {reason}"))
                }
                other => other,
            },
        ));
        Some(ListedFile { relative, state })
    }

    fn too_large(&self, bytes: Option<u64>) -> FileTrouble {
        let size = bytes.map_or_else(|| "more".to_owned(), |bytes| format!("{bytes} bytes"));
        (AuditStatus::TooLarge, format!("{size}, over the limit of {} bytes", self.max_file_bytes))
    }
}

/// The regular file at a path below `root`; a link is followed.
fn look(path: PathBuf, root: &Path, stores: &KeyStores) -> Result<RegularFile, FileTrouble> {
    let meta = fs::symlink_metadata(&path).map_err(|error| unreadable(&error))?;
    let (path, meta) = if meta.is_symlink() { follow(&path, root)? } else { (path, meta) };
    stores.withheld(&path)?;
    regular_file(path, &meta)
}

fn regular_file(path: PathBuf, meta: &fs::Metadata) -> Result<RegularFile, FileTrouble> {
    if !meta.is_file() {
        let kind = special(meta.file_type());
        return Err((AuditStatus::Unreadable, format!("{kind}: only regular files are opened")));
    }
    let file_system = FileSystemKind::of(&path).map_err(|error| unreadable(&error))?;
    if file_system == FileSystemKind::Kernel {
        let reason = "in a file system of the kernel, where reading can wait for ever";
        return Err((AuditStatus::Unreadable, reason.to_owned()));
    }
    Ok(RegularFile { path, bytes: meta.len(), file_system })
}

fn follow(link: &Path, root: &Path) -> Result<(PathBuf, fs::Metadata), FileTrouble> {
    let bad = |reason: &str| (AuditStatus::BadLink, reason.to_owned());
    let target = fs::canonicalize(link)
        .map_err(|error| bad(&format!("a link that leads nowhere: {}", plain(&error))))?;
    let meta = fs::metadata(&target).map_err(|error| unreadable(&error))?;
    if link.starts_with(&target) {
        return Err(bad("a link back to a folder above it"));
    }
    if !target.starts_with(root) {
        return Err(bad("a link out of the source"));
    }
    if meta.is_dir() {
        return Err(bad("a link to a folder of the source, whose files are listed there"));
    }
    Ok((target, meta))
}

/// The relative path as shown in a row, and the bytes in hexadecimal where the text loses some.
pub(super) fn shown(relative: &Path) -> (String, String) {
    match relative.to_str() {
        Some(text) => (text.replace(std::path::MAIN_SEPARATOR, "/"), String::new()),
        None => (relative.to_string_lossy().into_owned(), raw::encode(relative)),
    }
}

fn late(failure: WaitFailure) -> FileTrouble {
    (AuditStatus::Unreadable, failure.to_string())
}

fn unreadable(error: &io::Error) -> FileTrouble {
    if error.kind() == io::ErrorKind::NotFound {
        (AuditStatus::Vanished, "was listed, but was gone when it was to be read".into())
    } else {
        (AuditStatus::Unreadable, plain(error))
    }
}

/// The kind of an I/O error in words, without the error number.
fn plain(error: &io::Error) -> String {
    error.kind().to_string()
}

fn error_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        _ => None,
    }
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        other(kind)
    }
}

#[cfg(not(unix))]
fn special(kind: FileType) -> &'static str {
    other(kind)
}

fn other(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "neither file nor folder" }
}

/// Paths that are not UTF-8, which only Unix systems have.
#[cfg(unix)]
mod raw {
    use std::ffi::OsStr;
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    pub(super) fn encode(path: &Path) -> String {
        path.as_os_str().as_bytes().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    pub(super) fn decode(hex: &str) -> Option<PathBuf> {
        if hex.is_empty() {
            return None;
        }
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        bytes.map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)))
    }
}

#[cfg(not(unix))]
mod raw {
    use std::path::{Path, PathBuf};

    pub(super) fn encode(_: &Path) -> String {
        String::new()
    }

    pub(super) fn decode(_: &str) -> Option<PathBuf> {
        None
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
