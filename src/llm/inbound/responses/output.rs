//! A complete answer in the form of Responses.

use serde_json::{Map, Value, json};

use crate::chat::{ChatContent, ChatMessage, ChatResponse, ToolCall};
use crate::inbound::{ApiProblem, anthropic::REASONING, tools, usage};
use pas_domain::usage::TokenUsage;

/// The request's fields repeated in the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResponsesEcho {
    pub instructions: Option<String>,
    pub max_output_tokens: Option<u64>,
    pub tools: Vec<Value>,
    pub tool_choice: Option<Value>,
    pub parallel_tool_calls: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub text: Option<Value>,
    pub reasoning: Option<Value>,
    pub metadata: Option<Map<String, Value>>,
}

/// The status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponsesStatus<'s> {
    InProgress,
    Ended(Option<&'s str>),
}

impl ResponsesStatus<'_> {
    /// Why it is incomplete, if it is.
    const fn is_cut_short(self) -> Option<&'static str> {
        match self {
            Self::Ended(Some(reason)) => match reason.as_bytes() {
                b"length" => Some("max_output_tokens"),
                b"content_filter" => Some("content_filter"),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Ended(_) if self.is_cut_short().is_some() => "incomplete",
            Self::Ended(_) => "completed",
        }
    }
}

/// The answer as a response object; `None` usage: the vendor reported none.
#[must_use]
pub fn response(response: &ChatResponse, used: Option<&TokenUsage>, echo: &ResponsesEcho) -> Value {
    let choice = response.choices.first();
    let finish = choice.and_then(|choice| choice.finish_reason.as_deref());
    let id = response_id(&response.id);
    let output = choice.map(|choice| items(&choice.message, &id)).unwrap_or_default();
    let head = ResponsesHead { id: &id, created: response.created, model: &response.model };
    envelope(&head, ResponsesStatus::Ended(finish), &output, used, echo)
}

/// The identity of an answer.
pub(super) struct ResponsesHead<'h> {
    pub(super) id: &'h str,
    pub(super) created: i64,
    pub(super) model: &'h str,
}

pub(super) fn response_id(id: &str) -> String {
    if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") }
}

pub(super) fn envelope(
    head: &ResponsesHead<'_>,
    status: ResponsesStatus<'_>,
    output: &[Value],
    used: Option<&TokenUsage>,
    echo: &ResponsesEcho,
) -> Value {
    json!({
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": status.word(),
        "background": false,
        "error": null,
        "incomplete_details": status.is_cut_short().map(|reason| json!({ "reason": reason })),
        "instructions": echo.instructions,
        "max_output_tokens": echo.max_output_tokens,
        "model": head.model,
        "output": output,
        "parallel_tool_calls": echo.parallel_tool_calls.unwrap_or(true),
        "previous_response_id": null,
        "reasoning": echo.reasoning.clone().unwrap_or_else(|| json!({ "effort": null, "summary": null })),
        "store": false,
        "temperature": echo.temperature,
        "text": echo.text.clone().unwrap_or_else(|| json!({ "format": { "type": "text" } })),
        "tool_choice": echo.tool_choice.clone().unwrap_or_else(|| json!("auto")),
        "tools": echo.tools,
        "top_p": echo.top_p,
        "truncation": "disabled",
        "usage": used.map(usage::responses),
        "user": null,
        "metadata": echo.metadata.clone().unwrap_or_default(),
    })
}

/// The object of an answer that failed half-way.
pub(super) fn failed(mut response: Value, problem: &ApiProblem) -> Value {
    response["status"] = json!("failed");
    response["error"] = json!({ "code": "server_error", "message": problem.message });
    response
}

fn items(message: &ChatMessage, id: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let thought = message.extra.get(REASONING).and_then(Value::as_str).filter(|text| !text.is_empty());
    items.extend(thought.map(|text| reasoning_item(id, 0, text)));
    let text = message.content.as_ref().map(ChatContent::to_text).unwrap_or_default();
    let refusal = message.refusal.as_deref().unwrap_or_default();
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(text_part(&text));
    }
    if !refusal.is_empty() {
        parts.push(json!({ "type": "refusal", "refusal": refusal }));
    }
    if !parts.is_empty() {
        items.push(message_item(id, items.len(), "completed", &parts));
    }
    for call in &message.tool_calls {
        items.push(call_item(id, items.len(), "completed", call));
    }
    items
}

/// The id of an item: a function of the answer's id and the item's index, the same for streams and complete
/// answers.
fn item_id(prefix: &str, response: &str, place: usize) -> String {
    format!("{prefix}_{}_{place}", response.trim_start_matches("resp_"))
}

pub(super) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

pub(super) fn message_item(response: &str, place: usize, status: &str, parts: &[Value]) -> Value {
    json!({
        "id": item_id("msg", response, place), "type": "message", "status": status, "role": "assistant",
        "content": parts,
    })
}

pub(super) fn reasoning_item(response: &str, place: usize, text: &str) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([{ "type": "summary_text", "text": text }]) };
    json!({ "id": item_id("rs", response, place), "type": "reasoning", "summary": summary })
}

pub(super) fn call_item(response: &str, place: usize, status: &str, call: &ToolCall) -> Value {
    json!({
        "id": item_id("fc", response, place), "type": "function_call", "status": status,
        "call_id": tools::signed_id(&call.id, call.extra_content.as_ref()), "name": call.function.name, "arguments": call.function.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::testing::answer;

    #[test]
    fn an_answer_has_its_items_usage_and_echo() {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{}"}});
        let said = json!({"role": "assistant", "content": "Let me look.", "tool_calls": [call]});
        let used = TokenUsage { input: 10, cache_read: 5, output: 8, reasoning: 2, ..TokenUsage::default() };
        let echo = ResponsesEcho { instructions: Some("Be short.".into()), ..ResponsesEcho::default() };
        let whole = response(&answer(said, "tool_calls"), Some(&used), &echo);
        assert_eq!(whole["status"], "completed");
        assert_eq!(whole["output"][0]["content"][0]["text"], "Let me look.");
        assert_eq!(
            (&whole["output"][1]["type"], &whole["output"][1]["call_id"]),
            (&json!("function_call"), &json!("c1"))
        );
        assert_eq!(
            (&whole["usage"]["input_tokens"], &whole["usage"]["total_tokens"]),
            (&json!(15), &json!(23))
        );
        assert_eq!((&whole["instructions"], &whole["store"]), (&json!("Be short."), &json!(false)));
    }

    #[test]
    fn an_answer_cut_at_its_limit_is_incomplete() {
        let said = json!({"role": "assistant", "content": "x"});
        let whole = response(&answer(said, "length"), None, &ResponsesEcho::default());
        assert_eq!((&whole["status"], &whole["usage"]), (&json!("incomplete"), &Value::Null));
        assert_eq!(whole["incomplete_details"]["reason"], "max_output_tokens");
    }
}
