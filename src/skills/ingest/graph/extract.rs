//! The references of one document, unresolved: link targets, file names, project names.
//!
//! Knows no other document: [`super::names`] resolves the references. Markdown is read by pulldown-cmark; in
//! HTML inside Markdown the `href` attributes count, in a page the numbered targets below the text that
//! cleaning makes of them; in any other text the addresses. Broken markup is
//! no error: the readable part counts.

use std::sync::LazyLock;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use regex::Regex;

use crate::ingest::formats::CleanRow;

/// Text considered in one document, in bytes: references of a longer one (a generated change log) repeat
/// themselves, and the step's time stays bounded.
const MAX_BYTES: usize = 1024 * 1024;

/// References of one document, unresolved, in order and with repetitions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RawReferences {
    /// Targets of links, images excluded: relative paths and addresses.
    pub(super) targets: Vec<String>,
    /// Words that can name a file or a project: of text and of code.
    pub(super) words: Vec<String>,
    /// Words set as code or before `::`.
    pub(super) ticked: Vec<String>,
    /// Words in the context of a version or of "crate", "package", "library".
    pub(super) versioned: Vec<String>,
}

/// Finds the references of a document.
pub(super) fn references(document: &CleanRow) -> RawReferences {
    let text = &document.text[..document.text.floor_char_boundary(MAX_BYTES)];
    let mut found = RawReferences::default();
    match document.kind.as_str() {
        "markdown" | "document" => markdown(text, &mut found),
        "html" => {
            hrefs(text, &mut found);
            footnotes(text, &mut found);
            plain(text, &mut found);
        }
        _ => plain(text, &mut found),
    }
    found
}

fn markdown(text: &str, found: &mut RawReferences) {
    let mut in_link = 0_usize;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES) {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                in_link += 1;
                // `<a@b.org>` is an address of a person, though its target reads like a path.
                if link_type != LinkType::Email {
                    found.targets.push(dest_url.into_string());
                }
            }
            Event::End(TagEnd::Link) => in_link = in_link.saturating_sub(1),
            Event::Text(text) if in_link == 0 => plain(&text, found),
            // The words of a link repeat the target.
            Event::Text(text) => versioned(&text, found),
            Event::Code(code) => {
                found.ticked.push(code.trim_end_matches("!").to_owned());
                plain(&code, found);
            }
            Event::Html(html) | Event::InlineHtml(html) => hrefs(&html, found),
            _ => {}
        }
    }
}

fn plain(text: &str, found: &mut RawReferences) {
    static ADDRESS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"https?://[^\s<>"'`)\]}|\\]+"#).ok());
    for address in ADDRESS.iter().flat_map(|regex| regex.find_iter(text)) {
        found.targets.push(address.as_str().trim_end_matches(['.', ',', ';', ':']).to_owned());
    }
    for piece in text.split_whitespace().filter(|piece| !piece.contains("://")) {
        for word in piece.split(|c: char| !is_name_char(c)) {
            let word = word.trim_matches(['.', '-', '/']);
            if word.len() >= 2 && word.len() <= 200 {
                found.words.push(word.to_owned());
            }
        }
    }
    paths(text, found);
    versioned(text, found);
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')
}

/// `name::…` names a project as surely as code ticks do.
fn paths(text: &str, found: &mut RawReferences) {
    static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b([A-Za-z_]\w*)::\w").ok());
    let names = PATH.iter().flat_map(|regex| regex.captures_iter(text));
    found.ticked.extend(names.map(|captures| captures[1].to_owned()));
}

/// `name = "1.0"`, `name = { version = …`, `name 1.2`, `name v1.2`, "the name crate".
fn versioned(text: &str, found: &mut RawReferences) {
    static DEPENDENCY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?m)^\s*"?([A-Za-z][\w-]*)"?\s*=\s*(?:"[\^~=<> ]*\d|\{[^}\n]*version)"#).ok()
    });
    static SPOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\b([A-Za-z][\w-]+)(?: v?\d+\.\d+|[ -](?:crate|crates|package|library)\b)").ok()
    });
    for regex in DEPENDENCY.iter().chain(SPOKEN.iter()) {
        found.versioned.extend(regex.captures_iter(text).map(|captures| captures[1].to_owned()));
    }
}

fn hrefs(html: &str, found: &mut RawReferences) {
    static HREF: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?i)\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))"#).ok());
    for captures in HREF.iter().flat_map(|regex| regex.captures_iter(html)) {
        let target = captures.iter().skip(1).flatten().next();
        found.targets.extend(target.map(|target| target.as_str().trim().to_owned()));
    }
}

/// The targets of a rendered page: `[1]: guide.html`.
fn footnotes(text: &str, found: &mut RawReferences) {
    static FOOTNOTE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?m)^\[\d+\]: (\S.*)$").ok());
    let targets = FOOTNOTE.iter().flat_map(|regex| regex.captures_iter(text));
    // Addresses are found as such.
    let relative =
        targets.map(|captures| captures[1].trim().to_owned()).filter(|target| !target.contains("://"));
    found.targets.extend(relative);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::testing::clean_row;

    fn of(kind: &str, text: &str) -> RawReferences {
        let mut row = clean_row(0, "a.md", text);
        row.kind = kind.to_owned();
        references(&row)
    }

    #[test]
    fn markdown_gives_links_of_every_form_and_no_images() {
        let found = of(
            "markdown",
            "[a](b.md) ![i](i.png) [r][ref] <https://x.org> <a href='c.html'>c</a>\n\n[ref]: ../d.md\n",
        );
        assert_eq!(found.targets, ["b.md", "../d.md", "https://x.org", "c.html"]);
    }

    #[test]
    fn a_page_gives_the_targets_that_cleaning_put_below_it() {
        let page = "Read the [manual][1], the [list][2] and [ours][3].\n\n[1]: man/a.html#top\n[2]: list of all.html\n\
                    [3]: https://pages.net/b\n";
        assert_eq!(of("html", page).targets, ["man/a.html#top", "list of all.html", "https://pages.net/b"]);
    }

    #[test]
    fn an_address_of_a_person_is_no_target() {
        assert!(of("markdown", "Ask <joe.roe@corp-mail.de>.").targets.is_empty());
    }

    #[test]
    fn plain_text_gives_addresses_without_the_full_stop() {
        assert_eq!(
            of("text", "See https://example.org/a, and http://b.net.").targets,
            ["https://example.org/a", "http://b.net"]
        );
    }

    #[test]
    fn the_regular_expressions_compile_and_find_versions_and_ticks() {
        let found = of(
            "markdown",
            "Uses `serde` and tokio::spawn, log 0.4 and the slab crate.\n\n```toml\nbytes = \"1\"\n```\n",
        );
        assert_eq!(found.ticked, ["serde", "tokio"]);
        assert_eq!(found.versioned, ["log", "slab", "bytes"]);
        assert_eq!(of("html", "<A HREF=x.html>").targets, ["x.html"]);
    }
}
