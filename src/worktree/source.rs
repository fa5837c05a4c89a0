//! Looks at the person's repository before anything is made: the commit that a change starts from, and
//! limitations that a person should know. Failure policy: reads only; an obstacle is a [`SourceError`] that
//! names a remedy, a mere limitation is a [`SourceRemark`].

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::git::{GitCommand, GitFailure};
use super::ids::CommitId;
use super::source_census::{SourceCensus, count_files, count_uncommitted};
use super::source_folder::{FoundRepository, find_repository, object_stores};

/// A snapshot of more files takes longer than a model's answer.
pub(super) const MANY_FILES: u64 = 200_000;
/// Borrowing objects is free, but checkouts and proofs in fresh trees are not.
pub(super) const LARGE_REPOSITORY: u64 = 2 << 30;
/// Enough to find the name that was meant.
const NAMED_BRANCHES: usize = 8;
/// The oldest with `merge-tree --write-tree`.
const OLDEST_GIT: (u32, u32) = (2, 38);

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0} does not exist: give the path of a git repository")]
    NotThere(PathBuf),
    #[error("{0} is not a git repository: run `git init` and commit there, or give another path")]
    NotARepository(PathBuf),
    #[error("{0} has no commit yet: commit something first (`git add -A && git commit`)")]
    NoCommit(PathBuf),
    #[error("there is no commit {base:?} in {repository}{}", hint(.near))]
    BaseMissing { base: String, repository: PathBuf, near: Vec<String> },
    #[error(
        "{missing} objects of the base are not in this partial clone: run `git fetch --refetch --no-filter` in {repository}"
    )]
    PartialClone { missing: usize, repository: PathBuf },
    #[error("git {found} is too old: 2.38 or newer is needed")]
    GitTooOld { found: String },
    #[error("{path} cannot be used: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Git(#[from] GitFailure),
}

fn hint(near: &[String]) -> String {
    if near.is_empty() {
        return ": it has no branches".to_owned();
    }
    format!(": it has {}; `git fetch` brings in what only the server has", near.join(", "))
}

/// A part of the repository that the change will lack, or that will be slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceRemark {
    Bare,
    Shallow,
    Submodules(usize),
    LargeFileStorage(usize),
    Uncommitted { changed: usize, untracked: usize },
    ManyFiles(u64),
    LargeRepository(u64),
    NamesNotUtf8(usize),
    LinksLeadingOut(usize),
    OtherOwner { owner: u32 },
}

impl fmt::Display for SourceRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => {
                write!(f, "the repository is bare: the change starts from the base named, or its HEAD")
            }
            Self::Shallow => write!(f, "the clone is shallow: older history is not there for agents either"),
            Self::Submodules(n) => {
                write!(f, "{n} submodules stay empty folders; their files cannot be changed")
            }
            Self::LargeFileStorage(n) => {
                write!(f, "{n} files are in Git LFS: agents and proofs see their pointers")
            }
            Self::Uncommitted { changed, untracked } => write!(
                f,
                "{changed} changed and {untracked} untracked entries are not committed and not part of the change \
                 (--with-uncommitted takes changed files along)"
            ),
            Self::ManyFiles(n) => {
                write!(f, "{n} files, more than {MANY_FILES}: it works, but every tool call takes longer")
            }
            Self::LargeRepository(bytes) => {
                write!(f, "the repository has {} MiB: history is borrowed, not copied", bytes >> 20)
            }
            Self::NamesNotUtf8(n) => write!(f, "{n} file names are no UTF-8: tools show them escaped"),
            Self::LinksLeadingOut(n) => {
                write!(f, "{n} links lead out of the tree: inside the sandbox they lead nowhere")
            }
            Self::OtherOwner { owner } => {
                write!(
                    f,
                    "the repository belongs to user {owner}: delivered files will belong to the daemon's user"
                )
            }
        }
    }
}

/// A repository with the commit that a change starts from.
#[derive(Clone, Debug)]
pub struct SourceRepository {
    pub(super) found: FoundRepository,
    pub(super) object_stores: Vec<PathBuf>,
    pub(super) object_format: String,
    pub(super) shallow: Option<Vec<u8>>,
    pub(super) census: SourceCensus,
    base: CommitId,
    remarks: Vec<SourceRemark>,
}

