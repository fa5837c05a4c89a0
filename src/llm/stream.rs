//! Decodes a vendor's stream into canonical chunks.
//!
//! Invariants: the chunks depend on the bytes alone, not on how the network divided them; after a failure
//! nothing more comes out; a stream is over only after the vendor's end marker, so bytes that merely
//! stop are a failure ([`VendorFailureKind::Cut`]).

use super::chat::{ChatChunk, StreamItem};
use super::failure::{VendorFailure, VendorFailureKind};
use super::seen_output::{SeenAnswer, SeenEvents};
use super::sse::{MAX_EVENT_BYTES, NotEvents, SseDecoder};
use super::vendor::Vendor;
use pas_domain::usage::TokenUsage;

/// The decoding of one vendor's events.
pub(super) trait EventDecoder: Send {
    /// Takes one event: its name (empty in formats without names) and its data.
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure>;

    /// Whether the vendor's end marker has come.
    fn is_over(&self) -> bool;

    /// Whether a body that ends in order here is a whole answer, although its end marker has not come.
    fn may_end(&self) -> bool {
        self.is_over()
    }

    /// The usage reported so far.
    fn usage(&self) -> Option<TokenUsage>;

    /// The vendor's last events, of a stream that is passed on: they go out when the call is settled.
    fn ending(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// Appends an event as server-sent events have it.
pub(super) fn frame(out: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name);
        out.push(b'\n');
    }
    for line in data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// The items decoded from events.
#[derive(Debug, Default)]
pub(super) struct DecodedItems(Vec<StreamItem>);

impl DecodedItems {
    /// A parsed chunk.
    pub(super) fn push(&mut self, chunk: ChatChunk) {
        self.0.push(StreamItem::Chunk(chunk));
    }

    /// An event that is passed on as it came.
    pub(super) fn pass(&mut self, name: &[u8], data: &[u8]) {
        if !matches!(self.0.last(), Some(StreamItem::Verbatim(_))) {
            self.0.push(StreamItem::Verbatim(Vec::with_capacity(name.len() + data.len() + FIELD_BYTES)));
        }
        if let Some(StreamItem::Verbatim(events)) = self.0.last_mut() {
            frame(events, name, data);
        }
    }
}

impl Extend<ChatChunk> for DecodedItems {
    fn extend<I: IntoIterator<Item = ChatChunk>>(&mut self, chunks: I) {
        self.0.extend(chunks.into_iter().map(StreamItem::Chunk));
    }
}

/// An event's overhead: `event: `, `data: ` and three line feeds.
const FIELD_BYTES: usize = 16;

pub struct StreamDecoder {
    vendor: Vendor,
    frames: StreamFraming,
    events: Box<dyn EventDecoder>,
    seen: SeenEvents,
    failure: Option<VendorFailure>,
}

/// The framing of a vendor's stream.
enum StreamFraming {
    Sse(SseDecoder),
    /// One JSON object per line.
    Lines(Vec<u8>),
}

impl StreamDecoder {
    pub(super) fn sse(vendor: Vendor, events: impl EventDecoder + 'static) -> Self {
        Self::framed(vendor, StreamFraming::Sse(SseDecoder::default()), events)
    }

    pub(super) fn lines(vendor: Vendor, events: impl EventDecoder + 'static) -> Self {
        Self::framed(vendor, StreamFraming::Lines(Vec::new()), events)
    }

    fn framed(vendor: Vendor, frames: StreamFraming, events: impl EventDecoder + 'static) -> Self {
        Self { vendor, frames, events: Box::new(events), seen: SeenEvents::default(), failure: None }
    }

    /// Takes more bytes. A failure is the last item.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<StreamItem, VendorFailure>> {
        if self.failure.is_some() {
            return Vec::new();
        }
        let mut chunks = DecodedItems::default();
        let result = match &mut self.frames {
            StreamFraming::Sse(sse) => sse.push(bytes, |name, data| {
                self.seen.add(data);
                self.events.take(name, data, &mut chunks).map_err(StreamError::Events)
            }),
            StreamFraming::Lines(line) => lines(line, bytes, |data| {
                self.seen.add(data);
                self.events.take(b"", data, &mut chunks).map_err(StreamError::Events)
            }),
        };
        let mut items: Vec<_> = chunks.0.into_iter().map(Ok).collect();
        if let Err(broken) = result {
            let failure = broken.failure(self.vendor);
            self.failure = Some(failure.clone());
            items.push(Err(failure));
        }
        items
    }

