//! Budgets: hold the most a call can cost, then settle the actual cost.
//!
//! Owns the scopes of money, the request for a hold ([`SpendRequest`]), the proof of one ([`Hold`]) and the
//! ledger that decides ([`ledger`]). Invariant: `settled + held ≤ cap` in every scope with a cap, under any
//! race; a cap set below the settled sum, or a vendor that charges more than was held, blocks further holds
//! but undoes nothing. Pure: no clock, no store, no actor.

pub mod alert;
pub mod hold;
pub mod ledger;
pub mod scope;
pub mod wanted;

pub use alert::{BudgetAlert, BudgetAlertLevel};
pub use hold::{Hold, HoldId};
pub use ledger::{BudgetLedger, BudgetView, OverBudget};
pub use scope::{BudgetScope, InvalidLabel, RunName, ScopeLabel};
pub use wanted::{CallKey, SpendRequest};
