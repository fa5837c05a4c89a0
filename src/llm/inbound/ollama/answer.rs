//! Answers in Ollama's form: one object, or one line per chunk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chat::{ChatChunk, ChatContent, ChatMessage, ChatResponse, FunctionCall, ToolCallDelta};
use crate::inbound::anthropic::REASONING;
use crate::inbound::{ApiFormat, ApiProblem, InboundWriter, json as put_json, tools};
use pas_domain::time::Timestamp;
use pas_domain::usage::TokenUsage;

/// The answered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OllamaShape {
    /// `generate`: the text stands in `response`.
    Generate,
    /// `chat`: there is a `message`.
    Chat,
}

/// The end and duration of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerTiming {
    pub at: Timestamp,
    /// From the request to the end of the answer.
    pub total: Duration,
}

/// The complete answer; without usage the counts are omitted.
#[must_use]
pub fn complete_answer(
    shape: OllamaShape,
    response: &ChatResponse,
    used: Option<&TokenUsage>,
    timing: AnswerTiming,
) -> Value {
    let choice = response.choices.first();
    let message = choice.map(|choice| &choice.message);
    let text = message.and_then(text_of).unwrap_or_default();
    let thought = message.and_then(|message| message.extra.get(REASONING)).and_then(Value::as_str);
    let calls = message.map(|message| message.tool_calls.iter().map(|call| &call.function));
    let calls: Vec<Value> = calls.into_iter().flatten().map(tool_call).collect();
    let mut line = piece(shape, &response.model, timing.at, &text, thought, calls);
    end(&mut line, choice.and_then(|choice| choice.finish_reason.as_deref()), used, timing.total);
    line
}

fn text_of(message: &ChatMessage) -> Option<String> {
    message.content.as_ref().map(ChatContent::to_text).or_else(|| message.refusal.clone())
}

fn tool_call(function: &FunctionCall) -> Value {
    let arguments = tools::to_object(&function.arguments);
    json!({ "function": { "name": function.name, "arguments": arguments } })
}

fn piece(
    shape: OllamaShape,
    model: &str,
    at: Timestamp,
    text: &str,
    thought: Option<&str>,
    calls: Vec<Value>,
) -> Value {
    let mut line = json!({ "model": model, "created_at": at, "done": false });
    let thought = thought.filter(|thought| !thought.is_empty());
    match shape {
        OllamaShape::Generate => {
            line["response"] = json!(text);
            if let Some(thought) = thought {
                line["thinking"] = json!(thought);
            }
        }
        OllamaShape::Chat => {
            let mut message = json!({ "role": "assistant", "content": text });
            if let Some(thought) = thought {
                message["thinking"] = json!(thought);
            }
            if !calls.is_empty() {
                message["tool_calls"] = Value::Array(calls);
            }
            line["message"] = message;
        }
    }
    line
}

fn end(line: &mut Value, finish: Option<&str>, used: Option<&TokenUsage>, total: Duration) {
    line["done"] = json!(true);
    line["done_reason"] = json!(if finish == Some("length") { "length" } else { "stop" });
    line["total_duration"] = json!(u64::try_from(total.as_nanos()).unwrap_or(u64::MAX));
    if let Some(used) = used {
        line["prompt_eval_count"] = json!(used.prompt());
        line["eval_count"] = json!(used.output);
    }
}

/// Writes one line of JSON per chunk. Tool calls go out complete, on a line before the last.
#[derive(Debug)]
pub struct OllamaWriter {
    shape: OllamaShape,
    begun: Instant,
    model: String,
    calls: BTreeMap<u32, FunctionCall>,
    finish: Option<String>,
}

impl OllamaWriter {
    /// A writer for the answer to a request that came just now.
    #[must_use]
    pub fn new(shape: OllamaShape) -> Self {
        let (model, calls, finish) = (String::new(), BTreeMap::new(), None);
        Self { shape, begun: Instant::now(), model, calls, finish }
    }

    fn line(&self, text: &str, thought: Option<&str>, calls: Vec<Value>) -> Value {
        piece(self.shape, &self.model, Timestamp::now(), text, thought, calls)
    }

