//! The output of a stream so far, for the bill of a call that ends before its answer does.
//!
//! Events are kept as they came and read only for such a bill: reading the text of every event would cost all
//! calls time. Invariants: at most [`KEPT_BYTES`] are kept, and the output beyond them is taken in proportion;
//! a text that the vendor repeats at the end of a part (Responses) counts once.

use serde_json::Value;

use pas_domain::usage::TokenUsage;

/// Bytes of events that are kept: a thousand chunks of OpenAI's, which most answers do not have.
const KEPT_BYTES: usize = 256 << 10;
/// Members of a chat's message or delta that hold text of the model.
const CHAT_TEXTS: [&str; 6] =
    ["content", "reasoning_content", "reasoning", "thinking", "refusal", "function_call"];
/// Members of the delta of a block of Anthropic's that hold text of the model.
const BLOCK_TEXTS: [&str; 3] = ["text", "thinking", "partial_json"];

/// The events of a stream so far.
#[derive(Debug, Default)]
pub(super) struct SeenEvents {
    kept: Vec<u8>,
    total: usize,
    is_full: bool,
}

/// The known part of an answer that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenAnswer {
    /// As the vendor has reported it so far.
    pub usage: Option<TokenUsage>,
    pub output: SeenOutput,
    /// Whether the vendor has said all there is to say.
    pub is_whole: bool,
}

/// The model's words so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenOutput {
    /// Text, reasoning, names and arguments of calls.
    pub text: String,
    kept: u64,
    total: u64,
}

impl SeenOutput {
    /// Tokens of the whole output, where so many are those of [`Self::text`].
    #[must_use]
    pub fn tokens(&self, of_text: u64) -> u64 {
        of_text.saturating_mul(self.total).checked_div(self.kept).unwrap_or(of_text)
    }
}

impl SeenEvents {
    /// Takes the data of one event.
    pub(super) fn add(&mut self, data: &[u8]) {
        if data.first() != Some(&b'{') {
            return;
        }
        self.total = self.total.saturating_add(data.len());
        self.is_full |= self.kept.len() + data.len() > KEPT_BYTES;
        if !self.is_full {
            self.kept.extend_from_slice(data);
        }
    }

    pub(super) fn output(&self) -> SeenOutput {
        let mut text = String::new();
        let events = serde_json::Deserializer::from_slice(&self.kept).into_iter::<Value>();
        events.map_while(Result::ok).for_each(|event| add_event(&event, &mut text));
        SeenOutput { text, kept: self.kept.len() as u64, total: self.total as u64 }
    }
}

/// Appends the model's words in an event of any vendor.
fn add_event(event: &Value, out: &mut String) {
    let list = |name: &str| event[name].as_array().into_iter().flatten();
    for choice in list("choices") {
        add_message(&choice["delta"], out);
        // Of a completion of a text.
        add_text(&choice["text"], out);
    }
    for candidate in list("candidates") {
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            add_text(&part["text"], out);
            add_text(&part["functionCall"]["name"], out);
            add_json(&part["functionCall"]["args"], out);
        }
    }
    match event["type"].as_str() {
        Some("content_block_start") => add_text(&event["content_block"]["name"], out),
        Some("content_block_delta") => {
            BLOCK_TEXTS.iter().for_each(|name| add_text(&event["delta"][name], out));
        }
        Some("response.output_item.added") => add_text(&event["item"]["name"], out),
        Some(kind) if kind.ends_with(".delta") => add_text(&event["delta"], out),
        Some(_) => {}
        // Ollama's lines have no type, and a message or a text of their own.
        None => {
            add_message(&event["message"], out);
            add_text(&event["response"], out);
        }
    }
}

fn add_message(message: &Value, out: &mut String) {
    CHAT_TEXTS.iter().for_each(|name| add_text(&message[name], out));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        add_text(&function["name"], out);
        add_text(&function["arguments"], out);
        add_json(&function["arguments"], out);
    }
}

fn add_text(value: &Value, out: &mut String) {
    out.push_str(value.as_str().unwrap_or_default());
}

/// Arguments that came as an object.
fn add_json(value: &Value, out: &mut String) {
    if value.is_object() {
        out.push_str(&value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(events: &[&str]) -> SeenOutput {
        let mut seen = SeenEvents::default();
        events.iter().for_each(|event| seen.add(event.as_bytes()));
        seen.output()
    }

    #[test]
    fn the_words_of_every_vendor_s_events_are_found_once() {
        let chat = seen(&[
            r#"{"choices":[{"delta":{"role":"assistant","content":"","reasoning_content":"hm "}}]}"#,
            r#"{"choices":[{"delta":{"content":"a b"}},{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}}]}}]}"#,
            "[DONE]",
        ]);
        assert_eq!(chat.text, r#"hm a bf{"x":1}"#);
        let completion = seen(&[r#"{"choices":[{"text":"a "}]}"#, r#"{"choices":[{"index":1,"text":"b"}]}"#]);
        assert_eq!(completion.text, "a b");
        let messages = seen(&[
            r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":9}}}"#,
            r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"long"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"t"}}"#,
        ]);
        assert_eq!(messages.text, "f{}hmt");
        let responses = seen(&[
            r#"{"type":"response.created","response":{"output":[]}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
            r#"{"type":"response.function_call_arguments.done","arguments":"{}"}"#,
            r#"{"type":"response.output_text.delta","delta":"t"}"#,
            r#"{"type":"response.output_text.done","text":"t"}"#,
        ]);
        assert_eq!(responses.text, "f{}t");
        let gemini = seen(&[
            r#"{"candidates":[{"content":{"parts":[{"text":"t"},{"functionCall":{"name":"f","args":{"x":1}}}]}}]}"#,
        ]);
        assert_eq!(gemini.text, r#"tf{"x":1}"#);
        let ollama = seen(&[
            r#"{"message":{"content":"t","thinking":"hm"}}"#,
            r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}}"#,
        ]);
        assert_eq!(ollama.text, r#"thmf{"x":1}"#);
        assert_eq!(seen(&[]), SeenOutput::default());
    }

    #[test]
    fn a_long_answer_is_kept_in_part_and_counted_in_proportion() {
        let event = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "word ".repeat(200));
        let mut seen = SeenEvents::default();
        let times = 4 * KEPT_BYTES / event.len();
        (0..times).for_each(|_| seen.add(event.as_bytes()));
        let output = seen.output();
        assert!(seen.kept.len() <= KEPT_BYTES && output.text.len() > KEPT_BYTES / 2);
        let words = output.text.split_whitespace().count() as u64;
        assert_eq!(output.tokens(words), 200 * times as u64);
    }
}
