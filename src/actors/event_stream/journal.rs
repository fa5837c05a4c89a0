//! The event files: `artifacts/hmi/events/events_<YYYYMMDD>.jsonl`, a line an event, a file a day.
//!
//! Owns these files; blocking, so called on a blocking thread only. Invariants: lines are in the order of
//! their numbers, through all files; a line left unfinished by a crash is cut off at the next start. A line
//! is written to the page cache when [`EventJournal::append`] returns: survives a process kill, not a power
//! cut. Failure policy: an error leaves the file as it was and is returned to the caller.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{SwarmEvent, kind};
use crate::domain::time::Timestamp;

/// The beginning and the ending of the files' names.
const PREFIX: &str = "events_";
const SUFFIX: &str = ".jsonl";
/// Bytes searched by a start for the last numbers and ids.
const TAIL_BYTES: u64 = 4 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// The files of one folder.
#[derive(Debug)]
pub(super) struct EventJournal {
    folder: PathBuf,
    keep_days: u32,
    /// The day of the open file, and the file.
    open: Option<(String, File)>,
}

impl EventJournal {
    /// Opens the folder, repairs the newest file, and returns the last events, oldest first.
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

    /// Writes lines (newlines included) in one write, to the file of `now`'s day.
    pub(super) fn append(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        let day = now.date();
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            self.turn(&day, now)?;
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let before = file.metadata()?.len();
        let written = file.write_all(lines);
        if written.is_err() {
            // Half a line would spoil the next one. If this fails too, the next start cuts the half line off.
            let _ = file.set_len(before);
            self.open = None;
        }
        written
    }

    /// Begins a new day's file and deletes files that are too old.
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
                tracing::warn!(file = %file.display(), %error, "an old event file could not be deleted");
            }
        }
        Ok(())
    }
}

/// Position at which reading the files continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalPosition {
    file: Arc<Path>,
    offset: u64,
}

/// An event's line in a file.
#[derive(Debug)]
pub(super) struct EventLine {
    pub(super) seq: u64,
    pub(super) json: Vec<u8>,
    /// The start of the next line.
    pub(super) behind: JournalPosition,
}

/// A page of the files.
#[derive(Debug, Default)]
pub(super) struct JournalPage {
    pub(super) lines: Vec<EventLine>,
    /// The size of the next event, when that alone is larger than the page.
    pub(super) needed: Option<usize>,
}

/// Events after `seq`, oldest first, together no larger than `bytes`, from the files of `folder`. `place` is
/// the end of the last page: without that the day's file is read from the beginning, and catching up over
/// many pages would cost the square of the day.
pub(super) fn read_after(
    folder: &Path,
    seq: u64,
    place: Option<&JournalPosition>,
    bytes: usize,
) -> io::Result<JournalPage> {
    let files = days(folder)?;
    let known = place.and_then(|place| {
        let index = files.iter().position(|file| **file == *place.file)?;
        Some((index, place.offset))
    });
    let (begin, mut offset) = match known {
        Some(known) => known,
        None => (file_of(&files, seq)?, 0),
    };
    let (mut page, mut room) = (JournalPage::default(), bytes);
    for file in files.get(begin..).unwrap_or_default() {
        let mut reader = BufReader::new(File::open(file)?);
        reader.seek(SeekFrom::Start(offset))?;
        let file: Arc<Path> = file.as_path().into();
        while let Some(line) = read_line(&mut reader, room)? {
            offset += line.length;
            // A damaged line is skipped; the neighbours stay.
            let Some(number) = number_of(&line.kept).filter(|number| *number > seq) else { continue };
            if !line.is_whole {
                // Larger than the rest of this page: left for the next page, or needs a page as large as
                // itself.
                let alone = page.lines.is_empty();
                page.needed = alone.then(|| usize::try_from(line.length).unwrap_or(usize::MAX));
                return Ok(page);
            }
            room -= line.kept.len();
            let behind = JournalPosition { file: Arc::clone(&file), offset };
            page.lines.push(EventLine { seq: number, json: line.kept, behind });
        }
        offset = 0;
    }
    Ok(page)
}

/// The newest file that begins at or before the event after `seq`.
fn file_of(files: &[PathBuf], seq: u64) -> io::Result<usize> {
    for (index, file) in files.iter().enumerate().rev() {
        if first_of(file)?.is_some_and(|first| first <= seq.saturating_add(1)) {
            return Ok(index);
        }
    }
    Ok(0)
}

/// A line, kept up to a given length.
struct LineRead {
    kept: Vec<u8>,
    is_whole: bool,
    length: u64,
}

/// Enough of a line to see the number.
const LINE_HEAD: usize = 64;

/// The next line, kept whole up to `most` bytes. An unfinished line counts as missing.
fn read_line(reader: &mut impl BufRead, most: usize) -> io::Result<Option<LineRead>> {
    let (mut kept, mut length) = (Vec::new(), 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        let room = most.max(LINE_HEAD).saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
        let taken = piece.len() + usize::from(end.is_some());
        reader.consume(taken);
        length += taken as u64;
        if end.is_some() {
            return Ok(Some(LineRead { is_whole: length <= most as u64 + 1, kept, length }));
        }
    }
}

