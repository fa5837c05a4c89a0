//! Money, by pure rules: prices, budgets, receipts, rolling windows.

pub mod budget;
pub mod price;
pub mod receipt;
pub mod window;
