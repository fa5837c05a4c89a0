//! The canonical chat form: OpenAI's chat completions, request, response and stream chunk.
//!
//! Fields that PAS does not look at are kept in `extra` and passed on as they came, so that a client of
//! an OpenAI-like vendor loses nothing on the way.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::domain::usage::Usage;

/// A request for a chat completion (`POST /v1/chat/completions`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatRequest {
    /// A model, `provider/model`, or `auto[:cost|:latency|:balanced]`; empty: the port's own.
    #[serde(default)]
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Whether the answer is wanted as a stream of [`ChatChunk`]s.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// What the stream shall contain beside the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Most output tokens; the older name of `max_completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most output tokens, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// Randomness, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts that end the answer: one, or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Value>,
    /// Functions the model may call.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// `none`, `auto`, `required`, or one function by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Whether several functions may be called at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Plain text, `json_object`, or `json_schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// How much to think: `minimal`, `low`, `medium`, `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// The most output tokens that were asked for, whichever name was used.
    #[must_use]
    pub fn output_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

/// Options of a stream.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Whether the last chunk shall carry the usage.
    #[serde(default)]
    pub include_usage: bool,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions; the older name of `developer`.
    System,
    /// Instructions.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; `None` where an assistant only calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Calls of tools by the assistant.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The assistant's refusal to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        let content = Some(Content::Text(text.into()));
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None, refusal: None, extra: Map::new() }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, images and others, in order.
    Parts(Vec<Part>),
}

impl Content {
    /// All its text, parts joined by nothing.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Known(KnownPart::Text { text, .. }) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
        }
    }
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// A kind that PAS maps between vendors.
    Known(KnownPart),
    /// Any other kind, as it came; only OpenAI-like vendors take it.
    Other(Value),
}

/// A part that every dialect with the feature understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KnownPart {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Everything else (Anthropic's `cache_control`, say).
        #[serde(flatten)]
        extra: Map<String, Value>,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// `https://…`, or `data:<media type>;base64,<data>`.
    pub url: String,
    /// `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    pub function: Function,
    /// Where the prompt's cached part ends (Anthropic alone takes it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Value>,
}

/// A function the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// When to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must keep to the schema exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call, for its answer.
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default = "function_kind")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// The function and arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// JSON text, as the model wrote it.
    pub arguments: String,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The vendor's id of the answer.
    #[serde(default, deserialize_with = "null_as_default")]
    pub id: String,
    /// `chat.completion`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub object: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: i64,
    /// The model that answered.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// The answers; nearly always one.
    pub choices: Vec<Choice>,
    /// What it used, in OpenAI's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageReport>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its number.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// What the model said.
    pub message: Message,
    /// `stop`, `length`, `tool_calls`, `content_filter`.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The vendor's id of the answer, the same in all its chunks.
    #[serde(default, deserialize_with = "null_as_default")]
    pub id: String,
    /// `chat.completion.chunk`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub object: String,
    /// Unix seconds.
    #[serde(default, deserialize_with = "null_as_default")]
    pub created: i64,
    /// The model that answers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub model: String,
    /// What is new; empty in the chunk that carries the usage.
    pub choices: Vec<ChunkChoice>,
    /// What the call used: in the last chunk, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageReport>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is new in one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which answer.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// What is new.
    #[serde(default, deserialize_with = "null_as_default")]
    pub delta: Delta,
    /// Why the answer ended, in its last chunk.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The new part of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// In the first chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of the tool calls, by their index.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// More of one tool call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which call of the message.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index: u32,
    /// In the first delta of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, in the first delta of the call.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name (first) and arguments (bit by bit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionDelta>,
}

/// More of a function's name or arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FunctionDelta {
    /// In the first delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// Usage in OpenAI's form: cached tokens are part of `prompt_tokens`, reasoning of `completion_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageReport {
    /// All input tokens.
    #[serde(default, deserialize_with = "null_as_default")]
    pub prompt_tokens: u64,
    /// All output tokens.
    #[serde(default, deserialize_with = "null_as_default")]
    pub completion_tokens: u64,
    /// Their sum.
    #[serde(default, deserialize_with = "null_as_default")]
    pub total_tokens: u64,
    /// Classes of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptDetails>,
    /// Classes of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionDetails>,
}

