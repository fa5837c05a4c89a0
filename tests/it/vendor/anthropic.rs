//! Anthropic's protocol.
//!
//! Source: Anthropic's API reference (messages, their stream events, token counts, models, errors) and the
//! types of its SDK 2.12. Version `2026-10-21` has no `temperature`, `top_p` and `top_k`; `2023-06-01` has.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::KEY;
use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Call, Finish, Model, Reply, THOUGHT, pieces, tokens};
use super::openai::halves;
use super::seen::Heard;

/// The version that does without sampling parameters.
const WITHOUT_SAMPLING: &str = "2026-10-21";
const VERSIONS: [&str; 2] = ["2023-06-01", WITHOUT_SAMPLING];
/// What a thinking block is signed with here.
const SIGNATURE: &str = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk=";

/// Answers as Anthropic.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    if heard.header("x-api-key") != KEY && heard.bearer() != KEY {
        return Err(Refusal::Credential);
    }
    let version = heard.header("anthropic-version");
    if !VERSIONS.contains(&version) {
        let why = if version.is_empty() { "header is required" } else { "not a valid version" };
        return Err(Refusal::Invalid("anthropic-version", format!("anthropic-version: {why}")));
    }
    let (answer, used) = match (heard.method.as_str(), heard.path.as_str()) {
        ("POST", "/v1/messages") => messages(heard, model, fault)?,
        ("POST", "/v1/messages/count_tokens") => {
            let ask = ask(heard, false)?;
            model.window(&ask.model)?;
            (Answer::json(&json!({ "input_tokens": tokens(&ask.prompt) })), TokenUsage::default())
        }
        ("GET", "/v1/models") => (models(model), TokenUsage::default()),
        (_, path) => return Err(Refusal::UnknownPath(path.to_owned())),
    };
    Ok((answer.header("request-id", format!("req_{}", heard.digest())), used))
}

fn models(model: &Model) -> Answer {
    let names: Vec<&str> = model.windows.iter().map(|(name, _)| name.as_str()).collect();
    let one = |name: &&str| json!({ "type": "model", "id": name, "display_name": name, "created_at": "2025-09-29T00:00:00Z" });
    let data: Vec<Value> = names.iter().map(one).collect();
    Answer::json(
        &json!({ "data": data, "has_more": false, "first_id": names.first(), "last_id": names.last() }),
    )
}

fn messages(heard: &Heard, model: &mut Model, fault: &Fault) -> Result<(Answer, TokenUsage), Refusal> {
    let ask = ask(heard, true)?;
    let reply = model.reply(&ask, fault)?;
    let mut message = json!({
        "id": format!("msg_{}", heard.digest()), "type": "message", "role": "assistant", "model": ask.model,
        "content": content(&reply), "stop_reason": stop_reason(&reply), "stop_sequence": reply.stopped,
        "usage": usage(&reply.usage),
    });
    let with_usage = *fault != Fault::MissingUsage;
    if !with_usage {
        message.as_object_mut().expect("an object").remove("usage");
    }
    let streams = heard.body["stream"] == true;
    let answer = if streams { stream(message, &reply, with_usage) } else { Answer::json(&message) };
    Ok((answer, reply.usage))
}

fn invalid(name: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::Invalid(name, why.into())
}

/// Reads a request of messages, or of a count of their tokens.
fn ask(heard: &Heard, answers: bool) -> Result<Ask, Refusal> {
    let body = &heard.body;
    let required = |name: &'static str| invalid(name, format!("{name}: Field required"));
    let name = body["model"].as_str().ok_or_else(|| required("model"))?;
    let turns = body["messages"].as_array().ok_or_else(|| required("messages"))?;
    if answers && body["max_tokens"].as_u64().is_none() {
        return Err(required("max_tokens"));
    }
    let sampling = ["temperature", "top_p", "top_k"];
    if let Some(name) = sampling.into_iter().find(|name| !body[*name].is_null())
        && heard.header("anthropic-version") == WITHOUT_SAMPLING
    {
        return Err(invalid(name, format!("{name}: Extra inputs are not permitted")));
    }
    answered_calls(turns)?;
    let mut reading = Reading::default();
    reading.ask.model = name.to_owned();
    reading.tools(body);
    reading.content(&body["system"])?;
    for (at, turn) in turns.iter().enumerate() {
        reading.turn(at, turn)?;
    }
    let mut ask = reading.ask;
    ask.marked.get_or_insert((0, false));
    if body["cache_control"].is_object() {
        ask.marked = Some((ask.prompt.len(), body["cache_control"]["ttl"] == "1h"));
    }
    let format = &body["output_config"]["format"];
    ask.schema = (format["type"] == "json_schema").then(|| format["schema"].clone());
    ask.limit = body["max_tokens"].as_u64();
    ask.thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    ask.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(ask)
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    ask: Ask,
}

