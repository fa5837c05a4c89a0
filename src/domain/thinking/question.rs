//! Questions to a person, and how they are decided.

use serde::{Deserialize, Serialize};

use super::facts::WaitCause;
use super::place::CallPlace;

/// The subject of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionSubject {
    /// The model's own question.
    Asked(CallPlace),
    /// May this call be run?
    Act(CallPlace),
    /// It is not known whether this outward call was carried out.
    Unknown(CallPlace),
    /// Raise the budget, or stop?
    Money,
    /// Something that the proof found needs consent.
    Proof,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionAskedRow {
    pub question: String,
    pub subject: QuestionSubject,
    /// The question in words.
    pub text: String,
}

/// How a question was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionChoice {
    /// Words that answer it; of an unknown call: it was carried out.
    Answer,
    /// Yes: run it; raise the budget. Of an unknown call: it was carried out.
    Approve,
    /// No; of an unknown call: it was not carried out, and shall not be.
    Reject,
    /// Of an unknown call: it was not carried out, run it now.
    Retry,
    /// The step shall end.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionDecidedRow {
    pub question: String,
    pub choice: DecisionChoice,
    pub words: String,
    pub by: String,
}

impl QuestionSubject {
    /// The cause of the step's wait.
    #[must_use]
    pub const fn cause(self) -> WaitCause {
        match self {
            Self::Asked(_) => WaitCause::Question,
            Self::Money => WaitCause::Money,
            Self::Act(_) | Self::Unknown(_) | Self::Proof => WaitCause::Person,
        }
    }

    /// The call it is about.
    #[must_use]
    pub const fn place(self) -> Option<CallPlace> {
        match self {
            Self::Asked(place) | Self::Act(place) | Self::Unknown(place) => Some(place),
            Self::Money | Self::Proof => None,
        }
    }
}

impl DecisionChoice {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answered",
            Self::Approve => "yes",
            Self::Reject => "no",
            Self::Retry => "run it again",
            Self::Stop => "stop",
        }
    }
}
