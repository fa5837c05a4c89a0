//! The parts that a summary kept and dropped, found by comparing the two texts.

use serde::Serialize;

use super::units;

/// A stretch of the original text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedPiece {
    /// Whether the summary contains this text verbatim.
    pub kept: bool,
    pub text: String,
}

/// The original text as kept and dropped stretches, in order; together they are the whole text except for
/// white space between them. A unit is kept when the summary contains it verbatim, so by this measure a
/// paraphrase keeps little, however much it says.
#[must_use]
pub fn compare(before: &str, after: &str) -> Vec<ComparedPiece> {
    let mut pieces: Vec<(bool, std::ops::Range<usize>)> = Vec::new();
    for unit in units::split(before) {
        let kept = after.contains(&before[unit.clone()]);
        match pieces.last_mut() {
            Some((same, range)) if *same == kept => range.end = unit.end,
            _ => pieces.push((kept, unit)),
        }
    }
    pieces.into_iter().map(|(kept, range)| ComparedPiece { kept, text: before[range].to_owned() }).collect()
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
