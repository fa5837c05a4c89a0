//! Shared by the dialects of vendors unlike OpenAI: normalizes the canonical request's loose fields, and
//! assembles answers.
//!
//! Fields without a counterpart at such vendors fall into two classes. Those that only tune or label (`seed`,
//! penalties, `logit_bias`, `user`, `metadata`, `service_tier`, `store`, `parallel_tool_calls` at Gemini and
//! Ollama, caching hints, fields unknown to PAS) are dropped, as these vendors' own OpenAI-compatible
//! endpoints do. Those that change the answer are refused ([`refuse`]).

use serde_json::{Map, Value, json};

use super::chat::{
    ChatChoice, ChatChunk, ChatContent, ChatDelta, ChatMessage, ChatRequest, ChatResponse, ChatRole,
    ChunkChoice, ContentPart, FunctionCall, FunctionDelta, KnownPart, ToolCall, ToolCallDelta,
};
use super::dialect::{AnswerDefaults, Completion};
use super::exact_integers;
use super::failure::VendorFailure;
use super::vendor::Vendor;
use pas_domain::usage::TokenUsage;

/// Refuses fields that the vendor cannot honour.
pub(super) fn refuse(vendor: Vendor, request: &ChatRequest, most_choices: u64) -> Result<(), VendorFailure> {
    let extra = &request.extra;
    if extra.get("n").and_then(Value::as_u64).unwrap_or(1) > most_choices {
        return Err(VendorFailure::unsupported(
            vendor,
            &format!("supports at most {most_choices} answers (`n`)"),
        ));
    }
    if extra.get("logprobs") == Some(&Value::Bool(true)) {
        return Err(VendorFailure::unsupported(vendor, "does not support `logprobs` here"));
    }
    let audio = |value: &Value| value.as_array().is_some_and(|all| all.iter().any(|one| one == "audio"));
    if extra.get("modalities").is_some_and(audio) {
        return Err(VendorFailure::unsupported(vendor, "does not support audio answers here (`modalities`)"));
    }
    for legacy in ["functions", "function_call"] {
        if extra.get(legacy).is_some_and(|value| !value.is_null()) {
            let what = format!("`{legacy}` is the old form of tools; write `tools` and `tool_choice`");
            return Err(VendorFailure::unsupported(vendor, &what));
        }
    }
    if extra.get("web_search_options").is_some_and(|value| !value.is_null()) {
        return Err(VendorFailure::unsupported(vendor, "does not search here (`web_search_options`)"));
    }
    match request.tools.iter().find(|tool| tool.kind != "function") {
        Some(tool) => Err(VendorFailure::unsupported(
            vendor,
            &format!("does not support tools of type {:?} here", tool.kind),
        )),
        None => Ok(()),
    }
}

/// The requested form of the answer.
pub(super) enum ResponseFormat<'a> {
    Text,
    JsonObject,
    Schema(&'a Value),
}

/// Reads `response_format`.
pub(super) fn format(request: &ChatRequest) -> Result<ResponseFormat<'_>, VendorFailure> {
    let Some(format) = &request.response_format else { return Ok(ResponseFormat::Text) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => format
            .pointer("/json_schema/schema")
            .map(ResponseFormat::Schema)
            .ok_or_else(|| VendorFailure::faulty("`response_format.json_schema.schema` is missing")),
        _ => Err(VendorFailure::faulty("`response_format.type` must be text, json_object or json_schema")),
    }
}

/// The requested use of tools.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToolChoice<'a> {
    Auto,
    Never,
    Any,
    One(&'a str),
}

