//! What follows a failed attempt: the same provider again, the next one, or the end.
//!
//! Pure: time passed and jitter are handed in. Invariants: no attempt begins after the overall deadline
//! or after the caller has left; a provider is asked at most [`Policy::tries`] times a call, and never
//! again once the plan has gone on to the next; a wait that a provider asks for is kept to the full or
//! not begun at all.

use std::time::Duration;

use crate::llm::FailureKind;

/// How often and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Attempts at one provider.
    pub tries: u32,
    /// Longest pause before the second attempt.
    pub backoff_base: Duration,
    /// Longest pause before any attempt.
    pub backoff_max: Duration,
    /// Longest wait that a provider may ask for; one that asks for more is passed over.
    pub patience: Duration,
    /// From the request to the last attempt's beginning.
    pub overall: Duration,
}

impl Default for Policy {
    /// Three tries half a second apart outlast a restart of a vendor's process; a person waits ten
    /// seconds for a limit of requests a minute, not longer; no answer is worth waiting ten minutes for.
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

/// What happened, as far as the plan looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setback {
    pub kind: FailureKind,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Since the request came.
    pub elapsed: Duration,
    /// Whether the caller has left.
    pub left: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask this candidate, after a pause.
    Attempt {
        /// Its place in the order of choice.
        candidate: usize,
        /// First wait this long.
        pause: Duration,
    },
    /// The last failure is the answer.
    GiveUp,
}

#[derive(Debug, Clone)]
pub struct Plan {
    policy: Policy,
    candidates: usize,
    current: usize,
    tries: u32,
}

impl Plan {
    /// A plan over so many candidates; the first attempt is at number 0.
    #[must_use]
    pub const fn new(policy: Policy, candidates: usize) -> Self {
        Self { policy, candidates, current: 0, tries: 1 }
    }

    /// What follows a failed attempt. `jitter` lies between 0 and 1.
    pub fn after(&mut self, setback: Setback, jitter: f64) -> Next {
        if setback.left || setback.elapsed >= self.policy.overall {
            return Next::GiveUp;
        }
        let has_next = self.current + 1 < self.candidates;
        let pause = self.pause(setback, jitter);
        if self.is_worth_another_try(setback, pause, has_next) {
            self.tries += 1;
            return Next::Attempt { candidate: self.current, pause };
        }
        if setback.kind.may_fall_back() { self.skip() } else { Next::GiveUp }
    }

    /// Goes on to the next candidate without having asked this one.
    pub fn skip(&mut self) -> Next {
        if self.current + 1 >= self.candidates {
            return Next::GiveUp;
        }
        self.current += 1;
        self.tries = 1;
        Next::Attempt { candidate: self.current, pause: Duration::ZERO }
    }

    fn is_worth_another_try(&self, setback: Setback, pause: Duration, has_next: bool) -> bool {
        let stated = setback.retry_after.unwrap_or_default();
        setback.kind.is_transient()
            && self.tries < self.policy.tries
            && stated <= self.policy.patience
            && setback.elapsed + pause < self.policy.overall
            && !(has_next && goes_on_at_once(setback.kind))
    }

    /// Full jitter (between nothing and the doubled bound), but never less than what was asked for.
    fn pause(&self, setback: Setback, jitter: f64) -> Duration {
        let doubled = self.policy.backoff_base.saturating_mul(1 << (self.tries - 1).min(16));
        let drawn = doubled.min(self.policy.backoff_max).mul_f64(jitter.clamp(0.0, 1.0));
        drawn.max(setback.retry_after.unwrap_or_default())
    }
}

/// Failures after which another provider is likelier to answer soon than the same one.
const fn goes_on_at_once(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::RateLimited
            | FailureKind::ConnectTimeout
            | FailureKind::FirstByteTimeout
            | FailureKind::BodyTimeout
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [FailureKind; 16] = FailureKind::ALL;

    fn setback(kind: FailureKind) -> Setback {
        Setback { kind, retry_after: None, elapsed: Duration::ZERO, left: false }
    }

    fn attempt(candidate: usize, ms: u64) -> Next {
        Next::Attempt { candidate, pause: Duration::from_millis(ms) }
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_and_then_left_for_the_next() {
        let mut plan = Plan::new(Policy::default(), 2);
        assert_eq!(plan.after(setback(FailureKind::Server), 1.0), attempt(0, 250));
        assert_eq!(plan.after(setback(FailureKind::Server), 1.0), attempt(0, 500));
        assert_eq!(plan.after(setback(FailureKind::Server), 1.0), attempt(1, 0));
        assert_eq!(plan.after(setback(FailureKind::Server), 0.0), attempt(1, 0));
    }

    #[test]
    fn a_rate_limit_is_waited_out_only_where_nobody_else_can_answer() {
        let limited =
            Setback { retry_after: Some(Duration::from_secs(2)), ..setback(FailureKind::RateLimited) };
        assert_eq!(Plan::new(Policy::default(), 2).after(limited, 1.0), attempt(1, 0));
        assert_eq!(Plan::new(Policy::default(), 1).after(limited, 1.0), attempt(0, 2000));
        let too_long = Setback { retry_after: Some(Duration::from_secs(60)), ..limited };
        assert_eq!(Plan::new(Policy::default(), 1).after(too_long, 1.0), Next::GiveUp);
    }

    #[test]
    fn a_fault_of_the_request_is_the_answer_at_once() {
        for kind in [FailureKind::BadRequest, FailureKind::ContentFilter, FailureKind::ContextTooLong] {
            assert_eq!(Plan::new(Policy::default(), 3).after(setback(kind), 1.0), Next::GiveUp);
        }
        let mut plan = Plan::new(Policy::default(), 2);
        assert_eq!(plan.after(setback(FailureKind::Credential), 1.0), attempt(1, 0));
    }

    #[test]
    fn nothing_is_begun_for_a_caller_who_has_left_or_after_the_deadline() {
        let left = Setback { left: true, ..setback(FailureKind::Server) };
        assert_eq!(Plan::new(Policy::default(), 3).after(left, 1.0), Next::GiveUp);
        let late = Setback { elapsed: Policy::default().overall, ..setback(FailureKind::Server) };
        assert_eq!(Plan::new(Policy::default(), 3).after(late, 1.0), Next::GiveUp);
    }

    proptest! {
        #[test]
        fn a_plan_ends_and_never_goes_back(
            candidates in 1_usize..5,
            faults in prop::collection::vec((0..KINDS.len(), 0_u64..20, 0.0_f64..1.0), 40),
        ) {
            let policy = Policy::default();
            let mut plan = Plan::new(policy, candidates);
            let (mut at, mut attempts) = (0, 1);
            for (kind, wait, jitter) in faults {
                let retry_after = (wait > 10).then(|| Duration::from_secs(wait));
                let setback = Setback { retry_after, ..setback(KINDS[kind]) };
                match plan.after(setback, jitter) {
                    Next::GiveUp => break,
                    Next::Attempt { candidate, pause } => {
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