    /// Ends the stream; returns the usage, if the vendor reported it.
    ///
    /// # Errors
    /// [`VendorFailureKind::Cut`] when the answer is incomplete, [`VendorFailureKind::Malformed`] when the
    /// rest is not in the vendor's form, or the earlier failure of [`StreamDecoder::push`].
    pub fn finish(&mut self) -> Result<Option<TokenUsage>, VendorFailure> {
        if self.failure.is_none() {
            self.failure = self.fault_at_end();
        }
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.events.usage()),
        }
    }

    /// Ends a stream whose body ended in order: also whole without its end marker, where all was said.
    ///
    /// # Errors
    /// As [`StreamDecoder::finish`]'s.
    pub fn finish_body(&mut self) -> Result<Option<TokenUsage>, VendorFailure> {
        let is_between = match &self.frames {
            StreamFraming::Sse(sse) => sse.is_between_events(),
            StreamFraming::Lines(line) => line.is_empty(),
        };
        if self.failure.is_none() && is_between && self.events.may_end() {
            return Ok(self.events.usage());
        }
        self.finish()
    }

    /// The vendor's last events, of a stream that is passed on.
    pub fn ending(&mut self) -> Vec<u8> {
        self.events.ending()
    }

    /// The known part of the answer, should nobody wait for its end.
    #[must_use]
    pub fn seen(&self) -> SeenAnswer {
        let (usage, output) = (self.events.usage(), self.seen.output());
        SeenAnswer { usage, output, is_whole: self.is_whole() }
    }

    /// Whether the answer is whole, should no more bytes come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.failure.is_none() && self.events.is_over() && self.fault_at_end().is_none()
    }

    fn fault_at_end(&self) -> Option<VendorFailure> {
        let at_boundary = match &self.frames {
            StreamFraming::Sse(sse) => {
                if let Err(broken) = sse.check_rest() {
                    return Some(StreamError::Frames(broken).failure(self.vendor));
                }
                sse.is_between_events()
            }
            StreamFraming::Lines(line) => {
                if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(line)
                    && !error.is_eof()
                {
                    return Some(VendorFailure::malformed(
                        self.vendor,
                        "the last line of the stream is not JSON",
                    ));
                }
                line.is_empty()
            }
        };
        (!at_boundary || !self.events.is_over()).then(|| VendorFailure::cut(self.vendor))
    }
}

/// The faults of a stream.
enum StreamError {
    Frames(NotEvents),
    Events(VendorFailure),
}

impl From<NotEvents> for StreamError {
    fn from(broken: NotEvents) -> Self {
        Self::Frames(broken)
    }
}

impl StreamError {
    fn failure(self, vendor: Vendor) -> VendorFailure {
        match self {
            Self::Frames(broken) => VendorFailure::malformed(vendor, &broken.to_string()),
            Self::Events(failure) => failure,
        }
    }
}

/// Divides bytes into lines; skips blank ones.
fn lines(
    line: &mut Vec<u8>,
    mut bytes: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), StreamError>,
) -> Result<(), StreamError> {
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        line.extend_from_slice(&bytes[..end]);
        bytes = &bytes[end + 1..];
        check_length(line)?;
        if !line.trim_ascii().is_empty() {
            take(line)?;
        }
        line.clear();
    }
    line.extend_from_slice(bytes);
    check_length(line)
}

fn check_length(line: &[u8]) -> Result<(), StreamError> {
    if line.len() > MAX_EVENT_BYTES { Err(NotEvents::TooLong.into()) } else { Ok(()) }
}

impl VendorFailure {
    /// The stream stopped before the vendor's end marker.
    pub(super) fn cut(vendor: Vendor) -> Self {
        let message = format!("{}: the connection ended in the middle of the answer", vendor.title());
        Self::new(VendorFailureKind::Cut, message).costing()
    }

    /// An answer came, but not in the vendor's form.
    pub(super) fn malformed(vendor: Vendor, what: &str) -> Self {
        let message = format!("{}: the answer cannot be read: {what}", vendor.title());
        Self::new(VendorFailureKind::Malformed, message).costing()
    }

    /// The dialect cannot express the request.
    pub(super) fn unsupported(vendor: Vendor, what: &str) -> Self {
        Self::new(VendorFailureKind::Unsupported, format!("{}: {what}", vendor.title()))
    }

    /// The request is invalid for any vendor.
    pub(super) fn faulty(what: impl Into<String>) -> Self {
        Self::new(VendorFailureKind::BadRequest, what)
    }
}

#[cfg(test)]
mod tests;
