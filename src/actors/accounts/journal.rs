//! The journal of holds without a cap: their record across `kill -9`, written without waiting for a disk.
//!
//! A file of JSON lines, written to the page cache and never synced: the first line says which receipts may
//! settle the holds (`first_seq` and later), each other line is a hold or a release. A hold is settled by a
//! receipt, so settlements are not written here. Rotation writes a new file with the open holds under the old
//! one's name. Invariant: after [`HoldJournal::held`] has returned, the next start finds the hold unless the
//! machine itself went down. Failure policy: an unwritable journal refuses, and the caller makes the hold
//! durable in the store instead.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::accounts::budget::{HoldId, SpendRequest};

/// The journal's file, below the folder of PAS's own state.
pub(super) const FILE: &str = "holds.journal";
/// Size at which the journal is rotated: some four thousand holds, read in milliseconds by a start.
const ROTATE_BYTES: u64 = 1 << 20;

/// Room for a usual line: a growing buffer would be copied three times.
const LINE_BYTES: usize = 384;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HoldJournalEntry<W> {
    FirstSeq(u64),
    Held(HoldId, W),
    Released(HoldId),
}

/// The journal of the previous daemon.
#[derive(Debug, Default)]
pub(super) struct HoldJournalState {
    /// Receipts that may settle these holds have this `seq` or a later one.
    pub(super) first_seq: u64,
    /// Holds that were not released.
    pub(super) held: BTreeMap<HoldId, SpendRequest>,
}

/// Reads the previous daemon's journal; a missing file is empty. A torn last line was not acknowledged.
pub(super) fn read(folder: &Path) -> io::Result<HoldJournalState> {
    let text = match std::fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HoldJournalState::default()),
        read => read?,
    };
    let mut left = HoldJournalState::default();
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    for (number, line) in (1..).zip(&lines) {
        match serde_json::from_slice(line) {
            Ok(HoldJournalEntry::FirstSeq(seq)) => left.first_seq = seq,
            Ok(HoldJournalEntry::Held(id, wanted)) => drop(left.held.insert(id, wanted)),
            Ok(HoldJournalEntry::Released(id)) => drop(left.held.remove(&id)),
            Err(_) if number == lines.len() => {}
            Err(error) => {
                tracing::error!(file = FILE, line = number, %error, "a line of the journal is damaged");
            }
        }
    }
    Ok(left)
}

#[derive(Debug)]
pub(super) struct HoldJournal {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl HoldJournal {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE), file: None, bytes: 0 }
    }

    /// Notes a hold; written to the page cache when this returns (survives a process kill, not a power cut).
    pub(super) fn held(&mut self, id: HoldId, wanted: &SpendRequest) -> io::Result<()> {
        self.append(&HoldJournalEntry::Held(id, wanted))
    }

    /// Notes the release of a hold.
    pub(super) fn released(&mut self, id: HoldId) -> io::Result<()> {
        self.append(&HoldJournalEntry::<&SpendRequest>::Released(id))
    }

    pub(super) const fn is_long(&self) -> bool {
        self.bytes >= ROTATE_BYTES
    }

    /// Starts a new file with the open holds.
    pub(super) fn rotate<'a>(
        &mut self,
        first_seq: u64,
        open: impl Iterator<Item = (HoldId, &'a SpendRequest)>,
    ) -> io::Result<()> {
        let mut text = line_of(&HoldJournalEntry::<&SpendRequest>::FirstSeq(first_seq))?;
        for (id, wanted) in open {
            text.append(&mut line_of(&HoldJournalEntry::Held(id, wanted))?);
        }
        let draft = self.path.with_extension("journal-new");
        std::fs::write(&draft, &text)?;
        let file = OpenOptions::new().append(true).open(&draft)?;
        std::fs::rename(&draft, &self.path)?;
        self.file = Some(file);
        self.bytes = text.len() as u64;
        Ok(())
    }

    fn append(&mut self, entry: &HoldJournalEntry<&SpendRequest>) -> io::Result<()> {
        let line = line_of(entry)?;
        let Some(file) = &mut self.file else { return Err(io::Error::other("the journal is not open")) };
        let written = file.write_all(&line);
        self.bytes += line.len() as u64;
        if written.is_err() {
            // The file may contain half a line: nothing may follow before a rotation.
            self.file = None;
            self.bytes = ROTATE_BYTES;
        }
        written
    }
}

fn line_of(entry: &HoldJournalEntry<&SpendRequest>) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    serde_json::to_writer(&mut line, entry)?;
    line.push(b'\n');
    Ok(line)
}
