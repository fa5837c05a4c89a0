//! The request: messages, tools, thinking.

use serde_json::{Map, Value, json};

use super::{SAMPLING_VERSION, THINKING_BLOCKS, VERSION};
use crate::catalogue;
use crate::chat::{ChatMessage, ChatRequest, ChatRole, ChatTool};
use crate::dialect::VendorRequest;
use crate::failure::VendorFailure;
use crate::message_parts::{self, MessagePart, ResponseFormat, ToolChoice};
use crate::vendor::Vendor;

const VENDOR: Vendor = Vendor::Anthropic;
/// The vendor's minimum thinking budget.
const MIN_THINKING: u64 = 1_024;

pub(crate) fn chat(request: &ChatRequest, stream: bool) -> Result<VendorRequest, VendorFailure> {
    message_parts::refuse(VENDOR, request, 1)?;
    let limit = catalogue::output_limit(VENDOR, request);
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("model", request.model.as_str().into());
    set("max_tokens", limit.into());
    let system = system(&request.messages)?;
    if !system.is_empty() {
        set("system", system.into());
    }
    set("messages", conversation(&request.messages)?.into());
    if stream {
        set("stream", true.into());
    }
    for (name, value) in sampling(request) {
        set(name, value);
    }
    let stops = message_parts::stops(request);
    if !stops.is_empty() {
        set("stop_sequences", stops.into());
    }
    if !request.tools.is_empty() {
        set("tools", request.tools.iter().map(tool).collect());
        if let Some(choice) = tool_choice(request)? {
            set("tool_choice", choice);
        }
    }
    if let Some(format) = output_format(request)? {
        set("output_config", json!({"format": format}));
    }
    if let Some(thinking) = thinking(request, limit)? {
        set("thinking", thinking);
    }
    if let Some(user) = request.extra.get("user").and_then(Value::as_str) {
        set("metadata", json!({"user_id": user}));
    }
    let mut wire = VendorRequest::json("/v1/messages", &body)?;
    wire.headers.push(if sampling(request).is_empty() { VERSION } else { SAMPLING_VERSION });
    Ok(wire)
}

fn sampling(request: &ChatRequest) -> Vec<(&'static str, Value)> {
    let temperature = request.temperature.map(|value| value.min(1.0).into());
    let top_k = request.extra.get("top_k").filter(|value| !value.is_null()).cloned();
    let all = [("temperature", temperature), ("top_p", request.top_p.map(Into::into)), ("top_k", top_k)];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn system(messages: &[ChatMessage]) -> Result<Vec<Value>, VendorFailure> {
    let mut all = Vec::new();
    for message in messages.iter().filter(|message| message_parts::is_instruction(message)) {
        all.extend(blocks(message)?);
    }
    Ok(all)
}

/// The turns, with adjacent messages of one role merged, as the vendor requires: one message with all results
/// answers parallel calls.
fn conversation(messages: &[ChatMessage]) -> Result<Vec<Value>, VendorFailure> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages.iter().filter(|message| !message_parts::is_instruction(message)) {
        let (role, said) = match message.role {
            ChatRole::Assistant => ("assistant", assistant(message)?),
            ChatRole::Tool => ("user", vec![tool_result(message)?]),
            _ => ("user", blocks(message)?),
        };
        match turns.last_mut() {
            Some((last, turn)) if *last == role => turn.extend(said),
            _ if said.is_empty() => {}
            _ => turns.push((role, said)),
        }
    }
    Ok(turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

fn assistant(message: &ChatMessage) -> Result<Vec<Value>, VendorFailure> {
    let mut said: Vec<Value> =
        message.extra.get(THINKING_BLOCKS).and_then(Value::as_array).cloned().unwrap_or_default();
    said.extend(blocks(message)?);
    for call in &message.tool_calls {
        let input = message_parts::arguments(call);
        said.push(json!({"type": "tool_use", "id": call.id, "name": call.function.name, "input": input}));
    }
    Ok(said)
}

fn tool_result(message: &ChatMessage) -> Result<Value, VendorFailure> {
    let id = message.tool_call_id.as_deref();
    let id = id.ok_or_else(|| VendorFailure::faulty("a tool's message needs `tool_call_id`"))?;
    Ok(json!({"type": "tool_result", "tool_use_id": id, "content": blocks(message)?}))
}

/// A message's own parts; members beside a text (`cache_control`) stay with it.
fn blocks(message: &ChatMessage) -> Result<Vec<Value>, VendorFailure> {
    let block = |piece: MessagePart<'_>| match piece {
        MessagePart::Text(text, extra) => {
            let mut block = extra.cloned().unwrap_or_default();
            block.insert("type".to_owned(), "text".into());
            block.insert("text".to_owned(), text.into());
            Ok(Value::Object(block))
        }
        MessagePart::Data(media_type, data) => {
            let source = json!({"type": "base64", "media_type": media_type, "data": data});
            Ok(json!({"type": "image", "source": source}))
        }
        MessagePart::Link(url) => Ok(json!({"type": "image", "source": {"type": "url", "url": url}})),
        MessagePart::Audio(..) => Err(VendorFailure::unsupported(VENDOR, "does not support audio")),
    };
    message_parts::pieces(VENDOR, message)?.into_iter().map(block).collect()
}

fn tool(asked: &ChatTool) -> Value {
    let function = &asked.function;
    let schema = function.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let mut tool = json!({"name": function.name, "input_schema": schema});
    if let Some(description) = &function.description {
        tool["description"] = description.as_str().into();
    }
    if function.strict == Some(true) {
        tool["strict"] = true.into();
    }
    if let Some(control) = &asked.cache_control {
        tool["cache_control"] = control.clone();
    }
    tool
}

fn tool_choice(request: &ChatRequest) -> Result<Option<Value>, VendorFailure> {
    let choice = message_parts::tool_choice(request)?;
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let mut wanted = match choice {
        None if !one_at_a_time => return Ok(None),
        None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Never) => return Ok(Some(json!({"type": "none"}))),
        Some(ToolChoice::Any) => json!({"type": "any"}),
        Some(ToolChoice::One(name)) => json!({"type": "tool", "name": name}),
    };
    if one_at_a_time {
        wanted["disable_parallel_tool_use"] = true.into();
    }
    Ok(Some(wanted))
}

