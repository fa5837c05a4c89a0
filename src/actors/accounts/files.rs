//! The files of receipts: `artifacts/costs/<run_id>.jsonl`, one receipt a line.
//!
//! Owns the open files and knows which contain lines that may not be on the disk yet. Invariants: lines are
//! written whole, in the order of `seq`; after a failed write or sync a file takes no more lines until mended
//! from the store. The settling task itself writes to the page cache: a line costs some microseconds, less
//! than waking another thread. Only [`UnsyncedFiles::sync`], called by a blocking thread, waits for the disk.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::tables::FileMarkRow;
use crate::domain::accounts::budget::RunName;
use crate::domain::accounts::receipt::{Receipt, wire};

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/costs";
/// The ending of the files' names.
pub(super) const ENDING: &str = ".jsonl";
/// Files kept open: more than runs work at one time, and far fewer than file descriptors.
const MAX_OPEN: usize = 64;

/// The open files, and those that need care.
#[derive(Debug)]
pub(super) struct ReceiptFiles {
    folder: PathBuf,
    open: HashMap<RunName, OpenReceiptFile>,
    /// In the order of opening; the first one is closed when there are too many.
    order: VecDeque<RunName>,
    /// Files written since the store last noted them as whole, with the last receipt written to each.
    dirty: HashMap<RunName, u64>,
    /// Files that take no lines before they are mended.
    broken: HashMap<RunName, BrokenReceiptFile>,
    unsynced: UnsyncedFiles,
    /// The `seq` of the last appended receipt.
    last: u64,
}

#[derive(Debug)]
struct OpenReceiptFile {
    file: Arc<File>,
    /// The file is among those to be synced.
    is_unsynced: bool,
}

/// The damage of a file that takes no lines.
#[derive(Debug, Clone, Copy, Default)]
struct BrokenReceiptFile {
    /// The last receipt the file lacks.
    lacks: u64,
    /// A sync failed: bytes that the kernel shows may not be on the disk, so the file is rewritten.
    is_doubtful: bool,
}

/// Files with lines that are only in the page cache.
#[derive(Debug, Default)]
pub(super) struct UnsyncedFiles {
    files: Vec<(RunName, Arc<File>)>,
    /// A file was created: the name must be synced too.
    has_new: bool,
}

/// The files that the store must note as whole.
#[derive(Debug)]
pub(super) struct DirtyRuns {
    /// Files with new lines.
    pub(super) runs: HashSet<RunName>,
    /// Files that lack lines.
    pub(super) broken: Vec<RunName>,
    /// All receipts up to this one are in the files, except the broken ones.
    pub(super) up_to: u64,
}

