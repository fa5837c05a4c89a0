//! Retention: what PAS keeps of its past, and what of it goes.
//!
//! Owns no state. Of runs, those that are closed may go, with rows and artifacts
//! ([`crate::actors::jobs::pruning`]), but none that waits for a person, is used by an open job or a search, or still
//! has a private tree; of files, those that nobody writes any more. Receipts and the audit log are never touched. Invariant: one pass at a
//! time. Failure policy: a thing that cannot be deleted is logged, and tried again by the next pass. While the wall
//! clock cannot be believed ([`ClockWatch`]) the daemon deletes nothing by itself; one that was
//! wrong already at the start is believed.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::alert_journal;
use super::event_stream;
use super::jobs::finalize::TRACE_FILE;
use super::jobs::{JobError, JobsShared};
use crate::domain::ids::RunId;
use crate::domain::retention::{
    ClockReading, ClockTrust, ClockWatch, KeptAmount, KeptItem, RetentionLimit, RetentionLimits, surplus,
};
use crate::domain::time::Timestamp;
use crate::worktree::{TreeName, tree_names};

/// Logs of ended daemons, set aside by the command that started the next one.
const OLD_LOG: &str = "daemon.log.old";

/// What is kept of one kind, and what goes.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionRow {
    pub kind: &'static str,
    pub kept: KeptAmount,
    /// What went; in a dry run, what would go.
    pub gone: KeptAmount,
    /// Days; `None`: no limit.
    pub limit_days: Option<u64>,
    pub limit_bytes: Option<u64>,
}

/// The outcome of a look or a pass.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionReport {
    pub at: Timestamp,
    pub dry_run: bool,
    pub kinds: Vec<RetentionRow>,
    /// Size of the store's file, which deleted rows leave as it is.
    pub store_bytes: u64,
}

impl RetentionReport {
    /// What went, in words.
    #[must_use]
    pub fn deleted(&self) -> String {
        let gone = self.kinds.iter().filter(|row| row.gone.count > 0);
        let gone: Vec<String> =
            gone.map(|row| format!("{} {} ({} bytes)", row.gone.count, row.kind, row.gone.bytes)).collect();
        if gone.is_empty() {
            "nothing was to be deleted".to_owned()
        } else {
            format!("deleted {}", gone.join(", "))
        }
    }
}

/// The verbs of retention. Cheap to clone.
#[derive(Clone)]
pub struct RetentionHandle(Arc<RetentionShared>);

struct RetentionShared {
    jobs: Arc<JobsShared>,
    data_dir: PathBuf,
    store_file: PathBuf,
    limits: RetentionLimits,
    /// The outcome of the last look or pass.
    last: parking_lot::Mutex<Option<RetentionReport>>,
    /// Held by the one who looks or deletes.
    alone: tokio::sync::Mutex<ClockWatch>,
}

/// All that is kept.
struct KeptThings {
    runs: Vec<KeptItem<RunId>>,
    traces: Vec<KeptItem<PathBuf>>,
    logs: Vec<KeptItem<PathBuf>>,
    events: Vec<KeptItem<PathBuf>>,
}

impl RetentionHandle {
    #[must_use]
    pub fn new(
        jobs: Arc<JobsShared>,
        data_dir: PathBuf,
        store_file: PathBuf,
        limits: RetentionLimits,
    ) -> Self {
        let (alone, last) =
            (tokio::sync::Mutex::new(ClockWatch::new(clock())), parking_lot::Mutex::default());
        Self(Arc::new(RetentionShared { jobs, data_dir, store_file, limits, last, alone }))
    }

    /// The outcome of the last look or pass of this daemon, for readers that must not walk over all files.
    #[must_use]
    pub fn last(&self) -> Option<RetentionReport> {
        self.0.last.lock().clone()
    }

    /// What is kept, and what would go.
    ///
    /// # Errors
    /// The store's, or [`JobError::Unreadable`] where it is not known what there is.
    pub async fn look(&self) -> Result<RetentionReport, JobError> {
        let _alone = self.0.alone.lock().await;
        self.0.look(Timestamp::now()).await
    }

    /// Deletes what goes, at a person's word.
    ///
    /// # Errors
    /// As [`Self::look`]: what is left goes with the next pass.
    pub async fn prune(&self) -> Result<RetentionReport, JobError> {
        let mut watch = self.0.alone.lock().await;
        let now = clock();
        watch.believe(now);
        self.0.bury_doomed().await?;
        self.0.prune(usize::MAX, now.wall).await
    }

