//! A step of an agent that thinks with a model: a pure state machine over the rows of its log.
//!
//! ```text
//! Fresh → Asking(turn) → Acting(turn, calls left) → Waiting(question | children | money | person) → Proving → Ended
//! ```
//!
//! `state = fold(rows)`, `state.next(limits)` is the one thing to do now, and `state.view(…)` is the conversation as
//! the model reads it. No clock, no I/O, no randomness: the same rows give the same command and the same bytes, so a
//! restart resumes by reading the log. Nothing here panics on any log; a row that cannot follow is a [`FoldError`].

mod account;
mod apply;
mod class;
mod command;
mod earlier;
mod facts;
mod headline;
mod limits;
mod outcome;
mod place;
mod progress;
#[cfg(test)]
mod properties;
mod purse;
mod question;
mod row;
mod rules;
mod settle;
mod state;
#[cfg(test)]
mod stuck_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod todo;
mod turn;
mod view;

pub use account::StepAccount;
pub use class::CallClass;
pub use command::{CallOrder, ThinkingCommand, usd};
pub use earlier::EarlierEnd;
pub use facts::{OpenQuestion, ProofStatus, StepChild, StepFigures, ThinkingPhase, WaitCause};
pub use headline::plain_line;
pub use limits::{LONGEST_PROVE_LIMIT_S, ThinkingLimits};
pub use outcome::{ClaimOutcome, ReportClaim, StepVerdict};
pub use place::CallPlace;
pub use progress::StuckRule;
pub use purse::{PurseRefusal, StepPurse};
pub use question::{DecisionChoice, QuestionAskedRow, QuestionDecidedRow, QuestionSubject};
pub use row::*;
pub use rules::RuleHit;
pub use state::{KEPT_TURNS, ThinkingState};
pub use todo::unfinished;
pub use turn::{ASK, DELEGATE, REPORT, estimate_tokens};
pub use view::{BlockBody, ThinkingView, TokenCount, ViewCuts, ViewError, ViewMessage, ViewRole};

/// A row that cannot follow the rows before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "row {row} (`{name}`) cannot follow while the step is {phase}: {why}; keep the log and start the step anew"
)]
pub struct FoldError {
    /// Its number.
    pub row: u64,
    /// Its name.
    pub name: &'static str,
    /// Where the step stood.
    pub phase: &'static str,
    pub why: &'static str,
}
