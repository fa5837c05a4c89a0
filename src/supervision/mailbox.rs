//! Mailboxes that outlive their actor: bounded, kept through a crash, open to inspection.
//!
//! Owns the queue in front of an actor. Invariants: an accepted message is handled once, in order, by the
//! incarnation alive at the time, unless an incarnation crashed while handling the message or the actor has
//! ended for good; then the caller gets an error. A full queue refuses and never drops. Messages wait in this
//! queue and only wake-ups in the framework's own mailbox, because that one dies with the incarnation.
//!
//! There are two queues: senders push onto the [`MailboxIntake`]; the worker takes the whole intake over when
//! the [`MailboxBacklog`] is empty. So a message takes the senders' lock once a batch, not once each way. The
//! locks are taken in the order backlog, intake.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::time::Instant;

use super::trace::panics::PanicSite;
use super::trace::{ActorNumber, MessageHeader, MessageOutcome, TraceRecord, TraceRing};

/// Default bound of a mailbox: two seconds of work at 500 messages a second.
pub const DEFAULT_CAPACITY: usize = 1024;

/// A message that an actor understands.
pub trait ActorMessage: Send + 'static {
    /// The name of the variant, for the trace.
    fn kind(&self) -> &'static str;
}

/// Wakes an incarnation whose mailbox has work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MailboxWake;

#[derive(Debug)]
pub(crate) struct MessageEnvelope<M> {
    pub(crate) header: MessageHeader,
    pub(crate) message: M,
}

/// Why a message was not accepted; gives the message back.
#[derive(Debug)]
pub(crate) enum RefusedMessage<M> {
    Full(M),
    Closed(M),
}

/// The senders' side: messages accepted since the worker last took over.
struct MailboxIntake<M> {
    queue: VecDeque<MessageEnvelope<M>>,
    worker: Option<ActorRef<MailboxWake>>,
    /// A wake-up is queued or being handled.
    scheduled: bool,
    paused: bool,
    closed: bool,
}

/// The worker's side, which never blocks senders: the messages taken over, and the message in hand.
struct MailboxBacklog<M> {
    queue: VecDeque<MessageEnvelope<M>>,
    /// The incarnation that may take messages; none during a kill or between two incarnations.
    life: Option<u64>,
    paused: bool,
    /// The message in hand; stays here after handling, until the next is taken.
    current: Option<TraceRecord>,
    handled: u64,
    crash: Option<CrashSite>,
    fault: Option<String>,
}

/// An incarnation's next action.
pub(crate) enum MailboxNext<M> {
    Handle(MessageEnvelope<M>, TraceRecord),
    /// End: a task of the actor has failed.
    Fail(String),
    /// Wait for a wake-up.
    Wait,
}

/// The message being handled when an incarnation died, and the panic.
#[derive(Debug, Clone)]
pub struct CrashSite {
    pub record: TraceRecord,
    /// Message and place of the panic; `None` for an end without one.
    pub panic: Option<PanicSite>,
}

/// The queue in front of one actor.
pub struct Mailbox<M> {
    number: ActorNumber,
    capacity: usize,
    intake: Mutex<MailboxIntake<M>>,
    backlog: Mutex<MailboxBacklog<M>>,
    /// Length of the backlog's queue, so that senders can read the depth without the backlog's lock. Lags
    /// only while a message leaves: the bound may refuse one message early, and never admits one too many.
    backlog_len: AtomicUsize,
    ring: Arc<TraceRing>,
    epoch: Instant,
    beat_ms: AtomicU64,
    probed: AtomicBool,
}

/// The mailbox's view and controls, independent of the message type.
pub trait MailboxControl: Send + Sync {
    /// The mailbox's state at this moment.
    fn vitals(&self) -> MailboxVitals;
    /// Asks the actor for a heartbeat.
    fn probe(&self);
    /// Pauses the messages (heartbeats are still answered), or resumes them.
    fn set_paused(&self, paused: bool);
    /// Refuses messages from now on and drops those that wait; the next incarnation opens the mailbox again.
    fn close(&self);
    /// Gives the current incarnation, which is being killed, no further message.
    fn cut_off(&self);
    fn take_crash(&self) -> Option<CrashSite>;
    /// Records of the messages that wait or are being handled.
    fn open_records(&self) -> Vec<TraceRecord>;
}