    /// Deletes what goes, of runs at most `runs`; nothing while the clock cannot be believed.
    ///
    /// # Errors
    /// As [`Self::prune`].
    pub async fn sweep(&self, runs: usize, now: ClockReading) -> Result<RetentionReport, JobError> {
        let mut watch = self.0.alone.lock().await;
        let trust = watch.look(now);
        self.0.bury_doomed().await?;
        if trust == ClockTrust::Believed {
            return self.0.prune(runs, now.wall).await;
        }
        if trust == ClockTrust::Jumped {
            tracing::warn!(
                now = %now.wall,
                "the clock was set by more than a day: what is old is not deleted for a day; `pas prune` deletes it now"
            );
        }
        self.0.look(now.wall).await
    }
}

impl RetentionShared {
    async fn look(self: &Arc<Self>, now: Timestamp) -> Result<RetentionReport, JobError> {
        let (kept, going) = self.clone().plan(now).await?;
        Ok(self.report(now, true, &kept, &going))
    }

    async fn prune(self: &Arc<Self>, runs: usize, now: Timestamp) -> Result<RetentionReport, JobError> {
        let (mut kept, mut going) = self.clone().plan(now).await?;
        going.runs.truncate(runs);
        going.runs = self.delete_runs(going.runs).await?;
        let with_run = self.traces_of(&going.runs);
        kept.traces.retain(|trace| !with_run.contains(&trace.key));
        for files in [&mut going.traces, &mut going.logs, &mut going.events] {
            let all = std::mem::take(files);
            let deleted = tokio::task::spawn_blocking(move || delete_files(all)).await;
            *files = deleted.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        }
        let report = self.report(now, false, &kept, &going);
        for row in report.kinds.iter().filter(|row| row.gone.count > 0) {
            let (kind, count, bytes) = (row.kind, row.gone.count, row.gone.bytes);
            tracing::info!(kind, count, bytes, "deleted, as `[retention]` says");
        }
        Ok(report)
    }

    /// The trace files in the folders of these runs.
    fn traces_of(&self, runs: &[KeptItem<RunId>]) -> HashSet<PathBuf> {
        runs.iter().map(|run| self.jobs.run_dir(&run.key).join(TRACE_FILE)).collect()
    }

