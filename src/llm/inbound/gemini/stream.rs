//! A stream in Gemini's form: a sequence of answers, each with the new part.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{call_part, image, thought_part};
use super::finish_reason;
use crate::chat::{ChatChunk, ChunkChoice, ToolCallDelta};
use crate::gemini::{EXTRA, IMAGES, signature_in};
use crate::inbound::anthropic::REASONING;
use crate::inbound::{ApiFormat, ApiProblem, InboundWriter, data_line, tools, usage};
use pas_domain::usage::TokenUsage;

/// A call whose arguments still come: Gemini's calls are never divided.
#[derive(Debug, Default)]
struct PartialCall {
    id: String,
    name: String,
    arguments: String,
    extra: Option<Value>,
}

/// Writes a stream of answers.
#[derive(Debug, Default)]
pub struct GenerateWriter {
    id: String,
    model: String,
    /// By candidate and number.
    calls: BTreeMap<(u32, u32), PartialCall>,
    /// Why each candidate ended.
    finished: BTreeMap<u32, &'static str>,
}

impl GenerateWriter {
    fn answer(&self, candidates: &[Value]) -> Value {
        json!({ "candidates": candidates, "modelVersion": self.model, "responseId": self.id })
    }

    fn part(&self, index: u32, part: &Value, out: &mut Vec<u8>) {
        let content = json!({ "role": "model", "parts": [part] });
        data_line(out, &self.answer(&[json!({ "index": index, "content": content })]));
    }

    fn choice(&mut self, choice: &ChunkChoice, out: &mut Vec<u8>) {
        let (index, delta) = (choice.index, &choice.delta);
        let text = |name: &str| delta.extra.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(thought) = text(REASONING) {
            self.part(index, &thought_part(thought), out);
        }
        let said = delta.content.as_deref().filter(|text| !text.is_empty());
        for text in said.into_iter().chain(text("refusal")) {
            self.part(index, &json!({ "text": text }), out);
        }
        if let Some(signature) = delta.extra.get(EXTRA).and_then(signature_in) {
            self.part(index, &json!({ "text": "", "thoughtSignature": signature }), out);
        }
        for picture in delta.extra.get(IMAGES).and_then(Value::as_array).into_iter().flatten() {
            image(picture).iter().for_each(|part| self.part(index, part, out));
        }
        delta.tool_calls.iter().for_each(|call| self.call(index, call));
        if let Some(finish) = &choice.finish_reason {
            self.finished.insert(index, finish_reason(Some(finish)));
        }
    }

    fn call(&mut self, index: u32, delta: &ToolCallDelta) {
        let call = self.calls.entry((index, delta.index)).or_default();
        call.id.push_str(delta.id.as_deref().unwrap_or_default());
        if let Some(function) = &delta.function {
            call.name.push_str(function.name.as_deref().unwrap_or_default());
            call.arguments.push_str(function.arguments.as_deref().unwrap_or_default());
        }
        if delta.extra_content.is_some() {
            call.extra.clone_from(&delta.extra_content);
        }
    }
}

impl InboundWriter for GenerateWriter {
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        if self.id.is_empty() {
            self.id.clone_from(&chunk.id);
            self.model.clone_from(&chunk.model);
        }
        chunk.choices.iter().for_each(|choice| self.choice(choice, out));
    }

    fn finish(&mut self, used: Option<&TokenUsage>, out: &mut Vec<u8>) {
        for ((index, _), call) in std::mem::take(&mut self.calls) {
            let args = tools::to_object(&call.arguments);
            self.part(index, &call_part(&call.id, &call.name, &args, call.extra.as_ref()), out);
        }
        let last = |(index, reason): (&u32, &&str)| {
            let content = json!({ "role": "model", "parts": [{ "text": "" }] });
            json!({ "index": index, "content": content, "finishReason": reason })
        };
        let candidates: Vec<Value> = self.finished.iter().map(last).collect();
        let mut answer = self.answer(&candidates);
        if let Some(used) = used {
            answer["usageMetadata"] = usage::gemini(used);
        }
        data_line(out, &answer);
    }

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        data_line(out, &problem.body(ApiFormat::Gemini));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::response;
    use super::*;
    use crate::inbound::ProblemKind;
    use crate::inbound::testing::{streamed, written};

    fn answers(text: &str) -> Vec<Value> {
        let data = |block: &str| serde_json::from_str(block.strip_prefix("data: ").unwrap()).unwrap();
        text.split("\n\n").filter(|block| !block.is_empty()).map(data).collect()
    }

    /// Puts the parts of a stream together: adjacent texts of one kind are one.
    fn assembled(answers: &[Value]) -> Value {
        let mut whole = answers.last().unwrap().clone();
        let mut parts: Vec<Value> = Vec::new();
        let all =
            answers.iter().flat_map(|answer| answer["candidates"][0]["content"]["parts"].as_array().unwrap());
        for part in all {
            let text = part["text"].as_str();
            match (parts.last_mut(), text) {
                (_, Some("")) => {}
                (Some(last), Some(more))
                    if last["text"].is_string() && last["thought"] == part["thought"] =>
                {
                    last["text"] = json!(format!("{}{more}", last["text"].as_str().unwrap()));
                }
                _ => parts.push(part.clone()),
            }
        }
        whole["candidates"][0]["content"]["parts"] = json!(parts);
        whole
    }

    proptest! {
        #[test]
        fn a_stream_put_together_is_the_whole_answer(streamed in streamed()) {
            let used = TokenUsage { input: 11, output: 7, ..TokenUsage::default() };
            let text = written(&mut GenerateWriter::default(), &streamed.chunks, Ok(Some(&used)));
            prop_assert_eq!(assembled(&answers(&text)), response(&streamed.whole, Some(&used)));
        }
    }

    #[test]
    fn a_cut_stream_ends_with_an_error_and_no_reason_to_stop() {
        let problem = ApiProblem::new(ProblemKind::Cut, "cut");
        let text = written(&mut GenerateWriter::default(), &[], Err(&problem));
        let last = answers(&text).pop().unwrap();
        assert_eq!((&last["error"]["code"], &last["error"]["status"]), (&json!(502), &json!("INTERNAL")));
        assert!(!text.contains("finishReason"), "{text}");
    }
}