/// Parses `tool_choice`; `None` when absent.
pub(super) fn tool_choice(request: &ChatRequest) -> Result<Option<ToolChoice<'_>>, VendorFailure> {
    let Some(choice) = &request.tool_choice else { return Ok(None) };
    let named = choice.pointer("/function/name").and_then(Value::as_str);
    match (choice.as_str(), named) {
        (Some("auto"), _) => Ok(Some(ToolChoice::Auto)),
        (Some("none"), _) => Ok(Some(ToolChoice::Never)),
        (Some("required"), _) => Ok(Some(ToolChoice::Any)),
        (None, Some(name)) => Ok(Some(ToolChoice::One(name))),
        _ => {
            Err(VendorFailure::faulty("`tool_choice` must be auto, none, required or a function by its name"))
        }
    }
}

/// The stop sequences.
pub(super) fn stops(request: &ChatRequest) -> Vec<&str> {
    match &request.stop {
        Some(Value::String(stop)) => vec![stop],
        Some(Value::Array(stops)) => stops.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The instructions of all system and developer messages: these vendors keep them apart from the
/// conversation, so instructions in its middle move to the front.
pub(super) fn is_instruction(message: &ChatMessage) -> bool {
    matches!(message.role, ChatRole::System | ChatRole::Developer)
}

/// The arguments of a call as an object. Arguments cut off at the output limit are kept as text: the
/// conversation goes on, and the model sees its own mistake.
pub(super) fn arguments(call: &ToolCall) -> Value {
    let text = call.function.arguments.trim();
    if text.is_empty() {
        return json!({});
    }
    match exact_integers::value_of(text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({ "arguments": text }),
    }
}

/// The function answered by a tool's message: the latest earlier call with that id.
pub(super) fn called_function<'a>(
    before: &'a [ChatMessage],
    answer: &ChatMessage,
) -> Result<&'a str, VendorFailure> {
    let id = answer.tool_call_id.as_deref().unwrap_or_default();
    let calls = before.iter().rev().flat_map(|message| message.tool_calls.iter());
    calls.into_iter().find(|call| call.id == id).map(|call| call.function.name.as_str()).ok_or_else(|| {
        VendorFailure::faulty(format!(
            "a tool message answers the call {id:?}, but no earlier message made that call"
        ))
    })
}

/// One part of a message, of the kinds known to vendors unlike OpenAI.
pub(super) enum MessagePart<'a> {
    /// The text, and the members beside it.
    Text(&'a str, Option<&'a Map<String, Value>>),
    /// Media type and base64.
    Data(&'a str, &'a str),
    /// An image by URL.
    Link(&'a str),
    /// Format (`wav`, `mp3`) and base64.
    Audio(&'a str, &'a str),
}

/// The non-empty parts of a message; a refusal counts as text.
pub(super) fn pieces(vendor: Vendor, message: &ChatMessage) -> Result<Vec<MessagePart<'_>>, VendorFailure> {
    let pieces = match (&message.content, &message.refusal) {
        (Some(ChatContent::Text(text)), _) | (None, Some(text)) => vec![MessagePart::Text(text, None)],
        (Some(ChatContent::Parts(parts)), _) => {
            parts.iter().map(|part| piece(vendor, part)).collect::<Result<_, _>>()?
        }
        (None, None) => Vec::new(),
    };
    Ok(pieces.into_iter().filter(|piece| !matches!(piece, MessagePart::Text("", _))).collect())
}

fn piece(vendor: Vendor, part: &ContentPart) -> Result<MessagePart<'_>, VendorFailure> {
    match part {
        ContentPart::Known(KnownPart::Text { text, extra }) => Ok(MessagePart::Text(text, Some(extra))),
        ContentPart::Known(KnownPart::ImageUrl { image_url }) => picture(&image_url.url),
        ContentPart::Other(other) => {
            let text = |path: &str| other.pointer(path).and_then(Value::as_str);
            match (text("/input_audio/format"), text("/input_audio/data")) {
                (Some(format), Some(data)) => Ok(MessagePart::Audio(format, data)),
                _ => {
                    let kind = text("/type").unwrap_or("unknown");
                    Err(VendorFailure::unsupported(
                        vendor,
                        &format!("does not support parts of type {kind:?} here"),
                    ))
                }
            }
        }
    }
}

