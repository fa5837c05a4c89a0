//! The journal of holds without a cap: what survives `kill -9` of calls that waited for no disk.
//!
//! A file of JSON lines, written to the kernel and never synced: its first line says which receipts may
//! settle its holds (`first_seq` and later), each other line is a hold, or a release. A hold is settled by
//! its receipt, so settlements are not written here. Rotation writes a new file with the open holds and
//! gives it the old one's name. Invariant: a hold whose [`Journal::held`] returned is found by the next
//! start unless the machine itself went down. Failure policy: a journal that cannot be written refuses,
//! and its caller makes the hold durable in the store instead.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::budget::{HoldId, Wanted};

/// The journal's file, below the folder of PAS's own state.
pub(super) const FILE: &str = "holds.journal";
/// Size at which it is rotated: some four thousand holds, read in milliseconds by a start.
const ROTATE_BYTES: u64 = 1 << 20;

/// Room for a usual line: a buffer that grows is copied three times on its way.
const LINE_BYTES: usize = 384;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<W> {
    FirstSeq(u64),
    Held(HoldId, W),
    Released(HoldId),
}

/// What a journal says of the time before a start.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Receipts that may settle its holds have this `seq` or a later one.
    pub(super) first_seq: u64,
    /// Holds that were not released.
    pub(super) held: BTreeMap<HoldId, Wanted>,
}

/// Reads the journal of the daemon before; none is empty. A torn last line was not acknowledged.
pub(super) fn read(folder: &Path) -> io::Result<Left> {
    let text = match std::fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::default()),
        read => read?,
    };
    let mut left = Left::default();
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    for (number, line) in (1..).zip(&lines) {
        match serde_json::from_slice(line) {
            Ok(Entry::FirstSeq(seq)) => left.first_seq = seq,
            Ok(Entry::Held(id, wanted)) => drop(left.held.insert(id, wanted)),
            Ok(Entry::Released(id)) => drop(left.held.remove(&id)),
            Err(_) if number == lines.len() => {}
            Err(error) => {
                tracing::error!(file = FILE, line = number, %error, "a line of the journal is damaged");
            }
        }
    }
    Ok(left)
}

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl Journal {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE), file: None, bytes: 0 }
    }

    /// Notes a hold; with the kernel when this returns.
    pub(super) fn held(&mut self, id: HoldId, wanted: &Wanted) -> io::Result<()> {
        self.append(&Entry::Held(id, wanted))
    }

    /// Notes that a hold was given back.
    pub(super) fn released(&mut self, id: HoldId) -> io::Result<()> {
        self.append(&Entry::<&Wanted>::Released(id))
    }

    pub(super) const fn is_long(&self) -> bool {
        self.bytes >= ROTATE_BYTES
    }

    /// Begins anew with the holds that are open.
    pub(super) fn rotate<'a>(
        &mut self,
        first_seq: u64,
        open: impl Iterator<Item = (HoldId, &'a Wanted)>,
    ) -> io::Result<()> {
        let mut text = line_of(&Entry::<&Wanted>::FirstSeq(first_seq))?;
        for (id, wanted) in open {
            text.append(&mut line_of(&Entry::Held(id, wanted))?);
        }
        let draft = self.path.with_extension("journal-new");
        std::fs::write(&draft, &text)?;
        let file = OpenOptions::new().append(true).open(&draft)?;
        std::fs::rename(&draft, &self.path)?;
        self.file = Some(file);
        self.bytes = text.len() as u64;
        Ok(())
    }

    fn append(&mut self, entry: &Entry<&Wanted>) -> io::Result<()> {
        let line = line_of(entry)?;
        let Some(file) = &mut self.file else { return Err(io::Error::other("the journal is not open")) };
        let written = file.write_all(&line);
        self.bytes += line.len() as u64;
        if written.is_err() {
            // Half a line may be in it: nothing more may follow before a rotation.
            self.file = None;
            self.bytes = ROTATE_BYTES;
        }
        written
    }
}

fn line_of(entry: &Entry<&Wanted>) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    serde_json::to_writer(&mut line, entry)?;
    line.push(b'\n');
    Ok(line)
}
