//! Requests in Ollama's form, converted to the canonical form.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chat::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, ContentPart, FunctionCall, ImageUrl,
    KnownPart, ToolCall,
};
use crate::inbound::{ApiProblem, anthropic::REASONING, tools};

/// First bytes, as base 64 writes them, of the picture formats that models read.
const PICTURES: [(&str, &str); 4] =
    [("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lGO", "image/gif"), ("UklGR", "image/webp")];

/// The body of `POST /generate` and `POST /api/generate`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GenerateCall {
    #[serde(default)]
    model: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    images: Option<Vec<String>>,
    #[serde(flatten)]
    common: OllamaCommon,
}

/// The body of `POST /api/chat`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ChatCall {
    #[serde(default)]
    model: String,
    #[serde(default)]
    messages: Vec<OllamaMessage>,
    #[serde(default)]
    tools: Option<Vec<ChatTool>>,
    #[serde(flatten)]
    common: OllamaCommon,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct OllamaCommon {
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    format: Option<Value>,
    #[serde(default)]
    options: Option<Map<String, Value>>,
    #[serde(default)]
    think: Option<Value>,
    #[serde(default)]
    keep_alive: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct OllamaMessage {
    role: ChatRole,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    images: Option<Vec<String>>,
    #[serde(default)]
    tool_calls: Option<Vec<OllamaToolCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct OllamaToolCall {
    #[serde(default)]
    id: Option<String>,
    function: OllamaFunction,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct OllamaFunction {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl GenerateCall {
    /// The canonical form; `stream` is the default.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_chat(self, stream: bool) -> Result<ChatRequest, ApiProblem> {
        if self.suffix.is_some_and(|suffix| !suffix.is_empty()) {
            return Err(ApiProblem::invalid("suffix", "fill-in-the-middle is not supported; omit `suffix`"));
        }
        let system = self.system.filter(|text| !text.is_empty());
        let mut messages: Vec<ChatMessage> =
            system.map(|text| ChatMessage::text(ChatRole::System, text)).into_iter().collect();
        messages.push(ChatMessage {
            content: Some(content(self.prompt, self.images.unwrap_or_default())),
            ..ChatMessage::text(ChatRole::User, "")
        });
        let request = ChatRequest { model: self.model, messages, ..ChatRequest::default() };
        Ok(self.common.put_into(request, stream))
    }
}

impl ChatCall {
    /// The canonical form; `stream` is the default.
    #[must_use]
    pub fn into_chat(self, stream: bool) -> ChatRequest {
        let mut ids = OllamaCallIds::default();
        let messages = self.messages.into_iter().map(|message| message.canonical(&mut ids)).collect();
        let tools = self.tools.unwrap_or_default();
        self.common
            .put_into(ChatRequest { model: self.model, messages, tools, ..ChatRequest::default() }, stream)
    }
}

/// Ollama's tool results name no call: they follow the order of the calls.
#[derive(Default)]
struct OllamaCallIds {
    made: usize,
    unanswered: std::collections::VecDeque<String>,
}

impl OllamaMessage {
    fn canonical(self, ids: &mut OllamaCallIds) -> ChatMessage {
        let mut message = ChatMessage::text(self.role, "");
        for call in self.tool_calls.unwrap_or_default() {
            ids.made += 1;
            let id = call.id.unwrap_or_else(|| format!("call_{}", ids.made));
            ids.unanswered.push_back(id.clone());
            let arguments = tools::to_text(&call.function.arguments);
            let function = FunctionCall { name: call.function.name, arguments };
            message.tool_calls.push(ToolCall::of_function(id, function));
        }
        if self.role == ChatRole::Tool {
            let next = ids.unanswered.pop_front();
            message.tool_call_id = self.tool_call_id.or(next);
        }
        if let Some(thought) = self.thinking.filter(|thought| !thought.is_empty()) {
            message.extra.insert(REASONING.to_owned(), json!(thought));
        }
        message.content = Some(content(self.content.unwrap_or_default(), self.images.unwrap_or_default()));
        message
    }
}

fn content(text: String, images: Vec<String>) -> ChatContent {
    if images.is_empty() {
        return ChatContent::Text(text);
    }
    let mut parts = Vec::with_capacity(images.len() + 1);
    if !text.is_empty() {
        parts.push(ContentPart::Known(KnownPart::Text { text, extra: Map::new() }));
    }
    parts.extend(images.into_iter().map(|data| {
        let kind = PICTURES.iter().find(|(begin, _)| data.starts_with(begin)).map_or("image/png", |p| p.1);
        let url = if data.starts_with("data:") { data } else { format!("data:{kind};base64,{data}") };
        ContentPart::Known(KnownPart::ImageUrl { image_url: ImageUrl { url, detail: None } })
    }));
    ChatContent::Parts(parts)
}

impl OllamaCommon {
    fn put_into(self, mut request: ChatRequest, stream: bool) -> ChatRequest {
        let mut options = self.options.unwrap_or_default();
        request.stream = self.stream.unwrap_or(stream);
        request.temperature = options.remove("temperature").and_then(|value| value.as_f64());
        request.top_p = options.remove("top_p").and_then(|value| value.as_f64());
        // A negative number means "unlimited" in Ollama; PAS applies its own limit.
        request.max_tokens = options.remove("num_predict").and_then(|value| value.as_u64());
        request.stop = options.remove("stop").filter(|value| !value.is_null());
        if let Some(seed) = options.remove("seed") {
            request.extra.insert("seed".to_owned(), seed);
        }
        request.response_format = self.format.and_then(response_format);
        let own = [
            ("options", (!options.is_empty()).then_some(Value::Object(options))),
            ("keep_alive", self.keep_alive.filter(|value| !value.is_null())),
        ];
        request.extra.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        request.reasoning_effort = self.think.as_ref().and_then(Value::as_str).map(str::to_owned);
        if let Some(Value::Bool(think)) = self.think {
            request.extra.insert("think".to_owned(), json!(think));
        }
        request
    }
}

/// `"json"`, or a JSON Schema; an empty text is none.
fn response_format(format: Value) -> Option<Value> {
    match format {
        Value::String(word) if word == "json" => Some(json!({ "type": "json_object" })),
        Value::Object(schema) => Some(json!({
            "type": "json_schema", "json_schema": { "name": "output", "schema": schema },
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_with_its_options_becomes_a_chat() {
        let call: GenerateCall = serde_json::from_value(json!({
            "model": "llama3.1:8b", "prompt": "Why?", "system": "Be short.", "format": "json",
            "images": ["iVBORw0KGgo="], "stream": true, "keep_alive": "5m",
            "options": {"temperature": 0.2, "num_predict": 64, "seed": 7, "top_k": 40, "repeat_penalty": 1.1},
        }))
        .unwrap();
        let chat = call.into_chat(false).unwrap();
        assert!(chat.stream);
        assert_eq!((chat.temperature, chat.max_tokens), (Some(0.2), Some(64)));
        let canonical = serde_json::to_value(&chat).unwrap();
        assert_eq!(canonical["messages"][0]["content"], "Be short.");
        assert_eq!(
            canonical["messages"][1]["content"][1]["image_url"]["url"],
            "data:image/png;base64,iVBORw0KGgo="
        );
        assert_eq!(canonical["response_format"]["type"], "json_object");
        assert_eq!((&canonical["seed"], &canonical["keep_alive"]), (&json!(7), &json!("5m")));
        assert_eq!(canonical["options"], json!({"top_k": 40, "repeat_penalty": 1.1}));
    }

    #[test]
    fn results_of_tools_find_their_calls_by_order() {
        let call: ChatCall = serde_json::from_value(json!({
            "model": "m", "messages": [
                {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "w", "arguments": {"city": "Bern"}}},
                    {"function": {"name": "w", "arguments": {"city": "Basel"}}}]},
                {"role": "tool", "content": "sun", "tool_name": "w"},
                {"role": "tool", "content": "rain", "tool_name": "w"},
            ],
        }))
        .unwrap();
        let chat = call.into_chat(true);
        assert!(chat.stream);
        let calls = &chat.messages[1].tool_calls;
        assert_eq!(calls[1].function.arguments, r#"{"city":"Basel"}"#);
        assert_eq!(chat.messages[2].tool_call_id.as_deref(), Some(calls[0].id.as_str()));
        assert_eq!(chat.messages[3].tool_call_id.as_deref(), Some(calls[1].id.as_str()));
    }

    #[test]
    fn a_negative_limit_is_none() {
        let call: GenerateCall =
            serde_json::from_value(json!({"prompt": "x", "options": {"num_predict": -1}})).unwrap();
        assert_eq!(call.into_chat(false).unwrap().max_tokens, None);
    }
}
