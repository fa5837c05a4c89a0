//! One private tree: opening, mending, and the paths for the rest of the module. Failure policy: opening
//! restores files that a crash or an agent removed; a half-made tree is no tree.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::difficult::LeftOutPath;
use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, TreeId, TreeName};
use super::layout::{SandboxPaths, TreeLayout, git_environment, make_folder, mend_agent_view};
use super::removal::RemovalError;
use super::source::SourceError;

/// Says that the base's objects are in the tree's own store.
const KEPT_BASE: &str = "refs/pas/kept-base";

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error(transparent)]
    Git(#[from] GitFailure),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Removal(#[from] RemovalError),
    #[error("{path} cannot be read or written ({source}): see its rights and the space left on the disk")]
    Folder { path: PathBuf, source: io::Error },
    #[error("there is no tree {0}: `pas trees` lists those that are")]
    NoTree(TreeName),
    #[error("the tree {name} stands on {found}, not on {wanted}: remove it first, or take another name")]
    OtherBase { name: TreeName, found: CommitId, wanted: CommitId },
    #[error("{0} is no snapshot of this tree")]
    NoSnapshot(CommitId),
    #[error("the tree could not be brought back to {wanted} (it is {found}): {}", listed(.left_out))]
    NotRestored { wanted: TreeId, found: TreeId, left_out: Vec<LeftOutPath> },
    #[error(
        "the commit {base} that the change starts from was removed from {repository} meanwhile: start the change anew from \
         one that is there"
    )]
    BaseGone { base: CommitId, repository: PathBuf },
    #[error("the tree has changes that no commit has: seal them before another piece is taken in")]
    Unsealed,
    #[error("nothing has changed since {0}: there is nothing to seal")]
    NothingChanged(CommitId),
    #[error("no piece was taken in that could be rolled back")]
    NothingTaken,
    #[error("a bare repository has no uncommitted work: leave out --with-uncommitted")]
    NoCheckout,
    #[error("git answered {0:?} where an object id was due")]
    NoObjectId(String),
}

