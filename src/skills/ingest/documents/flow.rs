//! Paragraphs, headings, lists, tables and links of a document, written as Markdown.
//!
//! Invariant: the written text stays within the limit of a file, and paragraphs within [`MAX_NESTING`] of one another,
//! whatever a document repeats: the target of one link may be asked for at every word.

use super::{broken, too_large};
use crate::ingest::source::FileTrouble;

/// Longest target of a link that is written out: it may be repeated at every link.
const MAX_TARGET: usize = 2_000;
/// Deepest heading of Markdown.
const MAX_LEVEL: usize = 6;
/// Paragraphs and tables within one another: Word itself nests text boxes a few deep.
const MAX_NESTING: usize = 64;

pub(super) struct DocumentFlow {
    /// The most bytes of text.
    limit: u64,
    /// How many of them are not yet written.
    left: u64,
    /// Why the document is not read; once it is set, nothing more is kept.
    trouble: Option<FileTrouble>,
    text: String,
    /// The paragraphs in the making, innermost last: a note's stand within another.
    open: Vec<OpenParagraph>,
    /// Notes, which follow at the end.
    notes: String,
    notes_open: usize,
    /// Tables around the current place; those inside a table are written into its cell.
    tables: usize,
    cell: String,
    row: Vec<String>,
}

#[derive(Default)]
struct OpenParagraph {
    before: String,
    text: String,
    /// Where the text of a link begins, and its target.
    link: Option<(usize, String)>,
}

impl DocumentFlow {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            left: limit,
            trouble: None,
            text: String::new(),
            open: Vec::new(),
            notes: String::new(),
            notes_open: 0,
            tables: 0,
            cell: String::new(),
            row: Vec::new(),
        }
    }

    pub(super) fn begin_paragraph(&mut self) {
        if self.may_nest() {
            self.open.push(OpenParagraph::default());
        }
    }

    fn may_nest(&mut self) -> bool {
        if self.open.len() + self.tables >= MAX_NESTING {
            let reason =
                format!("its paragraphs and tables stand more than {MAX_NESTING} deep in one another");
            self.trouble.get_or_insert_with(|| broken(&reason));
        }
        self.trouble.is_none()
    }

    /// Takes the bytes from those that may be written; false when there are not so many.
    fn may_write(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes as u64) {
            Some(left) if self.trouble.is_none() => self.left = left,
            _ => {
                self.trouble.get_or_insert_with(|| too_large(self.limit));
            }
        }
        self.trouble.is_none()
    }

    /// Makes the current paragraph a heading.
    pub(super) fn heading(&mut self, level: usize) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.before = format!("{} ", "#".repeat(level.clamp(1, MAX_LEVEL)));
        }
    }

    /// Makes the current paragraph an item of a list, unless it is a heading (which may be numbered).
    pub(super) fn list_item(&mut self) {
        if let Some(paragraph) = self.open.last_mut().filter(|paragraph| paragraph.before.is_empty()) {
            "- ".clone_into(&mut paragraph.before);
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.may_write(text.len())
            && let Some(paragraph) = self.open.last_mut()
        {
            paragraph.text.push_str(text);
        }
    }

    pub(super) fn begin_link(&mut self, target: &str) {
        let shown = !target.is_empty() && target.len() <= MAX_TARGET && !target.starts_with('#');
        if self.may_write(if shown { target.len() } else { 0 })
            && let Some(paragraph) = self.open.last_mut()
        {
            paragraph.link =
                shown.then(|| (paragraph.text.len(), target.replace([' ', '(', ')', '\n'], "%20")));
        }
    }

    pub(super) fn end_link(&mut self) {
        if let Some(paragraph) = self.open.last_mut()
            && let Some((start, target)) = paragraph.link.take()
        {
            let words = paragraph.text.split_off(start);
            match words.trim() {
                "" => paragraph.text.push_str(&words),
                words => paragraph.text.push_str(&format!("[{words}]({target})")),
            }
        }
    }

    pub(super) fn end_paragraph(&mut self) {
        self.end_link();
        let Some(OpenParagraph { before, text, .. }) = self.open.pop() else { return };
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if self.notes_open > 0 {
            self.notes.push_str(&format!("{text}\n\n"));
        } else if self.tables > 0 {
            self.cell.push_str(&format!("{text} "));
        } else {
            // Items of one list follow one another closely.
            let joined = before == "- " && self.text.ends_with('\n');
            let space = if joined || self.text.is_empty() { "" } else { "\n" };
            let end = if before.is_empty() || before.starts_with('#') { "\n" } else { "" };
            let space = if self.text.ends_with("\n\n") { "" } else { space };
            self.text.push_str(&format!("{space}{before}{text}\n{end}"));
        }
    }

    pub(super) fn begin_note(&mut self) {
        self.notes_open += 1;
    }

    pub(super) fn end_note(&mut self) {
        self.notes_open = self.notes_open.saturating_sub(1);
    }

    pub(super) fn begin_table(&mut self) {
        if !self.may_nest() {
            return;
        }
        if self.tables == 0 && !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        self.tables += 1;
    }

    pub(super) fn end_cell(&mut self) {
        if self.tables == 1 {
            self.row.push(std::mem::take(&mut self.cell).trim().to_owned());
        }
    }

    pub(super) fn end_row(&mut self) {
        if self.tables == 1 {
            let row = std::mem::take(&mut self.row).join(" | ");
            if row.chars().any(char::is_alphanumeric) {
                self.text.push_str(&format!("{row}\n"));
            }
        }
    }

    pub(super) fn end_table(&mut self) {
        self.tables = self.tables.saturating_sub(1);
        if self.tables == 0 && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// The whole text.
    ///
    /// # Errors
    /// The row of a document that writes or nests without measure.
    pub(super) fn finish(mut self) -> Result<String, FileTrouble> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        if !self.notes.is_empty() {
            self.text.push_str(&format!("\n{}", self.notes));
        }
        Ok(self.text)
    }
}
