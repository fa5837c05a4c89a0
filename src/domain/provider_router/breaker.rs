//! A provider's circuit breaker: closed while calls succeed, open after failures, half-open while probing.
//!
//! ```text
//! closed ── 5 failures in a row, or 10 of the last 20 ──▶ open ── time is over, a call comes ──▶ half-open
//!    ▲                                                     ▲                                        │ │
//!    └──────────── 2 successes, one call at a time ────────┼────────────────────────────────────────┘ │
//!                                                          └─── a failure; open twice as long ────────┘
//! ```
//!
//! A `Retry-After` blocks the provider in every state without counting as a failure: the provider is at its
//! limit, not broken. Invariants: an open circuit admits no call; a half-open one admits one probe at a time;
//! the outcome of a call that began before the present state is ignored, so calls in flight when a circuit
//! opened neither close nor reopen it. Pure: time comes in.

use std::time::Duration;

use super::MonotonicTime;

/// Failures in a row that open a circuit.
pub const FAILURES_IN_A_ROW: u32 = 5;
/// This many failures among the last [`WINDOW`] outcomes open a circuit too: half of the calls lost.
pub const FAILURES_IN_WINDOW: u32 = 10;
/// Number of outcomes remembered.
pub const WINDOW: u32 = 20;
/// First open time: an overloaded service recovers in seconds, before a person notices.
pub const FIRST_REST: Duration = Duration::from_secs(5);
/// Longest open time: a recovered provider is found within five minutes.
pub const LONGEST_REST: Duration = Duration::from_secs(300);
/// Successful probes that close a circuit.
pub const TRIALS: u32 = 2;
/// Longest `Retry-After` accepted from a provider.
pub const LONGEST_HOLD: Duration = Duration::from_secs(3600);
/// When to ask again while another caller's probe is in flight.
pub const TRIAL_PAUSE: Duration = Duration::from_secs(1);

/// The evidence of a call about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderEvidence {
    /// The provider answered, or refused a faulty request.
    Works,
    Fails,
    /// The provider is at its limit and asks for this pause.
    RateLimited(Duration),
    /// No evidence: the call was cancelled.
    Nothing,
}

/// The state of a circuit, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitPhase {
    Closed,
    Open,
    HalfOpen,
}

/// Identifies one probe, for [`CircuitBreaker::end_probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTicket(u64);

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerPermit {
    Allowed,
    /// Yes, as a probe, until [`CircuitBreaker::end_probe`].
    Probe(ProbeTicket),
    Rejected(MonotonicTime),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed,
    Open { until: MonotonicTime },
    HalfOpen { trial: Option<ProbeTicket>, successes: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreaker {
    state: BreakerState,
    /// When the state began.
    since: MonotonicTime,
    /// The last outcomes while closed, the newest in the lowest bit; 1 is a failure.
    recent: u32,
    /// Length of the next open time.
    open_for: Duration,
    /// End of the provider's `Retry-After`.
    rate_limited_until: MonotonicTime,
    probes: u64,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            state: BreakerState::Closed,
            since: MonotonicTime::ZERO,
            recent: 0,
            open_for: FIRST_REST,
            rate_limited_until: MonotonicTime::ZERO,
            probes: 0,
        }
    }
}

impl CircuitBreaker {
    /// Asks for permission for a call.
    pub fn admit(&mut self, now: MonotonicTime) -> BreakerPermit {
        if let Some(until) = self.open_until(now) {
            return BreakerPermit::Rejected(until);
        }
        if matches!(self.state, BreakerState::Open { .. }) {
            self.enter(BreakerState::HalfOpen { trial: None, successes: 0 }, now);
        }
        match &mut self.state {
            BreakerState::HalfOpen { trial: Some(_), .. } => BreakerPermit::Rejected(now + TRIAL_PAUSE),
            BreakerState::HalfOpen { trial, .. } => {
                self.probes += 1;
                let ticket = ProbeTicket(self.probes);
                *trial = Some(ticket);
                BreakerPermit::Probe(ticket)
            }
            _ => BreakerPermit::Allowed,
        }
    }

    /// Until when calls are rejected; `None` when a call or probe may be made.
    #[must_use]
    pub fn open_until(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let open = match self.state {
            BreakerState::Open { until } => until,
            _ => MonotonicTime::ZERO,
        };
        Some(open.max(self.rate_limited_until)).filter(|until| *until > now)
    }

    #[must_use]
    pub fn phase(&self, now: MonotonicTime) -> CircuitPhase {
        match self.state {
            _ if self.open_until(now).is_some() => CircuitPhase::Open,
            BreakerState::Closed => CircuitPhase::Closed,
            // The open time is over, so the next call is a probe.
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => CircuitPhase::HalfOpen,
        }
    }

