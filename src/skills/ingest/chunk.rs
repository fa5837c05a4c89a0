//! The chunker: sections, paragraphs and sentences of every document that repeats no other.
//!
//! Owns `chunks/chunks.jsonl`. Invariants: a chunk's text is exactly `cleaned.text[start..end]`; the sections
//! cover the whole document except white space between them; ids depend on path, level, text and the number
//! of earlier copies of that text in the document, so that an edit elsewhere changes no id.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::json;

use super::blocks::{self, BlockKind, TextBlock};
use super::formats::{CHUNKS, CLEAN, ChunkRow, CleanRow};
use super::output::{read_rows, write_rows};
use super::parallel::map_documents;
use crate::{SkillError, StepContext, StepOutcome};

pub(crate) mod sentences;

/// Hexadecimal digits of a chunk id: 96 bits, no collision to expect below 10^12 chunks.
const ID_DIGITS: usize = 24;

/// Cuts the cleaned documents into chunks.
///
/// # Errors
/// [`SkillError::Permanent`] when the cleaned documents are missing or damaged;
/// [`SkillError::Cancelled`]; I/O errors of the output.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let mut documents: Vec<CleanRow> = read_rows(step, CLEAN)?;
    documents.retain(|document| document.duplicate_of.is_none());
    step.begin(documents.len() as u64, "cutting into chunks");
    let chunks = map_documents(step, &documents, |document| Ok(chunks_of(document)))?;
    let mut levels: BTreeMap<&str, u64> = BTreeMap::new();
    for chunk in chunks.iter().flatten() {
        *levels.entry(chunk.level.as_str()).or_insert(0) += 1;
    }
    let outputs = json!({
        "documents": documents.len(),
        "chunks": levels.values().sum::<u64>(),
        "levels": levels,
    });
    let artifact = write_rows(step, CHUNKS, "chunks", chunks.iter().flatten())?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs })
}

/// All chunks of a document: each section followed by its paragraphs, each paragraph by its sentences.
fn chunks_of(document: &CleanRow) -> Vec<ChunkRow> {
    let blocks = blocks::split(&document.text, blocks::is_markdown(&document.kind));
    let prose = !matches!(document.kind.as_str(), "code" | "config" | "data");
    let mut maker = ChunkMaker::new(document);
    for section in sections(&blocks) {
        let (Some(first), Some(last)) = (section.first(), section.last()) else { continue };
        let heading = match first.kind {
            BlockKind::Heading => blocks::heading_words(&document.text[first.range.clone()]),
            _ => "",
        };
        let whole = maker.add("section", first.range.start..last.range.end, heading, None);
        for block in section.iter().filter(|block| block.kind != BlockKind::Heading) {
            let paragraph = maker.add("paragraph", block.range.clone(), heading, Some(&whole));
            if !prose || block.kind != BlockKind::Paragraph {
                continue;
            }
            for sentence in sentences::split(&document.text[block.range.clone()]) {
                let range = block.range.start + sentence.start..block.range.start + sentence.end;
                maker.add("sentence", range, heading, Some(&paragraph));
            }
        }
    }
    maker.chunks
}

/// Groups blocks: a heading opens a section, which the next heading of any level ends.
fn sections(blocks: &[TextBlock]) -> impl Iterator<Item = &[TextBlock]> {
    blocks.chunk_by(|_, next| next.kind != BlockKind::Heading)
}

struct ChunkMaker<'a> {
    document: &'a CleanRow,
    chunks: Vec<ChunkRow>,
    ordinals: HashMap<&'static str, u32>,
    /// How often a text came before on the same level.
    seen: HashMap<(&'static str, &'a str), u32>,
}

impl<'a> ChunkMaker<'a> {
    fn new(document: &'a CleanRow) -> Self {
        Self { document, chunks: Vec::new(), ordinals: HashMap::new(), seen: HashMap::new() }
    }

