//! Whether an actor's copy of a table agrees with the store.
//!
//! After a write of unknown outcome, or a start while the store takes no writes, the copy may differ: nothing
//! is decided from it before the table is read again. Invariant: only a reading ends the doubt, taken after
//! everything queued earlier, on a store that takes writes.

use crate::store::{Store, StoreError};
use crate::supervision::{ActorContext, ActorMessage};

/// The doubt of an actor that is a table's only writer.
pub(super) struct TableSync<M> {
    store: Store,
    /// The message an actor sends itself when the store takes writes again: leads to [`TableSync::reload`].
    reload_message: fn() -> M,
    doubt: Option<StoreError>,
    is_awaited: bool,
}

impl<M: ActorMessage> TableSync<M> {
    pub(super) fn new(store: Store, wake: fn() -> M) -> Self {
        Self { store, reload_message: wake, doubt: None, is_awaited: false }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The current table: read after everything queued before. `None` while it cannot be read.
    ///
    /// # Errors
    /// The store's error, unless waiting would help.
    pub(super) async fn read<R>(
        &mut self,
        context: &ActorContext<M>,
        read: impl FnOnce(&crate::store::StoreView<'_>) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        self.doubt = match self.store.settled().await {
            Ok(()) => None,
            Err(error) if error.is_passing() => Some(error),
            Err(error) => return Err(error),
        };
        self.await_recovery(context);
        match self.store.read(read) {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if error.is_passing() => {
                self.doubt.get_or_insert(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Call this when the message of [`TableSync::new`] has arrived.
    pub(super) fn store_is_back(&mut self) {
        self.is_awaited = false;
    }

    /// # Errors
    /// The reason why nothing may be decided now.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.doubt.clone().map_or(Ok(()), Err)
    }

    /// Notes a failed write.
    pub(super) fn note(&mut self, error: &StoreError, context: &ActorContext<M>) {
        if matches!(error, StoreError::Unknown { .. }) {
            self.doubt = Some(error.clone());
            self.await_recovery(context);
        }
    }

    fn await_recovery(&mut self, context: &ActorContext<M>) {
        if self.doubt.is_none() || std::mem::replace(&mut self.is_awaited, true) {
            return;
        }
        let (store, address, wake) = (self.store.clone(), context.address().clone(), self.reload_message);
        context.spawn(async move {
            if store.writable().await.is_ok() {
                // An actor that has ended reads at the next start.
                let _ = address.send(wake()).await;
            }
        });
    }
}
