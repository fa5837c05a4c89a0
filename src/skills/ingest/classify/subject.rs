//! The parts of a document that show its subject.
//!
//! A README's closing sections on licence and contributions state terms, not the subject; in a short README
//! they would turn the classification to law. Invariant: a licence document is read completely, and so is a
//! document without other sections.

use std::borrow::Cow;

use crate::ingest::formats::CleanRow;

/// Beginnings of the headings of skipped sections, in lower case.
const TERMS: [&str; 6] = ["licen", "contribut", "copyright", "copying", "legal", "code of conduct"];
/// How names of files begin that are licences, in lower case.
const LICENCES: [&str; 5] = ["licen", "copying", "copyright", "unlicense", "notice"];

/// Title and text without the sections on terms.
pub(super) fn subject(document: &CleanRow) -> String {
    let file = document.path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let licence = document.kind == "licence" || LICENCES.iter().any(|start| file.starts_with(start));
    let text = if licence { Cow::Borrowed(document.text.as_str()) } else { without_terms(&document.text) };
    format!("{}\n{text}", document.title)
}

fn without_terms(text: &str) -> Cow<'_, str> {
    let mut kept = String::with_capacity(text.len());
    // The depth of the section being skipped.
    let mut passed: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        if let Some((depth, heading)) = heading(line)
            && passed.is_none_or(|outer| depth <= outer)
        {
            passed = TERMS.iter().any(|start| heading.starts_with(start)).then_some(depth);
        }
        if passed.is_none() {
            kept.push_str(line);
        }
    }
    if kept.trim().is_empty() { Cow::Borrowed(text) } else { Cow::Owned(kept) }
}

/// Depth and text, in lower case, of a line that is a heading of Markdown (`## Text`).
fn heading(line: &str) -> Option<(usize, String)> {
    let text = line.trim_start_matches('#');
    let depth = line.len() - text.len();
    let is_heading = (1..=6).contains(&depth) && text.starts_with(' ');
    is_heading.then(|| (depth, text.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::testing::clean_row;

    #[test]
    fn sections_on_terms_go_with_what_lies_under_them() {
        let text = "# A\nabout\n## License\nMIT\n### Contribution\nyours\n## Use\ncode\n";
        assert_eq!(subject(&clean_row(0, "a/README.md", text)), "a/README.md\n# A\nabout\n## Use\ncode\n");
    }

    #[test]
    fn a_licence_and_a_document_of_nothing_but_terms_stay_whole() {
        let text = "# License\nMIT\n";
        for path in ["a/LICENSE.md", "a/terms.md"] {
            assert_eq!(subject(&clean_row(0, path, text)), format!("{path}\n{text}"));
        }
    }
}
