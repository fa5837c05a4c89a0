//! A request in Gemini's form, converted to the canonical form.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::turns::{GenerateContent, GenerateTurns};
use super::{proto, schema};
use crate::chat::{ChatMessage, ChatRequest, ChatRole, ChatTool, ToolFunction, null_as_default};
use crate::inbound::ApiProblem;

/// Up to this many tokens of thought are called little, and up to the next a medium amount.
const LOW_EFFORT: u64 = 4_096;
/// See [`LOW_EFFORT`].
const MEDIUM_EFFORT: u64 = 16_384;

/// The body of `POST …/models/{model}:generateContent`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateRequest {
    #[serde(default, deserialize_with = "proto::list")]
    contents: Vec<GenerateContent>,
    #[serde(default, alias = "system_instruction")]
    system_instruction: Option<GenerateContent>,
    #[serde(default, deserialize_with = "proto::list")]
    tools: Vec<Map<String, Value>>,
    #[serde(default, alias = "tool_config")]
    tool_config: Option<ToolConfig>,
    #[serde(default, alias = "generation_config", deserialize_with = "null_as_default")]
    generation_config: GenerationConfig,
    #[serde(default, alias = "cached_content")]
    cached_content: Option<String>,
    /// Of a question for a count: a whole request in place of its contents.
    #[serde(default, alias = "generate_content_request")]
    generate_content_request: Option<Box<Self>>,
}

/// A function on offer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration {
    name: String,
    #[serde(default)]
    description: Option<String>,
    /// In the API's own form of schemas.
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default, alias = "parameters_json_schema")]
    parameters_json_schema: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig {
    #[serde(default, alias = "function_calling_config")]
    function_calling_config: Option<CallingConfig>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallingConfig {
    #[serde(default)]
    mode: Option<String>,
    #[serde(default, alias = "allowed_function_names", deserialize_with = "proto::list")]
    allowed_function_names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(default, deserialize_with = "proto::number")]
    temperature: Option<f64>,
    #[serde(default, alias = "top_p", deserialize_with = "proto::number")]
    top_p: Option<f64>,
    #[serde(default, alias = "top_k", deserialize_with = "proto::number")]
    top_k: Option<f64>,
    #[serde(default, alias = "max_output_tokens", deserialize_with = "proto::whole")]
    max_output_tokens: Option<u64>,
    #[serde(default, alias = "candidate_count", deserialize_with = "proto::whole")]
    candidate_count: Option<u64>,
    #[serde(default, alias = "stop_sequences", deserialize_with = "proto::list")]
    stop_sequences: Vec<String>,
    #[serde(default, deserialize_with = "proto::whole")]
    seed: Option<i64>,
    #[serde(default, alias = "presence_penalty", deserialize_with = "proto::number")]
    presence_penalty: Option<f64>,
    #[serde(default, alias = "frequency_penalty", deserialize_with = "proto::number")]
    frequency_penalty: Option<f64>,
    #[serde(default, alias = "response_logprobs", deserialize_with = "null_as_default")]
    response_logprobs: bool,
    #[serde(default, deserialize_with = "proto::whole")]
    logprobs: Option<u64>,
    #[serde(default, alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(default, alias = "response_schema")]
    response_schema: Option<Value>,
    #[serde(default, alias = "response_json_schema")]
    response_json_schema: Option<Value>,
    #[serde(default, alias = "response_modalities", deserialize_with = "proto::list")]
    response_modalities: Vec<String>,
    #[serde(default, alias = "speech_config")]
    speech_config: Option<Value>,
    #[serde(default, alias = "image_config")]
    image_config: Option<Value>,
    #[serde(default, alias = "thinking_config")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    /// -1: as much as the model likes.
    #[serde(default, alias = "thinking_budget", deserialize_with = "proto::whole")]
    thinking_budget: Option<i64>,
    #[serde(default, alias = "thinking_level")]
    thinking_level: Option<String>,
}

impl GenerateRequest {
    /// The canonical form of a request whose tokens are counted.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_counted(mut self) -> Result<ChatRequest, ApiProblem> {
        let whole = self.generate_content_request.take();
        whole.map_or(self, |whole| *whole).into_chat()
    }

    /// The canonical form; its model stands in the path.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_chat(self) -> Result<ChatRequest, ApiProblem> {
        if self.contents.is_empty() {
            return Err(ApiProblem::invalid("contents", "contents: at least one message is required"));
        }
        if self.cached_content.is_some() {
            let why = "cachedContent: only models of Gemini have what was cached there";
            return Err(ApiProblem::invalid("cachedContent", why));
        }
        let mut messages = Vec::with_capacity(self.contents.len() + 1);
        if let Some(instruction) = self.system_instruction {
            messages.push(ChatMessage::text(ChatRole::System, instruction.into_text("systemInstruction")?));
        }
        GenerateTurns::new(&mut messages).add(self.contents)?;
        let mut tools = functions(self.tools)?;
        let calling = self.tool_config.and_then(|config| config.function_calling_config);
        let tool_choice = calling.map(|calling| calling.canonical(&mut tools)).transpose()?.flatten();
        let chat = ChatRequest { messages, tools, tool_choice, ..ChatRequest::default() };
        self.generation_config.onto(chat)
    }
}

