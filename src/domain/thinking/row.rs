//! The rows of a step's log: all that a step is made of, in the order in which it happened.
//!
//! A row is written once and never changed. JSON is kept as text in them, because the store's binary form cannot
//! hold a value of unknown shape. Invariant: new variants and new fields go to the end of their type.

use serde::{Deserialize, Serialize};

use super::class::CallClass;
use super::limits::ThinkingLimits;
use super::outcome::StepVerdict;
use super::place::CallPlace;
use super::progress::StuckRule;
use super::question::{QuestionAskedRow, QuestionDecidedRow};

/// One row of a step's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepRow {
    /// The first row: card, definition and limits, as they stay for the whole step.
    Begun(Box<BegunRow>),
    /// Written before a request is sent.
    Asked(AskedRow),
    /// The request failed, with the reason.
    AskFailed(AskFailedRow),
    /// Written before any of its calls is run.
    Answered(Box<AnsweredRow>),
    /// Written before a call of class tree or outward is run.
    Called(CalledRow),
    /// A call's result.
    Returned(Box<ReturnedRow>),
    /// A `delegate` call has become a child.
    ChildBegun(ChildBegunRow),
    /// A child has ended: the result of its `delegate` call.
    ChildEnded(Box<ChildEndedRow>),
    QuestionAsked(QuestionAskedRow),
    QuestionDecided(QuestionDecidedRow),
    /// A person's word, for the next turn's start.
    PersonSaid(PersonSaidRow),
    /// The chain of budgets refused the next request.
    MoneyOut(MoneyOutRow),
    Nudged(NudgedRow),
    /// The vendor found the context too large: older turns are to be summarised.
    ContextBreached(ContextBreachedRow),
    Summarised(SummarisedRow),
    ProofEnded(Box<ProofEndedRow>),
    CancelAsked(CancelAskedRow),
    /// The last row.
    Ended(Box<StepVerdict>),
    /// Behind the first row: the step goes on with the work of an earlier one.
    TakenUp(Box<TakenUpRow>),
    /// A part of the step's money was set aside for a child that is about to begin.
    MoneyCarved(MoneyCarvedRow),
}

