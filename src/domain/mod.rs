//! The vocabulary of PAS: plain values and pure rules.
//!
//! Owns ids, agents and their roster, trace contexts, artifacts, job cards and the job state machine.
//! Invariant: no I/O, no async, no actor framework; everything here can be tested with values alone.

pub mod agent;
pub mod agent_choice;
pub mod artifact;
pub mod budget;
pub mod context;
pub mod event;
pub mod heartbeat;
pub mod hmi;
pub mod ids;
pub mod invocation;
pub mod job;
pub mod json;
pub mod money;
pub mod price;
pub mod receipt;
pub mod registry;
pub mod resources;
pub mod roster;
pub mod routing;
pub mod steering;
pub mod supervision;
pub mod task;
pub mod time;
pub mod trace;
pub mod usage;
pub mod window;
