//! The files of receipts: `artifacts/costs/<run_id>.jsonl`, one receipt a line.
//!
//! Owns the open files and knows which of them hold lines that may not be on the disk yet. Invariants:
//! lines are written whole, in the order of `seq`; after a failed write or sync a file takes no more lines
//! until it has been mended from the store. Writes go to the kernel's page cache, by whoever settles: a
//! line costs some microseconds, less than waking another thread. Nothing here waits for the disk but
//! [`Unsynced::sync`], which a blocking thread calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    open: HashMap<RunName, Open>,
    /// In the order of opening; the first one is closed when there are too many.
    order: VecDeque<RunName>,
    /// Written to since the store last noted them as whole, and the last receipt written to each.
    dirty: HashMap<RunName, u64>,
    /// Not to be written to before they are mended.
    broken: HashMap<RunName, Broken>,
    unsynced: Unsynced,
    /// The `seq` of the last receipt that was handed in.
    last: u64,
}

/// A file that takes lines.
#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// It is among those to be synced.
    is_unsynced: bool,
}

/// What is wrong with a file that takes no lines.
#[derive(Debug, Clone, Copy, Default)]
struct Broken {
    /// The last receipt that it lacks.
    lacks: u64,
    /// Its sync failed: what the kernel shows of it may not be on the disk, so it is written anew.
    is_doubtful: bool,
}

/// Files with lines that are with the kernel only.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    files: Vec<(RunName, Arc<File>)>,
    /// A file was made: its name is to be brought to the disk too.
    has_new: bool,
}

/// What the store is to note as whole.
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
            unsynced: Unsynced::default(),
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

    /// Takes what is to be synced now.
    pub(super) fn unsynced(&mut self) -> Unsynced {
        self.open.values_mut().for_each(|open| open.is_unsynced = false);
        std::mem::take(&mut self.unsynced)
    }

    /// The names of new files may not be on the disk.
    pub(super) fn doubt_names(&mut self) {
        self.unsynced.has_new = true;
    }

    /// The sync of a file failed: it is not asked for again, the file is to be written anew.
    pub(super) fn doubt(&mut self, run: &RunName) {
        self.close(run);
        self.broken.entry(run.clone()).or_default().is_doubtful = true;
    }

    /// Whether a file may not be on the disk although the kernel shows it.
    pub(super) fn is_doubtful(&self, run: &RunName) -> bool {
        self.broken.get(run).is_some_and(|broken| broken.is_doubtful)
    }

    /// Whether a file takes no lines.
    pub(super) fn is_broken(&self, run: &RunName) -> bool {
        self.broken.contains_key(run)
    }

    /// What has to be noted or mended now.
    pub(super) fn dirty(&self) -> Dirty {
        let runs = self.dirty.keys().cloned().collect();
        Dirty { runs, broken: self.broken.keys().cloned().collect(), up_to: self.last }
    }

    /// What was noted is in order, but for what has been written since.
    pub(super) fn noted(&mut self, dirty: &Dirty) {
        self.dirty.retain(|run, last| !dirty.runs.contains(run) || *last > dirty.up_to);
    }

    /// A file was written to, and synced, by other means than [`Files::append`].
    pub(super) fn touched(&mut self, run: RunName) {
        self.dirty.entry(run).or_insert(0);
    }

    /// A file has all its receipts up to `seq`; whether it takes lines again. It does not when one was
    /// handed in meanwhile: then it is to be mended once more.
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
        self.open.insert(run.clone(), Open { file: Arc::new(file), is_unsynced: false });
        self.order.push_back(run.clone());
        Ok(())
    }
}

impl Unsynced {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_new
    }

    /// Brings the lines to the disk, and the names of new files: the runs whose file may not be there, and
    /// whether the names are.
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

/// How a file looks now.
pub(super) fn mark_of(path: &Path) -> io::Result<Mark> {
    let metadata = std::fs::metadata(path)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Mark { bytes: metadata.len(), modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) })
}

/// How files look now; `None` for one that somebody moved away: what it held is in the store.
pub(super) fn marks_of(folder: &Path, runs: &HashSet<RunName>) -> io::Result<Vec<(RunName, Option<Mark>)>> {
    let mark = |run: &RunName| match mark_of(&path_of(folder, run)) {
        Ok(mark) => Ok((run.clone(), Some(mark))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((run.clone(), None)),
        Err(error) => Err(error),
    };
    runs.iter().map(mark).collect()
}