fn picture(url: &str) -> Result<MessagePart<'_>, VendorFailure> {
    if let Some(rest) = url.strip_prefix("data:") {
        let parts = rest.split_once(',').and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
        let (media_type, data) = parts.ok_or_else(|| {
            VendorFailure::faulty("an image's data URL must look like data:image/png;base64,…")
        })?;
        return Ok(MessagePart::Data(media_type, data));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(MessagePart::Link(url));
    }
    Err(VendorFailure::faulty("an image must be a data URL or an https URL"))
}

/// An answer in progress: the fields shared by all its chunks.
#[derive(Debug, Clone, Default)]
pub(super) struct ChunkHead {
    pub(super) id: String,
    pub(super) asked: AnswerDefaults,
}

impl ChunkHead {
    /// The vendor's own name of the model, if given.
    pub(super) fn model(&mut self, model: String) {
        if !model.is_empty() {
            self.asked.model = model;
        }
    }

    /// A chunk with this delta of choice `index`.
    pub(super) fn chunk(&self, index: u32, delta: ChatDelta, finish_reason: Option<&str>) -> ChatChunk {
        let finish_reason = finish_reason.map(str::to_owned);
        self.bare_chunk(vec![ChunkChoice { index, delta, finish_reason, extra: Map::new() }])
    }

    /// The last chunk, which carries the usage alone.
    pub(super) fn usage_chunk(&self, usage: TokenUsage) -> ChatChunk {
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

    pub(super) fn completion(self, choices: Vec<ChatChoice>, usage: Option<TokenUsage>) -> Completion {
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

/// The first chunk's delta: the role.
pub(super) fn role() -> ChatDelta {
    ChatDelta { role: Some(ChatRole::Assistant), content: Some(String::new()), ..ChatDelta::default() }
}

pub(super) fn text(text: &str) -> ChatDelta {
    ChatDelta { content: Some(text.to_owned()), ..ChatDelta::default() }
}

/// More reasoning, under the name that clients of reasoning models know.
pub(super) fn reasoning(text: &str) -> ChatDelta {
    let extra = Map::from_iter([("reasoning_content".to_owned(), text.into())]);
    ChatDelta { extra, ..ChatDelta::default() }
}

/// A tool call's name, or more of its arguments.
pub(super) fn call(index: u32, named: Option<(String, String)>, arguments: String) -> ChatDelta {
    let (id, name) = named.unzip();
    let kind = id.is_some().then(|| "function".to_owned());
    let function = Some(FunctionDelta { name, arguments: Some(arguments) });
    ChatDelta {
        tool_calls: vec![ToolCallDelta { index, id, kind, function, extra_content: None }],
        ..ChatDelta::default()
    }
}

/// The assembled assistant message.
#[derive(Debug, Default)]
pub(super) struct AssistantMessage {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) extra: Map<String, Value>,
}

impl AssistantMessage {
    pub(super) fn call(&mut self, id: String, name: String, arguments: &Value) {
        let function = FunctionCall { name, arguments: exact_integers::text_of(arguments) };
        self.calls.push(ToolCall::of_function(id, function));
    }

    /// The choice; a message that only calls tools has no content.
    pub(super) fn choice(mut self, index: u32, finish_reason: &str) -> ChatChoice {
        if !self.reasoning.is_empty() {
            self.extra.insert("reasoning_content".to_owned(), self.reasoning.into());
        }
        let content =
            (!self.text.is_empty() || self.calls.is_empty()).then_some(ChatContent::Text(self.text));
        let message = ChatMessage {
            role: ChatRole::Assistant,
            content,
            tool_calls: self.calls,
            tool_call_id: None,
            refusal: None,
            extra: self.extra,
        };
        ChatChoice { index, message, finish_reason: Some(finish_reason.to_owned()), extra: Map::new() }
    }
}
