//! The decision after a failed attempt: the same provider again, the next one, or the end.
//!
//! Pure: elapsed time and jitter are arguments. Invariants: no attempt begins after the overall deadline or
//! after the caller has gone; a provider is called at most [`AttemptPolicy::tries`] times, and never again
//! once the plan has moved on; a wait that a provider asks for is kept in full or not begun at all.

use std::time::Duration;

use crate::llm::VendorFailureKind;

/// Limits of the attempts at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// Attempts at one provider.
    pub tries: u32,
    /// Longest pause before the second attempt.
    pub backoff_base: Duration,
    /// Longest pause before any attempt.
    pub backoff_max: Duration,
    /// Longest wait that a provider may ask for; one that asks for more is skipped.
    pub patience: Duration,
    /// Time from the request to the start of the last attempt.
    pub overall: Duration,
}

impl Default for AttemptPolicy {
    /// Three tries half a second apart outlast a restart of a vendor's process; a person waits ten seconds
    /// for a per-minute rate limit, not longer; no answer is worth waiting ten minutes for.
    fn default() -> Self {
        Self {
            tries: 3,
            backoff_base: Duration::from_millis(250),
            backoff_max: Duration::from_secs(4),
            patience: Duration::from_secs(10),
            overall: Duration::from_secs(600),
        }
    }
}

/// A failed attempt, as far as it matters to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptSetback {
    pub kind: VendorFailureKind,
    /// The wait that the provider asks for.
    pub retry_after: Option<Duration>,
    /// Time since the request arrived.
    pub elapsed: Duration,
    /// Whether the caller has gone.
    pub caller_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptDecision {
    /// Call this candidate, after a pause.
    Attempt {
        /// Index in the order of choice.
        candidate: usize,
        /// The pause before the attempt.
        pause: Duration,
    },
    /// The last failure is the answer.
    GiveUp,
}

#[derive(Debug, Clone)]
pub struct AttemptPlan {
    policy: AttemptPolicy,
    candidates: usize,
    current: usize,
    tries: u32,
}

impl AttemptPlan {
    /// A plan for `candidates` candidates; the first attempt is at number 0.
    #[must_use]
    pub const fn new(policy: AttemptPolicy, candidates: usize) -> Self {
        Self { policy, candidates, current: 0, tries: 1 }
    }

    /// The decision after a failed attempt. `jitter` lies between 0 and 1.
    pub fn after(&mut self, setback: AttemptSetback, jitter: f64) -> AttemptDecision {
        if setback.caller_gone || setback.elapsed >= self.policy.overall {
            return AttemptDecision::GiveUp;
        }
        let has_next = self.current + 1 < self.candidates;
        let pause = self.pause(setback, jitter);
        if self.is_worth_another_try(setback, pause, has_next) {
            self.tries += 1;
            return AttemptDecision::Attempt { candidate: self.current, pause };
        }
        if setback.kind.may_fall_back() { self.skip() } else { AttemptDecision::GiveUp }
    }

    /// Moves on to the next candidate without calling this one.
    pub fn skip(&mut self) -> AttemptDecision {
        if self.current + 1 >= self.candidates {
            return AttemptDecision::GiveUp;
        }
        self.current += 1;
        self.tries = 1;
        AttemptDecision::Attempt { candidate: self.current, pause: Duration::ZERO }
    }

    fn is_worth_another_try(&self, setback: AttemptSetback, pause: Duration, has_next: bool) -> bool {
        let stated = setback.retry_after.unwrap_or_default();
        setback.kind.is_worth_repeating()
            && self.tries < self.policy.tries
            && stated <= self.policy.patience
            && setback.elapsed + pause < self.policy.overall
            && !(has_next && goes_on_at_once(setback.kind))
    }

    /// Full jitter (between nothing and the doubled bound), but never less than the provider asked for.
    fn pause(&self, setback: AttemptSetback, jitter: f64) -> Duration {
        let doubled = self.policy.backoff_base.saturating_mul(1 << (self.tries - 1).min(16));
        let drawn = doubled.min(self.policy.backoff_max).mul_f64(jitter.clamp(0.0, 1.0));
        drawn.max(setback.retry_after.unwrap_or_default())
    }
}

