//! Gemini's protocol, under `/v1beta` and `/v1`.
//!
//! Source: Google's API reference (`models.generateContent`, `models.streamGenerateContent`, embeddings,
//! models, `google.rpc.Status`) and the types of its SDK 3.4. What surprises gateways is kept: unknown
//! fields are refused, a wrong key is a 400 with the reason `API_KEY_INVALID`, the time to wait after a
//! 429 comes as `RetryInfo` in the body, calls have no id, thoughts are counted beside the candidates, and
//! a blocked prompt is a 200 without candidates, a list of one may lack its brackets, and newer
//! models want the signature of the thought before a call back.

use pas::domain::usage::TokenUsage;
use serde_json::{Value, json};

use super::KEY;
use super::answer::{Answer, Kind};
use super::error::Refusal;
use super::fault::{Fault, RetryAfter};
use super::model::{Ask, Finish, Model, Reply, any_object, embedding, pieces, tokens};
use super::seen::Heard;

/// Fields of a `GenerateContentRequest`.
const FIELDS: [&str; 9] = [
    "model",
    "contents",
    "systemInstruction",
    "generationConfig",
    "safetySettings",
    "tools",
    "toolConfig",
    "cachedContent",
    "serviceTier",
];
/// Fields of a `GenerationConfig`.
const SETTINGS: [&str; 20] = [
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "enableEnhancedCivicAnswers",
    "speechConfig",
    "thinkingConfig",
    "imageConfig",
    "mediaResolution",
];
/// The signature of every thought: `signed`.
const SIGNATURE: &str = "c2lnbmVk";
/// What a client writes that has lost a signature.
const UNCHECKED: &str = "skip_thought_signature_validator";
/// Dimensions of `gemini-embedding-001` when none are asked for.
const DIMENSIONS: u64 = 3072;

/// Answers as Gemini.
pub(super) fn serve(
    heard: &Heard,
    model: &mut Model,
    fault: &Fault,
) -> Result<(Answer, TokenUsage), Refusal> {
    if heard.header("x-goog-api-key") != KEY
        && !heard.query.split('&').any(|part| part == format!("key={KEY}"))
    {
        return Err(Refusal::Credential);
    }
    let unknown = || Refusal::UnknownPath(heard.path.clone());
    let path = ["/v1beta/", "/v1/"].iter().find_map(|version| heard.path.strip_prefix(version));
    let path = path.ok_or_else(unknown)?;
    if heard.method == "GET" && path == "models" {
        return Ok((models(model), TokenUsage::default()));
    }
    let (name, verb) =
        path.strip_prefix("models/").and_then(|rest| rest.split_once(':')).ok_or_else(unknown)?;
    model.window(name)?;
    match verb {
        "generateContent" => generate(heard, name, model, fault, None),
        "streamGenerateContent" => generate(heard, name, model, fault, Some(heard.query.contains("alt=sse"))),
        "countTokens" => {
            let ask = ask(name, &heard.body)?;
            Ok((Answer::json(&json!({ "totalTokens": tokens(&ask.prompt) })), TokenUsage::default()))
        }
        "embedContent" => Ok(embed(&heard.body, model)),
        "batchEmbedContents" => Ok(embed_many(&heard.body, model)),
        _ => Err(unknown()),
    }
}

