//! Looks at the person's checkout through a temporary git directory with a copy of the index, so that the
//! person's index, object store and settings take no part, and commits uncommitted work there. Failure
//! policy: the checkout is only read; a copy that cannot be made is an error.

use std::path::{Path, PathBuf};

use super::git::GitCommand;
use super::ids::CommitId;
use super::layout::{GitDirPlan, make_git_dir};
use super::source::{SourceError, SourceRepository};
use super::source_folder::exclude_rules;

/// The uncommitted work that a change starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UncommittedScope {
    /// Changes of tracked files, as `git stash` takes them.
    Tracked,
    /// New files too, except ignored ones.
    TrackedAndNew,
}

/// A read-only view of the person's checkout.
pub(super) struct CheckoutView {
    folder: tempfile::TempDir,
    checkout: PathBuf,
}

impl CheckoutView {
    /// None for a bare repository.
    pub(super) fn open(source: &SourceRepository) -> Result<Option<Self>, SourceError> {
        let Some(checkout) = source.found.checkout.clone() else { return Ok(None) };
        let trouble = |path: &Path| {
            let path = path.to_owned();
            move |source| SourceError::Folder { path, source }
        };
        let folder = tempfile::tempdir().map_err(trouble(&std::env::temp_dir()))?;
        let git_dir = folder.path().join("git");
        let plan = GitDirPlan {
            alternates: &source.object_stores,
            shallow: source.shallow.as_deref(),
            object_format: &source.object_format,
            exclude: Some(exclude_rules(&source.found.common_dir)),
            raw: false,
        };
        make_git_dir(&git_dir, &plan).map_err(trouble(&git_dir))?;
        copy_index(&source.found.git_dir, &git_dir).map_err(trouble(&source.found.git_dir))?;
        let head =
            GitCommand::at(&source.found.git_dir).args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
        if let Some(head) = CommitId::parse(String::from_utf8_lossy(&head.answer()?.stdout).trim()) {
            std::fs::write(git_dir.join("HEAD"), format!("{head}\n")).map_err(trouble(&git_dir))?;
        }
        Ok(Some(Self { folder, checkout }))
    }

    fn git_dir(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    pub(super) fn git(&self) -> GitCommand {
        GitCommand::at(&self.git_dir()).work_tree(&self.checkout)
    }

    /// A commit of the present checkout, on top of HEAD, with the objects packed for another store.
    pub(super) fn commit(&self, scope: UncommittedScope) -> Result<UncommittedWork, SourceError> {
        let add = match scope {
            UncommittedScope::Tracked => "-u",
            UncommittedScope::TrackedAndNew => "-A",
        };
        self.git().args(["add", "--ignore-errors", add]).answer()?;
        let tree = self.git().args(["write-tree"]).line()?;
        let head = self.git().args(["rev-parse", "--verify", "HEAD"]).line()?;
        let message = b"Uncommitted work that the change started with\n".to_vec();
        let commit = self.git().args(["commit-tree", &tree, "-p", &head]).input(message).line()?;
        let commit = CommitId::parse(&commit).ok_or(SourceError::NoCommit(self.checkout.clone()))?;
        let range = format!("{commit}\n^{head}\n").into_bytes();
        let pack =
            self.git().args(["pack-objects", "--revs", "--stdout", "--local", "-q"]).input(range).run()?;
        Ok(UncommittedWork { commit, pack })
    }
}

pub(super) struct UncommittedWork {
    pub(super) commit: CommitId,
    pub(super) pack: Vec<u8>,
}

/// A split index has its larger part in a second file.
fn copy_index(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)?.flatten() {
        let name = entry.file_name();
        if name == "index" || name.to_string_lossy().starts_with("sharedindex.") {
            std::fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
