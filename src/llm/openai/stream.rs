//! The stream: chunks as server-sent events, ended by `[DONE]`.

use super::glance::Glance;
use super::response::{fill, known_usage};
use crate::domain::usage::Usage;
use crate::llm::chat::ChatChunk;
use crate::llm::dialect::Asked;
use crate::llm::failure::Failure;
use crate::llm::refusal;
use crate::llm::stream::{self, Chunks};
use crate::llm::vendor::Vendor;

/// What has come so far.
pub(in crate::llm) struct Events {
    vendor: Vendor,
    asked: Asked,
    is_verbatim: bool,
    is_done: bool,
    /// Of the last chunk that had one: Grok repeats a growing sum.
    usage: Option<Usage>,
}

impl Events {
    /// With `is_verbatim`, what needs no change passes as it came.
    pub(in crate::llm) const fn new(vendor: Vendor, asked: Asked, is_verbatim: bool) -> Self {
        Self { vendor, asked, is_verbatim, is_done: false, usage: None }
    }
}

/// Data of several lines would need as many fields.
fn is_line(data: &[u8]) -> bool {
    !data.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

impl stream::Events for Events {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut Chunks) -> Result<(), Failure> {
        if self.is_done {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        if self.is_verbatim && Glance::at(data).is_some_and(|glance| glance.usage.is_none()) && is_line(data)
        {
            chunks.pass(data);
            return Ok(());
        }
        let mut chunk: ChatChunk = serde_json::from_slice(data).map_err(|error| {
            refusal::in_answer(self.vendor, data)
                .unwrap_or_else(|| Failure::malformed(self.vendor, &error.to_string()))
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

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}
