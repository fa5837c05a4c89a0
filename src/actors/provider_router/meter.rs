//! Soft state of one provider: measurements and circuit.
//!
//! One lock guards both, for well under a microsecond at a time; no message is sent. Time is tokio's clock,
//! which tests stop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::provider_router::measured::ProviderFigures;
use crate::domain::provider_router::{
    BreakerPermit, CallForecast, CircuitBreaker, CircuitPhase, MonotonicTime, ProbeTicket, ProviderEvidence,
    ProviderMeasurements, ProviderSlo,
};
use crate::llm::VendorFailureKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedCall {
    /// Whether the answer was complete.
    pub ok: bool,
    /// Time from the start of the attempt to the first byte of the answer, if one came.
    pub first_byte: Option<Duration>,
    /// Time from the start of the attempt (not before admission) to its end.
    pub total: Duration,
    pub failure: Option<VendorFailureKind>,
    /// The wait that the provider asks for.
    pub retry_after: Option<Duration>,
}

impl ObservedCall {
    /// The evidence about the provider.
    fn evidence(&self) -> ProviderEvidence {
        use VendorFailureKind as Kind;
        let Some(kind) = self.failure.filter(|_| !self.ok) else {
            return if self.ok { ProviderEvidence::Works } else { ProviderEvidence::Fails };
        };
        match (kind, self.retry_after) {
            (Kind::RateLimited | Kind::Server, Some(wait)) => ProviderEvidence::RateLimited(wait),
            (Kind::Cancelled | Kind::Unsupported, _) => ProviderEvidence::Nothing,
            // The provider answered; the fault is in the request.
            (Kind::BadRequest | Kind::ContentFilter | Kind::ContextTooLong | Kind::MissingUsage, _) => {
                ProviderEvidence::Works
            }
            _ => ProviderEvidence::Fails,
        }
    }
}

/// Whether a call is allowed.
#[derive(Debug)]
pub enum ProviderPermit {
    Allowed,
    /// Allowed, as the only probe in progress; report the outcome, then drop the guard.
    Probe(ProbeGuard),
    /// Not allowed before this time.
    Rejected {
        /// When to ask again.
        until: Instant,
    },
}

/// A probe of a provider whose circuit was open. Dropping this guard allows the next probe.
pub struct ProbeGuard {
    meter: Arc<ProviderMeter>,
    ticket: ProbeTicket,
}

impl fmt::Debug for ProbeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({:?})", self.ticket)
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        self.meter.inner.lock().breaker.end_probe(self.ticket);
    }
}

#[derive(Debug, Default)]
struct MeterState {
    breaker: CircuitBreaker,
    measured: ProviderMeasurements,
}

/// Measurements and circuit of one provider.
#[derive(Debug)]
pub(super) struct ProviderMeter {
    /// The origin of monotonic times.
    epoch: Instant,
    inner: Mutex<MeterState>,
}

/// A reading of a meter at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeterReading {
    pub(super) figures: ProviderFigures,
    pub(super) phase: CircuitPhase,
    pub(super) open_for: Option<Duration>,
}

impl ProviderMeter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), inner: Mutex::default() })
    }

    fn moment(&self, now: Instant) -> MonotonicTime {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> ProviderPermit {
        match self.inner.lock().breaker.admit(self.moment(now)) {
            BreakerPermit::Allowed => ProviderPermit::Allowed,
            BreakerPermit::Probe(ticket) => {
                ProviderPermit::Probe(ProbeGuard { meter: Arc::clone(self), ticket })
            }
            BreakerPermit::Rejected(until) => ProviderPermit::Rejected { until: self.epoch + until },
        }
    }

    pub(super) fn report(&self, observed: &ObservedCall, now: Instant) {
        let evidence = observed.evidence();
        let now = self.moment(now);
        let mut inner = self.inner.lock();
        inner.breaker.record(now, now.saturating_sub(observed.total), evidence);
        match evidence {
            ProviderEvidence::Works if observed.ok => {
                inner.measured.add(true, observed.first_byte, observed.total);
            }
            // A refusal comes faster than an answer and says nothing about either figure.
            ProviderEvidence::Works | ProviderEvidence::Nothing => {}
            ProviderEvidence::Fails | ProviderEvidence::RateLimited(_) => {
                inner.measured.add(false, None, observed.total);
            }
        }
    }

    /// The forecast for a call, and how long the circuit stays open.
    pub(super) fn expected(
        &self,
        slo: Option<&ProviderSlo>,
        now: Instant,
    ) -> (CallForecast, Option<Duration>) {
        let now = self.moment(now);
        let inner = self.inner.lock();
        (inner.measured.expected(slo), inner.breaker.open_until(now).map(|until| until.saturating_sub(now)))
    }

    pub(super) fn reading(&self, now: Instant) -> MeterReading {
        let now = self.moment(now);
        let inner = self.inner.lock();
        MeterReading {
            figures: inner.measured.figures(),
            phase: inner.breaker.phase(now),
            open_for: inner.breaker.open_until(now).map(|until| until.saturating_sub(now)),
        }
    }
}
