//! Native work of executors: plain functions from files to files.
//!
//! Invariants: a skill knows no actor, no store and no network; it reads its inputs, writes below
//! [`StepContext::run_dir`] and reports through [`StepContext`]. It is idempotent: carried out again
//! after a crash it leaves the same bytes, because every output is written to a temporary name and
//! renamed when whole. Failure policy: [`SkillError`] says whether trying again can help.

pub mod context;
pub mod ingest;

pub use context::{Control, SkillError, StepContext, StepOutcome};