/// Classes of input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromptDetails {
    /// Read from the vendor's cache.
    #[serde(default, deserialize_with = "null_as_default")]
    pub cached_tokens: u64,
    /// Audio.
    #[serde(default, deserialize_with = "null_as_default")]
    pub audio_tokens: u64,
}

/// Classes of output tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompletionDetails {
    /// Spent on reasoning.
    #[serde(default, deserialize_with = "null_as_default")]
    pub reasoning_tokens: u64,
}

impl UsageReport {
    /// The same in disjoint classes. Reasoning that a vendor counted beside its output (the total tells)
    /// becomes part of it.
    #[must_use]
    pub fn to_usage(&self) -> Usage {
        let details = self.prompt_tokens_details.unwrap_or_default();
        let cache_read = details.cached_tokens.min(self.prompt_tokens);
        let audio_input = details.audio_tokens.min(self.prompt_tokens - cache_read);
        let reasoning = self.completion_tokens_details.unwrap_or_default().reasoning_tokens;
        let both = self.completion_tokens.saturating_add(reasoning);
        let counted_beside = self.total_tokens == self.prompt_tokens.saturating_add(both);
        let output = if counted_beside { both } else { self.completion_tokens.max(reasoning) };
        let input = self.prompt_tokens - cache_read - audio_input;
        Usage { input, cache_read, audio_input, output, reasoning, ..Usage::default() }
    }
}

impl From<Usage> for UsageReport {
    fn from(usage: Usage) -> Self {
        let (cached_tokens, audio_tokens) = (usage.cache_read, usage.audio_input);
        let input = PromptDetails { cached_tokens, audio_tokens };
        let output = CompletionDetails { reasoning_tokens: usage.reasoning };
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: (input != PromptDetails::default()).then_some(input),
            completion_tokens_details: (output != CompletionDetails::default()).then_some(output),
        }
    }
}

impl ChatChunk {
    /// The chunk as a client may see it that asked for the usage or not: without it, nothing is left of
    /// the chunk that only carries it.
    #[must_use]
    pub fn for_client(mut self, include_usage: bool) -> Option<Self> {
        if include_usage || self.usage.is_none() {
            return Some(self);
        }
        self.usage = None;
        (!self.choices.is_empty()).then_some(self)
    }
}

/// SDKs write fields that are not set as `null`; for us both is the default.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn function_kind() -> String {
    "function".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(report: Value) -> Usage {
        serde_json::from_value::<UsageReport>(report).unwrap().to_usage()
    }

    #[test]
    fn cached_audio_and_reasoning_tokens_are_counted_once() {
        let report = json!({
            "prompt_tokens": 1_000, "completion_tokens": 300, "total_tokens": 1_300,
            "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": null},
        });
        let found = usage(report);
        let wanted = Usage {
            input: 300,
            cache_read: 600,
            audio_input: 100,
            output: 300,
            reasoning: 200,
            ..Usage::default()
        };
        assert_eq!(found, wanted);
        assert_eq!(UsageReport::from(found).to_usage(), found);
    }

    #[test]
    fn reasoning_counted_beside_the_output_is_not_free() {
        let report = json!({
            "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        });
        assert_eq!(usage(report), Usage { input: 32, output: 103, reasoning: 94, ..Usage::default() });
    }

    #[test]
    fn details_larger_than_their_sum_make_no_negative_class() {
        let report =
            json!({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9, "audio_tokens": 9}});
        assert_eq!(usage(report), Usage { cache_read: 5, ..Usage::default() });
    }

    #[test]
    fn nulls_of_sdks_are_defaults() {
        let message: Message =
            serde_json::from_value(json!({"role": "assistant", "content": "a", "tool_calls": null})).unwrap();
        assert_eq!(message, Message::text(Role::Assistant, "a"));
    }

    #[test]
    fn only_a_client_that_asked_sees_the_usage() {
        let chunk = |choices: Value| -> ChatChunk {
            serde_json::from_value(json!({"choices": choices, "usage": {"prompt_tokens": 1}})).unwrap()
        };
        assert_eq!(chunk(json!([])).for_client(false), None);
        assert_eq!(chunk(json!([{"delta": {}}])).for_client(false).unwrap().usage, None);
        assert!(chunk(json!([])).for_client(true).unwrap().usage.is_some());
    }
}