impl SourceRepository {
    /// `base` is anything that names a commit; `None`: HEAD.
    pub fn inspect(path: &Path, base: Option<&str>) -> Result<Self, SourceError> {
        check_version()?;
        let path = path.canonicalize().map_err(|_| SourceError::NotThere(path.to_owned()))?;
        let found = find_repository(&path).ok_or(SourceError::NotARepository(path))?;
        let git = |args: &[&str]| GitCommand::at(&found.git_dir).args(args);
        let object_format = git(&["rev-parse", "--show-object-format"]).line()?;
        let base = resolve_base(&found, base)?;
        refuse_missing_objects(&found, &base)?;
        let census = count_files(&found.git_dir, &base)?;
        let object_stores = object_stores(&found.common_dir);
        let shallow = std::fs::read(found.common_dir.join("shallow")).ok().filter(|text| !text.is_empty());
        let mut remarks = census.remarks();
        if found.checkout.is_none() {
            remarks.insert(0, SourceRemark::Bare);
        }
        if shallow.is_some() {
            remarks.push(SourceRemark::Shallow);
        }
        let bytes = bytes_of_packs(&object_stores);
        if bytes > LARGE_REPOSITORY {
            remarks.push(SourceRemark::LargeRepository(bytes));
        }
        if let Ok(about) = found.common_dir.metadata()
            && about.uid() != rustix::process::geteuid().as_raw()
        {
            remarks.push(SourceRemark::OtherOwner { owner: about.uid() });
        }
        let mut source = Self { found, object_stores, object_format, shallow, census, base, remarks };
        if let Some(uncommitted) = count_uncommitted(&source)? {
            source.remarks.push(uncommitted);
        }
        Ok(source)
    }

    pub fn base(&self) -> &CommitId {
        &self.base
    }

    pub fn remarks(&self) -> &[SourceRemark] {
        &self.remarks
    }

    pub fn files(&self) -> u64 {
        self.census.files
    }

    /// The directory with refs and objects, into which a result is delivered.
    pub fn common_dir(&self) -> &Path {
        &self.found.common_dir
    }

    pub fn checkout(&self) -> Option<&Path> {
        self.found.checkout.as_deref()
    }
}

fn check_version() -> Result<(), SourceError> {
    let line = GitCommand::at(Path::new("/nonexistent")).arg("--version").line()?;
    let found = line.strip_prefix("git version ").unwrap_or(&line);
    let mut parts = found.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < OLDEST_GIT {
        return Err(SourceError::GitTooOld { found: found.to_owned() });
    }
    Ok(())
}

fn resolve_base(found: &FoundRepository, base: Option<&str>) -> Result<CommitId, SourceError> {
    let git_dir = &found.git_dir;
    let place = || found.checkout.clone().unwrap_or_else(|| git_dir.clone());
    let wanted = base.unwrap_or("HEAD");
    let missing = || -> Result<SourceError, SourceError> {
        let names = GitCommand::at(git_dir).args(["for-each-ref", "--format=%(refname:short)"]);
        let near = names.args(["--count=8", "refs/heads", "refs/tags", "refs/remotes"]).line()?;
        let near = near.lines().take(NAMED_BRANCHES).map(str::to_owned).collect();
        Ok(SourceError::BaseMissing { base: wanted.to_owned(), repository: place(), near })
    };
    // A name that starts with a dash would be an option to git; no ref can.
    if wanted.is_empty() || wanted.starts_with('-') || wanted.contains('\0') {
        return Err(missing()?);
    }
    let answer = GitCommand::at(git_dir)
        .args(["rev-parse", "--verify", "--quiet"])
        .arg(format!("{wanted}^{{commit}}"))
        .answer()?;
    match CommitId::parse(String::from_utf8_lossy(&answer.stdout).trim()) {
        Some(commit) if answer.code == 0 => Ok(commit),
        _ if base.is_none() => Err(SourceError::NoCommit(place())),
        _ => Err(missing()?),
    }
}

/// A partial clone fetches missing objects lazily, which the daemon must not cause.
fn refuse_missing_objects(found: &FoundRepository, base: &CommitId) -> Result<(), SourceError> {
    let promisor = GitCommand::at(&found.git_dir)
        .args(["config", "--local", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"])
        .answer()?;
    if promisor.code != 0 {
        return Ok(());
    }
    let list = GitCommand::at(&found.git_dir)
        .args(["rev-list", "--objects", "--no-walk", "--missing=print", base.as_str()])
        .run()?;
    let missing = list.split(|b| *b == b'\n').filter(|line| line.starts_with(b"?")).count();
    if missing == 0 {
        return Ok(());
    }
    Err(SourceError::PartialClone { missing, repository: found.common_dir.clone() })
}

fn bytes_of_packs(stores: &[PathBuf]) -> u64 {
    let packs = stores.iter().filter_map(|store| std::fs::read_dir(store.join("pack")).ok());
    packs.flatten().flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}
