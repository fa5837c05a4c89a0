//! A fresh tree of one commit, in which a proof runs: no agent has touched any file. Failure policy: an
//! existing tree of that name is removed first, as a proof must not start from leftovers.

use std::path::Path;

use super::ids::{CommitId, TreeName};
use super::removal::remove_tree;
use super::tree::{TreeError, WorkTree};

/// A tree like any other (own git directory, snapshots show what a proof changed), made anew at `commit` of
/// `from`, and borrowing the objects of `from`.
pub fn fresh_checkout(
    root: &Path,
    name: &TreeName,
    from: &WorkTree,
    commit: &CommitId,
) -> Result<WorkTree, TreeError> {
    remove_tree(root, name)?;
    WorkTree::create_sibling(root, name, from, commit)
}