    /// Adds a chunk and returns the id.
    fn add(
        &mut self,
        level: &'static str,
        range: Range<usize>,
        heading: &str,
        parent: Option<&str>,
    ) -> String {
        let text = &self.document.text[range.clone()];
        let occurrence = self.seen.entry((level, text)).or_insert(0);
        let chunk_id = id_of(&self.document.path, level, text, *occurrence);
        *occurrence += 1;
        let ordinal = self.ordinals.entry(level).or_insert(0);
        self.chunks.push(ChunkRow {
            chunk_id: chunk_id.clone(),
            doc_id: self.document.doc_id,
            level: level.to_owned(),
            ordinal: *ordinal,
            parent: parent.map(str::to_owned),
            start: range.start as u64,
            end: range.end as u64,
            heading: heading.to_owned(),
            text: text.to_owned(),
        });
        *ordinal += 1;
        chunk_id
    }
}

fn id_of(path: &str, level: &str, text: &str, occurrence: u32) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [path, level, text] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.update(&occurrence.to_le_bytes());
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(ID_DIGITS);
    id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn document(kind: &str, text: &str) -> CleanRow {
        CleanRow {
            doc_id: 7,
            path: "a/b.md".into(),
            kind: kind.into(),
            title: String::new(),
            text: text.into(),
            repairs: Vec::new(),
            duplicate_of: None,
        }
    }

    fn texts(chunks: &[ChunkRow], level: &str) -> Vec<String> {
        chunks.iter().filter(|chunk| chunk.level == level).map(|chunk| chunk.text.clone()).collect()
    }

    #[test]
    fn sections_paragraphs_and_sentences_nest() {
        let text =
            "Intro here. Second one.\n\n# Use\n\nRun it, e.g. Like this. Done.\n\n```sh\n# x\n\nls\n```\n";
        let chunks = chunks_of(&document("markdown", text));
        assert_eq!(texts(&chunks, "section").len(), 2);
        assert_eq!(texts(&chunks, "paragraph").len(), 3);
        assert_eq!(
            texts(&chunks, "sentence"),
            ["Intro here.", "Second one.", "Run it, e.g. Like this.", "Done."]
        );
        let last = chunks.iter().rfind(|chunk| chunk.level == "sentence").unwrap();
        let parent = chunks.iter().find(|chunk| Some(&chunk.chunk_id) == last.parent.as_ref()).unwrap();
        assert_eq!((parent.level.as_str(), parent.heading.as_str()), ("paragraph", "Use"));
    }

    #[test]
    fn ids_survive_edits_elsewhere_and_tell_repeats_apart() {
        let before = chunks_of(&document("markdown", "Same.\n\nSame.\n\nOther."));
        let after = chunks_of(&document("markdown", "New first.\n\nSame.\n\nSame.\n\nOther."));
        let ids = |chunks: &[ChunkRow]| -> BTreeSet<String> {
            chunks
                .iter()
                .filter(|chunk| chunk.level == "paragraph")
                .map(|chunk| chunk.chunk_id.clone())
                .collect()
        };
        assert_eq!(ids(&before).len(), 3);
        assert!(ids(&before).is_subset(&ids(&after)));
    }

    proptest! {
        #[test]
        fn offsets_slice_right_and_sections_cover_the_text(
            text in "(?s)[\\PC\n#`.!? ]{0,300}",
            kind in prop::sample::select(vec!["markdown", "text", "code"]),
        ) {
            let chunks = chunks_of(&document(kind, &text));
            let mut at = 0;
            let mut ids = BTreeSet::new();
            for chunk in &chunks {
                let (start, end) = (usize::try_from(chunk.start).unwrap(), usize::try_from(chunk.end).unwrap());
                prop_assert_eq!(&text[start..end], chunk.text.as_str());
                prop_assert!(ids.insert(chunk.chunk_id.clone()));
                if chunk.level == "section" {
                    prop_assert!(text[at..start].trim().is_empty());
                    at = end;
                }
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
