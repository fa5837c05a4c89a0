//! The writer of the event files ([`super::journal_files`]), a file a day.
//!
//! Owns these files; blocking, so called on a blocking thread only. Invariants: lines are in the order of
//! their numbers, through all files; nothing is appended to a file that is not the newest, or behind an
//! unfinished line. A line is written to the page cache when [`EventJournal::append`] returns: survives a
//! process kill, not a power cut. Failure policy: an error leaves the file as it was and is returned to the
//! caller; a file that cannot be brought back takes no more lines until it can.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::event_cache::KEPT_BYTES;
use super::journal_files::{self, number_of, whole_lines};
use crate::domain::time::Timestamp;
use crate::skills::is_passing;

/// Bytes searched at a time, from the end, for the end of the last whole line.
const BLOCK: usize = 64 << 10;

/// The files of one folder.
#[derive(Debug)]
pub(super) struct EventJournal {
    folder: PathBuf,
    keep_days: u32,
    open: Option<OpenJournalFile>,
    /// Files that cannot be read, as said in the log.
    unreadable: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct OpenJournalFile {
    path: PathBuf,
    day: String,
    file: File,
    /// Its length before a write that failed and could not be taken back.
    spoiled_at: Option<u64>,
}

/// The end of the files at a start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct JournalEnd {
    /// The number of the last event; 0 before the first.
    pub(super) last: u64,
    /// The lines of the last events after a given number, as many as are kept in memory, oldest first.
    pub(super) tail: Vec<Vec<u8>>,
}

impl EventJournal {
    /// Opens the folder, and returns the end of its files: of the lines only those after `known`.
    pub(super) fn open(folder: PathBuf, keep_days: u32, known: u64) -> io::Result<(Self, JournalEnd)> {
        let mut journal = Self { folder, keep_days, open: None, unreadable: BTreeSet::new() };
        let (files, mut end) = (journal.files()?, JournalEnd::default());
        // All files: a daemon of an older build may have appended to one that is not the newest.
        for file in &files {
            match journal_files::last_number(&file.path) {
                Ok(last) => end.last = end.last.max(last.unwrap_or(file.first)),
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => {
                    end.last = end.last.max(file.first);
                    journal.say_unreadable(&file.path, &error);
                }
            }
        }
        if let Some(newest) = files.last() {
            match tail_of(&newest.path, known) {
                Ok(tail) => end.tail = tail,
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => journal.say_unreadable(&newest.path, &error),
            }
        }
        Ok((journal, end))
    }

    /// The files with events, in order. One that cannot be read is left out, and said once.
    fn files(&mut self) -> io::Result<Vec<journal_files::JournalFile>> {
        fs::create_dir_all(&self.folder)?;
        let found = journal_files::list(&self.folder)?;
        for (path, error) in found.unreadable {
            self.say_unreadable(&path, &error);
        }
        Ok(found.files)
    }

    fn say_unreadable(&mut self, path: &Path, error: &io::Error) {
        if self.unreadable.insert(path.to_owned()) {
            tracing::error!(file = %path.display(), %error, "the events in a file cannot be read; the others can");
        }
    }

    /// Whether the next append begins a file, or goes on with one for the first time.
    pub(super) fn is_turning(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_none_or(|open| open.day != now.date() || !open.is_in_place())
    }

