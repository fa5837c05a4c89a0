//! Carries an [`Actor`] on ractor: wakes, takes messages off the mailbox, records each.
//!
//! Invariants: one message at a time; a record for every message taken, whatever becomes of it (the
//! guard writes it even when the handler is cut off by a panic or a kill).

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ractor::{ActorProcessingErr, ActorRef};

use super::actor::{Actor, ActorError, Context};
use super::address::Address;
use super::mailbox::{Mailbox, Message, Next, Wake};
use super::policy::ExitReason;
use super::trace::panics;
use super::trace::{self, Outcome, Record, Scope};

/// Most messages handled for one wake-up, so that a stop is never far away and neighbours get a turn.
const BATCH: usize = 64;

/// The reason text that marks an orderly stop by a supervisor.
pub(crate) const SHUTDOWN: &str = "shutdown";

/// Makes the state of a new incarnation.
pub(crate) type Init<A> =
    Arc<dyn Fn(Context<<A as Actor>::Message>) -> BoxFuture<'static, Result<A, ActorError>> + Send + Sync>;

pub(crate) struct Worker<A>(PhantomData<fn() -> A>);

impl<A> Worker<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) struct Birth<A: Actor> {
    pub(crate) address: Address<A::Message>,
    pub(crate) incarnation: u64,
    pub(crate) init: Init<A>,
}

pub(crate) struct Life<A: Actor> {
    actor: A,
    context: Context<A::Message>,
}

impl<A: Actor> Drop for Life<A> {
    fn drop(&mut self) {
        self.context.end();
        self.context.address().mailbox().detach(self.context.life());
    }
}

/// Writes the record of the message in hand, at the latest when it is dropped.
struct InHand<'a, M: Message> {
    mailbox: &'a Mailbox<M>,
    record: Option<Record>,
}

impl<M: Message> InHand<'_, M> {
    fn handled(mut self) -> u64 {
        self.record.take().map_or(0, |record| self.mailbox.handled(record))
    }

    fn refused(mut self) {
        if let Some(record) = self.record.take() {
            self.mailbox.failed(record, Outcome::Error, None);
        }
    }
}

impl<M: Message> Drop for InHand<'_, M> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let panicking = std::thread::panicking();
            let outcome = if panicking { Outcome::Crashed } else { Outcome::Killed };
            self.mailbox.failed(record, outcome, panicking.then(panics::take).flatten());
        }
    }
}

impl<A: Actor> ractor::Actor for Worker<A> {
    type Msg = Wake;
    type State = Life<A>;
    type Arguments = Birth<A>;

    async fn pre_start(&self, _: ActorRef<Wake>, birth: Birth<A>) -> Result<Life<A>, ActorProcessingErr> {
        let context = Context::new(birth.address.clone(), birth.incarnation);
        let scope = Scope { context: trace_of_start(), actor: birth.address.no() };
        let actor = trace::in_scope(scope, (birth.init)(context.clone())).await?;
        Ok(Life { actor, context })
    }

    async fn post_start(&self, myself: ActorRef<Wake>, life: &mut Life<A>) -> Result<(), ActorProcessingErr> {
        life.context.address().mailbox().attach(life.context.life(), myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Wake>,
        _: Wake,
        life: &mut Life<A>,
    ) -> Result<(), ActorProcessingErr> {
        let scope = Scope { context: trace_of_start(), actor: life.context.address().no() };
        let more = trace::in_scope(scope, life.handle_batch()).await?;
        if life.context.wants_stop() {
            myself.stop(None);
        } else if more {
            // Fails only when the actor is ending already.
            let _ = myself.cast(Wake);
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Wake>, life: &mut Life<A>) -> Result<(), ActorProcessingErr> {
        let reason = if life.context.wants_stop() { ExitReason::Normal } else { ExitReason::Shutdown };
        let scope = Scope { context: trace_of_start(), actor: life.context.address().no() };
        trace::in_scope(scope, life.actor.terminate(&reason)).await;
        Ok(())
    }
}

impl<A: Actor> Life<A> {
    /// Handles up to [`BATCH`] messages; true when more may wait.
    async fn handle_batch(&mut self) -> Result<bool, ActorError> {
        let address = self.context.address().clone();
        let mailbox = address.mailbox();
        let mut now = mailbox.ring().now_ns();
        for _ in 0..BATCH {
            mailbox.answer_probe();
            let (envelope, record) = match mailbox.next(self.context.life(), now) {
                Next::Handle(envelope, record) => (envelope, record),
                Next::Fail(fault) => return Err(fault.into()),
                Next::Wait => return Ok(false),
            };
            trace::current::set(Scope { context: envelope.header.context, actor: address.no() });
            let in_hand = InHand { mailbox, record: Some(record) };
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
        mailbox.rest();
        Ok(!self.context.wants_stop())
    }
}

/// A start continues the trace of whoever caused it, or begins one.
fn trace_of_start() -> crate::domain::trace::TraceContext {
    trace::current().map_or_else(crate::domain::trace::TraceContext::new_root, |scope| scope.context)
}
