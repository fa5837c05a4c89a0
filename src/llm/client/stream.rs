//! A stream of chunks from a vendor.
//!
//! Invariants: it ends cleanly only when the vendor said that the answer is over; a failure is its last
//! item. Dropping it closes the connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::Response;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Deadlines, fault, mask};
use crate::domain::usage::Usage;
use crate::llm::chat::Said;
use crate::llm::endpoint::Endpoint;
use crate::llm::failure::Failure;
use crate::llm::stream::Decoder;

/// Longest stream: far beyond the longest answers of models, a guard against one that never ends.
const MAX_STREAM_BYTES: usize = 256 << 20;
/// Wait for the end of the connection's answer once the vendor said that it is over, so that the
/// connection can be used again.
const LINGER: Duration = Duration::from_millis(100);

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Chunks, then the usage.
pub struct ChunkStream {
    endpoint: Endpoint,
    decoder: Decoder,
    /// `None` once the stream is over.
    body: Option<Body>,
    ready: VecDeque<Result<Said, Failure>>,
    received: usize,
    first_byte: Duration,
    idle: Duration,
    overall: Instant,
    /// When it has taken too long.
    due: Instant,
    /// Set to [`Self::due`] or before: moving it with every piece costs more than a look when it fires.
    timer: Pin<Box<Sleep>>,
    usage: Option<Usage>,
}

impl ChunkStream {
    /// Waits for the first chunk.
    pub(super) async fn begin(
        endpoint: &Endpoint,
        response: Response,
        decoder: Decoder,
        deadlines: &Deadlines,
        started: Instant,
    ) -> Result<Self, Failure> {
        let overall = started + deadlines.overall;
        let first_byte = deadlines.first_byte.min(deadlines.overall);
        let mut stream = Self {
            endpoint: endpoint.clone(),
            decoder,
            body: Some(Box::pin(response.bytes_stream())),
            ready: VecDeque::new(),
            received: 0,
            first_byte,
            idle: deadlines.idle,
            overall,
            due: started + first_byte,
            timer: Box::pin(sleep_until(started + first_byte)),
            usage: None,
        };
        if let Some(first) = stream.next().await {
            stream.ready.push_front(Ok(first?));
        }
        Ok(stream)
    }

    /// What the call used; known after a clean end, if the vendor said so.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received = self.received.saturating_add(bytes.len());
        if self.received > MAX_STREAM_BYTES {
            let failure = Failure::malformed(self.endpoint.vendor(), "the stream is longer than 256 MiB");
            return self.fail(failure);
        }
        for item in self.decoder.push(bytes) {
            match item {
                Ok(said) => self.ready.push_back(Ok(said)),
                Err(failure) => self.fail(failure),
            }
        }
        let patience = if self.decoder.is_whole() { LINGER } else { self.idle };
        self.due = (Instant::now() + patience).min(self.overall);
    }

    fn fail(&mut self, failure: Failure) {
        self.ready.push_back(Err(mask(failure, &self.endpoint)));
        self.body = None;
    }

    /// No more bytes come; an answer that is whole is whole, whatever ended the connection.
    fn end(&mut self, otherwise: Option<Failure>) {
        match self.decoder.finish() {
            Ok(usage) => {
                self.usage = usage;
                self.body = None;
            }
            Err(failure) => self.fail(otherwise.unwrap_or(failure)),
        }
    }

    fn time_is_up(&mut self) {
        let vendor = self.endpoint.vendor();
        let failure = match self.received {
            0 => fault::first_byte_timeout(vendor, self.first_byte),
            _ => fault::body_timeout(vendor),
        };
        self.end(Some(failure));
    }
}

impl Stream for ChunkStream {
    type Item = Result<Said, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => this.take(&bytes),
                Poll::Ready(Some(Err(_)) | None) => this.end(None),
                Poll::Pending => {
                    if this.timer.deadline() > this.due || this.timer.is_elapsed() {
                        this.timer.as_mut().reset(this.due);
                    }
                    ready!(this.timer.as_mut().poll(context));
                    if this.due <= Instant::now() {
                        this.time_is_up();
                    }
                }
            }
        }
    }
}
