//! Shapes and tones for the status words of agents and jobs: one table for all drawings.
//!
//! The shapes are those of the web pages.

/// The meaning of a status to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusTone {
    Good,
    /// Work is under way.
    Busy,
    /// A person must decide.
    Asking,
    Paused,
    /// Worth a look when there is time.
    Warning,
    /// Nothing to look at.
    Quiet,
    Bad,
}

/// A word's shape and tone. An unknown word counts as trouble.
#[must_use]
pub fn status_mark(status: &str) -> (&'static str, StatusTone) {
    match status {
        "ok" => ("●", StatusTone::Good),
        "done" => ("✔", StatusTone::Good),
        "queued" => ("◌", StatusTone::Quiet),
        "cancelled" => ("⊘", StatusTone::Quiet),
        "running" => ("▶", StatusTone::Busy),
        "waiting_approval" | "awaiting_approval" => ("?", StatusTone::Asking),
        "blocked" => ("◔", StatusTone::Warning),
        "degraded" => ("▲", StatusTone::Warning),
        "paused" => ("‖", StatusTone::Paused),
        _ => ("✖", StatusTone::Bad),
    }
}

/// Whether an agent of this status is unhealthy.
#[must_use]
pub fn is_trouble(status: &str) -> bool {
    matches!(status, "degraded" | "error" | "down")
}
