//! The answer; a stream sends many.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dialect::{AnswerDefaults, Completion};
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{AssistantMessage, ChunkHead};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

#[derive(Deserialize)]
pub(super) struct OllamaResponse {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) created_at: String,
    pub(super) message: OllamaResponseMessage,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct OllamaResponseMessage {
    #[serde(default)]
    pub(super) content: String,
    #[serde(default)]
    pub(super) thinking: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Vec<OllamaResponseCall>,
}

#[derive(Deserialize)]
pub(super) struct OllamaResponseCall {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) function: OllamaResponseFunction,
}

#[derive(Deserialize)]
pub(super) struct OllamaResponseFunction {
    pub(super) name: String,
    #[serde(default)]
    arguments: Option<Value>,
}

impl OllamaResponseFunction {
    pub(super) fn arguments(&mut self) -> Value {
        self.arguments.take().unwrap_or_else(|| Value::Object(Map::new()))
    }
}

impl OllamaResponse {
    pub(super) fn read(body: &[u8]) -> Result<Self, VendorFailure> {
        exact_integers::read(body).map_err(|error| {
            vendor_error::in_answer(Vendor::Ollama, body)
                .unwrap_or_else(|| VendorFailure::malformed(Vendor::Ollama, &error.to_string()))
        })
    }

    /// `None` without any count. Older servers give no count for a cached prompt.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        if self.prompt_eval_count.is_none() && self.eval_count.is_none() {
            return None;
        }
        let (input, output) = (self.prompt_eval_count.unwrap_or(0), self.eval_count.unwrap_or(0));
        Some(TokenUsage { input, output, ..TokenUsage::default() })
    }

    /// The finish reason in OpenAI's words.
    pub(super) fn finish_reason(&self, has_calls: bool) -> &'static str {
        match self.done_reason.as_deref() {
            Some("length") => "length",
            _ if has_calls => "tool_calls",
            _ => "stop",
        }
    }

    /// An id made of the answer's time, since the vendor gives none.
    pub(super) fn id(&self) -> String {
        let digits: String = self.created_at.chars().filter(char::is_ascii_digit).collect();
        format!("ollama-{digits}")
    }
}

/// The id of a call: the vendor's, or made of the answer's and the call's number.
pub(super) fn call_id(call: &OllamaResponseCall, answer: &str, number: usize) -> String {
    let made = || format!("call_{}_{number}", answer.strip_prefix("ollama-").unwrap_or(answer));
    call.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(made)
}

pub(crate) fn chat(asked: &AnswerDefaults, body: &[u8]) -> Result<Completion, VendorFailure> {
    let answer = OllamaResponse::read(body)?;
    if !answer.done {
        return Err(VendorFailure::malformed(Vendor::Ollama, "it lacks `done: true`"));
    }
    let (usage, id) = (answer.usage(), answer.id());
    let reason = answer.finish_reason(!answer.message.tool_calls.is_empty());
    let mut head = ChunkHead { id, asked: asked.clone() };
    head.model(answer.model);
    let message = answer.message;
    let reasoning = message.thinking.unwrap_or_default();
    let mut said = AssistantMessage { text: message.content, reasoning, ..AssistantMessage::default() };
    for mut call in message.tool_calls {
        let id = call_id(&call, &head.id, said.calls.len());
        let arguments = call.function.arguments();
        said.call(id, call.function.name, &arguments);
    }
    Ok(head.completion(vec![said.choice(0, reason)], usage))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::VendorFailureKind;

    fn read(body: &Value) -> Result<Completion, VendorFailure> {
        chat(&AnswerDefaults { model: "m".into(), created: 1 }, body.to_string().as_bytes())
    }

    #[test]
    fn text_calls_and_counts_all_arrive() {
        let found = read(&json!({
            "model": "llama3.1:8b", "created_at": "2026-11-22T19:00:00.5Z", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": "I call.", "thinking": "hm", "tool_calls": [
                {"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "own", "function": {"name": "g"}}]},
            "total_duration": 5, "prompt_eval_count": 26, "eval_count": 298}))
        .unwrap();
        let choice = &found.response.choices[0];
        assert_eq!(choice.finish_reason.as_deref(), Some("tool_calls"));
        let calls: Vec<_> =
            choice.message.tool_calls.iter().map(|call| (&*call.id, &*call.function.arguments)).collect();
        assert_eq!(calls, [("call_202611221900005_0", r#"{"a":1}"#), ("own", "{}")]);
        assert_eq!(choice.message.extra["reasoning_content"], "hm");
        assert_eq!(found.usage, Some(TokenUsage { input: 26, output: 298, ..TokenUsage::default() }));
        assert_eq!(found.response.model, "llama3.1:8b");
    }

    #[test]
    fn an_error_or_half_an_answer_is_none() {
        let half = json!({"message": {"content": "a"}, "done": false});
        assert_eq!(read(&half).unwrap_err().kind, VendorFailureKind::Malformed);
        assert_eq!(
            read(&json!({"error": "model runner has stopped"})).unwrap_err().kind,
            VendorFailureKind::Server
        );
    }
}
