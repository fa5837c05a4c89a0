//! The turns of a conversation in Gemini's form.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::proto;
use crate::chat::{
    ChatContent, ChatMessage, ChatRole, ContentPart, FunctionCall, ImageUrl, KnownPart, ToolCall,
    null_as_default,
};
use crate::gemini::{EXTRA, signed};
use crate::inbound::{ApiProblem, tools};

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GenerateContent {
    Turn(GenerateTurn),
    /// Google's own clients write an instruction as a text.
    Text(String),
}

/// The parts of a turn, and whose it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct GenerateTurn {
    #[serde(default)]
    role: Option<String>,
    #[serde(default, deserialize_with = "proto::list")]
    parts: Vec<GeneratePart>,
}

impl<'de> Deserialize<'de> for GenerateContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// Reads a turn by hand, so that an error names its member.
struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = GenerateContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `role` and `parts`")
    }

    fn visit_map<A: MapAccess<'de>>(self, turn: A) -> Result<GenerateContent, A::Error> {
        GenerateTurn::deserialize(MapAccessDeserializer::new(turn)).map(GenerateContent::Turn)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<GenerateContent, E> {
        Ok(GenerateContent::Text(text.to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeneratePart {
    #[serde(default)]
    text: Option<String>,
    /// Whether the text is thought rather than answer.
    #[serde(default, deserialize_with = "null_as_default")]
    thought: bool,
    #[serde(default, alias = "thought_signature")]
    thought_signature: Option<String>,
    #[serde(default, alias = "inline_data")]
    inline_data: Option<GenerateBlob>,
    #[serde(default, alias = "file_data")]
    file_data: Option<GenerateFile>,
    #[serde(default, alias = "function_call")]
    function_call: Option<GenerateFunctionCall>,
    #[serde(default, alias = "function_response")]
    function_response: Option<GenerateResult>,
    #[serde(default, alias = "executable_code")]
    executable_code: Option<Value>,
    #[serde(default, alias = "code_execution_result")]
    code_execution_result: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateBlob {
    #[serde(alias = "mime_type")]
    mime_type: String,
    data: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerateFile {
    #[serde(default, alias = "mime_type")]
    mime_type: Option<String>,
    #[serde(alias = "file_uri")]
    file_uri: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct GenerateFunctionCall {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Value,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct GenerateResult {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    response: Value,
}

impl GenerateContent {
    /// The texts of an instruction, or of what is embedded.
    pub(super) fn into_text(self, place: &str) -> Result<String, ApiProblem> {
        let parts = match self {
            Self::Text(text) => return Ok(text),
            Self::Turn(turn) => turn.parts,
        };
        let other = || ApiProblem::invalid(place, format!("{place}: only text is taken here"));
        let texts: Option<Vec<String>> = parts.into_iter().map(|part| part.text).collect();
        texts.map(|texts| texts.join("\n")).ok_or_else(other)
    }
}

/// Appends the turns of a conversation; knows which calls still wait for their results.
pub(super) struct GenerateTurns<'m> {
    messages: &'m mut Vec<ChatMessage>,
    /// Id and function, oldest first.
    open: Vec<(String, String)>,
    calls: usize,
}

impl<'m> GenerateTurns<'m> {
    pub(super) const fn new(messages: &'m mut Vec<ChatMessage>) -> Self {
        Self { messages, open: Vec::new(), calls: 0 }
    }

    pub(super) fn add(&mut self, contents: Vec<GenerateContent>) -> Result<(), ApiProblem> {
        for (number, content) in contents.into_iter().enumerate() {
            let place = format!("contents[{number}]");
            match content {
                GenerateContent::Text(text) => self.messages.push(ChatMessage::text(ChatRole::User, text)),
                GenerateContent::Turn(GenerateTurn { role, parts }) => match role.as_deref() {
                    None | Some("user" | "function") => self.user(parts, &place)?,
                    Some("model") => self.model(parts, &place)?,
                    Some(_) => {
                        let why = format!("{place}.role: user or model");
                        return Err(ApiProblem::invalid(format!("{place}.role"), why));
                    }
                },
            }
        }
        Ok(())
    }

    /// A turn of the user: results of calls first, as every other vendor wants them.
    fn user(&mut self, parts: Vec<GeneratePart>, place: &str) -> Result<(), ApiProblem> {
        let mut said = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            match part.function_response {
                Some(result) => self.result(result),
                None => said.push(part.canonical(&format!("{place}.parts[{number}]"))?),
            }
        }
        let content = joined(said);
        if content.is_some() {
            self.messages.push(ChatMessage { content, ..ChatMessage::text(ChatRole::User, "") });
        }
        Ok(())
    }

    fn result(&mut self, result: GenerateResult) {
        let is_meant = |(id, name): &(String, String)| match &result.id {
            Some(given) => given == id,
            None => *name == result.name,
        };
        let found = self.open.iter().position(is_meant).map(|at| self.open.remove(at).0);
        let id = found.or(result.id).unwrap_or_else(|| result.name.clone());
        let text = tools::to_text(&result.response);
        let message = ChatMessage::text(ChatRole::Tool, text);
        self.messages.push(ChatMessage { tool_call_id: Some(id), ..message });
    }

    /// A turn of the model, without its thoughts: no other vendor takes them back.
    fn model(&mut self, parts: Vec<GeneratePart>, place: &str) -> Result<(), ApiProblem> {
        let mut turn = ChatMessage { content: None, ..ChatMessage::text(ChatRole::Assistant, "") };
        let mut said = Vec::new();
        for (number, mut part) in parts.into_iter().enumerate() {
            let extra = part.thought_signature.take().map(|signature| signed(&signature));
            if let Some(call) = part.function_call.take() {
                let call = self.call(call);
                turn.tool_calls.push(ToolCall { extra_content: extra, ..call });
            } else if !part.thought {
                turn.extra.extend(extra.map(|extra| (EXTRA.to_owned(), extra)));
                said.push(part.canonical(&format!("{place}.parts[{number}]"))?);
            }
        }
        turn.content = joined(said);
        if turn.content.is_some() || !turn.tool_calls.is_empty() {
            self.messages.push(turn);
        }
        Ok(())
    }

    fn call(&mut self, call: GenerateFunctionCall) -> ToolCall {
        let id = call.id.unwrap_or_else(|| format!("call_{}", self.calls));
        self.calls += 1;
        self.open.push((id.clone(), call.name.clone()));
        let arguments = tools::to_text(&call.args);
        ToolCall::of_function(id, FunctionCall { name: call.name, arguments })
    }
}

impl GeneratePart {
    /// Text, a picture, sound or a file; code that ran at Gemini is refused.
    fn canonical(self, place: &str) -> Result<ContentPart, ApiProblem> {
        if let Some(text) = self.text {
            return Ok(ContentPart::Known(KnownPart::Text { text, extra: Map::new() }));
        }
        if let Some(GenerateBlob { mime_type, data }) = self.inline_data {
            return Ok(blob(&mime_type, &data));
        }
        let is_picture = |file: &GenerateFile| {
            let kind = file.mime_type.as_deref();
            kind.is_some_and(|kind| kind.starts_with("image/")) && file.file_uri.starts_with("http")
        };
        match self.file_data {
            Some(file) if is_picture(&file) => Ok(picture(file.file_uri)),
            _ => {
                let why = format!("{place}: only text, data, calls and their results are taken here");
                Err(ApiProblem::invalid(place, why))
            }
        }
    }
}

fn picture(url: String) -> ContentPart {
    ContentPart::Known(KnownPart::ImageUrl { image_url: ImageUrl { url, detail: None } })
}

/// Data by its kind, as OpenAI's chats have it.
fn blob(mime_type: &str, data: &str) -> ContentPart {
    let url = format!("data:{mime_type};base64,{data}");
    match mime_type.split_once('/') {
        Some(("image", _)) => picture(url),
        Some(("audio", format)) => ContentPart::Other(serde_json::json!({
            "type": "input_audio", "input_audio": { "format": format, "data": data },
        })),
        _ => ContentPart::Other(serde_json::json!({
            "type": "file", "file": { "filename": "file", "file_data": url },
        })),
    }
}

/// Parts as content: one plain text stays a text, which every vendor takes.
fn joined(mut parts: Vec<ContentPart>) -> Option<ChatContent> {
    if let [ContentPart::Known(KnownPart::Text { text, .. })] = parts.as_mut_slice() {
        return Some(ChatContent::Text(std::mem::take(text)));
    }
    (!parts.is_empty()).then_some(ChatContent::Parts(parts))
}
