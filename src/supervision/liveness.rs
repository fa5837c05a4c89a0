//! When an actor is asked for a heartbeat, and when silence counts as a hang.
//!
//! Rule (the heartbeat contract): an actor without a heartbeat for a number of intervals, two unless
//! configured otherwise, is hung. Probes go out twice an interval, so that one late answer is no false alarm.

use std::time::Duration;

/// Intervals of silence that make an actor hung, unless configured otherwise.
pub const HANG_FACTOR: u32 = 2;
pub const PROBES_PER_INTERVAL: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivenessVerdict {
    /// Ask for a heartbeat.
    Probe,
    /// Kill the actor: silent for too long.
    Hung,
}

#[must_use]
pub fn judge(silent: Duration, interval: Duration, hang_factor: u32) -> LivenessVerdict {
    if silent > interval.saturating_mul(hang_factor) { LivenessVerdict::Hung } else { LivenessVerdict::Probe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_exactly_two_intervals_is_not_yet_a_hang() {
        let interval = Duration::from_secs(60);
        assert_eq!(judge(Duration::ZERO, interval, HANG_FACTOR), LivenessVerdict::Probe);
        assert_eq!(judge(Duration::from_secs(120), interval, HANG_FACTOR), LivenessVerdict::Probe);
        assert_eq!(judge(Duration::from_millis(120_001), interval, HANG_FACTOR), LivenessVerdict::Hung);
        assert_eq!(judge(Duration::from_millis(120_001), interval, 3), LivenessVerdict::Probe);
    }
}
