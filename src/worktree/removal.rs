//! Removes folders that agents have filled: no link is followed, folders without rights get them back, and
//! depth costs neither stack nor file handles. Failure policy: the folder is first moved away to an unused
//! name, so a removal that is cut off is finished by the next one and never seen as a tree.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::ids::TreeName;
use super::layout::TreeLayout;

/// Below the root; no tree can have this name.
pub(super) const REMOVING: &str = ".removing";

#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    #[error("{path} cannot be removed ({source}): see who owns it, then try again")]
    Folder { path: PathBuf, source: io::Error },
    #[error("which trees below {root} borrow from others cannot be read ({source})")]
    Borrowers { root: PathBuf, source: io::Error },
    #[error("the tree {name} cannot be removed while {borrower} borrows its objects: remove that first")]
    StillBorrowed { name: TreeName, borrower: TreeName },
}

/// Removes a tree and its whole folder. The caller must know that the tree is no longer needed.
pub fn remove_tree(root: &Path, name: &TreeName) -> Result<(), RemovalError> {
    let layout = TreeLayout::new(root, name);
    let borrower = super::inventory::borrower_of(root, &layout)
        .map_err(|source| RemovalError::Borrowers { root: root.to_owned(), source })?;
    if let Some(borrower) = borrower {
        return Err(RemovalError::StillBorrowed { name: name.clone(), borrower });
    }
    remove_folder(root, &layout.folder)?;
    if let Some(run) = layout.folder.parent() {
        // The run's folder goes with the last tree; the call fails while others are there.
        drop(std::fs::remove_dir(run));
    }
    Ok(())
}

pub(super) fn remove_folder(root: &Path, folder: &Path) -> Result<(), RemovalError> {
    let trouble = |source: io::Error| RemovalError::Folder { path: folder.to_owned(), source };
    if root.symlink_metadata().is_err() {
        return Ok(());
    }
    // Two removals at once would empty the same holding folder.
    let alone = std::fs::File::create(root.join(".removing.lock")).map_err(trouble)?;
    alone.lock().map_err(trouble)?;
    let holding = root.join(REMOVING);
    if folder.symlink_metadata().is_ok() {
        std::fs::create_dir_all(&holding).map_err(trouble)?;
        let free =
            (0_u64..).map(|n| holding.join(format!("t{n}"))).find(|path| path.symlink_metadata().is_err());
        std::fs::rename(folder, free.unwrap_or_else(|| holding.join("t"))).map_err(trouble)?;
    }
    if holding.symlink_metadata().is_ok() {
        empty_flat(&holding).map_err(trouble)?;
        std::fs::remove_dir(&holding).map_err(trouble)?;
    }
    Ok(())
}

/// Empties a folder by moving each nested folder up to the top, so nothing is ever more than two deep.
fn empty_flat(holding: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = rustix::fs::open(holding, flags, Mode::empty())?;
    let mut lifted = 0_u64;
    loop {
        let mut found = false;
        for (name, kind) in entries(&top)? {
            found = true;
            if kind != FileType::Directory {
                rustix::fs::unlinkat(&top, &name, AtFlags::empty())?;
                continue;
            }
            open_folder(&top, &name)?;
            let inner = rustix::fs::openat(&top, &name, flags, Mode::empty())?;
            for (entry, kind) in entries(&inner)? {
                if kind == FileType::Directory {
                    open_folder(&inner, &entry)?;
                    lift(&inner, &entry, &top, &mut lifted)?;
                } else {
                    rustix::fs::unlinkat(&inner, &entry, AtFlags::empty())?;
                }
            }
            rustix::fs::unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
        if !found {
            return Ok(());
        }
    }
}

fn lift(from: &OwnedFd, name: &std::ffi::CStr, top: &OwnedFd, lifted: &mut u64) -> io::Result<()> {
    loop {
        *lifted += 1;
        let target = format!("l{lifted}");
        // An empty folder of that name would be silently replaced, which does no harm here.
        match rustix::fs::renameat(from, name, top, &target) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Restores the owner's rights, without which a folder can be neither listed nor moved.
fn open_folder(within: &OwnedFd, name: &std::ffi::CStr) -> io::Result<()> {
    let about = rustix::fs::statat(within, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_folder = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
    if is_folder && about.st_mode & 0o700 != 0o700 {
        rustix::fs::chmodat(within, name, Mode::RWXU, AtFlags::empty())?;
    }
    Ok(())
}

fn entries(folder: &OwnedFd) -> io::Result<Vec<(std::ffi::CString, FileType)>> {
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                FileType::from_raw_mode(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}
