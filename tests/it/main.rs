//! The one integration binary: each module holds PAS to a promise from outside.

mod contracts;
mod edge;
mod supervision;
mod tidy;
