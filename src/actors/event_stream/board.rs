//! The newest events in memory: written by the journal's task, read by every client at its own pace.
//!
//! Invariants: events stand in the order of their numbers without a gap; an event is on the board only
//! when its line is in the file. Nothing is kept for a client but the number it has seen last, so a
//! slow one costs no memory.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::domain::event::{SwarmEvent, kind};
use crate::domain::time::Timestamp;

/// Most events in memory: at 500 a second a client may be eight seconds late before it is cut off.
pub(super) const KEPT_EVENTS: usize = 4096;
/// Most bytes of them; large events push old ones out sooner.
pub(super) const KEPT_BYTES: usize = 4 << 20;
/// Alerts kept beside them: signs of life push everything out of memory within the hour, and an alert is
/// to be seen for a day. Some 300 bytes each.
pub(super) const KEPT_ALERTS: usize = 1000;
/// Ids remembered, so that a happening which is told again after a crash is known.
pub(super) const KEPT_IDS: usize = 8192;

/// An event with its JSON text, made once for all clients.
#[derive(Debug, PartialEq)]
pub struct Sent {
    /// The event.
    pub event: SwarmEvent,
    /// The event as one line of JSON.
    pub json: Bytes,
}

/// What a reader gets that has seen everything up to a number.
#[derive(Debug)]
pub enum Newer {
    /// The next events; none when there is nothing new.
    Events(Vec<Arc<Sent>>),
    /// The next one is no longer in memory.
    Gone,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Sent>>,
    bytes: usize,
    last: u64,
    alerts: BTreeMap<u64, Arc<Sent>>,
    ids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

/// The board. Outlives the actor's incarnations.
#[derive(Debug)]
pub struct Board {
    kept: RwLock<Kept>,
    last: watch::Sender<u64>,
    clients: AtomicUsize,
}

impl Default for Board {
    fn default() -> Self {
        Self { kept: RwLock::default(), last: watch::Sender::new(0), clients: AtomicUsize::new(0) }
    }
}

impl Board {
    /// Puts up events that follow the last one, and tells the readers.
    pub(super) fn put(&self, events: Vec<Arc<Sent>>) {
        let mut kept = self.kept.write();
        for event in events {
            kept.put(event);
        }
        let last = kept.last;
        drop(kept);
        self.last.send_replace(last);
    }

    /// Whether an event of this id has been taken.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.kept.read().ids.contains(id)
    }

    /// The number of the last event; 0 when there has been none.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Changes with every event.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// At most `limit` events after `seq`, oldest first.
    #[must_use]
    pub fn after(&self, seq: u64, limit: usize) -> Newer {
        let kept = self.kept.read();
        if seq >= kept.last {
            return Newer::Events(Vec::new());
        }
        let first = kept.last + 1 - kept.events.len() as u64;
        let Some(skipped) = (seq + 1).checked_sub(first) else { return Newer::Gone };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Newer::Events(kept.events.iter().skip(skipped).take(limit).cloned().collect())
    }

    /// The newest `limit` events, newest last.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Vec<Arc<Sent>> {
        let kept = self.kept.read();
        kept.events.iter().skip(kept.events.len().saturating_sub(limit)).cloned().collect()
    }

    /// The newest `limit` events in memory that `wanted` accepts, newest last.
    #[must_use]
    pub fn newest_where(&self, limit: usize, wanted: impl Fn(&SwarmEvent) -> bool) -> Vec<Arc<Sent>> {
        let kept = self.kept.read();
        let found = kept.events.iter().rev().filter(|sent| wanted(&sent.event)).take(limit);
        let mut found: Vec<_> = found.cloned().collect();
        found.reverse();
        found
    }

    /// The newest `limit` alerts that were taken since `since`, newest first; also those that are no
    /// longer in memory otherwise.
    #[must_use]
    pub fn alerts(&self, since: Timestamp, limit: usize) -> Vec<Arc<Sent>> {
        let kept = self.kept.read();
        let recent = kept.alerts.values().rev().take_while(|sent| sent.event.server_timestamp >= since);
        recent.take(limit).cloned().collect()
    }

    /// Takes alerts in that were told before this process began.
    pub(super) fn put_older_alerts(&self, alerts: Vec<Arc<Sent>>) {
        let mut kept = self.kept.write();
        alerts.into_iter().for_each(|sent| kept.note_alert(sent));
    }

    /// Events in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.read().events.len()
    }

    /// Whether none is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clients that follow at this moment.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Counts a client for as long as the guard lives.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Joined {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Joined(Arc::clone(self))
    }
}

