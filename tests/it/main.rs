//! The one integration binary: PAS from the outside.

mod store_kill;