impl Reading {
    fn tools(&mut self, body: &Value) {
        let choice = &body["tool_choice"];
        self.ask.one_call = choice["disable_parallel_tool_use"] == true;
        for tool in body["tools"].as_array().into_iter().flatten() {
            let name = tool["name"].as_str().unwrap_or_default().to_owned();
            self.ask.prompt.push_str(&tool.to_string());
            self.mark(tool);
            let chosen = choice["type"] != "none" && choice["name"].as_str().is_none_or(|only| only == name);
            if chosen {
                self.ask.tools.push((name, tool["input_schema"].clone()));
            }
        }
    }

    fn mark(&mut self, block: &Value) {
        if block["cache_control"]["type"] == "ephemeral" {
            self.ask.marked = Some((self.ask.prompt.len(), block["cache_control"]["ttl"] == "1h"));
        }
    }

    fn turn(&mut self, at: usize, turn: &Value) -> Result<(), Refusal> {
        let role = turn["role"].as_str().unwrap_or_default();
        // `system` between turns is what Claude Code sends.
        if !["user", "assistant", "system"].contains(&role) {
            let why = format!("messages.{at}.role: Input should be 'user' or 'assistant'");
            return Err(invalid("messages", why));
        }
        self.ask.results.clear();
        let said = self.content(&turn["content"])?;
        if said.is_empty() && turn["content"].as_array().is_none_or(Vec::is_empty) {
            let why = format!("messages.{at}: all messages must have non-empty content");
            return Err(invalid("messages", why));
        }
        if role == "user" {
            self.ask.said = said;
        }
        Ok(())
    }

    /// Adds a string or blocks to the prompt; gives their text.
    fn content(&mut self, content: &Value) -> Result<String, Refusal> {
        let Some(blocks) = content.as_array() else {
            let text = content.as_str().unwrap_or_default();
            self.ask.prompt.push_str(text);
            return Ok(text.to_owned());
        };
        let mut all = String::new();
        for block in blocks {
            match block["type"].as_str().unwrap_or_default() {
                "text" => all.push_str(block["text"].as_str().unwrap_or_default()),
                "image" if block["source"]["type"].is_string() => self.ask.images += 1,
                "tool_result" => {
                    let result = self.content(&block["content"])?;
                    self.ask.results.push(result);
                }
                "tool_use" => self.ask.prompt.push_str(&block["input"].to_string()),
                "thinking"
                | "redacted_thinking"
                | "document"
                | "server_tool_use"
                | "web_search_tool_result" => {}
                other => {
                    let why =
                        format!("content: Input tag '{other}' found does not match any of the expected tags");
                    return Err(invalid("messages", why));
                }
            }
            if let Some(text) = block["text"].as_str() {
                self.ask.prompt.push_str(text);
            }
            self.mark(block);
        }
        Ok(all)
    }
}

/// Every `tool_use` must have its `tool_result` in the very next message, and the other way round.
fn answered_calls(turns: &[Value]) -> Result<(), Refusal> {
    let ids = |turn: Option<&Value>, kind: &str, name: &str| -> Vec<String> {
        let blocks = turn.and_then(|turn| turn["content"].as_array()).into_iter().flatten();
        let own = blocks.filter(|block| block["type"] == kind);
        own.filter_map(|block| block[name].as_str()).map(str::to_owned).collect()
    };
    for at in 0..turns.len() {
        let calls = ids(turns.get(at), "tool_use", "id");
        let results = ids(turns.get(at + 1), "tool_result", "tool_use_id");
        if let Some(id) = calls.iter().find(|id| !results.contains(id)) {
            let why = format!(
                "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            );
            return Err(invalid("messages", why));
        }
        if let Some(id) = results.iter().find(|id| !calls.contains(id)) {
            let why = format!(
                "messages.{}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                at + 1
            );
            return Err(invalid("messages", why));
        }
    }
    Ok(())
}

/// TokenUsage as Anthropic reports it: cached tokens are no part of `input_tokens`.
fn usage(used: &TokenUsage) -> Value {
    json!({
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.cache_write_5m + used.cache_write_1h,
        "cache_read_input_tokens": used.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.cache_write_5m, "ephemeral_1h_input_tokens": used.cache_write_1h,
        },
        "output_tokens": used.output,
        "output_tokens_details": { "thinking_tokens": used.reasoning },
        "service_tier": "standard",
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Stop if reply.stopped.is_some() => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Filter => "refusal",
    }
}

fn content(reply: &Reply) -> Vec<Value> {
    let mut blocks = Vec::new();
    if reply.thought.is_some() {
        blocks.push(json!({ "type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE }));
    }
    blocks.extend(reply.blocks.iter().cloned());
    if !reply.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": reply.text }));
    }
    for (at, call) in reply.calls.iter().enumerate() {
        let id = call.id("toolu", at);
        blocks.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.arguments }));
    }
    blocks
}

