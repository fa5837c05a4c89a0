//! One message's record: who, to whom, what, when, with what outcome.

use serde::Serialize;

use crate::domain::trace::{SpanId, TraceContext, TraceId};

/// Numbers an actor (or an outside source of messages) for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorNo(pub u32);

impl ActorNo {
    /// Whatever is no actor: the edge, a timer, a test.
    pub const OUTSIDE: Self = Self(0);
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It waits, or is being handled.
    Open,
    Ok,
    /// The handler returned an error, which ended the actor.
    Error,
    Crashed,
    /// The actor was killed while it handled it.
    Killed,
    /// It was still queued when its actor ended for good.
    Dropped,
}

/// What a message carries beside its content.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Trace and the message's own span.
    pub context: TraceContext,
    /// The span of its cause.
    pub parent: Option<SpanId>,
    pub from: ActorNo,
    /// When, in nanoseconds of the ring's clock.
    pub sent_ns: u64,
}

/// One message, 96 bytes. Times are nanoseconds of the ring's clock; 0 for "not yet".
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub trace: TraceId,
    pub span: SpanId,
    /// The span of its cause.
    pub parent: Option<SpanId>,
    pub from: ActorNo,
    pub to: ActorNo,
    /// The message's kind: the name of its variant.
    pub kind: &'static str,
    /// When it entered the mailbox.
    pub sent_ns: u64,
    /// When its handling began.
    pub started_ns: u64,
    /// When its handling ended.
    pub ended_ns: u64,
    pub outcome: Outcome,
}

impl Record {
    /// The record of a message to `to` that nothing has happened to yet.
    #[must_use]
    pub fn open(header: &Header, to: ActorNo, kind: &'static str) -> Self {
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
            outcome: Outcome::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_size_that_the_memory_bound_is_stated_for() {
        assert_eq!(size_of::<Record>(), 96);
    }
}
