//! OpenAI's old completions of a text, as its API reference still has them.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Finish, Model, Reply, pieces};
use super::openai::{CREATED, Report};
use super::seen::Heard;

/// Tokens of an answer where the request sets no limit.
const USUAL_LIMIT: u64 = 16;

pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
    report: &Report,
) -> Result<(Answer, TokenUsage), Refusal> {
    let body = &heard.body;
    let name = body["model"].as_str().unwrap_or_default();
    let prompt = body["prompt"].as_str().unwrap_or_default().to_owned();
    let limit = Some(body["max_tokens"].as_u64().unwrap_or(USUAL_LIMIT));
    let ask = Ask { model: name.to_owned(), said: prompt.clone(), prompt, limit, ..Ask::default() };
    let reply = model.reply(&ask, fault)?;
    let head = json!({
        "id": format!("cmpl-{}", heard.digest()), "object": "text_completion", "created": CREATED, "model": name,
    });
    let usage = report(&reply.usage);
    let answer = if body["stream"] == true {
        stream(&head, &reply, (body["stream_options"]["include_usage"] == true).then_some(usage))
    } else {
        let mut whole = with(&head, &json!([choice(&reply.text, finish(&reply))]));
        whole["usage"] = usage;
        Answer::json(&whole)
    };
    Ok((answer, reply.usage))
}

fn finish(reply: &Reply) -> &'static str {
    if reply.finish == Finish::Length { "length" } else { "stop" }
}

fn choice(text: &str, finish: impl Into<Value>) -> Value {
    json!({ "text": text, "index": 0, "logprobs": null, "finish_reason": finish.into() })
}

fn with(head: &Value, choices: &Value) -> Value {
    let mut all = head.clone();
    all["choices"] = choices.clone();
    all
}

fn stream(head: &Value, reply: &Reply, usage: Option<Value>) -> Answer {
    let mut chunks: Vec<Value> =
        pieces(&reply.text).map(|piece| with(head, &json!([choice(piece, Value::Null)]))).collect();
    chunks.push(with(head, &json!([choice("", finish(reply))])));
    if let Some(usage) = usage {
        let mut last = with(head, &json!([]));
        last["usage"] = usage;
        chunks.push(last);
    }
    let mut frames: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    frames.push("data: [DONE]\n\n".to_owned());
    let trouble =
        "data: {\"error\": {\"message\": \"The server had an error.\", \"type\": \"server_error\"}}\n\n";
    Answer::stream(Kind::Sse, frames, trouble.to_owned())
}
