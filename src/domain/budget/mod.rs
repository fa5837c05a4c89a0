//! Budgets: reserve the most a call can cost, then settle what it did cost.
//!
//! Owns the scopes money is counted in, what a caller asks for ([`Wanted`]), the proof that money is
//! held ([`Hold`]) and the ledger that decides ([`ledger`]). Invariant: `settled + held ≤ cap` in every
//! scope that has a cap, whatever races; a cap that is set below what is spent already, or a vendor
//! that charges more than was held, lets nothing more through but takes nothing back. All of it is
//! pure: no clock, no store, no actor.

pub mod alert;
pub mod hold;
pub mod ledger;
pub mod scope;
pub mod wanted;

pub use alert::{Alert, AlertLevel};
pub use hold::{Hold, HoldId};
pub use ledger::{BudgetView, Ledger, OverBudget};
pub use scope::{InvalidLabel, Label, RunName, Scope};
pub use wanted::{CallKey, Wanted};
