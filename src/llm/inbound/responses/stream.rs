//! A stream in the form of Responses: items with their parts and deltas, each event numbered.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::output::{
    ResponsesEcho, ResponsesHead, ResponsesStatus, call_item, envelope, failed, message_item, reasoning_item,
    response_id, text_part,
};
use crate::chat::{ChatChunk, FunctionCall, ToolCall, ToolCallDelta};
use crate::inbound::anthropic::REASONING;
use crate::inbound::{ApiFormat, ApiProblem, InboundWriter, event};
use pas_domain::usage::TokenUsage;

/// Writes a stream of response events.
///
/// Thought and text are each one item that ends where the next begins. Tool calls stay open until the end,
/// because the canonical form may interleave their deltas.
#[derive(Debug)]
pub struct ResponsesWriter {
    echo: ResponsesEcho,
    id: String,
    created: i64,
    model: String,
    sequence: u64,
    /// Finished items by their place.
    output: BTreeMap<usize, Value>,
    places: usize,
    open: Option<OpenItem>,
    /// Tool calls by the canonical form's index, with their output index.
    calls: BTreeMap<u32, (usize, ToolCall)>,
    finish: Option<String>,
}

/// The thought or text being written.
#[derive(Debug)]
struct OpenItem {
    place: usize,
    is_thought: bool,
    text: String,
}

impl ResponsesWriter {
    /// A writer for the answer to a request with this echo.
    #[must_use]
    pub fn new(echo: ResponsesEcho) -> Self {
        Self {
            echo,
            id: String::new(),
            created: 0,
            model: String::new(),
            sequence: 0,
            output: BTreeMap::new(),
            places: 0,
            open: None,
            calls: BTreeMap::new(),
            finish: None,
        }
    }

    fn emit(&mut self, kind: &str, mut data: Value, out: &mut Vec<u8>) {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        event(out, kind, &data);
    }

    fn envelope(&self, status: ResponsesStatus<'_>, used: Option<&TokenUsage>) -> Value {
        let head = ResponsesHead { id: &self.id, created: self.created, model: &self.model };
        let output: Vec<Value> = self.output.values().cloned().collect();
        envelope(&head, status, &output, used, &self.echo)
    }

    fn begin(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        if !self.id.is_empty() {
            return;
        }
        self.id = response_id(&chunk.id);
        (self.created, self.model) = (chunk.created, chunk.model.clone());
        for kind in ["response.created", "response.in_progress"] {
            let response = self.envelope(ResponsesStatus::InProgress, None);
            self.emit(kind, json!({ "response": response }), out);
        }
    }

    fn next_place(&mut self) -> usize {
        self.places += 1;
        self.places - 1
    }

    fn write(&mut self, is_thought: bool, text: &str, out: &mut Vec<u8>) {
        if self.open.as_ref().is_none_or(|open| open.is_thought != is_thought) {
            self.close(out);
            self.open_item(is_thought, out);
        }
        let Some(open) = &mut self.open else { return };
        open.text.push_str(text);
        let place = open.place;
        let (kind, index) = if is_thought {
            ("response.reasoning_summary_text.delta", "summary_index")
        } else {
            ("response.output_text.delta", "content_index")
        };
        let item_id = self.item(is_thought, place, "").get("id").cloned();
        let mut data = json!({ "item_id": item_id, "output_index": place, index: 0, "delta": text });
        if !is_thought {
            data["logprobs"] = json!([]);
        }
        self.emit(kind, data, out);
    }

    /// The item as it begins (`text` empty) or as it is at the end.
    fn item(&self, is_thought: bool, place: usize, text: &str) -> Value {
        if is_thought {
            reasoning_item(&self.id, place, text)
        } else if text.is_empty() {
            message_item(&self.id, place, "in_progress", &[])
        } else {
            message_item(&self.id, place, "completed", &[text_part(text)])
        }
    }

    fn open_item(&mut self, is_thought: bool, out: &mut Vec<u8>) {
        let place = self.next_place();
        let item = self.item(is_thought, place, "");
        let (id, added) = (item["id"].clone(), json!({ "output_index": place, "item": item }));
        self.emit("response.output_item.added", added, out);
        let (kind, index, part) = if is_thought {
            let part = json!({ "type": "summary_text", "text": "" });
            ("response.reasoning_summary_part.added", "summary_index", part)
        } else {
            ("response.content_part.added", "content_index", text_part(""))
        };
        self.emit(kind, json!({ "item_id": id, "output_index": place, index: 0, "part": part }), out);
        self.open = Some(OpenItem { place, is_thought, text: String::new() });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(OpenItem { place, is_thought, text }) = self.open.take() else { return };
        let item = self.item(is_thought, place, &text);
        let common = |index: &str| json!({ "item_id": item["id"], "output_index": place, index: 0 });
        let (mut done, mut part_done, kinds) = if is_thought {
            let kinds = ["response.reasoning_summary_text.done", "response.reasoning_summary_part.done"];
            let part = json!({ "type": "summary_text", "text": text });
            let mut ended = common("summary_index");
            ended["part"] = part;
            (common("summary_index"), ended, kinds)
        } else {
            let mut ended = common("content_index");
            ended["part"] = text_part(&text);
            let mut done = common("content_index");
            done["logprobs"] = json!([]);
            (done, ended, ["response.output_text.done", "response.content_part.done"])
        };
        done["text"] = json!(text);
        self.emit(kinds[0], done.take(), out);
        self.emit(kinds[1], part_done.take(), out);
        self.finish_item(place, item, out);
    }

