//! A provider's circuit: closed while it serves, open while it rests, half-open while it is tried.
//!
//! ```text
//! closed ── 5 failures in a row, or 10 of the last 20 ──▶ open ── rest is over, a call comes ──▶ half-open
//!    ▲                                                     ▲                                        │ │
//!    └──────────── 2 successes, one call at a time ────────┼────────────────────────────────────────┘ │
//!                                                          └─── a failure; rests twice as long ───────┘
//! ```
//!
//! A `Retry-After` holds the provider off in every state, without counting as a failure: it is at its
//! limit, not broken. Invariants: while it rests nothing is admitted; half-open admits one call at a
//! time; an outcome of a call that began before the present state moves nothing, so what was under way
//! when a circuit opened neither closes it nor opens it again. Pure: time comes in.

use std::time::Duration;

use super::Moment;

/// Failures in a row that open a circuit.
pub const FAILURES_IN_A_ROW: u32 = 5;
/// Of the last [`WINDOW`] outcomes so many failures open it too: half of the calls lost.
pub const FAILURES_IN_WINDOW: u32 = 10;
/// Outcomes looked back at.
pub const WINDOW: u32 = 20;
/// First rest: an overloaded service recovers in seconds, a person notices after more.
pub const FIRST_REST: Duration = Duration::from_secs(5);
/// Longest rest: a provider that is back is found within five minutes.
pub const LONGEST_REST: Duration = Duration::from_secs(300);
/// Successful trials that close it.
pub const TRIALS: u32 = 2;
/// Longest time a provider's `Retry-After` is believed.
pub const LONGEST_HOLD: Duration = Duration::from_secs(3600);
/// When to ask again while somebody else's trial is under way.
pub const TRIAL_PAUSE: Duration = Duration::from_secs(1);

/// What a call has shown of its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It answered; also when it refused a faulty request.
    Works,
    Fails,
    /// It is at its limit and asks to be left alone for so long.
    Holds(Duration),
    /// The call says nothing of it: it was cancelled.
    Nothing,
}

/// Where a circuit stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Closed,
    Open,
    HalfOpen,
}

/// Names one trial, so that it can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTicket(u64);

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    Free,
    /// Yes, as a trial; [`Breaker::give_back`] ends it.
    Trial(ProbeTicket),
    Wait(Moment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Moment },
    HalfOpen { trial: Option<ProbeTicket>, successes: u32 },
}

/// The circuit of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// When the state began.
    since: Moment,
    /// The last outcomes while closed, the newest in the lowest bit; 1 is a failure.
    recent: u32,
    /// Length of the next rest.
    rest: Duration,
    /// Asked to be left alone until then.
    held: Moment,
    trials: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            since: Moment::ZERO,
            recent: 0,
            rest: FIRST_REST,
            held: Moment::ZERO,
            trials: 0,
        }
    }
}

impl Breaker {
    /// Asks for a call.
    pub fn admit(&mut self, now: Moment) -> Pass {
        if let Some(until) = self.rests_until(now) {
            return Pass::Wait(until);
        }
        if matches!(self.state, State::Open { .. }) {
            self.enter(State::HalfOpen { trial: None, successes: 0 }, now);
        }
        match &mut self.state {
            State::HalfOpen { trial: Some(_), .. } => Pass::Wait(now + TRIAL_PAUSE),
            State::HalfOpen { trial, .. } => {
                self.trials += 1;
                let ticket = ProbeTicket(self.trials);
                *trial = Some(ticket);
                Pass::Trial(ticket)
            }
            _ => Pass::Free,
        }
    }

    /// Until when nothing is admitted; `None` when a call may be made, or tried.
    #[must_use]
    pub fn rests_until(&self, now: Moment) -> Option<Moment> {
        let open = match self.state {
            State::Open { until } => until,
            _ => Moment::ZERO,
        };
        Some(open.max(self.held)).filter(|until| *until > now)
    }

