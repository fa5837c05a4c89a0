//! Agents that think: a model's turns and the tools it calls, carried out under a job's claim.
//!
//! The rules are the pure fold in `domain/thinking`; here its commands are carried out. `runner.rs` is the loop,
//! `calls.rs` runs tools, `claims.rs` checks reports, `conclusion.rs` hands the work over.

mod asking;
mod authors;
mod brief;
mod calls;
mod claims;
mod conclusion;
mod continuing;
pub(in crate::actors::agent) mod deps;
mod intake;
mod journal;
mod model_view;
mod money;
pub(in crate::actors::agent) mod outlook;
mod outputs;
mod outward;
mod pieces;
mod proving;
mod questions;
pub(in crate::actors::agent) mod rehearsal;
mod reserving;
mod reviewing;
pub(in crate::actors) mod runner;
pub(in crate::actors) mod tasks;
mod tree_cleanup;
mod workspace;
