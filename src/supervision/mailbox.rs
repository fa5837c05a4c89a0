//! Mailboxes that outlive their actor: bounded, kept through a crash, open to inspection.
//!
//! Owns the queue in front of an actor. Invariants: an accepted message is handled once, in order, by
//! whichever incarnation is alive, unless its handling was begun by one that crashed, or the actor has
//! ended for good; then its caller is told. A full queue refuses, it never drops. The queue holds the
//! messages, the framework's own mailbox only wake-ups, because that one dies with the incarnation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::time::Instant;

use super::trace::panics::PanicSite;
use super::trace::{ActorNo, Header, Outcome, Record, Ring};

/// Default bound of a mailbox: two seconds of work at 500 messages a second.
pub const DEFAULT_CAPACITY: usize = 1024;

/// A message that an actor understands.
pub trait Message: Send + 'static {
    /// The name of its variant, for the trace.
    fn kind(&self) -> &'static str;
}

/// Tells an incarnation that its mailbox wants attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wake;

#[derive(Debug)]
pub(crate) struct Envelope<M> {
    pub(crate) header: Header,
    pub(crate) message: M,
}

/// Why a message was not accepted; it comes back unharmed.
#[derive(Debug)]
pub(crate) enum Refused<M> {
    Full(M),
    Closed(M),
}

struct Inner<M> {
    queue: VecDeque<Envelope<M>>,
    worker: Option<(u64, ActorRef<Wake>)>,
    /// A wake-up is under way or being worked on.
    scheduled: bool,
    paused: bool,
    closed: bool,
    /// The message in hand; still here for a moment after it was handled, until the next is taken.
    current: Option<Record>,
    handled: u64,
    crash: Option<CrashSite>,
    fault: Option<String>,
}

/// What an incarnation is to do next.
pub(crate) enum Next<M> {
    /// Handle this message.
    Handle(Envelope<M>, Record),
    /// End: something that ran on its behalf has failed.
    Fail(String),
    /// Wait to be woken.
    Wait,
}

/// What was being handled when an incarnation died, and what the panic said.
#[derive(Debug, Clone)]
pub struct CrashSite {
    /// The message's record, with its outcome.
    pub record: Record,
    /// Message and place of the panic; `None` when it was no panic.
    pub panic: Option<PanicSite>,
}

/// The queue in front of one actor.
pub struct Mailbox<M> {
    no: ActorNo,
    capacity: usize,
    inner: Mutex<Inner<M>>,
    ring: Arc<Ring>,
    epoch: Instant,
    beat_ms: AtomicU64,
    probed: AtomicBool,
}

/// What a mailbox shows of itself, whatever its messages are.
pub trait Inspect: Send + Sync {
    /// A picture of the moment.
    fn vitals(&self) -> Vitals;
    /// Asks the actor for a sign of life.
    fn probe(&self);
    /// Holds the messages back (heartbeats are still answered), or lets them go on.
    fn set_paused(&self, paused: bool);
    /// Refuses messages from now on and drops what waits; the next incarnation opens it again.
    fn close(&self);
    /// Gives the present incarnation no further message: it is being killed.
    fn cut_off(&self);
    /// Takes what is known of the last crash.
    fn take_crash(&self) -> Option<CrashSite>;
    /// Records of the messages that wait or are being handled.
    fn open_records(&self) -> Vec<Record>;
}