    /// Records the outcome of a call that began at `began`.
    pub fn record(&mut self, now: MonotonicTime, began: MonotonicTime, evidence: ProviderEvidence) {
        if let ProviderEvidence::RateLimited(wait) = evidence {
            self.rate_limited_until = self.rate_limited_until.max(now + wait.min(LONGEST_HOLD));
        }
        if began < self.since {
            return;
        }
        match (&mut self.state, evidence) {
            (_, ProviderEvidence::Nothing | ProviderEvidence::RateLimited(_))
            | (BreakerState::Open { .. }, _) => {}
            (BreakerState::Closed, ProviderEvidence::Works) => self.recent <<= 1,
            (BreakerState::Closed, ProviderEvidence::Fails) => {
                self.recent = self.recent << 1 | 1;
                if self.has_failed_too_often() {
                    self.open(now);
                }
            }
            (BreakerState::HalfOpen { successes, .. }, ProviderEvidence::Works) => {
                *successes += 1;
                if *successes >= TRIALS {
                    self.open_for = FIRST_REST;
                    self.recent = 0;
                    self.enter(BreakerState::Closed, now);
                }
            }
            (BreakerState::HalfOpen { .. }, ProviderEvidence::Fails) => self.open(now),
        }
    }

    /// Ends a probe, whatever the outcome: the next one may begin.
    pub fn end_probe(&mut self, ticket: ProbeTicket) {
        if let BreakerState::HalfOpen { trial, .. } = &mut self.state
            && *trial == Some(ticket)
        {
            *trial = None;
        }
    }

    fn has_failed_too_often(&self) -> bool {
        let window = self.recent & ((1 << WINDOW) - 1);
        self.recent.trailing_ones() >= FAILURES_IN_A_ROW || window.count_ones() >= FAILURES_IN_WINDOW
    }

    fn open(&mut self, now: MonotonicTime) {
        self.enter(BreakerState::Open { until: now + self.open_for }, now);
        self.open_for = (self.open_for * 2).min(LONGEST_REST);
    }

    fn enter(&mut self, state: BreakerState, now: MonotonicTime) {
        self.state = state;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_secs(seconds)
    }

    /// A circuit that opened at second 1.
    fn open() -> CircuitBreaker {
        let mut breaker = CircuitBreaker::default();
        (0..FAILURES_IN_A_ROW).for_each(|_| breaker.record(s(1), s(0), ProviderEvidence::Fails));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = CircuitBreaker::default();
        for evidence in [ProviderEvidence::Fails; 4]
            .into_iter()
            .chain([ProviderEvidence::Works])
            .chain([ProviderEvidence::Fails; 4])
        {
            breaker.record(s(1), s(0), evidence);
            assert_eq!(breaker.phase(s(1)), CircuitPhase::Closed);
        }
        breaker.record(s(1), s(0), ProviderEvidence::Fails);
        assert_eq!(breaker.admit(s(1)), BreakerPermit::Rejected(s(1) + FIRST_REST));
    }

    #[test]
    fn half_of_the_window_failing_opens_it() {
        let mut breaker = CircuitBreaker::default();
        for n in 0..WINDOW - 1 {
            breaker.record(
                s(1),
                s(0),
                if n % 2 == 0 { ProviderEvidence::Works } else { ProviderEvidence::Fails },
            );
            assert_eq!(breaker.phase(s(1)), CircuitPhase::Closed, "{n}");
        }
        breaker.record(s(1), s(0), ProviderEvidence::Fails);
        assert_eq!(breaker.phase(s(1)), CircuitPhase::Open);
    }

    #[test]
    fn it_is_tried_one_call_at_a_time_and_closes_after_two_successes() {
        let mut breaker = open();
        for second in [6, 7] {
            let BreakerPermit::Probe(ticket) = breaker.admit(s(second)) else {
                panic!("no trial at {second}")
            };
            assert_eq!(breaker.admit(s(second)), BreakerPermit::Rejected(s(second) + TRIAL_PAUSE));
            breaker.record(s(second), s(second), ProviderEvidence::Works);
            breaker.end_probe(ticket);
        }
        assert_eq!(breaker.admit(s(7)), BreakerPermit::Allowed);
    }

