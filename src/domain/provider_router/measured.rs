//! Measurements of a provider's calls, and the forecast for the next one.
//!
//! Failed calls count only in the error rate, successful ones in both figures. All figures decay at the rate
//! [`ALPHA`]. The forecast, with `n` calls seen and [`PRIOR_CALLS`] = 10 as the weight of the promise:
//!
//! ```text
//! expected = (n · measured + 10 · promised) / (n + 10)      both there
//!          = measured, or promised                          one of them
//! ```
//!
//! so a promise counts alone at first, half after ten calls, and a tenth after ninety.

use std::time::Duration;

use serde::Serialize;

use super::histogram::{ALPHA, DurationHistogram};
use super::provider::ProviderSlo;

/// The weight of a promise in calls: few enough that a broken promise shows within a minute of use.
pub const PRIOR_CALLS: f64 = 10.0;
/// Upper bound of the forecast error rate: at nine failures in ten, a circuit is open anyway.
const MAX_ERROR_RATE: f64 = 0.9;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderMeasurements {
    calls: u64,
    successes: u64,
    /// EWMA of failures, not yet divided by `weight`.
    failing: f64,
    /// Sum of all weights, the value of `failing` if every call had failed.
    weight: f64,
    total: DurationHistogram,
    first_byte: DurationHistogram,
}

/// The measurements on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProviderFigures {
    /// Calls seen since the daemon started.
    pub calls: u64,
    /// Median time of a successful call, ms.
    pub latency_p50_ms: Option<f64>,
    /// 95th percentile of the latency.
    pub latency_p95_ms: Option<f64>,
    /// Median time to the first byte of an answer, ms.
    pub first_byte_p50_ms: Option<f64>,
    /// Share of calls that failed, 0 to 1.
    pub error_rate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CallForecast {
    /// 95th percentile of the latency, ms; `None` where nothing is known.
    pub p95_ms: Option<f64>,
    /// Probability of failure, 0 to [`MAX_ERROR_RATE`].
    pub error_rate: f64,
}

impl ProviderMeasurements {
    /// Records a call.
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
    pub fn figures(&self) -> ProviderFigures {
        ProviderFigures {
            calls: self.calls,
            latency_p50_ms: self.total.quantile_ms(0.5).map(rounded),
            latency_p95_ms: self.total.quantile_ms(0.95).map(rounded),
            first_byte_p50_ms: self.first_byte.quantile_ms(0.5).map(rounded),
            error_rate: (self.error_rate() * 1e4).round() / 1e4,
        }
    }

    /// The forecast, given the promise.
    #[must_use]
    pub fn expected(&self, slo: Option<&ProviderSlo>) -> CallForecast {
        let promised_ms = slo.and_then(|slo| slo.latency_p95_ms);
        let promised_errors = slo.and_then(|slo| slo.availability_percent).map(|share| 1.0 - share / 100.0);
        let measured_errors = (self.calls > 0).then(|| self.error_rate());
        CallForecast {
            p95_ms: blend(self.successes, self.total.quantile_ms(0.95), promised_ms),
            error_rate: blend(self.calls, measured_errors, promised_errors)
                .unwrap_or(0.0)
                .clamp(0.0, MAX_ERROR_RATE),
        }
    }
}

impl CallForecast {
    /// The expected time to an answer in microseconds: the 95th percentile divided by the success rate, since
    /// a failed call is retried (the mean number of attempts is `1 / (1 − e)`).
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

/// Rounded to a tenth of a millisecond, finer than the buckets.
fn rounded(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(calls: usize, ok: bool, ms: u64) -> ProviderMeasurements {
        let mut measured = ProviderMeasurements::default();
        (0..calls).for_each(|_| measured.add(ok, None, Duration::from_millis(ms)));
        measured
    }

    #[test]
    fn a_promise_counts_alone_then_half_then_hardly() {
        let slo = ProviderSlo { latency_p95_ms: Some(100.0), ..ProviderSlo::default() };
        let p95 = |calls| after(calls, true, 1000).expected(Some(&slo)).p95_ms.unwrap();
        let measured = after(10, true, 1000).expected(None).p95_ms.unwrap();
        assert!((p95(0) - 100.0).abs() < 1e-9);
        assert!((p95(10) - f64::midpoint(measured, 100.0)).abs() < 1.0);
        assert!(p95(990) > 0.98 * measured);
        assert_eq!(ProviderMeasurements::default().expected(None).p95_ms, None);
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
        let hopeless = after(100, false, 1)
            .expected(Some(&ProviderSlo { latency_p95_ms: Some(10.0), ..ProviderSlo::default() }));
        assert_eq!((hopeless.error_rate, hopeless.effective_us()), (MAX_ERROR_RATE, Some(100_000)));
    }

    #[test]
    fn a_promised_availability_is_an_error_rate() {
        let slo = ProviderSlo { availability_percent: Some(99.0), ..ProviderSlo::default() };
        assert!((ProviderMeasurements::default().expected(Some(&slo)).error_rate - 0.01).abs() < 1e-9);
    }

    #[test]
    fn the_first_call_counts_fully() {
        assert_eq!(after(1, false, 1).figures().error_rate, 1.0);
        let figures = after(1, true, 100).figures();
        assert_eq!((figures.calls, figures.error_rate), (1, 0.0));
        assert!((84.0..119.5).contains(&figures.latency_p50_ms.unwrap()));
    }
}
