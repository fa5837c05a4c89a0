//! A request in Anthropic's form, converted to the canonical form.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{CACHE_CONTROL, THINKING_BLOCKS};
use crate::chat::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, ContentPart, FunctionCall, ImageUrl,
    KnownPart, ToolFunction,
};
use crate::inbound::{ApiProblem, tools};

/// Up to this many tokens of thought are called little, and up to the next a medium amount.
const LOW_EFFORT: u64 = 4_096;
/// See [`LOW_EFFORT`].
const MEDIUM_EFFORT: u64 = 16_384;

/// The body of `POST /v1/messages`; for `count_tokens` without `max_tokens`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MessagesRequest {
    model: String,
    messages: Vec<MessagesTurn>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    system: Option<MessagesContent>,
    #[serde(default)]
    tools: Vec<ToolSpec>,
    #[serde(default)]
    tool_choice: Option<MessagesToolChoice>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    top_k: Option<u64>,
    #[serde(default)]
    stop_sequences: Vec<String>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    thinking: Option<Value>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default, alias = "output_config")]
    output_format: Option<Value>,
    #[serde(default)]
    mcp_servers: Option<Value>,
    #[serde(default)]
    container: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct MessagesTurn {
    role: TurnRole,
    content: MessagesContent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TurnRole {
    User,
    Assistant,
    System,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text or a list of blocks is required")]
enum MessagesContent {
    Text(String),
    List(Vec<Value>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessagesBlock {
    Text {
        text: String,
        #[serde(default)]
        cache_control: Option<Value>,
    },
    Image {
        source: ImageSource,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Option<MessagesContent>,
        #[serde(default)]
        is_error: bool,
    },
    Thinking {},
    RedactedThinking {},
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ImageSource {
    Base64 { media_type: String, data: String },
    Url { url: String },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct ToolSpec {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
    #[serde(default)]
    cache_control: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct MessagesToolChoice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: bool,
}

impl MessagesRequest {
    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The canonical form of a request for a message.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_chat(self) -> Result<ChatRequest, ApiProblem> {
        if self.max_tokens.is_none_or(|tokens| tokens == 0) {
            return Err(ApiProblem::invalid("max_tokens", "max_tokens: at least 1 is required"));
        }
        for (name, value) in [("mcp_servers", &self.mcp_servers), ("container", &self.container)] {
            let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !value.as_ref().is_none_or(is_empty) {
                return Err(ApiProblem::invalid(
                    name,
                    format!("{name}: only models of Anthropic have these"),
                ));
            }
        }
        self.into_counted()
    }

    /// The canonical form of a request whose tokens are only counted.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_counted(self) -> Result<ChatRequest, ApiProblem> {
        if self.messages.is_empty() {
            return Err(ApiProblem::invalid("messages", "messages: at least one message is required"));
        }
        let mut messages = Vec::with_capacity(self.messages.len() + 1);
        if let Some(system) = self.system {
            let content = plain(system, "system")?;
            messages.push(ChatMessage { content: Some(content), ..ChatMessage::text(ChatRole::System, "") });
        }
        for (number, turn) in self.messages.into_iter().enumerate() {
            turn.add_to(&mut messages, &format!("messages.{number}"))?;
        }
        let parallel = self.tool_choice.as_ref().filter(|choice| choice.disable_parallel_tool_use);
        let parallel_tool_calls = parallel.map(|_| false);
        let own = [
            ("top_k", self.top_k.map(Value::from)),
            ("thinking", self.thinking.clone()),
            ("metadata", self.metadata),
        ];
        Ok(ChatRequest {
            model: self.model,
            messages,
            stream: self.stream,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            stop: (!self.stop_sequences.is_empty()).then(|| json!(self.stop_sequences)),
            tools: tool_list(self.tools)?,
            tool_choice: self.tool_choice.map(MessagesToolChoice::canonical).transpose()?,
            parallel_tool_calls,
            response_format: self.output_format.as_ref().and_then(response_format),
            reasoning_effort: effort(self.thinking.as_ref(), self.output_format.as_ref()),
            extra: own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            ..ChatRequest::default()
        })
    }
}

impl MessagesTurn {
    fn add_to(self, messages: &mut Vec<ChatMessage>, place: &str) -> Result<(), ApiProblem> {
        let role = match self.role {
            TurnRole::User => ChatRole::User,
            TurnRole::Assistant => ChatRole::Assistant,
            TurnRole::System => ChatRole::System,
        };
        let blocks = match self.content {
            MessagesContent::Text(text) => {
                messages.push(ChatMessage::text(role, text));
                return Ok(());
            }
            MessagesContent::List(blocks) => blocks,
        };
        let mut turn = ChatMessage { content: None, ..ChatMessage::text(role, "") };
        let (mut parts, mut thought) = (Vec::new(), Vec::new());
        for (number, raw) in blocks.into_iter().enumerate() {
            let place = format!("{place}.content.{number}");
            match block(&raw, &place)? {
                MessagesBlock::ToolUse { id, name, input } => {
                    let function = FunctionCall { name, arguments: tools::to_text(&input) };
                    turn.tool_calls.push(tools::call_of(id, function));
                }
                MessagesBlock::ToolResult { tool_use_id, content, is_error } => {
                    let id = tools::plain_id(tool_use_id);
                    messages.push(tool_result(id, content, is_error, &place)?);
                }
                MessagesBlock::Thinking {} | MessagesBlock::RedactedThinking {} => thought.push(raw),
                said => parts.extend(part(said)),
            }
        }
        turn.content = joined(parts);
        if !thought.is_empty() {
            turn.extra.insert(THINKING_BLOCKS.to_owned(), Value::Array(thought));
        }
        if turn.content.is_some() || !turn.tool_calls.is_empty() || !turn.extra.is_empty() {
            messages.push(turn);
        }
        Ok(())
    }
}

fn block(raw: &Value, place: &str) -> Result<MessagesBlock, ApiProblem> {
    MessagesBlock::deserialize(raw).map_err(|error| {
        let kind = raw["type"].as_str().unwrap_or("(without a type)");
        ApiProblem::invalid(place, format!("{place}: a block of type `{kind}` is not supported: {error}"))
    })
}

fn part(block: MessagesBlock) -> Option<ContentPart> {
    let known = match block {
        MessagesBlock::Text { text, cache_control } => {
            let extra = cache_control.map(|control| (CACHE_CONTROL.to_owned(), control));
            KnownPart::Text { text, extra: Map::from_iter(extra) }
        }
        MessagesBlock::Image { source } => {
            let url = match source {
                ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
                ImageSource::Url { url } => url,
            };
            KnownPart::ImageUrl { image_url: ImageUrl { url, detail: None } }
        }
        _ => return None,
    };
    Some(ContentPart::Known(known))
}

/// Parts as content: one plain text stays a text, which every vendor takes.
fn joined(mut parts: Vec<ContentPart>) -> Option<ChatContent> {
    if let [ContentPart::Known(KnownPart::Text { text, extra })] = parts.as_mut_slice()
        && extra.is_empty()
    {
        return Some(ChatContent::Text(std::mem::take(text)));
    }
    (!parts.is_empty()).then_some(ChatContent::Parts(parts))
}

/// Text and images only: instructions and results of tools.
fn plain(blocks: MessagesContent, place: &str) -> Result<ChatContent, ApiProblem> {
    let blocks = match blocks {
        MessagesContent::Text(text) => return Ok(ChatContent::Text(text)),
        MessagesContent::List(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (number, raw) in blocks.iter().enumerate() {
        let place = format!("{place}.{number}");
        let part = part(block(raw, &place)?);
        let refused = || ApiProblem::invalid(&place, format!("{place}: only text and images are taken here"));
        parts.push(part.ok_or_else(refused)?);
    }
    Ok(joined(parts).unwrap_or_else(|| ChatContent::Text(String::new())))
}

fn tool_result(
    id: String,
    content: Option<MessagesContent>,
    is_error: bool,
    place: &str,
) -> Result<ChatMessage, ApiProblem> {
    let content = content.map(|blocks| plain(blocks, place)).transpose()?;
    let content = Some(content.unwrap_or_else(|| ChatContent::Text(String::new())));
    let extra = is_error.then(|| ("is_error".to_owned(), json!(true)));
    let extra = Map::from_iter(extra);
    Ok(ChatMessage { content, tool_call_id: Some(id), extra, ..ChatMessage::text(ChatRole::Tool, "") })
}

fn tool_list(specs: Vec<ToolSpec>) -> Result<Vec<ChatTool>, ApiProblem> {
    let tool = |(number, spec): (usize, ToolSpec)| match spec.kind.as_deref() {
        None | Some("custom") => Ok(ChatTool {
            kind: "function".to_owned(),
            function: ToolFunction {
                name: spec.name,
                description: spec.description,
                parameters: spec.input_schema,
                strict: spec.strict,
            },
            cache_control: spec.cache_control,
        }),
        Some(kind) => {
            let place = format!("tools.{number}.type");
            let sentence =
                format!("{place}: `{kind}` runs at the vendor and is not served here; use own tools");
            Err(ApiProblem::invalid(place, sentence))
        }
    };
    specs.into_iter().enumerate().map(tool).collect()
}

impl MessagesToolChoice {
    fn canonical(self) -> Result<Value, ApiProblem> {
        match (self.kind.as_str(), self.name) {
            ("auto", _) => Ok(json!("auto")),
            ("any", _) => Ok(json!("required")),
            ("none", _) => Ok(json!("none")),
            ("tool", Some(name)) => Ok(json!({ "type": "function", "function": { "name": name } })),
            _ => {
                Err(ApiProblem::invalid("tool_choice", "tool_choice: auto, any, none, or a tool by its name"))
            }
        }
    }
}

/// `output_format`, or `format` inside `output_config`.
fn response_format(output: &Value) -> Option<Value> {
    let format = output.get("format").unwrap_or(output);
    let schema = format.get("schema")?;
    Some(json!({
        "type": "json_schema",
        "json_schema": { "name": "output", "schema": schema, "strict": true },
    }))
}

fn effort(thinking: Option<&Value>, output: Option<&Value>) -> Option<String> {
    if let Some(effort) = output.and_then(|output| output["effort"].as_str()) {
        return Some(effort.to_owned());
    }
    let thinking = thinking.filter(|thinking| thinking["type"] == "enabled")?;
    let budget = thinking["budget_tokens"].as_u64()?;
    let effort = if budget <= LOW_EFFORT {
        "low"
    } else if budget <= MEDIUM_EFFORT {
        "medium"
    } else {
        "high"
    };
    Some(effort.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::without_own_fields;
    use super::*;

    fn chat(body: Value) -> Result<ChatRequest, ApiProblem> {
        serde_json::from_value::<MessagesRequest>(body).unwrap().into_chat()
    }

    fn conversation() -> Value {
        json!({
            "model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true, "top_k": 5,
            "system": [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}],
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "stop_sequences": ["END"],
            "tools": [{"name": "weather", "description": "now", "input_schema": {"type": "object"},
                "cache_control": {"type": "ephemeral"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Where is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bern"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": true,
                     "content": [{"type": "text", "text": "no"}]},
                    {"type": "text", "text": "And now?"}]},
            ],
        })
    }

    #[test]
    fn a_conversation_with_tools_images_and_thought_keeps_all_of_it() {
        let chat = chat(conversation()).unwrap();
        let roles: Vec<ChatRole> = chat.messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [ChatRole::System, ChatRole::User, ChatRole::Assistant, ChatRole::Tool, ChatRole::User]
        );
        let canonical = serde_json::to_value(&chat).unwrap();
        assert_eq!(canonical["messages"][0]["content"][0]["cache_control"]["type"], "ephemeral");
        assert_eq!(canonical["messages"][1]["content"][1]["image_url"]["url"], "data:image/png;base64,AA==");
        assert_eq!(canonical["messages"][2]["content"], "Let me look.");
        assert_eq!(canonical["messages"][2]["tool_calls"][0]["function"]["arguments"], r#"{"city":"Bern"}"#);
        assert_eq!(canonical["messages"][2]["thinking_blocks"][0]["signature"], "sig");
        assert_eq!(canonical["messages"][3]["tool_call_id"], "t1");
        assert_eq!(canonical["messages"][4]["content"], "And now?");
        assert_eq!(
            (&canonical["tool_choice"], &canonical["parallel_tool_calls"]),
            (&json!("required"), &json!(false))
        );
        assert_eq!(canonical["stop"], json!(["END"]));
        assert_eq!(chat.reasoning_effort.as_deref(), Some("low"));
        assert!(chat.stream && chat.output_limit() == Some(100));
    }

    #[test]
    fn other_vendors_are_not_shown_what_only_anthropic_knows() {
        let mut chat = chat(conversation()).unwrap();
        without_own_fields(&mut chat);
        let canonical = serde_json::to_string(&chat).unwrap();
        for own in ["cache_control", "thinking", "is_error"] {
            assert!(!canonical.contains(own), "{own}: {canonical}");
        }
        assert!(canonical.contains(r#""content":"The tool failed: no""#), "{canonical}");
    }

    #[test]
    fn structured_output_has_two_names() {
        let schema = json!({"type": "object"});
        for field in [
            json!({"output_format": {"type": "json_schema", "schema": schema}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ] {
            let mut body =
                json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
            body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
            assert_eq!(chat(body).unwrap().response_format.unwrap()["json_schema"]["schema"], schema);
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        let base = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
        let with = |name: &str, value: Value| {
            let mut body = base.clone();
            body[name] = value;
            chat(body).unwrap_err().param.unwrap()
        };
        assert_eq!(with("max_tokens", json!(0)), "max_tokens");
        assert_eq!(with("messages", json!([])), "messages");
        assert_eq!(with("tools", json!([{"type": "web_search_20250305", "name": "w"}])), "tools.0.type");
        assert_eq!(with("tool_choice", json!({"type": "tool"})), "tool_choice");
        let video = json!([{"role": "user", "content": [{"type": "video"}]}]);
        assert_eq!(with("messages", video), "messages.0.content.0");
    }
}
