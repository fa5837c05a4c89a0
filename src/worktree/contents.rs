//! Single files out of a commit, and the repository for tasks that name none. Failure policy: a file missing
//! in the commit is no error; contents are read as git stores them, without any filter.

use std::io;
use std::path::Path;

use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, GitPath};
use super::tree::WorkTree;

/// Largest file that is read into memory: larger files are data, which no rule reads.
const MAX_CONTENT: usize = 8 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitContent {
    Absent,
    Regular {
        bytes: Vec<u8>,
        is_executable: bool,
    },
    /// A link, a submodule, or a file that is too large to be read.
    Other,
}

impl WorkTree {
    /// The file of that path in a commit.
    ///
    /// # Errors
    /// git's.
    pub fn content_at(&self, commit: &CommitId, path: &GitPath) -> Result<CommitContent, GitFailure> {
        let git = || GitCommand::at(&self.layout.git());
        let mut list = git().args(["ls-tree", "-z", "-l", commit.as_str(), "--"]);
        list = list.arg(path.as_path());
        let listed = list.run()?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // `<mode> blob <object> <size>\t<path>`; empty without such a file.
        let Some((facts, _)) = listed.split_once('\t') else { return Ok(CommitContent::Absent) };
        let mut facts = facts.split_whitespace();
        let (mode, kind, object, size) = (facts.next(), facts.next(), facts.next(), facts.next());
        let is_small =
            size.and_then(|size| size.parse::<usize>().ok()).is_some_and(|size| size <= MAX_CONTENT);
        match (mode, kind, object) {
            (Some(mode @ ("100644" | "100755")), Some("blob"), Some(object)) if is_small => {
                let bytes = git().args(["cat-file", "blob", object]).run()?;
                Ok(CommitContent::Regular { bytes, is_executable: mode == "100755" })
            }
            _ => Ok(CommitContent::Other),
        }
    }
}

/// Makes a repository with one empty commit, unless one exists.
///
/// # Errors
/// git's, or the file system's.
pub fn empty_repository(folder: &Path) -> Result<(), EmptyRepositoryError> {
    if folder.join(".git/refs/heads/main").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let git = |args: &[&str]| GitCommand::at(&folder.join(".git")).args(args);
    git(&["init", "--quiet", "--initial-branch=main"]).run()?;
    let tree = git(&["hash-object", "-t", "tree", "-w", "--stdin"]).input(Vec::new()).line()?;
    let mut commit = git(&["commit-tree", &tree, "-m", "An empty start"]);
    for (name, value) in [
        ("GIT_AUTHOR_NAME", "PAS"),
        ("GIT_AUTHOR_EMAIL", "pas@localhost"),
        ("GIT_COMMITTER_NAME", "PAS"),
        ("GIT_COMMITTER_EMAIL", "pas@localhost"),
    ] {
        commit = commit.env(name, value);
    }
    let commit = commit.line()?;
    git(&["update-ref", "refs/heads/main", &commit]).run()?;
    Ok(())
}

/// Why no empty repository could be made.
#[derive(Debug, thiserror::Error)]
pub enum EmptyRepositoryError {
    #[error(transparent)]
    Git(#[from] GitFailure),
    #[error("the folder of an empty repository cannot be made: {0}")]
    Folder(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceRepository, TreeName};

    #[test]
    fn an_empty_repository_can_be_worked_on_and_holds_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("empty");
        empty_repository(&folder).unwrap();
        empty_repository(&folder).unwrap();
        let source = SourceRepository::inspect(&folder, None).unwrap();
        let name = TreeName::new("run", "main").unwrap();
        let tree = WorkTree::create(&dir.path().join("trees"), &name, &source).unwrap();
        let absent = tree.content_at(&tree.base().clone(), &GitPath::new("a.txt")).unwrap();
        assert_eq!(absent, CommitContent::Absent);
    }
}
