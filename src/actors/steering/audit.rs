//! The audit: `artifacts/hmi/audit/audit_<YYYYMMDD>.jsonl`, people's actions, a file a day, kept for ever.
//!
//! An action leaves two lines: one for the start, before anything is done, and one for the end, before the
//! answer leaves. Both carry the action's `id`; an action refused before the start has only the second line,
//! one cut off by a crash only the first. Invariants: a line is on the disk when [`AuditLog::write`] returns;
//! nothing is ever removed from a file, so half a line left by a crash is closed with a newline and skipped
//! by readers. Failure policy: an action that cannot be written down is not begun.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::steering::PrincipalName;
use crate::domain::time::Timestamp;

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/hmi/audit";
/// Most entries in one list.
pub const MAX_LISTED: usize = 1_000;
const PREFIX: &str = "audit_";
const SUFFIX: &str = ".jsonl";
/// Bytes read from the end of a day's file for a list: some ten thousand actions.
const TAIL_BYTES: u64 = 16 << 20;

/// The progress of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// Begun. Without a later line the outcome is unknown: the daemon was killed during the action, or the
    /// client of the orchestrator left before the answer.
    Begun,
    Done,
    /// Not done, or not completely: `message` has the reason.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: String,
    /// The progress when this line was written.
    pub outcome: AuditOutcome,
    /// Time of the start.
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub who: PrincipalName,
    pub action: String,
    /// The target: an agent, a job or an approval, or `retention`.
    pub target: String,
    /// Whether all below the target are included.
    #[serde(default)]
    pub subtree: bool,
    /// The agent that takes a job over.
    pub to: Option<String>,
    pub reason: Option<String>,
    /// The outcome in words.
    pub message: Option<String>,
    /// The target's state before; null without one.
    pub before: Value,
    /// The target's state afterwards; null for an action without an end, `{"error"}` for a refused one.
    pub after: Value,
}

/// The audit's files. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AuditLog(Arc<Mutex<AuditJournal>>);

#[derive(Debug)]
struct AuditJournal {
    folder: PathBuf,
    /// The day of the open file, and the file.
    open: Option<(String, File)>,
}

impl AuditLog {
    pub(super) fn new(workdir: &Path) -> Self {
        Self(Arc::new(Mutex::new(AuditJournal { folder: workdir.join(FOLDER), open: None })))
    }

    /// Writes a line; on the disk when this returns.
    pub(super) async fn write(&self, entry: &AuditEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let (journal, now) = (Arc::clone(&self.0), Timestamp::now());
        let written = tokio::task::spawn_blocking(move || journal.lock().append(now, &line));
        written.await.map_err(io::Error::other)?
    }

    /// The newest actions, newest first, each as last written.
    pub(super) async fn newest(&self, limit: usize) -> io::Result<Vec<AuditEntry>> {
        let folder = self.0.lock().folder.clone();
        let read = tokio::task::spawn_blocking(move || newest(&folder, limit));
        read.await.map_err(io::Error::other)?
    }
}

impl AuditJournal {
    fn append(&mut self, now: Timestamp, line: &[u8]) -> io::Result<()> {
        let day = now.date();
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            self.open = Some((day.clone(), self.open_day(&day)?));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let written = file.write_all(line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Reopened the next time, which also closes half a line.
            self.open = None;
        }
        written
    }

    fn open_day(&self, day: &str) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{PREFIX}{day}{SUFFIX}"));
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        if !ends_whole(&mut file)? {
            file.write_all(b"\n")?;
        }
        // The name of a new file must be as durable as its lines.
        File::open(&self.folder)?.sync_all()?;
        Ok(file)
    }
}

fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn newest(folder: &Path, limit: usize) -> io::Result<Vec<AuditEntry>> {
    let (mut found, mut seen) = (Vec::<AuditEntry>::new(), HashSet::new());
    for file in days(folder)?.iter().rev() {
        for line in tail_of(file)?.split(|byte| *byte == b'\n').rev() {
            if found.len() == limit {
                return Ok(found);
            }
            // Anything but an entry is half a line left by a crash.
            let Ok(entry) = serde_json::from_slice::<AuditEntry>(line) else { continue };
            // Read backwards, an action's end comes before its start.
            if seen.insert(entry.id.clone()) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The files of the folder, oldest first; none without a folder.
fn days(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn tail_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(id: &str, outcome: AuditOutcome) -> AuditEntry {
        AuditEntry {
            id: id.into(),
            outcome,
            at: Timestamp::from_millis(0),
            ended_at: None,
            who: PrincipalName::by_way_of("hmi"),
            action: "kill".into(),
            target: "manager-data".into(),
            subtree: false,
            to: None,
            reason: Some("a \n test".into()),
            message: None,
            before: json!({ "incarnation": 1 }),
            after: Value::Null,
        }
    }

    fn line(entry: &AuditEntry) -> Vec<u8> {
        [serde_json::to_vec(entry).unwrap(), b"\n".to_vec()].concat()
    }

    fn told(found: &[AuditEntry]) -> Vec<(&str, AuditOutcome)> {
        found.iter().map(|entry| (entry.id.as_str(), entry.outcome)).collect()
    }

    #[test]
    fn an_act_is_listed_once_by_what_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        assert!(newest(&dir.path().join("none"), 10).unwrap().is_empty());
        let mut journal = AuditJournal { folder: dir.path().to_owned(), open: None };
        let days = [20_000, 20_001].map(|day| Timestamp::from_millis(day * 86_400_000));
        for (id, outcome, day) in [
            ("a", AuditOutcome::Begun, 0),
            ("b", AuditOutcome::Begun, 0),
            ("b", AuditOutcome::Refused, 0),
            ("a", AuditOutcome::Done, 1),
            ("c", AuditOutcome::Begun, 1),
        ] {
            journal.append(days[day], &line(&entry(id, outcome))).unwrap();
        }
        let all = newest(dir.path(), 10).unwrap();
        assert_eq!(
            told(&all),
            [("c", AuditOutcome::Begun), ("a", AuditOutcome::Done), ("b", AuditOutcome::Refused)]
        );
        assert_eq!(told(&newest(dir.path(), 1).unwrap()), [("c", AuditOutcome::Begun)]);
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(0);
        let mut journal = AuditJournal { folder: dir.path().to_owned(), open: None };
        journal.append(now, &line(&entry("a", AuditOutcome::Done))).unwrap();
        journal.append(now, br#"{"id": "cut"#).unwrap();
        let mut next = AuditJournal { folder: dir.path().to_owned(), open: None };
        next.append(now, &line(&entry("b", AuditOutcome::Done))).unwrap();
        let all = newest(dir.path(), 10).unwrap();
        assert_eq!(told(&all), [("b", AuditOutcome::Done), ("a", AuditOutcome::Done)]);
        assert_eq!(all[0], entry("b", AuditOutcome::Done), "a line reads back as it was written");
    }
}
