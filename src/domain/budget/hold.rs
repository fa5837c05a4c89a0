//! The proof that money is held for one attempt at a call.
//!
//! Invariants: only the ledger makes a [`Hold`], and it cannot be copied, so whoever has one has been
//! granted exactly that much, once. A function that reaches a vendor takes `&Hold`. Failure policy: a
//! hold that is dropped without a word (its caller panicked, or was cancelled) tells its guard, which
//! charges it: the outcome is unknown, and unknown is never free.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::money::NanoUsd;

/// Names one hold, for all lives of a daemon's store. Below 2⁵³ for two million starts, so that every
/// JSON reader keeps all digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(pub u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Learns of holds that were dropped without a settlement.
pub trait Guard: Send + Sync {
    /// This hold is gone; what became of its call is not known.
    fn abandoned(&self, id: HoldId);
}

/// Money held for one attempt at a call.
#[must_use = "a hold that is dropped is charged in full; settle or release it"]
pub struct Hold {
    id: HoldId,
    amount: NanoUsd,
    guard: Option<Arc<dyn Guard>>,
}

impl Hold {
    pub(in crate::domain::budget) fn new(id: HoldId, amount: NanoUsd) -> Self {
        Self { id, amount, guard: None }
    }

    #[must_use]
    pub const fn id(&self) -> HoldId {
        self.id
    }

    /// How much is held: the most its call may cost.
    #[must_use]
    pub const fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// The same hold, watched by `guard` from now on.
    pub fn guarded(mut self, guard: Arc<dyn Guard>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Ends the proof, for whoever settles or releases the hold by its name.
    #[must_use]
    pub fn into_id(mut self) -> HoldId {
        self.guard = None;
        self.id
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("id", &self.id.0).field("amount", &self.amount).finish()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.abandoned(self.id);
        }
    }
}

#[cfg(test)]
impl Hold {
    /// For tests of what needs a hold and no ledger.
    pub(crate) const fn for_tests() -> Self {
        Self { id: HoldId(1), amount: NanoUsd(1), guard: None }
    }
}
