//! Erlang/OTP's guarantees on ractor: supervised restarts, stable addresses, liveness and a trace.
//!
//! Knows no service and no agent. Invariants: only [`machine`] decides about restarts, as a pure function; a
//! crash loses no accepted message but the one being handled ([`mailbox`]); every message leaves a record
//! ([`trace`]); readers of the tree use [`tree`] and send no message.

pub mod actor;
pub mod address;
mod awake_clock;
mod backoff;
mod child;
mod control;
pub mod event;
pub mod kill_scope;
pub mod liveness;
pub mod machine;
pub mod mailbox;
pub mod policy;
mod supervisor;
pub mod system;
pub mod trace;
pub mod tree;
mod worker;

pub use actor::{Actor, ActorContext, ActorError};
pub use address::{Address, CallError, ReplySender, SendError};
pub use awake_clock::awake_elapsed;
pub use event::{SupervisionEvent, SupervisionEventKind};
pub use mailbox::ActorMessage;
pub use system::{ActorSystem, ChildSpec, ControlError, RootHandle, SystemTiming, WorkerOptions};
