//! JUnit XML in the output: the `<testcase>` elements are counted, not the totals, which runners compute
//! differently.
//!
//! Failure policy: a scan for tags, no XML parser: text of a failing test is escaped in XML or in CDATA,
//! which is skipped. A text without `<testsuite` is not recognised.

use std::sync::LazyLock;

use regex::Regex;

use super::{CountSums, pattern};

static CDATA: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<!\[CDATA\[.*?\]\]>|<!--.*?-->"));
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"<(?P<end>/)?(?P<name>testcase|failure|error|skipped)\b(?P<rest>(?:[^>"']|"[^"]*"|'[^']*')*)>"#)
});
static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bname="([^"]*)""#));
static CLASS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bclassname="([^"]*)""#));

#[derive(Clone, Copy, PartialEq)]
enum CaseEnd {
    Passed,
    Failed,
    Skipped,
}

pub(super) fn read(lines: &[&str]) -> Option<CountSums> {
    if !lines.iter().any(|line| line.contains("<testsuite")) {
        return None;
    }
    let text = lines.join("\n");
    let text = CDATA.replace_all(&text, "");
    let mut sums = CountSums::default();
    let mut open: Option<(String, CaseEnd)> = None;
    for tag in TAG.captures_iter(&text) {
        let closing = tag.name("end").is_some();
        match (&tag["name"], closing) {
            ("testcase", false) => {
                let case = (title(&tag["rest"]), CaseEnd::Passed);
                if tag["rest"].ends_with('/') {
                    close(&mut sums, case);
                } else {
                    open = Some(case);
                }
            }
            ("testcase", true) => {
                if let Some(case) = open.take() {
                    close(&mut sums, case);
                }
            }
            ("skipped", false) => mark(&mut open, CaseEnd::Skipped),
            (_, false) => mark(&mut open, CaseEnd::Failed),
            _ => {}
        }
    }
    Some(sums)
}

fn mark(open: &mut Option<(String, CaseEnd)>, end: CaseEnd) {
    if let Some((_, now)) = open
        && *now != CaseEnd::Failed
    {
        *now = end;
    }
}

fn close(sums: &mut CountSums, (name, end): (String, CaseEnd)) {
    match end {
        CaseEnd::Passed => sums.add(1, 0, 0),
        CaseEnd::Skipped => sums.add(0, 0, 1),
        CaseEnd::Failed => {
            sums.add(0, 1, 0);
            sums.name_failing(&name);
        }
    }
}

fn title(attributes: &str) -> String {
    let of =
        |pattern: &Regex| pattern.captures(attributes).map_or_else(String::new, |found| unescaped(&found[1]));
    let (class, name) = (of(&CLASS), of(&NAME));
    if class.is_empty() { name } else { format!("{class}::{name}") }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