    #[must_use]
    pub fn phase(&self, now: Moment) -> Phase {
        match self.state {
            _ if self.rests_until(now).is_some() => Phase::Open,
            State::Closed => Phase::Closed,
            // Its rest is over, so the next call is a trial.
            State::Open { .. } | State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Takes in the outcome of a call that began at `began`.
    pub fn record(&mut self, now: Moment, began: Moment, evidence: Evidence) {
        if let Evidence::Holds(wait) = evidence {
            self.held = self.held.max(now + wait.min(LONGEST_HOLD));
        }
        if began < self.since {
            return;
        }
        match (&mut self.state, evidence) {
            (_, Evidence::Nothing | Evidence::Holds(_)) | (State::Open { .. }, _) => {}
            (State::Closed, Evidence::Works) => self.recent <<= 1,
            (State::Closed, Evidence::Fails) => {
                self.recent = self.recent << 1 | 1;
                if self.has_failed_too_often() {
                    self.open(now);
                }
            }
            (State::HalfOpen { successes, .. }, Evidence::Works) => {
                *successes += 1;
                if *successes >= TRIALS {
                    self.rest = FIRST_REST;
                    self.recent = 0;
                    self.enter(State::Closed, now);
                }
            }
            (State::HalfOpen { .. }, Evidence::Fails) => self.open(now),
        }
    }

    /// Ends a trial, whatever came of it: the next one may begin.
    pub fn give_back(&mut self, ticket: ProbeTicket) {
        if let State::HalfOpen { trial, .. } = &mut self.state
            && *trial == Some(ticket)
        {
            *trial = None;
        }
    }

    fn has_failed_too_often(&self) -> bool {
        let window = self.recent & ((1 << WINDOW) - 1);
        self.recent.trailing_ones() >= FAILURES_IN_A_ROW || window.count_ones() >= FAILURES_IN_WINDOW
    }

    fn open(&mut self, now: Moment) {
        self.enter(State::Open { until: now + self.rest }, now);
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    fn enter(&mut self, state: State, now: Moment) {
        self.state = state;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    /// A circuit that opened at second 1.
    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        (0..FAILURES_IN_A_ROW).for_each(|_| breaker.record(s(1), s(0), Evidence::Fails));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = Breaker::default();
        for evidence in [Evidence::Fails; 4].into_iter().chain([Evidence::Works]).chain([Evidence::Fails; 4])
        {
            breaker.record(s(1), s(0), evidence);
            assert_eq!(breaker.phase(s(1)), Phase::Closed);
        }
        breaker.record(s(1), s(0), Evidence::Fails);
        assert_eq!(breaker.admit(s(1)), Pass::Wait(s(1) + FIRST_REST));
    }

    #[test]
    fn half_of_the_window_failing_opens_it() {
        let mut breaker = Breaker::default();
        for n in 0..WINDOW - 1 {
            breaker.record(s(1), s(0), if n % 2 == 0 { Evidence::Works } else { Evidence::Fails });
            assert_eq!(breaker.phase(s(1)), Phase::Closed, "{n}");
        }
        breaker.record(s(1), s(0), Evidence::Fails);
        assert_eq!(breaker.phase(s(1)), Phase::Open);
    }

    #[test]
    fn it_is_tried_one_call_at_a_time_and_closes_after_two_successes() {
        let mut breaker = open();
        for second in [6, 7] {
            let Pass::Trial(ticket) = breaker.admit(s(second)) else { panic!("no trial at {second}") };
            assert_eq!(breaker.admit(s(second)), Pass::Wait(s(second) + TRIAL_PAUSE));
            breaker.record(s(second), s(second), Evidence::Works);
            breaker.give_back(ticket);
        }
        assert_eq!(breaker.admit(s(7)), Pass::Free);
    }

    #[test]
    fn a_failed_trial_doubles_the_rest_up_to_the_longest() {
        let (mut breaker, mut now, mut rests) = (open(), s(1), Vec::new());
        for _ in 0..8 {
            now = breaker.rests_until(now).unwrap();
            assert!(matches!(breaker.admit(now), Pass::Trial(_)));
            breaker.record(now, now, Evidence::Fails);
            rests.push((breaker.rests_until(now).unwrap() - now).as_secs());
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_trial_given_back_without_an_outcome_makes_way_for_the_next() {
        let mut breaker = open();
        let Pass::Trial(first) = breaker.admit(s(6)) else { panic!("no trial") };
        breaker.give_back(first);
        let Pass::Trial(second) = breaker.admit(s(6)) else { panic!("no second trial") };
        breaker.give_back(first);
        assert!(matches!(breaker.admit(s(6)), Pass::Wait(_)), "a ticket is good once");
        breaker.give_back(second);
    }

    #[test]
    fn what_was_under_way_before_moves_nothing() {
        let mut breaker = open();
        assert!(matches!(breaker.admit(s(6)), Pass::Trial(_)));
        let before = breaker.clone();
        breaker.record(s(7), s(5), Evidence::Fails);
        breaker.record(s(7), s(5), Evidence::Works);
        assert_eq!(breaker, before);
    }

    #[test]
    fn a_hold_is_honoured_in_every_state_and_bounded() {
        let mut breaker = Breaker::default();
        breaker.record(s(1), s(0), Evidence::Holds(s(30)));
        assert_eq!(breaker.admit(s(30)), Pass::Wait(s(31)));
        breaker.record(s(2), s(0), Evidence::Holds(s(3)));
        assert_eq!(breaker.admit(s(30)), Pass::Wait(s(31)), "a shorter one does not end a longer one");
        assert_eq!(breaker.admit(s(31)), Pass::Free);
        let mut breaker = open();
        breaker.record(s(2), s(0), Evidence::Holds(Duration::MAX));
        assert_eq!(breaker.rests_until(s(2)), Some(s(2) + LONGEST_HOLD));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Admit,
        Outcome(Evidence, u64),
        GiveBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        let evidence = prop_oneof![
            3 => Just(Evidence::Works),
            4 => Just(Evidence::Fails),
            1 => (0_u64..100).prop_map(|secs| Evidence::Holds(s(secs))),
            1 => Just(Evidence::Nothing),
        ];
        prop_oneof![
            1 => (0_u64..20).prop_map(Step::Pass),
            3 => Just(Step::Admit),
            4 => (evidence, 0_u64..5).prop_map(|(evidence, took)| Step::Outcome(evidence, took)),
            1 => Just(Step::GiveBack),
        ]
    }

    proptest! {
        #[test]
        fn laws_of_a_circuit(steps in prop::collection::vec(step(), 1..200)) {
            let (mut breaker, mut now) = (Breaker::default(), s(0));
            let mut held: Vec<ProbeTicket> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(secs) => now += s(secs),
                    Step::Outcome(evidence, took) => breaker.record(now, now.saturating_sub(s(took)), evidence),
                    Step::GiveBack => held.drain(..).for_each(|ticket| breaker.give_back(ticket)),
                    Step::Admit => {
                        let resting = breaker.rests_until(now);
                        let pass = breaker.admit(now);
                        match pass {
                            // What rests admits nothing, and says until when.
                            Pass::Wait(until) => prop_assert!(until > now && resting.is_none_or(|r| r == until)),
                            _ => prop_assert!(resting.is_none()),
                        }
                        if let Pass::Trial(ticket) = pass {
                            // At most one trial is under way.
                            prop_assert!(matches!(breaker.admit(now), Pass::Wait(_)));
                            held.push(ticket);
                        }
                    }
                }
                prop_assert!(breaker.rests_until(now).is_none_or(|until| until - now <= LONGEST_HOLD));
            }
            // Whatever happened, a provider that is well again is found: rests end, trials are given back.
            held.drain(..).for_each(|ticket| breaker.give_back(ticket));
            for _ in 0..=TRIALS {
                now = breaker.rests_until(now).unwrap_or(now);
                if let Pass::Trial(ticket) = breaker.admit(now) {
                    breaker.record(now, now, Evidence::Works);
                    breaker.give_back(ticket);
                }
            }
            prop_assert_eq!(breaker.admit(now), Pass::Free);
        }
    }
}
