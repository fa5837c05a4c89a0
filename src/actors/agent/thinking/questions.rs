//! Questions of a step to a person: written as rows, put as approvals, and their answers taken in.

use serde_json::{Value, json};

use super::brief::AskPolicy;
use super::journal::from_store;
use super::runner::ThinkingAttempt;
use crate::domain::job::approval::{AgentQuestion, Approval, ApprovalStatus, QUESTION};
use crate::domain::thinking::{
    DecisionChoice, OpenQuestion, QuestionAskedRow, QuestionDecidedRow, QuestionSubject, StepRow,
};
use crate::skills::SkillError;

/// A reason to ask for a person's yes in a proof or a review, once a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConsentKind {
    /// Lines that decide which tests count may change.
    Guards,
    /// Tests of the base may be rewritten.
    OldTests,
    /// The base may differ from the card's expectation.
    Expectation,
    /// Remarks that are open after the last round do not hold the change up.
    Remarks,
}

impl ConsentKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Guards => "guards",
            Self::OldTests => "tests",
            Self::Expectation => "expectation",
            Self::Remarks => "remarks",
        }
    }
}

/// The subject of a question about money, in the action of its approval.
pub(super) const MONEY: &str = "money";

/// Binds a yes to the text that was shown.
fn shown_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

const fn subject_word(subject: QuestionSubject) -> &'static str {
    match subject {
        QuestionSubject::Asked(_) => "asked",
        QuestionSubject::Act(_) => "act",
        QuestionSubject::Unknown(_) => "unknown_act",
        QuestionSubject::Money => MONEY,
        QuestionSubject::Proof => "proof",
    }
}

impl ThinkingAttempt {
    /// Writes a question. Where nobody is to be asked it is declined at once, so that the run never waits.
    pub(super) async fn ask_person(
        &mut self,
        subject: QuestionSubject,
        text: String,
    ) -> Result<(), SkillError> {
        let text = match subject {
            QuestionSubject::Unknown(place) => self.with_what_is_known(place, text).await?,
            _ => text,
        };
        let question = format!("q{}", self.journal.state.rows() + 1);
        self.put_question(question, subject, text).await
    }

    /// Whether the answer to this question was a yes to exactly the text that would be shown now.
    pub(super) fn is_approved_as_shown(&self, question: &str, text: &str) -> Result<bool, SkillError> {
        let shown = shown_hash(text);
        let field = |approval: &Approval, name: &str| {
            approval.action.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        Ok(self.approvals()?.iter().any(|approval| {
            approval.status == ApprovalStatus::Approved
                && field(approval, "question").as_deref() == Some(question)
                && field(approval, "shown") == Some(shown.clone())
        }))
    }

    /// The question's name has the kind of consent in it, so that the answer is found again after a crash.
    pub(super) async fn ask_consent(&mut self, consent: ConsentKind, text: String) -> Result<(), SkillError> {
        let question = format!("q{}-{}", self.journal.state.rows() + 1, consent.word());
        self.put_question(question, QuestionSubject::Proof, text).await
    }

    async fn put_question(
        &mut self,
        question: String,
        subject: QuestionSubject,
        text: String,
    ) -> Result<(), SkillError> {
        let row = QuestionAskedRow { question: question.clone(), subject, text };
        self.journal.append(StepRow::QuestionAsked(row)).await?;
        if self.brief.ask == AskPolicy::Person {
            return Ok(());
        }
        let choice = match subject {
            QuestionSubject::Money | QuestionSubject::Unknown(_) => DecisionChoice::Stop,
            _ => DecisionChoice::Reject,
        };
        let words = "nobody may be asked in this run (`ask: never`)".to_owned();
        let decided = QuestionDecidedRow { question, choice, words, by: "pas".to_owned() };
        self.journal.append(StepRow::QuestionDecided(decided)).await
    }

    /// The open question as an approval, or its answer as a row when a person has given one.
    pub(super) async fn settle_question(
        &mut self,
        open: OpenQuestion,
    ) -> Result<Option<AgentQuestion>, SkillError> {
        let decided = self.approvals()?.into_iter().find(|approval| {
            approval.action.get("question").and_then(Value::as_str) == Some(open.question.as_str())
                && approval.status != ApprovalStatus::Pending
        });
        let Some(approval) = decided else { return Ok(Some(self.question_of(&open))) };
        let words = approval.reason.unwrap_or_default();
        let choice = match (approval.status, open.subject) {
            (ApprovalStatus::Approved, QuestionSubject::Asked(_)) => DecisionChoice::Answer,
            (ApprovalStatus::Approved, _) => DecisionChoice::Approve,
            (_, QuestionSubject::Money) => DecisionChoice::Stop,
            // The model cannot change the base.
            _ if open.question.ends_with(ConsentKind::Expectation.word()) => DecisionChoice::Stop,
            _ => DecisionChoice::Reject,
        };
        if choice == DecisionChoice::Approve && open.subject == QuestionSubject::Money {
            self.put_caps_in_force().await?;
        }
        let by = approval.decided_by.unwrap_or_else(|| "a person".to_owned());
        let row = QuestionDecidedRow { question: open.question, choice, words, by };
        self.journal.append(StepRow::QuestionDecided(row)).await?;
        Ok(None)
    }

    fn question_of(&self, open: &OpenQuestion) -> AgentQuestion {
        let mut action = json!({
            "question": open.question, "subject": subject_word(open.subject), "shown": shown_hash(&open.text),
        });
        let mut question = open.text.clone();
        // Of a model's question the text is the arguments of its call.
        if let (QuestionSubject::Asked(_), Ok(asked)) =
            (open.subject, serde_json::from_str::<Value>(&open.text))
        {
            if let Some(text) = asked.get("question").and_then(Value::as_str) {
                question = format!("{} asks: {text}", self.agent.display_name);
            }
            action["asked"] = asked;
        }
        AgentQuestion { question, action }
    }

    fn approvals(&self) -> Result<Vec<Approval>, SkillError> {
        let all = self.jobs.book.approvals().map_err(from_store)?;
        let is_ours =
            |approval: &Approval| approval.kind == QUESTION && approval.job_id == *self.journal.job();
        Ok(all.into_iter().filter(is_ours).collect())
    }

    /// Whether a person has said yes to exactly this text.
    pub(super) fn has_consent(&self, consent: ConsentKind, shown: &str) -> Result<bool, SkillError> {
        let shown = shown_hash(shown);
        let is_yes = |approval: &Approval| {
            let question = approval.action.get("question").and_then(Value::as_str);
            let asked = question.and_then(|question| question.rsplit_once('-'));
            approval.status == ApprovalStatus::Approved
                && asked.is_some_and(|(_, word)| word == consent.word())
                && approval.action.get("shown").and_then(Value::as_str) == Some(shown.as_str())
        };
        Ok(self.approvals()?.iter().any(is_yes))
    }
}
