//! Lists the trees on the disk and compares them with rows. Failure policy: nothing is removed here; an
//! unreadable tree is listed as unfinished.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use serde::Serialize;

use super::ids::{CommitId, TreeName};
use super::layout::{MADE_FILE, TreeLayout};
use super::tree::MadeRecord;

/// How far a tree has come, judged by its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeStage {
    /// Creation was cut off; no agent's work is in the tree.
    Unfinished,
    InUse,
    Sealed,
    Delivered,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFolder {
    pub name: TreeName,
    pub path: PathBuf,
    pub stage: TreeStage,
    pub base: Option<CommitId>,
    /// The repository that the tree was made from.
    pub source: Option<PathBuf>,
    /// The user who owns the folder.
    pub owner: u32,
    /// Bytes on the disk, borrowed objects not included.
    pub bytes: u64,
    pub files: u64,
}

/// Rows against folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeReconciliation {
    /// To be made again from the row.
    pub rows_without_folder: Vec<TreeName>,
    /// To be listed to a person, never deleted silently.
    pub folders_without_row: Vec<TreeName>,
    /// Half-made folders, which the next creation makes anew.
    pub unfinished: Vec<TreeName>,
}

fn layouts(root: &Path) -> Vec<(TreeName, TreeLayout)> {
    let folders = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    };
    let runs = folders(root).into_iter();
    let names =
        runs.flat_map(|run| folders(&root.join(&run)).into_iter().map(move |name| (run.clone(), name)));
    names
        .filter_map(|(run, name)| TreeName::new(&run, &name))
        .map(|name| (name.clone(), TreeLayout::new(root, &name)))
        .collect()
}

fn record_of(layout: &TreeLayout) -> Option<MadeRecord> {
    serde_json::from_slice(&std::fs::read(layout.folder.join(MADE_FILE)).ok()?).ok()
}

/// The names of the trees below a root, without opening them.
pub fn tree_names(root: &Path) -> Vec<TreeName> {
    layouts(root).into_iter().map(|(name, _)| name).collect()
}

/// The trees below a root, with their sizes. Walks over every file.
pub fn list_trees(root: &Path) -> Vec<TreeFolder> {
    layouts(root)
        .into_iter()
        .map(|(name, layout)| {
            let record = record_of(&layout);
            let has = |name: &str| layout.git().join(name).is_file();
            let stage = match &record {
                None => TreeStage::Unfinished,
                Some(_) if has("refs/pas/delivered") => TreeStage::Delivered,
                Some(_) if has("refs/pas/sealed") => TreeStage::Sealed,
                Some(_) => TreeStage::InUse,
            };
            let (bytes, files) = size_of(&layout.folder);
            let owner = layout.folder.symlink_metadata().map_or(0, |about| about.uid());
            let base = record.as_ref().map(|record| record.base.clone());
            let source = record.map(|record| PathBuf::from(record.source));
            TreeFolder { name, path: layout.folder, stage, base, source, owner, bytes, files }
        })
        .collect()
}

fn size_of(folder: &Path) -> (u64, u64) {
    let entries = WalkDir::new(folder).follow_links(false).into_iter().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok()).filter(|about| !about.is_dir());
    // 512 is the unit of `st_blocks`, whatever the disk's block size.
    sizes.fold((0, 0), |(bytes, files), about| (bytes + about.blocks() * 512, files + 1))
}

pub fn reconcile_trees(root: &Path, rows: &[TreeName]) -> TreeReconciliation {
    let found = layouts(root);
    let mut outcome = TreeReconciliation::default();
    for (name, layout) in &found {
        if record_of(layout).is_none() {
            outcome.unfinished.push(name.clone());
        } else if !rows.contains(name) {
            outcome.folders_without_row.push(name.clone());
        }
    }
    let is_there =
        |row: &&TreeName| found.iter().any(|(name, layout)| name == *row && record_of(layout).is_some());
    outcome.rows_without_folder = rows.iter().filter(|row| !is_there(row)).cloned().collect();
    outcome
}

/// Another tree that borrows this one's objects.
pub(super) fn borrower_of(root: &Path, layout: &TreeLayout) -> Option<TreeName> {
    let store = layout.git().join("objects");
    layouts(root).into_iter().find_map(|(name, other)| {
        let record = record_of(&other)?;
        record.stores.iter().any(|lent| Path::new(lent) == store).then_some(name)
    })
}
