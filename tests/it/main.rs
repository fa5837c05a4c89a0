//! The one integration binary: each module holds PAS to a promise from outside.

mod contracts;
mod edge;
mod otp;
mod services;
mod store_kill;
mod supervision;
mod tidy;
