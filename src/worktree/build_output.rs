//! Brings build output into a fresh tree, so that a proof need not build the world: by shared blocks where
//! the disk supports that, by a copy up to a named size, else not at all. Failure policy: output that cannot
//! be copied is left out and built by the proof; the sentence says which way was taken.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Timespec;
use walkdir::WalkDir;

use super::agent_state::open_plain;
use super::ids::GitPath;

/// Folders that build tools can make again from the sources.
pub const BUILD_OUTPUT_PATTERNS: &[&str] =
    &["target", "node_modules", ".venv", "venv", ".gradle", "build", ".tox"];
/// Half a minute of a slow disk; beyond that, building anew is about as fast.
pub const BUILD_COPY_LIMIT: u64 = 2 << 30;
/// Workspaces keep such folders near the top.
const DEPTH: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopyManner {
    SharedBlocks,
    Copied,
}

/// The build output in the fresh tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtOutput {
    pub folders: Vec<GitPath>,
    pub bytes: u64,
    /// For the proof: how the build output came into the tree.
    pub sentence: String,
}

/// Copies folders of these names from one tree to another. A folder that the fresh tree already has is part
/// of the commit and stays unchanged. Links are copied as links; times are kept, because build tools compare
/// them.
pub fn bring_build_output(from: &Path, to: &Path, patterns: &[&str], most: u64) -> BroughtOutput {
    let folders = output_folders(from, to, patterns);
    if folders.is_empty() {
        return nothing("no build output was there to bring along; the proof built from the sources");
    }
    let bytes: u64 = folders.iter().map(|folder| bytes_of(&from.join(folder))).sum();
    let manner = if shares_blocks(from, to) { CopyManner::SharedBlocks } else { CopyManner::Copied };
    let names: Vec<GitPath> = folders.iter().map(|path| GitPath::new(path.as_os_str().as_bytes())).collect();
    let listed = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mib = bytes >> 20;
    if manner == CopyManner::Copied && bytes > most {
        return nothing(&format!(
            "{listed} ({mib} MiB) was not brought along: the disk cannot share blocks and it is more than {} MiB; \
             the proof built from the sources",
            most >> 20
        ));
    }
    let mut lacking = 0;
    for folder in &folders {
        lacking += copy_folder(&from.join(folder), &to.join(folder), manner);
    }
    let how = match manner {
        CopyManner::SharedBlocks => "came along by sharing blocks",
        CopyManner::Copied => "was copied",
    };
    let lack =
        if lacking == 0 { String::new() } else { format!("; {lacking} files of it could not be read") };
    BroughtOutput { folders: names, bytes, sentence: format!("{listed} ({mib} MiB) {how}{lack}") }
}

fn nothing(sentence: &str) -> BroughtOutput {
    BroughtOutput { folders: Vec::new(), bytes: 0, sentence: sentence.to_owned() }
}

fn output_folders(from: &Path, to: &Path, patterns: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut walk =
        WalkDir::new(from).min_depth(1).max_depth(DEPTH).follow_links(false).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_dir() {
            continue;
        }
        let Ok(path) = entry.path().strip_prefix(from) else { continue };
        if patterns.iter().any(|name| entry.file_name() == name.trim_end_matches('/')) {
            walk.skip_current_dir();
            let parent = to.join(path.parent().unwrap_or(Path::new("")));
            // A parent that is a link in the commit could lead anywhere.
            let parent_is_real = parent.canonicalize().is_ok_and(|real| {
                to.canonicalize()
                    .is_ok_and(|to| real == to.join(path.parent().unwrap_or(Path::new(""))) || real == to)
            });
            if parent_is_real && to.join(path).symlink_metadata().is_err() {
                found.push(path.to_owned());
            }
        }
    }
    found
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = WalkDir::new(folder).follow_links(false).into_iter().flatten();
    entries
        .filter(|e| e.file_type().is_file())
        .filter_map(|e| e.metadata().ok())
        .map(|about| about.len())
        .sum()
}

/// Tried with one small file, because no file system's answer is predictable.
fn shares_blocks(from: &Path, to: &Path) -> bool {
    let probe = |folder: &Path| -> io::Result<File> { tempfile::tempfile_in(folder) };
    let (Ok(source), Ok(target)) = (probe(from), probe(to)) else { return false };
    let written = io::Write::write_all(&mut &source, &[1; 4096]).is_ok();
    written && clone_blocks(&source, &target).is_ok()
}

#[cfg(target_os = "linux")]
fn clone_blocks(source: &File, target: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(target, source)?)
}

#[cfg(not(target_os = "linux"))]
fn clone_blocks(_source: &File, _target: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How many entries could not be copied.
fn copy_folder(from: &Path, to: &Path, manner: CopyManner) -> usize {
    let mut lacking = 0;
    for entry in WalkDir::new(from).follow_links(false) {
        let copied = entry.map_err(io::Error::from).and_then(|entry| {
            let target = to.join(entry.path().strip_prefix(from).unwrap_or(Path::new("")));
            let kind = entry.file_type();
            if kind.is_dir() {
                return std::fs::create_dir(&target);
            }
            if kind.is_symlink() {
                return std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &target);
            }
            if kind.is_file() { copy_file(entry.path(), &target, manner) } else { Ok(()) }
        });
        lacking += usize::from(copied.is_err());
    }
    lacking
}

fn copy_file(from: &Path, to: &Path, manner: CopyManner) -> io::Result<()> {
    let mut source = open_plain(from)?;
    let about = source.metadata()?;
    let mut target = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    if manner == CopyManner::Copied || clone_blocks(&source, &target).is_err() {
        io::copy(&mut source, &mut target)?;
    }
    target.set_permissions(std::fs::Permissions::from_mode(about.mode() & 0o777))?;
    let time = |seconds: i64, nanos: i64| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = rustix::fs::Timestamps {
        last_access: time(about.atime(), about.atime_nsec()),
        last_modification: time(about.mtime(), about.mtime_nsec()),
    };
    Ok(rustix::fs::futimens(&target, &times)?)
}
