//! Mailboxes that outlive their actor: bounded, kept through a crash, open to inspection.
//!
//! Owns the queue in front of an actor. Invariants: an accepted message is handled once, in order, by
//! whichever incarnation is alive, unless its handling was begun by one that crashed, or the actor has
//! ended for good; then its caller is told. A full queue refuses, it never drops. The queue holds the
//! messages, the framework's own mailbox only wake-ups, because that one dies with the incarnation.
//!
//! The queue is two: senders push onto the [`Intake`], the worker takes it over whole when its own
//! [`Backlog`] is empty. So a message costs its senders' lock once a batch, not once each way. Both locks are
//! taken in the order backlog, intake.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

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

/// The senders' side: what was accepted since the worker last took over.
struct Intake<M> {
    queue: VecDeque<Envelope<M>>,
    worker: Option<ActorRef<Wake>>,
    /// A wake-up is under way or being worked on.
    scheduled: bool,
    paused: bool,
    closed: bool,
}

/// The worker's side, which senders never wait for: what it has taken over, and the message in hand.
struct Backlog<M> {
    queue: VecDeque<Envelope<M>>,
    /// The incarnation that may take messages; none while it is being killed or between two.
    life: Option<u64>,
    paused: bool,
    /// The message in hand; still here for a moment after it was handled, until the next is taken.
    current: Option<Record>,
    handled: u64,
    crash: Option<CrashSite>,
    fault: Option<String>,
}

