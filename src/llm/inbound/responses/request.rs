//! A request in the form of Responses, converted to the canonical form.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::output::ResponsesEcho;
use crate::chat::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, ContentPart, FunctionCall, ImageUrl,
    KnownPart, ToolFunction,
};
use crate::inbound::{ApiProblem, tools};

/// The body of `POST /v1/responses`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ResponsesRequest {
    model: String,
    input: ResponsesInput,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    text: Option<Value>,
    #[serde(default)]
    reasoning: Option<Value>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    previous_response_id: Option<String>,
    #[serde(default)]
    conversation: Option<Value>,
    #[serde(default)]
    background: Option<bool>,
    #[serde(default)]
    prompt: Option<Value>,
    #[serde(default)]
    top_logprobs: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text or a list of items is required")]
enum ResponsesInput {
    Text(String),
    Items(Vec<Value>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponsesItem {
    Message {
        role: ChatRole,
        content: Value,
    },
    FunctionCall {
        call_id: String,
        name: String,
        arguments: String,
    },
    FunctionCallOutput {
        call_id: String,
        output: Value,
    },
    /// Thought of an earlier answer: no vendor's chat form takes it back.
    Reasoning {},
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputPart {
    #[serde(alias = "output_text", alias = "text")]
    InputText {
        text: String,
    },
    InputImage {
        #[serde(default)]
        image_url: Option<String>,
        #[serde(default)]
        detail: Option<String>,
    },
    Refusal {
        refusal: String,
    },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct FunctionTool {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

impl ResponsesRequest {
    /// The request's fields repeated in the answer.
    #[must_use]
    pub fn echo(&self) -> ResponsesEcho {
        ResponsesEcho {
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            parallel_tool_calls: self.parallel_tool_calls,
            temperature: self.temperature,
            top_p: self.top_p,
            text: self.text.clone(),
            reasoning: self.reasoning.clone(),
            metadata: self.metadata.clone(),
        }
    }

    /// The canonical form.
    ///
    /// # Errors
    /// [`ApiProblem`] naming the unsupported field.
    pub fn into_chat(self) -> Result<ChatRequest, ApiProblem> {
        self.refuse_state()?;
        let mut messages = Vec::new();
        if let Some(instructions) = self.instructions {
            messages.push(ChatMessage::text(ChatRole::System, instructions));
        }
        match self.input {
            ResponsesInput::Text(text) => messages.push(ChatMessage::text(ChatRole::User, text)),
            ResponsesInput::Items(items) => {
                for (number, raw) in items.into_iter().enumerate() {
                    item(raw, number)?.add_to(&mut messages, number)?;
                }
            }
        }
        let tools = self.tools.into_iter().enumerate().map(|(number, raw)| tool(&raw, number));
        Ok(ChatRequest {
            model: self.model,
            messages,
            stream: self.stream,
            max_completion_tokens: self.max_output_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            tools: tools.collect::<Result<_, _>>()?,
            tool_choice: self.tool_choice.map(tool_choice).transpose()?,
            parallel_tool_calls: self.parallel_tool_calls,
            response_format: self.text.as_ref().and_then(|text| response_format(text.get("format")?)),
            reasoning_effort: self.reasoning.and_then(|r| r["effort"].as_str().map(str::to_owned)),
            ..ChatRequest::default()
        })
    }

    fn refuse_state(&self) -> Result<(), ApiProblem> {
        let kept = "PAS keeps no conversations: send the whole input";
        if self.previous_response_id.is_some() {
            return Err(ApiProblem::invalid("previous_response_id", kept));
        }
        if self.conversation.as_ref().is_some_and(|conversation| !conversation.is_null()) {
            return Err(ApiProblem::invalid("conversation", kept));
        }
        if self.prompt.as_ref().is_some_and(|prompt| !prompt.is_null()) {
            return Err(ApiProblem::invalid("prompt", "only OpenAI has your stored prompts: send the input"));
        }
        if self.top_logprobs.is_some_and(|count| count > 0) {
            return Err(ApiProblem::invalid(
                "top_logprobs",
                "`top_logprobs` is not supported for this model",
            ));
        }
        if self.background == Some(true) {
            return Err(ApiProblem::invalid(
                "background",
                "background answers are not supported; use `stream`",
            ));
        }
        Ok(())
    }
}

fn item(mut raw: Value, number: usize) -> Result<ResponsesItem, ApiProblem> {
    if let Some(members) = raw.as_object_mut()
        && members.contains_key("role")
    {
        // The short form of a message leaves its type out.
        members.entry("type").or_insert_with(|| json!("message"));
    }
    let kind = raw["type"].as_str().unwrap_or("(without a type)").to_owned();
    ResponsesItem::deserialize(raw).map_err(|error| {
        let place = format!("input[{number}]");
        ApiProblem::invalid(place, format!("an input item of type `{kind}` is not supported: {error}"))
    })
}

impl ResponsesItem {
    fn add_to(self, messages: &mut Vec<ChatMessage>, number: usize) -> Result<(), ApiProblem> {
        match self {
            Self::Message { role, content } => {
                messages.push(said(role, content, &format!("input[{number}].content"))?);
            }
            Self::FunctionCall { call_id, name, arguments } => {
                let function = FunctionCall { name, arguments };
                let call = tools::call_of(call_id, function);
                // Text and parallel calls of one answer are one message in the canonical form.
                match messages.last_mut() {
                    Some(last) if last.role == ChatRole::Assistant => last.tool_calls.push(call),
                    _ => messages.push(ChatMessage {
                        content: None,
                        tool_calls: vec![call],
                        ..ChatMessage::text(ChatRole::Assistant, "")
                    }),
                }
            }
            Self::FunctionCallOutput { call_id, output } => {
                let message = said(ChatRole::Tool, output, &format!("input[{number}].output"))?;
                messages.push(ChatMessage { tool_call_id: Some(tools::plain_id(call_id)), ..message });
            }
            Self::Reasoning {} => {}
        }
        Ok(())
    }
}

fn said(role: ChatRole, content: Value, place: &str) -> Result<ChatMessage, ApiProblem> {
    let parts = match content {
        Value::String(text) => return Ok(ChatMessage::text(role, text)),
        Value::Array(parts) => parts,
        Value::Null => Vec::new(),
        _ => return Err(ApiProblem::invalid(place, "a text or a list of parts")),
    };
    let mut message = ChatMessage { content: None, ..ChatMessage::text(role, "") };
    let mut kept = Vec::with_capacity(parts.len());
    for (number, raw) in parts.iter().enumerate() {
        let place = format!("{place}[{number}]");
        let refused = |error: &dyn std::fmt::Display| {
            let kind = raw["type"].as_str().unwrap_or("(without a type)");
            ApiProblem::invalid(&place, format!("a part of type `{kind}` is not supported: {error}"))
        };
        match InputPart::deserialize(raw).map_err(|error| refused(&error))? {
            InputPart::InputText { text } => kept.push(KnownPart::Text { text, extra: Map::new() }),
            InputPart::InputImage { image_url, detail } => {
                let url =
                    image_url.ok_or_else(|| refused(&"use an `image_url`; files are not stored here"))?;
                kept.push(KnownPart::ImageUrl { image_url: ImageUrl { url, detail } });
            }
            InputPart::Refusal { refusal } => message.refusal = Some(refusal),
        }
    }
    message.content = content_of(kept);
    Ok(message)
}

/// One text stays a text, which every vendor takes in every role.
fn content_of(mut parts: Vec<KnownPart>) -> Option<ChatContent> {
    match parts.as_mut_slice() {
        [] => None,
        [KnownPart::Text { text, .. }] => Some(ChatContent::Text(std::mem::take(text))),
        _ => Some(ChatContent::Parts(parts.into_iter().map(ContentPart::Known).collect())),
    }
}

fn tool(raw: &Value, number: usize) -> Result<ChatTool, ApiProblem> {
    let place = format!("tools[{number}]");
    let kind = raw["type"].as_str().unwrap_or("(without a type)");
    if kind != "function" {
        let sentence = format!("`{kind}` runs at the vendor and is not served here; use functions");
        return Err(ApiProblem::invalid(format!("{place}.type"), sentence));
    }
    let spec =
        FunctionTool::deserialize(raw).map_err(|error| ApiProblem::invalid(place, error.to_string()))?;
    let FunctionTool { name, description, parameters, strict } = spec;
    let function = ToolFunction { name, description, parameters, strict };
    Ok(ChatTool { kind: "function".to_owned(), function, cache_control: None })
}

fn tool_choice(choice: Value) -> Result<Value, ApiProblem> {
    match &choice {
        Value::String(_) => Ok(choice),
        Value::Object(members) if choice["type"] == "function" && members.contains_key("name") => {
            Ok(json!({ "type": "function", "function": { "name": choice["name"] } }))
        }
        _ => Err(ApiProblem::invalid("tool_choice", "none, auto, required, or a function by its name")),
    }
}

fn response_format(format: &Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_object" => Some(json!({ "type": "json_object" })),
        "json_schema" => {
            let mut inner = format.as_object()?.clone();
            inner.remove("type");
            Some(json!({ "type": "json_schema", "json_schema": inner }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: Value) -> Result<ChatRequest, ApiProblem> {
        serde_json::from_value::<ResponsesRequest>(body).unwrap().into_chat()
    }

    #[test]
    fn a_conversation_with_parallel_calls_becomes_chat_messages() {
        let body = json!({
            "model": "gpt-5-codex", "instructions": "Be short.", "max_output_tokens": 50, "stream": true,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "w", "schema": {"type": "object"}, "strict": true}},
            "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": true}],
            "tool_choice": {"type": "function", "name": "weather"},
            "input": [
                {"role": "user", "content": [
                    {"type": "input_text", "text": "Where?"},
                    {"type": "input_image", "image_url": "https://e.org/i.png", "detail": "low"}]},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{\"d\":1}"},
                {"type": "function_call_output", "call_id": "c1", "output": "sun"},
                {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "rain"}]},
            ],
        });
        let canonical = serde_json::to_value(chat(body).unwrap()).unwrap();
        let messages = canonical["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
        assert_eq!(
            messages[1]["content"][1]["image_url"],
            json!({"url": "https://e.org/i.png", "detail": "low"})
        );
        assert_eq!(messages[2]["content"], "Let me look.");
        assert_eq!(messages[2]["tool_calls"][1]["id"], "c2");
        assert_eq!((&messages[4]["content"], &messages[4]["tool_call_id"]), (&json!("rain"), &json!("c2")));
        assert_eq!(canonical["response_format"]["json_schema"]["name"], "w");
        assert_eq!(canonical["tool_choice"]["function"]["name"], "weather");
        assert_eq!((&canonical["max_completion_tokens"], &canonical["stream"]), (&json!(50), &json!(true)));
        assert_eq!(canonical["reasoning_effort"], "low");
    }

    #[test]
    fn what_needs_a_memory_or_the_vendors_tools_is_refused_by_name() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"model": "m", "input": "x"});
            body[name] = value;
            chat(body).unwrap_err().param.unwrap()
        };
        assert_eq!(with("previous_response_id", json!("resp_1")), "previous_response_id");
        assert_eq!(with("conversation", json!("conv_1")), "conversation");
        assert_eq!(with("background", json!(true)), "background");
        assert_eq!(with("tools", json!([{"type": "web_search"}])), "tools[0].type");
        assert_eq!(with("input", json!([{"type": "item_reference", "id": "x"}])), "input[0]");
        let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]);
        assert_eq!(with("input", file), "input[0].content[0]");
    }
}
