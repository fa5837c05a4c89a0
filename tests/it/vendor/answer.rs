//! An answer before it goes out: status, headers, and its frames.

use axum::http::StatusCode;
use serde_json::Value;

use super::fault::RetryAfter;

/// What a dialect wants to send.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: Kind,
    /// Beside the content type.
    pub(super) headers: Vec<(&'static str, String)>,
    /// One an event; an answer that is no stream has one.
    pub(super) frames: Vec<String>,
    /// How the vendor tells of an error after the stream began.
    pub(super) trouble: String,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Sse,
    Ndjson,
    Html,
}

impl Kind {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    pub(super) const fn is_stream(self) -> bool {
        matches!(self, Self::Sse | Self::Ndjson)
    }
}

impl Answer {
    /// A good answer that is one document.
    pub(super) fn json(body: &Value) -> Self {
        Self::with_status(200, body)
    }

    /// One document with any status.
    pub(super) fn with_status(status: u16, body: &Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status between 100 and 999"),
            kind: Kind::Json,
            headers: Vec::new(),
            frames: vec![body.to_string()],
            trouble: String::new(),
        }
    }

    /// A stream that goes well; `trouble` is the frame to send should a test want it to fail.
    pub(super) fn stream(kind: Kind, frames: Vec<String>, trouble: String) -> Self {
        Self { status: StatusCode::OK, kind, headers: Vec::new(), frames, trouble }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the header `Retry-After`, if there is to be one.
    pub(super) fn with_retry_after(self, after: RetryAfter) -> Self {
        match after.header() {
            Some(value) => self.header("retry-after", value),
            None => self,
        }
    }
}
