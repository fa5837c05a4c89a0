//! The one integration binary: each module holds PAS to a promise from outside.

mod cancel_pause;
mod chaos;
mod contracts;
mod edge;
mod healing;
mod jobs;
mod kill9;
mod otlp;
mod otp;
mod store_kill;
mod supervision;
mod support;
mod tidy;
