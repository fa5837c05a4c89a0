//! Ingest: what the data, compliance and documentation lanes do with a folder of documents.
//!
//! audit → clean → { chunk, classify, graph, index } → compliance → report, each step a function
//! `run(&StepContext) -> Result<StepOutcome, SkillError>` in a module of its own. Steps hand over
//! through the files that [`formats`] names, never through memory, so that any of them can be
//! repeated alone. Invariant: the same folder gives the same bytes, whatever the number of threads.

pub mod audit;
mod blocks;
pub mod chunk;
pub mod classify;
pub mod clean;
pub mod compliance;
pub mod formats;
pub mod graph;
pub mod index;
pub mod metrics;
pub mod output;
mod parallel;
pub mod report;
#[cfg(test)]
mod sample;
pub mod settings;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod text_steps_tests;
