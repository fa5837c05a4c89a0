//! A little asker: it holds a conversation in the form of any vendor, whole or as a stream, and answers all calls.

use serde_json::{Value, json};

use super::super::{KEY, Server, Vendor};
use super::*;

/// What came.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TalkAnswer {
    pub(super) text: String,
    /// Id, tool, arguments as text.
    pub(super) calls: Vec<(String, String, String)>,
    pub(super) finish: String,
    pub(super) refusal: String,
}

/// A conversation.
pub(super) struct VendorTalk<'a> {
    pub(super) server: &'a Server,
    pub(super) stream: bool,
    pub(super) system: String,
    pub(super) messages: Vec<Value>,
    pub(super) tools: Vec<&'static str>,
    pub(super) limit: Option<u64>,
}

impl<'a> VendorTalk<'a> {
    pub(super) fn new(server: &'a Server, stream: bool, card: &str) -> Self {
        let (system, limit) = ("You write code.".to_owned(), Some(1000));
        let mut talk =
            Self { server, stream, system, messages: Vec::new(), tools: vec!["bash", "read"], limit };
        talk.hear(card);
        talk
    }

    fn vendor(&self) -> Vendor {
        self.server.vendor()
    }

    pub(super) fn hear(&mut self, text: &str) {
        self.messages.push(match self.vendor() {
            Vendor::Gemini => json!({ "role": "user", "parts": [{ "text": text }] }),
            _ => json!({ "role": "user", "content": text }),
        });
    }

    /// The request as it goes out.
    pub(super) fn body(&self) -> (String, Value) {
        let (path, mut body) = super::ask(self.vendor(), "", self.stream);
        let schema = json!({ "type": "object", "properties": { "command": { "type": "string" } } });
        let function =
            |name: &&str| json!({ "type": "function", "function": { "name": name, "parameters": schema } });
        match self.vendor() {
            Vendor::Anthropic => {
                body["system"] = json!(self.system);
                body["messages"] = json!(self.messages);
                let tool = |name: &&str| json!({ "name": name, "input_schema": schema });
                body["tools"] = self.tools.iter().map(tool).collect();
                body["max_tokens"] = json!(self.limit);
            }
            Vendor::Gemini => {
                body["systemInstruction"] = json!({ "parts": [{ "text": self.system }] });
                body["contents"] = json!(self.messages);
                let tool = |name: &&str| json!({ "name": name, "parameters": schema });
                let tools: Vec<Value> = self.tools.iter().map(tool).collect();
                body["tools"] = json!([{ "functionDeclarations": tools }]);
                body["generationConfig"] = json!({ "maxOutputTokens": self.limit });
            }
            vendor => {
                let system = json!({ "role": "system", "content": self.system });
                body["messages"] = std::iter::once(&system).chain(&self.messages).cloned().collect();
                body["tools"] = self.tools.iter().map(function).collect();
                match vendor {
                    Vendor::Ollama => body["options"] = json!({ "num_predict": self.limit }),
                    _ => body["max_tokens"] = json!(self.limit),
                }
            }
        }
        (path, body)
    }

    /// Asks without taking the answer into the conversation.
    pub(super) async fn ask(&self) -> Result<TalkAnswer, String> {
        let (path, body) = self.body();
        let answer = request(self.server, &path, KEY, &body).send().await.map_err(|why| why.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|why| why.to_string())?;
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        let documents = if self.stream {
            events(self.vendor(), &text)
        } else {
            vec![serde_json::from_str(&text).unwrap()]
        };
        let mut came = TalkAnswer::default();
        for document in &documents {
            match self.vendor() {
                Vendor::OpenAi | Vendor::Grok => came.openai(document),
                Vendor::Anthropic => came.anthropic(document),
                Vendor::Gemini => came.gemini(document),
                Vendor::Ollama => came.ollama(document),
            }
        }
        Ok(came)
    }

