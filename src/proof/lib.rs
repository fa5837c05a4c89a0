//! Proof: the daemon itself runs the proving command, in fresh trees, and decides which rules a change keeps.
//!
//! Pure, except `command::find` and `check`, which look into a tree, and `runner`, which works through the
//! trait `ProofBench`. Failure policy: an agent's report proves nothing; a rule that could not be applied is
//! named in the record.

pub mod change;
pub mod command;
pub mod counts;
pub mod guards;
pub mod inline_tests;
pub mod intake;
pub mod overlay;
mod pattern;
pub mod plan;
pub mod record;
pub mod render;
pub mod runner;
pub mod stage;
pub mod test_paths;
pub mod verdict;
