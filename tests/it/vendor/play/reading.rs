//! Reads a request of each vendor's form into a [`PlayRequest`].

use serde_json::Value;

use super::request::{PlayCallback, PlayMessage, PlayRequest};

impl PlayRequest {
    fn instruct(&mut self, text: &str) {
        if !self.system.is_empty() && !text.is_empty() {
            self.system.push('\n');
        }
        self.system.push_str(text);
    }

    /// Words of a user; those of nobody are none.
    fn hear(&mut self, text: String) {
        if !text.is_empty() {
            self.messages.push(PlayMessage::User(text));
        }
    }

    fn answered(&mut self, id: &str, text: String) {
        let result = (id.to_owned(), text);
        match self.messages.last_mut() {
            Some(PlayMessage::Results(results)) => results.push(result),
            _ => self.messages.push(PlayMessage::Results(vec![result])),
        }
    }

    fn said(&mut self, text: String, calls: Vec<PlayCallback>) {
        self.messages.push(PlayMessage::Assistant { text, calls });
    }

    pub(super) fn read_openai(&mut self) {
        let body = self.body.clone();
        self.output_limit = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
        self.one_call = body["parallel_tool_calls"] == false;
        self.tools = each(&body["tools"])
            .filter_map(|tool| tool["function"]["name"].as_str())
            .map(Into::into)
            .collect();
        for message in each(&body["messages"]) {
            let text = text_of(&message["content"]);
            match message["role"].as_str() {
                Some("system" | "developer") => self.instruct(&text),
                Some("assistant") => {
                    let parse = |text: &Value| match text {
                        Value::String(text) => {
                            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
                        }
                        object => object.clone(),
                    };
                    let one = |call: &Value| PlayCallback {
                        id: name(&call["id"]),
                        tool: name(&call["function"]["name"]),
                        arguments: parse(&call["function"]["arguments"]),
                    };
                    self.said(text, each(&message["tool_calls"]).map(one).collect());
                }
                Some("tool") => self.answered(message["tool_call_id"].as_str().unwrap_or_default(), text),
                _ => self.hear(text),
            }
        }
    }

    pub(super) fn read_responses(&mut self) {
        let body = self.body.clone();
        // The model's own limit holds where a client of Responses names none.
        self.output_limit = body["max_output_tokens"].as_u64().or(Some(0));
        self.one_call = body["parallel_tool_calls"] == false;
        self.tools = each(&body["tools"]).filter_map(|tool| tool["name"].as_str()).map(Into::into).collect();
        self.instruct(&name(&body["instructions"]));
        if let Some(text) = body["input"].as_str() {
            self.hear(text.to_owned());
        }
        for item in each(&body["input"]) {
            let called = |arguments: Value| PlayCallback {
                id: name(&item["call_id"]),
                tool: name(&item["name"]),
                arguments,
            };
            match (item["type"].as_str(), item["role"].as_str()) {
                (Some("function_call"), _) => {
                    let arguments = serde_json::from_str(&name(&item["arguments"])).unwrap_or_default();
                    self.went_on("", Some(called(arguments)));
                }
                (Some("custom_tool_call"), _) => self.went_on("", Some(called(item["input"].clone()))),
                (Some("function_call_output" | "custom_tool_call_output"), _) => {
                    self.answered(&name(&item["call_id"]), text_of(&item["output"]));
                }
                (_, Some("system" | "developer")) => self.instruct(&text_of(&item["content"])),
                (_, Some("assistant")) => self.went_on(&text_of(&item["content"]), None),
                (_, Some(_)) => self.hear(text_of(&item["content"])),
                _ => {}
            }
        }
    }

    /// One more item of the assistant: items that stand together are one message.
    fn went_on(&mut self, said: &str, call: Option<PlayCallback>) {
        if !matches!(self.messages.last(), Some(PlayMessage::Assistant { .. })) {
            self.said(String::new(), Vec::new());
        }
        if let Some(PlayMessage::Assistant { text, calls }) = self.messages.last_mut() {
            text.push_str(said);
            calls.extend(call);
        }
    }