    /// Writes lines (newlines included) in one write, to the file of `now`'s day.
    pub(super) fn append(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        if self.is_turning(now) {
            self.open = None;
            self.open = Some(self.turn(&now.date())?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.append(lines)
    }

    /// Opens the newest file if that is of `day`, else a new one; then deletes the files of old days.
    fn turn(&mut self, day: &str) -> io::Result<OpenJournalFile> {
        let files = self.files()?;
        let newest = files.last().filter(|newest| newest.day() == day);
        let opened = newest.map(|newest| (newest.path.clone(), journal_files::open_for_lines(&newest.path)));
        let (path, file) = match opened {
            Some((path, Ok(file))) => (path, file),
            Some((_, Err(error))) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            Some(_) | None => journal_files::new_file(&self.folder, day)?,
        };
        cut_unfinished_line(&file, &path)?;
        self.delete_old_days(day, &files);
        Ok(OpenJournalFile { path, day: day.to_owned(), file, spoiled_at: None })
    }

    /// Keeps the files of the last days that have any. Counted in days with events and not by the calendar, so
    /// that a clock that jumps ahead deletes one day at most.
    fn delete_old_days(&self, today: &str, files: &[journal_files::JournalFile]) {
        let mut kept = BTreeSet::from([today]);
        for file in files.iter().rev() {
            if kept.contains(file.day()) || kept.len() < self.keep_days as usize {
                kept.insert(file.day());
            } else if let Err(error) = fs::remove_file(&file.path) {
                tracing::warn!(file = %file.path.display(), %error, "an old event file could not be deleted");
            }
        }
    }
}

impl OpenJournalFile {
    /// Whether the name still leads to this file; deleted or renamed, it would be written for nobody.
    fn is_in_place(&self) -> bool {
        let identity = |facts: fs::Metadata| (facts.dev(), facts.ino());
        let (named, open) = (fs::metadata(&self.path).map(identity), self.file.metadata().map(identity));
        matches!((named, open), (Ok(named), Ok(open)) if named == open)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(length) = self.spoiled_at {
            self.file.set_len(length)?;
            self.spoiled_at = None;
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(lines);
        if written.is_err() && self.file.set_len(before).is_err() {
            self.spoiled_at = Some(before);
        }
        written
    }
}

/// The last lines of a file after `known`, within the bytes that are kept in memory.
fn tail_of(path: &Path, known: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(KEPT_BYTES as u64);
    let lines = whole_lines(&mut file, from)?;
    let lines = lines.split(|byte| *byte == b'\n');
    let newer = lines.filter(|line| number_of(line).is_some_and(|number| number > known));
    Ok(newer.map(<[u8]>::to_vec).collect())
}

fn cut_unfinished_line(mut file: &File, path: &Path) -> io::Result<()> {
    let length = file.metadata()?.len();
    let (mut end, mut block) = (length, vec![0; BLOCK]);
    let whole = loop {
        let start = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(BLOCK)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = memchr::memrchr(b'\n', part) {
            break start + newline as u64 + 1;
        }
        if start == 0 {
            break 0;
        }
        end = start;
    };
    if whole < length {
        tracing::warn!(file = %path.display(), bytes = length - whole, "cut off an unfinished event");
        file.set_len(whole)?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::journal_reader::read_after;
    use super::*;
    use crate::domain::event::SwarmEventDraft;

    const DAY_MS: i64 = 86_400_000;

    pub(in super::super) fn at_day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    pub(in super::super) fn line_of(
        seq: u64,
        kind: &str,
        data: serde_json::Value,
        now: Timestamp,
    ) -> Vec<u8> {
        let event = SwarmEventDraft::new(kind, data).numbered(seq, now);
        [serde_json::to_vec(&event).unwrap(), b"\n".to_vec()].concat()
    }

    pub(in super::super) fn line(seq: u64, now: Timestamp) -> Vec<u8> {
        line_of(seq, "x", json!({ "n": seq }), now)
    }

    pub(in super::super) fn journal(folder: &Path) -> (EventJournal, JournalEnd) {
        EventJournal::open(folder.to_owned(), 30, 0).unwrap()
    }

    /// All numbers in the files, in order.
    fn numbers(folder: &Path) -> Vec<u64> {
        let page = read_after(folder, 0, None, 1 << 20).unwrap();
        page.lines.iter().map(|line| line.seq).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let files = journal_files::in_order(folder).unwrap();
        files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_start_finds_the_last_events_and_cuts_an_unfinished_line() {
        let dir = tempfile::tempdir().unwrap();
        let now = at_day(20_000);
        let (mut first, end) = journal(dir.path());
        assert_eq!(end, JournalEnd::default());
        first.append(now, &[line(1, now), line(2, now), b"{\"seq\": 3, \"ev".to_vec()].concat()).unwrap();
        let (mut second, end) = journal(dir.path());
        assert_eq!((end.last, end.tail.len()), (2, 2));
        second.append(now, &line(3, now)).unwrap();
        assert_eq!(numbers(dir.path()), [1, 2, 3]);
        let (_, end) = EventJournal::open(dir.path().to_owned(), 30, 2).unwrap();
        assert_eq!((end.last, end.tail), (3, vec![line(3, now).trim_ascii_end().to_vec()]));
    }

    #[test]
    fn an_unfinished_line_longer_than_the_search_is_cut_whole() {
        let dir = tempfile::tempdir().unwrap();
        let now = at_day(20_000);
        let (mut journal, _) = journal(dir.path());
        journal.append(now, &[line(1, now), vec![b'x'; 3 * BLOCK + 17]].concat()).unwrap();
        journal.open = None;
        journal.append(now, &line(2, now)).unwrap();
        let left = fs::read(journal.open.unwrap().path).unwrap();
        assert_eq!(left, [line(1, now), line(2, now)].concat());
    }

    #[test]
    fn a_clock_set_back_begins_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = journal(dir.path());
        for (seq, day) in [(1, 20_000), (2, 20_001), (3, 20_000), (4, 20_000), (5, 20_001)] {
            journal.append(at_day(day), &line(seq, at_day(day))).unwrap();
        }
        assert_eq!(numbers(dir.path()), [1, 2, 3, 4, 5]);
        assert_eq!(names(dir.path()).len(), 4);
        let (_, end) = EventJournal::open(dir.path().to_owned(), 30, 0).unwrap();
        assert_eq!(end.last, 5, "the newest name is not the newest file");
    }

    #[test]
    fn a_clock_that_jumps_ahead_deletes_one_day_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = EventJournal::open(dir.path().to_owned(), 3, 0).unwrap().0;
        for (seq, day) in [(1, 20_000), (2, 20_001), (3, 20_002), (4, 20_400)] {
            journal.append(at_day(day), &line(seq, at_day(day))).unwrap();
        }
        assert_eq!(numbers(dir.path()), [2, 3, 4]);
        journal.append(at_day(20_002), &line(5, at_day(20_002))).unwrap();
        assert_eq!(numbers(dir.path()), [2, 3, 4, 5], "the same day again is no more days");
    }

    #[test]
    fn old_days_are_forgotten_and_strange_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("heartbeat_alerts_19700101.jsonl"), "").unwrap();
        fs::write(dir.path().join("events_notes.jsonl"), "").unwrap();
        let (mut journal, _) = journal(dir.path());
        for seq in 1..=31 {
            let now = at_day(20_000).plus(Duration::from_millis(DAY_MS.unsigned_abs() * seq));
            journal.append(now, &line(seq, now)).unwrap();
        }
        assert_eq!(numbers(dir.path()), (2..=31).collect::<Vec<_>>());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 30 + 2);
    }

