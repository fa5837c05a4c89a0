//! The author's view of an actor: a state, a `handle`, and a context to act through.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::mailbox::ActorMessage;
use super::policy::ExitReason;
use super::trace::{self, TraceScope};

/// An error that ends the actor; the supervisor decides about a restart.
pub type ActorError = Box<dyn std::error::Error + Send + Sync>;

/// A process that handles one message at a time.
///
/// `handle` must be short and never waits for the outside world. Longer work is a task
/// ([`ActorContext::spawn`]) that sends the result back as a message.
pub trait Actor: Sized + Send + 'static {
    type Message: ActorMessage;

    /// Handles one message.
    ///
    /// # Errors
    /// An error ends this incarnation, as a panic does; the message is not handled again.
    fn handle(
        &mut self,
        message: Self::Message,
        context: &ActorContext<Self::Message>,
    ) -> impl Future<Output = Result<(), ActorError>> + Send;

    /// Tidies up before an orderly end; not called after a crash or a kill.
    fn terminate(&mut self, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        std::future::ready(())
    }
}

/// An incarnation's own address, and tasks that live no longer than the incarnation.
pub struct ActorContext<M> {
    address: Address<M>,
    incarnation: u64,
    /// Unique in the process; incarnation numbers begin anew with every new supervisor.
    life: u64,
    tasks: TaskTracker,
    ended: CancellationToken,
    /// Read after every message, so no token: those lock.
    stop: Arc<AtomicBool>,
}

impl<M> Clone for ActorContext<M> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            incarnation: self.incarnation,
            life: self.life,
            tasks: self.tasks.clone(),
            ended: self.ended.clone(),
            stop: Arc::clone(&self.stop),
        }
    }
}

impl<M: ActorMessage> ActorContext<M> {
    pub(crate) fn new(address: Address<M>, incarnation: u64) -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        Self {
            address,
            incarnation,
            life: LIVES.fetch_add(1, Ordering::Relaxed),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
            stop: Arc::default(),
        }
    }

    /// The actor's own address.
    #[must_use]
    pub fn address(&self) -> &Address<M> {
        &self.address
    }

    /// Which start of this child this is; grows with every restart within one supervisor.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Ends the actor normally once the message in hand is handled.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Cancelled when this incarnation has ended, for whatever reason.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    pub(crate) fn wants_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.ended.cancel();
        self.tasks.close();
    }

    /// Runs a task under the current trace. The task is dropped when the incarnation ends; a panic in the
    /// task crashes the actor.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let scope = trace::current().unwrap_or_else(|| TraceScope {
            context: pas_domain::trace::TraceContext::new_root(),
            actor: self.address.number(),
        });
        let (ended, address, life) = (self.ended.clone(), self.address.clone(), self.life);
        let guarded = async move {
            tokio::select! {
                () = ended.cancelled() => {}
                outcome = AssertUnwindSafe(task).catch_unwind() => if outcome.is_err() {
                    let site = trace::panics::take();
                    let text = site.map_or_else(|| "panicked".to_owned(), |s| format!("{} at {}", s.message, s.place));
                    address.mailbox().set_fault(life, format!("a task of the actor failed: {text}"));
                }
            }
        };
        self.tasks.spawn(trace::in_scope(scope, guarded));
    }
}
