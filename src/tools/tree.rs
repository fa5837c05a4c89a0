//! The working tree of the file tools: one directory handle, and paths below.
//!
//! Owns [`ToolTree`] and [`TreePath`]. Invariants: nothing outside the directory is opened, made, renamed or
//! removed, even where an agent's processes put links in the way, because each step is resolved beneath the
//! handle (`openat2` on Linux, a walk by component elsewhere); pipes and devices are refused and never waited
//! for; a file is replaced by a rename, so that a reader sees the old or the new one. Failure policy: every
//! refusal is a [`ToolFailure`] that says how to name the file properly.

mod staged;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{
    Dir, FileType, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt,
};
use rustix::fs::OFlags;

use super::failure::{FailureClass, ToolFailure};
pub(super) use staged::StagedFile;

/// The largest file read whole into memory, for an edit or a comparison.
pub(super) const MAX_WHOLE_FILE: u64 = 16 * 1024 * 1024;

/// Distinguishes the temporary files of one process.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// A path below the tree's root, in normal form: parts joined by `/`, or `.` for the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(String);

impl TreePath {
    #[must_use]
    pub fn root() -> Self {
        Self(".".to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0 == "."
    }

    /// The path of the folder, and the name there.
    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or((".", &self.0))
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| *part != ".")
    }
}

/// A regular file in the tree.
#[derive(Debug)]
pub(super) struct PresentFile {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// The directory that the file tools work in.
#[derive(Debug)]
pub struct ToolTree {
    dir: Dir,
    roots: Vec<PathBuf>,
}

impl ToolTree {
    /// Opens the tree at `root`. Absolute paths that begin with `root` or one of `also_known_as` (the tree's
    /// path inside a sandbox) count as paths of the tree.
    ///
    /// # Errors
    /// When `root` cannot be opened as a directory.
    pub fn open(root: &Path, also_known_as: &[PathBuf]) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(root, ambient_authority())?;
        let mut roots = vec![root.to_owned()];
        roots.extend(root.canonicalize());
        roots.extend_from_slice(also_known_as);
        Ok(Self { dir, roots })
    }

    /// A path given by an agent, as a path of the tree.
    ///
    /// # Errors
    /// When it leads, or might lead, outside.
    pub fn path(&self, given: &str) -> Result<TreePath, ToolFailure> {
        let outside = |why: &str| {
            let advice = "give the path from the root of the working tree, such as `src/main.rs`.";
            ToolFailure::new(FailureClass::OutsideTree, given, why, advice)
        };
        if given.contains('\0') {
            return Err(outside("a path has no zero byte."));
        }
        let path = Path::new(given);
        let inner = if path.is_absolute() {
            self.roots
                .iter()
                .find_map(|root| path.strip_prefix(root).ok())
                .ok_or_else(|| outside("this absolute path lies outside the working tree."))?
        } else {
            path
        };
        let mut parts = Vec::new();
        for component in inner.components() {
            match component {
                Component::Normal(part) => parts.push(part.to_string_lossy()),
                Component::CurDir => {}
                Component::ParentDir => return Err(outside("`..` is not taken in a path.")),
                Component::RootDir | Component::Prefix(_) => {
                    return Err(outside("this path lies outside the working tree."));
                }
            }
        }
        Ok(if parts.is_empty() { TreePath::root() } else { TreePath(parts.join("/")) })
    }

    /// As [`Self::path`], for a file that is to be written.
    pub(super) fn writable_path(&self, given: &str) -> Result<TreePath, ToolFailure> {
        let path = self.path(given)?;
        if path.is_root() {
            return Err(ToolFailure::directory(given));
        }
        // Git's own files decide which programs git starts.
        if path.parts().any(|part| part.eq_ignore_ascii_case(".git")) {
            return Err(ToolFailure::new(
                FailureClass::PathDenied,
                given,
                "files below `.git` belong to git.",
                "change them with git's own commands.",
            ));
        }
        Ok(path)
    }

    /// The absolute paths under which the tree is known.
    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn metadata(&self, path: &TreePath) -> io::Result<Metadata> {
        self.dir.metadata(path.as_str())
    }

    /// Opens a regular file for reading; never waits for a pipe's other end.
    pub(super) fn open_file(&self, path: &TreePath) -> Result<(File, Metadata), ToolFailure> {
        open_regular(&self.dir, Path::new(path.as_str()), path.as_str())
    }

    /// The whole of a file, links inside the tree followed.
    pub(super) fn read_whole(&self, path: &TreePath) -> Result<PresentFile, ToolFailure> {
        let (file, metadata) = self.open_file(path)?;
        whole_of(file, &metadata, path)
    }

