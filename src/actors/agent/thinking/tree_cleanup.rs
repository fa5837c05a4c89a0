//! Removes the trees of runs that need them no more.
//!
//! A run that is done has its branch in the person's repository, so its trees go at once; one that ended otherwise keeps
//! its work for [`KEPT`]. Trees of runs that the job book does not know are never removed. Failure policy: a folder that
//! cannot be removed is logged, and looked at again after the next change.

use std::time::{Duration, SystemTime};

use super::deps::ThinkingDeps;
use crate::actors::jobs::JobBook;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::JobState;
use crate::worktree::{TreeName, remove_tree, tree_names};

/// How long the work of a change that was not delivered is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Removes the trees that are due. Blocks on the disk.
pub(super) fn sweep(deps: &ThinkingDeps, book: &JobBook) {
    // Trees borrow from trees that were made before them: a reviewer's and a proof's go first.
    let mut names = match tree_names(&deps.trees) {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(folder = %deps.trees.display(), %error, "the trees of runs cannot be listed; none is removed");
            return;
        }
    };
    names.sort_by_key(|name| std::cmp::Reverse(name.name().len()));
    for name in names.into_iter().filter(|name| is_due(deps, book, name)) {
        if let Err(error) = remove_tree(&deps.trees, &name) {
            tracing::warn!(tree = %name, %error, "the tree of a run that has ended could not be removed");
            continue;
        }
        let scratch = deps.scratch_of_run(name.run());
        if let Err(error) = std::fs::remove_dir_all(&scratch)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %scratch.display(), %error, "scratch files of a run could not be removed");
        }
        // Empty once its last tree is gone.
        let _ = std::fs::remove_dir(deps.trees.join(name.run()));
    }
}

fn is_due(deps: &ThinkingDeps, book: &JobBook, name: &TreeName) -> bool {
    let root = RunId::new(name.run()).ok().and_then(|run| book.get(&JobId::root(&run)).ok());
    match root.map(|job| job.state) {
        Some(JobState::Done) => true,
        Some(state) if state.is_terminal() => {
            let changed = std::fs::metadata(deps.trees.join(name.run())).and_then(|info| info.modified());
            changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT))
        }
        _ => false,
    }
}
