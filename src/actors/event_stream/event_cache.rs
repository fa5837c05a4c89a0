//! The newest events in memory: written by the journal's task, read by every client at its own pace.
//!
//! Invariants: events are in the order of their numbers; an event is in the cache only when its
//! line is in the file. The only state kept for a client is the number last seen: a text on its way to a
//! client belongs to the cache, and a client that has not taken the text by its eviction is cut off
//! ([`EventCache::evicted`]). Texts read from files share one budget over all clients.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::history::{EventHistory, HistoryCache};
use super::text::{EncodedEvent, EventHead, EventText, TextGauge};
use crate::domain::event::kind;
use crate::domain::time::Timestamp;

/// Most events in memory: at 500 a second a client may be eight seconds late before being cut off.
pub(super) const KEPT_EVENTS: usize = 4096;
/// Most bytes of those events; large events evict old ones sooner.
pub(super) const KEPT_BYTES: usize = 4 << 20;
/// Alerts kept besides: heartbeats push everything out of memory within the hour, and an alert must be
/// visible for a day. Some 300 bytes each.
pub(super) const KEPT_ALERTS: usize = 1000;
/// Most bytes of those alerts: an alert that came by broadcast may be large.
pub(super) const KEPT_ALERT_BYTES: usize = 2 << 20;
/// Bytes of files that all clients together may have in memory while catching up.
pub(super) const CATCH_UP_BYTES: usize = 32 << 20;
/// The unit in which the budget is counted.
const CATCH_UP_UNIT: usize = 1 << 10;
/// Followers that read files at the same moment; more would take the processors from those who are up to date.
const CATCH_UP_READERS: usize = 2;
/// Longest wait of a client for its share of the budget, for its turn, and for the read itself. Reads take
/// milliseconds; a disk that hangs ends the clients that need it, and the others go on.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// Ids remembered, so that an event repeated after a crash is recognised.
pub(super) const KEPT_IDS: usize = 8192;

/// The next events for a reader that has seen everything up to a number.
#[derive(Debug)]
pub enum NewerEvents {
    /// The next events; none when there is nothing new.
    Events(Vec<EventText>),
    /// The next event is no longer in memory.
    Gone,
}

#[derive(Debug, Default)]
struct RecentEvents {
    events: VecDeque<Arc<EncodedEvent>>,
    bytes: usize,
    last: u64,
    /// All events after this number are in memory.
    floor: u64,
    /// The number of the next event: after [`Self::last`], and further if numbers were left out.
    next: u64,
    alerts: BTreeMap<u64, Arc<EncodedEvent>>,
    alert_bytes: usize,
    ids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

/// The cache. Outlives the actor's incarnations.
#[derive(Debug)]
pub struct EventCache {
    kept: RwLock<RecentEvents>,
    last: watch::Sender<u64>,
    clients: AtomicUsize,
    gauge: TextGauge,
    history: Mutex<HistoryCache>,
    catch_up: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

/// Why files were not read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// No turn came: other reads take too long.
    Crowded,
    Failed(io::Error),
}

impl Default for EventCache {
    fn default() -> Self {
        Self {
            kept: RwLock::default(),
            last: watch::Sender::new(0),
            clients: AtomicUsize::new(0),
            gauge: TextGauge::default(),
            history: Mutex::default(),
            catch_up: Arc::new(Semaphore::new(CATCH_UP_BYTES / CATCH_UP_UNIT)),
            readers: Arc::new(Semaphore::new(CATCH_UP_READERS)),
        }
    }
}

impl EventCache {
    /// Adds events that follow the last one, and wakes the readers.
    pub(super) fn put(&self, events: Vec<Arc<EncodedEvent>>) {
        let mut kept = self.kept.write();
        for event in events {
            kept.put(event);
        }
        let last = kept.last;
        drop(kept);
        self.last.send_replace(last);
    }

    /// Adds the end of the files: the last event's number, and the last events that are not here yet.
    pub(super) fn load(&self, last: u64, tail: Vec<Arc<EncodedEvent>>) {
        let mut kept = self.kept.write();
        if kept.events.is_empty() {
            kept.floor = tail.first().map_or(last, |first| first.head.seq - 1);
        }
        for event in tail {
            kept.put(event);
        }
        kept.last = kept.last.max(last);
        kept.next = kept.next.max(kept.last + 1);
        let last = kept.last;
        drop(kept);
        self.last.send_replace(last);
    }

    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.kept.read().next
    }

