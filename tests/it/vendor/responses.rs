//! OpenAI's Responses, as far as a gateway meets them.
//!
//! Source: OpenAI's API reference (create a response, streaming events). Every kind of item, tool and
//! parameter is accepted; the answer is what the model says and its calls, as items with the events that clients
//! build them from.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Call, Finish, Model, Reply, pieces};
use super::openai::halves;
use super::seen::Heard;

/// Answers `POST /v1/responses`.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    let body = &heard.body;
    let name =
        body["model"].as_str().ok_or_else(|| Refusal::Invalid("model", "model is required".to_owned()))?;
    let items = body["input"].as_array();
    let ask = Ask {
        model: name.to_owned(),
        // Item by item, so that a longer conversation begins as the shorter one did.
        prompt: items
            .map_or_else(|| body["input"].to_string(), |items| items.iter().map(Value::to_string).collect()),
        said: body["input"].as_str().map_or_else(|| last_text(&body["input"]), str::to_owned),
        results: last_results(&body["input"]),
        schema: body["text"]["format"]["schema"]
            .is_object()
            .then(|| body["text"]["format"]["schema"].clone()),
        limit: body["max_output_tokens"].as_u64(),
        tools: functions(&body["tools"]),
        ..Ask::default()
    };
    let reply = model.reply(&ask, fault)?;
    let output = output(heard, &reply);
    let (status, why) = match reply.finish {
        Finish::Length => ("incomplete", json!({ "reason": "max_output_tokens" })),
        _ => ("completed", Value::Null),
    };
    let mut response = json!({
        "id": format!("resp_{}", heard.digest()), "object": "response", "created_at": 1_795_000_000,
        "status": status, "incomplete_details": why, "error": null, "model": name, "output": output, "usage": usage(&reply.usage),
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "metadata": {}, "instructions": null,
        "temperature": 1.0, "top_p": 1.0, "store": true, "x_new_member": { "b": 1, "a": 2 },
    });
    if *fault == Fault::MissingUsage {
        response["usage"] = Value::Null;
    }
    let answer = if body["stream"] == true { stream(&response) } else { Answer::json(&response) };
    Ok((answer.header("x-request-id", format!("req_{}", heard.digest())), reply.usage))
}

fn functions(tools: &Value) -> Vec<(String, Value)> {
    let own = tools.as_array().into_iter().flatten().filter(|tool| tool["type"] == "function");
    own.map(|tool| (tool["name"].as_str().unwrap_or_default().to_owned(), tool["parameters"].clone()))
        .collect()
}

/// The items of an answer: the vendor's own, the words, the calls.
fn output(heard: &Heard, reply: &Reply) -> Vec<Value> {
    let mut items = reply.blocks.clone();
    if !reply.text.is_empty() || (reply.calls.is_empty() && items.is_empty()) {
        let part = json!({ "type": "output_text", "text": reply.text, "annotations": [], "logprobs": [] });
        items.push(json!({ "type": "message", "id": format!("msg_{}", heard.digest()), "role": "assistant",
            "status": "completed", "content": [part] }));
    }
    let calls = reply.calls.iter().enumerate();
    items.extend(calls.map(|(at, call)| call_item(&heard.body["tools"], at, call)));
    items
}

/// A call of a function, or of a tool that takes a text.
fn call_item(tools: &Value, at: usize, call: &Call) -> Value {
    let mut offered = tools.as_array().into_iter().flatten();
    let is_custom = offered.any(|tool| tool["type"] == "custom" && tool["name"] == call.name.as_str());
    let (kind, id, input) = if is_custom {
        ("custom_tool_call", format!("ctc_{at}"), "input")
    } else {
        ("function_call", format!("fc_{at}"), "arguments")
    };
    json!({ "type": kind, "id": id, "call_id": call.id("call", at), "name": call.name, input: call.text(),
        "status": "completed" })
}

/// The text of the last message, a string or parts.
fn last_text(items: &Value) -> String {
    let last = items.as_array().and_then(|items| items.last());
    let content = last.map(|item| &item["content"]);
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    let parts: String = parts.filter_map(|part| part["text"].as_str()).collect();
    content.and_then(Value::as_str).map_or(parts, str::to_owned)
}

/// The results of calls at the end.
fn last_results(items: &Value) -> Vec<String> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_result = |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("_call_output"));
    let mut results: Vec<String> = items
        .iter()
        .rev()
        .take_while(is_result)
        .map(|item| item["output"].as_str().map_or_else(|| item["output"].to_string(), str::to_owned))
        .collect();
    results.reverse();
    results
}

fn usage(used: &TokenUsage) -> Value {
    json!({
        "input_tokens": used.prompt(), "input_tokens_details": { "cached_tokens": used.cache_read },
        "output_tokens": used.output, "output_tokens_details": { "reasoning_tokens": used.reasoning },
        "total_tokens": used.total(),
    })
}

fn stream(response: &Value) -> Answer {
    let mut begun = response.clone();
    (begun["status"], begun["output"], begun["usage"]) = (json!("in_progress"), json!([]), Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
    ];
    let items = response["output"].as_array().into_iter().flatten();
    events.extend(items.enumerate().flat_map(|(at, item)| item_events(at, item)));
    let end = format!("response.{}", response["status"].as_str().unwrap_or_default());
    events.push(json!({ "type": end, "response": response }));
    let frame = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    let trouble = json!({ "type": "error", "code": "server_error", "message": "It failed.", "param": null });
    let trouble = format!("event: error\ndata: {trouble}\n\n");
    Answer::stream(Kind::Sse, events.into_iter().enumerate().map(frame).collect(), trouble)
}

/// An item as it comes to be.
fn item_events(at: usize, item: &Value) -> Vec<Value> {
    let (mut opens, id) = (item.clone(), &item["id"]);
    opens["status"] = json!("in_progress");
    let mut between = Vec::new();
    let mut told = |kind: &str, more: Value| {
        let mut event = json!({ "type": kind, "item_id": id, "output_index": at });
        event.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        between.push(event);
    };
    match item["type"].as_str() {
        Some("message") => {
            opens["content"] = json!([]);
            let part = &item["content"][0];
            let text = part["text"].as_str().unwrap_or_default();
            let empty = json!({ "type": "output_text", "text": "", "annotations": [], "logprobs": [] });
            told("response.content_part.added", json!({ "content_index": 0, "part": empty }));
            for piece in pieces(text) {
                let delta = json!({ "content_index": 0, "delta": piece, "logprobs": [] });
                told("response.output_text.delta", delta);
            }
            told("response.output_text.done", json!({ "content_index": 0, "text": text, "logprobs": [] }));
            told("response.content_part.done", json!({ "content_index": 0, "part": part }));
        }
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let (member, name) = match kind {
                "function_call" => ("arguments", "response.function_call_arguments"),
                _ => ("input", "response.custom_tool_call_input"),
            };
            opens[member] = json!("");
            let whole = item[member].as_str().unwrap_or_default();
            for half in halves(whole) {
                told(&format!("{name}.delta"), json!({ "delta": half }));
            }
            told(&format!("{name}.done"), json!({ member: whole, "name": item["name"] }));
        }
        _ => {}
    }
    let mut events = vec![json!({ "type": "response.output_item.added", "output_index": at, "item": opens })];
    events.append(&mut between);
    events.push(json!({ "type": "response.output_item.done", "output_index": at, "item": item }));
    events
}
