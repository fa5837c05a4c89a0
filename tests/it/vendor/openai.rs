//! OpenAI's protocol.
//!
//! Source: OpenAI's API reference (chat completions and their chunks, embeddings, models, errors). Reasoning models refuse `max_tokens` and any `temperature` but 1, as they do at OpenAI.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::KEY;
use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Finish, Model, Reply, any_object, embedding, pieces, tokens};
use super::seen::Heard;
use super::{completions, responses};

/// When all answers were made, in Unix seconds.
pub(super) const CREATED: i64 = 1_795_000_000;
/// Dimensions of `text-embedding-3-small` when none are asked for.
const DIMENSIONS: u64 = 1536;

/// Answers as OpenAI.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    route(heard, model, fault, &usage)
}

pub(super) type Report = dyn Fn(&TokenUsage) -> Value;

pub(super) fn route(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
    report: &Report,
) -> Result<(Answer, TokenUsage), Refusal> {
    if heard.bearer() != KEY {
        return Err(Refusal::Credential);
    }
    match (heard.method.as_str(), heard.path.as_str()) {
        ("GET", "/v1/models") => Ok((models(model), TokenUsage::default())),
        ("POST", "/v1/chat/completions") => chat(heard, model, fault, report),
        ("POST", "/v1/completions") => completions::serve(heard, model, fault, report),
        ("POST", "/v1/responses") => responses::serve(heard, model, fault),
        ("POST", "/v1/embeddings") => embeddings(&heard.body, model, fault),
        (_, path) => match path.strip_prefix("/v1/models/") {
            Some(name) => model.window(name).map(|_| (Answer::json(&listed(name)), TokenUsage::default())),
            None => Err(Refusal::UnknownPath(path.to_owned())),
        },
    }
}

fn listed(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": CREATED, "owned_by": "system" })
}

fn models(model: &Model) -> Answer {
    let data: Vec<Value> = model.windows.iter().map(|(name, _)| listed(name)).collect();
    Answer::json(&json!({ "object": "list", "data": data }))
}

fn embeddings(body: &Value, model: &mut Model, fault: &Fault) -> Result<(Answer, TokenUsage), Refusal> {
    let name = named_model(body)?;
    model.window(name)?;
    let one = |text: &Value| text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    let texts: Vec<String> = match &body["input"] {
        Value::Array(many) if many.iter().all(Value::is_number) => vec![body["input"].to_string()],
        Value::Array(many) if !many.is_empty() => many.iter().map(one).collect(),
        Value::String(text) if !text.is_empty() => vec![text.clone()],
        _ => {
            return Err(Refusal::Invalid(
                "input",
                "'$.input' is invalid. Please check the API reference.".into(),
            ));
        }
    };
    let dimensions = usize::try_from(body["dimensions"].as_u64().unwrap_or(DIMENSIONS)).unwrap_or(1);
    let vector = |text: &str| {
        let vector = embedding(text, dimensions);
        if body["encoding_format"] == "base64" {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            return json!(STANDARD.encode(bytes));
        }
        json!(vector)
    };
    let data = texts.iter().enumerate();
    let data: Vec<Value> = data
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text) }))
        .collect();
    let counted = TokenUsage { input: texts.iter().map(|text| tokens(text)).sum(), ..TokenUsage::default() };
    let used = model.fixed.unwrap_or(counted);
    let mut answer = json!({ "object": "list", "data": data, "model": name });
    if *fault != Fault::MissingUsage {
        answer["usage"] = json!({ "prompt_tokens": used.prompt(), "total_tokens": used.prompt() });
    }
    Ok((Answer::json(&answer), used))
}

fn chat(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
    report: &Report,
) -> Result<(Answer, TokenUsage), Refusal> {
    let body = &heard.body;
    check(body)?;
    let ask = ask(body)?;
    let reply = model.reply(&ask, fault)?;
    let head = json!({
        "id": format!("chatcmpl-{}", heard.digest()), "created": CREATED, "model": ask.model,
        "service_tier": tier(body), "system_fingerprint": "fp_44709d6fcb",
    });
    let usage = (*fault != Fault::MissingUsage).then(|| report(&reply.usage));
    let answer = if body["stream"] == true {
        let usage = usage.filter(|_| body["stream_options"]["include_usage"] == true);
        stream(&head, &reply, usage)
    } else {
        whole(&head, &reply, usage)
    };
    Ok((answer.header("x-request-id", format!("req_{}", heard.digest())), reply.usage))
}

/// The tier that answers: the one asked for; `auto` is the usual one.
pub(super) fn tier(body: &Value) -> &str {
    match body["service_tier"].as_str() {
        Some(tier @ ("flex" | "priority")) => tier,
        _ => "default",
    }
}

fn named_model(body: &Value) -> Result<&str, Refusal> {
    if !body.is_object() {
        let why = "We could not parse the JSON body of your request.";
        return Err(Refusal::Invalid("body", why.to_owned()));
    }
    body["model"]
        .as_str()
        .ok_or_else(|| Refusal::Invalid("model", "you must provide a model parameter".into()))
}

