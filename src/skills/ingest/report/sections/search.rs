//! "Search": the chunks, the index, and how to search.

use super::ReportPart;
use crate::ingest::report::page::{ReportBlock, ReportSection, ReportTable, RichText};
use crate::ingest::report::sources::{ChunkExtent, ReportSources};
use crate::ingest::report::words;

const ID: &str = "search";
const TITLE: &str = "Search";
/// Chunk levels, from the widest.
const LEVELS: [&str; 3] = ["section", "paragraph", "sentence"];

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let mut blocks = Vec::new();
    if sources.index {
        blocks.push(ReportBlock::Para("The full text is indexed. Search it from the command line:".into()));
        blocks.push(ReportBlock::Command("pas search \"words\"".to_owned()));
    } else {
        blocks.push(ReportBlock::Para(
            "There is no full-text index: that step was left out, so the text cannot be searched.".into(),
        ));
    }
    match sources.chunks.as_deref() {
        None => {
            blocks.push(ReportBlock::Para(
                "The documents were not cut into chunks: that step was left out.".into(),
            ));
        }
        Some([]) => blocks.push(ReportBlock::Para("There was no text to cut into chunks.".into())),
        Some(chunks) => {
            blocks.push(ReportBlock::Para(
                "For reading by machine the texts are cut into chunks at three levels, each with its place in the text."
                    .into(),
            ));
            blocks.push(ReportBlock::Table(levels(chunks)));
        }
    }
    ReportPart::quiet(ReportSection { id: ID, title: TITLE, blocks })
}

fn levels(chunks: &[ChunkExtent]) -> ReportTable {
    let row = |level: &&str| {
        let mut lengths: Vec<u64> = chunks
            .iter()
            .filter(|chunk| chunk.level == *level)
            .map(|c| c.end.saturating_sub(c.start))
            .collect();
        lengths.sort_unstable();
        let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
        let longest = lengths.last().copied().unwrap_or(0);
        vec![
            RichText::from(*level),
            words::number(lengths.len() as u64).into(),
            words::bytes(median).into(),
            words::bytes(longest).into(),
        ]
    };
    ReportTable {
        caption: "Chunks",
        head: vec!["Level", "Chunks", "Median length", "Longest"],
        rows: LEVELS.iter().map(row).collect(),
        note: String::new(),
    }
}
