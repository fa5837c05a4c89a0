//! OpenAI's chat completions: the canonical form itself, so that only streams need a writer.
//!
//! Source: OpenAI's API reference "Chat streaming". A stream ends with `data: [DONE]`; before that, a chunk
//! without choices has the usage, if the client asked for it.

use super::super::chat::ChatChunk;
use super::{ApiFormat, ApiProblem, InboundWriter, data_line, usage};
use pas_domain::usage::TokenUsage;

/// Writes chunks as server-sent events.
#[derive(Debug)]
pub struct ChatWriter {
    wants_usage: bool,
    /// Id, creation and model of the stream, for the chunk of the usage.
    head: Option<ChatChunk>,
}

impl ChatWriter {
    /// A writer for a client that asked for the usage, or did not.
    #[must_use]
    pub const fn new(wants_usage: bool) -> Self {
        Self { wants_usage, head: None }
    }
}

impl InboundWriter for ChatWriter {
    fn chunk(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        if self.head.is_none() {
            let extra = serde_json::Map::new();
            self.head = Some(ChatChunk { choices: Vec::new(), usage: None, extra, ..chunk.clone() });
        }
        if chunk.usage.is_none() {
            data_line(out, chunk);
        } else if !chunk.choices.is_empty() {
            // A vendor may send usage with the last text: the text goes out now, the usage at the end.
            data_line(out, &ChatChunk { usage: None, ..chunk.clone() });
        }
    }

    fn finish(&mut self, used: Option<&TokenUsage>, out: &mut Vec<u8>) {
        if let (true, Some(head), Some(used)) = (self.wants_usage, self.head.take(), used) {
            data_line(out, &ChatChunk { usage: Some(usage::chat(used)), ..head });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        data_line(out, &problem.body(ApiFormat::OpenAi));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chunk, text_chunk, written};
    use super::super::{ApiProblem, ProblemKind};
    use super::*;

    #[test]
    fn usage_comes_last_and_only_to_those_who_asked() {
        let mut ended = chunk(serde_json::json!({}), Some("stop"));
        ended.usage = Some(usage::chat(&TokenUsage { input: 3, output: 2, ..TokenUsage::default() }));
        let chunks = [text_chunk("Hi"), ended];
        let used = TokenUsage { input: 3, output: 2, ..TokenUsage::default() };
        let with = written(&mut ChatWriter::new(true), &chunks, Ok(Some(&used)));
        assert_eq!(with.matches("\"usage\"").count(), 1, "{with}");
        assert!(with.contains(r#""choices":[],"usage":{"prompt_tokens":3"#), "{with}");
        assert!(with.ends_with("data: [DONE]\n\n"));
        let without = written(&mut ChatWriter::new(false), &chunks, Ok(Some(&used)));
        assert!(!without.contains("\"usage\""), "{without}");
        assert!(without.contains(r#""finish_reason":"stop""#));
    }

    #[test]
    fn a_cut_is_told_and_nothing_is_done() {
        let problem = ApiProblem::new(ProblemKind::Cut, "the connection ended in the middle");
        let text = written(&mut ChatWriter::new(true), &[text_chunk("Hi")], Err(&problem));
        assert!(!text.contains("[DONE]"), "{text}");
        let last: serde_json::Value = text
            .trim_end()
            .rsplit_once("data: ")
            .map(|(_, last)| serde_json::from_str(last).unwrap())
            .unwrap();
        assert_eq!((&last["error"]["code"], last.get("choices")), (&"stream_cut".into(), None), "{text}");
    }
}
