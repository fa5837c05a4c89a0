//! The events of a stream of Anthropic's messages, passed on.

use std::borrow::Cow;

use serde::Deserialize;

use crate::anthropic::response::AnthropicUsage;
use crate::failure::VendorFailure;
use crate::stream::{DecodedItems, EventDecoder, frame};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

const VENDOR: Vendor = Vendor::Anthropic;

/// The state so far.
#[derive(Default)]
pub(super) struct PassedMessagesDecoder {
    usage: Option<AnthropicUsage>,
    ending: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct MessagesEventGlance<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    /// In `message_start`.
    #[serde(default)]
    message: Option<MessageGlance>,
    /// In `message_delta`.
    #[serde(default)]
    usage: Option<AnthropicUsage>,
}

#[derive(Deserialize)]
struct MessageGlance {
    #[serde(default)]
    usage: Option<AnthropicUsage>,
}

impl EventDecoder for PassedMessagesDecoder {
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.ending.is_some() {
            return Ok(());
        }
        let glance: MessagesEventGlance<'_> = serde_json::from_slice(data)
            .map_err(|error| VendorFailure::malformed(VENDOR, &error.to_string()))?;
        if glance.kind == "error" {
            let unknown = || VendorFailure::malformed(VENDOR, "an error event without an error");
            let failure = vendor_error::in_answer(VENDOR, data).unwrap_or_else(unknown);
            return Err(failure.with_event(name, data));
        }
        if let Some(later) = glance.message.and_then(|message| message.usage).or(glance.usage) {
            self.usage = Some(self.usage.unwrap_or_default().updated(later));
        }
        if glance.kind == "message_stop" {
            let mut out = Vec::new();
            frame(&mut out, name, data);
            self.ending = Some(out);
        } else {
            chunks.pass(name, data);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage.and_then(|usage| usage.usage())
    }

    fn ending(&mut self) -> Vec<u8> {
        self.ending.clone().unwrap_or_default()
    }
}
