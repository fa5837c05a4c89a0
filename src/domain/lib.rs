//! The vocabulary of PAS: plain values and pure rules.
//!
//! Owns ids, agents and their roster, trace contexts, artifacts, job cards and the job state machine.
//! Invariant: no I/O, no async, no actor framework; everything here can be tested with values alone.

pub mod accounts;
pub mod agent;
pub mod agent_choice;
pub mod agent_router;
pub mod artifact;
mod checked_text;
pub mod event;
pub mod heartbeat;
pub mod hmi;
pub mod ids;
pub mod job;
pub mod json;
pub mod money;
pub mod provider_router;
pub mod registry;
pub mod resource_manager;
pub mod retention;
pub mod roster;
pub mod shown_text;
pub mod similar_name;
pub mod steering;
pub mod supervision;
pub mod task;
pub mod thinking;
pub mod time;
pub mod token_governor;
pub mod trace;
pub mod usage;
