//! Reading the event files: pages after a number, and the alerts of the last day.
//!
//! Blocking. Invariant: a page costs the bytes it returns and a search whose length is the logarithm of the
//! file: the lines of a file are in the order of their numbers, so a number is found by halving, and a reader
//! that goes on keeps its [`JournalPosition`]. Failure policy: a damaged line is left out, its neighbours
//! stay; so do the other files where one cannot be read. An error that passes costs nothing: the read is tried anew.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::event_cache::{KEPT_ALERT_BYTES, KEPT_ALERTS};
use super::journal_files::{self, LINE_HEAD, LineRead, number_of, read_line};
use crate::domain::event::{SwarmEvent, kind};
use crate::domain::time::Timestamp;
use crate::skills::is_passing;

/// Bytes of a file that are read rather than halved again.
const SEARCH_BYTES: u64 = 16 << 10;

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
    /// Bytes taken from the files, for the test of what a reader costs.
    #[cfg(test)]
    read_bytes: u64,
}

/// Events after `seq`, oldest first, together no larger than `bytes`, from the files of `folder`. `place` is
/// the end of the last page, if there was one.
pub(super) fn read_after(
    folder: &Path,
    seq: u64,
    place: Option<&JournalPosition>,
    bytes: usize,
) -> io::Result<JournalPage> {
    let mut page = JournalPage::default();
    // A file that is gone meanwhile is searched for like any other number.
    if let Some(place) = place.filter(|place| place.file.exists()) {
        page.read_on(&place.file, seq, bytes, |_| Ok(place.offset))?;
        if !page.lines.is_empty() || page.needed.is_some() {
            return Ok(page);
        }
    }
    let files = journal_files::in_order(folder)?;
    let begin = files.partition_point(|file| file.first <= seq.saturating_add(1)).saturating_sub(1);
    for file in files.get(begin..).unwrap_or_default() {
        let left = bytes.saturating_sub(page.lines.iter().map(|line| line.json.len()).sum());
        let path: Arc<Path> = file.path.as_path().into();
        let start = |page: &mut JournalPage| if file.first > seq { Ok(0) } else { page.search(&path, seq) };
        if !page.read_on(&path, seq, left, start)? {
            break;
        }
    }
    Ok(page)
}

impl JournalPage {
    /// As [`Self::read`], from the offset that `start` finds. Where a file cannot be read, it is at its end: a
    /// damaged disk costs the rest of one file, not of all. An error that passes is the caller's: behind it the reader
    /// would go on with the next file.
    fn read_on(
        &mut self,
        path: &Arc<Path>,
        seq: u64,
        bytes: usize,
        start: impl FnOnce(&mut Self) -> io::Result<u64>,
    ) -> io::Result<bool> {
        match start(self).and_then(|offset| self.read(path, offset, seq, bytes)) {
            Err(error) if !is_passing(&error) => {
                say_unreadable(path, &error);
                Ok(true)
            }
            read => read,
        }
    }

    /// Adds the events of one file after `seq`, from `offset` on; whether the file is at its end.
    fn read(&mut self, path: &Arc<Path>, mut offset: u64, seq: u64, bytes: usize) -> io::Result<bool> {
        let mut reader = BufReader::new(File::open(path)?);
        reader.seek(SeekFrom::Start(offset))?;
        let mut room = bytes;
        while let Some(line) = read_line(&mut reader, room)? {
            offset += line.length;
            self.note_read(line.length);
            let Some(number) = number_of(&line.kept).filter(|number| *number > seq) else { continue };
            if !line.is_whole {
                // Larger than the rest of this page: left for the next page, or needs a page as large as
                // itself.
                let alone = self.lines.is_empty();
                self.needed = alone.then(|| usize::try_from(line.length).unwrap_or(usize::MAX));
                return Ok(false);
            }
            if !is_json(&line.kept) {
                continue;
            }
            room -= line.kept.len();
            let behind = JournalPosition { file: Arc::clone(path), offset };
            self.lines.push(EventLine { seq: number, json: line.kept, behind });
        }
        Ok(true)
    }

