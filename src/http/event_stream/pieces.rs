//! Texts sent into an answer's body piece by piece.
//!
//! hyper accepts pieces only while its buffer has room, and a client that reads nothing leaves the buffer
//! full. So a piece is a small copy, and between two pieces only an event's number is kept, not the event.
//! Invariant: a stalled answer costs one connection's buffer, whatever the content. Failure policy: an event
//! evicted from memory half-sent breaks the answer, and the client resumes from the last number seen.

use std::ops::Range;

use axum::body::Bytes;

use crate::actors::event_stream::{EventCache, EventText};

/// Bytes per piece; hyper buffers at most sixteen pieces.
const PIECE: usize = 4 * 1024;

/// The event was evicted from memory when only partly sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too slow: an event was evicted from memory before it was sent")]
pub(super) struct EventEvictedError;

/// A text in transfer.
#[derive(Debug)]
pub(super) struct PartialText {
    source: PartialTextSource,
    left: Range<usize>,
    before: String,
    after: &'static str,
    is_begun: bool,
}

#[derive(Debug)]
enum PartialTextSource {
    /// An event in memory.
    Memory(u64),
    /// This client's own text (small, or within the catch-up budget), or a shared one.
    Own(Bytes),
}

impl PartialText {
    /// An event as a packet of Socket.IO.
    pub(super) fn packet(event: &EventText) -> Self {
        Self::event(event, 0..event.packet().len(), String::new(), "")
    }

    /// An event's JSON, between two texts.
    pub(super) fn json(event: &EventText, before: String, after: &'static str) -> Self {
        Self::event(event, event.json_range(), before, after)
    }

    pub(super) fn own(text: Bytes) -> Self {
        let left = 0..text.len();
        Self { source: PartialTextSource::Own(text), left, before: String::new(), after: "", is_begun: false }
    }

    fn event(event: &EventText, left: Range<usize>, before: String, after: &'static str) -> Self {
        let source = if event.is_in_memory() {
            PartialTextSource::Memory(event.seq)
        } else {
            PartialTextSource::Own(event.packet().clone())
        };
        Self { source, left, before, after, is_begun: false }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self, board: &EventCache) -> Result<Option<Bytes>, EventEvictedError> {
        if self.is_begun && self.left.is_empty() {
            return Ok(None);
        }
        let whole = match &self.source {
            PartialTextSource::Memory(seq) => board.text(*seq).ok_or(EventEvictedError)?.packet().clone(),
            PartialTextSource::Own(text) => text.clone(),
        };
        let end = self.left.end.min(self.left.start + PIECE);
        let mut piece = std::mem::take(&mut self.before).into_bytes();
        piece.extend_from_slice(whole.get(self.left.start..end).unwrap_or_default());
        (self.left.start, self.is_begun) = (end, true);
        if self.left.is_empty() {
            piece.extend_from_slice(self.after.as_bytes());
        }
        Ok(Some(piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_text() {
        let board = EventCache::default();
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE] {
            let text = vec![b'x'; length];
            let mut hand = PartialText::own(text.clone().into());
            (hand.before, hand.after) = ("<".into(), ">");
            let mut all = Vec::new();
            while let Some(piece) = hand.next(&board).unwrap() {
                assert!(piece.len() <= PIECE + 2);
                all.extend_from_slice(&piece);
            }
            assert_eq!(all, [b"<", &text[..], b">"].concat());
        }
    }

    #[test]
    fn an_event_that_is_not_in_memory_any_more_ends_it() {
        let hand =
            |source| PartialText { source, left: 0..9, before: String::new(), after: "", is_begun: false };
        assert_eq!(hand(PartialTextSource::Memory(7)).next(&EventCache::default()), Err(EventEvictedError));
    }
}
