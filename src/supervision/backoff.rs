//! The pause before a failing child is started again. OTP has no such pause.
//!
//! The first restart is immediate; each one after a short life waits longer than the last. Invariant: the
//! pauses of a whole budget take at least [`LEAST_TOTAL`] where the period has room for that, so that a fault
//! of a second does not spend the budget; and less than the period, so that a lasting fault does.

use std::time::Duration;

/// Pause before the second restart in a row, where the budget has room for several.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause: bounds how late a healed fault is noticed.
const LONGEST: Duration = Duration::from_secs(1);
/// A life longer than this ends the row of failures.
const HEALTHY_AFTER: Duration = Duration::from_secs(2);
/// Shortest sum of all pauses of a budget: twice a fault of a second.
const LEAST_TOTAL: Duration = Duration::from_secs(2);
/// Share of the period that the pauses may take together; the rest is for the starts themselves.
const PERIOD_SHARE: f64 = 0.6;
/// A pause is shortened or lengthened by up to this share, so that children that failed together do not
/// restart in step.
const JITTER: f64 = 0.25;
/// Most doublings of a pause; bounds the arithmetic, as a pause reaches its maximum long before.
const MAX_DOUBLINGS: u32 = 20;

/// The pauses between the restarts of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartBackoff {
    /// Before the second restart in a row; doubles from there.
    pub first: Duration,
    pub max: Duration,
    /// How long a child must have been up for its next restart to be immediate again.
    pub healthy_after: Duration,
}

impl Default for RestartBackoff {
    fn default() -> Self {
        Self { first: FIRST, max: LONGEST, healthy_after: HEALTHY_AFTER }
    }
}

impl RestartBackoff {
    /// No pauses: OTP's behaviour.
    pub const NONE: Self = Self { first: Duration::ZERO, max: Duration::ZERO, healthy_after: Duration::ZERO };

    /// Stretched or shortened to a supervisor's budget: `intensity` restarts within `period`.
    #[must_use]
    pub(crate) fn within(self, intensity: u32, period: Duration) -> Self {
        let total: f64 = (1..intensity.min(MAX_DOUBLINGS * 8)).map(|n| self.plain(n).as_secs_f64()).sum();
        if total == 0.0 {
            return self;
        }
        let most = period.as_secs_f64() * PERIOD_SHARE;
        // Even the shortest pauses that jitter allows must add up to the total.
        let least = (LEAST_TOTAL.as_secs_f64() / (1.0 - JITTER)).min(most);
        let factor = total.clamp(least, most) / total;
        Self { first: self.first.mul_f64(factor), max: self.max.mul_f64(factor), ..self }
    }

    /// The pause after `failures` earlier failures in a row; `at` in 0..1 is the position within the jitter.
    #[must_use]
    pub(crate) fn pause(&self, failures: u32, at: f64) -> Duration {
        self.plain(failures).mul_f64(1.0 + JITTER * (2.0 * at - 1.0))
    }

    fn plain(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(1 << doublings.min(MAX_DOUBLINGS)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_the_next_ones_wait_longer_up_to_the_longest() {
        let backoff = RestartBackoff::default();
        let pauses: Vec<u128> = (0..7).map(|n| backoff.pause(n, 0.5).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(RestartBackoff::NONE.within(10, Duration::from_secs(10)).pause(5, 1.0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_budget_is_spent_neither_in_an_instant_nor_never(
            intensity in 2..60_u32,
            period_s in 1..600_u64,
            at in 0.0..1.0_f64,
        ) {
            let period = Duration::from_secs(period_s);
            let backoff = RestartBackoff::default().within(intensity, period);
            let total: Duration = (0..intensity).map(|n| backoff.pause(n, at)).sum();
            prop_assert!(total < period, "{total:?} of {period:?}");
            let least = Duration::from_secs(2).min(period.mul_f64(PERIOD_SHARE * (1.0 - JITTER)));
            prop_assert!(total + Duration::from_millis(1) >= least, "{total:?} < {least:?}");
        }
    }
}
