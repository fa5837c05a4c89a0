//! Whether what an actor shows of its table is what the store holds.
//!
//! After a write of unknown outcome, or a start while the store takes no writes, it may not be: then nothing
//! is decided on top of it before the table was read once more. Invariant: a doubt ends only by a reading that
//! follows everything queued before it, on a store that takes writes.

use crate::store::{Store, StoreError};
use crate::supervision::{Context, Message};

/// The doubt of an actor that is the only writer of its table.
pub(super) struct TableSync<M> {
    store: Store,
    /// What the actor sends itself when the store takes writes again: to [`TableSync::reload`].
    wake: fn() -> M,
    doubt: Option<StoreError>,
    is_awaited: bool,
}

impl<M: Message> TableSync<M> {
    pub(super) fn new(store: Store, wake: fn() -> M) -> Self {
        Self { store, wake, doubt: None, is_awaited: false }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The table as it is now: read after everything that was queued before. `None` while it cannot be read.
    ///
    /// # Errors
    /// The store's, where waiting for it would not help.
    pub(super) async fn read<R>(
        &mut self,
        context: &Context<M>,
        read: impl FnOnce(&crate::store::View<'_>) -> Result<R, StoreError>,
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

    /// To be called when the message of [`TableSync::new`] has come.
    pub(super) fn store_is_back(&mut self) {
        self.is_awaited = false;
    }

    /// # Errors
    /// Why nothing may be decided now.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.doubt.clone().map_or(Ok(()), Err)
    }

    /// Takes note of a write that was not carried out.
    pub(super) fn note(&mut self, error: &StoreError, context: &Context<M>) {
        if matches!(error, StoreError::Unknown { .. }) {
            self.doubt = Some(error.clone());
            self.await_recovery(context);
        }
    }

    fn await_recovery(&mut self, context: &Context<M>) {
        if self.doubt.is_none() || std::mem::replace(&mut self.is_awaited, true) {
            return;
        }
        let (store, address, wake) = (self.store.clone(), context.address().clone(), self.wake);
        context.spawn(async move {
            if store.writable().await.is_ok() {
                // An actor that has ended reads at its next start.
                let _ = address.send(wake()).await;
            }
        });
    }
}