/// The functions of a list of tools; the API's own tools run at Gemini only.
fn functions(tools: Vec<Map<String, Value>>) -> Result<Vec<ChatTool>, ApiProblem> {
    let mut all = Vec::new();
    for (number, tool) in tools.into_iter().enumerate() {
        for (name, value) in tool {
            let place = format!("tools[{number}].{name}");
            if !["functionDeclarations", "function_declarations"].contains(&name.as_str()) {
                let why = format!("{place}: it runs at Gemini and is not served here; use own functions");
                return Err(ApiProblem::invalid(place, why));
            }
            let read = proto::list::<_, FunctionDeclaration>(value);
            let declared = read.map_err(|error| ApiProblem::invalid(&place, format!("{place}: {error}")))?;
            all.extend(declared.into_iter().map(FunctionDeclaration::canonical));
        }
    }
    Ok(all)
}

impl FunctionDeclaration {
    fn canonical(self) -> ChatTool {
        let own = || self.parameters.as_ref().map(schema::json_schema);
        let parameters = self.parameters_json_schema.clone().or_else(own);
        let Self { name, description, .. } = self;
        let function = ToolFunction { name, description, parameters, strict: None };
        ChatTool { kind: "function".to_owned(), function, cache_control: None }
    }
}

impl CallingConfig {
    /// The choice; where only some functions may be called, the others are not on offer.
    fn canonical(self, tools: &mut Vec<ChatTool>) -> Result<Option<Value>, ApiProblem> {
        let mode = self.mode.as_deref().unwrap_or("AUTO").to_uppercase();
        if !self.allowed_function_names.is_empty() {
            tools.retain(|tool| self.allowed_function_names.contains(&tool.function.name));
        }
        match (mode.as_str(), tools.as_slice()) {
            ("AUTO" | "VALIDATED" | "MODE_UNSPECIFIED", _) => Ok(None),
            ("NONE", _) => Ok(Some(json!("none"))),
            ("ANY", [only]) if !self.allowed_function_names.is_empty() => {
                Ok(Some(json!({ "type": "function", "function": { "name": only.function.name } })))
            }
            ("ANY", _) => Ok(Some(json!("required"))),
            _ => {
                let place = "toolConfig.functionCallingConfig.mode";
                Err(ApiProblem::invalid(place, format!("{place}: AUTO, ANY, NONE or VALIDATED")))
            }
        }
    }
}

impl GenerationConfig {
    /// The request with these settings.
    fn onto(self, chat: ChatRequest) -> Result<ChatRequest, ApiProblem> {
        self.check()?;
        let response_format = self.response_format()?;
        let logprobs = self.response_logprobs.then_some(json!(true));
        let extra = [
            ("top_k", self.top_k.map(|k| json!(k.round() as u64))),
            ("n", self.candidate_count.filter(|n| *n != 1).map(Value::from)),
            ("seed", self.seed.map(Value::from)),
            ("presence_penalty", self.presence_penalty.map(Value::from)),
            ("frequency_penalty", self.frequency_penalty.map(Value::from)),
            ("logprobs", logprobs),
            ("top_logprobs", self.logprobs.map(Value::from)),
        ];
        Ok(ChatRequest {
            max_completion_tokens: self.max_output_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            stop: (!self.stop_sequences.is_empty()).then(|| json!(self.stop_sequences)),
            response_format,
            reasoning_effort: self.thinking_config.and_then(ThinkingConfig::effort),
            extra: extra.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            ..chat
        })
    }

    /// Refuses answers of other kinds than text.
    fn check(&self) -> Result<(), ApiProblem> {
        let speaks = self.speech_config.is_some() || self.image_config.is_some();
        let is_text = |kind: &String| kind.eq_ignore_ascii_case("text");
        if !speaks && self.response_modalities.iter().all(is_text) {
            return Ok(());
        }
        let place = "generationConfig.responseModalities";
        Err(ApiProblem::invalid(place, format!("{place}: models of other vendors answer in text only here")))
    }

    fn response_format(&self) -> Result<Option<Value>, ApiProblem> {
        let own = || self.response_schema.as_ref().map(schema::json_schema);
        let schema = self.response_json_schema.clone().or_else(own);
        match (self.response_mime_type.as_deref(), schema) {
            (None | Some("text/plain"), _) => Ok(None),
            (Some("application/json"), None) => Ok(Some(json!({ "type": "json_object" }))),
            (Some("application/json"), Some(schema)) => Ok(Some(json!({
                "type": "json_schema", "json_schema": { "name": "output", "schema": schema },
            }))),
            (Some(other), _) => {
                let place = "generationConfig.responseMimeType";
                let why =
                    format!("{place}: `{other}` is known to Gemini only; text/plain or application/json");
                Err(ApiProblem::invalid(place, why))
            }
        }
    }
}

impl ThinkingConfig {
    fn effort(self) -> Option<String> {
        if let Some(level) = self.thinking_level {
            return Some(level.to_lowercase());
        }
        let effort = match u64::try_from(self.thinking_budget?).ok()? {
            0 => "none",
            budget if budget <= LOW_EFFORT => "low",
            budget if budget <= MEDIUM_EFFORT => "medium",
            _ => "high",
        };
        Some(effort.to_owned())
    }
}

#[cfg(test)]
mod tests;
