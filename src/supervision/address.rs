//! Addresses: the typed, stable way to reach an actor, whichever incarnation is alive.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::mailbox::{Inspect, Mailbox, Message, Refused};
use super::trace::ActorNo;

/// How often a sender that waits for a place looks again.
const FULL_RETRY: Duration = Duration::from_millis(5);

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mailbox is full; try again later.
    #[error("busy: its mailbox is full")]
    Busy,
    /// The actor has ended for good.
    #[error("gone: it has been stopped")]
    Gone,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The mailbox is full; nothing was begun.
    #[error("busy: its mailbox is full")]
    Busy,
    /// The actor has ended for good; nothing was begun.
    #[error("gone: it has been stopped")]
    Gone,
    /// The actor ended while it handled this message; whether it took effect is not known.
    #[error("crashed while it handled the request")]
    Crashed,
    /// No answer within the deadline; it may still be handled.
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

/// Where the answer to a call goes. Dropped unanswered, the caller learns of a crash.
#[derive(Debug)]
pub struct Reply<R>(oneshot::Sender<R>);

impl<R> Reply<R> {
    /// Answers; a caller that has left is no error.
    pub fn send(self, answer: R) {
        let _ = self.0.send(answer);
    }

    /// Whether the caller has left.
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

impl<M: Message> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0.no().0)
    }
}

impl<M: Message> Address<M> {
    pub(crate) fn new(mailbox: Arc<Mailbox<M>>) -> Self {
        Self(mailbox)
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox<M>> {
        &self.0
    }

    /// The number under which the trace knows the actor.
    #[must_use]
    pub fn no(&self) -> ActorNo {
        self.0.no()
    }

    /// Sends without waiting for the handling.
    ///
    /// # Errors
    /// [`SendError`] when the message was not accepted; nothing was begun then.
    pub fn cast(&self, message: M) -> Result<(), SendError> {
        self.0.push(message).map_err(|refused| match refused {
            Refused::Full(_) => SendError::Busy,
            Refused::Closed(_) => SendError::Gone,
        })
    }

    /// Sends, waiting for a place while the mailbox is full.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the actor has ended for good.
    pub async fn send(&self, message: M) -> Result<(), SendError> {
        let mut message = message;
        loop {
            message = match self.0.push(message) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed(_)) => return Err(SendError::Gone),
                Err(Refused::Full(message)) => message,
            };
            tokio::time::sleep(FULL_RETRY).await;
        }
    }

    /// Sends a message that carries a [`Reply`] and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`] when the message was not accepted, its handler crashed, or `deadline` passed.
    pub async fn call<R>(
        &self,
        deadline: Duration,
        message: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, CallError> {
        let (sender, receiver) = oneshot::channel();
        self.cast(message(Reply(sender)))?;
        match tokio::time::timeout(deadline, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Crashed),
            Err(_) => Err(CallError::Timeout(deadline)),
        }
    }

    /// The mailbox, for whoever looks without sending.
    #[must_use]
    pub fn inspect(&self) -> Arc<dyn Inspect> {
        Arc::<Mailbox<M>>::clone(&self.0)
    }
}
