//! What a summary kept and what it dropped, found by comparing the two texts.

use serde::Serialize;

use super::units;

/// A stretch of the text before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Whether the summary says it word by word.
    pub kept: bool,
    pub text: String,
}

/// The text before as stretches that were kept or dropped, in order; together they are the whole text
/// but for white space between them. A unit is kept when the summary holds it literally, so a summary in
/// other words keeps little by this measure, though it may say much.
#[must_use]
pub fn compare(before: &str, after: &str) -> Vec<Piece> {
    let mut pieces: Vec<(bool, std::ops::Range<usize>)> = Vec::new();
    for unit in units::split(before) {
        let kept = after.contains(&before[unit.clone()]);
        match pieces.last_mut() {
            Some((same, range)) if *same == kept => range.end = unit.end,
            _ => pieces.push((kept, unit)),
        }
    }
    pieces.into_iter().map(|(kept, range)| Piece { kept, text: before[range].to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_dropped_together_are_the_whole_text() {
        let before = "- one\n- two\n- three\n\n- four\n";
        let pieces = compare(before, "## X\n\n- three\n- four\n");
        let seen: Vec<_> = pieces.iter().map(|piece| (piece.kept, piece.text.as_str())).collect();
        assert_eq!(seen, [(false, "- one\n- two"), (true, "- three\n\n- four")]);
        assert!(compare("", "x").is_empty());
        assert!(compare(before, before).iter().all(|piece| piece.kept));
    }
}
