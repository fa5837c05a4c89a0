//! Makes a tree from a repository or from another tree. Failure policy: the record `tree.json` is written
//! last, so a folder without a record is half made, has no agent's work, and is made anew.

use std::path::{Path, PathBuf};

use super::difficult::{add_everything, remove_entries};
use super::git::GitCommand;
use super::ids::{CommitId, GitPath, TreeName};
use super::layout::{GitDirPlan, TreeLayout, make_folder, make_git_dir, replace_file};
use super::removal::remove_folder;
use super::source::SourceRepository;
use super::source_census::{SourceCensus, count_files};
use super::source_folder::exclude_rules;
use super::tree::{MadeRecord, TreeError, WorkTree, trouble_at};
use super::uncommitted::{CheckoutView, UncommittedScope};

/// All that is needed to make a tree.
pub(super) struct TreePlan<'a> {
    name: &'a TreeName,
    base: &'a CommitId,
    stores: Vec<PathBuf>,
    source: &'a Path,
    object_format: &'a str,
    shallow: Option<Vec<u8>>,
    exclude: Option<Vec<u8>>,
    /// Branches and tags that the agent sees, as `packed-refs`.
    refs: Vec<u8>,
    /// Objects that no borrowed store keeps.
    pub(super) pack: Option<Vec<u8>>,
    pub(super) census: Option<SourceCensus>,
}

impl WorkTree {
    /// Makes the tree at the source's base, or opens an existing one; a half-made tree is made anew.
    pub fn create(root: &Path, name: &TreeName, source: &SourceRepository) -> Result<Self, TreeError> {
        Self::make(root, &Self::plan_of(name, source, source.base())?)
    }

    /// As [`WorkTree::create`], with the person's uncommitted work as a commit on top of HEAD. Neither their
    /// index nor their object store is touched. Later changes of the checkout do not reach the tree.
    pub fn create_with_uncommitted(
        root: &Path,
        name: &TreeName,
        source: &SourceRepository,
        scope: UncommittedScope,
    ) -> Result<Self, TreeError> {
        if let Ok(there) = Self::open(root, name) {
            return Ok(there);
        }
        let view = CheckoutView::open(source)?.ok_or(TreeError::NoCheckout)?;
        let work = view.commit(scope)?;
        let mut plan = Self::plan_of(name, source, &work.commit)?;
        plan.pack = Some(work.pack);
        plan.census = None;
        Self::make(root, &plan)
    }

    /// A tree for a writer, at a commit of the manager's tree, and borrowing the manager's objects too.
    pub fn create_sibling(
        root: &Path,
        name: &TreeName,
        manager: &WorkTree,
        commit: &CommitId,
    ) -> Result<Self, TreeError> {
        let git = manager.layout.git();
        let mut stores = vec![git.join("objects")];
        stores.extend(manager.made.stores.iter().map(PathBuf::from));
        let plan = TreePlan {
            name,
            base: commit,
            stores,
            source: Path::new(&manager.made.source),
            object_format: &manager.made.object_format,
            shallow: std::fs::read(git.join("shallow")).ok(),
            exclude: std::fs::read(git.join("info/exclude")).ok(),
            refs: std::fs::read(git.join("borrowed-refs")).unwrap_or_default(),
            pack: None,
            census: None,
        };
        Self::make(root, &plan)
    }

