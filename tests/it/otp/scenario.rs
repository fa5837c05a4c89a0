//! The format of a scenario in `tests/otp/scenarios.jsonl`.
//!
//! Owns the file format alone, which Rust and Erlang read alike; knows neither the model nor the machine. An
//! unknown word is an error.

use serde::{Deserialize, Serialize};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: u32,
    /// The window of the intensity, in seconds.
    pub(crate) period_s: u32,
    pub(crate) auto_shutdown: AutoShutdown,
    /// In start order. Of a `simple_one_for_one` supervisor: the template, which is not started.
    pub(crate) children: Vec<ChildSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) interruptions: Vec<Interruption>,
    pub(crate) steps: Vec<Step>,
    /// Made by the model.
    pub(crate) expect: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
    SimpleOneForOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AutoShutdown {
    Never,
    AnySignificant,
    AllSignificant,
}

/// The reasons of a child that ends unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    Normal,
    Shutdown,
    /// Erlang's `{shutdown, Term}`.
    ShutdownTerm,
    Crash,
    Killed,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::ShutdownTerm => "shutdown_term",
            Self::Crash => "crash",
            Self::Killed => "killed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChildSpec {
    pub(crate) id: String,
    pub(crate) restart: Restart,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) significant: bool,
    /// The child's failing starts, counted from 1 over the whole scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fail_starts: Vec<u32>,
}

/// A child that ends unasked while the supervisor is busy. Moments are counted from 1: one before and one
/// after each start (a failing start has only the first), one during each orderly stop. `simple_one_for_one`
/// counts no stops, because their order is not defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interruption {
    pub(crate) moment: u32,
    pub(crate) child: String,
    pub(crate) reason: Reason,
}

/// An event at an idle supervisor, which becomes idle again before the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Exit {
        child: String,
        reason: Reason,
    },
    AdvanceMs(u64),
    /// OTP's `restart_child`: starts a child that is stopped.
    RestartChild(String),
    TerminateChild(String),
    StartChild(ChildSpec),
    Shutdown,
    /// All steps reach the supervisor, in this order, before it handles the first.
    Together(Vec<Step>),
    /// PAS's own: stops a running child and starts it again, uncounted. OTP has no such call, so the file has
    /// none.
    PlannedRestart(String),
}

/// The observable outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// `start c`, `start_failed c`, `stop c` (by the supervisor), `exit c reason` (unasked).
    pub(crate) log: Vec<String>,
    /// The children that run at the end, sorted.
    pub(crate) alive: Vec<String>,
    pub(crate) supervisor: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Running,
    Shutdown,
    BootFailed,
    Intensity,
    AutoShutdown,
}
