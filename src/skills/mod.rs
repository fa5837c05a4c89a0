//! Native work of executors: plain functions from files to files.
//!
//! Invariants: a skill knows no actor, no store and no network; it reads its inputs, writes below
//! [`StepContext::run_dir`] and reports through [`StepContext`]. It is idempotent: carried out again
//! after a crash it leaves the same bytes, because every output is written to a temporary name and
//! renamed when whole. Failure policy: [`SkillError`] says whether trying again can help.

pub mod context;
pub mod ingest;
pub mod summary;
pub mod tlc;
pub mod tokens;

pub use context::{Brief, Control, SkillError, StepContext, StepOutcome, is_passing};

/// A skill: one attempt at one step, on a thread of its own.
pub type Skill = fn(&StepContext) -> Result<StepOutcome, SkillError>;

/// Says what a model is to be told before a step works.
pub type Briefing = fn(&StepContext) -> Result<Brief, SkillError>;

/// The briefing of a skill whose outcome has a part in words.
#[must_use]
pub fn brief(skill: &str) -> Option<Briefing> {
    (skill == "ingest.report").then_some(ingest::report::brief)
}

/// The skill an agent's definition names, if this build has it.
#[must_use]
pub fn find(name: &str) -> Option<Skill> {
    Some(match name {
        "ingest.audit" => ingest::audit::run,
        "ingest.clean" => ingest::clean::run,
        "ingest.chunk" => ingest::chunk::run,
        "ingest.classify" => ingest::classify::run,
        "ingest.graph" => ingest::graph::run,
        "ingest.index" => ingest::index::run,
        "ingest.compliance" => ingest::compliance::run,
        "ingest.report" => ingest::report::run,
        "ingest.metrics" => ingest::metrics::run,
        _ => return None,
    })
}
