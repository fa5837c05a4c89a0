//! PDF: the words of the pages in the order of the file, headings, lists and tables by their layout.
//!
//! Called in a process of its own only, by [`super::apart`]: a file from anywhere may lead its reader to any depth,
//! and to any amount of memory and time. A picture of a page has no words here.

use pdfboss_core::{Document, Error};
use pdfboss_output::{ReadingOrder, extract_markdown_reporting};

use super::{DocumentWords, broken, too_large};
use crate::ingest::source::FileTrouble;

pub(super) const FORMAT: &str = "pdf";
/// Characters of a title that are kept.
const MAX_TITLE: usize = 1_000;

pub(super) fn read(bytes: Vec<u8>, limit: u64) -> Result<DocumentWords, FileTrouble> {
    let document = Document::load(bytes).map_err(|error| reason(&error))?;
    let (text, pages) =
        extract_markdown_reporting(&document, ReadingOrder::Content).map_err(|error| reason(&error))?;
    if text.len() as u64 > limit {
        return Err(too_large(limit));
    }
    // The title goes into the head of the answer, which has a limit.
    let title = document.metadata().title.unwrap_or_default().chars().take(MAX_TITLE).collect();
    let left_out = match pages.iter().filter(|page| !page.is_complete()).count() {
        0 => String::new(),
        damaged => format!("read without parts of {damaged} of its {} pages, which are damaged", pages.len()),
    };
    Ok(DocumentWords { format: FORMAT, title, text, left_out })
}

fn reason(error: &Error) -> FileTrouble {
    match error {
        Error::Encrypted => broken("it is encrypted"),
        error => broken(&format!("a damaged PDF document: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuditStatus;
    use super::super::tests::pdf;
    use super::*;

    #[test]
    fn the_words_of_all_pages_and_the_title_are_read() {
        let words = read(pdf("Tides", &["The Elbe rises.", "It falls (again)."]), 1_000).unwrap();
        assert_eq!((words.format, words.title.as_str(), words.left_out.as_str()), (FORMAT, "Tides", ""));
        let lines: Vec<&str> = words.text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["The Elbe rises.", "It falls (again)."]);
    }

    #[test]
    fn a_title_of_any_length_costs_no_document() {
        let words = read(pdf(&"t".repeat(100_000), &["The Elbe rises."]), 1_000).unwrap();
        assert_eq!((words.title.len(), words.text.trim()), (MAX_TITLE, "The Elbe rises."));
    }

    #[test]
    fn a_damaged_one_and_one_with_too_many_words_have_their_reason() {
        let (status, said) = read(b"%PDF-1.7\nnothing of one".to_vec(), 1_000).unwrap_err();
        assert!(status == AuditStatus::Broken && said.contains("damaged PDF"), "{said}");
        let (status, said) = read(pdf("Tides", &["The Elbe rises."]), 5).unwrap_err();
        assert!(status == AuditStatus::TooLarge && said.contains("limit of 5 bytes"), "{said}");
    }
}
