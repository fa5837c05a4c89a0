//! Ollama's protocol. Streams are NDJSON, and are the default. There is no credential.
//!
//! Source: Ollama's API documentation and its own messages. `tinyllama` takes no tools, as there.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::Fault;
use super::model::{Ask, Finish, Model, Reply, any_object, embedding, pieces, tokens};
use super::seen::Heard;

/// When everything happened.
const AT: &str = "2026-11-22T10:00:00.000000Z";
/// Dimensions of an embedding by a model of this size.
const DIMENSIONS: usize = 4096;
/// Nanoseconds that the server says it took.
const TOOK: u64 = 5_000_000;

/// Answers as Ollama.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    let free = |answer| Ok((answer, TokenUsage::default()));
    match (heard.method.as_str(), heard.path.as_str()) {
        ("GET", "/api/version") => free(Answer::json(&json!({ "version": "0.13.0" }))),
        ("GET", "/api/tags") => {
            let models: Vec<Value> = model.windows.iter().map(|(name, _)| listed(name)).collect();
            free(Answer::json(&json!({ "models": models })))
        }
        ("GET", "/api/ps") => free(Answer::json(&json!({ "models": [] }))),
        ("POST", "/api/show") => free(show(&heard.body, model)?),
        ("POST", "/api/chat") => chat(&heard.body, model, fault),
        ("POST", "/api/generate") => generate(&heard.body, model, fault),
        ("POST", "/api/embed") => embed(&heard.body, model),
        (_, path) => Err(Refusal::UnknownPath(path.to_owned())),
    }
}

fn details(name: &str) -> Value {
    let size = if name.starts_with("tinyllama") { "1.1B" } else { "8.0B" };
    json!({
        "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
        "parameter_size": size, "quantization_level": "Q4_K_M",
    })
}

fn listed(name: &str) -> Value {
    json!({
        "name": name, "model": name, "modified_at": AT, "size": 4_920_753_328_u64,
        "digest": blake3::hash(name.as_bytes()).to_hex().as_str(), "details": details(name),
    })
}

fn show(body: &Value, model: &Model) -> Result<Answer, Refusal> {
    let name = body["model"].as_str().or(body["name"].as_str()).unwrap_or_default();
    let window = model.window(name)?;
    let abilities = if takes_tools(name) { json!(["completion", "tools"]) } else { json!(["completion"]) };
    Ok(Answer::json(&json!({
        "modelfile": format!("FROM {name}"), "parameters": "", "template": "{{ .Prompt }}",
        "details": details(name), "capabilities": abilities, "modified_at": AT,
        "model_info": {
            "general.architecture": "llama", "llama.context_length": window,
            "llama.embedding_length": DIMENSIONS,
        },
    })))
}

fn takes_tools(name: &str) -> bool {
    !name.starts_with("tinyllama")
}

/// What `chat` and `generate` have in common.
fn common(body: &Value) -> Result<Ask, Refusal> {
    let name = body["model"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::Invalid("model", "model is required".into()))?;
    let options = &body["options"];
    let stops = options["stop"].as_array().into_iter().flatten();
    Ok(Ask {
        model: name.to_owned(),
        schema: match &body["format"] {
            Value::String(format) if format == "json" => Some(any_object()),
            Value::Object(_) => Some(body["format"].clone()),
            _ => None,
        },
        limit: options["num_predict"].as_u64(),
        stops: stops.filter_map(Value::as_str).map(str::to_owned).collect(),
        thinks: body["think"] == true || body["think"].is_string(),
        marked: Some((0, false)),
        ..Ask::default()
    })
}

fn images(message: &Value) -> u64 {
    message["images"].as_array().map_or(0, |images| images.len() as u64)
}

fn chat(body: &Value, model: &mut Model, fault: &Fault) -> Result<(Answer, TokenUsage), Refusal> {
    let mut ask = common(body)?;
    for message in body["messages"].as_array().into_iter().flatten() {
        let said = message["content"].as_str().unwrap_or_default().to_owned();
        ask.prompt.push_str(&said);
        ask.images += images(message);
        match message["role"].as_str() {
            Some("tool") => ask.results.push(said),
            Some("user") => {
                ask.results.clear();
                ask.said = said;
            }
            Some("system" | "assistant") => {
                if let Some(call) = message["tool_calls"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|call| !call["function"]["arguments"].is_object())
                {
                    let why = format!(
                        "json: cannot unmarshal {} into Go struct field ChatRequest.messages.tool_calls.function.arguments of type api.ToolCallFunctionArguments",
                        call["function"]["arguments"]
                    );
                    return Err(Refusal::Invalid("messages", why));
                }
            }
            _ => {
                return Err(Refusal::Invalid(
                    "messages",
                    "invalid role: must be one of system, user, assistant, or tool".into(),
                ));
            }
        }
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        if !takes_tools(&ask.model) {
            let why = format!("registry.ollama.ai/library/{} does not support tools", ask.model);
            return Err(Refusal::Invalid("tools", why));
        }
        let function = &tool["function"];
        ask.prompt.push_str(&function.to_string());
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        ask.tools.push((name, function["parameters"].clone()));
    }
    let reply = model.reply(&ask, fault)?;
    let message = |more: Value| {
        let mut message = json!({ "role": "assistant", "content": "" });
        message.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "message": message })
    };
    let calls: Vec<Value> = reply
        .calls
        .iter()
        .map(|call| json!({ "function": { "name": call.name, "arguments": call.arguments } }))
        .collect();
    let mut bits: Vec<Value> = reply.thought.iter().map(|text| json!({ "thinking": text })).collect();
    let mut whole = json!({ "content": reply.text });
    bits.extend(pieces(&reply.text).map(|piece| json!({ "content": piece })));
    if !calls.is_empty() {
        bits.push(json!({ "tool_calls": calls }));
        whole["tool_calls"] = json!(calls);
    }
    if let Some(thought) = reply.thought {
        whole["thinking"] = json!(thought);
    }
    let bits: Vec<Value> = bits.into_iter().map(message).collect();
    Ok(answer(body, &reply, fault, &bits, &message(whole), &message(json!({}))))
}