impl Kept {
    fn put(&mut self, sent: Arc<Sent>) {
        self.last = sent.event.seq;
        self.bytes += sent.json.len();
        if let Some(id) = &sent.event.id {
            self.remember(id.as_str().into());
        }
        if sent.event.event_type == kind::ALERT {
            self.note_alert(Arc::clone(&sent));
        }
        self.events.push_back(sent);
        while self.events.len() > KEPT_EVENTS || (self.bytes > KEPT_BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |old| old.json.len());
        }
    }

    fn note_alert(&mut self, sent: Arc<Sent>) {
        self.alerts.insert(sent.event.seq, sent);
        while self.alerts.len() > KEPT_ALERTS {
            self.alerts.pop_first();
        }
    }

    fn remember(&mut self, id: Arc<str>) {
        if self.ids.insert(Arc::clone(&id)) {
            self.order.push_back(id);
        }
        if self.order.len() > KEPT_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// A client that follows.
#[derive(Debug)]
pub struct Joined(Arc<Board>);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::event::Draft;
    use crate::domain::time::Timestamp;

    fn sent(seq: u64, bytes: usize) -> Arc<Sent> {
        let draft = Draft::new("x", Value::Null).once(format!("id-{seq}"));
        let event = draft.numbered(seq, Timestamp::from_millis(0));
        Arc::new(Sent { event, json: vec![b'x'; bytes].into() })
    }

    fn numbers(newer: Newer) -> Vec<u64> {
        match newer {
            Newer::Events(events) => events.iter().map(|sent| sent.event.seq).collect(),
            Newer::Gone => panic!("gone"),
        }
    }

    #[test]
    fn a_reader_gets_what_follows_or_learns_that_it_is_gone() {
        let board = Board::default();
        assert!(numbers(board.after(0, 10)).is_empty());
        let all = 3..3 + KEPT_EVENTS as u64 + 2;
        board.put(all.clone().map(|seq| sent(seq, 1)).collect());
        assert_eq!(board.last(), all.end - 1);
        assert!(matches!(board.after(0, 10), Newer::Gone));
        assert!(matches!(board.after(3, 10), Newer::Gone));
        assert_eq!(numbers(board.after(4, 2)), [5, 6]);
        assert_eq!(numbers(board.after(all.end - 2, 10)), [all.end - 1]);
        assert!(numbers(board.after(all.end + 5, 10)).is_empty());
        assert_eq!(board.newest(1)[0].event.seq, all.end - 1);
    }

    #[test]
    fn bytes_are_bounded_too_but_the_newest_stays() {
        let board = Board::default();
        board.put((1..=3).map(|seq| sent(seq, KEPT_BYTES / 2)).collect());
        assert_eq!(board.len(), 2);
        board.put(vec![sent(4, KEPT_BYTES * 2)]);
        assert_eq!(numbers(board.after(3, 10)), [4]);
    }

    #[test]
    fn alerts_outlive_the_signs_of_life_around_them() {
        let board = Board::default();
        let alert = |seq: u64, at: i64| {
            let event = Draft::new(kind::ALERT, Value::Null).numbered(seq, Timestamp::from_millis(at));
            Arc::new(Sent { event, json: Bytes::new() })
        };
        let seen = |since| {
            let alerts = board.alerts(Timestamp::from_millis(since), 2);
            alerts.iter().map(|sent| sent.event.seq).collect::<Vec<_>>()
        };
        board.put(vec![alert(5, 50)]);
        board.put((6..10 + KEPT_EVENTS as u64).map(|seq| sent(seq, 1)).collect());
        assert!(board.newest_where(9, |event| event.event_type == kind::ALERT).is_empty());
        board.put_older_alerts(vec![alert(2, 20), alert(5, 50), alert(3, 30)]);
        assert_eq!((seen(0), seen(31)), (vec![5, 3], vec![5]));
        let newest = board.newest_where(2, |event| event.seq % 2 == 0);
        assert!(newest[0].event.seq < newest[1].event.seq, "newest last");
    }

    #[test]
    fn ids_are_known_for_a_while() {
        let board = Board::default();
        board.put((1..=KEPT_IDS as u64 + 1).map(|seq| sent(seq, 1)).collect());
        assert!(!board.knows("id-1") && board.knows("id-2"));
    }
}
