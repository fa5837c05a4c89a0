//! The request for a chat completion.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalogue;
use crate::chat::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, ContentPart, KnownPart, StreamOptions,
};
use crate::dialect::VendorRequest;
use crate::failure::VendorFailure;
use crate::gemini::EXTRA;
use crate::vendor::Vendor;

/// Models that refuse `max_tokens` and take `max_completion_tokens` only (OpenAI, "Reasoning models").
const REASONING: [&str; 5] = ["gpt-5", "gpt-6", "o1", "o3", "o4"];

/// A [`ChatRequest`] by reference, with the fields that the vendor requires.
#[derive(Serialize)]
struct OpenAiRequest<'a> {
    model: &'a str,
    messages: &'a [ChatMessage],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [ChatTool],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

pub(crate) fn chat(
    vendor: Vendor,
    request: &ChatRequest,
    stream: bool,
) -> Result<VendorRequest, VendorFailure> {
    let limit = catalogue::output_limit(vendor, request);
    let keeps_old_name = request.max_completion_tokens.is_none() && request.max_tokens.is_some();
    let old_name = keeps_old_name && !(vendor == Vendor::OpenAi && is_reasoning(&request.model));
    let stream_options = stream.then(|| {
        let extra = request.stream_options.as_ref().map(|options| options.extra.clone());
        StreamOptions { include_usage: true, extra: extra.unwrap_or_default() }
    });
    let messages = with_pictures_from_users(&request.messages);
    let messages =
        if keeps_extra_content(&request.model) { messages } else { without_extra_content(messages) };
    let extra = without_top_k(&request.extra);
    let body = OpenAiRequest {
        model: &request.model,
        messages: &messages,
        stream,
        stream_options,
        max_tokens: old_name.then_some(limit),
        max_completion_tokens: (!old_name).then_some(limit),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop.as_ref(),
        tools: &request.tools,
        tool_choice: request.tool_choice.as_ref(),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: request.response_format.as_ref(),
        reasoning_effort: request.reasoning_effort.as_deref().or_else(|| effort_for_tools(vendor, request)),
        extra: &extra,
    };
    VendorRequest::json("/chat/completions", &body)
}

