//! Retention: which of the things that PAS keeps may go, by age and by size, and whether ages can be told.
//!
//! Pure. Invariants: what is pinned never goes, nor what ended within [`YOUNG`]; what goes by size is the oldest
//! of what may go, and no more of it than the limit asks for.

use std::time::Duration;

use serde::Serialize;

use super::time::Timestamp;

/// Nothing younger goes, however much there is: somebody is looking at it.
pub const YOUNG: Duration = Duration::from_secs(3600);

/// The most that is kept of one kind; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionLimit {
    pub age: Option<Duration>,
    pub bytes: Option<u64>,
}

/// The limits of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionLimits {
    pub jobs: RetentionLimit,
    pub traces: RetentionLimit,
    pub logs: RetentionLimit,
    pub events: RetentionLimit,
}

/// Something that is kept, such as a run with its artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem<K> {
    pub key: K,
    /// When it ended, or was last written.
    pub at: Timestamp,
    pub bytes: u64,
    /// In use, or waiting for a person.
    pub is_pinned: bool,
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct KeptAmount {
    pub count: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
}

impl KeptAmount {
    pub fn of<'k, K: 'k>(items: impl IntoIterator<Item = &'k KeptItem<K>>) -> Self {
        items.into_iter().fold(Self::default(), |sum, item| Self {
            count: sum.count + 1,
            bytes: sum.bytes + item.bytes,
            oldest: Some(sum.oldest.map_or(item.at, |oldest| oldest.min(item.at))),
        })
    }
}

/// What goes of `items`, the oldest first.
#[must_use]
pub fn surplus<K>(mut items: Vec<KeptItem<K>>, limit: RetentionLimit, now: Timestamp) -> Vec<KeptItem<K>> {
    items.sort_by_key(|item| item.at);
    let mut bytes: u64 = items.iter().map(|item| item.bytes).sum();
    items.retain(|item| {
        let age = now.since(item.at);
        let is_old = limit.age.is_some_and(|most| age > most);
        let is_too_much = limit.bytes.is_some_and(|most| bytes > most);
        let goes = !item.is_pinned && age >= YOUNG && (is_old || is_too_much);
        bytes -= if goes { item.bytes } else { 0 };
        goes
    });
    items
}

/// The wall clock, and one that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    pub wall: Timestamp,
    /// Since the machine started.
    pub uptime: Duration,
}

/// Whether ages by the wall clock can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTrust {
    Believed,
    /// It was just set by more than [`DOUBTED`].
    Jumped,
    /// It was, less than [`DOUBTED`] ago.
    Doubted,
}

/// The greatest step of the wall clock that is believed at once, and the time for which a greater one is doubted.
pub const DOUBTED: Duration = Duration::from_secs(86_400);

/// Watches the wall clock, by which ages are told: one that jumped ahead by years would make all of the past old.
///
/// A jump is believed when the clock has gone on for a day without another, or when a person says so. A clock that was
/// wrong already at the start of the watch is believed.
#[derive(Debug)]
pub struct ClockWatch {
    last: ClockReading,
    jumped_at: Option<Duration>,
}

impl ClockWatch {
    #[must_use]
    pub fn new(now: ClockReading) -> Self {
        Self { last: now, jumped_at: None }
    }

    pub fn look(&mut self, now: ClockReading) -> ClockTrust {
        let last = std::mem::replace(&mut self.last, now);
        let due = last.wall.plus(now.uptime.saturating_sub(last.uptime));
        if now.wall.since(due).max(due.since(now.wall)) > DOUBTED {
            self.jumped_at = Some(now.uptime);
            return ClockTrust::Jumped;
        }
        self.jumped_at = self.jumped_at.filter(|at| now.uptime.saturating_sub(*at) < DOUBTED);
        if self.jumped_at.is_some() { ClockTrust::Doubted } else { ClockTrust::Believed }
    }

    /// Believes the clock as it is: a person vouches for it.
    pub fn believe(&mut self, now: ClockReading) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NOW: Timestamp = Timestamp::from_millis(1_000 * HOUR_MS);

    fn item(key: usize, hours_ago: i64, bytes: u64, is_pinned: bool) -> KeptItem<usize> {
        KeptItem { key, at: Timestamp::from_millis(NOW.as_millis() - hours_ago * HOUR_MS), bytes, is_pinned }
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(3600 * hours)
    }

    fn keys(items: Vec<KeptItem<usize>>, age: Option<Duration>, bytes: Option<u64>) -> Vec<usize> {
        surplus(items, RetentionLimit { age, bytes }, NOW).into_iter().map(|item| item.key).collect()
    }

