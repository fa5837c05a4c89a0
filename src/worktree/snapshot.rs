//! Snapshots of a tree, and restoring them. Raw bytes go into the daemon's own store with an index that is
//! kept, so an unchanged tree costs one run of git. Failure policy: a restored tree is compared with the
//! snapshot; a difference is an error. Not recorded: empty folders, modes other than the owner's x, and
//! ignored files, which a restore leaves alone.

use std::path::PathBuf;

use super::agent_state::{
    AgentFiles, keep_agent_commits, pack_state, read_agent_files, unpack_state, write_agent_files,
};
use super::difficult::{LeftOutPath, LeftOutReason, add_everything, not_ignored, survey};
use super::git::GitCommand;
use super::ids::{CommitId, TreeId};
use super::last_snapshot::{LastSnapshot, mark_of};
use super::layout::set_aside;
use super::loose::{SMALL_OBJECT, write_loose};
use super::tree::{TreeError, WorkTree};

/// Version of the blob's format.
const STATE_MARK: &[u8] = b"agent state 1\n";
const STATE_TRAILER: &str = "PAS-Agent-State: ";
/// Each level of nested ignore files takes one round; real trees nest no deeper.
const RESTORE_ROUNDS: usize = 4;
/// Longest label: one line of a log.
const MAX_LABEL: usize = 200;

/// One snapshot. An unchanged tree keeps the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    pub number: u64,
    pub commit: CommitId,
    pub tree: TreeId,
    /// False: files and git state were unchanged since this snapshot.
    pub fresh: bool,
    pub left_out: Vec<LeftOutPath>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredTree {
    pub tree: TreeId,
    /// False: the agent's refs could not be restored; the files are.
    pub agent_state: bool,
}

impl WorkTree {
    /// Records the present tree, with the agent's refs.
    pub fn snapshot(&self, label: &str) -> Result<SnapshotRecord, TreeError> {
        let _alone = self.lock()?;
        self.snapshot_alone(label)
    }

    pub(super) fn snapshot_alone(&self, label: &str) -> Result<SnapshotRecord, TreeError> {
        self.mend()?;
        self.settle_index(self.last_snapshot().as_ref());
        let last = self.last_snapshot();
        let mut left_out = self.add_raw()?;
        let mark = mark_of(&self.index());
        let files = read_agent_files(&self.layout);
        let state = pack_state(&files);
        let digest = blake3::hash(&state).to_hex().to_string();
        if left_out.is_empty()
            && let Some(last) = &last
        {
            left_out.extend(last.embedded.iter().map(|path| LeftOutPath {
                path: super::ids::GitPath::new(path.clone()),
                reason: LeftOutReason::EmbeddedHistory,
            }));
        }
        let unchanged = |last: &LastSnapshot, left_out| {
            let (commit, tree) = (last.commit.clone(), last.tree.clone());
            SnapshotRecord { number: last.number, commit, tree, fresh: false, left_out }
        };
        if let Some(last) = &last
            && last.index == mark
            && last.state == digest
        {
            return Ok(unchanged(last, left_out));
        }
        let tree = self.parse_tree(&self.raw_git().arg("write-tree").line()?)?;
        // That run of git wrote the index once more, with the trees' ids.
        let index = mark_of(&self.index());
        if let Some(last) = &last
            && last.tree == tree
            && last.state == digest
        {
            let record = unchanged(last, left_out);
            self.keep_last(&LastSnapshot { index, ..last.clone() })?;
            return Ok(record);
        }
        let state_blob = match &last {
            Some(last) if last.state == digest => last.state_blob.clone(),
            _ => {
                keep_agent_commits(&self.layout, &files, &self.made.base);
                self.keep_state(&state)?
            }
        };
        let commit =
            self.commit_snapshot(label, &tree, last.as_ref().map(|last| &last.commit), &state_blob)?;
        let number = self.next_number();
        self.write_ref(&format!("refs/pas/snap/{number}"), &commit)?;
        let embedded = left_out.iter().filter(|left| left.reason == LeftOutReason::EmbeddedHistory);
        let now = LastSnapshot {
            number,
            commit: commit.clone(),
            tree: tree.clone(),
            index,
            state: digest,
            state_blob,
            settled: last.is_some_and(|last| last.settled),
            embedded: embedded.map(|left| left.path.as_bytes().to_vec()).collect(),
        };
        self.keep_last(&now)?;
        Ok(SnapshotRecord { number, commit, tree, fresh: true, left_out })
    }

    /// Restores files, links, executable bits and the agent's refs to a snapshot. Ignored files stay.
    pub fn restore(&self, snapshot: &CommitId) -> Result<RestoredTree, TreeError> {
        let _alone = self.lock()?;
        self.mend()?;
        let wanted = self.parse_tree(
            &self.raw_git().args(["rev-parse", "--verify"]).arg(format!("{snapshot}^{{tree}}")).line()?,
        )?;
        let state = self.state_of(snapshot);
        self.set_embedded_aside()?;
        let tree = self.make_files_equal(snapshot.as_str(), &wanted)?;
        if let Some(files) = &state {
            write_agent_files(&self.layout, files).map_err(self.trouble())?;
        }
        self.mend()?;
        self.forget_last_index()?;
        Ok(RestoredTree { tree, agent_state: state.is_some() })
    }