    fn collect(&mut self, call: &ToolCallDelta) {
        let function = call.function.clone().unwrap_or_default();
        let known = self.calls.entry(call.index);
        let known = known.or_insert_with(|| FunctionCall { name: String::new(), arguments: String::new() });
        known.name.push_str(function.name.as_deref().unwrap_or_default());
        known.arguments.push_str(function.arguments.as_deref().unwrap_or_default());
    }
}

fn put(line: &Value, out: &mut Vec<u8>) {
    put_json(out, line);
    out.push(b'\n');
}

impl InboundWriter for OllamaWriter {
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        if self.model.is_empty() {
            self.model.clone_from(&chunk.model);
        }
        let Some(choice) = chunk.choices.iter().find(|choice| choice.index == 0) else { return };
        let thought = choice.delta.extra.get(REASONING).and_then(Value::as_str);
        let text = choice.delta.content.as_deref().unwrap_or_default();
        if !text.is_empty() || thought.is_some_and(|thought| !thought.is_empty()) {
            put(&self.line(text, thought, Vec::new()), out);
        }
        for call in &choice.delta.tool_calls {
            self.collect(call);
        }
        if let Some(finish) = &choice.finish_reason {
            self.finish = Some(finish.clone());
        }
    }

    fn finish(&mut self, used: Option<&TokenUsage>, out: &mut Vec<u8>) {
        let calls: Vec<Value> = std::mem::take(&mut self.calls).values().map(tool_call).collect();
        if !calls.is_empty() {
            put(&self.line("", None, calls), out);
        }
        let mut line = self.line("", None, Vec::new());
        end(&mut line, self.finish.as_deref(), used, self.begun.elapsed());
        put(&line, out);
    }

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        put(&problem.body(ApiFormat::Ollama), out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inbound::ProblemKind;
    use crate::inbound::testing::{streamed, text_chunk, written};

    fn lines(text: &str) -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_stream_put_together_is_the_whole_answer(streamed in streamed()) {
            let used = TokenUsage { input: 11, output: 7, ..TokenUsage::default() };
            let lines = lines(&written(&mut OllamaWriter::new(OllamaShape::Chat), &streamed.chunks, Ok(Some(&used))));
            let timing = AnswerTiming { at: Timestamp::now(), total: Duration::ZERO };
            let whole = complete_answer(OllamaShape::Chat, &streamed.whole, Some(&used), timing);
            let joined = |name: &str| -> String {
                lines.iter().filter_map(|line| line["message"][name].as_str()).collect()
            };
            prop_assert_eq!(json!(joined("content")), whole["message"]["content"].clone());
            prop_assert_eq!(joined("thinking"), whole["message"]["thinking"].as_str().unwrap_or_default());
            let calls: Vec<&Value> =
                lines.iter().filter_map(|line| line["message"]["tool_calls"].as_array()).flatten().collect();
            let expected: Vec<&Value> =
                whole["message"]["tool_calls"].as_array().into_iter().flatten().collect();
            prop_assert_eq!(calls, expected);
            let last = lines.last().unwrap();
            prop_assert_eq!(&last["eval_count"], &json!(7));
            prop_assert_eq!(lines.iter().filter(|line| line["done"] == true).count(), 1);
        }
    }

    #[test]
    fn generate_has_its_text_in_response() {
        let used = TokenUsage { input: 3, output: 1, ..TokenUsage::default() };
        let text =
            written(&mut OllamaWriter::new(OllamaShape::Generate), &[text_chunk("Hi")], Ok(Some(&used)));
        let lines = lines(&text);
        assert_eq!((&lines[0]["response"], &lines[0]["done"]), (&json!("Hi"), &json!(false)));
        assert_eq!((&lines[1]["done"], &lines[1]["prompt_eval_count"]), (&json!(true), &json!(3)));
    }

    #[test]
    fn a_cut_is_a_line_with_an_error_and_never_done() {
        let problem = ApiProblem::new(ProblemKind::Cut, "cut");
        let lines =
            lines(&written(&mut OllamaWriter::new(OllamaShape::Chat), &[text_chunk("Hi")], Err(&problem)));
        assert_eq!(lines[1], json!({"error": "cut", "detail": "cut"}));
        assert!(lines.iter().all(|line| line["done"] != true));
    }
}