impl StepRow {
    /// Its name in errors and on displays.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begun(_) => "begun",
            Self::Asked(_) => "asked",
            Self::AskFailed(_) => "ask_failed",
            Self::Answered(_) => "answered",
            Self::Called(_) => "called",
            Self::Returned(_) => "returned",
            Self::ChildBegun(_) => "child_begun",
            Self::ChildEnded(_) => "child_ended",
            Self::QuestionAsked(_) => "question_asked",
            Self::QuestionDecided(_) => "question_decided",
            Self::PersonSaid(_) => "person_said",
            Self::MoneyOut(_) => "money_out",
            Self::Nudged(_) => "nudged",
            Self::ContextBreached(_) => "context_breached",
            Self::Summarised(_) => "summarised",
            Self::ProofEnded(_) => "proof_ended",
            Self::CancelAsked(_) => "cancel_asked",
            Self::Ended(_) => "ended",
            Self::TakenUp(_) => "taken_up",
            Self::MoneyCarved(_) => "money_carved",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BegunRow {
    /// The card as the model reads it; shown verbatim in every view.
    pub card: String,
    /// The definition's system text; byte-stable, so that vendors' prefix caches hit.
    pub system: String,
    /// The tools with their schemas, as JSON text.
    pub tools_json: String,
    /// Hash of definition, system text and tools.
    pub definition_hash: String,
    /// The repository's own advice (AGENTS.md, CLAUDE.md): data, it grants nothing.
    pub advice: String,
    /// The plan to start from, where an earlier step's work is continued.
    pub todo: String,
    pub limits: ThinkingLimits,
    pub base_commit: Option<String>,
    /// The tree it starts from.
    pub tree: Option<String>,
    /// The command that proves a report; without one, a report is taken as it is.
    pub prove: Option<String>,
    /// How many steps are above it.
    pub depth: u32,
    pub money_left_nano: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedRow {
    pub turn: u32,
    /// From 1; more than 1 where an earlier ask of the turn got no answer.
    pub attempt: u32,
    pub request_hash: String,
    /// Names the call in its receipt.
    pub request_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskFailedRow {
    pub turn: u32,
    pub error: String,
    pub elapsed_ms: u64,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFinish {
    /// It was done, with or without calls.
    Stop,
    /// Cut at the token limit.
    Length,
    /// The model or its vendor declines the task.
    Refused,
}

/// A call as the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenCall {
    /// The vendor's id, for the log only.
    pub vendor_id: String,
    pub tool: String,
    /// Arguments as JSON text; perhaps none, as models write it.
    pub args: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredRow {
    pub turn: u32,
    pub text: String,
    pub calls: Vec<WrittenCall>,
    pub finish: AnswerFinish,
    pub model: String,
    pub receipt: u64,
    /// All tokens of the request, those from a cache included.
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub cost_nano: u64,
    /// Money left in the narrowest scope after this call.
    pub money_left_nano: Option<u64>,
    pub elapsed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledRow {
    pub place: CallPlace,
    pub class: CallClass,
    pub args_hash: String,
    /// Snapshot to roll back to when it is cut by a crash.
    pub tree_before: Option<String>,
}

/// The test counts of the newest run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestTally {
    pub passed: u32,
    pub failed: u32,
    /// Names of failing ones, as many as were kept.
    pub failing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedRow {
    pub place: CallPlace,
    /// The result, capped.
    pub text: String,
    /// Whether the tool refused or broke. A command that ran and ended with another exit than 0 is no error: its
    /// output is a finding.
    pub is_error: bool,
    /// A word for the sort of error, the same whatever the arguments; empty where there is none.
    pub error_class: String,
    /// Hash of the whole output; empty where `text` is all of it.
    pub full_hash: String,
    pub full_bytes: u64,
    /// Number under which the whole output can be read (`@out:N`).
    pub out: Option<u64>,
    pub tree_after: Option<String>,
    pub diffstat: Option<String>,
    pub tests: Option<TestTally>,
    /// The plan's new text, where the call has changed it.
    pub todo: Option<String>,
    pub elapsed_ms: u64,
}

impl ReturnedRow {
    /// A result with nothing beside its text.
    #[must_use]
    pub fn plain(place: CallPlace, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            place,
            is_error: false,
            error_class: String::new(),
            full_hash: String::new(),
            full_bytes: text.len() as u64,
            out: None,
            tree_after: None,
            diffstat: None,
            tests: None,
            todo: None,
            elapsed_ms: 0,
            text,
        }
    }

    /// An error as a result.
    #[must_use]
    pub fn error(place: CallPlace, class: impl Into<String>, text: impl Into<String>) -> Self {
        Self { is_error: true, error_class: class.into(), ..Self::plain(place, text) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildBegunRow {
    pub place: CallPlace,
    /// The child's job id.
    pub child: String,
    /// Its task in one line.
    pub task: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildEndedRow {
    pub child: String,
    /// Its verdict in one word.
    pub verdict: String,
    pub succeeded: bool,
    /// Its report, evidence and unfinished plan, capped.
    pub text: String,
    pub out: Option<u64>,
    pub cost_nano: u64,
    /// This step's tree after the child's work was taken in.
    pub tree_after: Option<String>,
    pub diffstat: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonSaidRow {
    pub by: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyOutRow {
    /// Which cap bound: run, job, lane, agent or day.
    pub scope: String,
    pub needed_nano: u64,
    pub left_nano: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NudgedRow {
    pub rule: StuckRule,
    pub count: u32,
    pub text: String,
    /// The rows that are the evidence.
    pub rows: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextBreachedRow {
    pub tokens: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummarisedRow {
    /// The last turn that the summary stands for.
    pub until: u32,
    pub text: String,
    pub cost_nano: u64,
    pub elapsed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofEndedRow {
    pub passed: bool,
    /// The runs and their findings, capped; a failed proof is the report's result.
    pub text: String,
    pub out: Option<u64>,
    pub commit: Option<String>,
    pub tests: Option<TestTally>,
    pub elapsed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAskedRow {
    pub by: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUpRow {
    /// The run whose work it is.
    pub run: String,
    /// The snapshot that the tree begins with.
    pub snapshot: String,
    /// How that run ended, for the model: data, below the card.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyCarvedRow {
    /// The `delegate` call.
    pub place: CallPlace,
    pub child: String,
    /// The most the child may spend.
    pub cap_nano: u64,
    /// Left to the step itself and to further children, where its own money is capped.
    pub left_nano: Option<u64>,
}
