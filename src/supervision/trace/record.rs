//! One message's record: sender, receiver, kind, times and outcome.

use serde::Serialize;

use pas_domain::trace::{SpanId, TraceContext, TraceId};

/// Numbers an actor (or an outside source of messages) for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorNumber(pub u32);

impl ActorNumber {
    /// Any sender that is no actor: the edge, a timer, a test.
    pub const OUTSIDE: Self = Self(0);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageOutcome {
    /// Waiting, or being handled.
    Open,
    Ok,
    /// The handler returned an error, which ended the actor.
    Error,
    Crashed,
    /// The actor was killed while handling the message.
    Killed,
    /// The message was still queued when the actor ended for good.
    Dropped,
}

/// A message's metadata.
#[derive(Debug, Clone, Copy)]
pub struct MessageHeader {
    /// Trace and the message's own span.
    pub context: TraceContext,
    /// The span that caused the message.
    pub parent: Option<SpanId>,
    pub from: ActorNumber,
    /// Nanoseconds of the ring's clock.
    pub sent_ns: u64,
}

/// One message, 96 bytes. Times are nanoseconds of the ring's clock; 0 for "not yet".
#[derive(Debug, Clone, Copy)]
pub struct TraceRecord {
    pub trace: TraceId,
    pub span: SpanId,
    /// The span that caused the message.
    pub parent: Option<SpanId>,
    pub from: ActorNumber,
    pub to: ActorNumber,
    /// The name of the message's variant.
    pub kind: &'static str,
    /// When the message entered the mailbox.
    pub sent_ns: u64,
    /// When handling began.
    pub started_ns: u64,
    /// When handling ended.
    pub ended_ns: u64,
    pub outcome: MessageOutcome,
}

impl TraceRecord {
    /// The record of a message to `to` that still waits.
    #[must_use]
    pub fn open(header: &MessageHeader, to: ActorNumber, kind: &'static str) -> Self {
        Self {
            trace: header.context.trace,
            span: header.context.span,
            parent: header.parent,
            from: header.from,
            to,
            kind,
            sent_ns: header.sent_ns,
            started_ns: 0,
            ended_ns: 0,
            outcome: MessageOutcome::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_size_that_the_memory_bound_is_stated_for() {
        assert_eq!(size_of::<TraceRecord>(), 96);
    }
}
