//! Retries of failed attempts: number and backoff.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all: one and three retries, unless configured.
    pub max_attempts: u32,
    /// Wait before the first retry; doubles each time.
    pub backoff_base: Duration,
    pub backoff_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// The wait before the attempt that follows `attempt` (1 for the first): exponential, with full jitter in
    /// the upper half. `jitter` is a random number from 0 to 1.
    #[must_use]
    pub fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self
            .backoff_base
            .saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.backoff_max).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        let policy = RetryPolicy::default();
        for attempt in 1..40 {
            let (low, high) = (policy.backoff(attempt, 0.0), policy.backoff(attempt, 1.0));
            assert!(low <= high && high <= policy.backoff_max && low >= policy.backoff_base / 2);
        }
        assert_eq!(policy.backoff(2, 1.0), policy.backoff_base * 2);
    }
}