fn listed(left_out: &[LeftOutPath]) -> String {
    if left_out.is_empty() {
        return "see that no process of the agent is left in it".to_owned();
    }
    left_out.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The data that the tree was made from, enough to make the rest again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MadeRecord {
    pub(super) name: TreeName,
    pub(super) base: CommitId,
    /// Borrowed object stores, without the tree's own.
    pub(super) stores: Vec<std::ffi::OsString>,
    /// Where a result goes: the person's git directory.
    pub(super) source: std::ffi::OsString,
    pub(super) object_format: String,
    pub(super) gitlinks: Vec<(Vec<u8>, String)>,
}

/// A private tree: files for an agent, snapshots for the daemon.
#[derive(Clone, Debug)]
pub struct WorkTree {
    pub(super) layout: TreeLayout,
    pub(super) made: MadeRecord,
}

impl WorkTree {
    /// Opens an existing tree, and restores files that a crash or an agent removed.
    pub fn open(root: &Path, name: &TreeName) -> Result<Self, TreeError> {
        let layout = TreeLayout::new(root, name);
        let no_tree = || TreeError::NoTree(name.clone());
        let text = std::fs::read(layout.made()).map_err(|_| no_tree())?;
        let made: MadeRecord = serde_json::from_slice(&text).map_err(|_| no_tree())?;
        let tree = Self { layout, made };
        let folder = tree.layout.tree();
        if !folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            make_folder(&folder).map_err(tree.trouble())?;
            if let Some((_, last)) = tree.snapshots().last() {
                tree.restore(last)?;
            }
        }
        tree.mend()?;
        Ok(tree)
    }

    pub fn name(&self) -> &TreeName {
        &self.made.name
    }

    /// The commit the tree was made at.
    pub fn base(&self) -> &CommitId {
        &self.made.base
    }

    /// The folder the agent works in.
    pub fn path(&self) -> PathBuf {
        self.layout.tree()
    }

    pub fn sandbox_paths(&self) -> SandboxPaths {
        let agent = self.layout.agent();
        SandboxPaths {
            tree: self.layout.tree(),
            protected: vec![
                agent.join("config"),
                agent.join("objects/info/alternates"),
                self.layout.tree().join(".git"),
            ],
            borrowed: self.agent_stores(),
            git: agent,
            environment: git_environment(),
        }
    }

    /// Restores `.git`, settings and object borrowing of the agent's side; true if an agent had changed
    /// `.git`.
    pub fn mend(&self) -> Result<bool, TreeError> {
        mend_agent_view(&self.layout, &self.made.object_format, &self.agent_stores()).map_err(self.trouble())
    }

    /// Whether all objects of the base are there still: the person's `git gc` may drop a commit that no ref of theirs
    /// holds any more.
    pub(super) fn borrowed_objects_intact(&self) -> Result<bool, TreeError> {
        let list = GitCommand::at(&self.layout.git());
        let answer =
            list.args(["rev-list", "--objects", "--no-walk", "--quiet", self.made.base.as_str()]).answer()?;
        Ok(answer.code == 0)
    }

    /// Copies the base's own objects, so the tree outlives what becomes of them in the person's repository.
    pub(super) fn keep_base_objects(&self) -> Result<(), TreeError> {
        let git = || GitCommand::at(&self.layout.git());
        let list = git().args(["rev-list", "--objects", "--no-walk", self.made.base.as_str()]).run()?;
        let pack = git().args(["pack-objects", "--stdout", "-q"]).input(list).run()?;
        git().args(["index-pack", "--stdin"]).input(pack).run()?;
        Ok(())
    }

    /// Copies the base's objects once no branch or tag of the person's repository holds it any more, so that a later
    /// `git gc` there takes nothing from the tree.
    ///
    /// # Errors
    /// [`TreeError::BaseGone`] when it has done so already.
    pub fn secure_base(&self) -> Result<(), TreeError> {
        let source = PathBuf::from(&self.made.source);
        let base = self.made.base.as_str();
        if !self.borrowed_objects_intact()? {
            return Err(TreeError::BaseGone { base: self.made.base.clone(), repository: source });
        }
        if self.read_ref(KEPT_BASE).is_some() {
            return Ok(());
        }
        let holders =
            GitCommand::at(&source).args(["for-each-ref", "--count=1", "--contains", base]).answer()?;
        if holders.code != 0 || holders.stdout.is_empty() {
            self.keep_base_objects()?;
            self.write_ref(KEPT_BASE, &self.made.base)?;
        }
        Ok(())
    }

    fn agent_stores(&self) -> Vec<PathBuf> {
        let own = self.layout.git().join("objects");
        std::iter::once(own).chain(self.made.stores.iter().map(PathBuf::from)).collect()
    }

    pub(super) fn agent_branch(&self) -> String {
        format!("refs/heads/pas/{}", self.made.name.run())
    }

    /// Moves the agent's current branch.
    pub(super) fn write_agent_branch(&self, commit: &CommitId) -> Result<(), TreeError> {
        let path = self.layout.agent().join(self.agent_branch());
        let folder = self.layout.agent().join("refs/heads/pas");
        std::fs::create_dir_all(&folder).map_err(self.trouble())?;
        super::layout::replace_agent_file(&self.layout, &path, format!("{commit}\n").as_bytes())
            .map_err(self.trouble())
    }

    pub(super) fn plain_git(&self) -> GitCommand {
        let plain = self.layout.plain();
        GitCommand::at(&plain)
            .work_tree(&self.layout.tree())
            .env("GIT_OBJECT_DIRECTORY", self.layout.git().join("objects"))
    }

    /// Allows one operation on a tree at a time, also across processes.
    pub(super) fn lock(&self) -> Result<File, TreeError> {
        let file = File::create(self.layout.git().join("lock")).map_err(self.trouble())?;
        file.lock().map_err(self.trouble())?;
        Ok(file)
    }

    /// The daemon's store has loose refs only, so writing a ref is writing a file.
    pub(super) fn write_ref(&self, name: &str, commit: &CommitId) -> Result<(), TreeError> {
        let path = self.layout.git().join(name);
        let parent = path.parent().unwrap_or(&path);
        make_folder(parent).map_err(self.trouble())?;
        // Outside `refs`, where git does not see a draft left by a crash.
        let staged = self.layout.git().join("staged-ref");
        std::fs::write(&staged, format!("{commit}\n")).map_err(self.trouble())?;
        std::fs::rename(&staged, &path).map_err(self.trouble())
    }

    pub(super) fn read_ref(&self, name: &str) -> Option<CommitId> {
        let text = std::fs::read_to_string(self.layout.git().join(name)).ok()?;
        CommitId::parse(text.trim())
    }

    pub(super) fn parse_tree(&self, text: &str) -> Result<TreeId, TreeError> {
        TreeId::parse(text).ok_or_else(|| TreeError::NoObjectId(text.to_owned()))
    }

    pub(super) fn parse_commit(&self, text: &str) -> Result<CommitId, TreeError> {
        CommitId::parse(text).ok_or_else(|| TreeError::NoObjectId(text.to_owned()))
    }

    pub(super) fn trouble(&self) -> impl Fn(io::Error) -> TreeError {
        trouble_at(&self.layout.folder)
    }
}

pub(super) fn trouble_at(path: &Path) -> impl Fn(io::Error) -> TreeError + use<> {
    let path = path.to_owned();
    move |source| TreeError::Folder { path: path.clone(), source }
}
