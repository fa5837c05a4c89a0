//! The stream: chunks as server-sent events, ended by `[DONE]`.

use super::repair::ChunkRepair;
use super::response::{fill, in_tier, known_usage};
use super::searches_of;
use crate::chat::ChatChunk;
use crate::dialect::AnswerDefaults;
use crate::failure::VendorFailure;
use crate::stream::{self, DecodedItems};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

/// The state so far.
pub(crate) struct OpenAiDecoder {
    vendor: Vendor,
    asked: AnswerDefaults,
    repair: ChunkRepair,
    has_finished: bool,
    is_done: bool,
    /// From the last chunk that had one: Grok repeats a growing sum.
    usage: Option<TokenUsage>,
}

impl OpenAiDecoder {
    pub(crate) fn new(vendor: Vendor, asked: AnswerDefaults) -> Self {
        Self {
            vendor,
            asked,
            repair: ChunkRepair::default(),
            has_finished: false,
            is_done: false,
            usage: None,
        }
    }
}

impl OpenAiDecoder {
    fn read(&mut self, data: &[u8]) -> Result<ChatChunk, VendorFailure> {
        serde_json::from_slice(data).or_else(|error| {
            let unread = || {
                vendor_error::in_answer(self.vendor, data)
                    .unwrap_or_else(|| VendorFailure::malformed(self.vendor, &error.to_string()))
            };
            let text = std::str::from_utf8(data).map_err(|_| unread())?;
            serde_json::from_str(&self.repair.join_halves(text)).map_err(|_| unread())
        })
    }
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
        let mut chunk = self.read(data)?;
        self.repair.repair(&mut chunk);
        fill(&mut chunk.object, "chat.completion.chunk");
        fill(&mut chunk.model, &self.asked.model);
        if chunk.created == 0 {
            chunk.created = self.asked.created;
        }
        self.has_finished |= chunk.choices.iter().any(|choice| choice.finish_reason.is_some());
        let usage = known_usage(&mut chunk.usage).map(|usage| in_tier(usage, &chunk.extra));
        self.usage = usage.or(self.usage);
        chunks.push(chunk);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_done
    }

    /// Servers that end the body after the finish reason and the usage have said all there is to say.
    fn may_end(&self) -> bool {
        self.is_done || self.has_finished && self.usage.is_some()
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage.map(|usage| usage.with_searches(searches_of(&self.asked.model)))
    }
}