    /// Takes an answer into the conversation, its calls with these results.
    pub(super) fn take(&mut self, came: &TalkAnswer, results: &[&str]) {
        assert_eq!(came.calls.len(), results.len());
        let object = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({}));
        let paired = || came.calls.iter().zip(results);
        match self.vendor() {
            Vendor::Anthropic => {
                let mut said: Vec<Value> = Vec::new();
                if !came.text.is_empty() {
                    said.push(json!({ "type": "text", "text": came.text }));
                }
                said.extend(came.calls.iter().map(|(id, tool, arguments)| {
                    json!({ "type": "tool_use", "id": id, "name": tool, "input": object(arguments) })
                }));
                self.messages.push(json!({ "role": "assistant", "content": said }));
                let result = |((id, ..), text): (&(String, _, _), &&str)| json!({ "type": "tool_result", "tool_use_id": id, "content": text });
                let results: Vec<Value> = paired().map(result).collect();
                if !results.is_empty() {
                    self.messages.push(json!({ "role": "user", "content": results }));
                }
            }
            Vendor::Gemini => {
                let mut said = vec![json!({ "text": came.text })];
                said.extend(came.calls.iter().map(
                    |(_, tool, arguments)| json!({ "functionCall": { "name": tool, "args": object(arguments) } }),
                ));
                self.messages.push(json!({ "role": "model", "parts": said }));
                let result = |((_, tool, _), text): (&(_, String, _), &&str)| json!({ "functionResponse": { "name": tool, "response": { "result": text } } });
                let results: Vec<Value> = paired().map(result).collect();
                self.messages.push(json!({ "role": "user", "parts": results }));
            }
            vendor => {
                let call = |(id, tool, arguments): &(String, String, String)| {
                    let arguments =
                        if vendor == Vendor::Ollama { object(arguments) } else { json!(arguments) };
                    json!({ "id": id, "type": "function", "function": { "name": tool, "arguments": arguments } })
                };
                let calls: Vec<Value> = came.calls.iter().map(call).collect();
                self.messages.push(json!({ "role": "assistant", "content": came.text, "tool_calls": calls }));
                let result = |((id, ..), text): (&(String, _, _), &&str)| json!({ "role": "tool", "tool_call_id": id, "content": text });
                self.messages.extend(paired().map(result));
            }
        }
    }

    /// Asks, and answers each call with the tool's name.
    pub(super) async fn turn(&mut self) -> TalkAnswer {
        let came = self.ask().await.unwrap();
        let results: Vec<String> = came.calls.iter().map(|(_, tool, _)| format!("{tool} ran")).collect();
        self.take(&came, &results.iter().map(String::as_str).collect::<Vec<_>>());
        came
    }
}

impl TalkAnswer {
    fn openai(&mut self, document: &Value) {
        let choice = &document["choices"][0];
        let part = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        self.text.push_str(part["content"].as_str().unwrap_or_default());
        self.refusal.push_str(part["refusal"].as_str().unwrap_or_default());
        for call in part["tool_calls"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if call["id"].is_string() {
                self.calls.push((text(&call["id"]), text(&call["function"]["name"]), String::new()));
            }
            self.calls.last_mut().unwrap().2.push_str(&text(&call["function"]["arguments"]));
        }
        self.finish.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    }

    fn anthropic(&mut self, document: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let blocks = document["content"].as_array().into_iter().flatten().chain([&document["content_block"]]);
        for block in blocks {
            self.text.push_str(&text(&block["text"]));
            if block["type"] == "tool_use" {
                let whole = !document["content"].is_null();
                let input = if whole { block["input"].to_string() } else { String::new() };
                self.calls.push((text(&block["id"]), text(&block["name"]), input));
            }
        }
        self.text.push_str(&text(&document["delta"]["text"]));
        if let Some(last) = self.calls.last_mut() {
            last.2.push_str(&text(&document["delta"]["partial_json"]));
        }
        self.finish.push_str(&text(&document["stop_reason"]));
        self.finish.push_str(&text(&document["delta"]["stop_reason"]));
    }

    fn gemini(&mut self, document: &Value) {
        let candidate = &document["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.text.push_str(part["text"].as_str().unwrap_or_default());
            self.object_call(&part["functionCall"]["name"], &part["functionCall"]["args"]);
        }
        self.finish.push_str(candidate["finishReason"].as_str().unwrap_or_default());
    }

    fn ollama(&mut self, document: &Value) {
        self.text.push_str(document["message"]["content"].as_str().unwrap_or_default());
        for call in document["message"]["tool_calls"].as_array().into_iter().flatten() {
            self.object_call(&call["function"]["name"], &call["function"]["arguments"]);
        }
        self.finish.push_str(document["done_reason"].as_str().unwrap_or_default());
    }

    fn object_call(&mut self, tool: &Value, arguments: &Value) {
        if let Some(tool) = tool.as_str() {
            self.calls.push((String::new(), tool.to_owned(), arguments.to_string()));
        }
    }
}
