//! The words for how an agent or a job stands, as shapes and tones: one table for all that draws them.
//!
//! The shapes are those of the web pages.

/// What a status means for whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    /// Work is under way.
    Busy,
    /// A person is asked.
    Asking,
    Held,
    /// Look when there is time.
    Warning,
    /// Nothing to look at.
    Quiet,
    Bad,
}

/// A word's shape and tone. A word that is not known is trouble.
#[must_use]
pub fn status_mark(status: &str) -> (&'static str, Tone) {
    match status {
        "ok" => ("●", Tone::Good),
        "done" => ("✔", Tone::Good),
        "queued" => ("◌", Tone::Quiet),
        "cancelled" => ("⊘", Tone::Quiet),
        "running" => ("▶", Tone::Busy),
        "waiting_approval" | "awaiting_approval" => ("?", Tone::Asking),
        "blocked" => ("◔", Tone::Warning),
        "degraded" => ("▲", Tone::Warning),
        "paused" => ("‖", Tone::Held),
        _ => ("✖", Tone::Bad),
    }
}

/// Whether an agent of this status is not well, whatever it has to do.
#[must_use]
pub fn is_trouble(status: &str) -> bool {
    matches!(status, "degraded" | "error" | "down")
}
