//! What an actor is to its author: a state, a `handle`, and a context to act through.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::mailbox::Message;
use super::policy::ExitReason;
use super::trace::{self, Scope};

/// An error that ends the actor: its supervisor decides what follows.
pub type ActorError = Box<dyn std::error::Error + Send + Sync>;

/// A process that handles one message at a time.
///
/// `handle` must be short: it never waits for the outside world. Longer work is a task
/// ([`Context::spawn`]) that sends its result back as a message.
pub trait Actor: Sized + Send + 'static {
    type Message: Message;

    /// Handles one message.
    ///
    /// # Errors
    /// An error ends this incarnation, as a panic does; the message is not handled again.
    fn handle(
        &mut self,
        message: Self::Message,
        context: &Context<Self::Message>,
    ) -> impl Future<Output = Result<(), ActorError>> + Send;

    /// Puts things in order before an orderly end; not called after a crash or a kill.
    fn terminate(&mut self, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        std::future::ready(())
    }
}

/// One incarnation's means: its own address, and tasks that live no longer than it does.
pub struct Context<M> {
    address: Address<M>,
    incarnation: u64,
    /// Unique in the process, where incarnations are numbered anew by every new supervisor.
    life: u64,
    tasks: TaskTracker,
    ended: CancellationToken,
    /// Looked at after every message, so no token: those lock.
    stop: Arc<AtomicBool>,
}

impl<M> Clone for Context<M> {
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

impl<M: Message> Context<M> {
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

    /// Which start of this child it is; grows with every restart within one supervisor.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Ends the actor, normally, once the message in hand is handled.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Cancelled when this incarnation has ended, however it ended.
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

    /// Runs a task under the current trace. It is dropped when the incarnation ends, and its panic is
    /// the actor's crash.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let scope = trace::current().unwrap_or_else(|| Scope {
            context: crate::domain::trace::TraceContext::new_root(),
            actor: self.address.no(),
        });
        let (ended, address, life) = (self.ended.clone(), self.address.clone(), self.life);
        let guarded = async move {
            tokio::select! {
                () = ended.cancelled() => {}
                outcome = AssertUnwindSafe(task).catch_unwind() => if outcome.is_err() {
                    let site = trace::panics::take();
                    let text = site.map_or_else(|| "panicked".to_owned(), |s| format!("{} at {}", s.message, s.place));
                    address.mailbox().set_fault(life, format!("a task of it: {text}"));
                }
            }
        };
        self.tasks.spawn(trace::in_scope(scope, guarded));
    }
}
