//! Brings a whole tree into an index, even with things over which git stumbles: repositories inside the tree,
//! FIFOs, unreadable or huge files, names that git refuses. The usual case is one run of git; the tree is
//! walked only when git complains. Failure policy: a path that cannot be taken is named, never skipped
//! silently.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use walkdir::WalkDir;

use super::git::{GitAnswer, GitCommand, GitFailure};
use super::ids::GitPath;

/// Equal to the sandbox's limit of one file; a larger file is sparse, and git would read it for hours.
const FILE_LIMIT: u64 = 1 << 30;
/// A FIFO named `.gitignore` makes git wait for ever, so the first try is short.
const FIRST_PATIENCE: Duration = Duration::from_secs(20);
/// Enough to add 200,000 new files on a slow disk, without FIFOs.
const ADD_PATIENCE: Duration = Duration::from_secs(300);
/// Candidates for the one file that opens an embedded repository's folder to git.
const SEEDS: usize = 200;
/// git opens these by name, so a FIFO there blocks git.
const READ_BY_GIT: &[&[u8]] = &[b".gitignore", b".gitattributes", b".gitmodules", b".mailmap"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum LeftOutReason {
    Special,
    TooLarge(u64),
    /// The `.git` of a repository inside the tree; the files are taken, the history is not.
    EmbeddedHistory,
    RefusedByGit(String),
}

/// A path in the tree that a snapshot or a sealed commit lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOutPath {
    pub path: GitPath,
    pub reason: LeftOutReason,
}

impl fmt::Display for LeftOutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.reason {
            LeftOutReason::Special => write!(f, "{path} is a FIFO, socket or device and cannot be kept"),
            LeftOutReason::TooLarge(bytes) => write!(f, "{path} has {} MiB, more than is kept", bytes >> 20),
            LeftOutReason::EmbeddedHistory => {
                write!(f, "{path} is a repository inside the tree: its files are kept, its history is not")
            }
            LeftOutReason::RefusedByGit(words) => write!(f, "git refuses a path: {words}"),
        }
    }
}

/// Paths found by a walk over which git stumbles.
#[derive(Debug, Default)]
pub(super) struct TreeSurvey {
    pub(super) embedded: Vec<GitPath>,
    pub(super) special: Vec<GitPath>,
    pub(super) huge: Vec<(GitPath, u64)>,
}

/// Walks without following links. Folders and files without the owner's rights get them back.
pub(super) fn survey(tree: &Path) -> TreeSurvey {
    let mut found = TreeSurvey::default();
    open_up(tree);
    let mut walk = WalkDir::new(tree).min_depth(1).follow_links(false).into_iter();
    while let Some(entry) = walk.next() {
        let Ok(entry) = entry else { continue };
        let Ok(path) = entry.path().strip_prefix(tree) else { continue };
        let bytes = path.as_os_str().as_bytes();
        let kind = entry.file_type();
        if entry.file_name() == ".git" {
            if entry.depth() > 1 {
                found.embedded.push(GitPath::new(&bytes[..bytes.len() - "/.git".len()]));
            }
            if kind.is_dir() {
                walk.skip_current_dir();
            }
        } else if kind.is_file() {
            let Ok(about) = entry.metadata() else { continue };
            if about.len() > FILE_LIMIT {
                found.huge.push((GitPath::new(bytes), about.len()));
            }
        } else if !kind.is_dir() && !kind.is_symlink() {
            found.special.push(GitPath::new(bytes));
        }
    }
    found
}

