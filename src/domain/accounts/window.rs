//! Rolling windows over costs: the last minute, hour and day, by provider, model, agent and run.
//!
//! Each window is a ring of buckets. Resolution, and so the greatest error: a window covers the whole length
//! less at most one bucket (1 s of a minute, 30 s of an hour, 10 min of a day); nothing older than the window
//! is ever counted. Invariant: memory is bounded: [`MAX_NAMES`] names of a kind in a bucket, later ones are
//! counted together as [`OTHERS`]. Totals are always exact. Times come from outside and may be out of order,
//! so that a restart fills the rings from stored receipts.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::accounts::receipt::Receipt;
use crate::money::NanoUsd;
use crate::time::Timestamp;

/// Most names of one kind in one bucket: with four kinds and 324 buckets some 8 MB at the very worst.
pub const MAX_NAMES: usize = 64;

/// The name for all beyond [`MAX_NAMES`].
pub const OTHERS: &str = "(others)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeWindow {
    /// The last 60 seconds.
    Minute,
    /// The last 60 minutes.
    Hour,
    /// The last 24 hours.
    Day,
}

impl TimeWindow {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];
    /// The longest window, in milliseconds: a restart reads the receipts of that time.
    pub const LONGEST_MS: i64 = 86_400_000;

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Width of a bucket in milliseconds, and how many there are.
    const fn shape(self) -> (i64, usize) {
        match self {
            Self::Minute => (1_000, 60),
            Self::Hour => (30_000, 120),
            Self::Day => (600_000, 144),
        }
    }
}

/// The totals of some calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct WindowFigures {
    pub requests: u64,
    /// All their tokens, in and out.
    pub tokens: u64,
    pub cost: NanoUsd,
}

impl WindowFigures {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost = self.cost.saturating_add(other.cost);
    }
}

/// The current figures of a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowMetrics {
    pub total: WindowFigures,
    pub providers: BTreeMap<String, WindowFigures>,
    pub models: BTreeMap<String, WindowFigures>,
    pub agents: BTreeMap<String, WindowFigures>,
    pub runs: BTreeMap<String, WindowFigures>,
}

#[derive(Debug)]
pub struct UsageWindows([WindowRing; 3]);

impl Default for UsageWindows {
    fn default() -> Self {
        Self(TimeWindow::ALL.map(WindowRing::new))
    }
}

impl UsageWindows {
    /// Adds a receipt at the receipt's time.
    pub fn record(&mut self, receipt: &Receipt) {
        let (wanted, outcome) = (&receipt.wanted, &receipt.outcome);
        let figures = WindowFigures { requests: 1, tokens: outcome.usage.total(), cost: outcome.cost };
        let names = [&wanted.provider, &wanted.model, wanted.agent.as_str(), wanted.run.as_str()];
        for ring in &mut self.0 {
            ring.record(outcome.at, figures, names);
        }
    }

    /// A window that ends now.
    #[must_use]
    pub fn metrics(&self, window: TimeWindow, now: Timestamp) -> WindowMetrics {
        self.ring(window).metrics(now)
    }

    /// The slices of a window that ends now, oldest first, each with its start time.
    #[must_use]
    pub fn slices(&self, window: TimeWindow, now: Timestamp) -> Vec<(Timestamp, WindowFigures)> {
        self.ring(window).slices(now)
    }

    fn ring(&self, window: TimeWindow) -> &WindowRing {
        let [minute, hour, day] = &self.0;
        match window {
            TimeWindow::Minute => minute,
            TimeWindow::Hour => hour,
            TimeWindow::Day => day,
        }
    }
}

#[derive(Debug)]
struct WindowRing {
    width: i64,
    buckets: Box<[WindowBucket]>,
}

#[derive(Debug, Clone, Default)]
struct WindowBucket {
    /// Number of the bucket in this slot, counted from the epoch.
    number: i64,
    total: WindowFigures,
    /// By provider, model, agent, run.
    parts: [HashMap<Box<str>, WindowFigures>; 4],
}

impl WindowRing {
    fn new(window: TimeWindow) -> Self {
        let (width, count) = window.shape();
        Self { width, buckets: vec![WindowBucket::default(); count].into_boxed_slice() }
    }

    fn record(&mut self, at: Timestamp, figures: WindowFigures, names: [&str; 4]) {
        let number = at.as_millis().div_euclid(self.width);
        let place = number.rem_euclid(self.buckets.len() as i64);
        let Some(bucket) = usize::try_from(place).ok().and_then(|place| self.buckets.get_mut(place)) else {
            return;
        };
        if number < bucket.number {
            return; // Older than the window.
        }
        if number > bucket.number {
            *bucket = WindowBucket { number, ..WindowBucket::default() };
        }
        bucket.total.add(figures);
        for (part, name) in bucket.parts.iter_mut().zip(names) {
            if let Some(known) = part.get_mut(name) {
                known.add(figures);
                continue;
            }
            let name = if part.len() < MAX_NAMES { name } else { OTHERS };
            part.entry(name.into()).or_default().add(figures);
        }
    }

