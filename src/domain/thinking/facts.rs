//! The facts of a step at one moment: phase, questions, children, proof and figures.

use super::place::CallPlace;
use super::question::QuestionSubject;

/// Why a step rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCause {
    /// A person has the model's question.
    Question,
    Children,
    /// A person is to raise the budget or stop.
    Money,
    /// A person is to consent to something, or to say how it ended.
    Person,
}

impl WaitCause {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Children => "children",
            Self::Money => "money",
            Self::Person => "person",
        }
    }
}

/// A person's decision; it binds the step to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettledQuestion {
    pub(super) text: String,
    pub(super) by: String,
    pub(super) decision: String,
}

/// The phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingPhase {
    /// It has no row yet.
    Fresh,
    /// The model has been asked.
    Asking {
        turn: u32,
        attempt: u32,
    },
    /// An answer's calls are run; none left: it is between two turns.
    Acting {
        turn: u32,
        left: u32,
    },
    Waiting(WaitCause),
    Proving,
    Ended,
}

impl ThinkingPhase {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Asking { .. } => "asking",
            Self::Acting { .. } => "acting",
            Self::Waiting(_) => "waiting",
            Self::Proving => "proving",
            Self::Ended => "ended",
        }
    }
}

/// A question that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    pub question: String,
    pub subject: QuestionSubject,
    pub text: String,
    pub row: u64,
}

/// A child of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepChild {
    pub place: CallPlace,
    pub child: String,
    pub task: String,
    /// Its verdict, once it has ended.
    pub verdict: Option<String>,
    pub succeeded: bool,
    /// The most it may spend, in nano-dollars, where money was set aside for it.
    pub cap_nano: Option<u64>,
}

/// The proof of the newest report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProofStatus {
    /// Nothing was proved yet, or there is no proving command.
    #[default]
    None,
    Failed {
        text: String,
    },
    Passed {
        text: String,
        commit: Option<String>,
    },
}

/// The figures of a step, for displays and accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepFigures {
    /// Answers so far.
    pub turns: u32,
    /// Asks that never got an answer: each may have been paid for.
    pub lost_asks: u32,
    pub calls: u32,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// Nano-dollars for this step's own calls and summaries.
    pub cost_nano: u64,
    /// Nano-dollars of the children that have ended.
    pub children_cost_nano: u64,
    pub money_left_nano: Option<u64>,
    /// Milliseconds of work, without waiting.
    pub worked_ms: u64,
    pub summaries: u32,
}
