//! Inputs and commands of a supervisor's machine: the protocol between the decisions and the actor that
//! executes them.

use std::time::Duration;

use crate::policy::ExitReason;

/// Names a child within its supervisor; never reused.
pub type ChildKey = u32;
/// Numbers the starts of a supervisor's children; never reused.
pub type Incarnation = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineInput {
    /// Start all children, in order.
    Boot,
    /// The child of the last [`MachineCommand::Start`] is up.
    Started(ChildKey),
    /// The child of the last [`MachineCommand::Start`] could not start.
    StartFailed(ChildKey, ExitReason),
    /// An incarnation ended, on request or unasked.
    Exited(ChildKey, Incarnation, ExitReason),
    /// Stop a running child and start it again without counting a restart (a planned restart); a stopped
    /// child is treated as by [`MachineInput::Start`].
    Restart(ChildKey),
    /// Stop a child and leave it stopped (`terminate_child`).
    Terminate(ChildKey),
    /// Start a child that [`SupervisorMachine::add`](super::SupervisorMachine::add) has added (`start_child`)
    /// or that is stopped (`restart_child`). Does nothing for a child that runs or is being restarted; a
    /// start that fails is not tried again.
    Start(ChildKey),
    /// The time of a [`MachineCommand::Wait`] has come.
    Due(ChildKey),
    /// Stop all children and end.
    Shutdown,
}

/// A command to the actor around the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineCommand {
    /// Start this incarnation; answer with [`MachineInput::Started`] or [`MachineInput::StartFailed`].
    Start(ChildKey, Incarnation),
    /// Stop this incarnation; answer with [`MachineInput::Exited`].
    Stop(ChildKey, Incarnation),
    /// Send [`MachineInput::Due`] for this child at this time, not before.
    Wait(ChildKey, Duration),
    /// Forget the child: it was temporary or dynamic, or new and did not start.
    Forget(ChildKey),
    /// End the supervisor; all children are down.
    Exit(SupervisorEnding),
}

/// Why a supervisor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisorEnding {
    /// It was asked to end.
    Asked,
    /// More restarts than the intensity allows: the parent decides.
    IntensityReached,
    /// Its significant children have ended.
    AutoShutdown,
    /// A child failed in the first start.
    BootFailed(ChildKey, ExitReason),
}
