//! The module against real git, one file a subject.

mod delivering;
mod hostile;
mod inspecting;
mod killed;
mod making;
mod merging;
mod proving;
mod restoring;
mod speed;
mod taking_up;
