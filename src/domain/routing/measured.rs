//! What calls of a provider have shown, and what may be expected of the next one.
//!
//! Failed calls count in the error rate alone, successful ones in both. All figures forget at the rate
//! [`ALPHA`]. Expectation, with `n` calls seen and [`PRIOR_CALLS`] = 10 standing for the promise:
//!
//! ```text
//! expected = (n · measured + 10 · promised) / (n + 10)      both there
//!          = measured, or promised                          one of them
//! ```
//!
//! so a promise counts alone at first, half after ten calls, and a tenth after ninety.

use std::time::Duration;

use serde::Serialize;

use super::histogram::{ALPHA, Histogram};
use super::provider::Slo;

/// Calls that a promise counts as: few enough that a broken one is found out within a minute of use.
pub const PRIOR_CALLS: f64 = 10.0;
/// Error rate beyond which no expectation goes: at nine failures in ten, a circuit is open anyway.
const MAX_ERROR_RATE: f64 = 0.9;

/// The measurements of one provider.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    calls: u64,
    successes: u64,
    /// EWMA of failures, not yet divided by `weight`.
    failing: f64,
    /// Sum of all weights: what `failing` would be if every call had failed.
    weight: f64,
    total: Histogram,
    first_byte: Histogram,
}

/// The measurements as the wire shows them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Calls seen since the daemon started.
    pub calls: u64,
    /// Median time of a successful call, ms.
    pub latency_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub latency_p95_ms: Option<f64>,
    /// Median time to the first byte of an answer, ms.
    pub first_byte_p50_ms: Option<f64>,
    /// Share of calls that failed, 0 to 1.
    pub error_rate: f64,
}

/// What may be expected of the next call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// 95th percentile of the time it takes, ms; `None` where nothing is known.
    pub p95_ms: Option<f64>,
    /// How likely it fails, 0 to [`MAX_ERROR_RATE`].
    pub error_rate: f64,
}

impl Measured {
    /// Takes in a call.
    pub fn add(&mut self, ok: bool, first_byte: Option<Duration>, total: Duration) {
        let alpha = f64::from(ALPHA);
        self.calls += 1;
        self.failing = self.failing * (1.0 - alpha) + if ok { 0.0 } else { alpha };
        self.weight = self.weight * (1.0 - alpha) + alpha;
        if ok {
            self.successes += 1;
            self.total.add(total);
            if let Some(first_byte) = first_byte {
                self.first_byte.add(first_byte);
            }
        }
    }

    fn error_rate(&self) -> f64 {
        if self.weight > 0.0 { self.failing / self.weight } else { 0.0 }
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            calls: self.calls,
            latency_p50_ms: self.total.quantile_ms(0.5).map(rounded),
            latency_p95_ms: self.total.quantile_ms(0.95).map(rounded),
            first_byte_p50_ms: self.first_byte.quantile_ms(0.5).map(rounded),
            error_rate: (self.error_rate() * 1e4).round() / 1e4,
        }
    }

    /// What may be expected, given what is promised.
    #[must_use]
    pub fn expected(&self, slo: Option<&Slo>) -> Expected {
        let promised_ms = slo.and_then(|slo| slo.latency_p95_ms);
        let promised_errors = slo.and_then(|slo| slo.availability_percent).map(|share| 1.0 - share / 100.0);
        let measured_errors = (self.calls > 0).then(|| self.error_rate());
        Expected {
            p95_ms: blend(self.successes, self.total.quantile_ms(0.95), promised_ms),
            error_rate: blend(self.calls, measured_errors, promised_errors)
                .unwrap_or(0.0)
                .clamp(0.0, MAX_ERROR_RATE),
        }
    }
}

impl Expected {
    /// The time until an answer is there, in microseconds: the 95th percentile over the share of calls
    /// that succeed, since a failed one is made again (the mean number of tries is `1 / (1 − e)`).
    #[must_use]
    pub fn effective_us(&self) -> Option<u64> {
        self.p95_ms.map(|p95| (p95 * 1e3 / (1.0 - self.error_rate)) as u64)
    }
}

fn blend(calls: u64, measured: Option<f64>, promised: Option<f64>) -> Option<f64> {
    match (measured, promised) {
        (Some(measured), Some(promised)) => {
            let n = calls as f64;
            Some((n * measured + PRIOR_CALLS * promised) / (n + PRIOR_CALLS))
        }
        (measured, promised) => measured.or(promised),
    }
}

/// To a tenth of a millisecond: finer than buckets are.
fn rounded(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(calls: usize, ok: bool, ms: u64) -> Measured {
        let mut measured = Measured::default();
        (0..calls).for_each(|_| measured.add(ok, None, Duration::from_millis(ms)));
        measured
    }

    #[test]
    fn a_promise_counts_alone_then_half_then_hardly() {
        let slo = Slo { latency_p95_ms: Some(100.0), ..Slo::default() };
        let p95 = |calls| after(calls, true, 1000).expected(Some(&slo)).p95_ms.unwrap();
        let measured = after(10, true, 1000).expected(None).p95_ms.unwrap();
        assert!((p95(0) - 100.0).abs() < 1e-9);
        assert!((p95(10) - f64::midpoint(measured, 100.0)).abs() < 1.0);
        assert!(p95(990) > 0.98 * measured);
        assert_eq!(Measured::default().expected(None).p95_ms, None);
    }

    #[test]
    fn failures_lengthen_the_effective_time_and_forget() {
        let mut measured = after(50, true, 100);
        let well = measured.expected(None).effective_us().unwrap();
        (0..20).for_each(|_| measured.add(false, None, Duration::ZERO));
        let expected = measured.expected(None);
        assert!(expected.error_rate > 0.3 && expected.effective_us().unwrap() > well * 13 / 10);
        (0..200).for_each(|_| measured.add(true, None, Duration::from_millis(100)));
        assert!(measured.expected(None).error_rate < 0.01);
        let hopeless =
            after(100, false, 1).expected(Some(&Slo { latency_p95_ms: Some(10.0), ..Slo::default() }));
        assert_eq!((hopeless.error_rate, hopeless.effective_us()), (MAX_ERROR_RATE, Some(100_000)));
    }

    #[test]
    fn a_promised_availability_is_an_error_rate() {
        let slo = Slo { availability_percent: Some(99.0), ..Slo::default() };
        assert!((Measured::default().expected(Some(&slo)).error_rate - 0.01).abs() < 1e-9);
    }

    #[test]
    fn the_first_call_counts_fully() {
        assert_eq!(after(1, false, 1).figures().error_rate, 1.0);
        let figures = after(1, true, 100).figures();
        assert_eq!((figures.calls, figures.error_rate), (1, 0.0));
        assert!((84.0..119.5).contains(&figures.latency_p50_ms.unwrap()));
    }
}
