//! What the dialects of vendors unlike OpenAI share: the canonical request's loose fields made definite,
//! and answers put together.
//!
//! Fields that such vendors have no word for fall into two classes. Those that only tune or label
//! (`seed`, penalties, `logit_bias`, `user`, `metadata`, `service_tier`, `store`, `parallel_tool_calls` at
//! Gemini and Ollama, caching hints, fields unknown to PAS) are left out, as these vendors' own
//! OpenAI-compatible endpoints do. Those that change what comes back are refused ([`refuse`]).

use serde_json::{Map, Value, json};

use super::chat::{
    ChatChunk, ChatRequest, ChatResponse, Choice, ChunkChoice, Content, Delta, FunctionCall, FunctionDelta,
    KnownPart, Message, Part, Role, ToolCall, ToolCallDelta,
};
use super::dialect::{Asked, Completion};
use super::failure::Failure;
use super::vendor::Vendor;
use crate::domain::usage::Usage;

/// Refuses fields whose answer the vendor cannot give.
pub(super) fn refuse(vendor: Vendor, request: &ChatRequest, most_choices: u64) -> Result<(), Failure> {
    let extra = &request.extra;
    if extra.get("n").and_then(Value::as_u64).unwrap_or(1) > most_choices {
        return Err(Failure::unsupported(vendor, &format!("gives at most {most_choices} answers (`n`)")));
    }
    if extra.get("logprobs") == Some(&Value::Bool(true)) {
        return Err(Failure::unsupported(vendor, "gives no `logprobs` here"));
    }
    let audio = |value: &Value| value.as_array().is_some_and(|all| all.iter().any(|one| one == "audio"));
    if extra.get("modalities").is_some_and(audio) {
        return Err(Failure::unsupported(vendor, "answers with no audio here (`modalities`)"));
    }
    for legacy in ["functions", "function_call"] {
        if extra.get(legacy).is_some_and(|value| !value.is_null()) {
            let what = format!("`{legacy}` is the old form of tools; write `tools` and `tool_choice`");
            return Err(Failure::unsupported(vendor, &what));
        }
    }
    match request.tools.iter().find(|tool| tool.kind != "function") {
        Some(tool) => {
            Err(Failure::unsupported(vendor, &format!("has no tools of type {:?} here", tool.kind)))
        }
        None => Ok(()),
    }
}

/// The form that the answer shall have.
pub(super) enum Format<'a> {
    Text,
    JsonObject,
    Schema(&'a Value),
}

/// Reads `response_format`.
pub(super) fn format(request: &ChatRequest) -> Result<Format<'_>, Failure> {
    let Some(format) = &request.response_format else { return Ok(Format::Text) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => format
            .pointer("/json_schema/schema")
            .map(Format::Schema)
            .ok_or_else(|| Failure::faulty("`response_format.json_schema.schema` is missing")),
        _ => Err(Failure::faulty("`response_format.type` must be text, json_object or json_schema")),
    }
}

/// What the model shall do with its tools.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToolChoice<'a> {
    Auto,
    Never,
    Any,
    One(&'a str),
}

/// Reads `tool_choice`; `None` where the request says nothing.
pub(super) fn tool_choice(request: &ChatRequest) -> Result<Option<ToolChoice<'_>>, Failure> {
    let Some(choice) = &request.tool_choice else { return Ok(None) };
    let named = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), named) {
        (Some("auto"), _) => Ok(Some(ToolChoice::Auto)),
        (Some("none"), _) => Ok(Some(ToolChoice::Never)),
        (Some("required"), _) => Ok(Some(ToolChoice::Any)),
        (None, Some(name)) => Ok(Some(ToolChoice::One(name))),
        _ => Err(Failure::faulty("`tool_choice` must be auto, none, required or a function by its name")),
    }
}

/// The texts that end the answer.
pub(super) fn stops(request: &ChatRequest) -> Vec<&str> {
    match &request.stop {
        Some(Value::String(stop)) => vec![stop],
        Some(Value::Array(stops)) => stops.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The instructions of all system and developer messages: these vendors keep them apart from the
/// conversation, so those in its middle come to its front.
pub(super) fn is_instruction(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// The arguments of a call as JSON.
pub(super) fn arguments(call: &ToolCall) -> Result<Value, Failure> {
    let text = call.function.arguments.trim();
    if text.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(text)
        .map_err(|_| Failure::faulty(format!("the arguments of tool call {:?} are not JSON", call.id)))
}

/// The function that a tool's message answers: the latest call of that id before it.
pub(super) fn called_function<'a>(before: &'a [Message], answer: &Message) -> Result<&'a str, Failure> {
    let id = answer.tool_call_id.as_deref().unwrap_or_default();
    let calls = before.iter().rev().flat_map(|message| message.tool_calls.iter());
    calls.into_iter().find(|call| call.id == id).map(|call| call.function.name.as_str()).ok_or_else(|| {
        Failure::faulty(format!("a tool's message answers the call {id:?}, which nobody made before it"))
    })
}

/// One part of a message, as far as vendors unlike OpenAI know it.
pub(super) enum Piece<'a> {
    /// The text, and what stands beside it.
    Text(&'a str, Option<&'a Map<String, Value>>),
    /// Media type and base64.
    Data(&'a str, &'a str),
    /// A picture at an address.
    Link(&'a str),
    /// Format (`wav`, `mp3`) and base64.
    Audio(&'a str, &'a str),
}

/// The parts of a message that say something; its refusal counts as text.
pub(super) fn pieces(vendor: Vendor, message: &Message) -> Result<Vec<Piece<'_>>, Failure> {
    let pieces = match (&message.content, &message.refusal) {
        (Some(Content::Text(text)), _) | (None, Some(text)) => vec![Piece::Text(text, None)],
        (Some(Content::Parts(parts)), _) => {
            parts.iter().map(|part| piece(vendor, part)).collect::<Result<_, _>>()?
        }
        (None, None) => Vec::new(),
    };
    Ok(pieces.into_iter().filter(|piece| !matches!(piece, Piece::Text("", _))).collect())
}

