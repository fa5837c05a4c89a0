//! The proof that money is held for one attempt at a call.
//!
//! Invariants: only the ledger makes a [`Hold`], and a hold cannot be copied, so the owner was granted
//! exactly that amount, once. A function that reaches a vendor takes `&Hold`. Failure policy: a hold dropped
//! without a settlement (the caller panicked, or was cancelled) notifies the guard, which charges the full
//! hold: the outcome is unknown, and unknown is never free.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;

/// Unique in a store across restarts. Stays below 2⁵³ for two million starts, so that every JSON reader keeps
/// all digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(pub u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Receives holds that were dropped without a settlement.
pub trait HoldGuard: Send + Sync {
    /// The hold was dropped, and the outcome of the call is unknown.
    fn abandoned(&self, id: HoldId);
}

/// Money held for one attempt at a call.
#[must_use = "a hold that is dropped is charged in full; settle or release it"]
pub struct Hold {
    id: HoldId,
    amount: NanoUsd,
    guard: Option<Arc<dyn HoldGuard>>,
}

impl Hold {
    pub(in crate::accounts::budget) fn new(id: HoldId, amount: NanoUsd) -> Self {
        Self { id, amount, guard: None }
    }

    #[must_use]
    pub const fn id(&self) -> HoldId {
        self.id
    }

    /// The amount held: the most the call may cost.
    #[must_use]
    pub const fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// The same hold, watched by `guard` from now on.
    pub fn guarded(mut self, guard: Arc<dyn HoldGuard>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Consumes the proof, for settling or releasing the hold by id.
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

#[cfg(any(test, feature = "testing"))]
impl Hold {
    /// A hold without a ledger, for tests.
    pub const fn for_tests() -> Self {
        Self { id: HoldId(1), amount: NanoUsd(1), guard: None }
    }
}
