//! The files of receipts: `artifacts/costs/<run_id>.jsonl`, one receipt a line.
//!
//! Owns the open files and knows which of them hold lines that may not be on the disk yet. Invariants:
//! lines are written whole, in the order of `seq`; after a failed write a file takes no more lines until
//! it has been mended from the store. Writes go to the kernel's page cache, by whoever settles: a line
//! costs some microseconds, less than waking another thread. Nothing here waits for the disk but
//! [`sync`], which a blocking thread calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::tables::Mark;
use crate::domain::budget::RunName;
use crate::domain::receipt::{Receipt, wire};

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/costs";
/// What a file's name ends with.
pub(super) const ENDING: &str = ".jsonl";
/// Files kept open: more runs than work at one time, and far fewer than file descriptors.
const MAX_OPEN: usize = 64;

/// The files that are open, and those that need care.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    open: HashMap<RunName, File>,
    /// In the order of opening; the first one is closed when there are too many.
    order: VecDeque<RunName>,
    /// Not known to be on the disk, and the last receipt written to each.
    dirty: HashMap<RunName, u64>,
    /// Not to be written to before they are mended, and the last receipt each of them lacks.
    broken: HashMap<RunName, u64>,
    /// The `seq` of the last receipt that was handed in.
    last: u64,
}

/// What must be brought to the disk.
#[derive(Debug)]
pub(super) struct Dirty {
    /// Files with new lines.
    pub(super) runs: HashSet<RunName>,
    /// Files that lack lines.
    pub(super) broken: Vec<RunName>,
    /// All receipts up to this one are in the files, but for the broken ones.
    pub(super) up_to: u64,
}

impl Files {
    pub(super) fn new(workdir: &Path) -> Self {
        Self {
            folder: workdir.join(FOLDER),
            open: HashMap::new(),
            order: VecDeque::new(),
            dirty: HashMap::new(),
            broken: HashMap::new(),
            last: 0,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hands a receipt's line to the kernel.
    pub(super) fn append(&mut self, receipt: &Receipt) -> io::Result<()> {
        self.last = self.last.max(receipt.seq);
        let run = &receipt.wanted.run;
        let written = if self.broken.contains_key(run) {
            Err(io::Error::other("the file is being mended"))
        } else {
            wire::line_of(receipt).map_err(io::Error::from).and_then(|line| self.file(run)?.write_all(&line))
        };
        match &written {
            Ok(()) => match self.dirty.get_mut(run) {
                Some(last) => *last = receipt.seq,
                None => drop(self.dirty.insert(run.clone(), receipt.seq)),
            },
            Err(_) => {
                self.close(run);
                self.broken.insert(run.clone(), receipt.seq);
            }
        }
        written
    }

    /// What has to be synced or mended now.
    pub(super) fn dirty(&self) -> Dirty {
        let runs = self.dirty.keys().cloned().collect();
        Dirty { runs, broken: self.broken.keys().cloned().collect(), up_to: self.last }
    }

    /// What was synced is on the disk, but for what has been written since.
    pub(super) fn synced(&mut self, dirty: &Dirty) {
        self.dirty.retain(|run, last| !dirty.runs.contains(run) || *last > dirty.up_to);
    }

    /// A file was written to by other means than [`Files::append`].
    pub(super) fn touched(&mut self, run: RunName) {
        self.dirty.entry(run).or_insert(0);
    }

    /// A file has all its receipts up to `seq`; whether it takes lines again. It does not when one was
    /// handed in meanwhile: then it is to be mended once more.
    pub(super) fn mended(&mut self, run: &RunName, seq: u64) -> bool {
        self.close(run);
        self.touched(run.clone());
        let is_whole = self.broken.get(run).is_none_or(|lacks| *lacks <= seq);
        if is_whole {
            self.broken.remove(run);
        }
        is_whole
    }

    fn close(&mut self, run: &RunName) {
        self.open.remove(run);
        self.order.retain(|open| open != run);
    }

    fn file(&mut self, run: &RunName) -> io::Result<&mut File> {
        if !self.open.contains_key(run) {
            if self.open.len() >= MAX_OPEN
                && let Some(oldest) = self.order.pop_front()
            {
                self.open.remove(&oldest);
            }
            let file = open(&path_of(&self.folder, run))?;
            self.open.insert(run.clone(), file);
            self.order.push_back(run.clone());
        }
        self.open.get_mut(run).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            OpenOptions::new().create(true).append(true).open(path)
        }
        opened => opened,
    }
}

/// The file of a run's receipts.
pub(super) fn path_of(folder: &Path, run: &RunName) -> PathBuf {
    folder.join(format!("{run}{ENDING}"))
}

/// How a file looks now.
pub(super) fn mark_of(path: &Path) -> io::Result<Mark> {
    let metadata = std::fs::metadata(path)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Mark { bytes: metadata.len(), modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) })
}

/// Brings files to the disk, and their names; each as it looks then, `None` where it is gone.
pub(super) fn sync(folder: &Path, runs: &HashSet<RunName>) -> io::Result<Vec<(RunName, Option<Mark>)>> {
    let mut marks = Vec::with_capacity(runs.len());
    for run in runs {
        let path = path_of(folder, run);
        let mark = match File::open(&path) {
            // Looked at before: what is written meanwhile is looked at by the next start.
            Ok(file) => mark_of(&path).and_then(|mark| file.sync_data().map(|()| Some(mark)))?,
            // Somebody moved it away; what it held is in the store.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        marks.push((run.clone(), mark));
    }
    if !runs.is_empty() {
        File::open(folder)?.sync_all()?;
    }
    Ok(marks)
}
