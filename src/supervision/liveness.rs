//! When an actor is asked for a sign of life, and when its silence means that it hangs.
//!
//! Rule (the heartbeat contract): no sign of life within twice the interval is a hung actor. Probes go
//! out twice an interval, so that one answered late is no false alarm.

use std::time::Duration;

/// Intervals of silence that make an actor hung.
pub const HANG_FACTOR: u32 = 2;
/// Probes an interval.
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
pub fn judge(silent: Duration, interval: Duration) -> Verdict {
    if silent > interval * HANG_FACTOR { Verdict::Hung } else { Verdict::Probe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_exactly_two_intervals_is_not_yet_a_hang() {
        let interval = Duration::from_secs(60);
        assert_eq!(judge(Duration::ZERO, interval), Verdict::Probe);
        assert_eq!(judge(Duration::from_secs(120), interval), Verdict::Probe);
        assert_eq!(judge(Duration::from_millis(120_001), interval), Verdict::Hung);
    }
}
