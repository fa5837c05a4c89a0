//! Addresses: the typed, stable way to reach an actor, whichever incarnation is alive.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::mailbox::{ActorMessage, Mailbox, MailboxControl, RefusedMessage};
use super::trace::ActorNumber;

/// How often a sender that waits for room tries again.
const FULL_RETRY: Duration = Duration::from_millis(5);

/// Why a message was not accepted; the sentence follows the receiver's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mailbox is full; try again later.
    #[error("is busy: its mailbox is full")]
    Busy,
    /// The actor has ended for good.
    #[error("is gone: it has been stopped")]
    Gone,
}

/// Why a call has no answer; the sentence follows the callee's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The mailbox is full; nothing was begun.
    #[error("is busy: its mailbox is full")]
    Busy,
    /// The actor has ended for good; nothing was begun.
    #[error("is gone: it has been stopped")]
    Gone,
    /// The actor ended while it handled this message; whether the message took effect is unknown.
    #[error("crashed while handling the request")]
    Crashed,
    /// No answer within the deadline; the message may still be handled.
    #[error("did not answer within {0:?}")]
    Timeout(Duration),
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Busy => Self::Busy,
            SendError::Gone => Self::Gone,
        }
    }
}

/// The sender of a call's answer. Dropping the sender unanswered reports a crash to the caller.
#[derive(Debug)]
pub struct ReplySender<R>(oneshot::Sender<R>);

impl<R> ReplySender<R> {
    /// Answers; a caller that has gone is no error.
    pub fn send(self, answer: R) {
        let _ = self.0.send(answer);
    }

    /// Whether the caller has gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

/// Reaches one actor for as long as the system lives. Cheap to clone.
pub struct Address<M>(Arc<Mailbox<M>>);

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: ActorMessage> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0.number().0)
    }
}

impl<M: ActorMessage> Address<M> {
    pub(crate) fn new(mailbox: Arc<Mailbox<M>>) -> Self {
        Self(mailbox)
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox<M>> {
        &self.0
    }

    /// The number under which the trace knows the actor.
    #[must_use]
    pub fn number(&self) -> ActorNumber {
        self.0.number()
    }

    /// Sends without waiting for the handling.
    ///
    /// # Errors
    /// [`SendError`] when the message was not accepted; nothing was begun then.
    pub fn cast(&self, message: M) -> Result<(), SendError> {
        self.0.push(message).map_err(|refused| match refused {
            RefusedMessage::Full(_) => SendError::Busy,
            RefusedMessage::Closed(_) => SendError::Gone,
        })
    }

    /// Sends, waiting for room while the mailbox is full.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the actor has ended for good.
    pub async fn send(&self, message: M) -> Result<(), SendError> {
        let mut message = message;
        loop {
            message = match self.0.push(message) {
                Ok(()) => return Ok(()),
                Err(RefusedMessage::Closed(_)) => return Err(SendError::Gone),
                Err(RefusedMessage::Full(message)) => message,
            };
            tokio::time::sleep(FULL_RETRY).await;
        }
    }

    /// Sends a message that carries a [`ReplySender`] and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`] when the message was not accepted, the handler crashed, or `deadline` passed.
    pub async fn call<R>(
        &self,
        deadline: Duration,
        message: impl FnOnce(ReplySender<R>) -> M,
    ) -> Result<R, CallError> {
        let (sender, receiver) = oneshot::channel();
        self.cast(message(ReplySender(sender)))?;
        match tokio::time::timeout(deadline, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Crashed),
            Err(_) => Err(CallError::Timeout(deadline)),
        }
    }

    /// The mailbox, for readers that send nothing.
    #[must_use]
    pub fn inspect(&self) -> Arc<dyn MailboxControl> {
        Arc::<Mailbox<M>>::clone(&self.0)
    }
}
