//! Erlang/OTP's promises on ractor: supervised restarts, stable addresses, liveness and a trace.
//!
//! Knows no service and no agent. Invariants: a decision is made in [`machine`] alone, which is pure;
//! a crash loses no accepted message but the one being handled ([`mailbox`]); every message leaves a
//! record ([`trace`]); whoever draws the tree reads [`tree`] and sends no message.

pub mod machine;
pub mod policy;
