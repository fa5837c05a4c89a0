//! How deep the elements of HTML nest, told from its tags: the renderer's time grows by the square of it.

use std::sync::LazyLock;

use regex::Regex;

/// Deepest nesting that is rendered; browsers, too, nest no deeper than 512.
const MAX_DEPTH: usize = 512;

/// Text that has no elements, and the start of a tag.
static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // What is never closed goes to the end, as in browsers: to look for its end again at every tag takes the square.
    Regex::new(
        r"(?is)<!--(?:-?>|.*?(?:--!?>|\z))|<script\b.*?(?:</script|\z)|<style\b.*?(?:</style|\z)|<(/?)([a-z][a-z0-9]*)(?:[^<>]*(/)>)?",
    )
    .ok()
});

/// Elements without content.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];
/// Elements that end where the next one of their kind, or that around them, begins or ends: they nest no deeper than
/// what is around them.
const ENDS_BY_ITSELF: &[&str] = &[
    "body", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p", "tbody", "td", "tfoot",
    "th", "thead", "tr",
];
/// Drawings and formulas, and what holds others in them.
const FOREIGN: &[&str] = &[
    "clippath",
    "defs",
    "g",
    "lineargradient",
    "marker",
    "mask",
    "math",
    "mrow",
    "pattern",
    "radialgradient",
    "svg",
    "symbol",
];
/// Elements of a line, which end with the paragraph or cell that they are in.
const OF_A_LINE: &[&str] =
    &["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strong", "tt", "u"];

/// Whether elements nest deeper than [`MAX_DEPTH`].
pub(super) fn is_too_deep(html: &str) -> bool {
    let Some(tags) = TAG.as_ref() else { return false };
    let mut open: Vec<String> = Vec::new();
    for tag in tags.captures_iter(html) {
        let (Some(slash), Some(name)) = (tag.get(1), tag.get(2)) else { continue };
        let name = name.as_str().to_ascii_lowercase();
        if VOID.contains(&name.as_str()) {
            continue;
        }
        // In drawings and formulas, and only there, a slash ends an element.
        if tag.get(3).is_some() && open.last().is_some_and(|last| FOREIGN.contains(&last.as_str())) {
            continue;
        }
        if ENDS_BY_ITSELF.contains(&name.as_str()) {
            while open.last().is_some_and(|last| OF_A_LINE.contains(&last.as_str())) {
                open.pop();
            }
        } else if slash.is_empty() {
            open.push(name);
        } else if let Some(begun) = open.iter().rposition(|known| *known == name) {
            open.truncate(begun);
        }
        if open.len() > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_that_are_left_open_are_deep_and_many_in_a_row_are_not() {
        for element in ["div", "blockquote", "b", "ul><li", "table><tr><td", "x-y"] {
            let open = format!("<{element}>");
            assert!(is_too_deep(&open.repeat(MAX_DEPTH + 1)), "{element}");
            assert!(!is_too_deep(&open.repeat(MAX_DEPTH)), "{element}");
        }
        for row in [
            "<div><p>a<br><img></div>",
            "<p>a<p><b>c",
            "<td><font>a",
            "<li><a>x",
            "<!-- <div> -->",
            "<script>'<div>'</script>",
            "<DIV>a</div>",
            "<p>1 < 2 <",
        ] {
            assert!(!is_too_deep(&row.repeat(10 * MAX_DEPTH)), "{row}");
        }
        let drawing = "<path d='M0 0'/>".repeat(10 * MAX_DEPTH);
        assert!(!is_too_deep(&format!("<svg><g>{drawing}</g></svg>")));
        assert!(is_too_deep(&"<span/>".repeat(MAX_DEPTH + 1)), "outside of drawings a slash ends nothing");
        assert!(is_too_deep(&"<div></b>".repeat(MAX_DEPTH + 1)), "an end of what never began ends nothing");
    }

    #[test]
    fn what_is_never_closed_is_read_once() {
        // Read again at each, a million of them would take hours.
        for start in ["<!--<p>", "<script><p>", "<style><p>"] {
            assert!(!is_too_deep(&start.repeat(1_000_000)), "{start}");
        }
        assert!(is_too_deep(&"<!--><div>".repeat(MAX_DEPTH + 1)), "an empty comment hides nothing");
    }
}
