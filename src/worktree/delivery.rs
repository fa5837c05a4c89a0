//! Hands a sealed commit over as a branch of the person's repository. Failure policy: only objects and one
//! branch below `pas/` are written there, by compare-and-swap; a branch that somebody moved is never moved
//! back; delivering twice has the effect of delivering once.

use std::path::{Path, PathBuf};

use super::git::{GitCommand, GitFailure};
use super::ids::CommitId;
use super::tree::{TreeError, WorkTree};

/// Prefix of PAS's branches; all others are the person's.
const PREFIX: &str = "pas/";

#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("{0:?} is no branch name below pas/")]
    BranchName(String),
    #[error("the repository {0} is gone: give its new place, or take change.patch")]
    SourceGone(PathBuf),
    #[error(
        "the branch {branch} is at {found}, where PAS did not put it: rename it, or deliver under another name"
    )]
    BranchMoved { branch: String, found: CommitId },
    #[error("a branch {taken} stands in the way of {branch}: rename it, or deliver under another name")]
    NameTaken { branch: String, taken: String },
    #[error("the branch {branch} is checked out in {place}: switch to another branch there first")]
    CheckedOut { branch: String, place: String },
    #[error("git finds fault with the change and does not take it: {0}")]
    FaultyObjects(String),
    #[error(transparent)]
    Git(#[from] GitFailure),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Created,
    /// An earlier delivery of this tree was replaced.
    Moved,
    AlreadyThere,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredBranch {
    pub branch: String,
    pub commit: CommitId,
    pub repository: PathBuf,
    pub outcome: DeliveryOutcome,
}

/// Makes `branch` (`pas/<run>`) point to the commit. HEAD, index, stash, checkout and tags are left alone.
pub fn deliver(tree: &WorkTree, commit: &CommitId, branch: &str) -> Result<DeliveredBranch, DeliveryError> {
    let _alone = tree.lock()?;
    let repository = PathBuf::from(&tree.made.source);
    check_branch(branch, &repository)?;
    let full = format!("refs/heads/{branch}");
    let found = ref_of(&repository, &full)?;
    let ours = tree.read_ref("refs/pas/delivered");
    let outcome = match &found {
        Some(found) if found == commit => DeliveryOutcome::AlreadyThere,
        Some(found) if Some(found) != ours.as_ref() => {
            return Err(DeliveryError::BranchMoved { branch: branch.to_owned(), found: found.clone() });
        }
        Some(_) => DeliveryOutcome::Moved,
        None => DeliveryOutcome::Created,
    };
    if outcome != DeliveryOutcome::AlreadyThere {
        if found.is_some() {
            refuse_checked_out(&repository, branch)?;
        }
        bring_objects(tree, &repository, commit)?;
        move_branch(&repository, branch, commit, found.as_ref())?;
    }
    tree.write_ref("refs/pas/delivered", commit)?;
    Ok(DeliveredBranch { branch: branch.to_owned(), commit: commit.clone(), repository, outcome })
}

/// The change for `git apply --index`, with binary files.
pub fn change_patch(tree: &WorkTree, from: &CommitId, to: &CommitId) -> Result<Vec<u8>, TreeError> {
    let git = GitCommand::at(&tree.layout.git()).args(["diff-tree", "-r", "-p", "--binary", "--full-index"]);
    Ok(git.args(["--no-ext-diff", "--no-textconv", "--no-color", from.as_str(), to.as_str()]).run()?)
}

fn check_branch(branch: &str, repository: &Path) -> Result<(), DeliveryError> {
    let wrong = || DeliveryError::BranchName(branch.to_owned());
    let name = branch.strip_prefix(PREFIX).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
    if name.contains('\0') {
        return Err(wrong());
    }
    if !repository.join("HEAD").exists() {
        return Err(DeliveryError::SourceGone(repository.to_owned()));
    }
    let check =
        GitCommand::at(repository).args(["check-ref-format"]).arg(format!("refs/heads/{branch}")).answer()?;
    if check.code == 0 { Ok(()) } else { Err(wrong()) }
}

fn ref_of(repository: &Path, name: &str) -> Result<Option<CommitId>, GitFailure> {
    let answer = GitCommand::at(repository).args(["rev-parse", "--verify", "--quiet", name]).answer()?;
    Ok(CommitId::parse(String::from_utf8_lossy(&answer.stdout).trim()))
}

fn refuse_checked_out(repository: &Path, branch: &str) -> Result<(), DeliveryError> {
    let list = GitCommand::at(repository).args(["worktree", "list", "--porcelain"]).line()?;
    let mut place = String::new();
    for line in list.lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            path.clone_into(&mut place);
        }
        if line.strip_prefix("branch refs/heads/") == Some(branch) {
            return Err(DeliveryError::CheckedOut { branch: branch.to_owned(), place });
        }
    }
    Ok(())
}

