//! The message trace: every message of every actor leaves one fixed-size record, always.
//!
//! A record is written when the message has been handled (or refused); waiting and running messages are read
//! off the mailboxes themselves, so an open span costs nothing extra. Invariant: memory is bounded by
//! [`ring::TraceRing`]'s capacity, and overwritten records are counted.

pub mod current;
pub mod panics;
pub mod record;
pub mod ring;

pub use current::{TraceScope, caused_by, current, in_scope};
pub use record::{ActorNumber, MessageHeader, MessageOutcome, TraceRecord};
pub use ring::TraceRing;
