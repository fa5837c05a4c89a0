//! Texts on their way into the body of an answer, piece by piece.
//!
//! hyper takes pieces only while its buffer has room, and a client that reads nothing leaves what it has
//! taken in that buffer. So a piece is a small copy, and of an event in memory nothing is held between two
//! pieces but its number. Invariant: a stalled answer costs the buffer of its connection, whatever it is
//! about. Failure policy: an event that leaves memory half sent ends the answer as broken, and its client
//! comes back with the number it has seen last.

use std::ops::Range;

use axum::body::Bytes;

use crate::actors::event_stream::{Board, EventText};

/// Bytes of a piece: sixteen of them are most that hyper buffers.
const PIECE: usize = 4 * 1024;

/// The event is no longer in memory, and not wholly sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too slow: an event has left memory before it was taken")]
pub(super) struct LeftMemory;

/// A text that is being sent.
#[derive(Debug)]
pub(super) struct TextInHand {
    source: TextSource,
    left: Range<usize>,
    before: String,
    after: &'static str,
    is_begun: bool,
}

#[derive(Debug)]
enum TextSource {
    /// An event in memory.
    Memory(u64),
    /// What is only this client's (small, or within the budget of those who catch up), or shared anyway.
    Own(Bytes),
}

impl TextInHand {
    /// An event as a packet of Socket.IO.
    pub(super) fn packet(event: &EventText) -> Self {
        Self::event(event, 0..event.packet().len(), String::new(), "")
    }

    /// An event as its JSON, between two texts.
    pub(super) fn json(event: &EventText, before: String, after: &'static str) -> Self {
        Self::event(event, event.json_range(), before, after)
    }

    pub(super) fn own(text: Bytes) -> Self {
        let left = 0..text.len();
        Self { source: TextSource::Own(text), left, before: String::new(), after: "", is_begun: false }
    }

    fn event(event: &EventText, left: Range<usize>, before: String, after: &'static str) -> Self {
        let source = if event.is_in_memory() {
            TextSource::Memory(event.seq)
        } else {
            TextSource::Own(event.packet().clone())
        };
        Self { source, left, before, after, is_begun: false }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self, board: &Board) -> Result<Option<Bytes>, LeftMemory> {
        if self.is_begun && self.left.is_empty() {
            return Ok(None);
        }
        let whole = match &self.source {
            TextSource::Memory(seq) => board.text(*seq).ok_or(LeftMemory)?.packet().clone(),
            TextSource::Own(text) => text.clone(),
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
        let board = Board::default();
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE] {
            let text = vec![b'x'; length];
            let mut hand = TextInHand::own(text.clone().into());
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
            |source| TextInHand { source, left: 0..9, before: String::new(), after: "", is_begun: false };
        assert_eq!(hand(TextSource::Memory(7)).next(&Board::default()), Err(LeftMemory));
    }
}