/// OpenAI refuses `top_k`, which clients of other protocols send.
fn without_top_k(extra: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    if !extra.contains_key("top_k") {
        return Cow::Borrowed(extra);
    }
    let others = extra.iter().filter(|(name, _)| *name != "top_k");
    Cow::Owned(others.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whether the model behind a server of OpenAI's form is one that wants its signatures back.
pub(crate) fn keeps_extra_content(model: &str) -> bool {
    model.contains("gemini")
}

/// The messages without what another vendor added, which OpenAI refuses.
fn without_extra_content(messages: Cow<'_, [ChatMessage]>) -> Cow<'_, [ChatMessage]> {
    let has_any = |message: &ChatMessage| {
        message.extra.contains_key(EXTRA)
            || message.tool_calls.iter().any(|call| call.extra_content.is_some())
    };
    if !messages.iter().any(has_any) {
        return messages;
    }
    let mut messages = messages.into_owned();
    for message in &mut messages {
        message.extra.retain(|name, _| name != EXTRA);
        message.tool_calls.iter_mut().for_each(|call| call.extra_content = None);
    }
    Cow::Owned(messages)
}

/// Pictures in results of tools, which OpenAI takes from a user only: they follow the results of a turn.
fn with_pictures_from_users(messages: &[ChatMessage]) -> Cow<'_, [ChatMessage]> {
    if !messages.iter().any(|message| message.role == ChatRole::Tool && !pictures(message).is_empty()) {
        return Cow::Borrowed(messages);
    }
    let (mut all, mut seen) = (Vec::with_capacity(messages.len() + 1), Vec::new());
    for message in messages {
        if message.role != ChatRole::Tool {
            all.extend(shown(&mut seen));
            all.push(message.clone());
            continue;
        }
        let found = pictures(message);
        let mut message = message.clone();
        if let (false, Some(ChatContent::Parts(parts))) = (found.is_empty(), &mut message.content) {
            parts.retain(|part| !is_picture(part));
            if parts.is_empty() {
                message.content = Some(ChatContent::Text("The result is a picture; it follows.".to_owned()));
            }
        }
        seen.extend(found);
        all.push(message);
    }
    all.extend(shown(&mut seen));
    Cow::Owned(all)
}

const fn is_picture(part: &ContentPart) -> bool {
    matches!(part, ContentPart::Known(KnownPart::ImageUrl { .. }))
}

fn pictures(message: &ChatMessage) -> Vec<ContentPart> {
    match &message.content {
        Some(ChatContent::Parts(parts)) => parts.iter().filter(|part| is_picture(part)).cloned().collect(),
        _ => Vec::new(),
    }
}

/// The pictures so far as a user's message.
fn shown(seen: &mut Vec<ContentPart>) -> Option<ChatMessage> {
    if seen.is_empty() {
        return None;
    }
    let content = Some(ChatContent::Parts(std::mem::take(seen)));
    Some(ChatMessage { content, ..ChatMessage::text(ChatRole::User, "") })
}

/// These models call tools over chat completions only while they do not reason.
const TOOLS_WITHOUT_REASONING: [&str; 4] = ["gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6"];

/// The effort that a caller must ask for who offers tools and asks for none.
fn effort_for_tools(vendor: Vendor, request: &ChatRequest) -> Option<&'static str> {
    let is_meant = || TOOLS_WITHOUT_REASONING.iter().any(|begin| request.model.starts_with(begin));
    (vendor == Vendor::OpenAi && !request.tools.is_empty() && is_meant()).then_some("none")
}

/// Whether a model takes `max_completion_tokens` only.
pub(crate) fn is_reasoning(model: &str) -> bool {
    REASONING.iter().any(|name| model.starts_with(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(vendor: Vendor, request: Value, stream: bool) -> Value {
        let request = serde_json::from_value(request).unwrap();
        serde_json::from_slice(&chat(vendor, &request, stream).unwrap().body).unwrap()
    }

    #[test]
    fn what_came_is_sent_with_a_limit_and_fields_unknown_to_us() {
        let request = json!({
            "model": "gpt-4-turbo",
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "what is it?"},
                    {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                ]},
                {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"a\":1}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": "auto", "parallel_tool_calls": false, "temperature": 0.5, "top_p": 0.9, "stop": ["x"],
            "response_format": {"type": "json_object"}, "seed": 7, "logit_bias": {"50256": -100}, "max_tokens": 9,
        });
        assert_eq!(sent(Vendor::OpenAi, request.clone(), false), request);
    }

    #[test]
    fn a_picture_in_a_tool_s_result_comes_from_a_user() {
        let picture = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});
        let request = json!({"model": "m", "messages": [
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "see"}, picture]},
            {"role": "tool", "tool_call_id": "c2", "content": [picture]},
            {"role": "user", "content": "and?"}]});
        let sent = sent(Vendor::OpenAi, request, false);
        let messages = sent["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["tool", "tool", "user", "user"]);
        assert_eq!(messages[0]["content"], json!([{"type": "text", "text": "see"}]));
        assert!(messages[1]["content"].is_string(), "{sent}");
        assert_eq!(messages[2]["content"], json!([picture, picture]));
    }

    #[test]
    fn the_limit_is_always_there_under_a_name_the_model_takes() {
        let limits = |vendor, model: &str, field: &str| {
            let mut request = json!({"model": model, "messages": []});
            if !field.is_empty() {
                request[field] = json!(5);
            }
            let sent = sent(vendor, request, false);
            (sent["max_tokens"].as_u64(), sent["max_completion_tokens"].as_u64())
        };
        assert_eq!(limits(Vendor::OpenAi, "gpt-3.5-turbo", ""), (None, Some(4_096)));
        assert_eq!(limits(Vendor::OpenAi, "gpt-3.5-turbo", "max_tokens"), (Some(5), None));
        assert_eq!(limits(Vendor::OpenAi, "gpt-5-codex", "max_tokens"), (None, Some(5)));
        assert_eq!(limits(Vendor::OpenAi, "gpt-5-codex", "max_completion_tokens"), (None, Some(5)));
        assert_eq!(limits(Vendor::Grok, "grok-4", "max_tokens"), (Some(5), None));
    }

    #[test]
    fn tools_come_with_the_effort_that_the_model_takes_them_with() {
        let effort = |model: &str, more: Value| {
            let mut request = json!({"model": model, "messages": [],
                "tools": [{"type": "function", "function": {"name": "f"}}]});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            sent(Vendor::OpenAi, request, false)["reasoning_effort"].as_str().map(str::to_owned)
        };
        assert_eq!(effort("gpt-6.1-sol", json!({})).as_deref(), Some("none"));
        assert_eq!(effort("gpt-6.1-sol", json!({"reasoning_effort": "high"})).as_deref(), Some("high"));
        assert_eq!(effort("gpt-6.1-sol", json!({"tools": []})), None);
        assert_eq!(effort("gpt-5.2", json!({})), None);
    }

    #[test]
    fn a_stream_always_asks_for_its_usage() {
        let request =
            json!({"model": "m", "messages": [], "stream_options": {"include_usage": false, "x": 1}});
        let streamed = sent(Vendor::Grok, request.clone(), true);
        assert_eq!(streamed["stream"], json!(true));
        assert_eq!(streamed["stream_options"], json!({"include_usage": true, "x": 1}));
        let whole = sent(Vendor::Grok, request, false);
        assert_eq!((whole.get("stream"), whole.get("stream_options")), (None, None));
    }
}