    fn slices(&self, now: Timestamp) -> Vec<(Timestamp, WindowFigures)> {
        let last = now.as_millis().div_euclid(self.width);
        let first = last - self.buckets.len() as i64 + 1;
        let total = |number: i64| {
            let place = usize::try_from(number.rem_euclid(self.buckets.len() as i64)).unwrap_or(0);
            self.buckets.get(place).filter(|bucket| bucket.number == number).map(|bucket| bucket.total)
        };
        (first..=last)
            .map(|number| (Timestamp::from_millis(number * self.width), total(number).unwrap_or_default()))
            .collect()
    }

    fn metrics(&self, now: Timestamp) -> WindowMetrics {
        let last = now.as_millis().div_euclid(self.width);
        let first = last - self.buckets.len() as i64 + 1;
        let mut metrics = WindowMetrics::default();
        for bucket in self.buckets.iter().filter(|bucket| (first..=last).contains(&bucket.number)) {
            metrics.total.add(bucket.total);
            let WindowMetrics { providers, models, agents, runs, .. } = &mut metrics;
            for (sums, part) in [providers, models, agents, runs].into_iter().zip(&bucket.parts) {
                for (name, figures) in part {
                    sums.entry(name.to_string()).or_default().add(*figures);
                }
            }
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::budget::{CallKey, HoldId, RunName, ScopeLabel, SpendRequest};
    use crate::accounts::receipt::ReceiptOutcome;

    fn receipt(at: i64, cost: u64, run: &str) -> Receipt {
        let wanted = SpendRequest {
            call: CallKey { request_id: "r".into(), attempt: 1 },
            run: RunName::new(run).unwrap(),
            job: None,
            agent: ScopeLabel::new("a").unwrap(),
            lane: None,
            provider: "p".into(),
            model: "m".into(),
            worst: NanoUsd(cost),
        };
        let outcome = ReceiptOutcome::unknown(NanoUsd(cost), Timestamp::from_millis(at), 0, "");
        Receipt::new(1, HoldId(1), wanted, outcome)
    }

    proptest! {
        #[test]
        fn a_window_holds_all_of_its_length_less_a_bucket_and_nothing_older(
            offsets in prop::collection::vec((0..200_000_000_i64, 0..1000_u64), 0..200),
            later in 0..100_000_000_i64,
        ) {
            const START: i64 = 1_795_363_200_123;
            let mut windows = UsageWindows::default();
            for (offset, cost) in &offsets {
                windows.record(&receipt(START + offset, *cost, "run"));
            }
            let newest = offsets.iter().map(|(offset, _)| START + offset).max().unwrap_or(START);
            let now = newest + later;
            for window in TimeWindow::ALL {
                let (width, count) = window.shape();
                let length = width * count as i64;
                let since = |oldest: i64| -> u64 {
                    offsets.iter().filter(|(offset, _)| START + offset > oldest).map(|(_, cost)| cost).sum()
                };
                let found = windows.metrics(window, Timestamp::from_millis(now)).total.cost.0;
                prop_assert!(found <= since(now - length), "{window:?} counts nothing older");
                prop_assert!(found >= since(now - length + width), "{window:?} forgets nothing newer");
            }
        }
    }

    #[test]
    fn the_order_of_recording_does_not_matter_and_every_sum_agrees() {
        let mut windows = UsageWindows::default();
        for at in [59_000, 1_000, 30_000] {
            windows.record(&receipt(at, 5, if at > 20_000 { "late" } else { "early" }));
        }
        let metrics = windows.metrics(TimeWindow::Minute, Timestamp::from_millis(59_999));
        assert_eq!(metrics.total, WindowFigures { requests: 3, tokens: 0, cost: NanoUsd(15) });
        assert_eq!(metrics.providers["p"], metrics.total);
        assert_eq!(metrics.runs["late"].cost, NanoUsd(10));
        let metrics = windows.metrics(TimeWindow::Minute, Timestamp::from_millis(61_500));
        assert_eq!(metrics.total.requests, 2, "it rolls, it does not begin anew with the minute");
        let slices = windows.slices(TimeWindow::Minute, Timestamp::from_millis(61_500));
        assert_eq!(
            (slices.len(), slices[0].0, slices[59].0.as_millis()),
            (60, Timestamp::from_millis(2_000), 61_000)
        );
        let spent: Vec<_> = slices.iter().filter(|(_, figures)| figures.requests > 0).collect();
        assert_eq!(spent.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [30_000, 59_000]);
    }

    #[test]
    fn many_names_are_counted_together_and_none_is_lost() {
        let mut windows = UsageWindows::default();
        for n in 0..10 * MAX_NAMES {
            windows.record(&receipt(1_000, 1, &format!("run-{n}")));
        }
        let metrics = windows.metrics(TimeWindow::Day, Timestamp::from_millis(2_000));
        assert_eq!(metrics.runs.len(), MAX_NAMES + 1);
        assert_eq!(metrics.runs.values().map(|f| f.requests).sum::<u64>(), metrics.total.requests);
        assert_eq!(metrics.runs[OTHERS].requests, 9 * MAX_NAMES as u64);
    }
}
