//! Asks the step's model: for its next turn, and for a summary of old ones.
//!
//! Failure policy: trouble that passes is a row and a pause; money that is out is a row, and the fold asks a person; a
//! refusal ends the step.

use std::time::{Duration, Instant};

use super::calls::elapsed_ms;
use super::model_view::{chat_of, row_of};
use super::runner::ThinkingAttempt;
use crate::domain::thinking::{
    AskFailedRow, AskedRow, ContextBreachedRow, MoneyOutRow, StepRow, SummarisedRow, estimate_tokens,
};
use crate::llm::model_caller::{ModelTurn, TurnAnswer, TurnError};
use crate::skills::SkillError;

/// Between two asks after trouble that passes.
const ASK_PAUSE: Duration = Duration::from_secs(2);
/// Nobody learns anything from a longer wait within one attempt.
const LONGEST_ASK_PAUSE: Duration = Duration::from_secs(60);
/// 800 words, and room for thought.
const SUMMARY_TOKENS: u64 = 4_000;
impl ThinkingAttempt {
    pub(super) async fn ask_model(
        &mut self,
        turn: u32,
        attempt: u32,
        output_tokens: u64,
    ) -> Result<(), SkillError> {
        let view = self.journal.state.view(self.window);
        let view = view.map_err(|error| SkillError::Permanent(error.to_string()))?;
        let chat = chat_of(&view, output_tokens);
        let bytes = serde_json::to_vec(&chat).map_err(|error| SkillError::Permanent(error.to_string()))?;
        let request_hash = blake3::hash(&bytes).to_hex().to_string();
        let request_id = format!("{}-{turn}-{attempt}", self.journal.job());
        let row = AskedRow { turn, attempt, request_hash, request_id: request_id.clone() };
        self.journal.append(StepRow::Asked(row)).await?;
        let began = Instant::now();
        let asked = self.call_model(ModelTurn {
            author: self.author.clone(),
            request_id,
            preferred: self.agent.models.clone(),
            avoided_vendors: self.brief.author_vendors.clone(),
            chat,
        });
        let error = match asked.await {
            Ok(answer) => {
                let row = row_of(answer, turn, elapsed_ms(began));
                return self.journal.append(StepRow::Answered(Box::new(row))).await;
            }
            Err(error) => error,
        };
        self.after_no_answer(error, turn, elapsed_ms(began)).await
    }

    /// Asks, unless the attempt is stopped meanwhile.
    async fn call_model(&self, turn: ModelTurn) -> Result<TurnAnswer, TurnError> {
        tokio::select! {
            biased;
            () = self.control.stopped() => Err(TurnError::Cancelled),
            answer = self.models.ask(turn) => answer,
        }
    }

    async fn after_no_answer(
        &mut self,
        error: TurnError,
        turn: u32,
        elapsed_ms: u64,
    ) -> Result<(), SkillError> {
        match error {
            TurnError::Cancelled => Err(SkillError::Cancelled),
            TurnError::OverBudget { scope, needed, left, .. } => {
                let row = MoneyOutRow { scope, needed_nano: needed.0, left_nano: left.0 };
                self.journal.append(StepRow::MoneyOut(row)).await
            }
            TurnError::Passing { why, retry_after } => {
                let row = AskFailedRow { turn, error: why.clone(), elapsed_ms };
                self.journal.append(StepRow::AskFailed(row)).await?;
                let pause = retry_after.unwrap_or(ASK_PAUSE).min(LONGEST_ASK_PAUSE);
                self.control.note(&format!("waiting for a model: {why}"));
                tokio::select! {
                    biased;
                    () = self.control.stopped() => Err(SkillError::Cancelled),
                    () = tokio::time::sleep(pause) => Ok(()),
                }
            }
            TurnError::ContextTooLong(error) => {
                let row = AskFailedRow { turn, error, elapsed_ms };
                self.journal.append(StepRow::AskFailed(row)).await?;
                let tokens = self.journal.state.live_tokens();
                let breach = ContextBreachedRow { tokens };
                self.journal.append(StepRow::ContextBreached(breach)).await
            }
            TurnError::NoModel(why) | TurnError::Refused(why) => Err(SkillError::Permanent(why)),
        }
    }

    /// Older turns become a summary by the model itself, or by rule where it gives none.
    pub(super) async fn summarise(&mut self, until: u32) -> Result<(), SkillError> {
        let began = Instant::now();
        let view = self.journal.state.summary_request(until, self.window, &estimate_tokens);
        let asked = match view {
            Ok(view) => {
                let turn = ModelTurn {
                    author: self.author.clone(),
                    request_id: format!("{}-summary-{until}", self.journal.job()),
                    preferred: self.agent.models.clone(),
                    avoided_vendors: Vec::new(),
                    chat: chat_of(&view, SUMMARY_TOKENS),
                };
                self.call_model(turn).await
            }
            Err(error) => Err(TurnError::Refused(error.to_string())),
        };
        let (text, cost_nano) = match asked {
            Err(TurnError::Cancelled) => return Err(SkillError::Cancelled),
            Ok(answer) => {
                let text = answer.message.content.map(|content| content.to_text()).unwrap_or_default();
                (text.trim().to_owned(), answer.cost.0)
            }
            Err(_) => (String::new(), 0),
        };
        let text = if text.is_empty() { self.journal.state.plain_summary(until) } else { text };
        let row = SummarisedRow { until, text, cost_nano, elapsed_ms: elapsed_ms(began) };
        self.journal.append(StepRow::Summarised(row)).await
    }
}
