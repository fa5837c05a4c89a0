//! The small files of the agent's git directory (HEAD, branches, stash, an unfinished rebase, the index) as
//! one blob, so that rolling back a call restores git's state too. Failure policy: an agent's directory may
//! contain anything; links and special files are skipped, a state that is too large is not recorded, and no
//! file there is run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use walkdir::WalkDir;

use super::git::GitCommand;
use super::ids::{CommitId, GitPath};
use super::layout::{TreeLayout, replace_agent_file};

/// 100,000 refs and the index of 200,000 files take less; anything larger is no git state.
const MAX_STATE: u64 = 128 << 20;
const MAX_FILES: usize = 50_000;
/// Most commits, named by the agent's refs, that are considered.
const MAX_TIPS: usize = 10_000;
/// No state: objects only grow, and the daemon writes the rest.
const PASSED_OVER: &[&str] = &["objects", "config", "hooks", "info"];

pub(super) type AgentFiles = BTreeMap<GitPath, Vec<u8>>;

/// Opens a file that an agent may have replaced: no link is followed and a FIFO does not block.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    Ok(file)
}

pub(super) fn read_agent_files(layout: &TreeLayout) -> AgentFiles {
    let agent = layout.agent();
    let mut files = AgentFiles::new();
    let mut left = MAX_STATE;
    let walk = WalkDir::new(&agent).min_depth(1).max_depth(32).follow_links(false).into_iter();
    let walk = walk.filter_entry(|entry| {
        entry.depth() != 1 || !PASSED_OVER.iter().any(|name| entry.file_name() == *name)
    });
    for entry in walk.flatten().filter(|entry| entry.file_type().is_file()).take(MAX_FILES) {
        let name = entry.file_name().as_bytes();
        if name.ends_with(b".lock") {
            continue;
        }
        let (Ok(file), Ok(path)) = (open_plain(entry.path()), entry.path().strip_prefix(&agent)) else {
            continue;
        };
        let mut bytes = Vec::new();
        let read = file.take(left + 1).read_to_end(&mut bytes);
        if read.is_ok() && bytes.len() as u64 <= left {
            left -= bytes.len() as u64;
            files.insert(GitPath::new(path.as_os_str().as_bytes()), bytes);
        }
    }
    files
}

/// Length-prefixed paths and contents, in order of path.
pub(super) fn pack_state(files: &AgentFiles) -> Vec<u8> {
    let mut packed = Vec::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes] {
            packed.extend((part.len() as u64).to_le_bytes());
            packed.extend(part);
        }
    }
    packed
}

pub(super) fn unpack_state(mut packed: &[u8]) -> Option<AgentFiles> {
    fn part<'a>(packed: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, rest) = packed.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        *packed = rest;
        Some(part)
    }
    let mut files = AgentFiles::new();
    while !packed.is_empty() {
        let path = part(&mut packed)?.to_vec();
        files.insert(GitPath::new(path), part(&mut packed)?.to_vec());
    }
    Some(files)
}

/// Makes these the only files in the agent's git directory; left-over locks are removed too.
pub(super) fn write_agent_files(layout: &TreeLayout, wanted: &AgentFiles) -> io::Result<()> {
    let agent = layout.agent();
    let present = read_agent_files(layout);
    let walk = WalkDir::new(&agent).min_depth(1).contents_first(true).follow_links(false).into_iter();
    for entry in walk.flatten() {
        let Ok(path) = entry.path().strip_prefix(&agent) else { continue };
        let first = path.components().next().map(|c| c.as_os_str().to_owned()).unwrap_or_default();
        if PASSED_OVER.iter().any(|name| first == *name) {
            continue;
        }
        if entry.file_type().is_dir() {
            // Removes only empty folders, and `refs/heads` is made again below.
            drop(std::fs::remove_dir(entry.path()));
        } else if !wanted.contains_key(&GitPath::new(path.as_os_str().as_bytes()))
            || !entry.file_type().is_file()
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    std::fs::create_dir_all(agent.join("refs/heads"))?;
    for (path, bytes) in wanted {
        let target = agent.join(path.as_path());
        if present.get(path) == Some(bytes) && target.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        replace_agent_file(layout, &target, bytes)?;
    }
    Ok(())
}

/// Copies commits that the agent made into the daemon's store, so that a call that destroys the agent's
/// objects can be rolled back. `git index-pack` names objects by their content, so a forged object gets
/// another name. Commits that cannot be copied are lost with the agent's objects.
pub(super) fn keep_agent_commits(layout: &TreeLayout, files: &AgentFiles, base: &CommitId) -> bool {
    let tips = tips_of(files);
    if tips.is_empty() {
        return true;
    }
    let git = || GitCommand::at(&layout.git());
    let mut list = tips.join("\n").into_bytes();
    list.push(b'\n');
    let Ok(known) = git().args(["cat-file", "--batch-check=%(objecttype)"]).input(list.clone()).run() else {
        return false;
    };
    if !known.split(|b| *b == b'\n').any(|line| line.ends_with(b" missing")) {
        return true;
    }
    let store = layout.agent().join("objects");
    // A link could give the agent objects of another repository.
    if !holds_plain_files_only(&store) {
        return false;
    }
    list.extend(format!("^{base}\n").into_bytes());
    let pack = git()
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted_store(&store))
        .args(["pack-objects", "--revs", "--stdout", "-q", "--missing=allow-any"])
        .input(list)
        .run();
    pack.is_ok_and(|pack| git().args(["index-pack", "--stdin", "--fix-thin"]).input(pack).run().is_ok())
}

pub(super) fn quoted_store(store: &Path) -> PathBuf {
    // A colon separates stores in this variable, unless the path is quoted.
    if !store.as_os_str().as_bytes().contains(&b':') {
        return store.to_owned();
    }
    let quoted = super::source_folder::quote_always(store);
    PathBuf::from(std::ffi::OsStr::from_bytes(&quoted))
}

fn tips_of(files: &AgentFiles) -> Vec<String> {
    let holds_refs = |path: &[u8]| {
        path.starts_with(b"refs/")
            || path.ends_with(b"HEAD") && !path.starts_with(b"logs/")
            || path == b"logs/refs/stash"
    };
    let mut tips: Vec<String> = files
        .iter()
        .filter(|(path, _)| holds_refs(path.as_bytes()))
        .flat_map(|(_, bytes)| bytes.split(|b| b.is_ascii_whitespace()))
        .filter_map(|word| std::str::from_utf8(word).ok())
        .filter_map(|word| CommitId::parse(word).map(String::from))
        .filter(|id| id.bytes().any(|b| b != b'0'))
        .take(MAX_TIPS)
        .collect();
    tips.sort_unstable();
    tips.dedup();
    tips
}

fn holds_plain_files_only(store: &Path) -> bool {
    WalkDir::new(store)
        .follow_links(false)
        .into_iter()
        .all(|entry| entry.is_ok_and(|entry| entry.file_type().is_dir() || entry.file_type().is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_comes_back_and_rubbish_does_not() {
        let files: AgentFiles = [("HEAD", "ref: x\n"), ("refs/heads/a", "")]
            .map(|(p, b)| (GitPath::new(p), b.as_bytes().to_vec()))
            .into();
        let packed = pack_state(&files);
        assert_eq!(unpack_state(&packed), Some(files));
        assert_eq!(unpack_state(&packed[1..]), None);
        assert_eq!(unpack_state(&[255; 20]), None);
    }
}
