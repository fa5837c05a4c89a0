//! Missed heartbeats: the consequence of each, and the alerts.
//!
//! The rule (the heartbeat contract): one missed interval is a warning, two are `down`, three remove the
//! service from the registry; a beat after `down` restores it. The two times of a registration:
//! [`HeartbeatTiming`] counts misses in intervals of `heartbeat_interval_s`, or of `ttl_s` if that is
//! shorter, and `ttl_s` is how long the registry offers the service without a beat. Pure: silence comes in as
//! a [`Duration`], so any clock will do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::SwarmEvent;
use super::time::Timestamp;

/// Missed intervals after which a service is `down`.
pub const MISSES_DOWN: u32 = 2;
/// Missed intervals after which a service is deregistered.
pub const MISSES_DEREGISTER: u32 = 3;
/// Tolerance for a late beat: a client that beats exactly once per interval is late by timer and transport;
/// tens of milliseconds on a busy machine.
pub const LATENESS: Duration = Duration::from_millis(100);

/// The timing expected of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTiming {
    interval: Duration,
    ttl: Duration,
}

impl HeartbeatTiming {
    /// The pace of a registration; an interval of 0 counts as one second.
    #[must_use]
    pub fn new(heartbeat_interval_s: u32, ttl_s: u32) -> Self {
        let seconds = |s: u32| Duration::from_secs(u64::from(s.max(1)));
        Self { interval: seconds(heartbeat_interval_s.min(ttl_s)), ttl: seconds(ttl_s) }
    }

    /// Whole intervals missed after this silence.
    #[must_use]
    pub fn misses(self, silence: Duration) -> u32 {
        // A beat exactly on time is not missed: the count rises just after the border.
        let overdue = silence.saturating_sub(LATENESS).as_nanos().saturating_sub(1);
        u32::try_from(overdue / self.interval.as_nanos()).unwrap_or(u32::MAX)
    }

    /// The silence at which [`HeartbeatTiming::misses`] has reached `misses`.
    #[must_use]
    pub fn silence_of(self, misses: u32) -> Duration {
        self.interval * misses + LATENESS + Duration::from_nanos(1)
    }

    /// Whether the TTL is over: the service is no longer offered.
    #[must_use]
    pub fn is_expired(self, silence: Duration) -> bool {
        silence > self.ttl
    }

    /// Silence granted to a service known from before a restart, so that the first interval is missed no
    /// sooner than one TTL after the start.
    #[must_use]
    pub fn grace(self) -> Duration {
        self.ttl.saturating_sub(self.interval)
    }

    /// How long after `silence` the next change by silence alone is due; `None`: never.
    #[must_use]
    pub fn until_change(self, silence: Duration) -> Option<Duration> {
        let expiry = self.ttl + Duration::from_nanos(1);
        (1..=MISSES_DEREGISTER)
            .map(|misses| self.silence_of(misses))
            .chain([expiry])
            .filter_map(|border| border.checked_sub(silence).filter(|left| !left.is_zero()))
            .min()
    }
}

/// The wire name of a step of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatAlertType {
    /// A beat did not come.
    HeartbeatMiss,
    HeartbeatRestored,
    ServiceDown,
    /// Taken off the registry.
    ServiceDeregistered,
}

/// The action taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatAction {
    Warning,
    /// Marked `down`.
    MarkedDown,
    /// Deregistered; the service must register again.
    Deregistered,
    /// The service's own status applies again.
    Restored,
    /// The parent must act.
    Escalated,
}

/// One alert, on the wire and in the daily file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAlert {
    pub alert_type: HeartbeatAlertType,
    pub service_id: String,
    pub service_name: String,
    /// Intervals missed so far.
    pub missed_beats: u32,
    /// The service's last sign of life; `None` when unknown.
    pub last_seen: Option<Timestamp>,
    pub action: HeartbeatAction,
    /// Time of detection.
    pub ts: Timestamp,
    /// The parent, for agents and for services with the label `parent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// For many services at once: their number. The fields above are those of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// For many services at once: the ids of the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_ids: Vec<String>,
}

/// How the id of an event about many services begins. Clients give no ids, so none of theirs passes for one.
const ID_OF_MANY: &str = "services-";

impl HeartbeatAlert {
    /// The event's id of an alert about many services.
    #[must_use]
    pub fn id_of_many(&self) -> Option<String> {
        let Self { action, ts, service_id, .. } = self;
        self.count.map(|_| format!("{ID_OF_MANY}{action:?}-{}-{service_id}", ts.as_millis()))
    }

    /// Whether an alert's event is the daemon's own about many services.
    #[must_use]
    pub fn is_of_many(event: &SwarmEvent) -> bool {
        event.id.as_ref().is_some_and(|id| id.starts_with(ID_OF_MANY))
    }
}

/// One step of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatTransition {
    /// The first interval was missed.
    Warning,
    Down,
    Deregister,
    /// A beat came after `Down`: the number of missed beats.
    Restored(u32),
}

impl HeartbeatTransition {
    /// The words on the wire.
    #[must_use]
    pub fn words(self) -> (HeartbeatAlertType, HeartbeatAction) {
        match self {
            Self::Warning => (HeartbeatAlertType::HeartbeatMiss, HeartbeatAction::Warning),
            Self::Down => (HeartbeatAlertType::ServiceDown, HeartbeatAction::MarkedDown),
            Self::Deregister => (HeartbeatAlertType::ServiceDeregistered, HeartbeatAction::Deregistered),
            Self::Restored(_) => (HeartbeatAlertType::HeartbeatRestored, HeartbeatAction::Restored),
        }
    }

