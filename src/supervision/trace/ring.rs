//! The store of records: one ring for each core, so that writers on different cores do not contend.
//!
//! Memory: `capacity × 96 B`, allocated on filling. Readers copy the records they want; a reader takes a
//! shard's lock for one scan of the shard (some 100 µs at the default capacity).

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::record::TraceRecord;
use pas_domain::time::Timestamp;

/// Default number of records: 3 MiB, some hours of an idle swarm or the last seconds of a flood.
pub const DEFAULT_CAPACITY: usize = 32_768;
/// Most shards; more cores than this share.
const MAX_SHARDS: usize = 16;

/// The rings of one actor system.
#[derive(Debug)]
pub struct TraceRing {
    shards: Box<[Mutex<RingShard>]>,
    shard_capacity: usize,
    origin: Instant,
    origin_wall: Timestamp,
}

#[derive(Debug, Default)]
struct RingShard {
    records: Vec<TraceRecord>,
    written: u64,
    /// Position of the next record: `written % capacity`, kept because a division costs as much as the rest.
    next: usize,
}

/// A reader's position: one count for each shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RingCursor(Vec<u64>);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

fn thread_number() -> usize {
    THREAD.with(|cell| {
        cell.get().unwrap_or_else(|| {
            let number = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
            cell.set(Some(number));
            number
        })
    })
}

impl TraceRing {
    /// Rings for `capacity` records in all (at least one a shard).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shard_capacity: (capacity / shards).max(1),
            origin: Instant::now(),
            origin_wall: Timestamp::now(),
        }
    }

    /// Nanoseconds since the ring was made; never 0, which means "not yet".
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// A time of this clock as wall-clock time.
    #[must_use]
    pub fn wall(&self, ns: u64) -> Timestamp {
        self.origin_wall.plus(std::time::Duration::from_nanos(ns))
    }

    /// A wall-clock time on this clock; 0 for times before the start.
    #[must_use]
    pub fn from_wall(&self, at: Timestamp) -> u64 {
        u64::try_from(at.since(self.origin_wall).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Keeps a record, overwriting the oldest of a full shard.
    pub fn write(&self, record: TraceRecord) {
        let mut shard = self.shards[thread_number() % self.shards.len()].lock();
        let position = shard.next;
        match shard.records.get_mut(position) {
            Some(oldest) => *oldest = record,
            None => {
                // Allocated at once: growing would copy the records, and untouched room takes no memory.
                let room = self.shard_capacity - shard.records.len();
                shard.records.reserve_exact(room);
                shard.records.push(record);
            }
        }
        shard.written += 1;
        shard.next = if position + 1 == self.shard_capacity { 0 } else { position + 1 };
    }

    /// Copies the records that `wanted` accepts, ordered by the time they were sent.
    pub fn select(&self, mut wanted: impl FnMut(&TraceRecord) -> bool) -> Vec<TraceRecord> {
        let mut found: Vec<TraceRecord> = Vec::new();
        for shard in &self.shards {
            found.extend(shard.lock().records.iter().filter(|record| wanted(record)).copied());
        }
        found.sort_by_key(|record| record.sent_ns);
        found
    }

    /// Copies the records written since `cursor`, moves the cursor on, and returns how many records had been
    /// overwritten in between.
    pub fn since(&self, cursor: &mut RingCursor) -> (Vec<TraceRecord>, u64) {
        cursor.0.resize(self.shards.len(), 0);
        let (mut found, mut lost) = (Vec::new(), 0);
        for (shard, position) in self.shards.iter().zip(&mut cursor.0) {
            let shard = shard.lock();
            let oldest = shard.written.saturating_sub(self.shard_capacity as u64);
            lost += oldest.saturating_sub(*position);
            let from = (*position).max(oldest);
            let at = |n: u64| usize::try_from(n % self.shard_capacity as u64).unwrap_or(0);
            found.extend((from..shard.written).map(|n| shard.records[at(n)]));
            *position = shard.written;
        }
        (found, lost)
    }

    /// Records written and records overwritten since the start.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.shards.iter().map(|shard| shard.lock().written).fold((0, 0), |(written, lost), n| {
            (written + n, lost + n.saturating_sub(self.shard_capacity as u64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{ActorNumber, MessageHeader};
    use super::*;
    use pas_domain::trace::TraceContext;

    fn record(ring: &TraceRing, to: u32) -> TraceRecord {
        let header = MessageHeader {
            context: TraceContext::new_root(),
            parent: None,
            from: ActorNumber::OUTSIDE,
            sent_ns: ring.now_ns(),
        };
        TraceRecord::open(&header, ActorNumber(to), "test")
    }

    #[test]
    fn the_oldest_record_goes_first_and_is_counted() {
        let ring = TraceRing::new(1);
        let shards = ring.shards.len() as u64;
        for to in 0..10 {
            ring.write(record(&ring, to));
        }
        let kept = ring.select(|_| true);
        assert_eq!(kept.len(), 1, "one thread writes one of {shards} shards of one record each");
        assert_eq!(kept[0].to, ActorNumber(9));
        assert_eq!(ring.counts(), (10, 9));
    }

    #[test]
    fn a_cursor_sees_each_record_once_and_knows_what_it_missed() {
        let ring = TraceRing::new(8 * MAX_SHARDS);
        let capacity = u32::try_from(ring.shard_capacity).unwrap();
        let mut cursor = RingCursor::default();
        for to in 0..5 {
            ring.write(record(&ring, to));
        }
        let (found, lost) = ring.since(&mut cursor);
        assert_eq!((found.len(), lost), (5, 0));
        for to in 0..capacity + 3 {
            ring.write(record(&ring, to));
        }
        let (found, lost) = ring.since(&mut cursor);
        assert_eq!((found.len(), lost), (capacity as usize, 3));
        assert_eq!(found.first().map(|r| r.to), Some(ActorNumber(3)));
        assert_eq!(ring.since(&mut cursor), (Vec::new(), 0));
    }

    impl PartialEq for TraceRecord {
        fn eq(&self, other: &Self) -> bool {
            (self.trace, self.span) == (other.trace, other.span)
        }
    }
}