/// The rules of the reference that gateways run into.
fn check(body: &Value) -> Result<(), Refusal> {
    let invalid = |name: &'static str, why: &str| Err(Refusal::Invalid(name, why.to_owned()));
    let reasons = named_model(body)?.starts_with("gpt-5");
    if reasons && !body["max_tokens"].is_null() {
        return invalid(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
    }
    if reasons && body["temperature"].as_f64().is_some_and(|warmth| (warmth - 1.0).abs() > f64::EPSILON) {
        return invalid(
            "temperature",
            "Unsupported value: 'temperature' does not support this value with this model. Only the default (1) value is supported.",
        );
    }
    if body["stream"] != true && !body["stream_options"].is_null() {
        return invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        );
    }
    let none = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&none);
    if messages.is_empty() {
        return invalid(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        );
    }
    answered_calls(messages)
}

/// Every call of a tool must be answered before anything else is said, and nothing else may be answered.
fn answered_calls(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(at) = open.iter().position(|call| *call == id) else {
                return Err(Refusal::Invalid("messages", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.".into()));
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            break;
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open = calls.filter_map(|call| call["id"].as_str()).collect();
    }
    if open.is_empty() {
        return Ok(());
    }
    let why = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Refusal::Invalid("messages", why))
}

/// All text of a content, a string or parts; counts images.
fn text(content: &Value, images: &mut u64) -> Result<String, Refusal> {
    let Some(parts) = content.as_array() else {
        return Ok(content.as_str().unwrap_or_default().to_owned());
    };
    let mut all = String::new();
    for part in parts {
        match part["type"].as_str() {
            Some("text") => all.push_str(part["text"].as_str().unwrap_or_default()),
            Some("image_url") if part["image_url"]["url"].is_string() => *images += 1,
            other => {
                let why = format!(
                    "Invalid value: '{}'. Supported values are: 'text', 'image_url'.",
                    other.unwrap_or_default()
                );
                return Err(Refusal::Invalid("messages", why));
            }
        }
    }
    Ok(all)
}

fn ask(body: &Value) -> Result<Ask, Refusal> {
    let mut ask = Ask { model: named_model(body)?.to_owned(), ..Ask::default() };
    for message in body["messages"].as_array().into_iter().flatten() {
        let said = text(&message["content"], &mut ask.images)?;
        ask.prompt.push_str(&said);
        ask.prompt
            .extend(message["tool_calls"].as_array().map(|calls| Value::from(calls.clone()).to_string()));
        match message["role"].as_str() {
            Some("tool") => ask.results.push(said),
            Some("user") => {
                ask.results.clear();
                ask.said = said;
            }
            Some("system" | "developer" | "assistant" | "function") => {}
            role => {
                let why = format!(
                    "Invalid value: '{}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
                    role.unwrap_or_default()
                );
                return Err(Refusal::Invalid("messages", why));
            }
        }
    }
    let choice = &body["tool_choice"];
    let only = choice["function"]["name"].as_str();
    for tool in body["tools"].as_array().into_iter().flatten().filter(|_| choice != "none") {
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        ask.prompt.push_str(&function.to_string());
        if only.is_none_or(|only| only == name) {
            ask.tools.push((name, function["parameters"].clone()));
        }
    }
    ask.one_call = body["parallel_tool_calls"] == false;
    let format = &body["response_format"];
    ask.schema = match format["type"].as_str() {
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        Some("json_object") => Some(any_object()),
        _ => None,
    };
    ask.limit = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
    ask.thinks = body["reasoning_effort"].is_string();
    ask.stops = match &body["stop"] {
        Value::String(stop) => vec![stop.clone()],
        stops => {
            stops.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        }
    };
    Ok(ask)
}

/// TokenUsage as OpenAI reports it: cached and audio are part of the prompt, reasoning of the completion.
pub(super) fn usage(used: &TokenUsage) -> Value {
    json!({
        "prompt_tokens": used.prompt(),
        "completion_tokens": used.output,
        "total_tokens": used.total(),
        "prompt_tokens_details": { "cached_tokens": used.cache_read, "audio_tokens": used.audio_input },
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

const fn finish(reply: &Reply) -> &'static str {
    match reply.finish {
        // The words of a refusal come to their end.
        _ if reply.refused => "stop",
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filter => "content_filter",
    }
}

fn with(head: &Value, object: &str, choices: &Value) -> Value {
    let mut all = head.clone();
    all["object"] = json!(object);
    all["choices"] = choices.clone();
    all
}

fn whole(head: &Value, reply: &Reply, usage: Option<Value>) -> Answer {
    let mut message =
        json!({ "role": "assistant", "content": reply.text, "refusal": null, "annotations": [] });
    if !reply.calls.is_empty() {
        let call = |(at, call): (usize, &super::model::Call)| {
            let function = json!({ "name": call.name, "arguments": call.text() });
            json!({ "id": call.id("call", at), "type": "function", "function": function })
        };
        if reply.text.is_empty() {
            message["content"] = Value::Null;
        }
        message["tool_calls"] = reply.calls.iter().enumerate().map(call).collect();
    }
    if reply.refused {
        message["refusal"] = message["content"].take();
    }
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply) });
    let mut body = with(head, "chat.completion", &json!([choice]));
    if let Some(usage) = usage {
        body["usage"] = usage;
    }
    Answer::json(&body)
}

