//! The request: messages, tools, options.

use serde_json::{Map, Value, json};

use crate::llm::catalogue;
use crate::llm::chat::{ChatRequest, Message, Role};
use crate::llm::dialect::WireRequest;
use crate::llm::failure::Failure;
use crate::llm::translate::{self, Format, Piece, ToolChoice};
use crate::llm::vendor::Vendor;

const VENDOR: Vendor = Vendor::Ollama;
/// Ollama's window where neither the server's settings nor the request name one (its FAQ, 2026).
pub(in crate::llm) const DEFAULT_WINDOW: u64 = 4_096;
/// Fewest bytes of text that make one token, nearly always: a window chosen by it is never too small.
const BYTES_PER_TOKEN: u64 = 2;
/// Fields that go beside the messages, as they came.
const PASSED: [&str; 2] = ["keep_alive", "think"];
/// Fields of OpenAI's request that are options here, under the same name.
const OPTIONS: [&str; 4] = ["seed", "top_k", "presence_penalty", "frequency_penalty"];

/// Where and how it is sent.
pub(in crate::llm) fn chat(request: &ChatRequest, stream: bool) -> Result<WireRequest, Failure> {
    translate::refuse(VENDOR, request, 1)?;
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
    match translate::format(request)? {
        Format::Text => {}
        Format::JsonObject => set("format", "json".into()),
        Format::Schema(schema) => set("format", schema.clone()),
    }
    for name in PASSED {
        if let Some(value) = request.extra.get(name) {
            set(name, value.clone());
        }
    }
    set("options", options(request, text_bytes).into());
    WireRequest::json("/api/chat", &body)
}

fn message(before: &[Message], message: &Message) -> Result<Value, Failure> {
    let (mut text, mut images) = (String::new(), Vec::new());
    for piece in translate::pieces(VENDOR, message)? {
        match piece {
            Piece::Text(more, _) => text.push_str(more),
            Piece::Data(_, data) => images.push(data),
            Piece::Link(_) => {
                let what = "reads no pictures at addresses; send them as data:image/…;base64,…";
                return Err(Failure::unsupported(VENDOR, what));
            }
            Piece::Audio(..) => return Err(Failure::unsupported(VENDOR, "hears no audio")),
        }
    }
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut wire = json!({"role": role, "content": text});
    if !images.is_empty() {
        wire["images"] = images.into();
    }
    if message.role == Role::Tool {
        wire["tool_name"] = translate::called_function(before, message)?.into();
    }
    let call = |call| {
        let arguments = translate::arguments(call)?;
        Ok(json!({"function": {"name": call.function.name, "arguments": arguments}}))
    };
    if !message.tool_calls.is_empty() {
        wire["tool_calls"] = message.tool_calls.iter().map(call).collect::<Result<Vec<_>, Failure>>()?.into();
    }
    Ok(wire)
}

/// Whether the model may call its tools; nothing can make it.
fn may_call(request: &ChatRequest) -> Result<bool, Failure> {
    match translate::tool_choice(request)? {
        _ if request.tools.is_empty() => Ok(false),
        None | Some(ToolChoice::Auto) => Ok(true),
        Some(ToolChoice::Never) => Ok(false),
        Some(ToolChoice::Any | ToolChoice::One(_)) => {
            Err(Failure::unsupported(VENDOR, "cannot be made to call a tool (`tool_choice`)"))
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
    let stops = translate::stops(request);
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

/// The window to ask for, in powers of two so that a server seldom loads its model anew; `None` where the
/// default does. Never beyond what the model is known to have.
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
    use crate::llm::FailureKind;

    fn wire(request: Value) -> Result<Value, Failure> {
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
            assert_eq!(wire(request).unwrap_err().kind, FailureKind::Unsupported, "{field}");
        }
        let request = json!({"model": "m", "messages": [{"role": "user", "content": picture}]});
        assert_eq!(wire(request).unwrap_err().kind, FailureKind::Unsupported);
    }
}
