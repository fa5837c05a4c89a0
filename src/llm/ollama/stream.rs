//! The stream: one object per line, the last one `done`.

use super::response::{OllamaResponse, call_id};
use crate::chat::ChatDelta;
use crate::dialect::AnswerDefaults;
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{self, ChunkHead};
use crate::stream::{self, DecodedItems};
use pas_domain::usage::TokenUsage;

/// The state so far.
pub(crate) struct OllamaDecoder {
    head: ChunkHead,
    has_begun: bool,
    calls: u32,
    is_over: bool,
    usage: Option<TokenUsage>,
}

impl OllamaDecoder {
    pub(crate) const fn new(asked: AnswerDefaults) -> Self {
        let head = ChunkHead { id: String::new(), asked };
        Self { head, has_begun: false, calls: 0, is_over: false, usage: None }
    }
}

impl stream::EventDecoder for OllamaDecoder {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.is_over {
            return Ok(());
        }
        let mut answer = OllamaResponse::read(data)?;
        let mut news = Vec::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            self.head.id = answer.id();
            self.head.model(answer.model.clone());
            news.push(message_parts::role());
        }
        if let Some(thinking) = answer.message.thinking.as_deref().filter(|text| !text.is_empty()) {
            news.push(message_parts::reasoning(thinking));
        }
        if !answer.message.content.is_empty() {
            news.push(message_parts::text(&answer.message.content));
        }
        for call in &mut answer.message.tool_calls {
            let id = call_id(call, &self.head.id, usize::try_from(self.calls).unwrap_or(usize::MAX));
            let arguments = exact_integers::text_of(&call.function.arguments());
            news.push(message_parts::call(self.calls, Some((id, call.function.name.clone())), arguments));
            self.calls += 1;
        }
        chunks.extend(news.into_iter().map(|delta| self.head.chunk(0, delta, None)));
        if answer.done {
            self.is_over = true;
            self.usage = answer.usage();
            let reason = answer.finish_reason(self.calls > 0);
            chunks.push(self.head.chunk(0, ChatDelta::default(), Some(reason)));
            chunks.extend(self.usage.map(|usage| self.head.usage_chunk(usage)));
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }
}
