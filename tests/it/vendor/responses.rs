//! OpenAI's Responses, as far as a gateway meets them.
//!
//! Source: OpenAI's API reference (create a response, streaming events). Every kind of item, tool and
//! parameter is accepted; the answer is one message, or calls of the functions on offer.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Call, Model, Reply, pieces};
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
    let said = body["input"].as_str().map_or_else(|| last_text(&body["input"]), str::to_owned);
    let ask = Ask {
        model: name.to_owned(),
        prompt: body["input"].to_string(),
        said,
        limit: body["max_output_tokens"].as_u64(),
        tools: functions(&body["tools"]),
        ..Ask::default()
    };
    let reply = model.reply(&ask, fault)?;
    let output = output(heard, &reply);
    let mut response = json!({
        "id": format!("resp_{}", heard.digest()), "object": "response", "created_at": 1_795_000_000,
        "status": "completed", "model": name, "output": output, "usage": usage(&reply.usage),
        "store": true, "x_new_member": { "b": 1, "a": 2 },
    });
    if *fault == Fault::MissingUsage {
        response["usage"] = Value::Null;
    }
    let answer =
        if body["stream"] == true { stream(&response, &reply.text) } else { Answer::json(&response) };
    Ok((answer.header("x-request-id", format!("req_{}", heard.digest())), reply.usage))
}

fn functions(tools: &Value) -> Vec<(String, Value)> {
    let own = tools.as_array().into_iter().flatten().filter(|tool| tool["type"] == "function");
    own.map(|tool| (tool["name"].as_str().unwrap_or_default().to_owned(), tool["parameters"].clone()))
        .collect()
}

fn output(heard: &Heard, reply: &Reply) -> Vec<Value> {
    let call = |(at, call): (usize, &Call)| {
        json!({ "type": "function_call", "id": format!("fc_{at}"), "call_id": call.id("call", at),
            "name": call.name, "arguments": call.text(), "status": "completed" })
    };
    if !reply.calls.is_empty() {
        return reply.calls.iter().enumerate().map(call).collect();
    }
    let part = json!({ "type": "output_text", "text": reply.text, "annotations": [] });
    vec![json!({ "type": "message", "id": format!("msg_{}", heard.digest()), "role": "assistant",
        "status": "completed", "content": [part] })]
}

fn last_text(items: &Value) -> String {
    let last = items.as_array().and_then(|items| items.last());
    last.map(|item| item["content"].to_string()).unwrap_or_default()
}

fn usage(used: &TokenUsage) -> Value {
    json!({
        "input_tokens": used.prompt(), "input_tokens_details": { "cached_tokens": used.cache_read },
        "output_tokens": used.output, "output_tokens_details": { "reasoning_tokens": used.reasoning },
        "total_tokens": used.total(),
    })
}

fn stream(response: &Value, text: &str) -> Answer {
    let mut begun = response.clone();
    (begun["status"], begun["output"], begun["usage"]) = (json!("in_progress"), json!([]), Value::Null);
    let mut events = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "message" } }),
    ];
    events.extend(
        pieces(text)
            .map(|piece| json!({ "type": "response.output_text.delta", "output_index": 0, "delta": piece })),
    );
    events.push(json!({ "type": "response.completed", "response": response }));
    let frame = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    let trouble = json!({ "type": "error", "code": "server_error", "message": "It failed.", "param": null });
    let trouble = format!("event: error\ndata: {trouble}\n\n");
    Answer::stream(Kind::Sse, events.into_iter().enumerate().map(frame).collect(), trouble)
}