    #[test]
    fn an_entry_that_cannot_be_read_costs_only_itself_and_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let (now, later) = (at_day(20_000), at_day(20_001));
        let mut first = journal(dir.path()).0;
        first.append(now, &line(1, now)).unwrap();
        let names = ["", "-2"].map(|part| format!("events_{}{part}.jsonl", later.date()));
        fs::create_dir(dir.path().join(&names[0])).unwrap();
        std::os::unix::fs::symlink(dir.path().join(&names[1]), dir.path().join(&names[1])).unwrap();
        let (mut second, end) = journal(dir.path());
        assert_eq!((end.last, end.tail.len()), (1, 1));
        second.append(later, &line(2, later)).unwrap();
        assert_eq!(numbers(dir.path()), [1, 2]);
        assert_eq!(second.unreadable.len(), 2);
        assert_eq!(super::super::journal_reader::alerts_since(dir.path(), now).unwrap().len(), 0);
        assert_eq!(journal(dir.path()).1.last, 2);
    }

    #[test]
    fn a_file_that_is_deleted_or_renamed_is_not_written_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        journal.append(now, &line(1, now)).unwrap();
        assert!(!journal.is_turning(now));
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(journal.is_turning(now));
        journal.append(now, &line(2, now)).unwrap();
        assert_eq!(numbers(dir.path()), [2]);
        let path = journal.open.as_ref().unwrap().path.clone();
        fs::rename(&path, dir.path().join("rotated.1")).unwrap();
        journal.append(now, &line(3, now)).unwrap();
        assert_eq!(numbers(dir.path()), [3]);
    }
}
