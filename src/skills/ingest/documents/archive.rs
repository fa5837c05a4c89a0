//! The parts of a ZIP archive, unpacked within a limit.
//!
//! Invariant: the unpacked bytes of all parts together stay below the limit, whatever sizes the archive claims.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{broken, too_large};
use crate::ingest::audit::encoding::{self, FileContent};
use crate::ingest::source::FileTrouble;

pub(super) struct PartReader<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limit: u64,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> PartReader<'a> {
    pub(super) fn open(bytes: &'a [u8], limit: u64) -> Result<Self, FileTrouble> {
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| broken(&format!("a damaged ZIP archive: {error}")))?;
        Ok(Self { archive, limit, left: limit })
    }

    /// The most bytes of one file.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The text of a part; `None` where the archive has no part of that name.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FileTrouble> {
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(broken("it is encrypted"));
            }
            Err(error) => return Err(broken(&format!("its part {name} cannot be opened: {error}"))),
        };
        let mut bytes = Vec::new();
        file.take(self.left + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(&format!("its part {name} is damaged: {error}")))?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(self.limit))?;
        match encoding::examine(&bytes) {
            FileContent::Text(decoded) => Ok(Some(decoded.text)),
            FileContent::Binary(what) => Err(broken(&format!("its part {name} is no text: {what}"))),
        }
    }

    /// As [`Self::text`]; a missing part is an error.
    pub(super) fn needed(&mut self, name: &str) -> Result<String, FileTrouble> {
        self.text(name)?.ok_or_else(|| broken(&format!("its part {name} is missing")))
    }
}