fn models(model: &Model) -> Answer {
    let one = |(name, window): &(String, u64)| {
        json!({
            "name": format!("models/{name}"), "version": "001", "displayName": name,
            "inputTokenLimit": window, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    };
    Answer::json(&json!({ "models": model.windows.iter().map(one).collect::<Vec<_>>() }))
}

fn vector(request: &Value) -> Value {
    let dimensions = request["outputDimensionality"].as_u64().unwrap_or(DIMENSIONS);
    let text = request["content"]["parts"][0]["text"].as_str().unwrap_or_default();
    json!({ "values": embedding(text, usize::try_from(dimensions).unwrap_or(1)) })
}

/// Embeddings are billed by what came; the answer says nothing of it.
fn bill(texts: &Value, model: &Model) -> TokenUsage {
    model.fixed.unwrap_or(TokenUsage { input: tokens(&texts.to_string()), ..TokenUsage::default() })
}

fn embed(body: &Value, model: &Model) -> (Answer, TokenUsage) {
    (Answer::json(&json!({ "embedding": vector(body) })), bill(&body["content"], model))
}

fn embed_many(body: &Value, model: &Model) -> (Answer, TokenUsage) {
    let vectors: Vec<Value> = body["requests"].as_array().into_iter().flatten().map(vector).collect();
    (Answer::json(&json!({ "embeddings": vectors })), bill(&body["requests"], model))
}

fn generate(
    heard: &Heard,
    name: &str,
    model: &mut Model,
    fault: &Fault,
    stream: Option<bool>,
) -> Result<(Answer, TokenUsage), Refusal> {
    let ask = ask(name, &heard.body)?;
    let mut reply = model.reply(&ask, fault)?;
    if *fault == Fault::PromptFiltered {
        reply.usage.output = 0;
        reply.usage.reasoning = 0;
    }
    let mut chunks = if *fault == Fault::PromptFiltered {
        vec![json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" } })]
    } else {
        chunks(name, &heard.body, &reply, stream.is_some())
    };
    for chunk in &mut chunks {
        chunk["modelVersion"] = json!(name);
        chunk["responseId"] = json!(heard.digest());
        if *fault != Fault::MissingUsage {
            chunk["usageMetadata"] = usage(&reply.usage);
        }
    }
    let trouble = "data: {\"error\": {\"code\": 503, \"message\": \"The model is overloaded. Please try again later.\", \"status\": \"UNAVAILABLE\"}}\r\n\r\n";
    let frames = || chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let answer = match stream {
        None => Answer::json(&chunks[0]),
        Some(true) => Answer::stream(Kind::Sse, frames(), trouble.to_owned()),
        Some(false) => Answer::json(&json!(chunks)),
    };
    Ok((answer, reply.usage))
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::Invalid("", why.into())
}

/// The JSON form of protocol buffers has both spellings of every name.
fn either<'a>(body: &'a Value, name: &str) -> &'a Value {
    let snake = |letter: char| {
        let lower = letter.to_ascii_lowercase();
        if letter.is_ascii_uppercase() { format!("_{lower}") } else { lower.to_string() }
    };
    match &body[name] {
        Value::Null => &body[name.chars().map(snake).collect::<String>()],
        found => found,
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        all + &initial.into_iter().chain(letters).collect::<String>()
    })
}

/// The elements of a list, which may lack its brackets where it has one.
fn many(value: &Value) -> &[Value] {
    match value {
        Value::Array(all) => all,
        Value::Object(_) => std::slice::from_ref(value),
        _ => &[],
    }
}

fn known(object: &Value, names: &[&str], place: &str) -> Result<(), Refusal> {
    let mut fields = object.as_object().into_iter().flatten().map(|(name, _)| name);
    fields.find(|name| !names.contains(&camel(name).as_str())).map_or(Ok(()), |name| {
        let why =
            format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
        Err(invalid(why))
    })
}

