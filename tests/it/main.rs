//! The one integration binary: each module holds PAS to a promise from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod accounts_kill;
mod addresses;
mod agents;
mod cancel_pause;
mod chaos;
mod clients;
mod contracts;
mod corpus;
mod edge;
mod event_stream;
mod faulty_disk;
mod files_kill;
mod gateway;
mod healing;
mod hmi;
mod job_promises;
mod jobs;
mod kill9;
mod orchestrator;
mod otlp;
mod otp;
mod port_lease;
mod resume;
mod services;
mod settings;
mod slow_clients;
mod standing;
mod steering;
mod store_fault;
mod store_kill;
mod supervision;
mod support;
mod tidy;
mod vendor;
