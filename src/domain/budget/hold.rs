//! The proof that money is held for a call.
//!
//! Invariant: only the ledger makes a [`Hold`], so whoever has one may send a request to a vendor.

use serde::{Deserialize, Serialize};

use crate::domain::money::NanoUsd;

/// Names a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(pub u64);

/// Money set aside for one attempt at one call. Not `Clone`: it is settled or released once.
#[derive(Debug, PartialEq, Eq)]
pub struct Hold {
    pub(in crate::domain::budget) id: HoldId,
    pub(in crate::domain::budget) amount: NanoUsd,
}

impl Hold {
    /// Which hold it is.
    #[must_use]
    pub const fn id(&self) -> HoldId {
        self.id
    }

    /// How much is held.
    #[must_use]
    pub const fn amount(&self) -> NanoUsd {
        self.amount
    }
}
