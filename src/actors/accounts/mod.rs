//! Accounts: the durable side of budgets, receipts and metrics. (Interface first; bodies follow.)

use std::sync::Arc;

pub use crate::domain::budget::{
    BudgetView, CallKey, Hold, HoldId, Label, OverBudget, RunName, Scope, Wanted,
};
use crate::domain::money::NanoUsd;
pub use crate::domain::receipt::{Outcome, Receipt, Status};
use crate::store::StoreError;

/// Why the accounts did not do what they were asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A budget does not allow it.
    #[error(transparent)]
    OverBudget(Box<OverBudget>),
    /// The hold is not open.
    #[error("hold {0} is not open: it was settled or released before")]
    NotHeld(HoldId),
    /// What was left open by the daemon before is not settled yet.
    #[error("the accounts are being brought in order after the start; try again in a moment")]
    Starting,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts' verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts(Arc<()>);

impl Accounts {
    /// Holds `wanted.worst` in every scope of the call, or nothing.
    pub async fn hold(&self, _wanted: Wanted) -> Result<Hold, AccountsError> {
        unimplemented!()
    }
    /// Settles a hold; the receipt's line is with the kernel when this returns.
    pub async fn settle(&self, _hold: Hold, _outcome: Outcome) -> Result<Arc<Receipt>, AccountsError> {
        unimplemented!()
    }
    /// Settles a hold whose outcome is unknown: it is charged in full.
    pub async fn settle_unknown(
        &self,
        _hold: Hold,
        _latency_ms: u64,
        _why: &str,
    ) -> Result<Arc<Receipt>, AccountsError> {
        unimplemented!()
    }
    /// Gives back a hold for which nothing was sent.
    pub fn release(&self, _hold: Hold) {
        unimplemented!()
    }
    /// Sets a budget; in force and durable when this returns.
    pub async fn set_budget(&self, _scope: Scope, _cap: NanoUsd) -> Result<(), AccountsError> {
        unimplemented!()
    }
    /// A budget as it stands.
    pub fn budget(&self, _scope: &Scope) -> Result<BudgetView, AccountsError> {
        unimplemented!()
    }
    /// All receipts of a run, the oldest first.
    pub async fn receipts(&self, _run: &RunName) -> Result<Vec<Receipt>, AccountsError> {
        unimplemented!()
    }
}