    pub(super) fn plan_of<'a>(
        name: &'a TreeName,
        source: &'a SourceRepository,
        base: &'a CommitId,
    ) -> Result<TreePlan<'a>, TreeError> {
        let format = "--format=%(objectname) %(refname)";
        let list = GitCommand::at(&source.found.git_dir).args(["for-each-ref", format]);
        let list = list.args(["refs/heads", "refs/tags", "refs/remotes"]).run()?;
        Ok(TreePlan {
            name,
            base,
            stores: source.object_stores.clone(),
            source: &source.found.common_dir,
            object_format: &source.object_format,
            shallow: source.shallow.clone(),
            exclude: Some(exclude_rules(&source.found.common_dir)),
            refs: packed_refs(&list),
            pack: None,
            census: Some(source.census.clone()),
        })
    }

    pub(super) fn make(root: &Path, plan: &TreePlan<'_>) -> Result<Self, TreeError> {
        match Self::open(root, plan.name) {
            Ok(there) if there.made.base == *plan.base => return Ok(there),
            Ok(there) => {
                let (name, found) = (plan.name.clone(), there.made.base);
                return Err(TreeError::OtherBase { name, found, wanted: plan.base.clone() });
            }
            Err(TreeError::NoTree(_)) => {}
            Err(error) => return Err(error),
        }
        let layout = TreeLayout::new(root, plan.name);
        // Half made: no agent has worked there.
        remove_folder(root, &layout.folder)?;
        make_folder(&layout.folder).map_err(trouble_at(&layout.folder))?;
        let made = MadeRecord {
            name: plan.name.clone(),
            base: plan.base.clone(),
            stores: plan.stores.iter().map(|store| store.clone().into_os_string()).collect(),
            source: plan.source.as_os_str().to_owned(),
            object_format: plan.object_format.to_owned(),
            gitlinks: Vec::new(),
        };
        let mut tree = Self { layout, made };
        tree.make_git_dirs(plan)?;
        let census = match &plan.census {
            Some(census) => census.clone(),
            None => count_files(&tree.layout.git(), plan.base)?,
        };
        tree.made.gitlinks =
            census.gitlinks.iter().map(|(path, id)| (path.as_bytes().to_vec(), id.clone())).collect();
        tree.check_out(&census)?;
        tree.snapshot_alone("start")?;
        let text = serde_json::to_vec(&tree.made).map_err(|error| tree.trouble()(error.into()))?;
        replace_file(&tree.layout.made(), &text).map_err(tree.trouble())?;
        Ok(tree)
    }

    fn make_git_dirs(&self, plan: &TreePlan<'_>) -> Result<(), TreeError> {
        let layout = &self.layout;
        make_folder(&layout.tree()).map_err(self.trouble())?;
        for (dir, raw) in [(layout.git(), true), (layout.plain(), false)] {
            let exclude = plan.exclude.clone();
            let own = [layout.git().join("objects")];
            let alternates = if raw { &plan.stores[..] } else { &own[..] };
            let shallow = plan.shallow.as_deref();
            let git_dir = GitDirPlan { alternates, shallow, object_format: plan.object_format, exclude, raw };
            make_git_dir(&dir, &git_dir).map_err(self.trouble())?;
        }
        replace_file(&layout.git().join("borrowed-refs"), &plan.refs).map_err(self.trouble())?;
        if let Some(pack) = &plan.pack {
            GitCommand::at(&layout.git())
                .args(["index-pack", "--stdin", "--fix-thin"])
                .input(pack.clone())
                .run()?;
        }
        self.mend()?;
        let agent = layout.agent();
        let branch = self.agent_branch();
        for (name, bytes) in
            [("packed-refs", plan.refs.clone()), ("HEAD", format!("ref: {branch}\n").into_bytes())]
        {
            replace_file(&agent.join(name), &bytes).map_err(self.trouble())?;
        }
        if let Some(shallow) = &plan.shallow {
            replace_file(&agent.join("shallow"), shallow).map_err(self.trouble())?;
        }
        if let Some(exclude) = &plan.exclude {
            replace_file(&agent.join("info/exclude"), exclude).map_err(self.trouble())?;
        }
        self.write_agent_branch(plan.base)
    }

    fn check_out(&self, census: &SourceCensus) -> Result<(), TreeError> {
        let layout = &self.layout;
        self.plain_git().args(["read-tree", "-u", "--reset", self.made.base.as_str()]).run()?;
        let index = layout.plain().join("index");
        std::fs::copy(&index, layout.agent().join("index")).map_err(self.trouble())?;
        if census.converts {
            // The files differ from git's stored contents, so raw snapshots have to read them all once.
            add_everything(&|| self.raw_git(), &layout.tree(), &layout.git().join("index"))?;
            return Ok(());
        }
        std::fs::copy(&index, layout.git().join("index")).map_err(self.trouble())?;
        // A submodule's folder is a plain folder to a snapshot: files that an agent puts there are kept.
        let links: Vec<GitPath> = census.gitlinks.iter().map(|(path, _)| path.clone()).collect();
        Ok(remove_entries(&|| self.raw_git(), &links)?)
    }
}

/// Branches `pas` and `pas/…` are left out, as they would clash with the agent's own.
fn packed_refs(list: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for line in list.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let name = line.splitn(2, |b| *b == b' ').nth(1).unwrap_or_default();
        if name != b"refs/heads/pas" && !name.starts_with(b"refs/heads/pas/") {
            packed.extend(line);
            packed.push(b'\n');
        }
    }
    packed
}
