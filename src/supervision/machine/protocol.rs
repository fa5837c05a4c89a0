//! What a supervisor's machine is told, and what it says: the words between the decisions and whoever carries
//! them out.

use std::time::Duration;

use crate::supervision::policy::ExitReason;

/// Names a child within its supervisor; never reused.
pub type ChildKey = u32;
/// Numbers the starts of a supervisor's children; never reused.
pub type Incarnation = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Start all children, in order.
    Boot,
    /// The child of the last [`Command::Start`] is up.
    Started(ChildKey),
    /// The child of the last [`Command::Start`] could not start.
    StartFailed(ChildKey, ExitReason),
    /// An incarnation ended, asked or by itself.
    Exited(ChildKey, Incarnation, ExitReason),
    /// Stop a running child and start it again, at no price (a planned restart); one that is stopped is
    /// treated as by [`Input::Start`].
    Restart(ChildKey),
    /// Stop a child and leave it stopped (`terminate_child`).
    Terminate(ChildKey),
    /// Start a child that [`Machine::add`](super::Machine::add) has made known (`start_child`) or that is stopped
    /// (`restart_child`). Nothing happens to one that runs or is being restarted; a start that fails is
    /// not tried again.
    Start(ChildKey),
    /// The time of a [`Command::Wait`] has come.
    Due(ChildKey),
    /// Stop all children and end.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start this incarnation; answer with [`Input::Started`] or [`Input::StartFailed`].
    Start(ChildKey, Incarnation),
    /// Stop this incarnation; answer with [`Input::Exited`].
    Stop(ChildKey, Incarnation),
    /// Say [`Input::Due`] for this child at this time, not before.
    Wait(ChildKey, Duration),
    /// Nothing is kept of the child: it was temporary or dynamic, or new and did not start.
    Forget(ChildKey),
    /// End the supervisor; all children are down.
    Exit(Ending),
}

/// Why a supervisor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to.
    Asked,
    /// More restarts than its intensity allows: the parent decides.
    IntensityReached,
    /// Its significant children have ended.
    AutoShutdown,
    /// A child failed in the first start.
    BootFailed(ChildKey, ExitReason),
}
