//! "Looking further": the chunks, the index, and how to search.

use super::Part;
use crate::skills::ingest::report::page::{Block, Rich, Section, Table};
use crate::skills::ingest::report::sources::{Chunk, Sources};
use crate::skills::ingest::report::words;

const ID: &str = "search";
const TITLE: &str = "Looking further";
/// Chunk levels, from the widest.
const LEVELS: [&str; 3] = ["section", "paragraph", "sentence"];

pub(in super::super) fn part(sources: &Sources) -> Part {
    let mut blocks = Vec::new();
    if sources.index {
        blocks.push(Block::Para("The full text is indexed. Search it from the command line:".into()));
        blocks.push(Block::Command("pas search \"words\"".to_owned()));
    } else {
        blocks.push(Block::Para(
            "There is no full-text index: that step was left out, so the text cannot be searched.".into(),
        ));
    }
    match sources.chunks.as_deref() {
        None => {
            blocks
                .push(Block::Para("The documents were not cut into chunks: that step was left out.".into()));
        }
        Some([]) => blocks.push(Block::Para("There was no text to cut into chunks.".into())),
        Some(chunks) => {
            blocks.push(Block::Para(
                "For reading by machine the texts are cut into chunks at three levels, each with its place in the text."
                    .into(),
            ));
            blocks.push(Block::Table(levels(chunks)));
        }
    }
    Part::quiet(Section { id: ID, title: TITLE, blocks })
}

fn levels(chunks: &[Chunk]) -> Table {
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
            Rich::from(*level),
            words::number(lengths.len() as u64).into(),
            words::bytes(median).into(),
            words::bytes(longest).into(),
        ]
    };
    Table {
        caption: "Chunks",
        head: vec!["Level", "Chunks", "Median length", "Longest"],
        rows: LEVELS.iter().map(row).collect(),
        note: String::new(),
    }
}