/// The number at the start of an event's line.
fn number_of(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(br#"{"seq":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The alerts in the files of `folder` since `since`, oldest first. Reads a day or two of lines, and parses
/// only those that look like an alert.
pub(super) fn alerts_since(folder: &Path, since: Timestamp) -> io::Result<Vec<SwarmEvent>> {
    /// As written by [`super::sent`].
    const MARK: &str = r#""event_type":"alert""#;
    let (first_day, mut found) = (since.date(), Vec::new());
    for file in days(folder)?.iter().filter(|file| day_of(file).is_some_and(|day| day >= first_day.as_str()))
    {
        for line in BufReader::new(File::open(file)?).split(b'\n') {
            let line = line?;
            // A damaged line is skipped; the neighbours stay.
            let Ok(line) = std::str::from_utf8(&line) else { continue };
            if !line.contains(MARK) {
                continue;
            }
            let event = serde_json::from_str::<SwarmEvent>(line).ok();
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

/// The number of a file's first event.
fn first_of(file: &Path) -> io::Result<Option<u64>> {
    let line = read_line(&mut BufReader::new(File::open(file)?), LINE_HEAD)?;
    Ok(line.and_then(|line| number_of(&line.kept)))
}

/// The last events of a file, within [`TAIL_BYTES`].
fn tail_of(file: &Path) -> io::Result<Vec<SwarmEvent>> {
    let mut file = File::open(file)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // The first line may be half a line, which is no JSON and is dropped.
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
    use crate::domain::event::SwarmEventDraft;

    fn at_day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * as_millis(DAY))
    }

    fn line(seq: u64, now: Timestamp) -> Vec<u8> {
        let event = SwarmEventDraft::new("x", json!({ "n": seq })).numbered(seq, now);
        [serde_json::to_vec(&event).unwrap(), b"\n".to_vec()].concat()
    }

    fn journal(folder: &Path) -> (EventJournal, Vec<SwarmEvent>) {
        EventJournal::open(folder.to_owned(), 30).unwrap()
    }

    fn seqs(events: &[SwarmEvent]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    /// The numbers of a page.
    fn after(folder: &Path, seq: u64, bytes: usize) -> Vec<u64> {
        let page = read_after(folder, seq, None, bytes).unwrap();
        page.lines.iter().map(|line| line.seq).collect()
    }

    /// All numbers, page by page, as a client gets them.
    fn paged(folder: &Path, mut seq: u64, bytes: usize) -> Vec<u64> {
        let (mut place, mut found) = (None, Vec::new());
        loop {
            let page = read_after(folder, seq, place.as_ref(), bytes).unwrap();
            let page = match page.needed {
                Some(needed) => read_after(folder, seq, place.as_ref(), needed).unwrap(),
                None => page,
            };
            let Some(last) = page.lines.last() else { return found };
            (seq, place) = (last.seq, Some(last.behind.clone()));
            found.extend(page.lines.iter().map(|line| line.seq));
        }
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
        let two = line(1, at_day(20_000)).len() * 2;
        assert_eq!(after(dir.path(), 0, 10_000), [1, 2, 3, 4, 5, 6]);
        assert_eq!(after(dir.path(), 2, two), [3, 4]);
        assert_eq!(after(dir.path(), 5, 10_000), [6]);
        assert!(after(dir.path(), 6, 10_000).is_empty());
        for bytes in [1, two, two + 40, 10_000] {
            assert_eq!(paged(dir.path(), 1, bytes), [2, 3, 4, 5, 6], "{bytes}");
        }
    }

    #[test]
    fn a_line_that_is_no_text_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let alert = SwarmEventDraft::new("alert", json!({})).numbered(3, now);
        let alert = [serde_json::to_vec(&alert).unwrap(), b"\n".to_vec()].concat();
        let damaged = b"{\"seq\xff\":2}\n".to_vec();
        journal.append(now, &[line(1, now), damaged, alert].concat()).unwrap();
        assert_eq!(paged(dir.path(), 0, 1), [1, 3]);
        assert_eq!(seqs(&alerts_since(dir.path(), now).unwrap()), [3]);
    }

    #[test]
    fn a_line_larger_than_the_page_is_measured_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let large = SwarmEventDraft::new("x", json!({ "text": "x".repeat(100_000) })).numbered(2, now);
        let large = [serde_json::to_vec(&large).unwrap(), b"\n".to_vec()].concat();
        journal.append(now, &[line(1, now), large.clone(), line(3, now)].concat()).unwrap();
        let page = read_after(dir.path(), 1, None, 1_000).unwrap();
        assert_eq!((page.lines.len(), page.needed), (0, Some(large.len())));
        assert_eq!(paged(dir.path(), 0, 1_000), [1, 2, 3]);
        let kept = read_line(&mut &large[..], 1_000).unwrap().unwrap().kept;
        assert_eq!(kept.len(), 1_000);
    }

    #[test]
    fn alerts_are_found_among_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = journal(dir.path());
        for (seq, day, kind) in
            [(1, 19_999, "alert"), (2, 20_000, "x"), (3, 20_000, "alert"), (4, 20_001, "alert")]
        {
            let now = at_day(day);
            let event =
                SwarmEventDraft::new(kind, json!({ "said": "\"event_type\":\"alert\"" })).numbered(seq, now);
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
        assert_eq!(after(dir.path(), 0, 10_000), [1, 2, 3]);
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
