//! Lists the trees on the disk and compares them with rows. Failure policy: nothing is removed here; a
//! tree whose note cannot be read is listed as unfinished, and is an error for whoever compares or removes, as is a
//! folder of trees that cannot be read: they would remove what they do not see.

use std::io;
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

fn layouts(root: &Path) -> io::Result<Vec<(TreeName, TreeLayout)>> {
    let mut found = Vec::new();
    for run in folders(root)? {
        let names = folders(&root.join(&run))?;
        let names = names.into_iter().filter_map(|name| TreeName::new(&run, &name));
        found.extend(names.map(|name| (name.clone(), TreeLayout::new(root, &name))));
    }
    Ok(found)
}

/// The names of the folders in a folder, sorted; none where it is missing.
fn folders(path: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        match entry.file_type() {
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            kind => names.extend(kind?.is_dir().then(|| entry.file_name().into_string().ok()).flatten()),
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What is noted about a made tree; `None` while it is being made.
fn record_of(layout: &TreeLayout) -> io::Result<Option<MadeRecord>> {
    match std::fs::read(layout.folder.join(MADE_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(serde_json::from_slice(&bytes?).ok()),
    }
}

/// The names of the trees below a root, without opening them.
///
/// # Errors
/// Where a folder cannot be read: there may be trees that are not known then.
pub fn tree_names(root: &Path) -> io::Result<Vec<TreeName>> {
    Ok(layouts(root)?.into_iter().map(|(name, _)| name).collect())
}

/// The trees below a root, with their sizes. Walks over every file.
///
/// # Errors
/// As [`tree_names`].
pub fn list_trees(root: &Path) -> io::Result<Vec<TreeFolder>> {
    let trees = layouts(root)?
        .into_iter()
        .map(|(name, layout)| {
            let record = record_of(&layout).ok().flatten();
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
        .collect();
    Ok(trees)
}

fn size_of(folder: &Path) -> (u64, u64) {
    let entries = WalkDir::new(folder).follow_links(false).into_iter().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok()).filter(|about| !about.is_dir());
    // 512 is the unit of `st_blocks`, whatever the disk's block size.
    sizes.fold((0, 0), |(bytes, files), about| (bytes + about.blocks() * 512, files + 1))
}

/// Compares the trees below a root with the rows that know some.
///
/// # Errors
/// As [`tree_names`], and where a tree's note cannot be read.
pub fn reconcile_trees(root: &Path, rows: &[TreeName]) -> io::Result<TreeReconciliation> {
    let mut outcome = TreeReconciliation::default();
    let mut made = Vec::new();
    for (name, layout) in layouts(root)? {
        match record_of(&layout)? {
            None => outcome.unfinished.push(name),
            Some(_) => made.push(name),
        }
    }
    outcome.rows_without_folder = rows.iter().filter(|row| !made.contains(row)).cloned().collect();
    outcome.folders_without_row = made.into_iter().filter(|name| !rows.contains(name)).collect();
    Ok(outcome)
}

/// Another tree that borrows this one's objects.
pub(super) fn borrower_of(root: &Path, layout: &TreeLayout) -> io::Result<Option<TreeName>> {
    let store = layout.git().join("objects");
    for (name, other) in layouts(root)? {
        let stores = record_of(&other)?.map(|record| record.stores).unwrap_or_default();
        if stores.iter().any(|lent| Path::new(lent) == store) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
