//! The newest events as one Socket.IO packet: sent to a new client, and to one that asks again.
//!
//! Invariant: at most one packet is made in [`FRESH`], so clients that do not read keep a few packets
//! together in memory and not one each.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::event_cache::EventCache;

/// Events in a history (the contract).
const EVENTS: usize = 100;
/// Bytes of a history: five times a hundred usual events, fewer larger ones.
const BYTES: usize = 512 * 1024;
/// How long a history is reused. Readers continue after the last event in it, so they miss nothing.
const FRESH: Duration = Duration::from_secs(1);

/// The newest events, as a packet.
#[derive(Debug, Clone)]
pub struct EventHistory {
    /// `event_history` with the events, oldest first.
    pub packet: Bytes,
    pub count: usize,
    /// The newest event's number at that time; 0 before the first.
    pub last: u64,
}

/// The last history made.
#[derive(Debug, Default)]
pub(super) struct HistoryCache(Option<(Instant, EventHistory)>);

impl HistoryCache {
    pub(super) fn get(&mut self, board: &EventCache) -> EventHistory {
        let now = Instant::now();
        match &self.0 {
            Some((made, history)) if now < *made + FRESH => history.clone(),
            _ => {
                let history = make(board);
                self.0 = Some((now, history.clone()));
                history
            }
        }
    }
}

fn make(board: &EventCache) -> EventHistory {
    let newest = board.newest(EVENTS);
    let last = newest.last().map_or(0, |sent| sent.head.seq);
    let mut bytes = 0;
    let fitting = newest.iter().rev().take_while(|sent| {
        bytes += sent.json().len() + 1;
        bytes <= BYTES
    });
    let count = fitting.count();
    let mut packet = br#"42["event_history",["#.to_vec();
    for (index, sent) in newest[newest.len() - count..].iter().enumerate() {
        if index > 0 {
            packet.push(b',');
        }
        packet.extend_from_slice(sent.json());
    }
    packet.extend_from_slice(b"]]");
    EventHistory { packet: board.gauge().count(packet, None), count, last }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::event::SwarmEventDraft;
    use crate::domain::time::Timestamp;

    fn put(board: &EventCache, seqs: std::ops::RangeInclusive<u64>, bytes: usize) {
        let event = |seq| {
            SwarmEventDraft::new("x", json!({ "text": "x".repeat(bytes) }))
                .numbered(seq, Timestamp::from_millis(0))
        };
        board.put(seqs.filter_map(|seq| board.sent(event(seq))).collect());
    }

    fn numbers(history: &EventHistory) -> Vec<u64> {
        let packet: Value = serde_json::from_slice(&history.packet[2..]).unwrap();
        assert_eq!(packet[0], "event_history");
        packet[1].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_has_the_newest_and_is_made_once_a_second() {
        let board = EventCache::default();
        let none = board.history();
        assert_eq!((none.count, none.last, numbers(&none).len()), (0, 0, 0));
        put(&board, 1..=150, 1);
        assert_eq!(board.history().count, 0, "the one before is fresh");
        tokio::time::advance(FRESH).await;
        let history = board.history();
        assert_eq!(numbers(&history), (51..=150).collect::<Vec<_>>());
        assert_eq!((history.count, history.last), (100, 150));
        assert_eq!(board.history().packet.as_ptr(), history.packet.as_ptr(), "shared");
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_is_bounded_in_bytes() {
        let board = EventCache::default();
        put(&board, 1..=5, BYTES / 3);
        let history = board.history();
        assert_eq!(numbers(&history), [4, 5]);
        assert!(history.packet.len() <= BYTES + 64);
        tokio::time::advance(FRESH).await;
        put(&board, 6..=6, BYTES);
        let history = board.history();
        assert_eq!((history.count, history.last), (0, 6));
    }
}