    /// The offset of a line of the file from which the event after `seq` is near: by halving.
    fn search(&mut self, path: &Path, seq: u64) -> io::Result<u64> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut high = reader.get_ref().metadata()?.len();
        // All numbers before `low` are at most `seq`, all of lines that begin after `high` are greater.
        let mut low = 0;
        while high - low > SEARCH_BYTES {
            let middle = low + (high - low) / 2;
            match self.first_line_after(&mut reader, middle, high)? {
                Some((start, number)) if number <= seq => low = start,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The start and number of the first numbered line that begins after `from` and before `to`.
    fn first_line_after(
        &mut self,
        reader: &mut BufReader<File>,
        from: u64,
        to: u64,
    ) -> io::Result<Option<(u64, u64)>> {
        reader.seek(SeekFrom::Start(from))?;
        let Some(cut) = read_line(reader, 0)? else { return Ok(None) };
        let mut start = from + cut.length;
        self.note_read(cut.length);
        while start < to {
            let Some(line) = read_line(reader, LINE_HEAD)? else { return Ok(None) };
            self.note_read(line.length);
            if let Some(number) = number_of(&line.kept) {
                return Ok(Some((start, number)));
            }
            start += line.length;
        }
        Ok(None)
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "only the test counts"))]
    fn note_read(&mut self, bytes: u64) {
        #[cfg(test)]
        {
            self.read_bytes += bytes;
        }
        #[cfg(not(test))]
        let _ = bytes;
    }
}

fn say_unreadable(path: &Path, error: &io::Error) {
    // Deleted meanwhile, as old files are.
    if error.kind() != io::ErrorKind::NotFound {
        tracing::warn!(file = %path.display(), %error, "the rest of an event file cannot be read and is left out");
    }
}

