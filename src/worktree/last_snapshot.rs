//! The state at the last snapshot, kept beside the index, so that an unchanged tree is recognised at once.
//! Failure policy: the file is written after the snapshot; when lost or old, the next snapshot only has to
//! look closer.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ids::{CommitId, TreeId};
use super::layout::replace_file;
use super::tree::{TreeError, WorkTree};

/// The state at the last snapshot. Written after that snapshot, so a crash in between only makes the next one
/// look closer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LastSnapshot {
    pub(super) number: u64,
    pub(super) commit: CommitId,
    pub(super) tree: TreeId,
    pub(super) index: Option<IndexMark>,
    pub(super) state: String,
    pub(super) state_blob: String,
    /// The index was written in a later second than the files, so git trusts it.
    pub(super) settled: bool,
    pub(super) embedded: Vec<Vec<u8>>,
}

/// git writes a new file for each change of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexMark {
    inode: u64,
    size: u64,
    second: i64,
    nano: i64,
}

pub(super) fn mark_of(index: &Path) -> Option<IndexMark> {
    let about = index.metadata().ok()?;
    Some(IndexMark { inode: about.ino(), size: about.len(), second: about.mtime(), nano: about.mtime_nsec() })
}

impl WorkTree {
    /// git compares contents for files written in the same second as the index: once that second is over, the
    /// index is written again, and a look costs one `stat` a file.
    pub(super) fn settle_index(&self, last: Option<&LastSnapshot>) {
        let Some(last) = last.filter(|last| !last.settled) else { return };
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = mark_of(&self.index()).map_or(i64::MAX, |mark| mark.second);
        if i64::try_from(now).is_ok_and(|now| now <= second) {
            return;
        }
        drop(std::fs::remove_file(self.index().with_extension("lock")));
        let before = mark_of(&self.index());
        // A failure only makes the next snapshot slower.
        if self.raw_git().args(["update-index", "--force-write-index"]).run().is_ok() {
            let index = if last.index == before { mark_of(&self.index()) } else { None };
            let settled = LastSnapshot { index, settled: true, ..last.clone() };
            drop(self.keep_last(&settled));
        }
    }

    pub(super) fn last_snapshot(&self) -> Option<LastSnapshot> {
        let text = std::fs::read(self.layout.git().join("last.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn keep_last(&self, last: &LastSnapshot) -> Result<(), TreeError> {
        let text = serde_json::to_vec(last).map_err(|error| self.trouble()(error.into()))?;
        replace_file(&self.layout.git().join("last.json"), &text).map_err(self.trouble())
    }
}
