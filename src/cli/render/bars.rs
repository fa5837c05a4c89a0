//! Bars of text, in eighths of a column.

const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// `fraction` (clamped to 0..=1) of `width` columns, filled from the left.
#[must_use]
pub fn filled(fraction: f64, width: usize) -> String {
    let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
    let eighths = (fraction * width as f64 * 8.0).round() as usize;
    (0..width).map(|column| EIGHTHS[eighths.saturating_sub(column * 8).min(8)]).collect()
}

/// A span from `start` to `end` (fractions of the whole), with at least one column marked.
#[must_use]
pub fn placed(start: f64, end: f64, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let column = |fraction: f64| (fraction.clamp(0.0, 1.0) * width as f64).floor() as usize;
    let first = column(start).min(width - 1);
    let after = column(end).max(first + 1);
    (0..width).map(|at| if (first..after).contains(&at) { '█' } else { '·' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bars_show_fractions() {
        assert_eq!(filled(0.0, 4), "    ");
        assert_eq!(filled(0.5, 4), "██  ");
        assert_eq!(filled(0.3, 4), "█▎  ");
        assert_eq!(filled(1.0, 4), "████");
        assert_eq!(filled(f64::NAN, 2), "  ");
        assert_eq!(placed(0.0, 1.0, 4), "████");
        assert_eq!(placed(0.5, 0.5, 4), "··█·");
        assert_eq!(placed(1.0, 1.0, 4), "···█");
    }

    proptest! {
        #[test]
        fn a_bar_is_as_wide_as_asked(start in -1.0..2.0f64, end in -1.0..2.0f64, width in 0..60usize) {
            prop_assert_eq!(filled(start, width).chars().count(), width);
            let bar = placed(start, end, width);
            prop_assert_eq!(bar.chars().count(), width);
            prop_assert!(width == 0 || bar.contains('█'));
        }
    }
}