    /// Leaves out the numbers before `next`.
    pub(super) fn go_on_with(&self, next: u64) {
        let mut kept = self.kept.write();
        kept.next = kept.next.max(next);
    }

    /// Whether an event of this id has been accepted.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.kept.read().ids.contains(id)
    }

    /// The number of the last event; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Changes with every event.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The events after `seq`, oldest first: the next one, and more up to `bytes`.
    #[must_use]
    pub fn after(&self, seq: u64, bytes: usize) -> NewerEvents {
        let kept = self.kept.read();
        if seq >= kept.last {
            return NewerEvents::Events(Vec::new());
        }
        if seq < kept.floor {
            return NewerEvents::Gone;
        }
        let place = kept.place(seq + 1);
        let mut room = bytes;
        let fitting = kept.events.range(place..).enumerate().take_while(|(index, sent)| {
            let fits = *index == 0 || sent.json().len() <= room;
            room = room.saturating_sub(sent.json().len());
            fits
        });
        NewerEvents::Events(fitting.map(|(_, sent)| sent.text()).collect())
    }

    /// The text of an event in memory.
    #[must_use]
    pub fn text(&self, seq: u64) -> Option<EventText> {
        let kept = self.kept.read();
        kept.events.get(kept.place(seq)).filter(|sent| sent.head.seq == seq).map(|sent| sent.text())
    }

    /// Waits until an event is no longer in memory.
    pub async fn evicted(&self, seq: u64) {
        let mut changes = self.changes();
        while self.text(seq).is_some() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The newest events for Socket.IO.
    #[must_use]
    pub fn history(&self) -> EventHistory {
        self.history.lock().get(self)
    }

    /// Bytes in memory for clients: events in memory, and parts of files and histories in flight.
    #[must_use]
    pub fn gauge(&self) -> &TextGauge {
        &self.gauge
    }

    #[cfg(test)]
    pub(super) fn sent(&self, event: crate::domain::event::SwarmEvent) -> Option<Arc<EncodedEvent>> {
        EncodedEvent::new(event, &self.gauge).map(Arc::new)
    }

    /// An event of a file.
    pub(super) fn sent_line(&self, line: &[u8]) -> Option<Arc<EncodedEvent>> {
        EncodedEvent::of_line(line, &self.gauge).map(Arc::new)
    }

    /// Reads files on a blocking thread, when it is this reader's turn. The turn, and `budget`, are given back by
    /// the read itself, because a caller that is gone does not end it.
    pub(super) async fn read_in_turn<R: Send + 'static>(
        &self,
        budget: Arc<OwnedSemaphorePermit>,
        read: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> Result<R, NotRead> {
        let turn = timeout(READ_PATIENCE, Arc::clone(&self.readers).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(NotRead::Crowded)?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = read();
            drop((turn, budget));
            read
        });
        match timeout(READ_PATIENCE, reading).await {
            Ok(read) => read.map_err(io::Error::other).and_then(|read| read).map_err(NotRead::Failed),
            Err(_) => Err(NotRead::Failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// The number of the oldest event in memory.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.kept.read().events.front().map(|oldest| oldest.head.seq)
    }

    /// Waits for part of the budget for clients that catch up.
    pub(super) async fn catch_up_budget(&self, bytes: usize) -> Result<Arc<OwnedSemaphorePermit>, NotRead> {
        let units = bytes.min(CATCH_UP_BYTES).div_ceil(CATCH_UP_UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = timeout(READ_PATIENCE, Arc::clone(&self.catch_up).acquire_many_owned(units)).await;
        permit.ok().and_then(Result::ok).map(Arc::new).ok_or(NotRead::Crowded)
    }

    /// The newest `limit` events, newest last.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Vec<Arc<EncodedEvent>> {
        let kept = self.kept.read();
        kept.events.iter().skip(kept.events.len().saturating_sub(limit)).cloned().collect()
    }

    /// The newest `limit` events in memory that `wanted` accepts, newest last.
    #[must_use]
    pub fn newest_where(&self, limit: usize, wanted: impl Fn(&EventHead) -> bool) -> Vec<Arc<EncodedEvent>> {
        let kept = self.kept.read();
        let found = kept.events.iter().rev().filter(|sent| wanted(&sent.head)).take(limit);
        let mut found: Vec<_> = found.cloned().collect();
        found.reverse();
        found
    }

    /// The newest `limit` alerts since `since`, newest first; also those no longer among the newest events.
    #[must_use]
    pub fn alerts(&self, since: Timestamp, limit: usize) -> Vec<Arc<EncodedEvent>> {
        let kept = self.kept.read();
        let recent = kept.alerts.values().rev().take_while(|sent| sent.head.server_timestamp >= since);
        recent.take(limit).cloned().collect()
    }

    /// Adds alerts from before this process began.
    pub(super) fn put_older_alerts(&self, alerts: Vec<Arc<EncodedEvent>>) {
        let mut kept = self.kept.write();
        alerts.into_iter().for_each(|sent| kept.note_alert(sent));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.read().events.len()
    }

    /// Whether no event is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of following clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Counts a client for as long as the guard lives.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> EventClientGuard {
        self.clients.fetch_add(1, Ordering::Relaxed);
        EventClientGuard(Arc::clone(self))
    }
}

