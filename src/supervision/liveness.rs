//! When an actor is asked for a sign of life, and when its silence means that it hangs.
//!
//! Rule (the heartbeat contract): no sign of life within so many intervals, two unless set otherwise, is a
//! hung actor. Probes go out twice an interval, so that one answered late is no false alarm.

use std::time::Duration;

/// Intervals of silence that make an actor hung, where nothing else is set.
pub const HANG_FACTOR: u32 = 2;
pub const PROBES_PER_INTERVAL: u32 = 2;

/// What to do about an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask it for a sign of life.
    Probe,
    /// Kill it: silent for too long.
    Hung,
}

/// Judges an actor by how long it has been silent.
#[must_use]
pub fn judge(silent: Duration, interval: Duration, hang_factor: u32) -> Verdict {
    if silent > interval.saturating_mul(hang_factor) { Verdict::Hung } else { Verdict::Probe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_exactly_two_intervals_is_not_yet_a_hang() {
        let interval = Duration::from_secs(60);
        assert_eq!(judge(Duration::ZERO, interval, HANG_FACTOR), Verdict::Probe);
        assert_eq!(judge(Duration::from_secs(120), interval, HANG_FACTOR), Verdict::Probe);
        assert_eq!(judge(Duration::from_millis(120_001), interval, HANG_FACTOR), Verdict::Hung);
        assert_eq!(judge(Duration::from_millis(120_001), interval, 3), Verdict::Probe);
    }
}
