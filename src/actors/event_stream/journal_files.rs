//! The event files of a folder: names, order, and the numbers in them.
//!
//! `events_<YYYYMMDD>.jsonl`, a line an event; `events_<YYYYMMDD>-<n>.jsonl` continues a day to which the clock
//! came back. Invariant: the files are ordered by the numbers in them, never by their names, because a clock
//! can jump and a number cannot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::skills::is_passing;

const PREFIX: &str = "events_";
const SUFFIX: &str = ".jsonl";
/// Digits of a day in a name.
const DAY_DIGITS: usize = 8;
/// Most files of one day, each begun by a clock that was set back.
const MAX_PARTS: u32 = 10_000;
/// Enough of a line to see its number.
pub(super) const LINE_HEAD: usize = 64;
/// Bytes at the end of a file searched first for the last number; four times as many each time after.
const FIRST_TAIL: u64 = 64 << 10;
/// Most bytes searched: a file whose last 64 MiB have no number is no journal.
const MAX_TAIL: u64 = 64 << 20;

/// A file with at least one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalFile {
    pub(super) path: PathBuf,
    /// The number of the first event.
    pub(super) first: u64,
}

impl JournalFile {
    /// The day in the name.
    pub(super) fn day(&self) -> &str {
        day_of(&self.path).unwrap_or_default()
    }
}

/// The event files of a folder.
#[derive(Debug, Default)]
pub(super) struct JournalFolder {
    /// Those with events, in the order of their numbers.
    pub(super) files: Vec<JournalFile>,
    /// Those that cannot be read, and why: they cost only what is in them.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// Reads what event files a folder has. An error that passes, such as too many open files, is the whole list's: a file
/// left out for it could be the newest.
pub(super) fn list(folder: &Path) -> io::Result<JournalFolder> {
    list_by(folder, first_number)
}

fn list_by(
    folder: &Path,
    first_number: impl Fn(&Path) -> io::Result<Option<u64>>,
) -> io::Result<JournalFolder> {
    let mut found = JournalFolder::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if day_of(&path).is_none() {
            continue;
        }
        match first_number(&path) {
            Ok(Some(first)) => found.files.push(JournalFile { path, first }),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => found.unreadable.push((path, error)),
        }
    }
    found.files.sort_unstable_by_key(|file| file.first);
    Ok(found)
}

/// The files of the folder with events, in the order of their numbers.
pub(super) fn in_order(folder: &Path) -> io::Result<Vec<JournalFile>> {
    list(folder).map(|found| found.files)
}

/// The day in an event file's name; `None` for other files.
pub(super) fn day_of(file: &Path) -> Option<&str> {
    let name = file.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (day, part) = name.split_at_checked(DAY_DIGITS)?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_part = part.is_empty() || part.strip_prefix('-').is_some_and(is_digits);
    (is_digits(day) && is_part).then_some(day)
}

/// Opens a file for lines.
pub(super) fn open_for_lines(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).open(path)
}

/// A new file of `day`: of the first name that is free, or has only an empty file.
pub(super) fn new_file(folder: &Path, day: &str) -> io::Result<(PathBuf, File)> {
    let mut refused = None;
    for part in 1..=MAX_PARTS {
        let part = if part == 1 { String::new() } else { format!("-{part}") };
        let path = folder.join(format!("{PREFIX}{day}{part}{SUFFIX}"));
        let is_free = match path.metadata() {
            Ok(known) => known.is_file() && known.len() == 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                refused = Some(error);
                false
            }
        };
        if is_free {
            match open_for_lines(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
    }
    let full = || io::Error::other(format!("there are {MAX_PARTS} event files of the day {day}"));
    Err(refused.unwrap_or_else(full))
}

/// The number at the start of an event's line.
pub(super) fn number_of(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(br#"{"seq":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The number of a file's first event.
fn first_number(path: &Path) -> io::Result<Option<u64>> {
    // Opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut reader = BufReader::new(File::open(path)?);
    while let Some(line) = read_line(&mut reader, LINE_HEAD)? {
        if let Some(number) = number_of(&line.kept) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The number of a file's last event. Damaged lines behind the last readable number are counted: each had a
/// number.
pub(super) fn last_number(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut window = FIRST_TAIL;
    loop {
        let from = end.saturating_sub(window);
        let lines = whole_lines(&mut file, from)?;
        let mut damaged = 0;
        for line in lines.split(|byte| *byte == b'\n').rev().skip(1) {
            match number_of(line) {
                Some(number) => return Ok(Some(number + damaged)),
                None => damaged += 1,
            }
        }
        if from == 0 || window >= MAX_TAIL {
            return Ok(None);
        }
        window *= 4;
    }
}

/// The whole lines of a file from `from` on, each with its end; a line that `from` cuts is left out.
pub(super) fn whole_lines(file: &mut File, from: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(end);
    if from > 0 {
        let start = bytes.iter().position(|byte| *byte == b'\n').map_or(end, |start| start + 1);
        bytes.drain(..start);
    }
    Ok(bytes)
}

/// A line, kept up to a given length.
pub(super) struct LineRead {
    pub(super) kept: Vec<u8>,
    pub(super) is_whole: bool,
    /// In the file, with its end.
    pub(super) length: u64,
}

/// The next line, kept whole up to `most` bytes. An unfinished line counts as missing.
pub(super) fn read_line(reader: &mut impl BufRead, most: usize) -> io::Result<Option<LineRead>> {
    let (mut kept, mut length) = (Vec::new(), 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr(b'\n', buffer);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_day_and_other_files_are_left_alone() {
        for (name, day) in [
            ("events_20261201.jsonl", Some("20261201")),
            ("events_20261201-2.jsonl", Some("20261201")),
            ("events_20261201-.jsonl", None),
            ("events_20261201_2.jsonl", None),
            ("events_2026120.jsonl", None),
            ("events_notes.jsonl", None),
            ("heartbeat_alerts_20261201.jsonl", None),
        ] {
            assert_eq!(day_of(Path::new(name)), day, "{name}");
        }
    }

    #[test]
    fn an_error_that_passes_costs_no_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("events_20261201.jsonl"), "{\"seq\":7}\n").unwrap();
        let failing = |errno: rustix::io::Errno| list_by(dir.path(), move |_| Err(errno.into()));
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM] {
            assert_eq!(failing(errno).unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
        }
        let damaged = failing(rustix::io::Errno::IO).unwrap();
        assert_eq!((damaged.files.len(), damaged.unreadable.len()), (0, 1));
    }

    #[test]
    fn the_last_number_is_found_behind_damage_and_long_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events_20261201.jsonl");
        let long = format!("{{\"seq\":8,\"x\":\"{}\"}}\n", "x".repeat(300_000));
        for (text, last) in [
            (String::new(), None),
            ("{\"seq\":7}".into(), None),
            ("{\"seq\":7}\n".into(), Some(7)),
            ("{\"seq\":7}\n{\"seq\":8".into(), Some(7)),
            ("{\"seq\":7}\nxx\nyy\n".into(), Some(9)),
            (format!("{{\"seq\":7}}\n{long}"), Some(8)),
            (format!("{{\"seq\":7}}\n{long}xx\n"), Some(9)),
            ("xx\n".into(), None),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(last_number(&path).unwrap(), last, "{}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn a_line_is_kept_only_as_far_as_asked() {
        let line = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
        let read = read_line(&mut &line[..], 1_000).unwrap().unwrap();
        assert_eq!((read.kept.len(), read.is_whole, read.length), (1_000, false, 100_001));
    }
}
