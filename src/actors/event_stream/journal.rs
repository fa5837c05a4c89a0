//! The files of events: `artifacts/hmi/events/events_<YYYYMMDD>.jsonl`, a line an event, a file a day.
//!
//! Owns these files; blocking, so called on a blocking thread only. Invariants: lines stand in the order
//! of their numbers, through all files; a line that a crash left unfinished is cut off at the next start.
//! A line is with the kernel when [`Journal::append`] returns: it survives `kill -9`, not a power cut.
//! Failure policy: an error leaves the file as it was and is the caller's to tell.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::event::{SwarmEvent, kind};
use crate::domain::time::Timestamp;

/// What the files' names begin and end with.
const PREFIX: &str = "events_";
const SUFFIX: &str = ".jsonl";
/// How far back a start looks for the last numbers and ids.
const TAIL_BYTES: u64 = 4 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// The files of one folder.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    keep_days: u32,
    /// The day's file, and its day.
    open: Option<(String, File)>,
}

impl Journal {
    /// Opens the folder, mends the newest file, and gives its last events, oldest first.
    pub(super) fn open(folder: PathBuf, keep_days: u32) -> io::Result<(Self, Vec<SwarmEvent>)> {
        fs::create_dir_all(&folder)?;
        let mut tail = Vec::new();
        for file in days(&folder)?.iter().rev() {
            cut_unfinished_line(file)?;
            tail = tail_of(file)?;
            if !tail.is_empty() {
                break;
            }
        }
        Ok((Self { folder, keep_days, open: None }, tail))
    }

    /// Writes lines (each with its newline) as one, into the file of `now`'s day.
    pub(super) fn append(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        let day = now.date();
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            self.turn(&day, now)?;
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let before = file.metadata()?.len();
        let written = file.write_all(lines);
        if written.is_err() {
            // Half a line would spoil the next one. If this fails too, the next start cuts it off.
            let _ = file.set_len(before);
            self.open = None;
        }
        written
    }

    /// Begins a new day's file and forgets those that are too old.
    fn turn(&mut self, day: &str, now: Timestamp) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{PREFIX}{day}{SUFFIX}"));
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        self.open = Some((day.to_owned(), file));
        let oldest = Timestamp::from_millis(now.as_millis() - as_millis(DAY * self.keep_days)).date();
        for file in days(&self.folder)? {
            if day_of(&file).is_some_and(|day| day < oldest.as_str())
                && let Err(error) = fs::remove_file(&file)
            {
                tracing::warn!(file = %file.display(), %error, "an old file of events stays");
            }
        }
        Ok(())
    }
}

