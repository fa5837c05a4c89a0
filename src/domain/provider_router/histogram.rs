//! A decaying distribution of durations: an exponentially weighted histogram.
//!
//! Every new value gets weight `α` and lets all earlier weights decay by `1 − α`, which is an EWMA of the
//! distribution; a quantile is read off the cumulated weights, relative to their sum, so that the first
//! values count fully. Buckets grow by 2^¼ (19 %) from 1 ms to 11 minutes; within a bucket the quantile is
//! interpolated geometrically, so the error is less than one bucket. Invariants: quantiles grow with `q` and
//! are within a bucket of the values seen.

use std::time::Duration;

/// Weight of a new value: the last 20 values have about half of all weight, the last 70 nine tenths.
pub const ALPHA: f32 = 1.0 / 32.0;
const PER_DOUBLING: f64 = 4.0;
/// From 1 ms up to 2^(80/4) ms, which is 17 minutes; longer than any call may take.
const BUCKETS: usize = 80;

/// Weights of durations by logarithmic bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationHistogram {
    weights: [f32; BUCKETS],
}

impl Default for DurationHistogram {
    fn default() -> Self {
        Self { weights: [0.0; BUCKETS] }
    }
}

impl DurationHistogram {
    pub fn add(&mut self, value: Duration) {
        for weight in &mut self.weights {
            *weight *= 1.0 - ALPHA;
        }
        self.weights[bucket(value)] += ALPHA;
    }

    /// The value that the share `q` (0 to 1) of all weight does not exceed, in ms; `None` before the
    /// first value.
    #[must_use]
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let total: f64 = self.weights.iter().map(|weight| f64::from(*weight)).sum();
        if total <= 0.0 {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * total;
        let (mut below, mut last) = (0.0, 0);
        for (at, weight) in self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let weight = f64::from(*weight);
            if below + weight >= wanted {
                return Some(lower_ms(at as f64 + (wanted - below) / weight));
            }
            (below, last) = (below + weight, at);
        }
        // Rounding left the sum a hair below the target.
        Some(lower_ms(last as f64 + 1.0))
    }
}

fn bucket(value: Duration) -> usize {
    let ms = (value.as_secs_f64() * 1e3).max(1.0);
    // A float above the range becomes the last bucket.
    ((ms.log2() * PER_DOUBLING) as usize).min(BUCKETS - 1)
}

/// The lower end of a bucket, or a position inside the bucket.
fn lower_ms(place: f64) -> f64 {
    (place / PER_DOUBLING).exp2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDTH: f64 = 1.190;

    proptest! {
        #[test]
        fn quantiles_grow_and_lie_within_a_bucket_of_what_was_seen(values in prop::collection::vec(1_u64..600_000, 1..200)) {
            let mut histogram = DurationHistogram::default();
            for ms in &values {
                histogram.add(Duration::from_millis(*ms));
            }
            let quantiles: Vec<f64> = (0..=20).map(|n| histogram.quantile_ms(f64::from(n) / 20.0).unwrap()).collect();
            prop_assert!(quantiles.is_sorted());
            let (least, most) = (*values.iter().min().unwrap() as f64, *values.iter().max().unwrap() as f64);
            prop_assert!(quantiles[0] >= least / WIDTH && quantiles[20] <= most * WIDTH, "{quantiles:?}");
        }
    }

    #[test]
    fn a_steady_stream_is_measured_within_a_bucket() {
        let mut histogram = DurationHistogram::default();
        assert_eq!(histogram.quantile_ms(0.5), None);
        for n in 0..400_u64 {
            histogram.add(Duration::from_millis(100 + (n * 37) % 100));
        }
        let (p50, p95) = (histogram.quantile_ms(0.5).unwrap(), histogram.quantile_ms(0.95).unwrap());
        assert!((130.0..175.0).contains(&p50) && (175.0..225.0).contains(&p95), "{p50} {p95}");
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut histogram = DurationHistogram::default();
        (0..100).for_each(|_| histogram.add(Duration::from_secs(60)));
        (0..100).for_each(|_| histogram.add(Duration::from_millis(50)));
        assert!(histogram.quantile_ms(0.95).unwrap() < 60.0);
    }

    #[test]
    fn the_shortest_and_the_longest_values_have_a_place() {
        let mut histogram = DurationHistogram::default();
        histogram.add(Duration::ZERO);
        histogram.add(Duration::MAX);
        assert!(histogram.quantile_ms(0.0).unwrap() >= 1.0);
        assert!(histogram.quantile_ms(1.0).unwrap().is_finite());
    }
}
