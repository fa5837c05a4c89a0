//! A document's title: a page's own `<title>`, the first heading, else derived from the file name.

use std::sync::LazyLock;

use regex::Regex;

use super::markup;
use crate::ingest::blocks::{self, BlockKind};

/// Longest title in characters: a longer first heading is a sentence.
const MAX_CHARS: usize = 120;
/// Names (lower case, without extension) that say nothing about one document among many: the folder
/// above is named too.
const COMMON_NAMES: &[&str] = &[
    "readme",
    "index",
    "license",
    "licence",
    "copying",
    "changelog",
    "changes",
    "notice",
    "main",
    "mod",
    "lib",
    "cargo",
    "package",
    "pyproject",
];

/// The part of a page that may hold its title: the head, or where none is marked what comes before the body.
static HEAD_START: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)<head(?:\s[^>]*)?>").ok());
static HEAD_END: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)</head\s*>|<(?:body|frameset|p|div|h[1-6]|svg|main|table)(?:\s[^>]*)?>").ok()
});
static PAGE_TITLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)<title(?:\s[^>]*)?>(.*?)</title\s*>").ok());

/// The title that an HTML page gives itself; `None` when it is missing, empty or too long for a title.
pub(super) fn of_page(html: &str) -> Option<String> {
    let start = HEAD_START.as_ref()?.find(html).map_or(0, |head| head.end());
    let head = &html[start..];
    let head = &head[..HEAD_END.as_ref()?.find(head).map_or(head.len(), |end| end.start())];
    let captures = PAGE_TITLE.as_ref()?.captures(head)?;
    let raw = captures.get(1)?.as_str();
    // The renderer knows the names of characters (`&eacute;`).
    let rendered = markup::html_to_text(&raw.replace('<', "&lt;"))?;
    let title = rendered.split_whitespace().collect::<Vec<_>>().join(" ");
    short(&title)
}

/// A title that says something and is no sentence.
pub(super) fn short(title: &str) -> Option<String> {
    let fits = title.chars().any(char::is_alphanumeric) && title.chars().count() <= MAX_CHARS;
    fits.then(|| title.to_owned())
}

/// The title of a cleaned document.
pub(super) fn of(path: &str, kind: &str, text: &str) -> String {
    heading(kind, text).unwrap_or_else(|| from_path(path))
}

fn heading(kind: &str, text: &str) -> Option<String> {
    if !blocks::is_markdown(kind) {
        return None;
    }
    let blocks = blocks::split(text, true);
    let block = blocks.into_iter().find(|block| block.kind == BlockKind::Heading)?;
    let words = unmarked(blocks::heading_words(&text[block.range]));
    (words.chars().any(char::is_alphanumeric) && words.chars().count() <= MAX_CHARS).then_some(words)
}

/// Heading words without emphasis, code marks, link targets and tags.
fn unmarked(words: &str) -> String {
    let mut out = String::new();
    let mut rest = words;
    while let Some(at) = rest.find(['*', '`', '[', ']', '<', '!']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let skip = match tail.as_bytes() {
            [b']', b'(', ..] => tail.find(')').map_or(1, |end| end + 1),
            [b'<', ..] => tail.find('>').map_or(1, |end| end + 1),
            [b'!', next, ..] if *next != b'[' => {
                out.push('!');
                1
            }
            [b'!'] => {
                out.push('!');
                1
            }
            _ => 1,
        };
        rest = &tail[skip..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn from_path(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    let common = stem.to_lowercase();
    let common = COMMON_NAMES.iter().any(|known| common.split(['-', '_', '.']).next() == Some(known));
    match parts.next().filter(|_| common) {
        Some(folder) => format!("{folder}: {stem}"),
        None => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_come_from_headings_or_names() {
        for (path, kind, text, title) in [
            ("a/README.md", "markdown", "text\n\n# The **best** `tool` [here](x)!\n", "The best tool here!"),
            ("a/README.md", "markdown", "no heading", "a: README"),
            ("serde-1.0/LICENSE-MIT", "licence", "MIT", "serde-1.0: LICENSE-MIT"),
            ("docs/how to.txt", "text", "# no", "how to"),
            (".env", "config", "", ".env"),
        ] {
            assert_eq!(of(path, kind, text), title, "{path}");
        }
    }

    #[test]
    fn a_page_is_called_as_it_calls_itself() {
        let page = "<!DOCTYPE html><html><head><meta charset=utf-8>\n<TITLE>The caf&eacute;&rsquo;s\n menu</TITLE></head><body><h1>No</h1>";
        assert_eq!(of_page(page).as_deref(), Some("The café’s menu"));
        assert_eq!(of_page("<title>Bare</title><p>x").as_deref(), Some("Bare"));
        assert_eq!(of_page("<html><head lang=en><TITLE dir=ltr>One</TITLE></head>").as_deref(), Some("One"));
        for silent in [
            "<head><title> </title></head>",
            "<p>no title",
            "<body><svg><title>a part</title></svg>",
            "<head><meta charset=utf-8></head><body><title>past the head</title></body>",
            "<head></head><svg><title>a part</title></svg>",
            "<head><meta charset=utf-8><body><svg><title>a part</title></svg>",
            "<header>x</header><p>y</p><title>late</title>",
        ] {
            assert_eq!(of_page(silent), None, "{silent}");
        }
    }
}