    /// The missed beats named in the alert.
    #[must_use]
    pub fn missed_beats(self) -> u32 {
        match self {
            Self::Warning => 1,
            Self::Down => MISSES_DOWN,
            Self::Deregister => MISSES_DEREGISTER,
            Self::Restored(misses) => misses,
        }
    }
}

/// The alerts reported for one service so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartbeatWatch {
    beat: u64,
    reported: u32,
}

impl HeartbeatWatch {
    /// A watch that begins with this last beat.
    #[must_use]
    pub fn from_beat(beat: u64) -> Self {
        Self { beat, reported: 0 }
    }

    /// Makes the third step due again after a failure.
    pub fn retry_deregistration(&mut self) {
        self.reported = self.reported.min(MISSES_DOWN);
    }

    /// The steps due for a service whose last beat is `beat` and that was silent since: in order, each once,
    /// even when several became due since the last check.
    pub fn observe(
        &mut self,
        beat: u64,
        silence: Duration,
        pace: HeartbeatTiming,
    ) -> Vec<HeartbeatTransition> {
        let mut due = Vec::new();
        if beat != self.beat {
            self.beat = beat;
            let told = std::mem::take(&mut self.reported);
            if told >= MISSES_DOWN {
                due.push(HeartbeatTransition::Restored(told));
            }
        }
        let misses = pace.misses(silence).min(MISSES_DEREGISTER);
        while self.reported < misses {
            self.reported += 1;
            due.push(match self.reported {
                MISSES_DEREGISTER => HeartbeatTransition::Deregister,
                MISSES_DOWN => HeartbeatTransition::Down,
                _ => HeartbeatTransition::Warning,
            });
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_beat_on_time_is_not_missed_and_each_interval_counts_once() {
        let pace = HeartbeatTiming::new(60, 90);
        let misses = [0, 60, 61, 120, 121, 180, 181].map(|at| pace.misses(s(at)));
        assert_eq!(misses, [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!((pace.is_expired(s(90)), pace.is_expired(s(91))), (false, true));
        assert_eq!(pace.misses(s(60) + LATENESS), 0);
        assert_eq!(pace.misses(pace.silence_of(1)), 1);
    }

    #[test]
    fn a_time_to_live_below_the_interval_is_the_interval() {
        assert_eq!(HeartbeatTiming::new(60, 2).misses(s(7)), 3);
        assert_eq!(HeartbeatTiming::new(1, 90).misses(s(4)), 3);
    }

    #[test]
    fn after_a_restart_the_first_miss_comes_no_sooner_than_one_time_to_live() {
        for (interval, ttl) in [(60, 90), (1, 90), (60, 2), (1, 1)] {
            let pace = HeartbeatTiming::new(interval, ttl);
            let silence = |since_start: Duration| since_start.saturating_sub(pace.grace());
            assert_eq!(pace.misses(silence(s(u64::from(ttl)))), 0, "{interval} {ttl}");
            assert_eq!(pace.misses(silence(s(u64::from(ttl)) + 2 * LATENESS)), 1, "{interval} {ttl}");
        }
    }

    #[test]
    fn the_steps_come_in_order_and_a_beat_after_down_restores() {
        use HeartbeatTransition::{Deregister, Down, Restored, Warning};
        let pace = HeartbeatTiming::new(60, 90);
        let mut watch = HeartbeatWatch::from_beat(1);
        assert_eq!(watch.observe(1, s(59), pace), []);
        assert_eq!(watch.observe(1, s(70), pace), [Warning]);
        assert_eq!(watch.observe(1, s(80), pace), []);
        assert_eq!(watch.observe(2, s(1), pace), [], "a beat after a warning needs no word");
        assert_eq!(watch.observe(2, s(130), pace), [Warning, Down]);
        assert_eq!(watch.observe(3, s(65), pace), [Restored(2), Warning]);
        assert_eq!(watch.observe(3, s(1000), pace), [Down, Deregister]);
        assert_eq!(watch.observe(3, s(2000), pace), []);
    }

    proptest! {
        #[test]
        fn looking_often_tells_the_same_as_looking_once(
            interval in 1u32..100, ttl in 1u32..200, looks in prop::collection::vec(0u64..700, 0..20)
        ) {
            let pace = HeartbeatTiming::new(interval, ttl);
            let mut looks: Vec<_> = looks.into_iter().map(s).collect();
            looks.sort();
            let last = looks.last().copied().unwrap_or_default();
            let mut often = HeartbeatWatch::default();
            let told: Vec<_> = looks.into_iter().flat_map(|at| often.observe(0, at, pace)).collect();
            prop_assert_eq!(told, HeartbeatWatch::default().observe(0, last, pace));
        }

        #[test]
        fn nothing_changes_before_it_is_said_to(
            interval in 1u32..100, ttl in 1u32..200, silence_ms in 0u64..700_000
        ) {
            let (pace, silence) = (HeartbeatTiming::new(interval, ttl), Duration::from_millis(silence_ms));
            let state = |at| (pace.misses(at).min(MISSES_DEREGISTER), pace.is_expired(at));
            match pace.until_change(silence) {
                None => prop_assert_eq!(state(silence), state(silence + s(1_000_000))),
                Some(left) => {
                    prop_assert_eq!(state(silence), state(silence + left - Duration::from_nanos(1)));
                    prop_assert_ne!(state(silence), state(silence + left));
                }
            }
        }
    }
}