    /// All that is kept, and what of it goes.
    async fn plan(self: Arc<Self>, now: Timestamp) -> Result<(KeptThings, KeptThings), JobError> {
        let looked = tokio::task::spawn_blocking(move || {
            let kept = self.find(now)?;
            let going = self.going(&kept, now);
            Ok((kept, going))
        });
        looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn find(&self, now: Timestamp) -> Result<KeptThings, JobError> {
        let root = &self.jobs.settings.trees;
        let trees = tree_names(root)
            .map_err(|error| JobError::Unreadable(root.display().to_string(), error.to_string()))?;
        let trees: HashSet<&str> = trees.iter().map(TreeName::run).collect();
        let searched = self.jobs.newest_index()?;
        let (mut runs, mut traces) = (Vec::new(), Vec::new());
        for (run, at, stays) in self.jobs.book.closed_runs()? {
            let folder = self.jobs.run_dir(&run);
            let is_pinned = stays || trees.contains(run.as_str()) || searched.as_ref() == Some(&run);
            let trace = folder.join(TRACE_FILE);
            if let Ok(facts) = trace.symlink_metadata() {
                traces.push(KeptItem { key: trace, at, bytes: facts.len(), is_pinned });
            }
            runs.push(KeptItem { key: run, at, bytes: bytes_below(&folder), is_pinned });
        }
        let workdir = &self.jobs.settings.workdir;
        let today = now.date();
        let mut logs = files_of(&workdir.join(alert_journal::FOLDER), |name| {
            alert_journal::day_of(name).map(|day| day == today)
        });
        logs.extend(files_of(&self.data_dir, |name| (name == OLD_LOG).then_some(false)));
        let events = event_stream::kept_files(&workdir.join(event_stream::FOLDER));
        Ok(KeptThings { runs, traces, logs, events })
    }

    fn going(&self, kept: &KeptThings, now: Timestamp) -> KeptThings {
        let RetentionLimits { jobs, traces, logs, events } = self.limits;
        let runs = surplus(kept.runs.clone(), jobs, now);
        let with_run = self.traces_of(&runs);
        let mut traces = surplus(kept.traces.clone(), traces, now);
        traces.retain(|trace| !with_run.contains(&trace.key));
        // Days of events are counted by the event stream, which begins a file a day.
        let events = surplus(kept.events.clone(), RetentionLimit { age: None, ..events }, now);
        KeptThings { runs, traces, logs: surplus(kept.logs.clone(), logs, now), events }
    }

    /// Deletes what is left of runs that were begun to be deleted.
    async fn bury_doomed(&self) -> Result<(), JobError> {
        let mut buried = false;
        for run in self.jobs.book.doomed_runs()? {
            buried |= said(&run, self.jobs.bury(&run).await.map(|()| true))?;
        }
        if buried {
            self.jobs.book.forget_submissions().await?;
        }
        Ok(())
    }

    async fn delete_runs(&self, going: Vec<KeptItem<RunId>>) -> Result<Vec<KeptItem<RunId>>, JobError> {
        let mut gone = Vec::new();
        for item in going {
            if said(&item.key, self.jobs.prune_run(&item.key).await)? {
                gone.push(item);
            }
        }
        if !gone.is_empty() {
            self.jobs.book.forget_submissions().await?;
        }
        Ok(gone)
    }

    fn report(&self, at: Timestamp, dry_run: bool, kept: &KeptThings, gone: &KeptThings) -> RetentionReport {
        let limits = self.limits;
        let kinds = vec![
            row("jobs", limits.jobs, &kept.runs, &gone.runs, dry_run),
            row("traces", limits.traces, &kept.traces, &gone.traces, dry_run),
            row("logs", limits.logs, &kept.logs, &gone.logs, dry_run),
            row("events", limits.events, &kept.events, &gone.events, dry_run),
        ];
        let store_bytes = self.store_file.metadata().map_or(0, |facts| facts.len());
        let report = RetentionReport { at, dry_run, kinds, store_bytes };
        *self.last.lock() = Some(report.clone());
        report
    }
}

/// Whether a run is gone; a folder that cannot be deleted is logged.
fn said(run: &RunId, deleted: Result<bool, JobError>) -> Result<bool, JobError> {
    match deleted {
        Err(JobError::Conflict(why)) => {
            tracing::warn!(%run, why, "a run is not deleted yet");
            Ok(false)
        }
        other => other,
    }
}

fn row<K: PartialEq>(
    kind: &'static str,
    limit: RetentionLimit,
    kept: &[KeptItem<K>],
    gone: &[KeptItem<K>],
    dry_run: bool,
) -> RetentionRow {
    let is_left = |item: &&KeptItem<K>| dry_run || gone.iter().all(|gone| gone.key != item.key);
    RetentionRow {
        kind,
        kept: KeptAmount::of(kept.iter().filter(is_left)),
        gone: KeptAmount::of(gone),
        limit_days: limit.age.map(|age| age.as_secs() / DAY_S),
        limit_bytes: limit.bytes,
    }
}

/// The clocks now. Uptime goes on while the machine sleeps, so that a sleep is no jump.
#[must_use]
pub fn clock() -> ClockReading {
    #[cfg(target_os = "linux")]
    const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const UPTIME: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let uptime = Duration::try_from(rustix::time::clock_gettime(UPTIME)).unwrap_or_default();
    ClockReading { wall: Timestamp::now(), uptime }
}

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// A limit as settings give it: days and megabytes, where 0 is no limit.
#[must_use]
pub fn limit(days: u32, mb: u32) -> RetentionLimit {
    RetentionLimit {
        age: (days > 0).then(|| Duration::from_secs(u64::from(days) * DAY_S)),
        bytes: (mb > 0).then(|| u64::from(mb) << 20),
    }
}

/// The files directly in a folder for whose names `is_pinned` says whether they are in use.
fn files_of(folder: &Path, is_pinned: impl Fn(&str) -> Option<bool>) -> Vec<KeptItem<PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let facts = entry.metadata().ok().filter(|facts| facts.is_file())?;
        let is_pinned = is_pinned(entry.file_name().to_str()?)?;
        Some(KeptItem { key: entry.path(), at: written(&facts), bytes: facts.len(), is_pinned })
    });
    files.collect()
}

/// When a file was last written.
pub(super) fn written(facts: &std::fs::Metadata) -> Timestamp {
    let since = facts.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Timestamp::from_millis(0).plus(since.unwrap_or_default())
}

/// Bytes of all files below a folder; links count as themselves.
fn bytes_below(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(facts) if facts.is_dir() => folders.push(entry.path()),
                Ok(facts) => bytes += facts.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Deletes files; returns those that are gone.
fn delete_files(files: Vec<KeptItem<PathBuf>>) -> Vec<KeptItem<PathBuf>> {
    let deleted = files.into_iter().filter(|file| match std::fs::remove_file(&file.key) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            tracing::warn!(file = %file.key.display(), %error, "a file is not deleted yet");
            false
        }
    });
    deleted.collect()
}