/// Whether a client can read the line.
fn is_json(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The newest alerts in the files of `folder` since `since`, as lines, oldest first: as many as are kept in
/// memory, because a day can have any number.
pub(super) fn alerts_since(folder: &Path, since: Timestamp) -> io::Result<Vec<Vec<u8>>> {
    /// As written by [`super::event_cache::EventCache::sent`].
    const MARK: &str = r#""event_type":"alert""#;
    let mark = memchr::memmem::Finder::new(MARK);
    let (first_day, mut found, mut bytes) = (since.date(), VecDeque::new(), 0);
    let files = journal_files::in_order(folder)?;
    for file in files.iter().filter(|file| file.day() >= first_day.as_str()) {
        let read = each_line(&file.path, KEPT_ALERT_BYTES, |line| {
            if !line.is_whole || mark.find(&line.kept).is_none() || !is_alert(&line.kept, since) {
                return;
            }
            bytes += line.kept.len();
            found.push_back(line.kept);
            while found.len() > KEPT_ALERTS || bytes > KEPT_ALERT_BYTES {
                bytes -= found.pop_front().map_or(0, |oldest: Vec<u8>| oldest.len());
            }
        });
        match read {
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => say_unreadable(&file.path, &error),
            Ok(()) => {}
        }
    }
    Ok(found.into())
}

fn each_line(path: &Path, most: usize, mut take: impl FnMut(LineRead)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    while let Some(line) = read_line(&mut reader, most)? {
        take(line);
    }
    Ok(())
}

fn is_alert(line: &[u8], since: Timestamp) -> bool {
    let event = serde_json::from_slice::<SwarmEvent>(line).ok();
    event.is_some_and(|event| event.event_type == kind::ALERT && event.server_timestamp >= since)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::journal::tests::{at_day, journal, line, line_of};
    use super::*;

    /// The numbers of a page.
    fn after(folder: &Path, seq: u64, bytes: usize) -> Vec<u64> {
        let page = read_after(folder, seq, None, bytes).unwrap();
        page.lines.iter().map(|line| line.seq).collect()
    }

    /// All numbers after `seq` page by page, as a client gets them, and the bytes read for them.
    fn paged(folder: &Path, mut seq: u64, bytes: usize) -> (Vec<u64>, u64) {
        let (mut place, mut found, mut read) = (None, Vec::new(), 0);
        loop {
            let mut page = read_after(folder, seq, place.as_ref(), bytes).unwrap();
            read += page.read_bytes;
            while let Some(needed) = page.needed {
                page = read_after(folder, seq, place.as_ref(), needed).unwrap();
            }
            let Some(last) = page.lines.last() else { return (found, read) };
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
        let two = line(1, at_day(20_000)).len() * 2;
        assert_eq!(after(dir.path(), 0, 10_000), [1, 2, 3, 4, 5, 6]);
        assert_eq!(after(dir.path(), 2, two), [3, 4]);
        assert_eq!(after(dir.path(), 5, 10_000), [6]);
        assert!(after(dir.path(), 6, 10_000).is_empty());
        for bytes in [1, two, two + 40, 10_000] {
            assert_eq!(paged(dir.path(), 1, bytes).0, [2, 3, 4, 5, 6], "{bytes}");
        }
    }

    #[test]
    fn catching_up_costs_the_bytes_once_and_a_late_start_only_its_part() {
        const EVENTS: u64 = 40_000;
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let lines: Vec<u8> = (1..=EVENTS).flat_map(|seq| line(seq, now)).collect();
        journal.append(now, &lines).unwrap();
        let size = lines.len() as u64;
        let (found, read) = paged(dir.path(), 0, 64 << 10);
        assert_eq!(found.len() as u64, EVENTS);
        assert!(read < size + size / 10, "{read} bytes were read of {size}");
        let (found, read) = paged(dir.path(), EVENTS - 10, 64 << 10);
        assert_eq!(found, (EVENTS - 9..=EVENTS).collect::<Vec<_>>());
        assert!(read < 4 * SEARCH_BYTES, "{read} bytes were read for ten events");
        for seq in [0, 1, 777, EVENTS / 2, EVENTS - 1] {
            assert_eq!(after(dir.path(), seq, 1_000).first(), Some(&(seq + 1)), "{seq}");
        }
    }

    #[test]
    fn a_number_is_found_through_damage_of_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let mut lines = Vec::new();
        for seq in 1..=900 {
            match seq % 300 {
                1..100 => lines.extend(b"\xff no event\n".repeat(4)),
                _ => lines.extend(line(seq, now)),
            }
        }
        journal.append(now, &lines).unwrap();
        for seq in 0..900 {
            let next = (seq + 1..=900).find(|n| !(1..100).contains(&(n % 300)));
            assert_eq!(after(dir.path(), seq, 300).first().copied(), next, "after {seq}");
        }
    }

    #[test]
    fn a_damaged_byte_costs_only_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let alert = line_of(5, "alert", json!({}), now);
        let in_the_number = b"{\"seq\xff\":2}\n".to_vec();
        let in_the_text = b"{\"seq\":3,\"event_type\":\"x\",\"data\":{\"a\":\"\xff\"}}\n".to_vec();
        let in_the_form = b"{\"seq\":4,\"event_type\":\"x\",\"data\":{]}\n".to_vec();
        let lines = [line(1, now), in_the_number, in_the_text, in_the_form, alert.clone()].concat();
        journal.append(now, &lines).unwrap();
        assert_eq!(paged(dir.path(), 0, 1).0, [1, 5]);
        assert_eq!(alerts_since(dir.path(), now).unwrap(), [alert.trim_ascii_end()]);
    }

    #[test]
    fn an_error_that_passes_is_no_end_of_a_file() {
        let file: Arc<Path> = Path::new("events_20261201.jsonl").into();
        let read =
            |errno: rustix::io::Errno| JournalPage::default().read_on(&file, 0, 1_000, |_| Err(errno.into()));
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM] {
            assert_eq!(read(errno).unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
        }
        assert!(read(rustix::io::Errno::IO).unwrap(), "the disk cannot read the rest");
    }

    #[test]
    fn a_line_larger_than_the_page_is_measured_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, now) = (journal(dir.path()).0, at_day(20_000));
        let large = line_of(2, "x", json!({ "text": "x".repeat(100_000) }), now);
        journal.append(now, &[line(1, now), large.clone(), line(3, now)].concat()).unwrap();
        let page = read_after(dir.path(), 1, None, 1_000).unwrap();
        assert_eq!((page.lines.len(), page.needed), (0, Some(large.len())));
        assert_eq!(paged(dir.path(), 0, 1_000).0, [1, 2, 3]);
    }

    #[test]
    fn alerts_are_found_among_everything_else_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = journal(dir.path());
        for (seq, day, kind) in
            [(1, 19_999, "alert"), (2, 20_000, "x"), (3, 20_000, "alert"), (4, 20_001, "alert")]
        {
            let data = json!({ "said": "\"event_type\":\"alert\"" });
            journal.append(at_day(day), &line_of(seq, kind, data, at_day(day))).unwrap();
        }
        let numbers = || {
            let lines = alerts_since(dir.path(), at_day(20_000)).unwrap();
            lines.iter().filter_map(|line| number_of(line)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(), [3, 4]);
        let now = at_day(20_001);
        let many = 5..5 + 2 * KEPT_ALERTS as u64;
        let lines: Vec<u8> = many.clone().flat_map(|seq| line_of(seq, "alert", json!({}), now)).collect();
        journal.append(now, &lines).unwrap();
        assert_eq!(numbers(), (many.end - KEPT_ALERTS as u64..many.end).collect::<Vec<_>>());
    }
}