/// Gives the owner back the rights to list folders and read files; an agent's `chmod 000` must not hide files
/// from git. A folder gets its rights before it is read; a plain walk would read first.
fn open_up(tree: &Path) {
    let mut waiting = vec![tree.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            let needs = match about.file_type() {
                kind if kind.is_dir() => 0o700,
                kind if kind.is_file() => 0o400,
                _ => continue,
            };
            let mode = about.permissions().mode();
            if mode & needs != needs {
                let permissions = std::fs::Permissions::from_mode(mode & 0o7777 | needs);
                // Another user's file stays unreadable, and git then names it.
                drop(std::fs::set_permissions(entry.path(), permissions));
            }
            if about.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
}

/// Makes the index of `git` (a git directory with a working tree) equal to the tree.
pub(super) fn add_everything(
    git: &dyn Fn() -> GitCommand,
    tree: &Path,
    index: &Path,
) -> Result<Vec<LeftOutPath>, GitFailure> {
    match git().args(["add", "-A"]).patience(FIRST_PATIENCE).answer() {
        Ok(GitAnswer { code: 0, stderr, .. }) if stderr.is_empty() => return Ok(Vec::new()),
        Ok(answer) if answer.stderr.contains("index file") => forget(index),
        Ok(_) | Err(GitFailure::Patience { .. }) => {}
        Err(failure) => return Err(failure),
    }
    forget(&index.with_extension("lock"));
    add_with_care(git, tree)
}

fn forget(file: &Path) {
    // A missing file is fine; any other error shows at git's next run.
    drop(std::fs::remove_file(file));
}

fn add_with_care(git: &dyn Fn() -> GitCommand, tree: &Path) -> Result<Vec<LeftOutPath>, GitFailure> {
    let found = survey(tree);
    let mut left_out = Vec::new();
    for path in &found.special {
        left_out.push(LeftOutPath { path: path.clone(), reason: LeftOutReason::Special });
        if READ_BY_GIT.contains(&path.file_name()) {
            forget(&tree.join(path.as_path()));
        }
    }
    // An entry whose file became a FIFO is an error to git, not a deletion.
    remove_entries(git, &found.special)?;
    let embedded = not_ignored(git, &found.embedded)?;
    remove_entries(git, &embedded)?;
    for folder in &embedded {
        open_embedded(git, tree, folder)?;
        left_out.push(LeftOutPath { path: folder.clone(), reason: LeftOutReason::EmbeddedHistory });
    }
    let mut pathspec = b".\0".to_vec();
    for (path, bytes) in found.huge {
        pathspec.extend(b":(exclude,literal)");
        pathspec.extend(path.as_bytes());
        pathspec.push(0);
        left_out.push(LeftOutPath { path, reason: LeftOutReason::TooLarge(bytes) });
    }
    let answer = git()
        .args(["add", "-A", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"])
        .input(pathspec)
        .patience(ADD_PATIENCE)
        .answer()?;
    if answer.code > 1 {
        return Err(GitFailure::Exit {
            command: "add -A".to_owned(),
            code: answer.code,
            complaint: answer.stderr,
        });
    }
    let complaints = answer.stderr.lines().filter_map(|line| {
        line.strip_prefix("error: ")
            .or_else(|| line.strip_prefix("warning: ").filter(|l| l.starts_with("could not")))
    });
    for line in complaints {
        let reason = LeftOutReason::RefusedByGit(line.to_owned());
        left_out.push(LeftOutPath { path: GitPath::new(""), reason });
    }
    // A repository without files is still added as a link.
    remove_entries(git, &embedded)?;
    Ok(left_out)
}

/// git enters the folder of another repository once the index has a file there.
fn open_embedded(git: &dyn Fn() -> GitCommand, tree: &Path, folder: &GitPath) -> Result<(), GitFailure> {
    let walk = WalkDir::new(tree.join(folder.as_path())).min_depth(1).follow_links(false).into_iter();
    let files: Vec<GitPath> = walk
        .filter_entry(|entry| entry.file_name() != ".git")
        .flatten()
        .filter(|entry| entry.file_type().is_file() || entry.file_type().is_symlink())
        .filter_map(|entry| {
            entry.path().strip_prefix(tree).ok().map(|path| GitPath::new(path.as_os_str().as_bytes()))
        })
        .take(SEEDS)
        .collect();
    let Some(seed) = not_ignored(git, &files)?.into_iter().next() else { return Ok(()) };
    git().args(["update-index", "--add", "-z", "--stdin"]).input(joined(&[seed])).answer()?;
    Ok(())
}

/// The paths that no ignore rule of the tree matches.
pub(super) fn not_ignored(
    git: &dyn Fn() -> GitCommand,
    paths: &[GitPath],
) -> Result<Vec<GitPath>, GitFailure> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let answer = git().args(["check-ignore", "--no-index", "-z", "--stdin"]).input(joined(paths)).answer()?;
    let ignored: std::collections::BTreeSet<&[u8]> = answer.stdout.split(|b| *b == 0).collect();
    Ok(paths.iter().filter(|path| !ignored.contains(path.as_bytes())).cloned().collect())
}

/// Takes these exact entries out of the index; files below a path of that name stay.
pub(super) fn remove_entries(git: &dyn Fn() -> GitCommand, paths: &[GitPath]) -> Result<(), GitFailure> {
    if paths.is_empty() {
        return Ok(());
    }
    git().args(["update-index", "--force-remove", "-z", "--stdin"]).input(joined(paths)).run().map(drop)
}

pub(super) fn joined(paths: &[GitPath]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.as_bytes().iter().copied().chain([0])).collect()
}