fn event(body: &Value) -> String {
    format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default())
}

fn stream(mut message: Value, reply: &Reply, with_usage: bool) -> Answer {
    let last = json!({ "stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"] });
    let mut last = json!({ "type": "message_delta", "delta": last });
    if with_usage {
        last["usage"] = usage(&reply.usage);
        // The breakdown by lifetime is told at the start only.
        last["usage"].as_object_mut().expect("an object").retain(|name, _| name.contains("tokens"));
        message["usage"]["output_tokens"] = json!(1);
    }
    let blocks = message["content"].take();
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    let mut events = vec![json!({ "type": "message_start", "message": message })];
    let mut calls = reply.calls.iter();
    for (index, block) in blocks.as_array().into_iter().flatten().enumerate() {
        let call = if block["type"] == "tool_use" { calls.next() } else { None };
        let input = call.map(Call::text).unwrap_or_default();
        let (opens, deltas) = parts(block, &input);
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": opens }));
        if index == 0 {
            events.push(json!({ "type": "ping" }));
        }
        let delta = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    events.extend([last, json!({ "type": "message_stop" })]);
    let trouble = json!({ "type": "overloaded_error", "message": "Overloaded" });
    let trouble = event(&json!({ "type": "error", "error": trouble }));
    Answer::stream(Kind::Sse, events.iter().map(event).collect(), trouble)
}

/// A block as it begins, and what then comes of it: of a call, its input.
fn parts(block: &Value, input: &str) -> (Value, Vec<Value>) {
    let mut opens = block.clone();
    match block["type"].as_str() {
        Some("thinking") => {
            (opens["thinking"], opens["signature"]) = (json!(""), json!(""));
            let thought = block["thinking"].as_str().unwrap_or_default();
            let mut deltas: Vec<Value> =
                pieces(thought).map(|piece| json!({ "type": "thinking_delta", "thinking": piece })).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": block["signature"] }));
            (opens, deltas)
        }
        Some("tool_use") => {
            opens["input"] = json!({});
            let more = |piece: &str| json!({ "type": "input_json_delta", "partial_json": piece });
            let deltas = std::iter::once("").chain(halves(input)).map(more).collect();
            (opens, deltas)
        }
        Some("text") => {
            opens["text"] = json!("");
            let text = block["text"].as_str().unwrap_or_default();
            let deltas = pieces(text).map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
            (opens, deltas)
        }
        // What the vendor ran comes whole.
        _ => (opens, Vec::new()),
    }
}

/// Refuses as Anthropic.
pub(super) fn refuse(refusal: &Refusal, heard: &Heard) -> Answer {
    let (status, message) = describe(refusal);
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let id = format!("req_{}", heard.digest());
    let body = json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": id });
    let answer = Answer::with_status(status, &body).header("request-id", id);
    match refusal {
        Refusal::RateLimited(after) => answer.with_retry_after(*after),
        _ => answer,
    }
}

fn describe(refusal: &Refusal) -> (u16, String) {
    match refusal {
        Refusal::Credential | Refusal::Status(401) => (401, "invalid x-api-key".into()),
        Refusal::UnknownModel(name) => (404, format!("model: {name}")),
        Refusal::UnknownPath(_) => (404, "Not Found".into()),
        Refusal::Invalid(_, why) => (400, why.clone()),
        Refusal::RateLimited(_) => (
            429,
            "This request would exceed your organization's rate limit of 50 requests per minute.".into(),
        ),
        Refusal::ContextTooLong(limit, came) => {
            (400, format!("prompt is too long: {came} tokens > {limit} maximum"))
        }
        Refusal::Filtered => (400, "Output blocked by content filtering policy".into()),
        Refusal::Status(529) => (529, "Overloaded".into()),
        Refusal::Status(status @ 500..) => (*status, "Internal server error".into()),
        Refusal::Status(status) => (*status, format!("The request was refused with status {status}.")),
    }
}
