//! A vendor's refusal of a call, word for word.
//!
//! A client that speaks the vendor's protocol gets exactly this, with the vendor's headers; any other client gets a
//! sentence of PAS. Invariant: words about a credential are not kept, since some vendors repeat a part of it.

use hyper::header::HeaderMap;
use serde_json::Value;

use super::vendor::Vendor;

/// The member by which Anthropic's support finds a call.
const REQUEST_ID: &str = "request_id";

/// A vendor's error, by its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorRefusal {
    pub vendor: Vendor,
    /// The HTTP status, if it was no error inside of a stream.
    pub status: Option<u16>,
    /// The error's own members: `type`, `code`, `param`, `message` and whatever else.
    pub error: serde_json::Map<String, Value>,
    /// Members beside the error that name the call: Anthropic's `request_id`.
    pub beside: serde_json::Map<String, Value>,
    /// The headers that belong to the protocol.
    pub headers: HeaderMap,
    /// The event of a stream, as it came.
    pub event: Vec<u8>,
}

impl VendorRefusal {
    /// The error of a body: `{"error": {…}}`. `None` when a body has no such error.
    pub(super) fn of(vendor: Vendor, body: &Value) -> Option<Self> {
        let error = body.get("error")?.as_object()?.clone();
        error.get("message")?.as_str()?;
        let id = body.get(REQUEST_ID).filter(|id| id.is_string()).cloned();
        let beside = id.map(|id| (REQUEST_ID.to_owned(), id)).into_iter().collect();
        Some(Self { vendor, status: None, error, beside, headers: HeaderMap::new(), event: Vec::new() })
    }

    /// The vendor's sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        self.error.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// Hides a text (a key) wherever it stands.
    pub(super) fn hide(&mut self, secret: &str) {
        for value in self.error.values_mut() {
            if let Value::String(text) = value
                && text.contains(secret)
            {
                *text = text.replace(secret, "***");
            }
        }
        let event = String::from_utf8_lossy(&self.event);
        if event.contains(secret) {
            self.event = event.replace(secret, "***").into_bytes();
        }
    }
}
