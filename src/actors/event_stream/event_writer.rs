//! The one writer of events: gives numbers, writes lines, and shows them, a batch at a time.
//!
//! Invariants: an event is in the cache only when its line is written; only the newest incarnation's writer
//! writes, also when a killed one still had a batch on a blocking thread ([`EventStreamShared::charge`]). Failure
//! policy: a batch that cannot be written is refused, and its numbers go to the next one.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::event_cache::{CATCH_UP_BYTES, EventCache};
use super::event_numbers::EventNumbers;
use super::journal::EventJournal;
use super::text::EncodedEvent;
use super::{BATCH, PublishError, PublishResult};
use crate::domain::event::SwarmEventDraft;
use crate::domain::time::Timestamp;
use crate::store::Store;
use crate::supervision::{ActorError, ReplySender};

/// Most bytes of an event as written, and so of a line, where a broadcast's body may have `max_body_bytes`: twice
/// that, because JSON written anew can be longer than it came (`1e15` becomes `1000000000000000.0`), but no more
/// than clients that catch up may have in memory.
pub(super) fn max_event_bytes(max_body_bytes: usize) -> usize {
    max_body_bytes.saturating_mul(2).min(CATCH_UP_BYTES)
}

/// An event on its way to the files.
pub(super) type QueuedDraft = (SwarmEventDraft, Option<ReplySender<PublishResult>>);

/// What outlives the incarnations of the event stream.
#[derive(Debug)]
pub(super) struct EventStreamShared {
    pub(super) cache: Arc<EventCache>,
    pub(super) folder: Arc<PathBuf>,
    /// Most bytes of an event as written.
    max_event_bytes: usize,
    /// Which writer may write; locked while files are read at a start and while a batch is written.
    charge: Mutex<u64>,
    /// A writer of this process has found the first free number; from then on the cache knows it.
    is_numbered: AtomicBool,
}

impl EventStreamShared {
    pub(super) fn new(cache: Arc<EventCache>, folder: Arc<PathBuf>, max_body_bytes: usize) -> Self {
        let max_event_bytes = max_event_bytes(max_body_bytes);
        Self { cache, folder, max_event_bytes, charge: Mutex::new(0), is_numbered: AtomicBool::new(false) }
    }
}

pub(super) struct EventWriter {
    log: Arc<EventStreamShared>,
    journal: EventJournal,
    numbers: EventNumbers,
    /// Which writer this is.
    number: u64,
    next: u64,
}

impl EventWriter {
    /// Takes charge: reads the end of the files into the cache and finds the next number. Blocks.
    pub(super) fn open(
        log: Arc<EventStreamShared>,
        store: Store,
        keep_days: u32,
    ) -> Result<Self, ActorError> {
        let mut charge = log.charge.lock();
        let (journal, end) = EventJournal::open(log.folder.as_ref().clone(), keep_days, log.cache.last())?;
        log.cache.load(end.last, end.tail.iter().filter_map(|line| log.cache.sent_line(line)).collect());
        let numbers = EventNumbers::new(store);
        let next = if log.is_numbered.load(Ordering::Relaxed) {
            log.cache.next()
        } else {
            numbers.first_free(end.last)
        };
        log.cache.go_on_with(next);
        log.is_numbered.store(true, Ordering::Relaxed);
        *charge += 1;
        let number = *charge;
        drop(charge);
        Ok(Self { log, journal, numbers, number, next })
    }

    /// Writes queued events, in batches, until the actor ends.
    pub(super) async fn write_all(mut self, mut drafts: mpsc::Receiver<QueuedDraft>) {
        loop {
            let mut batch = Vec::new();
            if drafts.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let last = self.next + batch.len() as u64;
            let now = Timestamp::now();
            let is_turning;
            (self, is_turning) = self.blocking(move |writer| writer.journal.is_turning(now)).await;
            self.numbers.reserve(self.next, last, is_turning).await;
            (self, ()) = self.blocking(move |writer| writer.write(now, batch)).await;
        }
    }

