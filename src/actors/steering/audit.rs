//! The audit: `artifacts/hmi/audit/audit_<YYYYMMDD>.jsonl`, what people did, a file a day, kept for ever.
//!
//! An act is written down twice: that it was begun, before anything is done, and how it ended, before its
//! answer leaves. Both lines carry the act's `id`; an act that is refused before it begins has the second
//! line alone, and one that a crash cut short the first. Invariants: a line is on the disk when
//! [`Audit::write`] returns; nothing is ever taken out of a file, so what a crash left of a line is closed
//! with a newline and skipped by readers. Failure policy: what cannot be written down is not begun.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::steering::Who;
use crate::domain::time::Timestamp;

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/hmi/audit";
/// Most entries in one list.
pub const MAX_LISTED: usize = 1_000;
const PREFIX: &str = "audit_";
const SUFFIX: &str = ".jsonl";
/// How much of a day's file is read for a list, from its end: some ten thousand acts.
const TAIL_BYTES: u64 = 16 << 20;

/// How far an act is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was begun. Where nothing follows, what became of it is not known: the daemon was killed in its
    /// middle, or who asked by way of the orchestrator left before the answer.
    Begun,
    Done,
    /// It was not done, or not to its end: `message` says why.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: String,
    /// How far it was when this was written.
    pub outcome: Outcome,
    /// When it was begun.
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub who: Who,
    pub action: String,
    /// To whom: an agent, a job or a question.
    pub target: String,
    /// With all below it.
    #[serde(default)]
    pub subtree: bool,
    /// Who takes a job over.
    pub to: Option<String>,
    pub reason: Option<String>,
    /// What became of it, in words.
    pub message: Option<String>,
    /// How the target stood before; null where there is none.
    pub before: Value,
    /// How it stood afterwards; null where the act has no end, `{"error"}` where it was refused.
    pub after: Value,
}

/// The audit's files. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Audit(Arc<Mutex<Journal>>);

#[derive(Debug)]
struct Journal {
    folder: PathBuf,
    /// The day's file, and its day.
    open: Option<(String, File)>,
}

impl Audit {
    pub(super) fn new(workdir: &Path) -> Self {
        Self(Arc::new(Mutex::new(Journal { folder: workdir.join(FOLDER), open: None })))
    }

    /// Writes a line; it is on the disk when this returns.
    pub(super) async fn write(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let (journal, now) = (Arc::clone(&self.0), Timestamp::now());
        let written = tokio::task::spawn_blocking(move || journal.lock().append(now, &line));
        written.await.map_err(io::Error::other)?
    }

    /// The newest acts, newest first; of each what was written last.
    pub(super) async fn newest(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let folder = self.0.lock().folder.clone();
        let read = tokio::task::spawn_blocking(move || newest(&folder, limit));
        read.await.map_err(io::Error::other)?
    }
}

impl Journal {
    fn append(&mut self, now: Timestamp, line: &[u8]) -> io::Result<()> {
        let day = now.date();
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            self.open = Some((day.clone(), self.open_day(&day)?));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let written = file.write_all(line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Opened anew the next time, where half a line is closed.
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

fn newest(folder: &Path, limit: usize) -> io::Result<Vec<Entry>> {
    let (mut found, mut seen) = (Vec::<Entry>::new(), HashSet::new());
    for file in days(folder)?.iter().rev() {
        for line in tail_of(file)?.split(|byte| *byte == b'\n').rev() {
            if found.len() == limit {
                return Ok(found);
            }
            // What is no entry is half a line that a crash left.
            let Ok(entry) = serde_json::from_slice::<Entry>(line) else { continue };
            // Read backwards, an act's end comes before its beginning.
            if seen.insert(entry.id.clone()) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// The files of the folder, oldest first; none where there is no folder yet.
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

    fn entry(id: &str, outcome: Outcome) -> Entry {
        Entry {
            id: id.into(),
            outcome,
            at: Timestamp::from_millis(0),
            ended_at: None,
            who: Who::by_way_of("hmi"),
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

    fn line(entry: &Entry) -> Vec<u8> {
        [serde_json::to_vec(entry).unwrap(), b"\n".to_vec()].concat()
    }

    fn told(found: &[Entry]) -> Vec<(&str, Outcome)> {
        found.iter().map(|entry| (entry.id.as_str(), entry.outcome)).collect()
    }

    #[test]
    fn an_act_is_listed_once_by_what_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        assert!(newest(&dir.path().join("none"), 10).unwrap().is_empty());
        let mut journal = Journal { folder: dir.path().to_owned(), open: None };
        let days = [20_000, 20_001].map(|day| Timestamp::from_millis(day * 86_400_000));
        for (id, outcome, day) in [
            ("a", Outcome::Begun, 0),
            ("b", Outcome::Begun, 0),
            ("b", Outcome::Refused, 0),
            ("a", Outcome::Done, 1),
            ("c", Outcome::Begun, 1),
        ] {
            journal.append(days[day], &line(&entry(id, outcome))).unwrap();
        }
        let all = newest(dir.path(), 10).unwrap();
        assert_eq!(told(&all), [("c", Outcome::Begun), ("a", Outcome::Done), ("b", Outcome::Refused)]);
        assert_eq!(told(&newest(dir.path(), 1).unwrap()), [("c", Outcome::Begun)]);
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(0);
        let mut journal = Journal { folder: dir.path().to_owned(), open: None };
        journal.append(now, &line(&entry("a", Outcome::Done))).unwrap();
        journal.append(now, br#"{"id": "cut"#).unwrap();
        let mut next = Journal { folder: dir.path().to_owned(), open: None };
        next.append(now, &line(&entry("b", Outcome::Done))).unwrap();
        let all = newest(dir.path(), 10).unwrap();
        assert_eq!(told(&all), [("b", Outcome::Done), ("a", Outcome::Done)]);
        assert_eq!(all[0], entry("b", Outcome::Done), "a line reads back as it was written");
    }
}
