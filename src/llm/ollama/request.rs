//! The request: messages, tools, options.

use serde_json::{Map, Value, json};

use crate::catalogue;
use crate::chat::{ChatMessage, ChatRequest, ChatRole};
use crate::dialect::VendorRequest;
use crate::failure::VendorFailure;
use crate::message_parts::{self, MessagePart, ResponseFormat, ToolChoice};
use crate::vendor::Vendor;

const VENDOR: Vendor = Vendor::Ollama;
/// Ollama's window where neither the server's settings nor the request name one (its FAQ, 2026).
pub(crate) const DEFAULT_WINDOW: u64 = 4_096;
/// A lower bound of bytes per token, nearly always: a window chosen by it is never too small.
const BYTES_PER_TOKEN: u64 = 2;
/// Fields passed unchanged beside the messages.
const PASSED: [&str; 2] = ["keep_alive", "think"];
/// Fields of OpenAI's request that become options under the same name.
const OPTIONS: [&str; 4] = ["seed", "top_k", "presence_penalty", "frequency_penalty"];

pub(crate) fn chat(request: &ChatRequest, stream: bool) -> Result<VendorRequest, VendorFailure> {
    message_parts::refuse(VENDOR, request, 1)?;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("model", request.model.as_str().into());
    let messages: Vec<Value> = (0..request.messages.len())
        .map(|at| message(&request.messages[..at], &request.messages[at]))
        .collect::<Result<_, _>>()?;
    let text_bytes = messages.iter().map(|message| message["content"].as_str().map_or(0, str::len)).sum();
    set("messages", messages.into());
    set("stream", stream.into());
    if may_call(request)? {
        set("tools", serde_json::to_value(&request.tools).unwrap_or_default());
    }
    match message_parts::format(request)? {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => set("format", "json".into()),
        ResponseFormat::Schema(schema) => set("format", schema.clone()),
    }
    for name in PASSED {
        if let Some(value) = request.extra.get(name) {
            set(name, value.clone());
        }
    }
    set("options", options(request, text_bytes).into());
    VendorRequest::json("/api/chat", &body)
}

fn message(before: &[ChatMessage], message: &ChatMessage) -> Result<Value, VendorFailure> {
    let (mut text, mut images) = (String::new(), Vec::new());
    for piece in message_parts::pieces(VENDOR, message)? {
        match piece {
            MessagePart::Text(more, _) => text.push_str(more),
            MessagePart::Data(_, data) => images.push(data),
            MessagePart::Link(_) => {
                let what = "reads no pictures at addresses; send them as data:image/…;base64,…";
                return Err(VendorFailure::unsupported(VENDOR, what));
            }
            MessagePart::Audio(..) => {
                return Err(VendorFailure::unsupported(VENDOR, "does not support audio"));
            }
        }
    }
    let role = match message.role {
        ChatRole::System | ChatRole::Developer => "system",
        ChatRole::User => "user",
        ChatRole::Assistant => "assistant",
        ChatRole::Tool => "tool",
    };
    let mut wire = json!({"role": role, "content": text});
    if !images.is_empty() {
        wire["images"] = images.into();
    }
    if message.role == ChatRole::Tool {
        wire["tool_name"] = message_parts::called_function(before, message)?.into();
    }
    let call = |call| {
        let arguments = message_parts::arguments(call);
        Ok(json!({"function": {"name": call.function.name, "arguments": arguments}}))
    };
    if !message.tool_calls.is_empty() {
        wire["tool_calls"] =
            message.tool_calls.iter().map(call).collect::<Result<Vec<_>, VendorFailure>>()?.into();
    }
    Ok(wire)
}

/// Whether the model may call tools; nothing can force a call.
fn may_call(request: &ChatRequest) -> Result<bool, VendorFailure> {
    match message_parts::tool_choice(request)? {
        _ if request.tools.is_empty() => Ok(false),
        None | Some(ToolChoice::Auto) => Ok(true),
        Some(ToolChoice::Never) => Ok(false),
        Some(ToolChoice::Any | ToolChoice::One(_)) => {
            Err(VendorFailure::unsupported(VENDOR, "cannot force a tool call (`tool_choice`)"))
        }
    }
}