fn ask(name: &str, body: &Value) -> Result<Ask, Refusal> {
    known(body, &FIELDS, "")?;
    let settings = either(body, "generationConfig");
    known(settings, &SETTINGS, " at 'generation_config'")?;
    let mut ask = Ask { model: name.to_owned(), ..Ask::default() };
    content(&mut ask, either(body, "systemInstruction"))?;
    let contents = many(&body["contents"]);
    if contents.is_empty() {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    for turn in contents {
        let role = turn["role"].as_str().unwrap_or("user");
        if !["user", "model", "function"].contains(&role) {
            return Err(invalid("Please use a valid role: user, model."));
        }
        ask.results.clear();
        if role == "model" && signs(name) {
            check_signature(turn)?;
        }
        let said = content(&mut ask, turn)?;
        if role == "user" {
            ask.said = said;
        }
    }
    tools(&mut ask, body);
    let json_only = either(settings, "responseMimeType") == "application/json";
    let schemas = [either(settings, "responseSchema"), either(settings, "responseJsonSchema")];
    let schema = schemas.into_iter().find(|schema| schema.is_object()).cloned();
    ask.schema = if json_only { schema.or_else(|| Some(any_object())) } else { None };
    ask.limit = either(settings, "maxOutputTokens").as_u64();
    let thinking = either(settings, "thinkingConfig");
    ask.thinks = thinking.is_object() && either(thinking, "thinkingBudget") != &json!(0);
    let stops = either(settings, "stopSequences").as_array().into_iter().flatten();
    ask.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(ask)
}

fn tools(ask: &mut Ask, body: &Value) {
    let calling = either(either(body, "toolConfig"), "functionCallingConfig");
    let allowed = either(calling, "allowedFunctionNames").as_array();
    let tools = body["tools"].as_array().into_iter().flatten();
    let declared =
        tools.flat_map(|tool| either(tool, "functionDeclarations").as_array().into_iter().flatten());
    for function in declared {
        ask.prompt.push_str(&function.to_string());
        let is_allowed = allowed.is_none_or(|names| names.contains(&function["name"]));
        if calling["mode"] != "NONE" && is_allowed {
            let schemas = [&function["parameters"], either(function, "parametersJsonSchema")];
            let schema = schemas.into_iter().find(|schema| schema.is_object()).cloned().unwrap_or_default();
            ask.tools.push((function["name"].as_str().unwrap_or_default().to_owned(), schema));
        }
    }
}

/// Models since Gemini 3 sign the thought before a call, and want the signature back.
fn signs(model: &str) -> bool {
    !["gemini-1", "gemini-2", "gemma"].iter().any(|old| model.starts_with(old))
}

/// The first call of a turn must have the signature that it came with.
fn check_signature(turn: &Value) -> Result<(), Refusal> {
    let first = many(&turn["parts"]).iter().find(|part| either(part, "functionCall").is_object());
    let signature = first.map(|part| either(part, "thoughtSignature"));
    if signature.is_none_or(|signature| signature == SIGNATURE || signature == UNCHECKED) {
        return Ok(());
    }
    Err(invalid("Function call is missing a thought_signature in functionCall parts."))
}

/// Adds a content's parts to the prompt; gives their text.
fn content(ask: &mut Ask, content: &Value) -> Result<String, Refusal> {
    let mut all = String::new();
    for part in many(&content["parts"]) {
        let (call, result) = (either(part, "functionCall"), either(part, "functionResponse"));
        if let Some(text) = part["text"].as_str() {
            all.push_str(text);
        } else if either(part, "inlineData").is_object() || either(part, "fileData").is_object() {
            ask.images += 1;
        } else if result.is_object() {
            ask.results.push(match &result["response"] {
                Value::Object(fields) if fields.len() == 1 => {
                    let only = fields.values().next().cloned().unwrap_or_default();
                    only.as_str().map_or_else(|| only.to_string(), str::to_owned)
                }
                other => other.to_string(),
            });
        } else if call.is_object() {
            ask.prompt.push_str(&call["args"].to_string());
        } else {
            return Err(invalid("* GenerateContentRequest.contents: part must have one initialized field"));
        }
    }
    ask.prompt.push_str(&all);
    Ok(all)
}

/// Usage as Gemini reports it: cached tokens are part of the prompt, thoughts come beside the candidates.
fn usage(used: &TokenUsage) -> Value {
    let mut report = json!({
        "promptTokenCount": used.prompt(),
        "totalTokenCount": used.total(),
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": used.prompt() - used.audio_input }],
    });
    let optional = [
        ("candidatesTokenCount", used.output - used.reasoning),
        ("thoughtsTokenCount", used.reasoning),
        ("cachedContentTokenCount", used.cache_read),
    ];
    for (name, count) in optional.into_iter().filter(|(_, count)| *count > 0) {
        report[name] = json!(count);
    }
    if used.audio_input > 0 {
        let audio = json!({ "modality": "AUDIO", "tokenCount": used.audio_input });
        report["promptTokensDetails"].as_array_mut().expect("an array").push(audio);
    }
    report
}

fn chunks(name: &str, body: &Value, reply: &Reply, streams: bool) -> Vec<Value> {
    let finish = match reply.finish {
        Finish::Stop | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "SAFETY",
    };
    if reply.finish == Finish::Filter {
        let rating =
            json!({ "category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": true });
        return vec![
            json!({ "candidates": [{ "finishReason": finish, "index": 0, "safetyRatings": [rating] }] }),
        ];
    }
    let mut parts: Vec<Value> = Vec::new();
    let shows = either(either(either(body, "generationConfig"), "thinkingConfig"), "includeThoughts") == true;
    parts.extend(reply.thought.filter(|_| shows).map(|text| json!({ "text": text, "thought": true })));
    if streams {
        parts.extend(pieces(&reply.text).map(|piece| json!({ "text": piece })));
    } else if !reply.text.is_empty() {
        parts.push(json!({ "text": reply.text }));
    }
    let call =
        |call: &super::model::Call| json!({ "functionCall": { "name": call.name, "args": call.arguments } });
    let mut calls: Vec<Value> = reply.calls.iter().map(call).collect();
    if let Some(first) = calls.first_mut().filter(|_| signs(name)) {
        first["thoughtSignature"] = json!(SIGNATURE);
    }
    parts.extend(calls);
    let groups: Vec<Vec<Value>> =
        if streams { parts.into_iter().map(|part| vec![part]).collect() } else { vec![parts] };
    let candidate =
        |parts| json!({ "candidates": [{ "content": { "parts": parts, "role": "model" }, "index": 0 }] });
    let mut chunks: Vec<Value> = groups.into_iter().map(candidate).collect();
    if chunks.is_empty() {
        chunks.push(candidate(Vec::new()));
    }
    if let Some(last) = chunks.last_mut() {
        last["candidates"][0]["finishReason"] = json!(finish);
    }
    chunks
}

/// Refuses as Google's services do.
pub(super) fn refuse(refusal: &Refusal, _: &Heard) -> Answer {
    let (code, message) = describe(refusal);
    let status = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let mut body = json!({ "error": { "code": code, "message": message, "status": status } });
    match refusal {
        Refusal::Credential => {
            let detail = json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                "domain": "googleapis.com", "metadata": { "service": "generativelanguage.googleapis.com" },
            });
            body["error"]["details"] = json!([detail]);
        }
        Refusal::RateLimited(RetryAfter::Seconds(seconds)) => {
            let delay = format!("{seconds}s");
            let detail = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay });
            body["error"]["details"] = json!([detail]);
        }
        _ => {}
    }
    match refusal {
        Refusal::RateLimited(after @ RetryAfter::Date(_)) => {
            Answer::with_status(code, &body).with_retry_after(*after)
        }
        _ => Answer::with_status(code, &body),
    }
}

fn describe(refusal: &Refusal) -> (u16, String) {
    match refusal {
        Refusal::Credential => (400, "API key not valid. Please pass a valid API key.".into()),
        Refusal::UnknownModel(name) => (404, format!("models/{name} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.")),
        Refusal::UnknownPath(path) => (404, format!("The requested URL {path} was not found on this server.")),
        Refusal::Invalid(_, why) => (400, why.clone()),
        Refusal::RateLimited(_) => (429, "You exceeded your current quota, please check your plan and billing details.".into()),
        Refusal::ContextTooLong(limit, came) => (400, format!("The input token count ({came}) exceeds the maximum number of tokens allowed ({limit}).")),
        Refusal::Filtered => (400, "The prompt was blocked.".into()),
        Refusal::Status(503) => (503, "The model is overloaded. Please try again later.".into()),
        Refusal::Status(status @ 500..) => (*status, "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting".into()),
        Refusal::Status(status) => (*status, format!("The request was refused with status {status}.")),
    }
}
