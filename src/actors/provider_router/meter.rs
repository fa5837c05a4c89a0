//! What is known of one provider beside its record: its measurements and its circuit.
//!
//! Soft state behind one lock that is held for well under a microsecond; no message is sent. Time is
//! tokio's clock, which tests stop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::routing::measured::Figures;
use crate::domain::routing::{Breaker, Evidence, Expected, Measured, Moment, Pass, Phase, ProbeTicket, Slo};
use crate::llm::FailureKind;

/// What a call has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Whether the answer came whole.
    pub ok: bool,
    /// From the start of the attempt to the first byte of its answer, if one came.
    pub first_byte: Option<Duration>,
    /// From the start of the attempt (not before it was admitted) to its end.
    pub total: Duration,
    pub failure: Option<FailureKind>,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Observed {
    /// What it says of the provider.
    fn evidence(&self) -> Evidence {
        use FailureKind as Kind;
        let Some(kind) = self.failure.filter(|_| !self.ok) else {
            return if self.ok { Evidence::Works } else { Evidence::Fails };
        };
        match (kind, self.retry_after) {
            (Kind::RateLimited | Kind::Server, Some(wait)) => Evidence::Holds(wait),
            (Kind::Cancelled | Kind::Unsupported, _) => Evidence::Nothing,
            // It answered, and what it found wrong is the request.
            (Kind::BadRequest | Kind::ContentFilter | Kind::ContextTooLong | Kind::MissingUsage, _) => {
                Evidence::Works
            }
            _ => Evidence::Fails,
        }
    }
}

/// Whether a call may be made.
#[derive(Debug)]
pub enum Admission {
    Closed,
    /// Yes, as the one trial under way; report its outcome, then drop the guard.
    HalfOpenProbe(Probe),
    /// No, not before this time.
    Open {
        /// When to ask again.
        until: Instant,
    },
}

/// A trial of a provider that rested. Dropping it lets the next one begin.
pub struct Probe {
    meter: Arc<Meter>,
    ticket: ProbeTicket,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({:?})", self.ticket)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.meter.inner.lock().breaker.give_back(self.ticket);
    }
}

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    measured: Measured,
}

/// Measurements and circuit of one provider.
#[derive(Debug)]
pub(super) struct Meter {
    /// What moments are counted from.
    epoch: Instant,
    inner: Mutex<Inner>,
}

/// A reading of a meter at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) figures: Figures,
    pub(super) phase: Phase,
    pub(super) rests: Option<Duration>,
}

impl Meter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), inner: Mutex::default() })
    }

    fn moment(&self, now: Instant) -> Moment {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Admission {
        match self.inner.lock().breaker.admit(self.moment(now)) {
            Pass::Free => Admission::Closed,
            Pass::Trial(ticket) => Admission::HalfOpenProbe(Probe { meter: Arc::clone(self), ticket }),
            Pass::Wait(until) => Admission::Open { until: self.epoch + until },
        }
    }

    pub(super) fn report(&self, observed: &Observed, now: Instant) {
        let evidence = observed.evidence();
        let now = self.moment(now);
        let mut inner = self.inner.lock();
        inner.breaker.record(now, now.saturating_sub(observed.total), evidence);
        match evidence {
            Evidence::Works if observed.ok => inner.measured.add(true, observed.first_byte, observed.total),
            // A refusal comes faster than an answer and says nothing of either figure.
            Evidence::Works | Evidence::Nothing => {}
            Evidence::Fails | Evidence::Holds(_) => inner.measured.add(false, None, observed.total),
        }
    }

    /// What may be expected of a call, and for how long none may be made.
    pub(super) fn expected(&self, slo: Option<&Slo>, now: Instant) -> (Expected, Option<Duration>) {
        let now = self.moment(now);
        let inner = self.inner.lock();
        (inner.measured.expected(slo), inner.breaker.rests_until(now).map(|until| until.saturating_sub(now)))
    }

    pub(super) fn reading(&self, now: Instant) -> Reading {
        let now = self.moment(now);
        let inner = self.inner.lock();
        Reading {
            figures: inner.measured.figures(),
            phase: inner.breaker.phase(now),
            rests: inner.breaker.rests_until(now).map(|until| until.saturating_sub(now)),
        }
    }
}
