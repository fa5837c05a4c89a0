//! Bytes of a vendor's stream in, canonical chunks out.
//!
//! Invariants: what comes out depends on the bytes alone, not on how the network divided them; after a
//! failure nothing more comes out; a stream is over only when the vendor said so, so bytes that merely
//! stop are a failure ([`FailureKind::Cut`]).

use super::chat::{ChatChunk, Said};
use super::failure::{Failure, FailureKind};
use super::sse::{MAX_EVENT_BYTES, NotEvents, Sse};
use super::vendor::Vendor;
use crate::domain::usage::Usage;

/// What one vendor makes of its events.
pub(super) trait Events: Send {
    /// Takes one event: its name (empty in formats without names) and its data.
    fn take(&mut self, name: &[u8], data: &[u8], chunks: &mut Chunks) -> Result<(), Failure>;

    /// Whether the vendor has said that the answer is over.
    fn is_over(&self) -> bool;

    /// What the call used, as far as the vendor has said.
    fn usage(&self) -> Option<Usage>;
}

/// What a vendor's events come to.
#[derive(Debug, Default)]
pub(super) struct Chunks(Vec<Said>);

impl Chunks {
    /// A chunk that was read.
    pub(super) fn push(&mut self, chunk: ChatChunk) {
        self.0.push(Said::Chunk(chunk));
    }

    /// An event in OpenAI's form that needs no change; its data is one line.
    pub(super) fn pass(&mut self, data: &[u8]) {
        if !matches!(self.0.last(), Some(Said::Verbatim(_))) {
            self.0.push(Said::Verbatim(Vec::with_capacity(data.len() + FIELD_BYTES)));
        }
        if let Some(Said::Verbatim(text)) = self.0.last_mut() {
            text.extend_from_slice(b"data: ");
            text.extend_from_slice(data);
            text.extend_from_slice(b"\n\n");
        }
    }
}

impl Extend<ChatChunk> for Chunks {
    fn extend<I: IntoIterator<Item = ChatChunk>>(&mut self, chunks: I) {
        self.0.extend(chunks.into_iter().map(Said::Chunk));
    }
}

/// What an event has beside its data: `data: ` and two line feeds.
const FIELD_BYTES: usize = 8;

pub struct Decoder {
    vendor: Vendor,
    frames: Frames,
    events: Box<dyn Events>,
    failure: Option<Failure>,
}

/// How the vendor divides its stream.
enum Frames {
    Sse(Sse),
    /// One JSON object a line.
    Lines(Vec<u8>),
}

impl Decoder {
    pub(super) fn sse(vendor: Vendor, events: impl Events + 'static) -> Self {
        Self { vendor, frames: Frames::Sse(Sse::default()), events: Box::new(events), failure: None }
    }

    pub(super) fn lines(vendor: Vendor, events: impl Events + 'static) -> Self {
        Self { vendor, frames: Frames::Lines(Vec::new()), events: Box::new(events), failure: None }
    }

    /// Takes more bytes. A failure is the last item that ever comes out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Said, Failure>> {
        if self.failure.is_some() {
            return Vec::new();
        }
        let mut chunks = Chunks::default();
        let result = match &mut self.frames {
            Frames::Sse(sse) => sse
                .push(bytes, |name, data| self.events.take(name, data, &mut chunks).map_err(Broken::Events)),
            Frames::Lines(line) => {
                lines(line, bytes, |data| self.events.take(b"", data, &mut chunks).map_err(Broken::Events))
            }
        };
        let mut items: Vec<_> = chunks.0.into_iter().map(Ok).collect();
        if let Err(broken) = result {
            let failure = broken.failure(self.vendor);
            self.failure = Some(failure.clone());
            items.push(Err(failure));
        }
        items
    }

    /// The stream has ended: what the call used, if the vendor said so.
    ///
    /// # Errors
    /// [`FailureKind::Cut`] when the answer is not whole, [`FailureKind::Malformed`] when what is left is
    /// not the vendor's form, or again the failure that [`Decoder::push`] gave.
    pub fn finish(&mut self) -> Result<Option<Usage>, Failure> {
        if self.failure.is_none() {
            self.failure = self.fault_at_end();
        }
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.events.usage()),
        }
    }

    /// Whether the answer is whole, should no more bytes come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.failure.is_none() && self.events.is_over() && self.fault_at_end().is_none()
    }

    fn fault_at_end(&self) -> Option<Failure> {
        let at_boundary = match &self.frames {
            Frames::Sse(sse) => {
                if let Err(broken) = sse.check_rest() {
                    return Some(Broken::Frames(broken).failure(self.vendor));
                }
                sse.is_between_events()
            }
            Frames::Lines(line) => {
                if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(line)
                    && !error.is_eof()
                {
                    return Some(Failure::malformed(self.vendor, "the last line of the stream is not JSON"));
                }
                line.is_empty()
            }
        };
        (!at_boundary || !self.events.is_over()).then(|| Failure::cut(self.vendor))
    }
}

/// What can be wrong with a stream.
enum Broken {
    Frames(NotEvents),
    Events(Failure),
}

impl From<NotEvents> for Broken {
    fn from(broken: NotEvents) -> Self {
        Self::Frames(broken)
    }
}

impl Broken {
    fn failure(self, vendor: Vendor) -> Failure {
        match self {
            Self::Frames(broken) => Failure::malformed(vendor, &broken.to_string()),
            Self::Events(failure) => failure,
        }
    }
}

/// Divides bytes into lines; blank ones are passed over.
fn lines(
    line: &mut Vec<u8>,
    mut bytes: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
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

fn check_length(line: &[u8]) -> Result<(), Broken> {
    if line.len() > MAX_EVENT_BYTES { Err(NotEvents::TooLong.into()) } else { Ok(()) }
}

impl Failure {
    /// The vendor's stream stopped before the vendor said that it is over.
    pub(super) fn cut(vendor: Vendor) -> Self {
        let message = format!("{}: the connection ended in the middle of the answer", vendor.title());
        Self::new(FailureKind::Cut, message).costing()
    }

    /// An answer came, but not in the vendor's form.
    pub(super) fn malformed(vendor: Vendor, what: &str) -> Self {
        let message = format!("{}: the answer cannot be read: {what}", vendor.title());
        Self::new(FailureKind::Malformed, message).costing()
    }

    /// The dialect cannot express the request.
    pub(super) fn unsupported(vendor: Vendor, what: &str) -> Self {
        Self::new(FailureKind::Unsupported, format!("{}: {what}", vendor.title()))
    }

    /// The request itself makes no sense, whatever the vendor.
    pub(super) fn faulty(what: impl Into<String>) -> Self {
        Self::new(FailureKind::BadRequest, what)
    }
}

#[cfg(test)]
mod tests;
