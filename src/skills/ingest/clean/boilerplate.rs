//! Paragraphs that many documents repeat word by word: contribution terms, footers.
//!
//! Invariants: licence files, code and configuration are never cut; headings and code blocks stay; a document
//! that would lose most of its text keeps everything, as it is a copy and not boilerplate.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::ingest::blocks::{self, BlockKind};

/// Documents (exact copies counted once) that must share a paragraph of boilerplate, however small the
/// corpus: usually more than one project's own pages.
const MIN_DOCUMENTS: u32 = 12;
/// Shortest paragraph that counts, in bytes: shorter ones are labels that repeat for good reason.
const MIN_BYTES: usize = 60;
/// Largest share of a document that may be cut.
const MAX_CUT_SHARE: f64 = 0.5;

/// How many documents must share a paragraph of boilerplate: `percent` of all, at least [`MIN_DOCUMENTS`].
pub(super) fn least_documents(documents: usize, percent: u8) -> u32 {
    let share = (documents as u64 * u64::from(percent)).div_ceil(100);
    u32::try_from(share).unwrap_or(u32::MAX).max(MIN_DOCUMENTS)
}

/// How many documents contain each paragraph.
#[derive(Default)]
pub(super) struct ParagraphRepeats(HashMap<u64, u32>);

impl ParagraphRepeats {
    /// Counts the paragraphs of one document, each once.
    pub(super) fn count(&mut self, paragraphs: &HashSet<u64>) {
        for paragraph in paragraphs {
            *self.0.entry(*paragraph).or_insert(0) += 1;
        }
    }

    /// The text without the paragraphs that at least `least` documents share, and how many were cut.
    pub(super) fn cut(&self, kind: &str, text: &str, least: u32) -> Option<(usize, String)> {
        let cuts: Vec<_> = candidates(kind, text)
            .into_iter()
            .filter(|(hash, _)| self.0.get(hash).is_some_and(|count| *count >= least))
            .map(|(_, range)| range)
            .collect();
        let lost: usize = cuts.iter().map(ExactSizeIterator::len).sum();
        if cuts.is_empty() || lost as f64 > text.len() as f64 * MAX_CUT_SHARE {
            return None;
        }
        let mut kept = String::with_capacity(text.len() - lost);
        let mut at = 0;
        for cut in &cuts {
            kept.push_str(&text[at..cut.start]);
            at = cut.end;
        }
        kept.push_str(&text[at..]);
        Some((cuts.len(), kept))
    }
}

/// Hashes of the paragraphs of a document that could be boilerplate.
pub(super) fn paragraphs(kind: &str, text: &str) -> HashSet<u64> {
    candidates(kind, text).into_iter().map(|(hash, _)| hash).collect()
}

fn candidates(kind: &str, text: &str) -> Vec<(u64, Range<usize>)> {
    if !matches!(kind, "markdown" | "text" | "html" | "document") {
        return Vec::new();
    }
    blocks::split(text, blocks::is_markdown(kind))
        .into_iter()
        .filter(|block| block.kind == BlockKind::Paragraph && block.range.len() >= MIN_BYTES)
        .map(|block| (hash(&text[block.range.clone()]), block.range))
        .collect()
}

/// Words only: wrapping and case do not matter.
fn hash(paragraph: &str) -> u64 {
    let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(words.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOOTER: &str =
        "Unless you say otherwise, any contribution is licensed as above, without further terms.";

    #[test]
    fn a_footer_of_many_documents_is_cut_and_licences_are_not() {
        let mut repeats = ParagraphRepeats::default();
        let own = "This document has a good deal of text of its own. ".repeat(6);
        for n in 0..MIN_DOCUMENTS {
            repeats.count(&paragraphs("markdown", &format!("# {n}\n\n{own}{n}\n\n{FOOTER}\n")));
        }
        let text = format!(
            "# new\n\n{own}\n\nUnless you say otherwise, any\ncontribution is licensed as above, without further terms.\n"
        );
        let (count, rest) = repeats.cut("markdown", &text, MIN_DOCUMENTS).unwrap();
        assert_eq!(count, 1);
        assert!(rest.contains("own") && !rest.contains("Unless"));
        assert_eq!(repeats.cut("markdown", &text, MIN_DOCUMENTS + 1), None, "too few documents hold it");
        assert_eq!(repeats.cut("licence", &text, MIN_DOCUMENTS), None);
        assert_eq!(repeats.cut("markdown", FOOTER, MIN_DOCUMENTS), None, "nothing would be left");
    }

    #[test]
    fn boilerplate_stands_in_a_share_of_all_documents_and_never_in_a_handful() {
        assert_eq!(least_documents(3, 20), MIN_DOCUMENTS);
        assert_eq!(least_documents(1_000, 20), 200);
        assert_eq!(least_documents(1_001, 20), 201);
        assert_eq!(least_documents(1_000, 100), 1_000);
    }
}
