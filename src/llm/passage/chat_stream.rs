//! The events of a stream of chat chunks, or of completions of a text, passed on.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{TEXT_COMPLETION, filled, in_said_tier, report_of};
use super::protocol::WireProtocol;
use super::request::PassedRequest;
use crate::dialect::AnswerDefaults;
use crate::failure::VendorFailure;
use crate::stream::{DecodedItems, EventDecoder, frame};
use crate::vendor::Vendor;
use crate::{openai, vendor_error};
use pas_domain::usage::TokenUsage;

/// The kind of a chunk.
const CHUNK: &str = "chat.completion.chunk";

/// The state so far.
pub(super) struct PassedChatDecoder {
    vendor: Vendor,
    asked: AnswerDefaults,
    /// The kind that a server of the user's may leave out.
    object: &'static str,
    /// Whether the client asked for the usage; else the chunk that only carries it is kept back.
    wants_usage: bool,
    has_finished: bool,
    is_done: bool,
    /// From the last chunk that had one: Grok repeats a growing sum.
    usage: Option<TokenUsage>,
}

#[derive(Deserialize)]
struct ChunkGlance<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Vec<ChoiceGlance<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChoiceGlance<'a> {
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

impl ChunkGlance<'_> {
    fn is_whole(&self) -> bool {
        let mut texts = [self.object, self.model].into_iter();
        let is_said = |value: Option<&RawValue>, unset: &str| value.is_some_and(|value| value.get() != unset);
        texts.all(|value| is_said(value, "\"\"")) && is_said(self.created, "0") && self.id.is_some()
    }
}

impl PassedChatDecoder {
    pub(super) fn new(vendor: Vendor, passed: &PassedRequest) -> Self {
        Self {
            vendor,
            asked: passed.defaults(),
            object: match passed.protocol() {
                WireProtocol::Completions => TEXT_COMPLETION,
                _ => CHUNK,
            },
            wants_usage: passed.original.wants_usage(),
            has_finished: false,
            is_done: false,
            usage: None,
        }
    }

    fn unread(&self, data: &[u8], what: &str) -> VendorFailure {
        vendor_error::in_answer(self.vendor, data)
            .map(|failure| failure.with_event(b"", data))
            .unwrap_or_else(|| VendorFailure::malformed(self.vendor, what))
    }
}

impl EventDecoder for PassedChatDecoder {
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.is_done {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|error| self.unread(data, &error.to_string()))?;
        let glance: ChunkGlance<'_> =
            serde_json::from_str(text).map_err(|error| self.unread(data, &error.to_string()))?;
        self.has_finished |= glance.choices.iter().any(|choice| choice.finish_reason.is_some());
        let usage = glance.usage.and_then(|report| report_of(WireProtocol::Chat, report.get()));
        let usage = usage.map(|usage| in_said_tier(usage, glance.service_tier));
        self.usage = usage.or(self.usage);
        if glance.choices.is_empty() && glance.usage.is_some() && !self.wants_usage {
            return Ok(());
        }
        let filled = if glance.is_whole() { None } else { filled(text, self.object, &self.asked) };
        chunks.pass(name, filled.as_ref().map_or(data, String::as_bytes));
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
        self.usage.map(|usage| usage.with_searches(openai::searches_of(&self.asked.model)))
    }

    fn ending(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        frame(&mut out, b"", b"[DONE]");
        out
    }
}
