//! OTP's vocabulary for supervisors (shutdowns, exit reasons, policies), with PAS's own pause between
//! restarts.
//!
//! Source: the `supervisor` module of Erlang/OTP 25 and its "Supervision Principles".

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::backoff::RestartBackoff;
pub use pas_domain::supervision::{RestartStrategy, RestartType};

/// Whether the end of significant children ends the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    #[default]
    Never,
    /// When any significant child ends unasked.
    AnySignificant,
    /// When the last significant child has ended unasked.
    AllSignificant,
}

/// How a child is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownPolicy {
    /// At once, without calling `terminate`.
    BrutalKill,
    /// Orderly; killed after this time.
    Deadline(Duration),
    /// Orderly, without a deadline: for supervisors, whose children have deadlines of their own.
    Infinity,
}

/// Why a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason", content = "detail")]
pub enum ExitReason {
    /// The work was done.
    Normal,
    /// Asked to end, or a supervisor gave up.
    Shutdown,
    /// The message of a panic or returned error.
    Crashed(String),
    /// Killed by an operator, or for not ending in time.
    Killed,
    /// Killed for missing heartbeats.
    Hung,
    /// Initialisation failed.
    StartFailed(String),
}

impl ExitReason {
    /// Whether this end restarts a transient child.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Crashed(message) => write!(f, "crashed: {message}"),
            Self::Killed => f.write_str("killed"),
            Self::Hung => f.write_str("hung"),
            Self::StartFailed(message) => write!(f, "failed to start: {message}"),
        }
    }
}

/// Why a running child is restarted on purpose; such a restart does not count against the intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedRestart {
    /// The token governor cleared the agent's context: the agent starts again from the saved state.
    ContextReset,
    /// A person asked for a restart.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisorPolicy {
    /// Which children a child's crash affects.
    pub strategy: RestartStrategy,
    /// Most restarts within `period`; one more ends the supervisor.
    pub intensity: u32,
    /// The sliding window in which restarts are counted.
    pub period: Duration,
    /// Whether the end of significant children ends the supervisor.
    pub auto_shutdown: AutoShutdown,
}

impl Default for SupervisorPolicy {
    /// One for one, with OTP's own default of one restart in five seconds.
    fn default() -> Self {
        Self {
            strategy: RestartStrategy::OneForOne,
            intensity: 1,
            period: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::Never,
        }
    }
}

/// How a supervisor treats one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChildPolicy {
    /// When the child is started again.
    pub restart: RestartType,
    /// Whether the child's end counts for [`AutoShutdown`].
    pub significant: bool,
    /// The growing pause before a failing child's restart.
    pub backoff: RestartBackoff,
}