/// Failures after which another provider is more likely to answer soon than the same one.
const fn goes_on_at_once(kind: VendorFailureKind) -> bool {
    matches!(
        kind,
        VendorFailureKind::RateLimited
            | VendorFailureKind::ConnectTimeout
            | VendorFailureKind::FirstByteTimeout
            | VendorFailureKind::BodyTimeout
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [VendorFailureKind; 16] = VendorFailureKind::ALL;

    fn setback(kind: VendorFailureKind) -> AttemptSetback {
        AttemptSetback { kind, retry_after: None, elapsed: Duration::ZERO, caller_gone: false }
    }

    fn attempt(candidate: usize, ms: u64) -> AttemptDecision {
        AttemptDecision::Attempt { candidate, pause: Duration::from_millis(ms) }
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_and_then_left_for_the_next() {
        let mut plan = AttemptPlan::new(AttemptPolicy::default(), 2);
        assert_eq!(plan.after(setback(VendorFailureKind::Server), 1.0), attempt(0, 250));
        assert_eq!(plan.after(setback(VendorFailureKind::Server), 1.0), attempt(0, 500));
        assert_eq!(plan.after(setback(VendorFailureKind::Server), 1.0), attempt(1, 0));
        assert_eq!(plan.after(setback(VendorFailureKind::Server), 0.0), attempt(1, 0));
    }

    #[test]
    fn a_rate_limit_is_waited_out_only_where_nobody_else_can_answer() {
        let limited = AttemptSetback {
            retry_after: Some(Duration::from_secs(2)),
            ..setback(VendorFailureKind::RateLimited)
        };
        assert_eq!(AttemptPlan::new(AttemptPolicy::default(), 2).after(limited, 1.0), attempt(1, 0));
        assert_eq!(AttemptPlan::new(AttemptPolicy::default(), 1).after(limited, 1.0), attempt(0, 2000));
        let too_long = AttemptSetback { retry_after: Some(Duration::from_secs(60)), ..limited };
        assert_eq!(
            AttemptPlan::new(AttemptPolicy::default(), 1).after(too_long, 1.0),
            AttemptDecision::GiveUp
        );
    }

    #[test]
    fn a_fault_of_the_request_is_the_answer_at_once() {
        for kind in [
            VendorFailureKind::BadRequest,
            VendorFailureKind::ContentFilter,
            VendorFailureKind::ContextTooLong,
        ] {
            assert_eq!(
                AttemptPlan::new(AttemptPolicy::default(), 3).after(setback(kind), 1.0),
                AttemptDecision::GiveUp
            );
        }
        let mut plan = AttemptPlan::new(AttemptPolicy::default(), 2);
        assert_eq!(plan.after(setback(VendorFailureKind::Credential), 1.0), attempt(1, 0));
    }

    #[test]
    fn nothing_is_begun_for_a_caller_who_has_left_or_after_the_deadline() {
        let left = AttemptSetback { caller_gone: true, ..setback(VendorFailureKind::Server) };
        assert_eq!(AttemptPlan::new(AttemptPolicy::default(), 3).after(left, 1.0), AttemptDecision::GiveUp);
        let late = AttemptSetback {
            elapsed: AttemptPolicy::default().overall,
            ..setback(VendorFailureKind::Server)
        };
        assert_eq!(AttemptPlan::new(AttemptPolicy::default(), 3).after(late, 1.0), AttemptDecision::GiveUp);
    }

    proptest! {
        #[test]
        fn a_plan_ends_and_never_goes_back(
            candidates in 1_usize..5,
            faults in prop::collection::vec((0..KINDS.len(), 0_u64..20, 0.0_f64..1.0), 40),
        ) {
            let policy = AttemptPolicy::default();
            let mut plan = AttemptPlan::new(policy, candidates);
            let (mut at, mut attempts) = (0, 1);
            for (kind, wait, jitter) in faults {
                let retry_after = (wait > 10).then(|| Duration::from_secs(wait));
                let setback = AttemptSetback { retry_after, ..setback(KINDS[kind]) };
                match plan.after(setback, jitter) {
                    AttemptDecision::GiveUp => break,
                    AttemptDecision::Attempt { candidate, pause } => {
                        prop_assert!(candidate == at || candidate == at + 1);
                        prop_assert!(candidate < candidates);
                        if candidate == at {
                            prop_assert!(pause >= retry_after.unwrap_or_default());
                            prop_assert!(pause <= policy.backoff_max.max(policy.patience));
                        }
                        at = candidate;
                        attempts += 1;
                    }
                }
            }
            prop_assert!(attempts <= candidates as u32 * policy.tries);
        }
    }
}
