//! The store's errors, each with a sentence that names a remedy.
//!
//! Invariant: [`StoreError`] is the one error of reads and writes, so that a caller's own error needs a
//! single `From`; the variants are the cases in which callers act differently.

use std::path::{Path, PathBuf};

/// A read or a write that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The commit failed: the write may or may not have taken effect.
    #[error(
        "whether the last write to {store} took effect is unknown ({reason}); decide it again by its key"
    )]
    Unknown { store: String, reason: String },
    /// The store takes no writes for now; this write has not taken effect.
    #[error(
        "{store} takes no writes: {reason}; nothing was changed, reads go on where the file can be opened, \
         and writes resume by themselves once the cause is gone (on a full disk: free some space)"
    )]
    Unavailable { store: String, reason: String },
    /// The operation's own code panicked; nothing was changed.
    #[error("a store operation panicked and was undone: {message}")]
    Panicked { message: String },
    /// The changes cannot be stored (a value is too large, say); nothing was changed.
    #[error("these changes cannot be stored: {reason}; nothing was changed")]
    Invalid {
        /// The table and the reason.
        reason: String,
    },
    /// A stored row does not decode as the table's type.
    #[error(
        "a row of table `{table}` is damaged or of another version: {reason}; `pas doctor` checks the file"
    )]
    Damaged { table: &'static str, reason: String },
    /// The file could not be read; a later read may succeed, once the file was reopened.
    #[error("the store could not be read: {reason}; try again")]
    Unreadable { reason: String },
    /// The store was closed; nothing was changed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the fault passes without help, so that a caller who can wait should retry.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Unavailable { .. } | Self::Unreadable { .. })
    }

    pub(super) fn unreadable(error: &dyn std::error::Error) -> Self {
        Self::Unreadable { reason: error.to_string() }
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        Self::unreadable(&error)
    }
}

/// Why a store was not opened. Nothing on disk was replaced.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another handle in this one) has the store open.
    #[error(
        "{} is already open by another process; stop that daemon, or choose another data directory",
        path.display()
    )]
    AlreadyOpen { path: PathBuf },
    /// A newer PAS wrote the file.
    #[error(
        "{} has schema version {found}, this program knows up to {supported}; use the newer program \
         (an older one must not touch the file)", path.display()
    )]
    Newer {
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version this program knows.
        supported: u32,
    },
    /// The file is no complete store.
    #[error(
        "{} is damaged ({reason}); it was left as it is. Move it away and copy the newest backup to its \
         place, or move it away to start empty", path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    /// A migration failed; the file is in the state before that step.
    #[error("{}: the migration to schema version {to} failed: {reason}; the file still has the version before", path.display())]
    Migration {
        path: PathBuf,
        /// The version the migration leads to.
        to: u32,
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot open the store {}: {source}; check the directory, its permissions and the free space", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl OpenError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Sorts redb's errors by their remedy.
    pub(super) fn from_redb(path: &Path, error: redb::DatabaseError) -> Self {
        use redb::{DatabaseError, StorageError};
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::AlreadyOpen { path: path.to_owned() },
            DatabaseError::Storage(StorageError::Io(source)) if !says_damaged(source.kind()) => {
                Self::io(path, source)
            }
            other => Self::damaged(path, other),
        }
    }
}

/// I/O error kinds with which redb and the kernel report wrong or missing bytes, not a refusal.
fn says_damaged(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

/// The text of a caught panic.
pub(super) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .to_owned()
}