    /// For a tree that was switched since: the next snapshot looks at everything.
    pub(super) fn forget_last_index(&self) -> Result<(), TreeError> {
        match self.last_snapshot() {
            Some(last) => self.keep_last(&LastSnapshot { index: None, settled: false, ..last }),
            None => Ok(()),
        }
    }

    /// Repeated, because files that only the removed ignore rules hid come to light once the old rules are back.
    pub(super) fn make_files_equal(&self, to: &str, wanted: &TreeId) -> Result<TreeId, TreeError> {
        // With everything in the index, git knows which files to remove.
        self.add_raw()?;
        let mut outcome = (wanted.clone(), Vec::new());
        for _ in 0..RESTORE_ROUNDS {
            self.switch_files(to)?;
            let left_out = self.add_raw()?;
            outcome = (self.parse_tree(&self.raw_git().arg("write-tree").line()?)?, left_out);
            if outcome.0 == *wanted {
                return Ok(outcome.0);
            }
        }
        let (found, left_out) = outcome;
        Err(TreeError::NotRestored { wanted: wanted.clone(), found, left_out })
    }

    /// Snapshots by number, oldest first.
    pub fn snapshots(&self) -> Vec<(u64, CommitId)> {
        let folder = self.layout.git().join("refs/pas/snap");
        let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
        let mut found: Vec<_> =
            numbers.filter_map(|n| Some((n, self.read_ref(&format!("refs/pas/snap/{n}"))?))).collect();
        found.sort_unstable();
        found
    }

    pub(super) fn add_raw(&self) -> Result<Vec<LeftOutPath>, TreeError> {
        let index = self.index();
        drop(std::fs::remove_file(index.with_extension("lock")));
        Ok(add_everything(&|| self.raw_git(), &self.layout.tree(), &index)?)
    }

    /// Switches the files from the index's state to a commit or tree.
    pub(super) fn switch_files(&self, to: &str) -> Result<(), TreeError> {
        let answer = self.raw_git().args(["read-tree", "-u", "--reset", to]).answer()?;
        if answer.code == 0 && answer.stderr.is_empty() {
            return Ok(());
        }
        // The walk gives folders their rights back; then the second try decides.
        survey(&self.layout.tree());
        self.add_raw()?;
        self.raw_git().args(["read-tree", "-u", "--reset", to]).run()?;
        Ok(())
    }

    pub(super) fn index(&self) -> PathBuf {
        self.layout.git().join("index")
    }

    fn next_number(&self) -> u64 {
        self.snapshots().last().map_or(0, |(number, _)| number + 1)
    }

    fn commit_snapshot(
        &self,
        label: &str,
        tree: &TreeId,
        parent: Option<&CommitId>,
        state: &str,
    ) -> Result<CommitId, TreeError> {
        let label: String = label.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect();
        let message = format!("{label}\n\n{STATE_TRAILER}{state}\n");
        let parent = parent.unwrap_or(&self.made.base);
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let who = format!("PAS <pas@localhost> {now} +0000");
        let commit = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}");
        let store = self.layout.git().join("objects");
        let id = write_loose(&store, &self.made.object_format, "commit", commit.as_bytes())
            .map_err(self.trouble())?;
        self.parse_commit(&id)
    }

    fn keep_state(&self, state: &[u8]) -> Result<String, TreeError> {
        let marked = [STATE_MARK, state].concat();
        if marked.len() > SMALL_OBJECT {
            return Ok(self.raw_git().args(["hash-object", "-w", "--stdin"]).input(marked).line()?);
        }
        let store = self.layout.git().join("objects");
        write_loose(&store, &self.made.object_format, "blob", &marked).map_err(self.trouble())
    }

    fn state_blob_of(&self, snapshot: &CommitId) -> Result<String, TreeError> {
        let text = self.raw_git().args(["cat-file", "commit", snapshot.as_str()]).line()?;
        let blob = text.lines().rev().find_map(|line| line.strip_prefix(STATE_TRAILER));
        blob.map(str::to_owned).ok_or_else(|| TreeError::NoSnapshot(snapshot.clone()))
    }

    fn state_of(&self, snapshot: &CommitId) -> Option<AgentFiles> {
        let blob = self.state_blob_of(snapshot).ok()?;
        let packed = self.raw_git().args(["cat-file", "blob", &blob]).run().ok()?;
        unpack_state(packed.strip_prefix(STATE_MARK)?)
    }

    /// Moves the `.git` of repositories that appeared in the tree since the last snapshot to `strays`.
    fn set_embedded_aside(&self) -> Result<(), TreeError> {
        let known = self.last_snapshot().map(|last| last.embedded).unwrap_or_default();
        let tree = self.layout.tree();
        let found = not_ignored(&|| self.raw_git(), &survey(&tree).embedded)?;
        for folder in found {
            if !known.iter().any(|path| path == folder.as_bytes()) {
                set_aside(&self.layout, &tree.join(folder.as_path()).join(".git")).map_err(self.trouble())?;
            }
        }
        Ok(())
    }

    pub(super) fn raw_git(&self) -> GitCommand {
        GitCommand::at(&self.layout.git()).work_tree(&self.layout.tree())
    }
}