fn options(request: &ChatRequest, text_bytes: usize) -> Map<String, Value> {
    let mut options = Map::new();
    let mut set = |name: &str, value: Value| drop(options.insert(name.to_owned(), value));
    set("num_predict", catalogue::output_limit(VENDOR, request).into());
    if let Some(window) = window(request, text_bytes) {
        set("num_ctx", window.into());
    }
    if let Some(temperature) = request.temperature {
        set("temperature", temperature.into());
    }
    if let Some(top_p) = request.top_p {
        set("top_p", top_p.into());
    }
    let stops = message_parts::stops(request);
    if !stops.is_empty() {
        set("stop", stops.into());
    }
    for name in OPTIONS {
        if let Some(value) = request.extra.get(name).filter(|value| !value.is_null()) {
            set(name, value.clone());
        }
    }
    if let Some(own) = request.extra.get("options").and_then(Value::as_object) {
        options.extend(own.clone());
    }
    options
}

/// The window to request, in powers of two so that a server seldom reloads its model; `None` when the default
/// is enough. Never beyond the model's known window.
fn window(request: &ChatRequest, text_bytes: usize) -> Option<u64> {
    let prompt = u64::try_from(text_bytes).unwrap_or(u64::MAX) / BYTES_PER_TOKEN;
    let needed = prompt.saturating_add(request.output_limit().unwrap_or(0));
    let most = catalogue::find(VENDOR, &request.model).map_or(u64::MAX, |facts| facts.context_window);
    let window = needed.checked_next_power_of_two().unwrap_or(most).min(most);
    (needed > DEFAULT_WINDOW && window > DEFAULT_WINDOW).then_some(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VendorFailureKind;

    fn wire(request: Value) -> Result<Value, VendorFailure> {
        let wire = chat(&serde_json::from_value(request).unwrap(), true)?;
        assert_eq!(wire.path, "/api/chat");
        Ok(serde_json::from_slice(&wire.body).unwrap())
    }

    #[test]
    fn a_conversation_with_tools_and_pictures_is_translated_whole() {
        let tools =
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
        let body = wire(json!({
            "model": "llava", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stop": "x", "seed": 3,
            "keep_alive": "5m", "options": {"repeat_penalty": 1.1}, "response_format": {"type": "json_object"},
            "messages": [
                {"role": "developer", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
                {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "one"}],
            "tools": tools,
        }))
        .unwrap();
        assert_eq!(
            body,
            json!({
            "model": "llava", "stream": true, "format": "json", "keep_alive": "5m", "tools": tools,
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "a", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
                {"role": "tool", "content": "one", "tool_name": "f"}],
            "options": {"num_predict": 50, "temperature": 0.5, "top_p": 0.9, "stop": ["x"], "seed": 3,
                "repeat_penalty": 1.1}})
        );
    }

    #[test]
    fn a_long_prompt_asks_for_a_window_that_holds_it() {
        let window = |model: &str, bytes: usize| {
            let request =
                json!({"model": model, "messages": [{"role": "user", "content": "x".repeat(bytes)}]});
            wire(request).unwrap()["options"]["num_ctx"].as_u64()
        };
        assert_eq!(window("llama3.1:8b", 8_000), None);
        assert_eq!(window("llama3.1:8b", 9_000), Some(8_192));
        assert_eq!(window("llama3.1:8b", 1_000_000), Some(131_072));
        assert_eq!(window("tinyllama:1.1b", 100_000), None);
    }

    #[test]
    fn what_ollama_cannot_do_is_refused() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let picture = json!([{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]);
        for (field, value) in [("tool_choice", json!("required")), ("n", json!(3))] {
            let request = json!({"model": "m", "messages": [], "tools": tools, field: value});
            assert_eq!(wire(request).unwrap_err().kind, VendorFailureKind::Unsupported, "{field}");
        }
        let request = json!({"model": "m", "messages": [{"role": "user", "content": picture}]});
        assert_eq!(wire(request).unwrap_err().kind, VendorFailureKind::Unsupported);
    }
}
