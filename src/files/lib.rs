//! Files that appear whole: written as a draft, synced, renamed, and the folder synced.
//!
//! Owns the one way in which PAS puts a file under its final name. Invariants: a reader of that name finds
//! the old file or the new one, never a part of either, also after `kill -9` and a power cut; when
//! [`DraftFile::publish`] returns, the new file and the name are on the disk. Failure policy: on any error
//! the target is unchanged and the draft is deleted. A killed process leaves a draft behind, under a hidden
//! name ending with [`DRAFT_ENDING`] that no reader opens.
//!
//! Blocks for two syncs: call it from a blocking thread.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The name ending of unfinished files.
pub const DRAFT_ENDING: &str = ".part";

/// Mode of a new file before the process's umask, the same as for `File::create`.
#[cfg(unix)]
const NEW_FILE_MODE: u32 = 0o666;

/// An unfinished file beside the target; deleted when dropped unpublished.
#[derive(Debug)]
pub struct DraftFile {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl DraftFile {
    /// A draft in the target's folder, created if missing.
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

    /// Syncs everything written so far, for callers with more to do before publishing.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().as_file().sync_all()
    }

    /// Renames the draft to the target, replacing an existing file. Durable on return.
    ///
    /// # Errors
    /// The file system's.
    pub fn publish(self) -> io::Result<()> {
        self.persist(|draft, target| draft.persist(target).map(drop).map_err(|error| error.error))
    }

    /// Renames the draft to the target unless a file of that name exists. Durable on return.
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

/// Writes a whole file, replacing an existing one.
///
/// # Errors
/// The file system's; the old file is still there then.
pub fn replace_file(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = DraftFile::beside(target)?;
    draft.write_all(bytes)?;
    draft.publish()
}

/// Writes a whole file, unless one of that name exists.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], and the file system's.
pub fn create_file(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = DraftFile::beside(target)?;
    draft.write_all(bytes)?;
    draft.publish_new()
}

/// Makes a folder and its parents, durable across a power cut.
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
        // Another process was faster, unless the path is a file.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => Err(error),
        _ => sync_folder(above),
    }
}

/// Makes a folder if it is missing, and keeps all but its owner out of it; nobody reaches what is below then, whatever
/// the modes there. A folder that is shared by design (sticky, as `/tmp` is) or somebody else's stays as it is. Returns the
/// mode that the folder had, if it was another.
///
/// # Errors
/// The file system's.
#[cfg(unix)]
pub fn create_private_folder(folder: &Path) -> io::Result<Option<u32>> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    const OTHERS: u32 = 0o077;
    const STICKY: u32 = 0o1000;
    let is_new = !folder.is_dir();
    create_folders(folder)?;
    let about = std::fs::metadata(folder)?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw() && about.mode() & STICKY == 0;
    if !is_ours || about.mode() & OTHERS == 0 {
        return Ok(None);
    }
    let before = about.mode() & 0o7777;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(before & !OTHERS))?;
    Ok((!is_new).then_some(before))
}

/// Makes a folder if it is missing; its rights are the system's.
///
/// # Errors
/// The file system's.
#[cfg(not(unix))]
pub fn create_private_folder(folder: &Path) -> io::Result<Option<u32>> {
    create_folders(folder).map(|()| None)
}

/// Syncs the names in a folder.
///
/// # Errors
/// The file system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The parent folder of a path.
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

    /// A new version larger than any buffer, so that a partial write would be seen.
    fn new() -> Vec<u8> {
        b"new ".repeat(100_000)
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file.json");
        replace_file(&target, OLD).unwrap();
        let new = new();
        // A dying process runs no destructor: a forgotten draft leaves the same file.
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

    #[test]
    #[cfg(unix)]
    fn a_private_folder_keeps_others_out_and_a_shared_one_stays_shared() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mode =
            |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777;
        for (name, before, after) in [
            ("open", 0o755, 0o700),
            ("group", 0o2750, 0o2700),
            ("shared", 0o1777, 0o1777),
            ("shut", 0o700, 0o700),
        ] {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(before)).unwrap();
            let tightened = create_private_folder(&folder).unwrap();
            assert_eq!((mode(name), tightened), (after, (before != after).then_some(before)), "{name}");
        }
        assert_eq!(
            create_private_folder(&dir.path().join("new/below")).unwrap(),
            None,
            "nobody had it before"
        );
        assert_eq!(mode("new/below"), 0o700);
    }
}
