//! The stream: chunks as server-sent events, ended by `[DONE]`.

use super::glance::ResponseGlance;
use super::response::{fill, known_usage};
use crate::domain::usage::TokenUsage;
use crate::llm::chat::ChatChunk;
use crate::llm::dialect::AnswerDefaults;
use crate::llm::failure::VendorFailure;
use crate::llm::stream::{self, DecodedItems};
use crate::llm::vendor::Vendor;
use crate::llm::vendor_error;

/// The state so far.
pub(in crate::llm) struct OpenAiDecoder {
    vendor: Vendor,
    asked: AnswerDefaults,
    is_verbatim: bool,
    is_done: bool,
    /// From the last chunk that had one: Grok repeats a growing sum.
    usage: Option<TokenUsage>,
}

impl OpenAiDecoder {
    /// With `is_verbatim`, events that need no change pass unchanged.
    pub(in crate::llm) const fn new(vendor: Vendor, asked: AnswerDefaults, is_verbatim: bool) -> Self {
        Self { vendor, asked, is_verbatim, is_done: false, usage: None }
    }
}

/// Multi-line data would need one field per line.
fn is_line(data: &[u8]) -> bool {
    !data.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

impl stream::EventDecoder for OpenAiDecoder {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.is_done {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        if self.is_verbatim
            && ResponseGlance::at(data).is_some_and(|glance| glance.usage.is_none())
            && is_line(data)
        {
            chunks.pass(data);
            return Ok(());
        }
        let mut chunk: ChatChunk = serde_json::from_slice(data).map_err(|error| {
            vendor_error::in_answer(self.vendor, data)
                .unwrap_or_else(|| VendorFailure::malformed(self.vendor, &error.to_string()))
        })?;
        fill(&mut chunk.object, "chat.completion.chunk");
        fill(&mut chunk.model, &self.asked.model);
        if chunk.created == 0 {
            chunk.created = self.asked.created;
        }
        self.usage = known_usage(&mut chunk.usage).or(self.usage);
        chunks.push(chunk);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_done
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }
}
