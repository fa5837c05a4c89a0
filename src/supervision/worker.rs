//! Runs an [`Actor`] on ractor: wakes, takes messages off the mailbox, records each.
//!
//! Invariants: one message at a time; a record for every message taken, whatever its outcome (a guard writes
//! the record even when a panic or a kill cuts the handler off).

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ractor::{ActorProcessingErr, ActorRef};

use super::actor::{Actor, ActorContext, ActorError};
use super::address::Address;
use super::mailbox::{ActorMessage, Mailbox, MailboxNext, MailboxWake};
use super::policy::ExitReason;
use super::trace::panics;
use super::trace::{self, MessageOutcome, TraceRecord, TraceScope};

/// Most messages handled in one wake-up, so that a stop is never far away and neighbours get a turn.
const BATCH: usize = 64;

/// The reason text that marks an orderly stop by a supervisor.
pub(crate) const SHUTDOWN: &str = "shutdown";

/// Makes the state of a new incarnation.
pub(crate) type WorkerInit<A> = Arc<
    dyn Fn(ActorContext<<A as Actor>::Message>) -> BoxFuture<'static, Result<A, ActorError>> + Send + Sync,
>;

pub(crate) struct Worker<A>(PhantomData<fn() -> A>);

impl<A> Worker<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct WorkerArgs<A: Actor> {
    pub(crate) address: Address<A::Message>,
    pub(crate) incarnation: u64,
    pub(crate) init: WorkerInit<A>,
}

pub(crate) struct WorkerState<A: Actor> {
    actor: A,
    context: ActorContext<A::Message>,
}

impl<A: Actor> Drop for WorkerState<A> {
    fn drop(&mut self) {
        self.context.end();
        self.context.address().mailbox().detach(self.context.life());
    }
}

/// Writes the record of the message in hand, at the latest when dropped.
struct MessageInHand<'a, M: ActorMessage> {
    mailbox: &'a Mailbox<M>,
    record: Option<TraceRecord>,
}

impl<M: ActorMessage> MessageInHand<'_, M> {
    fn handled(mut self) -> u64 {
        self.record.take().map_or(0, |record| self.mailbox.handled(record))
    }

    fn refused(mut self) {
        if let Some(record) = self.record.take() {
            self.mailbox.failed(record, MessageOutcome::Error, None);
        }
    }
}

impl<M: ActorMessage> Drop for MessageInHand<'_, M> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let panicking = std::thread::panicking();
            let outcome = if panicking { MessageOutcome::Crashed } else { MessageOutcome::Killed };
            self.mailbox.failed(record, outcome, panicking.then(panics::take).flatten());
        }
    }
}

impl<A: Actor> ractor::Actor for Worker<A> {
    type Msg = MailboxWake;
    type State = WorkerState<A>;
    type Arguments = WorkerArgs<A>;

    async fn pre_start(
        &self,
        _: ActorRef<MailboxWake>,
        birth: WorkerArgs<A>,
    ) -> Result<WorkerState<A>, ActorProcessingErr> {
        let context = ActorContext::new(birth.address.clone(), birth.incarnation);
        let scope = TraceScope { context: trace_of_start(), actor: birth.address.number() };
        let actor = trace::in_scope(scope, (birth.init)(context.clone())).await?;
        Ok(WorkerState { actor, context })
    }

    async fn post_start(
        &self,
        myself: ActorRef<MailboxWake>,
        life: &mut WorkerState<A>,
    ) -> Result<(), ActorProcessingErr> {
        life.context.address().mailbox().attach(life.context.life(), myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<MailboxWake>,
        _: MailboxWake,
        life: &mut WorkerState<A>,
    ) -> Result<(), ActorProcessingErr> {
        let scope = TraceScope { context: trace_of_start(), actor: life.context.address().number() };
        let more = trace::in_scope(scope, life.handle_batch()).await?;
        if life.context.wants_stop() {
            myself.stop(None);
        } else if more {
            // Fails only when the actor is ending already.
            let _ = myself.cast(MailboxWake);
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<MailboxWake>,
        life: &mut WorkerState<A>,
    ) -> Result<(), ActorProcessingErr> {
        let reason = if life.context.wants_stop() { ExitReason::Normal } else { ExitReason::Shutdown };
        let scope = TraceScope { context: trace_of_start(), actor: life.context.address().number() };
        trace::in_scope(scope, life.actor.terminate(&reason)).await;
        Ok(())
    }
}

impl<A: Actor> WorkerState<A> {
    /// Handles up to [`BATCH`] messages; true when more may wait.
    async fn handle_batch(&mut self) -> Result<bool, ActorError> {
        let address = self.context.address().clone();
        let mailbox = address.mailbox();
        let mut now = mailbox.ring().now_ns();
        for _ in 0..BATCH {
            mailbox.answer_probe();
            let (envelope, record) = match mailbox.next(self.context.life(), now) {
                MailboxNext::Handle(envelope, record) => (envelope, record),
                MailboxNext::Fail(fault) => return Err(fault.into()),
                MailboxNext::Wait => return Ok(false),
            };
            trace::current::set(TraceScope { context: envelope.header.context, actor: address.number() });
            let in_hand = MessageInHand { mailbox, record: Some(record) };
            match self.actor.handle(envelope.message, &self.context).await {
                Ok(()) => now = in_hand.handled(),
                Err(error) => {
                    in_hand.refused();
                    return Err(error);
                }
            }
            if self.context.wants_stop() {
                break;
            }
        }
        mailbox.finish_current();
        Ok(!self.context.wants_stop())
    }
}

/// A start continues the trace of its cause, or begins a new one.
fn trace_of_start() -> pas_domain::trace::TraceContext {
    trace::current().map_or_else(pas_domain::trace::TraceContext::new_root, |scope| scope.context)
}