/// At most `limit` events after `seq`, oldest first, from the files of `folder`.
pub(super) fn read_after(folder: &Path, seq: u64, limit: usize) -> io::Result<Vec<SwarmEvent>> {
    let files = days(folder)?;
    let mut begin = 0;
    for (index, file) in files.iter().enumerate().rev() {
        if first_of(file)?.is_some_and(|first| first.seq <= seq.saturating_add(1)) {
            begin = index;
            break;
        }
    }
    let mut found = Vec::new();
    for file in files.get(begin..).unwrap_or_default() {
        for line in BufReader::new(File::open(file)?).lines() {
            // A damaged line is left out; its neighbours stand.
            let Ok(event) = serde_json::from_str::<SwarmEvent>(&line?) else { continue };
            if event.seq > seq {
                found.push(event);
            }
            if found.len() == limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The alerts that the files of `folder` hold since `since`, oldest first. Reads a day or two of lines, and
/// parses only those that look like an alert.
pub(super) fn alerts_since(folder: &Path, since: Timestamp) -> io::Result<Vec<SwarmEvent>> {
    /// As [`super::sent`] writes it.
    const MARK: &str = r#""event_type":"alert""#;
    let (first_day, mut found) = (since.date(), Vec::new());
    for file in days(folder)?.iter().filter(|file| day_of(file).is_some_and(|day| day >= first_day.as_str()))
    {
        for line in BufReader::new(File::open(file)?).lines() {
            let line = line?;
            if !line.contains(MARK) {
                continue;
            }
            let event = serde_json::from_str::<SwarmEvent>(&line).ok();
            found.extend(
                event.filter(|event| event.event_type == kind::ALERT && event.server_timestamp >= since),
            );
        }
    }
    Ok(found)
}

fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The files of the folder, oldest first.
fn days(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if day_of(&path).is_some() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn day_of(file: &Path) -> Option<&str> {
    let day = file.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    (day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())).then_some(day)
}

fn first_of(file: &Path) -> io::Result<Option<SwarmEvent>> {
    let mut line = String::new();
    BufReader::new(File::open(file)?).read_line(&mut line)?;
    Ok(serde_json::from_str(&line).ok())
}

/// The last events of a file, as far as they lie within [`TAIL_BYTES`].
fn tail_of(file: &Path) -> io::Result<Vec<SwarmEvent>> {
    let mut file = File::open(file)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // The first line may be the rest of one; then it is no JSON and falls away by itself.
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn cut_unfinished_line(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        tracing::warn!(file = %path.display(), bytes = bytes.len() - whole, "cut off an unfinished event");
        file.set_len(from + whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::event::Draft;

    fn at_day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * as_millis(DAY))
    }

    fn line(seq: u64, now: Timestamp) -> Vec<u8> {
        let event = Draft::new("x", json!({ "n": seq })).numbered(seq, now);
        [serde_json::to_vec(&event).unwrap(), b"\n".to_vec()].concat()
    }

    fn journal(folder: &Path) -> (Journal, Vec<SwarmEvent>) {
        Journal::open(folder.to_owned(), 30).unwrap()
    }

    fn seqs(events: &[SwarmEvent]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_are_read_across_days_from_any_number() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = journal(dir.path());
        for seq in 1..=6 {
            let now = at_day(20_000 + i64::try_from(seq / 3).unwrap());
            journal.append(now, &line(seq, now)).unwrap();
        }
        assert_eq!(days(dir.path()).unwrap().len(), 3);
        assert_eq!(seqs(&read_after(dir.path(), 0, 100).unwrap()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(seqs(&read_after(dir.path(), 2, 2).unwrap()), [3, 4]);
        assert_eq!(seqs(&read_after(dir.path(), 5, 100).unwrap()), [6]);
        assert!(read_after(dir.path(), 6, 100).unwrap().is_empty());
    }

    #[test]
    fn alerts_are_found_among_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = journal(dir.path());
        for (seq, day, kind) in
            [(1, 19_999, "alert"), (2, 20_000, "x"), (3, 20_000, "alert"), (4, 20_001, "alert")]
        {
            let now = at_day(day);
            let event = Draft::new(kind, json!({ "said": "\"event_type\":\"alert\"" })).numbered(seq, now);
            journal.append(now, &[serde_json::to_vec(&event).unwrap(), b"\n".to_vec()].concat()).unwrap();
        }
        assert_eq!(seqs(&alerts_since(dir.path(), at_day(20_000)).unwrap()), [3, 4]);
    }

    #[test]
    fn a_start_finds_the_last_events_and_cuts_an_unfinished_line() {
        let dir = tempfile::tempdir().unwrap();
        let now = at_day(20_000);
        let (mut first, tail) = journal(dir.path());
        assert!(tail.is_empty());
        first.append(now, &[line(1, now), line(2, now), b"{\"seq\": 3, \"ev".to_vec()].concat()).unwrap();
        let (mut second, tail) = journal(dir.path());
        assert_eq!(seqs(&tail), [1, 2]);
        second.append(now, &line(3, now)).unwrap();
        assert_eq!(seqs(&read_after(dir.path(), 0, 100).unwrap()), [1, 2, 3]);
    }

    #[test]
    fn old_days_are_forgotten_and_strange_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("heartbeat_alerts_19700101.jsonl"), "").unwrap();
        fs::write(dir.path().join("events_notes.jsonl"), "").unwrap();
        let (mut journal, _) = journal(dir.path());
        for day in [20_000, 20_001, 20_031] {
            journal.append(at_day(day), &line(1, at_day(day))).unwrap();
        }
        let left: Vec<_> = days(dir.path()).unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