fn piece(vendor: Vendor, part: &Part) -> Result<Piece<'_>, Failure> {
    match part {
        Part::Known(KnownPart::Text { text, extra }) => Ok(Piece::Text(text, Some(extra))),
        Part::Known(KnownPart::ImageUrl { image_url }) => picture(&image_url.url),
        Part::Other(other) => {
            let text = |path: &str| other.pointer(path).and_then(Value::as_str);
            match (text("/input_audio/format"), text("/input_audio/data")) {
                (Some(format), Some(data)) => Ok(Piece::Audio(format, data)),
                _ => {
                    let kind = text("/type").unwrap_or("unknown");
                    Err(Failure::unsupported(vendor, &format!("takes no parts of type {kind:?} here")))
                }
            }
        }
    }
}

fn picture(url: &str) -> Result<Piece<'_>, Failure> {
    if let Some(rest) = url.strip_prefix("data:") {
        let parts = rest.split_once(',').and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
        let (media_type, data) = parts
            .ok_or_else(|| Failure::faulty("a picture's data URL must be like data:image/png;base64,…"))?;
        return Ok(Piece::Data(media_type, data));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Piece::Link(url));
    }
    Err(Failure::faulty("a picture must be a data URL or an https URL"))
}

/// An answer while it comes: the fields that all its chunks share.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) asked: Asked,
}

impl Head {
    /// The vendor's own name of the model, where it gives one.
    pub(super) fn model(&mut self, model: String) {
        if !model.is_empty() {
            self.asked.model = model;
        }
    }

    /// A chunk with that news of answer `index`.
    pub(super) fn chunk(&self, index: u32, delta: Delta, finish_reason: Option<&str>) -> ChatChunk {
        let finish_reason = finish_reason.map(str::to_owned);
        self.bare_chunk(vec![ChunkChoice { index, delta, finish_reason, extra: Map::new() }])
    }

    /// The last chunk, which carries the usage alone.
    pub(super) fn usage_chunk(&self, usage: Usage) -> ChatChunk {
        ChatChunk { usage: Some(usage.into()), ..self.bare_chunk(Vec::new()) }
    }

    fn bare_chunk(&self, choices: Vec<ChunkChoice>) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.asked.created,
            model: self.asked.model.clone(),
            choices,
            usage: None,
            extra: Map::new(),
        }
    }

    pub(super) fn completion(self, choices: Vec<Choice>, usage: Option<Usage>) -> Completion {
        let response = ChatResponse {
            id: self.id,
            object: "chat.completion".to_owned(),
            created: self.asked.created,
            model: self.asked.model,
            choices,
            usage: usage.map(Into::into),
            extra: Map::new(),
        };
        Completion { response, usage }
    }
}

/// The first chunk's news: who speaks.
pub(super) fn role() -> Delta {
    Delta { role: Some(Role::Assistant), content: Some(String::new()), ..Delta::default() }
}

pub(super) fn text(text: &str) -> Delta {
    Delta { content: Some(text.to_owned()), ..Delta::default() }
}

/// More of what the model thinks, under the name that clients of reasoning models know.
pub(super) fn reasoning(text: &str) -> Delta {
    let extra = Map::from_iter([("reasoning_content".to_owned(), text.into())]);
    Delta { extra, ..Delta::default() }
}

/// A call with its name, or more of its arguments.
pub(super) fn call(index: u32, named: Option<(String, String)>, arguments: String) -> Delta {
    let (id, name) = named.unzip();
    let kind = id.is_some().then(|| "function".to_owned());
    let function = Some(FunctionDelta { name, arguments: Some(arguments) });
    Delta { tool_calls: vec![ToolCallDelta { index, id, kind, function }], ..Delta::default() }
}

/// The assistant's message, put together.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) extra: Map<String, Value>,
}

impl Said {
    pub(super) fn call(&mut self, id: String, name: String, arguments: &Value) {
        let function = FunctionCall { name, arguments: arguments.to_string() };
        self.calls.push(ToolCall { id, kind: "function".to_owned(), function });
    }

    /// The choice; a message that only calls tools has no content.
    pub(super) fn choice(mut self, index: u32, finish_reason: &str) -> Choice {
        if !self.reasoning.is_empty() {
            self.extra.insert("reasoning_content".to_owned(), self.reasoning.into());
        }
        let content = (!self.text.is_empty() || self.calls.is_empty()).then_some(Content::Text(self.text));
        let message = Message {
            role: Role::Assistant,
            content,
            tool_calls: self.calls,
            tool_call_id: None,
            refusal: None,
            extra: self.extra,
        };
        Choice { index, message, finish_reason: Some(finish_reason.to_owned()), extra: Map::new() }
    }
}
