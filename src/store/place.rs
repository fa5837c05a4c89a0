//! Whether the store's file still lies where it was opened, and a second way to its bytes.
//!
//! A file that was deleted, moved or replaced stays open: every write to it succeeds, for nobody. Invariant: a
//! path leads this process to one file only, the first one opened there.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use parking_lot::Mutex;
use redb::StorageBackend;

/// The first file opened at a path.
#[derive(Debug, Default)]
pub(super) struct FilePlace(Mutex<Option<OpenedFile>>);

#[derive(Debug)]
struct OpenedFile {
    /// Device and inode.
    identity: (u64, u64),
    /// For reading beside the database, also once the path leads elsewhere.
    file: File,
}

fn identity(facts: &Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

impl FilePlace {
    /// Notes a file that was opened at `path`.
    ///
    /// # Errors
    /// Another file was opened there before: it must not be taken for the same store.
    pub(super) fn note(&self, path: &Path, file: &File) -> io::Result<()> {
        let found = identity(&file.metadata()?);
        let mut opened = self.0.lock();
        match &*opened {
            None => {
                *opened = Some(OpenedFile { identity: found, file: File::open(path)? });
                Ok(())
            }
            Some(opened) if opened.identity == found => Ok(()),
            Some(_) => Err(io::Error::other("another file lies in the store's place")),
        }
    }

    /// Why `path` no longer leads to the opened file.
    pub(super) fn displaced(&self, path: &Path) -> Option<String> {
        let opened = self.0.lock();
        let opened = opened.as_ref()?;
        match path.metadata() {
            Ok(facts) if identity(&facts) == opened.identity => None,
            Ok(_) => Some("another file lies in its place".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("it was deleted or moved away".to_owned())
            }
            Err(error) => Some(format!("it cannot be found: {error}")),
        }
    }

    /// The opened file's bytes, for reading.
    pub(super) fn reader(&self) -> io::Result<ReadOnlyFile> {
        let opened = self.0.lock();
        let opened = opened.as_ref().ok_or_else(|| io::Error::other("the store was not opened yet"))?;
        opened.file.try_clone().map(ReadOnlyFile)
    }
}

/// A file that redb may read and not change; it takes no lock.
#[derive(Debug)]
pub(super) struct ReadOnlyFile(pub(super) File);

impl StorageBackend for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