fn output_format(request: &ChatRequest) -> Result<Option<Value>, VendorFailure> {
    match message_parts::format(request)? {
        ResponseFormat::Text => Ok(None),
        ResponseFormat::Schema(schema) => Ok(Some(json!({"type": "json_schema", "schema": schema}))),
        ResponseFormat::JsonObject => Err(VendorFailure::unsupported(
            VENDOR,
            "has no JSON mode without a schema; set `response_format` to type json_schema",
        )),
    }
}

/// The caller's own `thinking`, or a budget for `reasoning_effort`. The vendor refuses thinking together with
/// sampling parameters or a forced tool, and after a tool call whose thinking is not sent back: there the
/// effort, being only a hint, is dropped.
fn thinking(request: &ChatRequest, limit: u64) -> Result<Option<Value>, VendorFailure> {
    if let Some(own) = request.extra.get("thinking").filter(|own| !own.is_null()) {
        return Ok(Some(own.clone()));
    }
    let budget = match request.reasoning_effort.as_deref() {
        Some("minimal" | "low") => MIN_THINKING,
        Some("medium") => 4_096,
        Some("high") => 16_384,
        Some("xhigh" | "max") => 32_768,
        _ => return Ok(None),
    };
    let forced = matches!(message_parts::tool_choice(request)?, Some(ToolChoice::Any | ToolChoice::One(_)));
    let last_assistant = request.messages.iter().rev().find(|message| message.role == ChatRole::Assistant);
    let thoughtless = last_assistant.is_some_and(|message| {
        !message.tool_calls.is_empty() && !message.extra.contains_key(THINKING_BLOCKS)
    });
    let too_short = limit <= MIN_THINKING;
    if forced || thoughtless || too_short || !sampling(request).is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({"type": "enabled", "budget_tokens": budget.min(limit - 1)})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VendorFailureKind;

    fn wire(request: Value) -> Result<(Value, VendorRequest), VendorFailure> {
        let wire = chat(&serde_json::from_value(request).unwrap(), false)?;
        Ok((serde_json::from_slice(&wire.body).unwrap(), wire))
    }

    #[test]
    fn a_conversation_with_parallel_tools_and_pictures_is_translated_whole() {
        let (body, wire) = wire(json!({
            "model": "claude-sonnet-4-5", "stop": "END", "user": "u1", "parallel_tool_calls": false,
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
                {"role": "user", "content": [
                    {"type": "text", "text": "Compare"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "image_url", "image_url": {"url": "https://a/b.jpg"}}]},
                {"role": "assistant", "content": "", "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
                 "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
                {"role": "tool", "tool_call_id": "t1", "content": "one"},
                {"role": "tool", "tool_call_id": "t2", "content": "two"},
                {"role": "developer", "content": "Now answer."},
                {"role": "user", "content": "go on"}],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}, "cache_control": {"type": "ephemeral"}}],
        }))
        .unwrap();
        assert_eq!(wire.path, "/v1/messages");
        assert_eq!(wire.headers, [("anthropic-version", "2026-10-21")]);
        assert_eq!(body["max_tokens"], 64_000);
        assert_eq!(body["metadata"], json!({"user_id": "u1"}));
        assert_eq!(body["stop_sequences"], json!(["END"]));
        assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
        assert_eq!(
            body["tools"],
            json!([{"name": "f", "description": "d", "input_schema": {"type": "object"},
                "cache_control": {"type": "ephemeral"}}])
        );
        assert_eq!(
            body["system"],
            json!([
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Now answer."}])
        );
        assert_eq!(
            body["messages"],
            json!([
            {"role": "user", "content": [
                {"type": "text", "text": "Compare"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "url", "url": "https://a/b.jpg"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}]},
                {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "two"}]},
                {"type": "text", "text": "go on"}]}])
        );
    }

    #[test]
    fn sampling_parameters_choose_the_version_that_takes_them() {
        let ask = |field: &str, value: Value| {
            wire(json!({"model": "m", "messages": [{"role": "user", "content": "x"}], field: value})).unwrap()
        };
        for (field, value) in [("temperature", json!(1.7)), ("top_p", json!(0.5)), ("top_k", json!(3))] {
            let (body, wire) = ask(field, value.clone());
            assert_eq!(wire.headers, [("anthropic-version", "2023-06-01")], "{field}");
            assert_eq!(body[field], if field == "temperature" { json!(1.0) } else { value });
        }
        assert_eq!(ask("seed", json!(1)).1.headers, [("anthropic-version", "2026-10-21")]);
    }

    #[test]
    fn effort_becomes_a_budget_below_the_limit_where_the_vendor_takes_it() {
        let ask = |extra: Value| {
            let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
            request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            wire(request).unwrap().0["thinking"].clone()
        };
        let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        assert_eq!(ask(json!({"reasoning_effort": "low"})), budget(1_024));
        assert_eq!(ask(json!({"reasoning_effort": "minimal"})), budget(1_024));
        assert_eq!(ask(json!({"reasoning_effort": "xhigh", "max_tokens": 40_000})), budget(32_768));
        assert_eq!(ask(json!({"reasoning_effort": "high", "max_tokens": 2_000})), budget(1_999));
        assert_eq!(ask(json!({"reasoning_effort": "high", "max_tokens": 1_000})), Value::Null);
        assert_eq!(ask(json!({"reasoning_effort": "low", "temperature": 0})), Value::Null);
        assert_eq!(ask(json!({"thinking": {"type": "adaptive"}})), json!({"type": "adaptive"}));
    }

    #[test]
    fn structured_output_is_a_schema_or_refused() {
        let ask = |format: Value| {
            wire(
                json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": format}),
            )
        };
        let schema = json!({"type": "object"});
        let (body, _) =
            ask(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})).unwrap();
        assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
        assert_eq!(ask(json!({"type": "json_object"})).unwrap_err().kind, VendorFailureKind::Unsupported);
        assert_eq!(ask(json!({"type": "yaml"})).unwrap_err().kind, VendorFailureKind::BadRequest);
    }

    #[test]
    fn what_would_change_the_answer_is_refused() {
        for (field, value) in [("n", json!(2)), ("logprobs", json!(true)), ("functions", json!([]))] {
            let request = json!({"model": "m", "messages": [], field: value});
            assert_eq!(wire(request).unwrap_err().kind, VendorFailureKind::Unsupported, "{field}");
        }
        let audio = json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}});
        let request = json!({"model": "m", "messages": [{"role": "user", "content": [audio]}]});
        assert_eq!(wire(request).unwrap_err().message, "Anthropic: does not support audio");
    }
}
