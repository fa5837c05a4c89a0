//! Private git trees in which agents change code. Each has its own git directory, which borrows the person's
//! objects; the person's repository is not written to before [`deliver`]. Failure policy: every error names a
//! remedy; a half-made folder is made anew; an agent's tree is never deleted silently.
//!
//! ```text
//! <root>/<run>/<name>/tree    the files; `.git` is a file that points to ../agent
//!                    /agent   the agent's own git directory; the daemon never runs git on it
//!                    /git     snapshots: raw bytes, own index; the agent may read the objects
//!                    /plain   index with the repository's line-end rules, for checkout and sealing
//!                    /strays  files that agents put in the place of `.git`
//! ```
//!
//! All functions are synchronous and wait for git: call them on a blocking thread, and end the agent's
//! processes before a snapshot, a restore or a removal.

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
pub use push::{PushCommand, PushError, PushPlan, RemoteAddress};
pub use removal::remove_tree;
pub use seal::{CommitSignature, SealOrder, SealedCommit, seal};
pub use snapshot::{RestoredTree, SnapshotRecord};
pub use source::{SourceError, SourceRemark, SourceRepository};
pub use take_up::{TakeUpOutcome, take_up};
pub use tree::{TreeError, WorkTree};
pub use uncommitted::UncommittedScope;
