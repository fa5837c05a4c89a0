//! Takes a writer's sealed commit into the manager's tree, and takes the last one back. Failure policy:
//! conflicts are data and change nothing; repeating a call with the same order completes one that was cut
//! off.

use super::difficult::add_everything;
use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, GitPath, TreeId};
use super::seal::{SealOrder, commit_tree};
use super::tree::{TreeError, WorkTree};

const TAKING: &str = "refs/pas/taking";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictedFile {
    pub path: GitPath,
    /// git's words, such as `CONFLICT (content): …`.
    pub words: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceOutcome {
    /// The manager's tree is at this commit now.
    Taken(CommitId),
    /// The manager's tree already has the whole piece.
    AlreadyIn,
    Conflicts(Vec<ConflictedFile>),
}

/// Takes `piece`, a commit of `writer`'s tree, on top of `order.parent`, the manager's present commit.
pub fn take_piece(
    manager: &WorkTree,
    writer: &WorkTree,
    piece: &CommitId,
    order: &SealOrder,
) -> Result<PieceOutcome, TreeError> {
    let _alone = manager.lock()?;
    bring_objects(manager, writer, piece)?;
    let merged = match merge_trees(manager, &order.parent, piece)? {
        Ok(tree) => tree,
        Err(conflicts) => return Ok(PieceOutcome::Conflicts(conflicts)),
    };
    if merged == tree_of(manager, &order.parent)? {
        return Ok(PieceOutcome::AlreadyIn);
    }
    let commit = commit_tree(manager, order, &merged)?;
    if manager.read_ref(TAKING).as_ref() != Some(&commit) {
        require_sealed(manager, &[&order.parent, &commit])?;
        manager.write_ref(TAKING, &commit)?;
    }
    switch(manager, &commit)?;
    let number = taken(manager).last().map_or(0, |(number, _)| number + 1);
    if taken(manager).last().is_none_or(|(_, last)| *last != commit) {
        manager.write_ref(&format!("refs/pas/taken/{number}"), &commit)?;
    }
    forget_ref(manager, TAKING)?;
    manager.snapshot_alone("took a piece in")?;
    Ok(PieceOutcome::Taken(commit))
}

/// Restores the manager's tree to its state before the last piece; returns the commit reached.
pub fn roll_back_last(manager: &WorkTree) -> Result<CommitId, TreeError> {
    let _alone = manager.lock()?;
    let taken = taken(manager);
    let Some((number, commit)) = taken.last() else { return Err(TreeError::NothingTaken) };
    let parent = manager.raw_git().args(["rev-parse", "--verify"]).arg(format!("{commit}^1")).line()?;
    let parent = manager.parse_commit(&parent)?;
    // A roll-back that was cut off leaves this mark, and files of both sides.
    if manager.read_ref(TAKING).as_ref() != Some(&parent) {
        require_sealed(manager, &[commit, &parent])?;
        manager.write_ref(TAKING, &parent)?;
    }
    switch(manager, &parent)?;
    forget_ref(manager, &format!("refs/pas/taken/{number}"))?;
    forget_ref(manager, TAKING)?;
    manager.snapshot_alone("rolled a piece back")?;
    Ok(parent)
}

fn taken(manager: &WorkTree) -> Vec<(u64, CommitId)> {
    let folder =
        std::fs::read_dir(manager.layout.git().join("refs/pas/taken")).into_iter().flatten().flatten();
    let numbers = folder.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let mut found: Vec<_> =
        numbers.filter_map(|n| Some((n, manager.read_ref(&format!("refs/pas/taken/{n}"))?))).collect();
    found.sort_unstable();
    found
}

fn forget_ref(manager: &WorkTree, name: &str) -> Result<(), TreeError> {
    match std::fs::remove_file(manager.layout.git().join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(manager.trouble()(error)),
        _ => Ok(()),
    }
}

/// The manager's tree must not depend on the writer's, which is removed first.
fn bring_objects(manager: &WorkTree, writer: &WorkTree, piece: &CommitId) -> Result<(), TreeError> {
    let range = format!("{piece}\n^{}\n", writer.base()).into_bytes();
    let git = GitCommand::at(&writer.layout.git());
    let pack = git.args(["pack-objects", "--revs", "--stdout", "-q"]).input(range).run()?;
    let git = GitCommand::at(&manager.layout.git());
    git.args(["index-pack", "--stdin", "--fix-thin", "--strict"]).input(pack).run()?;
    Ok(())
}

fn tree_of(manager: &WorkTree, commit: &CommitId) -> Result<TreeId, TreeError> {
    let line = manager.raw_git().args(["rev-parse", "--verify"]).arg(format!("{commit}^{{tree}}")).line()?;
    manager.parse_tree(&line)
}

pub(super) fn merge_trees(
    manager: &WorkTree,
    ours: &CommitId,
    theirs: &CommitId,
) -> Result<Result<TreeId, Vec<ConflictedFile>>, TreeError> {
    let git = GitCommand::at(&manager.layout.plain())
        .env("GIT_OBJECT_DIRECTORY", manager.layout.git().join("objects"));
    let answer = git
        .args(["merge-tree", "--write-tree", "-z", "--name-only", ours.as_str(), theirs.as_str()])
        .answer()?;
    let mut fields = answer.stdout.split(|b| *b == 0);
    let tree = String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
    match answer.code {
        0 => Ok(Ok(manager.parse_tree(&tree)?)),
        1 => Ok(Err(parse_conflicts(&mut fields))),
        code => {
            let command = "merge-tree --write-tree".to_owned();
            Err(GitFailure::Exit { command, code, complaint: answer.stderr }.into())
        }
    }
}

/// Paths, an empty field, then messages: count, that many paths, a short name, the text.
fn parse_conflicts<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Vec<ConflictedFile> {
    let mut files: Vec<ConflictedFile> = fields
        .by_ref()
        .take_while(|field| !field.is_empty())
        .map(|path| ConflictedFile { path: GitPath::new(path), words: Vec::new() })
        .collect();
    files.dedup_by(|a, b| a.path == b.path);
    while let Some(count) =
        fields.next().and_then(|field| std::str::from_utf8(field).ok()?.parse::<usize>().ok())
    {
        let paths: Vec<&[u8]> = fields.by_ref().take(count).collect();
        let words = fields.by_ref().nth(1).map(|words| String::from_utf8_lossy(words).trim().to_owned());
        let Some(words) = words.filter(|words| words.starts_with("CONFLICT")) else { continue };
        for file in files.iter_mut().filter(|file| paths.contains(&file.path.as_bytes())) {
            file.words.push(words.clone());
        }
    }
    files
}

/// Switching files would lose work that is in no commit.
fn require_sealed(manager: &WorkTree, allowed: &[&CommitId]) -> Result<(), TreeError> {
    let index = manager.layout.plain().join("index");
    drop(std::fs::remove_file(index.with_extension("lock")));
    add_everything(&|| manager.plain_git(), &manager.layout.tree(), &index)?;
    let found = manager.plain_git().arg("write-tree").line()?;
    for commit in allowed {
        if tree_of(manager, commit)?.as_str() == found {
            return Ok(());
        }
    }
    Err(TreeError::Unsealed)
}

/// Files, and the agent's branch and index with them.
pub(super) fn switch(manager: &WorkTree, commit: &CommitId) -> Result<(), TreeError> {
    let index = manager.layout.plain().join("index");
    drop(std::fs::remove_file(index.with_extension("lock")));
    manager.plain_git().args(["read-tree", "-u", "--reset", commit.as_str()]).run()?;
    manager.mend()?;
    manager.write_agent_branch(commit)?;
    let bytes = std::fs::read(&index).map_err(manager.trouble())?;
    let target = manager.layout.agent().join("index");
    super::layout::replace_agent_file(&manager.layout, &target, &bytes).map_err(manager.trouble())
}
