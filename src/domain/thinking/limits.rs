//! The limits of one step, each with its reason.
//!
//! They are written into the step's first row, so that a changed configuration changes no step under way. Every
//! limit leads to an outcome of its own or to an error result; none is ever taken for success.

use serde::{Deserialize, Serialize};

/// A task that needs more turns is badly cut.
const TURNS: u32 = 60;
/// More than that at once is seldom meant, and hides which call led to which result.
const CALLS_AN_ANSWER: u32 = 8;
/// As a job's hard timeout; waiting for people, children or proofs does not count.
const WORKED_MS: u64 = 60 * 60 * 1_000;
/// Ends spirals of thought that say nothing.
const OUTPUT_TOKENS: u64 = 16_000;
/// Children of one step: a plan of more pieces wants a level between.
const CHILDREN: u32 = 16;
/// How deep children have children: unbounded recursion is the dearest fault there is.
const DEPTH: u32 = 4;
/// Proofs of one step: the third failed one says that the step does not know its own state.
const PROOFS: u32 = 3;
/// Asks of one turn without an answer, crashes included: each may have been paid for.
const ASK_ATTEMPTS: u32 = 10;
/// Runs of one call that were cut by a crash: the call itself may be the cause.
const CALL_ATTEMPTS: u32 = 3;
/// Tokens of a view where the model's own window is not known.
const CONTEXT_TOKENS: u64 = 128_000;
/// Share of the view's tokens at which older turns are summarised: the rest is room for one turn's results.
const SUMMARISE_PERCENT: u64 = 75;

/// Most seconds that a card may give one run of its proving command: one that needs more than a day hangs.
pub const LONGEST_PROVE_LIMIT_S: u64 = 24 * 60 * 60;

/// The limits of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThinkingLimits {
    pub turns: u32,
    /// Calls an answer; those beyond it get an error as their result.
    pub calls_an_answer: u32,
    /// Milliseconds of work, without waiting.
    pub worked_ms: u64,
    /// Output tokens a turn.
    pub output_tokens: u64,
    pub children: u32,
    pub depth: u32,
    pub proofs: u32,
    pub ask_attempts: u32,
    pub call_attempts: u32,
    /// Tokens a view may have, the model's answer not counted.
    pub context_tokens: u64,
    pub summarise_percent: u64,
}

impl Default for ThinkingLimits {
    fn default() -> Self {
        Self {
            turns: TURNS,
            calls_an_answer: CALLS_AN_ANSWER,
            worked_ms: WORKED_MS,
            output_tokens: OUTPUT_TOKENS,
            children: CHILDREN,
            depth: DEPTH,
            proofs: PROOFS,
            ask_attempts: ASK_ATTEMPTS,
            call_attempts: CALL_ATTEMPTS,
            context_tokens: CONTEXT_TOKENS,
            summarise_percent: SUMMARISE_PERCENT,
        }
    }
}

impl ThinkingLimits {
    /// Tokens at which older turns are summarised.
    #[must_use]
    pub fn summarise_at(&self) -> u64 {
        self.context_tokens.saturating_mul(self.summarise_percent.min(100)) / 100
    }
}