#[derive(Debug, Clone)]
pub struct MailboxVitals {
    pub depth: usize,
    /// Most messages that may wait.
    pub capacity: usize,
    /// Messages handled since the process began.
    pub handled: u64,
    /// Whether messages are paused.
    pub paused: bool,
    /// Kind of the message being handled, and when handling began (nanoseconds of the ring's clock).
    pub current: Option<(&'static str, u64)>,
    pub last_beat: Instant,
}

impl<M: ActorMessage> Mailbox<M> {
    pub(crate) fn new(no: ActorNumber, capacity: usize, ring: Arc<TraceRing>) -> Self {
        Self {
            number: no,
            capacity,
            intake: Mutex::new(MailboxIntake {
                queue: VecDeque::new(),
                worker: None,
                scheduled: false,
                paused: false,
                closed: false,
            }),
            backlog: Mutex::new(MailboxBacklog {
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

    pub(crate) fn number(&self) -> ActorNumber {
        self.number
    }

    pub(crate) fn ring(&self) -> &Arc<TraceRing> {
        &self.ring
    }

    /// Accepts a message, or returns it with the reason.
    pub(crate) fn push(&self, message: M) -> Result<(), RefusedMessage<M>> {
        let header = super::trace::current::header(self.ring.now_ns());
        let mut intake = self.intake.lock();
        if intake.closed {
            return Err(RefusedMessage::Closed(message));
        }
        if intake.queue.len() + self.backlog_len.load(Ordering::Relaxed) >= self.capacity {
            return Err(RefusedMessage::Full(message));
        }
        intake.queue.push_back(MessageEnvelope { header, message });
        intake.wake_for_message();
        Ok(())
    }

    /// The next message for this life of the actor, unless there is none, the mailbox is paused, or a newer
    /// life (or a kill) has taken over. Releases the message in hand.
    pub(crate) fn next(&self, life: u64, started_ns: u64) -> MailboxNext<M> {
        let mut backlog = self.backlog.lock();
        backlog.let_go();
        if let Some(fault) = backlog.fault.take() {
            return MailboxNext::Fail(fault);
        }
        if backlog.life != Some(life) {
            return MailboxNext::Wait;
        }
        if (backlog.queue.is_empty() || backlog.paused) && !self.take_over(&mut backlog) {
            return MailboxNext::Wait;
        }
        let Some(envelope) = backlog.queue.pop_front() else { return MailboxNext::Wait };
        self.backlog_len.store(backlog.queue.len(), Ordering::Relaxed);
        let mut record = TraceRecord::open(&envelope.header, self.number, envelope.message.kind());
        record.started_ns = started_ns;
        backlog.current = Some(record);
        MailboxNext::Handle(envelope, record)
    }

    /// Moves the intake behind the backlog. Returns false when there is nothing to do, or while paused; then
    /// the next message or the end of the pause wakes the worker.
    fn take_over(&self, backlog: &mut MailboxBacklog<M>) -> bool {
        let mut intake = self.intake.lock();
        if intake.paused || (intake.queue.is_empty() && backlog.queue.is_empty()) {
            intake.scheduled = false;
            return false;
        }
        if backlog.queue.is_empty() {
            std::mem::swap(&mut backlog.queue, &mut intake.queue);
            // Under the senders' lock, so that no sender sees the messages in neither place.
            self.backlog_len.store(backlog.queue.len(), Ordering::Relaxed);
        }
        true
    }

    /// Releases the message in hand where no [`Mailbox::next`] follows.
    pub(crate) fn finish_current(&self) {
        self.backlog.lock().let_go();
    }

    /// Records the successful end of the message in hand, with the time. The next step, which locks the
    /// mailbox anyway, releases the message.
    pub(crate) fn handled(&self, mut record: TraceRecord) -> u64 {
        (record.ended_ns, record.outcome) = (self.ring.now_ns(), MessageOutcome::Ok);
        self.ring.write(record);
        record.ended_ns
    }

    /// Records that the message in hand was the incarnation's last.
    pub(crate) fn failed(&self, mut record: TraceRecord, outcome: MessageOutcome, panic: Option<PanicSite>) {
        (record.ended_ns, record.outcome) = (self.ring.now_ns(), outcome);
        self.ring.write(record);
        let mut backlog = self.backlog.lock();
        backlog.let_go();
        backlog.crash = Some(CrashSite { record, panic });
    }

    /// Attaches an incarnation to the mailbox and wakes it if messages wait.
    pub(crate) fn attach(&self, life: u64, worker: ActorRef<MailboxWake>) {
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

    /// Detaches an incarnation from the mailbox, unless a newer one is attached.
    pub(crate) fn detach(&self, life: u64) {
        let mut backlog = self.backlog.lock();
        if backlog.life == Some(life) {
            backlog.life = None;
            let mut intake = self.intake.lock();
            intake.worker = None;
            intake.scheduled = false;
        }
    }

    /// Reports a failure of a task that runs for the actor; the handler loop ends with that fault.
    pub(crate) fn set_fault(&self, life: u64, fault: String) {
        let mut backlog = self.backlog.lock();
        if backlog.life == Some(life) {
            backlog.fault = Some(fault);
            self.intake.lock().wake();
        }
    }

    /// Answers a waiting probe.
    pub(crate) fn answer_probe(&self) {
        if self.probed.load(Ordering::Relaxed) && self.probed.swap(false, Ordering::Relaxed) {
            self.beat();
            let now = self.ring.now_ns();
            let mut record = TraceRecord::open(&super::trace::current::header(now), self.number, "heartbeat");
            (record.started_ns, record.ended_ns, record.outcome) = (now, now, MessageOutcome::Ok);
            self.ring.write(record);
        }
    }

    fn beat(&self) {
        let ms = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(ms, Ordering::Relaxed);
    }
}

impl<M> MailboxBacklog<M> {
    fn let_go(&mut self) {
        self.handled += u64::from(self.current.take().is_some());
    }
}

impl<M> MailboxIntake<M> {
    fn wake_for_message(&mut self) {
        self.wake_for(false);
    }

    /// Wakes the worker for messages in the intake or, when `is_left_over`, in the backlog.
    fn wake_for(&mut self, is_left_over: bool) {
        if !self.paused && !self.scheduled && (is_left_over || !self.queue.is_empty()) {
            self.scheduled = true;
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(worker) = &self.worker {
            // A worker that can no longer be reached is dying: `attach` wakes the next incarnation.
            let _ = worker.cast(MailboxWake);
        }
    }
}

impl<M: ActorMessage> MailboxControl for Mailbox<M> {
    fn vitals(&self) -> MailboxVitals {
        let backlog = self.backlog.lock();
        let waiting = self.intake.lock().queue.len();
        MailboxVitals {
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
        let dropped: Vec<MessageEnvelope<M>> = {
            let mut backlog = self.backlog.lock();
            let mut intake = self.intake.lock();
            intake.closed = true;
            self.backlog_len.store(0, Ordering::Relaxed);
            let taken = std::mem::take(&mut backlog.queue);
            taken.into_iter().chain(std::mem::take(&mut intake.queue)).collect()
        };
        let now = self.ring.now_ns();
        for envelope in dropped {
            let mut record = TraceRecord::open(&envelope.header, self.number, envelope.message.kind());
            (record.ended_ns, record.outcome) = (now, MessageOutcome::Dropped);
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

    fn open_records(&self) -> Vec<TraceRecord> {
        let backlog = self.backlog.lock();
        let intake = self.intake.lock();
        let waiting = backlog.queue.iter().chain(&intake.queue);
        let waiting = waiting.map(|e| TraceRecord::open(&e.header, self.number, e.message.kind()));
        backlog.current.into_iter().chain(waiting).collect()
    }
}
