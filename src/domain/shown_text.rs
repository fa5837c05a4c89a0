//! Characters by which a text shows something else than it says. Pure.

/// Whether a character turns the direction of the text around it (the explicit marks of Unicode's UAX #9): with one of
/// them `txt.exe` can be shown as `exe.txt`.
#[must_use]
pub const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is not shown, but acts: it turns direction, controls a terminal, ends a line or has no width.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || turns_direction(c)
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_from_letters_of_every_direction() {
        for mark in ['\u{61c}', '\u{200f}', '\u{202e}', '\u{2066}'] {
            assert!(turns_direction(mark) && is_unseen(mark), "{mark:?}");
        }
        for unseen in ['\u{1b}', '\u{9b}', '\u{200b}', '\u{2028}', '\u{2064}', '\u{feff}'] {
            assert!(is_unseen(unseen) && !turns_direction(unseen), "{unseen:?}");
        }
        assert!(!"aé שלום مرحبا 你好 👍".chars().any(is_unseen));
    }
}
