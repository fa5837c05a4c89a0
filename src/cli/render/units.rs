//! Numbers with units, short and of stable width.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A duration in two or three digits: `180 µs`, `2.48 s`, `3 min 05 s`, `2 h 10 min`.
#[must_use]
pub fn duration(span: Duration) -> String {
    let micros = span.as_micros();
    let seconds = span.as_secs_f64();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", seconds * 1e3),
        10_000..999_500 => format!("{:.0} ms", seconds * 1e3),
        999_500..9_995_000 => format!("{seconds:.2} s"),
        9_995_000..59_950_000 => format!("{seconds:.1} s"),
        _ => long(seconds.round() as u64),
    }
}

fn long(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago, roughly: `now`, `12 s`, `3 min`, `2 h`, `5 d`.
#[must_use]
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0 => "now".into(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Bytes in decimal units, as for disks: `812 B`, `48.2 kB`, `1.6 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1e3, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    let decimals = usize::from(value < 99.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// The time of day in UTC, to the second.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// Date and time in UTC, to the second.
#[must_use]
pub fn date_time(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", text.get(..10).unwrap_or_default(), clock(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown = [0, 180, 999, 1_000, 9_999, 12_345, 999_499, 999_500, 2_480_000, 42_000_000, 185_000_000]
            .map(|micros| duration(Duration::from_micros(micros)));
        assert_eq!(
            shown,
            [
                "0 µs",
                "180 µs",
                "999 µs",
                "1.0 ms",
                "10.0 ms",
                "12 ms",
                "999 ms",
                "1.00 s",
                "2.48 s",
                "42.0 s",
                "3 min 05 s"
            ]
        );
        assert_eq!(duration(Duration::from_secs(7_800)), "2 h 10 min");
        assert_eq!(duration(Duration::from_secs(200_000)), "2 d 07 h");
    }

    #[test]
    fn bytes_are_decimal() {
        let shown = [0, 999, 1_000, 48_211, 999_900, 1_589_248, 5_000_000_000].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "48.2 kB", "1.0 MB", "1.6 MB", "5.0 GB"]);
    }

    #[test]
    fn ages_are_rough() {
        let now = Timestamp::from_millis(1_795_363_200_000);
        let ago = |seconds: i64| age(Timestamp::from_millis(now.as_millis() - seconds * 1_000), now);
        assert_eq!([-5, 0, 12, 200, 7_300, 432_000].map(ago), ["now", "now", "12 s", "3 min", "2 h", "5 d"]);
        assert_eq!(date_time(now), "2026-11-22 16:00:00");
    }
}
