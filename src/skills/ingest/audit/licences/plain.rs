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

/// All lines, joined by spaces: sentences are wrapped anywhere.
pub(super) fn flat(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for raw in text.lines() {
        let line = line(raw);
        // Debian writes an empty line as a full stop.
        if !line.is_empty() && line != "." {
            if !flat.is_empty() {
                flat.push(' ');
            }
            flat.push_str(&line);
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
        assert_eq!(flat("# one\n#\n# two\n .\n"), "one two");
    }
}