    /// The file that a write to `path` would replace, if there is one.
    pub(super) fn present(&self, path: &TreePath) -> Result<Option<PresentFile>, ToolFailure> {
        match self.dir.symlink_metadata(path.as_str()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ToolFailure::from_io(path.as_str(), &error)),
            Ok(metadata) if metadata.is_symlink() => Err(self.link_failure(path)),
            Ok(_) => self.read_whole(path).map(Some),
        }
    }

    fn link_failure(&self, path: &TreePath) -> ToolFailure {
        let to = self
            .dir
            .read_link_contents(path.as_str())
            .map_or_else(|_| "another file".to_owned(), |to| format!("`{}`", to.display()));
        ToolFailure::new(
            FailureClass::NotAFile,
            path.as_str(),
            format!("this is a link to {to}; writing here would replace the link."),
            "change the file that the link leads to, if it lies in the tree.",
        )
    }

    /// Writes `bytes` beside `path`, ready to replace that file; missing folders are made.
    pub(super) fn stage(
        &self,
        path: &TreePath,
        bytes: &[u8],
        mode: Option<u32>,
    ) -> Result<StagedFile, ToolFailure> {
        let (folder, name) = path.split();
        self.stage_in(folder, name, bytes, mode).map_err(|error| ToolFailure::from_io(path.as_str(), &error))
    }

    fn stage_in(&self, folder: &str, name: &str, bytes: &[u8], mode: Option<u32>) -> io::Result<StagedFile> {
        let parent = self.folder(folder)?;
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".pas-{}-{number}.tmp", std::process::id());
        // An earlier process with this id may have died and left the file; nothing else has such a name.
        let _ = parent.remove_file(&temporary);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = parent.open_with(&temporary, &options)?;
        let staged = StagedFile { parent, temporary, name: name.to_owned(), is_done: false };
        file.write_all(bytes)?;
        if let Some(mode) = mode {
            file.set_permissions(Permissions::from_mode(mode & 0o777))?;
        }
        // No fsync: a call cut by a power failure is rolled back to the tree's snapshot and run again.
        Ok(staged)
    }

    /// Opens a folder, making missing parts one by one, so that a link out of the tree is noticed.
    fn folder(&self, folder: &str) -> io::Result<Dir> {
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for end in ends {
            match self.dir.open_dir(&folder[..end]) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.dir.create_dir(&folder[..end])?;
                }
                opened => drop(opened?),
            }
        }
        self.dir.open_dir(folder)
    }

    pub(super) fn remove(&self, path: &TreePath) -> Result<(), ToolFailure> {
        self.dir.remove_file(path.as_str()).map_err(|error| ToolFailure::from_io(path.as_str(), &error))
    }
}

/// Opens `path` below `dir` if it is a regular file; `shown` is the name in a failure.
pub(super) fn open_regular(dir: &Dir, path: &Path, shown: &str) -> Result<(File, Metadata), ToolFailure> {
    let failed = |error: &io::Error| ToolFailure::from_io(shown, error);
    // Checked before opening, since opening a device can have effects; and after, since the file may have
    // been swapped.
    refuse_special(dir.metadata(path).map_err(|error| failed(&error))?.file_type(), shown)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    let file = dir.open_with(path, &options).map_err(|error| failed(&error))?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    refuse_special(metadata.file_type(), shown)?;
    Ok((file.into_std(), metadata))
}

fn refuse_special(kind: FileType, shown: &str) -> Result<(), ToolFailure> {
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(ToolFailure::directory(shown))
    } else {
        Err(ToolFailure::new(
            FailureClass::NotAFile,
            shown,
            "this is a pipe, a socket or a device.",
            "the file tools take regular files only.",
        ))
    }
}

fn whole_of(file: File, metadata: &Metadata, path: &TreePath) -> Result<PresentFile, ToolFailure> {
    let too_large = || {
        ToolFailure::new(
            FailureClass::TooLarge,
            path.as_str(),
            format!("the file has more than {MAX_WHOLE_FILE} bytes."),
            "change it with a command instead.",
        )
    };
    if metadata.len() > MAX_WHOLE_FILE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_WHOLE_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ToolFailure::from_io(path.as_str(), &error))?;
    if bytes.len() as u64 > MAX_WHOLE_FILE {
        return Err(too_large());
    }
    Ok(PresentFile { bytes, mode: metadata.mode() })
}

/// A path readable for an agent: quoted and escaped unless plain text.
pub(super) fn shown_path(path: &Path) -> String {
    match path.to_str() {
        Some(plain) if !plain.chars().any(char::is_control) => plain.to_owned(),
        _ => format!("{path:?}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
