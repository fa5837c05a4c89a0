//! Begins a tree with the files of another tree's snapshot, so that unfinished work goes on. Objects are copied, never
//! borrowed: the other tree may go afterwards. Failure policy: a take-up that was cut off is done again from its start;
//! conflicts with another base are data.

use std::path::Path;

use super::git::GitCommand;
use super::ids::{CommitId, TreeName};
use super::merge::{ConflictedFile, merge_trees, switch};
use super::seal::{SealOrder, commit_tree, seal};
use super::source::SourceRepository;
use super::tree::{TreeError, WorkTree};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeUpOutcome {
    /// The tree has the snapshot's files, on its own base.
    Begun,
    /// The tree's base has changed in the same places.
    Conflicts(Vec<ConflictedFile>),
}

impl WorkTree {
    /// As [`WorkTree::create`], at the base of another tree of the same repository. A base that only that tree has (a
    /// commit of uncommitted work) comes along.
    pub fn create_at_base_of(
        root: &Path,
        name: &TreeName,
        source: &SourceRepository,
        from: &WorkTree,
    ) -> Result<Self, TreeError> {
        let base = from.base();
        let mut plan = Self::plan_of(name, source, base)?;
        // Counted for the source's own base, which may be another.
        plan.census = None;
        if !has_commit(GitCommand::at(&source.found.git_dir), base)? {
            plan.pack = Some(pack_of(from, &own_range(base))?);
        }
        Self::make(root, &plan)
    }

    /// Whether it was made from that repository.
    pub fn is_of(&self, source: &SourceRepository) -> bool {
        Path::new(&self.made.source) == source.common_dir()
    }

    /// The newest snapshot; none where the tree was never used.
    pub fn newest_snapshot(&self) -> Option<CommitId> {
        self.snapshots().pop().map(|(_, commit)| commit)
    }
}

/// Makes the files of `tree` those of `snapshot`, a snapshot of `from`; on another base than that of `from`, the
/// snapshot's changes are merged onto it. `order` signs the commits of that merge; its parent is not read.
pub fn take_up(
    tree: &WorkTree,
    from: &WorkTree,
    snapshot: &CommitId,
    order: &SealOrder,
) -> Result<TakeUpOutcome, TreeError> {
    let peel = from.raw_git().args(["rev-parse", "--verify", "--quiet"]).arg(format!("{snapshot}^{{tree}}"));
    let answer = peel.answer()?;
    if answer.code != 0 {
        return Err(TreeError::NoSnapshot(snapshot.clone()));
    }
    let files = from.parse_tree(String::from_utf8_lossy(&answer.stdout).trim())?;
    let base = from.base();
    {
        let _alone = tree.lock()?;
        if !has_commit(tree.raw_git(), base)? {
            bring(tree, from, &own_range(base))?;
        }
        bring(tree, from, &format!("{snapshot}\n^{base}\n"))?;
        tree.mend()?;
        tree.make_files_equal(files.as_str(), &files)?;
        tree.forget_last_index()?;
        tree.snapshot_alone("taken up")?;
    }
    if tree.base() == base {
        return Ok(TakeUpOutcome::Begun);
    }
    let work = match seal(tree, &SealOrder { parent: base.clone(), ..order.clone() }) {
        Ok(sealed) => sealed.commit,
        Err(TreeError::NothingChanged(base)) => base,
        Err(error) => return Err(error),
    };
    let _alone = tree.lock()?;
    let merged = match merge_trees(tree, tree.base(), &work)? {
        Ok(merged) => merged,
        Err(conflicts) => return Ok(TakeUpOutcome::Conflicts(conflicts)),
    };
    let commit = commit_tree(tree, &SealOrder { parent: tree.base().clone(), ..order.clone() }, &merged)?;
    switch(tree, &commit)?;
    tree.forget_last_index()?;
    tree.snapshot_alone("taken up on another base")?;
    Ok(TakeUpOutcome::Begun)
}

fn has_commit(git: GitCommand, commit: &CommitId) -> Result<bool, TreeError> {
    Ok(git.args(["cat-file", "-e"]).arg(format!("{commit}^{{commit}}")).answer()?.code == 0)
}

/// A commit of uncommitted work: its parent is the person's.
fn own_range(base: &CommitId) -> String {
    format!("{base}\n^{base}^1\n")
}

fn bring(tree: &WorkTree, from: &WorkTree, range: &str) -> Result<(), TreeError> {
    let git = GitCommand::at(&tree.layout.git());
    git.args(["index-pack", "--stdin", "--fix-thin"]).input(pack_of(from, range)?).run()?;
    Ok(())
}

/// Objects that a range of revisions names, and that the far side of it lacks.
fn pack_of(from: &WorkTree, range: &str) -> Result<Vec<u8>, TreeError> {
    let git = GitCommand::at(&from.layout.git());
    let pack = git.args(["pack-objects", "--revs", "--stdout", "-q"]).input(range.as_bytes().to_vec());
    Ok(pack.run()?)
}
