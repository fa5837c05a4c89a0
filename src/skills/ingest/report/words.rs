//! Numbers and lists as people read them.

use whatlang::Lang;

/// `1234567` as `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number with its noun: `1 file`, `2,000 files`.
pub(super) fn count(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(value as u64), if value == 1 { one } else { many })
}

/// Bytes in decimal units (1 kB = 1,000 bytes, as in SI) with at most one decimal.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if value < 1000 {
        return format!("{value} B");
    }
    let value = u128::from(value);
    let (mut unit, mut size) = (0, 1000_u128);
    // A size that would round up to 1,000 of a unit is 1 of the next.
    while unit + 1 < UNITS.len() && value * 2 >= size * 1999 {
        size *= 1000;
        unit += 1;
    }
    let tenths = (value * 10 + size / 2) / size;
    if tenths >= 1000 || tenths.is_multiple_of(10) {
        format!("{} {}", (value + size / 2) / size, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// A share in whole percent; a share that exists is never 0%, one that is not whole never 100%.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0%".to_owned();
    }
    let rounded = (u128::from(part) * 100 + u128::from(whole) / 2) / u128::from(whole);
    match rounded {
        0 => "under 1%".to_owned(),
        100 if part < whole => "over 99%".to_owned(),
        _ => format!("{rounded}%"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// The English name of an ISO 639-3 code; the code itself when unknown.
pub(super) fn language(code: &str) -> &str {
    if code.is_empty() { "not sure" } else { Lang::from_code(code).map_or(code, |lang| lang.eng_name()) }
}

/// The number of entries omitted from a list, as a sentence; empty when all are shown.
pub(super) fn rest(total: usize, shown: usize, one: &str, many: &str) -> String {
    let left = total.saturating_sub(shown);
    if left == 0 {
        return String::new();
    }
    format!("And {} more {}.", number(left as u64), if left == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "file", "files"), "1 file");
        for (value, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (1549, "1.5 kB"),
            (123_456, "123 kB"),
            (999_949, "1 MB"),
            (1_250_000, "1.3 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(value), shown, "{value}");
        }
        assert_eq!(
            [percent(0, 5), percent(1, 500), percent(499, 500), percent(5, 5)],
            ["0%", "under 1%", "over 99%", "100%"]
        );
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        assert_eq!((language("deu"), language("xxx"), language("")), ("German", "xxx", "not sure"));
    }

    proptest! {
        #[test]
        fn sizes_never_shrink_as_they_grow(value in any::<u64>()) {
            let read = |text: &str| {
                let (figure, unit) = text.split_once(' ').unwrap();
                let power = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].iter().position(|u| *u == unit).unwrap();
                figure.parse::<f64>().unwrap() * 1000_f64.powi(power as i32)
            };
            let shown = read(&bytes(value));
            prop_assert!((shown - value as f64).abs() <= value as f64 * 0.051, "{value} shown as {}", bytes(value));
        }
    }
}
