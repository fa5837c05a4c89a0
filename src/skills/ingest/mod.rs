//! Ingest: the work of the data, compliance and documentation lanes on a folder of documents.
//!
//! audit → clean → { chunk, classify, graph, index } → compliance → report, each step a function
//! `run(&StepContext) -> Result<StepOutcome, SkillError>` in its own module. Steps communicate through the
//! files named in [`formats`], never through memory, so that each can be repeated alone. Invariant: the same
//! folder gives the same bytes with any number of threads.

pub mod audit;
mod blocks;
pub mod chunk;
pub mod classify;
pub mod clean;
pub mod compliance;
mod documents;
pub mod formats;
pub mod graph;
pub mod index;
mod key_stores;
pub mod metrics;
pub mod output;
mod parallel;
mod percent;
pub mod report;
#[cfg(test)]
mod sample;
pub mod settings;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod text_steps_tests;
mod waiting_reads;

pub use documents::apart::run_hidden;
