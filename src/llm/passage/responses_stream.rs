//! The events of a stream of responses, passed on.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{in_said_tier, report_of};
use super::protocol::WireProtocol;
use super::searches;
use crate::failure::VendorFailure;
use crate::stream::{DecodedItems, EventDecoder, frame};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

/// The state so far.
pub(super) struct PassedResponsesDecoder {
    vendor: Vendor,
    usage: Option<TokenUsage>,
    ending: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct ResponsesEventGlance<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    /// In the events of a whole response.
    #[serde(borrow, default)]
    response: Option<ResponseUsageGlance<'a>>,
}

#[derive(Deserialize)]
struct ResponseUsageGlance<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl PassedResponsesDecoder {
    pub(super) const fn new(vendor: Vendor) -> Self {
        Self { vendor, usage: None, ending: None }
    }

    /// The vendor's failure: beside the event's type, or inside a failed response.
    fn failure(&self, name: &[u8], data: &[u8], inside: Option<&RawValue>) -> VendorFailure {
        let error = inside.map_or_else(|| String::from_utf8_lossy(data), |error| error.get().into());
        let whole = if inside.is_none() && memchr::memmem::find(data, b"\"error\":").is_some() {
            error.into_owned()
        } else {
            format!("{{\"error\":{error}}}")
        };
        vendor_error::in_answer(self.vendor, whole.as_bytes())
            .unwrap_or_else(|| VendorFailure::malformed(self.vendor, "an error event without an error"))
            .with_event(name, data)
    }
}

impl EventDecoder for PassedResponsesDecoder {
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.ending.is_some() || data == b"[DONE]" {
            return Ok(());
        }
        let unread = |error: &dyn std::fmt::Display| {
            vendor_error::in_answer(self.vendor, data)
                .unwrap_or_else(|| VendorFailure::malformed(self.vendor, &error.to_string()))
        };
        let text = std::str::from_utf8(data).map_err(|error| unread(&error))?;
        let glance: ResponsesEventGlance<'_> = serde_json::from_str(text).map_err(|error| unread(&error))?;
        let response = glance.response.as_ref();
        let report = response.and_then(|response| response.usage);
        let usage = report.and_then(|report| report_of(WireProtocol::Responses, report.get()));
        let tier = response.and_then(|response| response.service_tier);
        let items = response.and_then(|response| response.output).map(RawValue::get);
        let searches = items.map(searches::of_output).unwrap_or_default();
        let usage = usage.map(|usage| in_said_tier(usage, tier).with_searches(searches));
        self.usage = usage.or(self.usage);
        match &*glance.kind {
            "error" => return Err(self.failure(name, data, None)),
            "response.failed" if self.usage.is_none() => {
                return Err(self.failure(name, data, response.and_then(|response| response.error)));
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let mut out = Vec::new();
                frame(&mut out, name, data);
                self.ending = Some(out);
            }
            _ => chunks.pass(name, data),
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }

    fn ending(&mut self) -> Vec<u8> {
        self.ending.clone().unwrap_or_default()
    }
}
