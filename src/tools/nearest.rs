//! The place in a text most similar to wanted lines that are missing there. Best effort: no failures, and
//! bounded.

use std::collections::{HashMap, hash_map::Entry};
use std::ops::Range;

use super::lines::{split_lines, without_trailing_blanks};

/// Most lines compared letter by letter when no line is equal.
const MAX_COMPARED: usize = 2_000;
/// Bytes of a line that are compared letter by letter.
const MAX_LINE: usize = 120;
/// Most lines of a file that are searched.
const MAX_LINES: usize = 200_000;
/// Most wanted lines searched for; more do not improve the result.
const MAX_WANTED: usize = 200;
/// How alike two lines must be, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The lines of `content` most like `wanted`, by number from 0.
pub(super) fn nearest_lines(content: &[u8], wanted: &[u8]) -> Option<Range<usize>> {
    let lines: Vec<&[u8]> =
        split_lines(content).into_iter().map(<[u8]>::trim_ascii).take(MAX_LINES).collect();
    let wanted: Vec<&[u8]> =
        split_lines(wanted).into_iter().map(<[u8]>::trim_ascii).take(MAX_WANTED).collect();
    let start = by_equal_lines(&lines, &wanted).or_else(|| by_alike_lines(&lines, &wanted))?;
    let end = (start + wanted.len()).min(lines.len());
    (start < end).then_some(start..end)
}

/// Each equal line votes for the start at which it would match; rare and long lines weigh more.
fn by_equal_lines(lines: &[&[u8]], wanted: &[&[u8]]) -> Option<usize> {
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, line) in wanted.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    let mut votes: HashMap<usize, usize> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        for wanted_at in places.get(line).into_iter().flatten() {
            if let Some(start) = at.checked_sub(*wanted_at) {
                let weight = line.len() * 100 / counts[line];
                match votes.entry(start) {
                    Entry::Occupied(mut vote) => *vote.get_mut() += weight,
                    Entry::Vacant(vote) => _ = vote.insert(weight),
                }
            }
        }
    }
    // Ties go to the earliest, so that the answer does not depend on the map's order.
    votes
        .into_iter()
        .filter(|(_, weight)| *weight > 0)
        .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))
        .map(|(start, _)| start)
}

fn by_alike_lines(lines: &[&[u8]], wanted: &[&[u8]]) -> Option<usize> {
    let (wanted_at, longest) = wanted.iter().enumerate().max_by_key(|(_, line)| line.len())?;
    let text = |line: &[u8]| String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]).into_owned();
    let longest = text(without_trailing_blanks(longest));
    lines
        .iter()
        .take(MAX_COMPARED)
        .enumerate()
        .map(|(at, line)| (strsim::normalized_levenshtein(&longest, &text(line)), at))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, at)| at.saturating_sub(wanted_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_decide_before_alike_ones() {
        let content = b"fn a() {\n    one();\n}\nfn b() {\n    two();\n    three();\n}\n";
        assert_eq!(nearest_lines(content, b"fn b() {\n  twoo();\n three();\n}\n"), Some(3..7));
        assert_eq!(nearest_lines(content, b"    thre();\n"), Some(5..6));
        assert_eq!(nearest_lines(content, b"nothing like it at all\n"), None);
        assert_eq!(nearest_lines(b"", b"x"), None);
        assert_eq!(nearest_lines(b"x", b""), None);
    }
}
