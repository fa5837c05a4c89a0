//! A stream of chunks from a vendor.
//!
//! Invariants: a stream ends cleanly only after the vendor's end marker; a failure is the last item. Dropping
//! the stream closes the connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use tokio::time::{Instant, Sleep, sleep_until};

use super::transport::VendorResponse;
use super::{CallDeadlines, fault, mask};
use crate::chat::StreamItem;
use crate::endpoint::VendorEndpoint;
use crate::failure::VendorFailure;
use crate::seen_output::SeenAnswer;
use crate::stream::StreamDecoder;
use pas_domain::usage::TokenUsage;

/// Longest stream: far beyond the longest answers of models, a guard against one that never ends.
const MAX_STREAM_BYTES: usize = 256 << 20;
/// Wait for the end of the HTTP body after the vendor's end marker, so that the connection can be reused.
const LINGER: Duration = Duration::from_millis(100);

/// Chunks, then the usage.
pub struct ChunkStream {
    endpoint: VendorEndpoint,
    decoder: StreamDecoder,
    /// `None` once the stream is over.
    body: Option<Incoming>,
    ready: VecDeque<Result<StreamItem, VendorFailure>>,
    received: usize,
    first_byte: Duration,
    idle: Duration,
    overall: Instant,
    /// The overall deadline.
    due: Instant,
    /// Set to [`Self::due`] or before: moving it with every chunk costs more than a check when it fires.
    timer: Pin<Box<Sleep>>,
    usage: Option<TokenUsage>,
    /// The vendor's headers for the client, of a stream that is passed on.
    headers: HeaderMap,
}

impl ChunkStream {
    /// Waits for the first chunk.
    pub(super) async fn begin(
        endpoint: &VendorEndpoint,
        response: VendorResponse,
        decoder: StreamDecoder,
        deadlines: &CallDeadlines,
        started: Instant,
    ) -> Result<Self, VendorFailure> {
        let overall = started + deadlines.overall;
        let first_byte = deadlines.first_byte.min(deadlines.overall);
        let mut stream = Self {
            endpoint: endpoint.clone(),
            decoder,
            body: Some(response.into_body()),
            ready: VecDeque::new(),
            received: 0,
            first_byte,
            idle: deadlines.idle,
            overall,
            due: started + first_byte,
            timer: Box::pin(sleep_until(started + first_byte)),
            usage: None,
            headers: HeaderMap::new(),
        };
        if let Some(first) = stream.next().await {
            stream.ready.push_front(Ok(first?));
        }
        Ok(stream)
    }

    pub(super) fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// The vendor's headers for the client, of a stream that is passed on.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The vendor's last events, of a stream that is passed on and has ended.
    pub fn ending(&mut self) -> Vec<u8> {
        self.decoder.ending()
    }

    /// The call's usage; known after a clean end, if the vendor reported it.
    #[must_use]
    pub const fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }

    /// Ends the stream here and closes its connection; returns the known part of the answer, including bytes that
    /// have already arrived.
    #[must_use]
    pub fn leave(mut self) -> SeenAnswer {
        let has_ended = loop {
            match self.next().now_or_never() {
                Some(Some(Ok(_))) => {}
                other => break matches!(other, Some(None)),
            }
        };
        let seen = self.decoder.seen();
        SeenAnswer { is_whole: seen.is_whole || has_ended, ..seen }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received = self.received.saturating_add(bytes.len());
        if self.received > MAX_STREAM_BYTES {
            let failure =
                VendorFailure::malformed(self.endpoint.vendor(), "the stream is longer than 256 MiB");
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

    fn fail(&mut self, failure: VendorFailure) {
        self.ready.push_back(Err(mask(failure, &self.endpoint)));
        self.body = None;
    }

    /// No more bytes come; a complete answer stays complete, however the connection ended.
    fn end(&mut self, otherwise: Option<VendorFailure>) {
        let ended = self.decoder.finish();
        self.close(ended, otherwise);
    }

    fn close(&mut self, ended: Result<Option<TokenUsage>, VendorFailure>, otherwise: Option<VendorFailure>) {
        match ended {
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
    type Item = Result<StreamItem, VendorFailure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match Pin::new(body).poll_frame(context) {
                // Trailers say nothing to a client.
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(bytes) = frame.data_ref() {
                        this.take(bytes);
                    }
                }
                Poll::Ready(Some(Err(_))) => this.end(None),
                Poll::Ready(None) => {
                    let ended = this.decoder.finish_body();
                    this.close(ended, None);
                }
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
