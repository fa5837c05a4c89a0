//! Markup that is no content: HTML around text, comments, rows of badges.
//!
//! Invariant: code (fenced, or between backticks) is never touched.

use std::sync::LazyLock;

use regex::Regex;

use super::nesting;
use crate::ingest::blocks::{self, BlockKind};

/// Columns at which the HTML renderer wraps; wide enough for a line of prose, narrow enough for rules.
const HTML_COLUMNS: usize = 100;
/// Lines from the start of a document searched for badges.
const HEAD_LINES: usize = 40;

/// A line of images only, linked or not, as Markdown or HTML.
static BADGES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)^[\s>|•·]*(?:(?:
            \[!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])\s*\](?:\([^)]*\)|\[[^\]]*\])?
            | !\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])
            | <a\b[^>]*>\s*<img\b[^>]*>\s*</a> | <img\b[^>]*>
        )[\s|•·\\]*(?:<br\s*/?>|&nbsp;)?[\s|•·\\]*)+$",
    )
    .ok()
});
static COMMENT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->").ok());

/// HTML as Markdown-like text; `None` when the renderer refuses, and for elements nested too deep to be rendered in time.
pub(in crate::ingest) fn html_to_text(html: &str) -> Option<String> {
    if nesting::is_too_deep(html) {
        return None;
    }
    html2text::config::plain()
        .no_table_borders()
        .no_link_wrapping()
        .string_from_read(html.as_bytes(), HTML_COLUMNS)
        .ok()
        .map(|text| text.lines().filter(|line| !is_rule(line)).collect::<Vec<_>>().join("\n"))
}

fn is_rule(line: &str) -> bool {
    line.chars().count() > 3 && line.chars().all(|c| "─━—-_".contains(c))
}

/// Cuts comments and badge rows of Markdown; how many, and the rest.
pub(super) fn cut(text: &str) -> Option<(usize, String)> {
    let code: Vec<_> = blocks::split(text, true)
        .into_iter()
        .filter(|block| block.kind == BlockKind::Code)
        .map(|block| block.range)
        .collect();
    let in_code = |at: usize| {
        let next = code.partition_point(|range| range.end <= at);
        code.get(next).is_some_and(|range| range.start <= at)
    };
    let mut cuts: Vec<_> = COMMENT
        .iter()
        .flat_map(|comment| comment.find_iter(text))
        .filter(|hit| !in_code(hit.start()) && !text[..hit.start()].ends_with('`'))
        .map(|hit| hit.range())
        .collect();
    let mut at = 0;
    for line in text.split_inclusive('\n').take(HEAD_LINES) {
        if !in_code(at)
            && line.contains(['!', '<'])
            && BADGES.as_ref().is_some_and(|badges| badges.is_match(line.trim_end()))
        {
            cuts.push(at..at + line.len());
        }
        at += line.len();
    }
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_by_key(|cut| cut.start);
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    for cut in &cuts {
        kept.push_str(text.get(at..cut.start).unwrap_or_default());
        at = at.max(cut.end);
    }
    kept.push_str(&text[at..]);
    Some((cuts.len(), kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_and_comments_go_and_code_stays() {
        let text = "# x\n[![Build](a.svg)](b) [![Docs][d]][e]\n<a href=\"x\"><img src=\"y\"></a>\n\
                    <!-- TOC -->\nwords <!-- a\nb --> more `<!-- keep -->`\n```html\n<!-- keep -->\n```\n";
        let (count, rest) = cut(text).unwrap();
        assert_eq!(count, 4);
        assert_eq!(rest, "# x\n\nwords  more `<!-- keep -->`\n```html\n<!-- keep -->\n```\n");
        assert_eq!(cut("See ![figure](a.png) for more.\n"), None);
        assert_eq!(cut("<!-- never closed\n"), None);
    }

    #[test]
    fn html_becomes_text_with_its_headings() {
        let text = html_to_text(
            "<html><head><style>b{}</style><script>x()</script></head><body><h1>Title</h1>\
             <p>One &amp; two&eacute;</p><hr><ul><li>a</li></ul></body></html>",
        )
        .unwrap();
        assert!(text.contains("# Title") && text.contains("One & twoé") && text.contains("* a"), "{text}");
        assert!(!text.contains("x()") && !text.contains("b{}"), "{text}");
    }
}
