//! Files that appear whole: written as a draft, synced, renamed, and the folder synced.
//!
//! Owns the one way in which PAS puts a file under its final name. Invariants: whoever opens that name
//! finds the file before or the file after, never a part of either, also after `kill -9` and a power cut;
//! when [`DraftFile::publish`] returns, the new file and its name are on the disk. Failure policy: on any
//! error the target is as it was and the draft is deleted. A process that was killed leaves its draft
//! behind under a hidden name that ends with [`DRAFT_ENDING`], which no reader looks for.
//!
//! Blocks for two syncs: call it from a blocking thread.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The end of the name of a file that is being written.
pub const DRAFT_ENDING: &str = ".part";

/// Mode of a new file before the process's umask, which is what every file gets that `File::create` makes.
#[cfg(unix)]
const NEW_FILE_MODE: u32 = 0o666;

/// A file that is being written beside its target. Dropped before it is published, it is deleted.
#[derive(Debug)]
pub struct DraftFile {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl DraftFile {
    /// A draft in the target's folder, which is made if it is missing.
    ///
    /// # Errors
    /// The file system's.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let folder = folder_of(target);
        create_folders(folder)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(DRAFT_ENDING);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(NEW_FILE_MODE));
        Ok(Self { target: target.to_owned(), file: BufWriter::new(builder.tempfile_in(folder)?) })
    }

    /// Brings what was written so far to the disk, for whoever has something to do before it is published.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().as_file().sync_all()
    }

    /// Gives the file its name, in place of whatever had it. Durable when this returns.
    ///
    /// # Errors
    /// The file system's.
    pub fn publish(self) -> io::Result<()> {
        self.persist(|draft, target| draft.persist(target).map(drop).map_err(|error| error.error))
    }

    /// Gives the file its name unless there is such a file already. Durable when this returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], and the file system's.
    pub fn publish_new(self) -> io::Result<()> {
        self.persist(|draft, target| draft.persist_noclobber(target).map(drop).map_err(|error| error.error))
    }

    fn persist(mut self, rename: impl FnOnce(NamedTempFile, &Path) -> io::Result<()>) -> io::Result<()> {
        // Before the rename: a file system may bring the new name to the disk ahead of the bytes.
        self.sync()?;
        let draft = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        rename(draft, &self.target)?;
        sync_folder(folder_of(&self.target))
    }
}

impl Write for DraftFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file whole, in place of the one that has its name.
///
/// # Errors
/// The file system's; the file before is still there then.
pub fn replace_file(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = DraftFile::beside(target)?;
    draft.write_all(bytes)?;
    draft.publish()
}

/// Writes a file whole, unless there is one of its name.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], and the file system's.
pub fn create_file(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = DraftFile::beside(target)?;
    draft.write_all(bytes)?;
    draft.publish_new()
}

/// Makes a folder and those above it, so that they survive a power cut.
///
/// # Errors
/// The file system's.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    create_folders(above)?;
    match std::fs::create_dir(folder) {
        // Somebody else was faster, unless a file stands there.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => Err(error),
        _ => sync_folder(above),
    }
}

/// Brings the names in a folder to the disk.
///
/// # Errors
/// The file system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a path stands in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"old";

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A new version larger than any buffer, so that a part of it would be seen.
    fn new() -> Vec<u8> {
        b"new ".repeat(100_000)
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file.json");
        replace_file(&target, OLD).unwrap();
        let new = new();
        // A process that dies runs no destructor: what it leaves is what a forgotten draft leaves.
        std::mem::forget(DraftFile::beside(&target).unwrap());
        let mut half = DraftFile::beside(&target).unwrap();
        half.write_all(&new[..new.len() / 2]).unwrap();
        std::mem::forget(half);
        let mut synced = DraftFile::beside(&target).unwrap();
        synced.write_all(&new).unwrap();
        synced.sync().unwrap();
        std::mem::forget(synced);
        assert_eq!(std::fs::read(&target).unwrap(), OLD);
        let left: Vec<String> = names(dir.path()).into_iter().filter(|name| name != "file.json").collect();
        assert_eq!(left.len(), 3);
        assert!(left.iter().all(|name| name.starts_with(".file.json.") && name.ends_with(DRAFT_ENDING)));
        replace_file(&target, &new).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), new, "left-overs are in nobody's way");
    }

    #[test]
    fn a_draft_that_is_given_up_or_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file");
        replace_file(&target, OLD).unwrap();
        let mut draft = DraftFile::beside(&target).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(create_file(&target, b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let folder = dir.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        replace_file(&folder, b"x").unwrap_err();
        assert_eq!(names(dir.path()), ["file", "folder"]);
        assert_eq!(std::fs::read(&target).unwrap(), OLD);
    }

    #[test]
    fn folders_are_made_and_a_file_in_their_place_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/c.txt");
        create_file(&target, b"c").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"c");
        create_file(&target.join("below-a-file"), b"d").unwrap_err();
        assert_eq!(folder_of(Path::new("alone")), Path::new("."));
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_has_the_mode_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        std::fs::write(dir.path().join("plain"), "x").unwrap();
        replace_file(&dir.path().join("ours"), b"x").unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }
}
