//! What a test can script for the answer of one call.

use std::time::Duration;

/// Longer than any test: until the client leaves.
pub(crate) const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// How the answer of one call goes wrong, or comes in an unusual way. A *frame* is one event of a stream;
/// an answer that is no stream has one frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Nothing: the answer is good.
    None,
    /// This HTTP status with the vendor's own error body (400, 403, 404, 500, 503, 529, …).
    Status(u16),
    /// 429, with or without the header `Retry-After`.
    RateLimited(RetryAfter),
    /// The prompt is refused by the vendor's filter, in the vendor's form.
    PromptFiltered,
    /// The answer is broken off by the vendor's filter, in the vendor's form.
    AnswerFiltered,
    /// The vendor's error for a prompt beyond the model's window.
    ContextTooLong,
    /// Nothing at all for so long, then the good answer.
    StallBeforeHeaders(Duration),
    /// Status and headers, then nothing for so long, then the good body.
    StallBeforeFirstByte(Duration),
    /// So many frames, then nothing for so long, then the rest.
    StallAfter(usize, Duration),
    /// The connection ends in the middle.
    Cut(At, Cut),
    /// The stream ends in order as HTTP has it, but without its last frame (`[DONE]`, `message_stop`).
    MissingEnd,
    /// The vendor's own error event after so many frames of a stream that began well.
    ErrorAfter(usize),
    /// A body with the right content type that is no JSON; in a stream, its second frame.
    MalformedJson,
    /// Lines that are neither SSE nor NDJSON, in place of the second frame.
    MalformedFrames,
    /// A good answer that says nothing of what it used.
    MissingUsage,
    /// A page of HTML with this status, as proxies send it.
    Html(u16),
    /// Status 200 and no body.
    Empty,
    /// An answer whose text has so many bytes.
    Huge(usize),
    /// A good answer, so many bytes at a time with a pause between them.
    Drip(usize, Duration),
    /// A good answer, every byte a chunk of its own.
    EveryByte,
    /// A good answer in chunks of random lengths from this seed.
    Split(u64),
    /// A good stream written as SSE also allows: CR LF, comments, `id:` and `retry:` fields, no space
    /// after the colon. (NDJSON: CR LF and empty lines.)
    OddFrames,
    /// Exactly this.
    Say(SaidAnswer),
    /// Exactly this, and the body does not end.
    SayAndWait(SaidAnswer),
}

/// An answer word for word.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SaidAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
}

impl SaidAnswer {
    /// A good answer of this content type.
    pub(crate) fn good(content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status: 200, content_type, headers: Vec::new(), body: body.into() }
    }

    /// JSON with a status and headers.
    pub(crate) fn json(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &serde_json::Value,
    ) -> Self {
        let headers = headers.to_vec();
        Self { status, content_type: "application/json", headers, body: body.to_string() }
    }
}

impl Fault {
    /// Cut after the first of an answer's frames, or in the middle of its only one.
    pub(crate) const fn cut_half_way(how: Cut) -> Self {
        Self::Cut(At::After(1), how)
    }
}

/// Where a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Before the status line.
    BeforeHeaders,
    /// Between headers and body.
    BeforeFirstByte,
    /// After so many frames and half of the next one.
    After(usize),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// TCP FIN.
    Close,
    /// TCP RST.
    Reset,
}

/// What a 429 says of the time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// No header.
    Absent,
    /// Seconds.
    Seconds(u64),
    /// An HTTP date so many seconds from now.
    Date(u64),
}

impl RetryAfter {
    /// The header's value.
    pub(super) fn header(self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Date(seconds) => {
                let at = jiff::Timestamp::now() + Duration::from_secs(seconds);
                let utc = at.to_zoned(jiff::tz::TimeZone::UTC);
                Some(utc.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }
        }
    }
}