fn generate(body: &Value, model: &mut Model, fault: &Fault) -> Result<(Answer, TokenUsage), Refusal> {
    let mut ask = common(body)?;
    ask.said = body["prompt"].as_str().unwrap_or_default().to_owned();
    ask.prompt = format!("{}{}", body["system"].as_str().unwrap_or_default(), ask.said);
    ask.images = images(body);
    let reply = model.reply(&ask, fault)?;
    let bits: Vec<Value> = pieces(&reply.text).map(|piece| json!({ "response": piece })).collect();
    let (whole, last) = (json!({ "response": reply.text }), json!({ "response": "", "context": [1, 2, 3] }));
    Ok(answer(body, &reply, fault, &bits, &whole, &last))
}

/// Bits and a last line as a stream, or the whole in one document.
fn answer(
    body: &Value,
    reply: &Reply,
    fault: &Fault,
    bits: &[Value],
    whole: &Value,
    last: &Value,
) -> (Answer, TokenUsage) {
    let dressed = |part: &Value, done: bool| {
        let mut line = part.clone();
        line["model"] = body["model"].clone();
        line["created_at"] = json!(AT);
        line["done"] = json!(done);
        line
    };
    let finished = |part: &Value| {
        let mut line = dressed(part, true);
        line["done_reason"] = json!(if reply.finish == Finish::Length { "length" } else { "stop" });
        for time in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
            line[time] = json!(TOOK);
        }
        if *fault != Fault::MissingUsage {
            line["prompt_eval_count"] = json!(reply.usage.prompt());
            line["eval_count"] = json!(reply.usage.output);
        }
        line
    };
    if body["stream"] == false {
        return (Answer::json(&finished(whole)), reply.usage);
    }
    let lines = bits.iter().map(|bit| dressed(bit, false)).chain([finished(last)]);
    let frames = lines.map(|line| format!("{line}\n")).collect();
    let trouble = "{\"error\":\"an error was encountered while running the model: unexpected EOF\"}\n";
    (Answer::stream(Kind::Ndjson, frames, trouble.to_owned()), reply.usage)
}

fn embed(body: &Value, model: &Model) -> Result<(Answer, TokenUsage), Refusal> {
    let name = body["model"].as_str().unwrap_or_default();
    model.window(name)?;
    let texts: Vec<&str> = match &body["input"] {
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let dimensions =
        body["dimensions"].as_u64().and_then(|asked| usize::try_from(asked).ok()).unwrap_or(DIMENSIONS);
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| embedding(text, dimensions)).collect();
    let counted = TokenUsage { input: texts.iter().map(|text| tokens(text)).sum(), ..TokenUsage::default() };
    let used = model.fixed.unwrap_or(counted);
    let answer = json!({
        "model": name, "embeddings": vectors, "total_duration": TOOK, "load_duration": TOOK,
        "prompt_eval_count": used.prompt(),
    });
    Ok((Answer::json(&answer), used))
}

/// Refuses as Ollama: a status and a sentence.
pub(super) fn refuse(refusal: &Refusal, _: &Heard) -> Answer {
    let (status, why) = match refusal {
        Refusal::Credential => (401, "unauthorized".to_owned()),
        Refusal::UnknownModel(name) => (404, format!("model '{name}' not found")),
        Refusal::UnknownPath(_) => (404, "404 page not found".to_owned()),
        Refusal::Invalid(_, why) => (400, why.clone()),
        Refusal::RateLimited(_) => (429, "too many requests".to_owned()),
        Refusal::ContextTooLong(..) => (400, "the input length exceeds the context length".to_owned()),
        Refusal::Filtered => (400, "the prompt was refused".to_owned()),
        Refusal::Status(503) => {
            (503, "server busy, please try again.  maximum pending requests exceeded".to_owned())
        }
        Refusal::Status(status) => (*status, "an error was encountered while running the model".to_owned()),
    };
    let answer = Answer::with_status(status, &json!({ "error": why }));
    match refusal {
        Refusal::RateLimited(after) => answer.with_retry_after(*after),
        _ => answer,
    }
}
