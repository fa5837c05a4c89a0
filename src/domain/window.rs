//! Rolling windows over what calls cost: the last minute, hour and day, by who was paid and who paid.
//!
//! Each window is a ring of buckets. Resolution, and so the greatest error: a window covers its whole
//! length less at most one bucket (1 s of a minute, 30 s of an hour, 10 min of a day); nothing older than
//! the window is ever counted. Invariant: memory is bounded: [`MAX_NAMES`] names of a kind in a bucket,
//! later ones are counted together as [`OTHERS`]. Totals are always exact. Times come from outside and may
//! be out of order, so that a restart fills the rings from stored receipts.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::money::NanoUsd;
use super::receipt::Receipt;
use super::time::Timestamp;

/// Most names of one kind in one bucket: with four kinds and 324 buckets some 8 MB at the very worst.
pub const MAX_NAMES: usize = 64;

/// Under which name those beyond [`MAX_NAMES`] are counted.
pub const OTHERS: &str = "(others)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The last 60 seconds.
    Minute,
    /// The last 60 minutes.
    Hour,
    /// The last 24 hours.
    Day,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];
    /// The longest one, in milliseconds: what a restart must read.
    pub const LONGEST_MS: i64 = 86_400_000;

    /// As the wire writes it.
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

/// What some calls came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    pub requests: u64,
    /// All their tokens, in and out.
    pub tokens: u64,
    pub cost: NanoUsd,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost = self.cost.saturating_add(other.cost);
    }
}

/// A window as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    pub total: Figures,
    pub providers: BTreeMap<String, Figures>,
    pub models: BTreeMap<String, Figures>,
    pub agents: BTreeMap<String, Figures>,
    pub runs: BTreeMap<String, Figures>,
}

#[derive(Debug)]
pub struct Windows([Ring; 3]);

impl Default for Windows {
    fn default() -> Self {
        Self(Window::ALL.map(Ring::new))
    }
}

impl Windows {
    /// Counts a receipt in at the time it bears.
    pub fn record(&mut self, receipt: &Receipt) {
        let (wanted, outcome) = (&receipt.wanted, &receipt.outcome);
        let figures = Figures { requests: 1, tokens: outcome.usage.total(), cost: outcome.cost };
        let names = [&wanted.provider, &wanted.model, wanted.agent.as_str(), wanted.run.as_str()];
        for ring in &mut self.0 {
            ring.record(outcome.at, figures, names);
        }
    }

    /// A window that ends now.
    #[must_use]
    pub fn metrics(&self, window: Window, now: Timestamp) -> Metrics {
        self.ring(window).metrics(now)
    }

    /// The slices of a window that ends now, oldest first, each with the time at which it began.
    #[must_use]
    pub fn slices(&self, window: Window, now: Timestamp) -> Vec<(Timestamp, Figures)> {
        self.ring(window).slices(now)
    }

    fn ring(&self, window: Window) -> &Ring {
        let [minute, hour, day] = &self.0;
        match window {
            Window::Minute => minute,
            Window::Hour => hour,
            Window::Day => day,
        }
    }
}

#[derive(Debug)]
struct Ring {
    width: i64,
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    /// Which bucket since the epoch stands in this place.
    number: i64,
    total: Figures,
    /// By provider, model, agent, run.
    parts: [HashMap<Box<str>, Figures>; 4],
}

impl Ring {
    fn new(window: Window) -> Self {
        let (width, count) = window.shape();
        Self { width, buckets: vec![Bucket::default(); count].into_boxed_slice() }
    }

    fn record(&mut self, at: Timestamp, figures: Figures, names: [&str; 4]) {
        let number = at.as_millis().div_euclid(self.width);
        let place = number.rem_euclid(self.buckets.len() as i64);
        let Some(bucket) = usize::try_from(place).ok().and_then(|place| self.buckets.get_mut(place)) else {
            return;
        };
        if number < bucket.number {
            return; // Older than the window.
        }
        if number > bucket.number {
            *bucket = Bucket { number, ..Bucket::default() };
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

    fn slices(&self, now: Timestamp) -> Vec<(Timestamp, Figures)> {
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

    fn metrics(&self, now: Timestamp) -> Metrics {
        let last = now.as_millis().div_euclid(self.width);
        let first = last - self.buckets.len() as i64 + 1;
        let mut metrics = Metrics::default();
        for bucket in self.buckets.iter().filter(|bucket| (first..=last).contains(&bucket.number)) {
            metrics.total.add(bucket.total);
            let Metrics { providers, models, agents, runs, .. } = &mut metrics;
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
    use crate::domain::budget::{CallKey, HoldId, Label, RunName, Wanted};
    use crate::domain::receipt::Outcome;

    fn receipt(at: i64, cost: u64, run: &str) -> Receipt {
        let wanted = Wanted {
            call: CallKey { request_id: "r".into(), attempt: 1 },
            run: RunName::new(run).unwrap(),
            job: None,
            agent: Label::new("a").unwrap(),
            lane: None,
            provider: "p".into(),
            model: "m".into(),
            worst: NanoUsd(cost),
        };
        let outcome = Outcome::unknown(NanoUsd(cost), Timestamp::from_millis(at), 0, "");
        Receipt::new(1, HoldId(1), wanted, outcome)
    }

    proptest! {
        #[test]
        fn a_window_holds_all_of_its_length_less_a_bucket_and_nothing_older(
            offsets in prop::collection::vec((0..200_000_000_i64, 0..1000_u64), 0..200),
            later in 0..100_000_000_i64,
        ) {
            const START: i64 = 1_795_363_200_123;
            let mut windows = Windows::default();
            for (offset, cost) in &offsets {
                windows.record(&receipt(START + offset, *cost, "run"));
            }
            let newest = offsets.iter().map(|(offset, _)| START + offset).max().unwrap_or(START);
            let now = newest + later;
            for window in Window::ALL {
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
        let mut windows = Windows::default();
        for at in [59_000, 1_000, 30_000] {
            windows.record(&receipt(at, 5, if at > 20_000 { "late" } else { "early" }));
        }
        let metrics = windows.metrics(Window::Minute, Timestamp::from_millis(59_999));
        assert_eq!(metrics.total, Figures { requests: 3, tokens: 0, cost: NanoUsd(15) });
        assert_eq!(metrics.providers["p"], metrics.total);
        assert_eq!(metrics.runs["late"].cost, NanoUsd(10));
        let metrics = windows.metrics(Window::Minute, Timestamp::from_millis(61_500));
        assert_eq!(metrics.total.requests, 2, "it rolls, it does not begin anew with the minute");
        let slices = windows.slices(Window::Minute, Timestamp::from_millis(61_500));
        assert_eq!(
            (slices.len(), slices[0].0, slices[59].0.as_millis()),
            (60, Timestamp::from_millis(2_000), 61_000)
        );
        let spent: Vec<_> = slices.iter().filter(|(_, figures)| figures.requests > 0).collect();
        assert_eq!(spent.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [30_000, 59_000]);
    }

    #[test]
    fn many_names_are_counted_together_and_none_is_lost() {
        let mut windows = Windows::default();
        for n in 0..10 * MAX_NAMES {
            windows.record(&receipt(1_000, 1, &format!("run-{n}")));
        }
        let metrics = windows.metrics(Window::Day, Timestamp::from_millis(2_000));
        assert_eq!(metrics.runs.len(), MAX_NAMES + 1);
        assert_eq!(metrics.runs.values().map(|f| f.requests).sum::<u64>(), metrics.total.requests);
        assert_eq!(metrics.runs[OTHERS].requests, 9 * MAX_NAMES as u64);
    }
}
