//! The one integration binary: each module holds PAS to a promise from outside.

mod supervision;
mod tidy;