/// A mailbox and its actor at one moment.
#[derive(Debug, Clone)]
pub struct Vitals {
    /// Messages that wait.
    pub depth: usize,
    /// Most that may wait.
    pub capacity: usize,
    /// Messages handled since the process began.
    pub handled: u64,
    /// Whether messages are held back.
    pub paused: bool,
    /// The message being handled, and since when (nanoseconds of the ring's clock).
    pub current: Option<(&'static str, u64)>,
    /// The last sign of life.
    pub last_beat: Instant,
}

impl<M: Message> Mailbox<M> {
    pub(crate) fn new(no: ActorNo, capacity: usize, ring: Arc<Ring>) -> Self {
        Self {
            no,
            capacity,
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                worker: None,
                scheduled: false,
                paused: false,
                closed: false,
                current: None,
                handled: 0,
                crash: None,
                fault: None,
            }),
            ring,
            epoch: Instant::now(),
            beat_ms: AtomicU64::new(0),
            probed: AtomicBool::new(false),
        }
    }

    pub(crate) fn no(&self) -> ActorNo {
        self.no
    }

    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Accepts a message, or gives it back.
    pub(crate) fn push(&self, message: M) -> Result<(), Refused<M>> {
        let header = super::trace::current::header(self.ring.now_ns());
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Refused::Closed(message));
        }
        if inner.queue.len() >= self.capacity {
            return Err(Refused::Full(message));
        }
        inner.queue.push_back(Envelope { header, message });
        inner.wake_for_message();
        Ok(())
    }

    /// The next message for this life of the actor, unless there is none, they are held back, or a
    /// newer life (or a kill) has taken its place. The message that was in hand is let go.
    pub(crate) fn next(&self, life: u64, started_ns: u64) -> Next<M> {
        let mut inner = self.inner.lock();
        inner.let_go();
        if let Some(fault) = inner.fault.take() {
            return Next::Fail(fault);
        }
        if inner.worker.as_ref().is_none_or(|(current, _)| *current != life) {
            return Next::Wait;
        }
        let envelope = if inner.paused { None } else { inner.queue.pop_front() };
        let Some(envelope) = envelope else {
            inner.scheduled = false;
            return Next::Wait;
        };
        let mut record = Record::open(&envelope.header, self.no, envelope.message.kind());
        record.started_ns = started_ns;
        inner.current = Some(record);
        Next::Handle(envelope, record)
    }

    /// Lets the message in hand go, where no [`Mailbox::next`] follows.
    pub(crate) fn rest(&self) {
        self.inner.lock().let_go();
    }

    /// Records that the message in hand was handled well, and when. It is let go by what follows, which
    /// locks the mailbox anyway.
    pub(crate) fn handled(&self, mut record: Record) -> u64 {
        (record.ended_ns, record.outcome) = (self.ring.now_ns(), Outcome::Ok);
        self.ring.write(record);
        record.ended_ns
    }

    /// Records that the message in hand was the last of its incarnation.
    pub(crate) fn failed(&self, mut record: Record, outcome: Outcome, panic: Option<PanicSite>) {
        (record.ended_ns, record.outcome) = (self.ring.now_ns(), outcome);
        self.ring.write(record);
        let mut inner = self.inner.lock();
        inner.let_go();
        inner.crash = Some(CrashSite { record, panic });
    }

    /// Joins an incarnation to the mailbox: it is woken for whatever waits.
    pub(crate) fn attach(&self, life: u64, worker: ActorRef<Wake>) {
        self.beat();
        let mut inner = self.inner.lock();
        inner.closed = false;
        inner.fault = None;
        inner.worker = Some((life, worker));
        inner.scheduled = false;
        inner.wake_for_message();
    }

    /// Parts an incarnation from the mailbox, unless a newer one has taken its place.
    pub(crate) fn detach(&self, life: u64) {
        let mut inner = self.inner.lock();
        if inner.worker.as_ref().is_some_and(|(current, _)| *current == life) {
            inner.worker = None;
            inner.scheduled = false;
        }
    }

    /// A failure of something that runs on the actor's behalf: its handler loop ends with it.
    pub(crate) fn set_fault(&self, life: u64, fault: String) {
        let mut inner = self.inner.lock();
        if inner.worker.as_ref().is_some_and(|(current, _)| *current == life) {
            inner.fault = Some(fault);
            inner.wake();
        }
    }

    /// Answers a probe, if there is one.
    pub(crate) fn answer_probe(&self) {
        if self.probed.load(Ordering::Relaxed) && self.probed.swap(false, Ordering::Relaxed) {
            self.beat();
            let now = self.ring.now_ns();
            let mut record = Record::open(&super::trace::current::header(now), self.no, "heartbeat");
            (record.started_ns, record.ended_ns, record.outcome) = (now, now, Outcome::Ok);
            self.ring.write(record);
        }
    }

    fn beat(&self) {
        let ms = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(ms, Ordering::Relaxed);
    }
}

impl<M> Inner<M> {
    fn let_go(&mut self) {
        self.handled += u64::from(self.current.take().is_some());
    }

    fn wake_for_message(&mut self) {
        if !self.paused && !self.queue.is_empty() && !self.scheduled {
            self.scheduled = true;
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some((_, worker)) = &self.worker {
            // A worker that can no longer be reached is dying: the next incarnation is woken by `attach`.
            let _ = worker.cast(Wake);
        }
    }
}

impl<M: Message> Inspect for Mailbox<M> {
    fn vitals(&self) -> Vitals {
        let inner = self.inner.lock();
        Vitals {
            depth: inner.queue.len(),
            capacity: self.capacity,
            handled: inner.handled,
            paused: inner.paused,
            current: inner.current.map(|record| (record.kind, record.started_ns)),
            last_beat: self.epoch + std::time::Duration::from_millis(self.beat_ms.load(Ordering::Relaxed)),
        }
    }

    fn probe(&self) {
        self.probed.store(true, Ordering::Relaxed);
        self.inner.lock().wake();
    }

    fn set_paused(&self, paused: bool) {
        let mut inner = self.inner.lock();
        inner.paused = paused;
        inner.wake_for_message();
    }

    fn close(&self) {
        let dropped = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            std::mem::take(&mut inner.queue)
        };
        let now = self.ring.now_ns();
        for envelope in dropped {
            let mut record = Record::open(&envelope.header, self.no, envelope.message.kind());
            (record.ended_ns, record.outcome) = (now, Outcome::Dropped);
            self.ring.write(record);
        }
    }

    fn cut_off(&self) {
        self.inner.lock().worker = None;
    }

    fn take_crash(&self) -> Option<CrashSite> {
        self.inner.lock().crash.take()
    }

    fn open_records(&self) -> Vec<Record> {
        let inner = self.inner.lock();
        let waiting = inner.queue.iter().map(|e| Record::open(&e.header, self.no, e.message.kind()));
        inner.current.into_iter().chain(waiting).collect()
    }
}