    /// Works with files, on a blocking thread.
    async fn blocking<R: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Self) -> R + Send + 'static,
    ) -> (Self, R) {
        let worked = tokio::task::spawn_blocking(move || {
            let done = work(&mut self);
            (self, done)
        });
        // A panic there counts as this actor's own.
        worked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn write(&mut self, now: Timestamp, batch: Vec<QueuedDraft>) {
        let log = Arc::clone(&self.log);
        let charge = log.charge.lock();
        if *charge != self.number {
            // Its callers learn that this incarnation has ended.
            return;
        }
        let (mut next, mut lines) = (self.next, Vec::new());
        let (mut taken, mut replies, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for (draft, reply) in batch {
            let event_type = draft.event_type.clone();
            let is_known = draft.id.as_ref().is_some_and(|id| log.cache.knows(id) || !ids.insert(id.clone()));
            let answer = if is_known { Ok(None) } else { self.encode(draft, next, now) };
            let seq = answer.map(|event| {
                event.map_or(0, |event| {
                    lines.extend_from_slice(event.json());
                    lines.push(b'\n');
                    taken.push(Arc::new(event));
                    next += 1;
                    next - 1
                })
            });
            if let Err(error) = &seq {
                tracing::warn!(event_type, %error, "an event was refused");
            }
            replies.extend(reply.map(|reply| (reply, seq)));
        }
        let written = self.append(now, &lines);
        match &written {
            Ok(()) => {
                self.next = next;
                log.cache.put(taken);
            }
            Err(error) => {
                tracing::error!(events = taken.len(), %error, "events are lost: they cannot be written");
            }
        }
        drop(charge);
        for (reply, seq) in replies {
            let failed = written.as_ref().err().map(|error| PublishError::Disk(error.to_string()));
            reply.send(failed.map_or(seq, Err));
        }
    }

    fn encode(
        &self,
        draft: SwarmEventDraft,
        seq: u64,
        now: Timestamp,
    ) -> Result<Option<EncodedEvent>, PublishError> {
        let event = EncodedEvent::new(draft.numbered(seq, now), self.log.cache.gauge());
        match event.as_ref().map(|event| event.json().len()) {
            Some(bytes) if bytes > self.log.max_event_bytes => {
                Err(PublishError::TooLarge { bytes, most: self.log.max_event_bytes })
            }
            _ => Ok(event),
        }
    }

    fn append(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() { Ok(()) } else { self.journal.append(now, lines) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::actors::event_stream::journal_files;
    use crate::store::testing::memory_store;

    /// A limit of bodies.
    const BODY: usize = 64 << 10;

    /// The parts of a daemon that survive the actor; each place is one daemon after another.
    struct DaemonRestarts {
        dir: tempfile::TempDir,
        store: Store,
    }

    impl DaemonRestarts {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), store: memory_store().0 }
        }

        /// A daemon's start.
        fn writer(&self) -> EventWriter {
            let log = EventStreamShared::new(Arc::default(), Arc::new(self.dir.path().to_owned()), BODY);
            EventWriter::open(Arc::new(log), self.store.clone(), 30).unwrap()
        }

        /// Publishes this many events as one daemon, which is killed; returns their numbers.
        async fn publish(&self, count: usize) -> Vec<u64> {
            let mut writer = self.writer();
            let first = writer.next;
            let now = Timestamp::now();
            writer.numbers.reserve(first, first + count as u64, writer.journal.is_turning(now)).await;
            let batch = (0..count).map(|_| (SwarmEventDraft::new("x", json!({})), None));
            writer.write(now, batch.collect());
            (first..writer.next).collect()
        }

        fn newest(&self) -> PathBuf {
            journal_files::in_order(self.dir.path()).unwrap().pop().unwrap().path
        }
    }

    #[tokio::test]
    async fn no_number_is_given_twice_whatever_happens_to_the_files() {
        let all = DaemonRestarts::new();
        let mut given = all.publish(3).await;
        given.extend(all.publish(2).await);
        assert_eq!(given, [1, 2, 3, 4, 5], "killed, nothing is left out");
        let newest = all.newest();
        let text = std::fs::read(&newest).unwrap();
        let losses: [&dyn Fn(); 4] = [
            &|| std::fs::remove_file(all.newest()).unwrap(),
            &|| std::fs::write(all.newest(), "").unwrap(),
            &|| std::fs::write(all.newest(), &text).unwrap(),
            &|| std::fs::rename(all.newest(), all.dir.path().join("events.1")).unwrap(),
        ];
        for lose in losses {
            lose();
            for number in all.publish(2).await {
                assert!(!given.contains(&number), "{number} again: {given:?}");
                given.push(number);
            }
        }
    }

    #[tokio::test]
    async fn an_event_too_large_as_written_is_refused_and_its_neighbours_stand() {
        let all = DaemonRestarts::new();
        let mut writer = all.writer();
        let grows: Vec<f64> = vec![1e15; 2 * BODY / 18];
        let batch = [json!({}), json!({ "n": grows }), json!({})];
        let refused = writer.encode(SwarmEventDraft::new("x", batch[1].clone()), 1, Timestamp::now());
        assert_eq!(max_event_bytes(usize::MAX), CATCH_UP_BYTES);
        assert!(matches!(refused, Err(PublishError::TooLarge { most, .. }) if most == 2 * BODY));
        let batch = batch.map(|data| (SwarmEventDraft::new("x", data), None));
        writer.write(Timestamp::now(), batch.into());
        assert_eq!((writer.next, writer.log.cache.last()), (3, 2));
        assert_eq!(all.writer().log.cache.last(), 2);
    }

    #[tokio::test]
    async fn a_killed_incarnations_batch_is_not_written_behind_its_successors() {
        let all = DaemonRestarts::new();
        let mut killed = all.writer();
        let mut next = EventWriter::open(Arc::clone(&killed.log), all.store.clone(), 30).unwrap();
        killed.write(Timestamp::now(), vec![(SwarmEventDraft::new("late", json!({})), None)]);
        next.write(Timestamp::now(), vec![(SwarmEventDraft::new("x", json!({})), None)]);
        let lines = std::fs::read_to_string(all.newest()).unwrap();
        assert!(lines.lines().count() == 1 && !lines.contains("late"), "{lines}");
    }
}
