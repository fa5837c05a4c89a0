//! The text of an event for clients: made once, shared by all clients, and counted while alive.
//!
//! Invariant: every text kept for clients (events in memory, pages of files, histories) is counted by one
//! [`TextGauge`]; the bytes leave the gauge when the last client has released them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::domain::event::SwarmEvent;
use crate::domain::time::Timestamp;

/// Socket.IO's frame around an event; the other transports take the JSON inside.
const PACKET_HEAD: &[u8] = br#"42["event","#;
const PACKET_TAIL: &[u8] = b"]";
/// Room for a usual event as JSON: a growing buffer would be copied three times.
const EVENT_BYTES: usize = 768;

/// Counts the bytes of living texts.
#[derive(Debug, Clone, Default)]
pub struct TextGauge(Arc<AtomicUsize>);

impl TextGauge {
    /// Bytes in memory for clients at this moment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts a text until the last handle is dropped, which also returns `budget`.
    pub(super) fn count(&self, mut text: Vec<u8>, budget: Option<Arc<OwnedSemaphorePermit>>) -> Bytes {
        // Kept for long and thousands of times.
        text.shrink_to_fit();
        self.0.fetch_add(text.len(), Ordering::Relaxed);
        Bytes::from_owner(CountedText { text, gauge: self.clone(), _budget: budget })
    }
}

struct CountedText {
    text: Vec<u8>,
    gauge: TextGauge,
    _budget: Option<Arc<OwnedSemaphorePermit>>,
}

impl AsRef<[u8]> for CountedText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for CountedText {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.text.len(), Ordering::Relaxed);
    }
}

/// The part of an event by which it is found. The payload stays text: as values it takes five times the
/// memory, thousands of times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EventHead {
    pub seq: u64,
    pub event_type: String,
    pub server_timestamp: Timestamp,
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Debug, PartialEq)]
pub struct EncodedEvent {
    pub head: EventHead,
    packet: Bytes,
}

impl EncodedEvent {
    /// Encodes an event; `None` for a value that JSON cannot express, which a JSON value never is.
    pub(super) fn new(event: SwarmEvent, gauge: &TextGauge) -> Option<Self> {
        let mut packet = Vec::with_capacity(EVENT_BYTES);
        packet.extend_from_slice(PACKET_HEAD);
        serde_json::to_writer(&mut packet, &event).ok()?;
        packet.extend_from_slice(PACKET_TAIL);
        let packet = gauge.count(packet, None);
        let SwarmEvent { seq, event_type, server_timestamp, id, .. } = event;
        Some(Self { head: EventHead { seq, event_type, server_timestamp, id }, packet })
    }

    /// An event's line from a file; `None` if that is no event.
    pub(super) fn of_line(line: &[u8], gauge: &TextGauge) -> Option<Self> {
        let head = serde_json::from_slice(line).ok()?;
        let packet = gauge.count([PACKET_HEAD, line, PACKET_TAIL].concat(), None);
        Some(Self { head, packet })
    }

    /// The whole event, decoded; `None` for the text of no event, which is never encoded.
    #[must_use]
    pub fn event(&self) -> Option<SwarmEvent> {
        serde_json::from_slice(self.json()).ok()
    }

    /// The event as one line of JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.packet[json_of(&self.packet)]
    }

    #[must_use]
    pub fn text(&self) -> EventText {
        EventText { seq: self.head.seq, packet: self.packet.clone(), is_in_memory: true }
    }
}

/// The text of one event. Cheap to clone; a clone keeps the bytes alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText {
    pub seq: u64,
    packet: Bytes,
    is_in_memory: bool,
}

impl EventText {
    pub(super) fn of_line(
        seq: u64,
        line: &[u8],
        gauge: &TextGauge,
        budget: &Arc<OwnedSemaphorePermit>,
    ) -> Self {
        let packet = gauge.count([PACKET_HEAD, line, PACKET_TAIL].concat(), Some(Arc::clone(budget)));
        Self { seq, packet, is_in_memory: false }
    }

    /// The event as a packet of Socket.IO.
    #[must_use]
    pub fn packet(&self) -> &Bytes {
        &self.packet
    }

    /// The event as one line of JSON.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.packet.slice(json_of(&self.packet))
    }

    /// The range of the JSON in the packet.
    #[must_use]
    pub fn json_range(&self) -> Range<usize> {
        json_of(&self.packet)
    }

    /// Whether this is one of the newest events, which all clients share; others came from the files.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }
}

fn json_of(packet: &Bytes) -> Range<usize> {
    PACKET_HEAD.len()..packet.len() - PACKET_TAIL.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::event::SwarmEventDraft;

    #[test]
    fn bytes_are_counted_until_the_last_handle_is_gone() {
        let gauge = TextGauge::default();
        let event = SwarmEventDraft::new("x", json!({ "a": 1 })).numbered(7, Timestamp::from_millis(0));
        let json = serde_json::to_vec(&event).unwrap();
        let sent = EncodedEvent::new(event.clone(), &gauge).unwrap();
        assert_eq!(sent.event(), Some(event));
        let read = EncodedEvent::of_line(&json, &TextGauge::default()).unwrap();
        assert_eq!(read, sent);
        let text = sent.text();
        assert_eq!((sent.json(), &text.json()[..]), (&json[..], &json[..]));
        assert_eq!(text.packet()[..], [br#"42["event","#, &json[..], b"]"].concat());
        let counted = text.packet().len();
        assert_eq!(gauge.bytes(), counted);
        let slice = text.json().slice(2..4);
        drop((sent, text));
        assert_eq!(gauge.bytes(), counted, "a slice keeps the whole");
        drop(slice);
        assert_eq!(gauge.bytes(), 0);
    }
}
