//! xAI's protocol: OpenAI's, but for its errors and for its count of reasoning.
//!
//! Source: xAI's REST reference, and its page on consumption: reasoning is counted beside the completion
//! tokens, and is part of the total.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::answer::Answer;
use super::error::Refusal;
use super::fault::Fault;
use super::model::Model;
use super::openai;
use super::seen::Heard;

/// Answers as xAI.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    openai::route(heard, model, fault, &usage)
}

/// Usage as xAI reports it: reasoning comes beside the completion, and is in the total.
fn usage(used: &TokenUsage) -> Value {
    let mut report = openai::usage(used);
    report["completion_tokens"] = json!(used.output - used.reasoning);
    report["num_sources_used"] = json!(0);
    report
}

/// Refuses as xAI, whose errors are a code and a sentence.
pub(super) fn refuse(refusal: &Refusal, heard: &Heard) -> Answer {
    let (status, _, _, message) = openai::describe(refusal, heard);
    let code = match status {
        401 => "Unauthenticated request",
        403 => "The caller does not have permission to execute the specified operation",
        404 => "Some requested entity was not found",
        429 => "Some resource has been exhausted",
        400..500 => "Client specified an invalid argument",
        _ => "The service is currently unavailable",
    };
    openai::waiting(refusal, Answer::with_status(status, &json!({ "code": code, "error": message })))
}
