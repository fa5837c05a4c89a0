//! Times as people type them: a span from now, or a time in the past.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::time::Timestamp;

/// A time span from now, at least a millisecond: `90`, `90s`, `10m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineArg(pub Duration);

impl FromStr for DeadlineArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        span(text).filter(|span| !span.is_zero()).map(Self).ok_or_else(|| {
            format!("`{text}` is not a time span; use seconds, or for example `90s`, `10m`, `1h 30m`")
        })
    }
}

/// A time in the past: a span before now, or a time with date and zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinceArg {
    Ago(Duration),
    At(Timestamp),
}

impl SinceArg {
    /// The time itself, seen from `now`.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => {
                let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(millis))
            }
            Self::At(time) => time,
        }
    }
}

impl FromStr for SinceArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let ago = span(text).map(Self::Ago);
        ago.or_else(|| text.parse().ok().map(Self::At)).ok_or_else(|| {
            format!("`{text}` is not a time; use for example `5m`, `1h` or 2026-11-22T16:00:00Z")
        })
    }
}

/// Seconds as a number, or a duration in jiff's form (`1h 30m`, `PT90S`); whole milliseconds.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let span = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()?,
    };
    Some(Duration::from_millis(u64::try_from(span.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("10m", 600.0), ("1h 30m", 5400.0)]
        {
            assert_eq!(text.parse(), Ok(DeadlineArg(Duration::from_secs_f64(seconds))), "{text}");
        }
        for text in ["", "0", "-5", "soon", "NaN", "1e400", "-1h"] {
            assert!(text.parse::<DeadlineArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_the_past_is_a_span_or_a_date() {
        let now = Timestamp::from_millis(1_795_363_200_000);
        assert_eq!("5m".parse::<SinceArg>().unwrap().before(now).to_string(), "2026-11-22T15:55:00.000Z");
        let at = "2026-11-22T12:00:00+01:00".parse::<SinceArg>().unwrap();
        assert_eq!(at.before(now).to_string(), "2026-11-22T11:00:00.000Z");
        assert!("yesterday".parse::<SinceArg>().is_err());
    }
}