impl ReceiptFiles {
    pub(super) fn new(workdir: &Path) -> Self {
        Self {
            folder: workdir.join(FOLDER),
            open: HashMap::new(),
            order: VecDeque::new(),
            dirty: HashMap::new(),
            broken: HashMap::new(),
            unsynced: UnsyncedFiles::default(),
            last: 0,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a receipt's line to the page cache.
    pub(super) fn append(&mut self, receipt: &Receipt) -> io::Result<()> {
        self.last = self.last.max(receipt.seq);
        let run = &receipt.wanted.run;
        let written = if self.broken.contains_key(run) {
            Err(io::Error::other("the file is being mended"))
        } else {
            wire::line_of(receipt).map_err(io::Error::from).and_then(|line| self.write(run, &line))
        };
        match &written {
            Ok(()) => match self.dirty.get_mut(run) {
                Some(last) => *last = receipt.seq,
                None => drop(self.dirty.insert(run.clone(), receipt.seq)),
            },
            Err(_) => {
                self.close(run);
                self.broken.entry(run.clone()).or_default().lacks = receipt.seq;
            }
        }
        written
    }

    /// Takes the files to sync now.
    pub(super) fn unsynced(&mut self) -> UnsyncedFiles {
        self.open.values_mut().for_each(|open| open.is_unsynced = false);
        std::mem::take(&mut self.unsynced)
    }

    /// Notes that the names of new files may not be on the disk.
    pub(super) fn doubt_names(&mut self) {
        self.unsynced.has_new = true;
    }

    /// Notes a failed sync: a repeated one may succeed without the lost pages, so the file must be rewritten.
    pub(super) fn doubt(&mut self, run: &RunName) {
        self.close(run);
        self.broken.entry(run.clone()).or_default().is_doubtful = true;
    }

    /// Whether the disk may lack lines that the kernel shows.
    pub(super) fn is_doubtful(&self, run: &RunName) -> bool {
        self.broken.get(run).is_some_and(|broken| broken.is_doubtful)
    }

    /// Whether a file takes no lines.
    pub(super) fn is_broken(&self, run: &RunName) -> bool {
        self.broken.contains_key(run)
    }

    /// The files to note or mend now.
    pub(super) fn dirty(&self) -> DirtyRuns {
        let runs = self.dirty.keys().cloned().collect();
        DirtyRuns { runs, broken: self.broken.keys().cloned().collect(), up_to: self.last }
    }

    /// Marks these files as noted, except those written to since.
    pub(super) fn noted(&mut self, dirty: &DirtyRuns) {
        self.dirty.retain(|run, last| !dirty.runs.contains(run) || *last > dirty.up_to);
    }

    /// Notes that a file was written and synced other than by [`ReceiptFiles::append`].
    pub(super) fn touched(&mut self, run: RunName) {
        self.dirty.entry(run).or_insert(0);
    }

    /// Notes that a file has all receipts up to `seq`; returns whether the file takes lines again. False when
    /// another receipt was missed meanwhile: then the file must be mended once more.
    pub(super) fn mended(&mut self, run: &RunName, seq: u64) -> bool {
        self.close(run);
        self.touched(run.clone());
        let is_whole = self.broken.get(run).is_none_or(|broken| broken.lacks <= seq);
        if is_whole {
            self.broken.remove(run);
        }
        is_whole
    }

    fn close(&mut self, run: &RunName) {
        self.open.remove(run);
        self.order.retain(|open| open != run);
    }

    fn write(&mut self, run: &RunName, line: &[u8]) -> io::Result<()> {
        if !self.open.contains_key(run) {
            self.open(run)?;
        }
        let Some(open) = self.open.get_mut(run) else { return Err(io::ErrorKind::NotFound.into()) };
        if !std::mem::replace(&mut open.is_unsynced, true) {
            self.unsynced.files.push((run.clone(), Arc::clone(&open.file)));
        }
        (&*open.file).write_all(line)
    }

    fn open(&mut self, run: &RunName) -> io::Result<()> {
        if self.open.len() >= MAX_OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        let path = path_of(&self.folder, run);
        let appending = |create| OpenOptions::new().create(create).append(true).open(&path);
        let file = match appending(false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.folder)?;
                self.unsynced.has_new = true;
                appending(true)
            }
            opened => opened,
        }?;
        self.open.insert(run.clone(), OpenReceiptFile { file: Arc::new(file), is_unsynced: false });
        self.order.push_back(run.clone());
        Ok(())
    }
}

impl UnsyncedFiles {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_new
    }

    /// Syncs the lines and the names of new files; returns the runs whose sync failed, and the result for the
    /// names.
    pub(super) fn sync(&self, folder: &Path) -> (Vec<(RunName, io::Error)>, io::Result<()>) {
        let failed = self.files.iter().filter_map(|(run, file)| Some((run.clone(), file.sync_data().err()?)));
        let failed = failed.collect();
        let names = || File::open(folder)?.sync_all();
        (failed, if self.has_new { names() } else { Ok(()) })
    }
}

/// The file of a run's receipts.
pub(super) fn path_of(folder: &Path, run: &RunName) -> PathBuf {
    folder.join(format!("{run}{ENDING}"))
}

/// A file's current mark.
pub(super) fn mark_of(path: &Path) -> io::Result<FileMarkRow> {
    let metadata = std::fs::metadata(path)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(FileMarkRow {
        bytes: metadata.len(),
        modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
    })
}

/// The current marks of files; `None` for a file moved away, whose receipts are in the store.
pub(super) fn marks_of(
    folder: &Path,
    runs: &HashSet<RunName>,
) -> io::Result<Vec<(RunName, Option<FileMarkRow>)>> {
    let mark = |run: &RunName| match mark_of(&path_of(folder, run)) {
        Ok(mark) => Ok((run.clone(), Some(mark))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((run.clone(), None)),
        Err(error) => Err(error),
    };
    runs.iter().map(mark).collect()
}