    #[test]
    fn the_old_go_and_then_the_oldest_until_the_rest_fits() {
        let items = || {
            vec![item(1, 30, 10, false), item(2, 90, 10, true), item(3, 50, 10, false), item(4, 0, 10, false)]
        };
        assert_eq!(keys(items(), None, None), [0; 0]);
        assert_eq!(keys(items(), Some(hours(40)), None), [3]);
        assert_eq!(keys(items(), Some(hours(50)), None), [0; 0], "not older than that");
        assert_eq!(keys(items(), None, Some(30)), [3]);
        assert_eq!(keys(items(), None, Some(29)), [3, 1]);
        assert_eq!(keys(items(), None, Some(0)), [3, 1], "neither what is pinned nor what is young");
        assert_eq!(keys(items(), Some(hours(40)), Some(30)), [3], "what went by age counts");
        let ahead = vec![item(1, -50, 10, false)];
        assert_eq!(keys(ahead, Some(hours(1)), Some(0)), [0; 0], "from before the clock was set back");
    }

    #[test]
    fn an_amount_is_a_sum_and_the_oldest() {
        let items = [item(1, 30, 10, false), item(2, 90, 5, true)];
        let amount = KeptAmount::of(&items);
        assert_eq!((amount.count, amount.bytes, amount.oldest), (2, 15, Some(items[1].at)));
        assert_eq!(KeptAmount::of::<usize>([]), KeptAmount::default());
    }

    fn reading(wall_h: i64, uptime_h: u64) -> ClockReading {
        ClockReading {
            wall: Timestamp::from_millis(NOW.as_millis() + wall_h * HOUR_MS),
            uptime: hours(uptime_h),
        }
    }

    #[test]
    fn a_clock_that_jumped_is_believed_a_day_later_or_by_a_persons_word() {
        use ClockTrust::{Believed, Doubted, Jumped};
        let mut watch = ClockWatch::new(reading(0, 0));
        let mut looks = |readings: &[(i64, u64)]| -> Vec<ClockTrust> {
            readings.iter().map(|(wall, uptime)| watch.look(reading(*wall, *uptime))).collect()
        };
        assert_eq!(
            looks(&[(1, 1), (25, 2), (3, 3), (1_003, 1_003)]),
            [Believed; 4],
            "steps of a day, and a pause"
        );
        assert_eq!(looks(&[(20_000, 1_004), (20_001, 1_005), (20_023, 1_027)]), [Jumped, Doubted, Doubted]);
        assert_eq!(looks(&[(20_024, 1_028)]), [Believed]);
        assert_eq!(looks(&[(1_025, 1_029), (20_026, 1_030), (20_027, 1_031)]), [Jumped, Jumped, Doubted]);
        watch.believe(reading(20_028, 1_032));
        assert_eq!(watch.look(reading(20_029, 1_033)), Believed);
    }

    proptest! {
        #[test]
        fn nothing_is_believed_within_a_day_of_a_jump(steps in prop::collection::vec((-60..60_i64, 0..30_u64), 1..40)) {
            let (mut wall, mut uptime) = (0, 0);
            let mut watch = ClockWatch::new(reading(0, 0));
            let mut jumped = None;
            for (set, passed) in steps {
                uptime += passed;
                wall += i64::try_from(passed).unwrap() + set;
                jumped = if set.abs() > 24 { Some(uptime) } else { jumped };
                let is_believed = watch.look(reading(wall, uptime)) == ClockTrust::Believed;
                prop_assert_eq!(is_believed, jumped.is_none_or(|at| uptime - at >= 24));
            }
        }

        #[test]
        fn nothing_goes_that_must_stay_and_no_more_than_needed(
            facts in prop::collection::vec((-5..200_i64, 0..50_u64, any::<bool>()), 0..30),
            age in prop::option::of(0..150_u64),
            most in prop::option::of(0..600_u64),
        ) {
            let items: Vec<_> =
                facts.iter().enumerate().map(|(key, (at, bytes, pin))| item(key, *at, *bytes, *pin)).collect();
            let limit = RetentionLimit { age: age.map(hours), bytes: most };
            let gone = surplus(items.clone(), limit, NOW);
            prop_assert!(gone.is_sorted_by_key(|item| item.at));
            let is_old = |item: &KeptItem<usize>| age.is_some_and(|age| NOW.since(item.at) > hours(age));
            prop_assert!(gone.iter().all(|item| !item.is_pinned && NOW.since(item.at) >= YOUNG));
            let left: Vec<_> = items.iter().filter(|item| gone.iter().all(|gone| gone.key != item.key)).collect();
            let may_go = |item: &&&KeptItem<usize>| !item.is_pinned && NOW.since(item.at) >= YOUNG;
            prop_assert!(!left.iter().filter(may_go).any(|item| is_old(item)));
            let bytes: u64 = left.iter().map(|item| item.bytes).sum();
            prop_assert!(most.is_none_or(|most| bytes <= most) || !left.iter().any(|item| may_go(&item)));
            // The newest that went by size alone was still too much.
            if let Some(last) = gone.iter().rposition(|item| !is_old(item)) {
                let then = bytes + gone[last..].iter().map(|item| item.bytes).sum::<u64>();
                prop_assert!(most.is_some_and(|most| then > most));
            }
        }
    }
}