fn stream(head: &Value, reply: &Reply, usage: Option<Value>) -> Answer {
    let mut deltas = vec![json!({ "role": "assistant", "content": "", "refusal": null })];
    let kind = if reply.refused { "refusal" } else { "content" };
    deltas.extend(pieces(&reply.text).map(|piece| json!({ kind: piece })));
    for (at, call) in reply.calls.iter().enumerate() {
        let opens = json!({ "name": call.name, "arguments": "" });
        let opens = json!({ "index": at, "id": call.id("call", at), "type": "function", "function": opens });
        let more = |piece: &str| json!({ "index": at, "function": { "arguments": piece } });
        let arguments = call.text();
        let bits = halves(&arguments);
        deltas
            .extend(std::iter::once(opens).chain(bits.map(more)).map(|call| json!({ "tool_calls": [call] })));
    }
    let last = (json!({}), json!(finish(reply)));
    let all = deltas.into_iter().map(|delta| (delta, Value::Null)).chain([last]);
    let mut frames: Vec<String> = all
        .map(|(delta, finish)| {
            let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
            let mut chunk = with(head, "chat.completion.chunk", &json!([choice]));
            if usage.is_some() {
                chunk["usage"] = Value::Null;
            }
            data(&chunk)
        })
        .collect();
    if let Some(usage) = usage {
        let mut chunk = with(head, "chat.completion.chunk", &json!([]));
        chunk["usage"] = usage;
        frames.push(data(&chunk));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    let why = "The server had an error while processing your request. Sorry about that!";
    let trouble = json!({ "error": { "message": why, "type": "server_error", "param": null, "code": null } });
    Answer::stream(Kind::Sse, frames, data(&trouble))
}

/// Two halves, at a boundary of letters.
pub(super) fn halves(text: &str) -> impl Iterator<Item = &str> {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    [first, second].into_iter().filter(|half| !half.is_empty())
}

fn data(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

/// Refuses as OpenAI.
pub(super) fn refuse(refusal: &Refusal, heard: &Heard) -> Answer {
    let (status, kind, code, message) = describe(refusal, heard);
    let param = match refusal {
        Refusal::Invalid(name, _) => json!(name),
        Refusal::ContextTooLong(..) => json!("messages"),
        _ => Value::Null,
    };
    let body = json!({ "error": { "message": message, "type": kind, "param": param, "code": code } });
    waiting(refusal, Answer::with_status(status, &body))
}

pub(super) fn waiting(refusal: &Refusal, answer: Answer) -> Answer {
    match refusal {
        Refusal::RateLimited(after) => answer.with_retry_after(*after),
        _ => answer,
    }
}

pub(super) fn describe(refusal: &Refusal, heard: &Heard) -> (u16, &'static str, Value, String) {
    const INVALID: &str = "invalid_request_error";
    match refusal {
        Refusal::Credential | Refusal::Status(401) => (401, INVALID, json!("invalid_api_key"), "Incorrect API key provided: sk-****. You can find your API key at https://platform.openai.com/account/api-keys.".into()),
        Refusal::UnknownModel(name) => (404, INVALID, json!("model_not_found"), format!("The model `{name}` does not exist or you do not have access to it.")),
        Refusal::UnknownPath(path) => (404, INVALID, Value::Null, format!("Invalid URL ({} {path})", heard.method)),
        Refusal::Invalid(_, why) if why.starts_with("Unsupported parameter") => (400, INVALID, json!("unsupported_parameter"), why.clone()),
        Refusal::Invalid(_, why) => (400, INVALID, Value::Null, why.clone()),
        Refusal::RateLimited(_) => (429, "requests", json!("rate_limit_exceeded"), "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.".into()),
        Refusal::ContextTooLong(limit, came) => (400, INVALID, json!("context_length_exceeded"), format!("This model's maximum context length is {limit} tokens. However, your messages resulted in {came} tokens. Please reduce the length of the messages.")),
        Refusal::Filtered => (400, INVALID, json!("invalid_prompt"), "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.".into()),
        Refusal::Status(503) => (503, "server_error", Value::Null, "The engine is currently overloaded, please try again later".into()),
        Refusal::Status(status @ 500..) => (*status, "server_error", Value::Null, "The server had an error while processing your request. Sorry about that!".into()),
        Refusal::Status(status) => (*status, INVALID, Value::Null, format!("The request was refused with status {status}.")),
    }
}
