//! Runs commands of agents so that they reach their own working tree and nothing else of the machine.
//!
//! [`SandboxProfile`] lists, as data, everything a command may reach; `confine` makes a fresh process obey
//! the profile and execs the command; `reaper` stays outside and ends all processes that the command leaves;
//! [`SandboxLauncher`] starts both and gathers the output. Failure policy: closed. A part that cannot be
//! enforced is an error before the command starts, or is listed in [`SandboxReport`]; no command is less
//! confined than reported.

pub mod bubblewrap;
#[cfg(target_os = "linux")]
pub mod confine;
pub mod entry;
mod environment;
#[cfg(unix)]
mod launch;
mod output;
#[cfg(unix)]
mod probe;
#[cfg(unix)]
mod processes;
mod profile;
#[cfg(unix)]
pub mod reaper;
pub mod seatbelt;
#[cfg(target_os = "linux")]
mod syscalls;
mod toolchains;

#[cfg(unix)]
pub use launch::{
    BoundCommand, CONFINE_FAILED, CONFINE_PREFIX, SandboxCommand, SandboxEnd, SandboxError, SandboxLauncher,
};
pub use output::{OutputLimits, SandboxOutput};
#[cfg(unix)]
pub use probe::{SandboxBackend, SandboxReport, probe_backends};
pub use profile::{MirroredFolder, SandboxGit, SandboxLimits, SandboxPlaces, SandboxProfile};
pub use toolchains::{ToolchainPlace, ToolchainSet, find_toolchains};