    pub(super) fn read_anthropic(&mut self) {
        let body = self.body.clone();
        self.output_limit = body["max_tokens"].as_u64();
        self.one_call = body["tool_choice"]["disable_parallel_tool_use"] == true;
        self.tools = each(&body["tools"]).filter_map(|tool| tool["name"].as_str()).map(Into::into).collect();
        self.instruct(&text_of(&body["system"]));
        for message in each(&body["messages"]) {
            let content = &message["content"];
            if message["role"] == "assistant" {
                let one = |block: &Value| PlayCallback {
                    id: name(&block["id"]),
                    tool: name(&block["name"]),
                    arguments: block["input"].clone(),
                };
                let calls = each(content).filter(|block| block["type"] == "tool_use").map(one).collect();
                self.said(text_of(content), calls);
                continue;
            }
            if let Some(text) = content.as_str() {
                self.hear(text.to_owned());
            }
            for block in each(content) {
                if block["type"] == "tool_result" {
                    let id = block["tool_use_id"].as_str().unwrap_or_default();
                    self.answered(id, text_of(&block["content"]));
                } else {
                    self.hear(name(&block["text"]));
                }
            }
        }
    }

    pub(super) fn read_gemini(&mut self, path: &str) {
        let body = self.body.clone();
        let either = |object: &Value, camel: &str, snake: &str| {
            if object[camel].is_null() { object[snake].clone() } else { object[camel].clone() }
        };
        let model = path.rsplit('/').next().and_then(|last| last.split(':').next());
        self.model = model.unwrap_or_default().to_owned();
        self.streams = path.ends_with("streamGenerateContent");
        let settings = either(&body, "generationConfig", "generation_config");
        self.output_limit = either(&settings, "maxOutputTokens", "max_output_tokens").as_u64();
        let declared = |tool: &Value| either(tool, "functionDeclarations", "function_declarations");
        let tools: Vec<Value> = each(&body["tools"]).map(declared).collect();
        self.tools = tools.iter().flat_map(each).map(|function| name(&function["name"])).collect();
        self.instruct(&text_of(&either(&body, "systemInstruction", "system_instruction")["parts"]));
        for message in each(&body["contents"]) {
            let text = text_of(&message["parts"]);
            let called = |part: &Value| either(part, "functionCall", "function_call");
            let gave = |part: &Value| either(part, "functionResponse", "function_response");
            if message["role"] == "model" {
                let calls = each(&message["parts"]).map(called).filter(Value::is_object);
                let one = |call: Value| PlayCallback {
                    id: String::new(),
                    tool: name(&call["name"]),
                    arguments: call["args"].clone(),
                };
                self.said(text, calls.map(one).collect());
                continue;
            }
            for result in each(&message["parts"]).map(gave).filter(Value::is_object) {
                self.answered("", strings(&result["response"]));
            }
            self.hear(text);
        }
    }

    pub(super) fn read_ollama(&mut self) {
        let body = self.body.clone();
        self.output_limit = body["options"]["num_predict"].as_u64();
        // Streams are Ollama's default.
        self.streams = body["stream"] != false;
        self.tools = each(&body["tools"])
            .filter_map(|tool| tool["function"]["name"].as_str())
            .map(Into::into)
            .collect();
        for message in each(&body["messages"]) {
            let text = name(&message["content"]);
            match message["role"].as_str() {
                Some("system") => self.instruct(&text),
                Some("assistant") => {
                    let one = |call: &Value| PlayCallback {
                        id: String::new(),
                        tool: name(&call["function"]["name"]),
                        arguments: call["function"]["arguments"].clone(),
                    };
                    self.said(text, each(&message["tool_calls"]).map(one).collect());
                }
                Some("tool") => self.answered("", text),
                _ => self.hear(text),
            }
        }
    }
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn name(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A text, or the texts of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => each(parts).filter_map(|part| part["text"].as_str()).collect(),
    }
}

/// All strings in a value, joined by line feeds.
fn strings(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(many) => many.iter().map(strings).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => fields.values().map(strings).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// How many objects have the field that Anthropic marks cached parts by.
pub(super) fn cache_marks(value: &Value) -> usize {
    match value {
        Value::Array(many) => many.iter().map(cache_marks).sum(),
        Value::Object(fields) => {
            usize::from(fields.get("cache_control").is_some_and(Value::is_object))
                + fields.values().map(cache_marks).sum::<usize>()
        }
        _ => 0,
    }
}
