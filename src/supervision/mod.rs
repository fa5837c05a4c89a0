//! Erlang/OTP's promises on ractor: supervised restarts, stable addresses, liveness and a trace.
//!
//! Knows no service and no agent. Invariants: a decision is made in [`machine`] alone, which is pure;
//! a crash loses no accepted message but the one being handled ([`mailbox`]); every message leaves a
//! record ([`trace`]); whoever draws the tree reads [`tree`] and sends no message.

pub mod actor;
pub mod address;
mod backoff;
mod child;
mod control;
pub mod event;
pub mod liveness;
pub mod machine;
pub mod mailbox;
pub mod policy;
pub mod reach;
mod supervisor;
pub mod system;
pub mod trace;
pub mod tree;
mod worker;

pub use actor::{Actor, ActorError, Context};
pub use address::{Address, CallError, Reply, SendError};
pub use event::{Happening, SupervisionEvent};
pub use mailbox::Message;
pub use system::{ActorSystem, ChildSpec, ControlError, RootHandle, Timing, WorkerOptions};