/// Without a destination, a fetch brings objects only, which are checked on the way in.
fn bring_objects(tree: &WorkTree, repository: &Path, commit: &CommitId) -> Result<(), DeliveryError> {
    tree.write_ref("refs/pas/deliver", commit)?;
    let answer = GitCommand::at(repository)
        .setting("fetch.fsckObjects=true")
        .setting("transfer.fsckObjects=true")
        .setting("fetch.writeCommitGraph=false")
        .setting("fetch.prune=false")
        .setting("fetch.recurseSubmodules=false")
        .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
        .args(["--no-recurse-submodules", "--no-prune", "--refmap="])
        .arg(tree.layout.git())
        .arg("refs/pas/deliver")
        .answer()?;
    match answer.code {
        0 => Ok(()),
        _ if answer.stderr.contains("fsck") || answer.stderr.contains("error in") => {
            Err(DeliveryError::FaultyObjects(answer.stderr))
        }
        code => {
            let command = "fetch refs/pas/deliver".to_owned();
            Err(GitFailure::Exit { command, code, complaint: answer.stderr }.into())
        }
    }
}

fn move_branch(
    repository: &Path,
    branch: &str,
    commit: &CommitId,
    found: Option<&CommitId>,
) -> Result<(), DeliveryError> {
    let none = "0".repeat(commit.as_str().len());
    let full = format!("refs/heads/{branch}");
    let before = found.map_or(none.as_str(), CommitId::as_str);
    let answer = GitCommand::at(repository)
        .args(["update-ref", "-m", "pas: delivered", full.as_str(), commit.as_str(), before])
        .answer()?;
    if answer.code == 0 {
        return Ok(());
    }
    let branch = branch.to_owned();
    match ref_of(repository, &full)? {
        // By the git of a daemon that was killed while it delivered.
        Some(now) if now == *commit => return Ok(()),
        Some(now) if Some(&now) != found => return Err(DeliveryError::BranchMoved { branch, found: now }),
        Some(_) | None => {}
    }
    let list =
        GitCommand::at(repository).args(["for-each-ref", "--format=%(refname)", "refs/heads/pas"]).line()?;
    let in_the_way =
        |name: &&str| full.starts_with(&format!("{name}/")) || name.starts_with(&format!("{full}/"));
    if let Some(taken) = list.lines().find(in_the_way) {
        let taken = taken.trim_start_matches("refs/heads/").to_owned();
        return Err(DeliveryError::NameTaken { branch, taken });
    }
    let command = "update-ref".to_owned();
    Err(GitFailure::Exit { command, code: answer.code, complaint: answer.stderr }.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestPerson;
    use super::*;

    /// The git of a killed daemon moves the branch between this daemon's look and its own move.
    #[test]
    fn a_branch_that_is_already_moved_to_the_commit_is_delivered() {
        let person = TestPerson::with(&[("a", "1")]);
        let commit = CommitId::parse(person.git(&["rev-parse", "main"]).trim()).unwrap();
        let repository = person.repo().join(".git");
        move_branch(&repository, "pas/run", &commit, None).unwrap();
        move_branch(&repository, "pas/run", &commit, None).unwrap();
        person.write("a", "2");
        person.commit("second");
        let next = CommitId::parse(person.git(&["rev-parse", "main"]).trim()).unwrap();
        let refused = move_branch(&repository, "pas/run", &next, None).unwrap_err();
        assert!(
            matches!(&refused, DeliveryError::BranchMoved { found, .. } if *found == commit),
            "{refused}"
        );
    }
}
