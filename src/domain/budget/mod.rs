//! Budgets: money is held before a model is called, and settled after.

mod hold;

pub use hold::{Hold, HoldId};
