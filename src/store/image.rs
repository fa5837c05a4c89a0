//! A frozen image of a running store: one commit, readable in full while writes go on.
//!
//! redb never changes a page that a reader may need, so the pages of a settled commit stay as they are while a
//! read transaction holds them; only the header moves on, and that is kept from the moment of the commit. So
//! the image can be opened as a database of its own, and redb checks the checksum of every page: on a read of
//! the running store it checks none.
//!
//! Invariant: an image changes nothing in the file. Failure policy: damage is an error with a sentence, also
//! where redb panics.

use std::path::Path;
use std::sync::Arc;

use redb::ReadTransaction;

use super::OpenError;
use super::backend::{self, StorageHome};
use super::overlay::{BLOCK, OverlayBackend};

/// One settled commit of a running store.
pub(super) struct FrozenImage {
    /// Keeps the pages.
    pub(super) snapshot: ReadTransaction,
    bytes: OverlayBackend,
}

impl FrozenImage {
    /// The image of the commit that `snapshot` reads, which is the last one on the disk; nothing is committed
    /// meanwhile.
    pub(super) fn new(home: &dyn StorageHome, snapshot: ReadTransaction) -> std::io::Result<Self> {
        let inner = home.reader()?;
        let mut header = vec![0; BLOCK].into_boxed_slice();
        inner.read(0, &mut header)?;
        Ok(Self { snapshot, bytes: OverlayBackend::frozen(inner, header)? })
    }

    /// Reads every page; returns the snapshot of a whole image.
    ///
    /// # Errors
    /// [`OpenError::Damaged`].
    pub(super) fn verified(self, path: &Path) -> Result<ReadTransaction, OpenError> {
        let checked = backend::open_guarded(path, Box::new(self.bytes), &Arc::default(), true)?;
        drop(checked);
        Ok(self.snapshot)
    }
}