/// What an incarnation is to do next.
pub(crate) enum Next<M> {
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
    intake: Mutex<Intake<M>>,
    backlog: Mutex<Backlog<M>>,
    /// Length of the backlog's queue, so that senders can tell the depth without its lock. It lags only while a
    /// message leaves: the bound may refuse one message early, it never admits one too many.
    backlog_len: AtomicUsize,
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
            intake: Mutex::new(Intake {
                queue: VecDeque::new(),
                worker: None,
                scheduled: false,
                paused: false,
                closed: false,
            }),
            backlog: Mutex::new(Backlog {
                queue: VecDeque::new(),
                life: None,
                paused: false,
                current: None,
                handled: 0,
                crash: None,
                fault: None,
            }),
            backlog_len: AtomicUsize::new(0),
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
        let mut intake = self.intake.lock();
        if intake.closed {
            return Err(Refused::Closed(message));
        }
        if intake.queue.len() + self.backlog_len.load(Ordering::Relaxed) >= self.capacity {
            return Err(Refused::Full(message));
        }
        intake.queue.push_back(Envelope { header, message });
        intake.wake_for_message();
        Ok(())
    }

    /// The next message for this life of the actor, unless there is none, they are held back, or a
    /// newer life (or a kill) has taken its place. The message that was in hand is let go.
    pub(crate) fn next(&self, life: u64, started_ns: u64) -> Next<M> {
        let mut backlog = self.backlog.lock();
        backlog.let_go();
        if let Some(fault) = backlog.fault.take() {
            return Next::Fail(fault);
        }
        if backlog.life != Some(life) {
            return Next::Wait;
        }
        if (backlog.queue.is_empty() || backlog.paused) && !self.take_over(&mut backlog) {
            return Next::Wait;
        }
        let Some(envelope) = backlog.queue.pop_front() else { return Next::Wait };
        self.backlog_len.store(backlog.queue.len(), Ordering::Relaxed);
        let mut record = Record::open(&envelope.header, self.no, envelope.message.kind());
        record.started_ns = started_ns;
        backlog.current = Some(record);
        Next::Handle(envelope, record)
    }

    /// Moves the intake behind what is left of the backlog. Without anything to do, or while paused, it says no,
    /// and the next message or the end of the pause wakes the worker.
    fn take_over(&self, backlog: &mut Backlog<M>) -> bool {
        let mut intake = self.intake.lock();
        if intake.paused || (intake.queue.is_empty() && backlog.queue.is_empty()) {
            intake.scheduled = false;
            return false;
        }
        if backlog.queue.is_empty() {
            std::mem::swap(&mut backlog.queue, &mut intake.queue);
            // Under the senders' lock, so that none of them sees the messages in neither place.
            self.backlog_len.store(backlog.queue.len(), Ordering::Relaxed);
        }
        true
    }

    /// Lets the message in hand go, where no [`Mailbox::next`] follows.
    pub(crate) fn rest(&self) {
        self.backlog.lock().let_go();
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
        let mut backlog = self.backlog.lock();
        backlog.let_go();
        backlog.crash = Some(CrashSite { record, panic });
    }

    /// Joins an incarnation to the mailbox: it is woken for whatever waits.
    pub(crate) fn attach(&self, life: u64, worker: ActorRef<Wake>) {
        self.beat();
        let mut backlog = self.backlog.lock();
        backlog.fault = None;
        backlog.life = Some(life);
        let mut intake = self.intake.lock();
        intake.closed = false;
        intake.worker = Some(worker);
        intake.scheduled = false;
        intake.wake_for(!backlog.queue.is_empty());
    }

    /// Parts an incarnation from the mailbox, unless a newer one has taken its place.
    pub(crate) fn detach(&self, life: u64) {
        let mut backlog = self.backlog.lock();
        if backlog.life == Some(life) {
            backlog.life = None;
            let mut intake = self.intake.lock();
            intake.worker = None;
            intake.scheduled = false;
        }
    }

    /// A failure of something that runs on the actor's behalf: its handler loop ends with it.
    pub(crate) fn set_fault(&self, life: u64, fault: String) {
        let mut backlog = self.backlog.lock();
        if backlog.life == Some(life) {
            backlog.fault = Some(fault);
            self.intake.lock().wake();
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

impl<M> Backlog<M> {
    fn let_go(&mut self) {
        self.handled += u64::from(self.current.take().is_some());
    }
}

impl<M> Intake<M> {
    fn wake_for_message(&mut self) {
        self.wake_for(false);
    }

    /// Wakes the worker for what waits here, or for what `is_left_over` in the backlog.
    fn wake_for(&mut self, is_left_over: bool) {
        if !self.paused && !self.scheduled && (is_left_over || !self.queue.is_empty()) {
            self.scheduled = true;
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(worker) = &self.worker {
            // A worker that can no longer be reached is dying: the next incarnation is woken by `attach`.
            let _ = worker.cast(Wake);
        }
    }
}

impl<M: Message> Inspect for Mailbox<M> {
    fn vitals(&self) -> Vitals {
        let backlog = self.backlog.lock();
        let waiting = self.intake.lock().queue.len();
        Vitals {
            depth: waiting + backlog.queue.len(),
            capacity: self.capacity,
            handled: backlog.handled,
            paused: backlog.paused,
            current: backlog.current.map(|record| (record.kind, record.started_ns)),
            last_beat: self.epoch + std::time::Duration::from_millis(self.beat_ms.load(Ordering::Relaxed)),
        }
    }

    fn probe(&self) {
        self.probed.store(true, Ordering::Relaxed);
        self.intake.lock().wake();
    }

    fn set_paused(&self, paused: bool) {
        let mut backlog = self.backlog.lock();
        let mut intake = self.intake.lock();
        (backlog.paused, intake.paused) = (paused, paused);
        intake.wake_for(!backlog.queue.is_empty());
    }

    fn close(&self) {
        let dropped: Vec<Envelope<M>> = {
            let mut backlog = self.backlog.lock();
            let mut intake = self.intake.lock();
            intake.closed = true;
            self.backlog_len.store(0, Ordering::Relaxed);
            let taken = std::mem::take(&mut backlog.queue);
            taken.into_iter().chain(std::mem::take(&mut intake.queue)).collect()
        };
        let now = self.ring.now_ns();
        for envelope in dropped {
            let mut record = Record::open(&envelope.header, self.no, envelope.message.kind());
            (record.ended_ns, record.outcome) = (now, Outcome::Dropped);
            self.ring.write(record);
        }
    }

    fn cut_off(&self) {
        let mut backlog = self.backlog.lock();
        backlog.life = None;
        self.intake.lock().worker = None;
    }

    fn take_crash(&self) -> Option<CrashSite> {
        self.backlog.lock().crash.take()
    }

    fn open_records(&self) -> Vec<Record> {
        let backlog = self.backlog.lock();
        let intake = self.intake.lock();
        let waiting = backlog.queue.iter().chain(&intake.queue);
        let waiting = waiting.map(|e| Record::open(&e.header, self.no, e.message.kind()));
        backlog.current.into_iter().chain(waiting).collect()
    }
}