impl RecentEvents {
    /// The place of the first event from `seq` on.
    fn place(&self, seq: u64) -> usize {
        self.events.partition_point(|sent| sent.head.seq < seq)
    }

    fn put(&mut self, sent: Arc<EncodedEvent>) {
        self.last = sent.head.seq;
        self.next = self.last + 1;
        self.bytes += sent.json().len();
        if let Some(id) = &sent.head.id {
            self.remember(id.as_str().into());
        }
        if sent.head.event_type == kind::ALERT {
            self.note_alert(Arc::clone(&sent));
        }
        self.events.push_back(sent);
        while self.events.len() > KEPT_EVENTS || (self.bytes > KEPT_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { break };
            (self.bytes, self.floor) = (self.bytes - oldest.json().len(), oldest.head.seq);
        }
    }

    fn note_alert(&mut self, sent: Arc<EncodedEvent>) {
        self.alert_bytes += sent.json().len();
        let before = self.alerts.insert(sent.head.seq, sent);
        self.alert_bytes -= before.map_or(0, |same| same.json().len());
        while self.alerts.len() > KEPT_ALERTS || self.alert_bytes > KEPT_ALERT_BYTES {
            let Some((_, oldest)) = self.alerts.pop_first() else { break };
            self.alert_bytes -= oldest.json().len();
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

/// A following client.
#[derive(Debug)]
pub struct EventClientGuard(Arc<EventCache>);

impl Drop for EventClientGuard {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::event::SwarmEventDraft;
    use crate::domain::time::Timestamp;

    fn sent(board: &EventCache, seq: u64, bytes: usize) -> Arc<EncodedEvent> {
        let draft = SwarmEventDraft::new("x", json!({ "text": "x".repeat(bytes) })).once(format!("id-{seq}"));
        board.sent(draft.numbered(seq, Timestamp::from_millis(0))).unwrap()
    }

    fn put(board: &EventCache, seqs: impl Iterator<Item = u64>, bytes: usize) {
        board.put(seqs.map(|seq| sent(board, seq, bytes)).collect());
    }

    fn numbers(newer: NewerEvents) -> Vec<u64> {
        match newer {
            NewerEvents::Events(events) => events.iter().map(|text| text.seq).collect(),
            NewerEvents::Gone => panic!("gone"),
        }
    }

    #[test]
    fn a_reader_gets_what_follows_or_learns_that_it_is_gone() {
        let board = EventCache::default();
        assert!(numbers(board.after(0, 10)).is_empty());
        let all = 3..3 + KEPT_EVENTS as u64 + 2;
        put(&board, all.clone(), 1);
        assert_eq!(board.last(), all.end - 1);
        assert!(matches!(board.after(0, 10), NewerEvents::Gone));
        assert!(matches!(board.after(3, 10), NewerEvents::Gone));
        assert_eq!(numbers(board.after(4, 0)), [5], "one at least");
        let two = board.newest(2).iter().map(|sent| sent.json().len()).sum();
        assert_eq!(numbers(board.after(all.end - 4, two)).len(), 2, "no more than fits");
        assert_eq!(numbers(board.after(all.end - 2, 10)), [all.end - 1]);
        assert!(numbers(board.after(all.end + 5, 10)).is_empty());
        assert_eq!(board.newest(1)[0].head.seq, all.end - 1);
        assert_eq!((board.text(4), board.text(5).unwrap().seq), (None, 5));
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_but_the_newest_stays() {
        let board = EventCache::default();
        put(&board, 1..=3, KEPT_BYTES / 3);
        assert_eq!(board.len(), 2);
        let left = board.evicted(3);
        let mut left = std::pin::pin!(left);
        assert!(futures_util::poll!(&mut left).is_pending());
        put(&board, 4..=4, KEPT_BYTES * 2);
        assert_eq!(numbers(board.after(3, 10)), [4]);
        left.await;
        let newest = board.newest(1)[0].text().packet().len();
        assert_eq!(board.gauge().bytes(), newest, "evicted text is no longer counted");
    }

    #[test]
    fn alerts_outlive_the_signs_of_life_around_them() {
        let board = EventCache::default();
        let alert = |seq: u64, at: i64| {
            let event =
                SwarmEventDraft::new(kind::ALERT, Value::Null).numbered(seq, Timestamp::from_millis(at));
            board.sent(event).unwrap()
        };
        let seen = |since| {
            let alerts = board.alerts(Timestamp::from_millis(since), 2);
            alerts.iter().map(|sent| sent.head.seq).collect::<Vec<_>>()
        };
        board.put(vec![alert(5, 50)]);
        put(&board, 6..10 + KEPT_EVENTS as u64, 1);
        assert!(board.newest_where(9, |event| event.event_type == kind::ALERT).is_empty());
        board.put_older_alerts(vec![alert(2, 20), alert(5, 50), alert(3, 30)]);
        assert_eq!((seen(0), seen(31)), (vec![5, 3], vec![5]));
        let large = |seq: u64| {
            let draft =
                SwarmEventDraft::new(kind::ALERT, json!({ "text": "x".repeat(KEPT_ALERT_BYTES / 2) }));
            board.sent(draft.numbered(seq, Timestamp::from_millis(60))).unwrap()
        };
        board.put_older_alerts(vec![large(6), large(7)]);
        assert_eq!(seen(0), [7], "large ones push the others out");
        let newest = board.newest_where(2, |event| event.seq % 2 == 0);
        assert!(newest[0].head.seq < newest[1].head.seq, "newest last");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_keeps_its_turn_and_its_bytes_when_its_client_is_gone() {
        let board = EventCache::default();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let (started, mut has_started) = tokio::sync::mpsc::channel(CATCH_UP_READERS);
        for _ in 0..CATCH_UP_READERS {
            let (released, started) = (Arc::clone(&released), started.clone());
            let hang = move || {
                started.blocking_send(()).unwrap();
                released.lock().recv().map_err(io::Error::other)
            };
            let client = async {
                let budget = board.catch_up_budget(CATCH_UP_BYTES / CATCH_UP_READERS).await.ok().unwrap();
                board.read_in_turn(budget, hang).await.ok()
            };
            // The client is dropped while its read goes on.
            tokio::select! {
                read = client => panic!("read: {read:?}"),
                begun = has_started.recv() => begun.unwrap(),
            }
        }
        assert_eq!((board.readers.available_permits(), board.catch_up.available_permits()), (0, 0));
        let mut waiting = std::pin::pin!(board.catch_up_budget(1));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::time::advance(READ_PATIENCE).await;
        assert!(matches!(waiting.await, Err(NotRead::Crowded)), "waited long enough");
        for _ in 0..CATCH_UP_READERS {
            release.send(()).unwrap();
        }
        let budget = board.catch_up_budget(CATCH_UP_BYTES).await.ok().unwrap();
        assert!(matches!(board.read_in_turn(budget, || Ok(7)).await, Ok(7)), "the others go on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_is_an_error_to_its_client() {
        let board = EventCache::default();
        let budget = board.catch_up_budget(1).await.ok().unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let hang = move || released.recv().map_err(io::Error::other);
        let mut reading = std::pin::pin!(board.read_in_turn(budget, hang));
        assert!(futures_util::poll!(&mut reading).is_pending());
        tokio::time::advance(READ_PATIENCE).await;
        let failed = reading.await;
        assert!(matches!(&failed, Err(NotRead::Failed(error)) if error.kind() == io::ErrorKind::TimedOut));
        drop(release);
    }

    #[test]
    fn ids_are_known_for_a_while() {
        let board = EventCache::default();
        put(&board, 1..=KEPT_IDS as u64 + 1, 1);
        assert!(!board.knows("id-1") && board.knows("id-2"));
    }
}
