//! Text as a comparison of licences needs it: without comment marks, in lower case, on one line.

/// Characters that begin a comment or draw a box around it.
const MARKS: &str = "/*#;%>|-!\"'+=~_";

/// A line without the marks of a comment on either side, in lower case, with single spaces.
pub(super) fn line(raw: &str) -> String {
    let mark = |c: char| c.is_whitespace() || MARKS.contains(c);
    let bare = raw.trim_start_matches(mark);
    let bare = ["dnl ", "rem ", "REM ", ".\\\" ", "@c ", "c "]
        .iter()
        .find_map(|start| bare.strip_prefix(start))
        .unwrap_or(bare);
    let bare = bare.trim_start_matches(mark).trim_end();
    // A closed box ends its lines with marks behind a gap; one mark may belong to the words ("C++ -").
    let boxed = bare.trim_end_matches(|c: char| "/*#;%|-!+=~".contains(c));
    let bare = if boxed.len() < bare.len() && boxed.ends_with(char::is_whitespace) { boxed } else { bare };
    let bare = bare.strip_suffix("*/").unwrap_or(bare).trim_end();
    bare.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text on one line.
pub(super) struct FlatText {
    pub(super) text: String,
    /// Where each line that has words begins in `text`, and its number, from 1.
    starts: Vec<(usize, u32)>,
    /// Where each paragraph but the first begins in `text`.
    pub(super) breaks: Vec<usize>,
}

impl FlatText {
    /// The line of the document, from 1, that a byte of the flat text comes from.
    pub(super) fn line_at(&self, at: usize) -> u32 {
        let behind = self.starts.partition_point(|(start, _)| *start <= at);
        behind.checked_sub(1).map_or(0, |line| self.starts[line].1)
    }
}

/// All lines, joined by spaces: sentences are wrapped anywhere.
pub(super) fn flat(text: &str) -> FlatText {
    let mut flat =
        FlatText { text: String::with_capacity(text.len()), starts: Vec::new(), breaks: Vec::new() };
    let mut is_apart = false;
    for (number, raw) in (1_u32..).zip(text.lines()) {
        let line = line(raw);
        // Debian writes an empty line as a full stop.
        if line.is_empty() || line == "." {
            is_apart = true;
        } else {
            if !flat.text.is_empty() {
                flat.text.push(' ');
                flat.breaks.extend(is_apart.then_some(flat.text.len()));
            }
            is_apart = false;
            flat.starts.push((flat.text.len(), number));
            flat.text.push_str(&line);
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_boxes_of_any_language_fall_away() {
        for raw in [
            "/*  Free Words  */",
            "# free   words",
            "## Free words           ##",
            "dnl Free words",
            ";;; free words",
            " * Free words",
            "// free words",
            "| free words        |",
            ".\\\" Free words",
            "%% free words %%",
        ] {
            assert_eq!(line(raw), "free words", "{raw}");
        }
        let flat = flat("# one\n#\n# two\n .\n");
        assert_eq!(flat.text, "one two");
        assert_eq!([0, 2, 4, 6].map(|at| flat.line_at(at)), [1, 1, 3, 3]);
        assert_eq!(flat.breaks, [4]);
    }
}
