//! Private git trees in which agents change code. Each has a git directory of its own that borrows the person's
//! objects; nothing of the person's repository is written before [`deliver`]. Failure policy: everything is an
//! error in words that say what to do; a half-made folder is made anew, an agent's tree is never deleted silently.
//!
//! ```text
//! <root>/<run>/<name>/tree    the files; `.git` in it is a file that points to ../agent
//!                    /agent   the git directory the agent sees and may fill; git is never run on it by the daemon
//!                    /git     snapshots: raw bytes, an index of their own; objects are lent to the agent to read
//!                    /plain   index with the repository's line-end rules, for checkout and sealing
//!                    /strays  what agents put in the place of `.git`
//! ```
//!
//! All of it is synchronous and waits for git: callers put it on a blocking thread, and end the processes of the
//! agent before they take a snapshot, restore or remove.

mod agent_state;
mod build_output;
mod contents;
mod delivery;
mod diff;
mod difficult;
mod fresh;
mod git;
mod ids;
mod inventory;
mod last_snapshot;
mod layout;
mod loose;
mod merge;
mod merge_runners;
mod push;
mod removal;
mod seal;
mod snapshot;
mod source;
mod source_census;
mod source_folder;
mod take_up;
mod tree;
mod tree_making;
mod uncommitted;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use build_output::{BUILD_COPY_LIMIT, BUILD_OUTPUT_PATTERNS, BroughtOutput, bring_build_output};
pub use contents::{CommitContent, EmptyRepositoryError, empty_repository};
pub use delivery::{DeliveredBranch, DeliveryError, DeliveryOutcome, change_patch, deliver};
pub use diff::{ChangeKind, DiffText, TreeChange};
pub use difficult::{LeftOutPath, LeftOutReason};
pub use fresh::fresh_checkout;
pub use git::GitFailure;
pub use ids::{CommitId, GitPath, TreeId, TreeName};
pub use inventory::{TreeFolder, TreeReconciliation, TreeStage, list_trees, reconcile_trees, tree_names};
pub use layout::SandboxPaths;
pub use merge::{ConflictedFile, PieceOutcome, roll_back_last, take_piece};
pub use merge_runners::{MergeRunner, runs_on_merge};
pub use push::{PushEnd, PushError, PushPlan, RemoteAddress};
pub use removal::remove_tree;
pub use seal::{CommitSignature, SealOrder, SealedCommit, seal};
pub use snapshot::{RestoredTree, SnapshotRecord};
pub use source::{SourceError, SourceRemark, SourceRepository};
pub use take_up::{TakeUpOutcome, take_up};
pub use tree::{TreeError, WorkTree};
pub use uncommitted::UncommittedScope;