    #[test]
    fn a_failed_trial_doubles_the_rest_up_to_the_longest() {
        let (mut breaker, mut now, mut rests) = (open(), s(1), Vec::new());
        for _ in 0..8 {
            now = breaker.open_until(now).unwrap();
            assert!(matches!(breaker.admit(now), BreakerPermit::Probe(_)));
            breaker.record(now, now, ProviderEvidence::Fails);
            rests.push((breaker.open_until(now).unwrap() - now).as_secs());
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_trial_given_back_without_an_outcome_makes_way_for_the_next() {
        let mut breaker = open();
        let BreakerPermit::Probe(first) = breaker.admit(s(6)) else { panic!("no trial") };
        breaker.end_probe(first);
        let BreakerPermit::Probe(second) = breaker.admit(s(6)) else { panic!("no second trial") };
        breaker.end_probe(first);
        assert!(matches!(breaker.admit(s(6)), BreakerPermit::Rejected(_)), "a ticket is good once");
        breaker.end_probe(second);
    }

    #[test]
    fn what_was_under_way_before_moves_nothing() {
        let mut breaker = open();
        assert!(matches!(breaker.admit(s(6)), BreakerPermit::Probe(_)));
        let before = breaker.clone();
        breaker.record(s(7), s(5), ProviderEvidence::Fails);
        breaker.record(s(7), s(5), ProviderEvidence::Works);
        assert_eq!(breaker, before);
    }

    #[test]
    fn a_hold_is_honoured_in_every_state_and_bounded() {
        let mut breaker = CircuitBreaker::default();
        breaker.record(s(1), s(0), ProviderEvidence::RateLimited(s(30)));
        assert_eq!(breaker.admit(s(30)), BreakerPermit::Rejected(s(31)));
        breaker.record(s(2), s(0), ProviderEvidence::RateLimited(s(3)));
        assert_eq!(
            breaker.admit(s(30)),
            BreakerPermit::Rejected(s(31)),
            "a shorter one does not end a longer one"
        );
        assert_eq!(breaker.admit(s(31)), BreakerPermit::Allowed);
        let mut breaker = open();
        breaker.record(s(2), s(0), ProviderEvidence::RateLimited(Duration::MAX));
        assert_eq!(breaker.open_until(s(2)), Some(s(2) + LONGEST_HOLD));
    }

    #[derive(Debug, Clone)]
    enum BreakerStep {
        Pass(u64),
        Admit,
        Outcome(ProviderEvidence, u64),
        GiveBack,
    }

    fn step() -> impl Strategy<Value = BreakerStep> {
        let evidence = prop_oneof![
            3 => Just(ProviderEvidence::Works),
            4 => Just(ProviderEvidence::Fails),
            1 => (0_u64..100).prop_map(|secs| ProviderEvidence::RateLimited(s(secs))),
            1 => Just(ProviderEvidence::Nothing),
        ];
        prop_oneof![
            1 => (0_u64..20).prop_map(BreakerStep::Pass),
            3 => Just(BreakerStep::Admit),
            4 => (evidence, 0_u64..5).prop_map(|(evidence, took)| BreakerStep::Outcome(evidence, took)),
            1 => Just(BreakerStep::GiveBack),
        ]
    }

    proptest! {
        #[test]
        fn laws_of_a_circuit(steps in prop::collection::vec(step(), 1..200)) {
            let (mut breaker, mut now) = (CircuitBreaker::default(), s(0));
            let mut held: Vec<ProbeTicket> = Vec::new();
            for step in steps {
                match step {
                    BreakerStep::Pass(secs) => now += s(secs),
                    BreakerStep::Outcome(evidence, took) => breaker.record(now, now.saturating_sub(s(took)), evidence),
                    BreakerStep::GiveBack => held.drain(..).for_each(|ticket| breaker.end_probe(ticket)),
                    BreakerStep::Admit => {
                        let resting = breaker.open_until(now);
                        let pass = breaker.admit(now);
                        match pass {
                            // An open circuit rejects calls and gives a time.
                            BreakerPermit::Rejected(until) => prop_assert!(until > now && resting.is_none_or(|r| r == until)),
                            _ => prop_assert!(resting.is_none()),
                        }
                        if let BreakerPermit::Probe(ticket) = pass {
                            // At most one probe is in flight.
                            prop_assert!(matches!(breaker.admit(now), BreakerPermit::Rejected(_)));
                            held.push(ticket);
                        }
                    }
                }
                prop_assert!(breaker.open_until(now).is_none_or(|until| until - now <= LONGEST_HOLD));
            }
            // Whatever happened, a recovered provider is found: open times end, probes are ended.
            held.drain(..).for_each(|ticket| breaker.end_probe(ticket));
            for _ in 0..=TRIALS {
                now = breaker.open_until(now).unwrap_or(now);
                if let BreakerPermit::Probe(ticket) = breaker.admit(now) {
                    breaker.record(now, now, ProviderEvidence::Works);
                    breaker.end_probe(ticket);
                }
            }
            prop_assert_eq!(breaker.admit(now), BreakerPermit::Allowed);
        }
    }
}
