//! The message trace: every message of every actor leaves one fixed-size record, always.
//!
//! A record is written when the message has been handled (or could not be); messages that wait or are
//! being handled are read off the mailboxes themselves, so an open span costs nothing extra. Invariant:
//! memory is bounded by [`ring::Ring`]'s capacity, and what it has overwritten is counted.

pub mod current;
pub mod panics;
pub mod record;
pub mod ring;

pub use current::{Scope, caused_by, current, in_scope};
pub use record::{ActorNo, Header, Outcome, Record};
pub use ring::Ring;