    fn finish_item(&mut self, place: usize, item: Value, out: &mut Vec<u8>) {
        self.emit("response.output_item.done", json!({ "output_index": place, "item": item }), out);
        self.output.insert(place, item);
    }

    fn call(&mut self, delta: &ToolCallDelta, out: &mut Vec<u8>) {
        let function = delta.function.clone().unwrap_or_default();
        if !self.calls.contains_key(&delta.index) {
            self.close(out);
            let place = self.next_place();
            let id = delta.id.clone().unwrap_or_else(|| format!("call_{}", delta.index));
            let name = function.name.unwrap_or_default();
            let function = FunctionCall { name, arguments: String::new() };
            let extra_content = delta.extra_content.clone();
            let call = ToolCall { extra_content, ..ToolCall::of_function(id, function) };
            let item = call_item(&self.id, place, "in_progress", &call);
            self.emit("response.output_item.added", json!({ "output_index": place, "item": item }), out);
            self.calls.insert(delta.index, (place, call));
        }
        let Some(piece) = function.arguments.filter(|piece| !piece.is_empty()) else { return };
        let Some((place, call)) = self.calls.get_mut(&delta.index) else { return };
        call.function.arguments.push_str(&piece);
        let item = call_item(&self.id, *place, "in_progress", call);
        let data = json!({ "item_id": item["id"], "output_index": *place, "delta": piece });
        self.emit("response.function_call_arguments.delta", data, out);
    }

    fn close_calls(&mut self, out: &mut Vec<u8>) {
        for (place, call) in std::mem::take(&mut self.calls).into_values() {
            let item = call_item(&self.id, place, "completed", &call);
            let data = json!({
                "item_id": item["id"], "output_index": place, "name": call.function.name,
                "arguments": call.function.arguments,
            });
            self.emit("response.function_call_arguments.done", data, out);
            self.finish_item(place, item, out);
        }
    }
}

impl InboundWriter for ResponsesWriter {
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        self.begin(chunk, out);
        let Some(choice) = chunk.choices.iter().find(|choice| choice.index == 0) else { return };
        let extra = |name: &str| choice.delta.extra.get(name).and_then(Value::as_str);
        if let Some(text) = extra(REASONING).filter(|text| !text.is_empty()) {
            self.write(true, text, out);
        }
        let said = [choice.delta.content.as_deref(), extra("refusal")];
        for text in said.into_iter().flatten().filter(|text| !text.is_empty()) {
            self.write(false, text, out);
        }
        for call in &choice.delta.tool_calls {
            self.call(call, out);
        }
        if let Some(finish) = &choice.finish_reason {
            self.finish = Some(finish.clone());
        }
    }

    fn finish(&mut self, used: Option<&TokenUsage>, out: &mut Vec<u8>) {
        self.close(out);
        self.close_calls(out);
        let finish = self.finish.take();
        let status = ResponsesStatus::Ended(finish.as_deref());
        let response = self.envelope(status, used);
        self.emit(&format!("response.{}", status.word()), json!({ "response": response }), out);
    }

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        let response = failed(self.envelope(ResponsesStatus::InProgress, None), problem);
        self.emit("response.failed", json!({ "response": response }), out);
        // SDKs raise on `error`, and only look at `response.failed`.
        let mut data = problem.body(ApiFormat::OpenAi);
        for name in ["code", "message", "param"] {
            data[name] = data["error"][name].clone();
        }
        self.emit("error", data, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::response;
    use super::*;
    use crate::inbound::ProblemKind;
    use crate::inbound::testing::{events, streamed, text_chunk, written};

    fn deltas(events: &[Value], kind: &str) -> String {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind.map(|event| event["delta"].as_str().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn a_stream_put_together_is_the_whole_answer(streamed in streamed()) {
            let used = TokenUsage { input: 11, output: 7, ..TokenUsage::default() };
            let mut writer = ResponsesWriter::new(ResponsesEcho::default());
            let events = events(&written(&mut writer, &streamed.chunks, Ok(Some(&used))));
            let whole = response(&streamed.whole, Some(&used), &ResponsesEcho::default());
            prop_assert_eq!(&events.last().unwrap()["response"], &whole);
            let numbers: Vec<_> = events.iter().map(|e| e["sequence_number"].as_u64().unwrap()).collect();
            prop_assert_eq!(&numbers, &(0..numbers.len() as u64).collect::<Vec<_>>());
            let message = &streamed.whole.choices[0].message;
            let text = message.content.as_ref().map(crate::chat::ChatContent::to_text).unwrap_or_default();
            prop_assert_eq!(deltas(&events, "response.output_text.delta"), text);
            let arguments: String = message.tool_calls.iter().map(|c| c.function.arguments.as_str()).collect();
            prop_assert_eq!(deltas(&events, "response.function_call_arguments.delta"), arguments);
            let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
            prop_assert_eq!(count("response.output_item.added"), count("response.output_item.done"));
        }
    }

    #[test]
    fn a_cut_fails_the_response_and_raises_an_error() {
        let problem = ApiProblem::new(ProblemKind::Cut, "cut");
        let mut writer = ResponsesWriter::new(ResponsesEcho::default());
        let events = events(&written(&mut writer, &[text_chunk("Hi")], Err(&problem)));
        let last_two: Vec<_> = events[events.len() - 2..].iter().map(|event| &event["type"]).collect();
        assert_eq!(last_two, ["response.failed", "error"]);
        assert_eq!(events.last().unwrap()["error"]["message"], "cut");
        assert!(events.iter().all(|event| event["type"] != "response.completed"));
    }
}
