//! The part of the report that a model writes, where one can be called: what it is told, and how its words
//! are shown.
//!
//! Invariants: the skill calls nobody; its agent asks, and hands over what came of it as the step's aside.
//! The model is told counts and findings, never a document's text. Its words stand as a quotation: they
//! cannot act as markup, and a reader sees whose they are. The text of an attempt that was interrupted is used
//! again as long as the findings are the same, so that nobody pays twice.

use serde::{Deserialize, Serialize};

use super::page::{Block, Page, Rich, Section};
use crate::domain::money::NanoUsd;
use crate::skills::ingest::formats::SUMMARY;
use crate::skills::ingest::output;
use crate::skills::{Brief, SkillError, StepContext};

const ID: &str = "in-words";
const TITLE: &str = "In words";
/// What stands where no model could be asked.
const NOBODY: &str = "No model was available for a written summary; everything else is complete.";
/// Longest digest, in bytes: some 2,000 tokens, which the smallest local model takes in.
const MAX_DIGEST: usize = 8_000;
/// Values told of a chart: its long tail adds nothing to a summary.
const MAX_VALUES: usize = 8;
/// Longest text shown, in characters: four times what is asked for.
const MAX_TEXT: usize = 6_000;

/// What came of asking a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Written {
    Text(Text),
    /// It was asked, and gave no text.
    Failed {
        /// Why, in a sentence.
        why: String,
    },
}

/// A model's text and its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// BLAKE3 of the digest that it was written from, in hexadecimal.
    pub digest: String,
    pub text: String,
    /// The provider, as the router names it.
    pub provider: String,
    /// The model, as its vendor names it.
    pub model: String,
    pub cost_nano_usd: NanoUsd,
    /// The receipt's request id.
    pub request_id: String,
}

/// What the step was handed, if a model was asked.
pub(super) fn handed(step: &StepContext) -> Option<Written> {
    step.aside().and_then(|aside| serde_json::from_value(aside.clone()).ok())
}

/// What a model is told of this page, and the text that an earlier attempt got for the same.
///
/// # Errors
/// [`SkillError`] of reading the earlier attempt's file, which is there and damaged.
pub(super) fn brief(step: &StepContext, page: &Page, standouts: &[Rich]) -> Result<Brief, SkillError> {
    let digest = digest(page, standouts);
    let hash = blake3::hash(digest.as_bytes()).to_hex().to_string();
    let known =
        if step.run_dir().join(SUMMARY).exists() { Some(output::read_json(step, SUMMARY)?) } else { None };
    let known = known.filter(|known| matches!(known, Written::Text(text) if text.digest == hash));
    Ok(Brief { digest, hash, known: known.and_then(|known| serde_json::to_value(known).ok()) })
}

/// Title, lead, figures, all that stands out and the heads of the charts, a line each.
fn digest(page: &Page, standouts: &[Rich]) -> String {
    let mut lines = vec![page.title.plain()];
    lines.extend(page.lead.iter().map(Rich::plain));
    lines.extend(page.figures.iter().map(|figure| format!("{} {}", figure.value, figure.label)));
    lines.extend(standouts.iter().map(|line| format!("Finding: {}", line.plain())));
    for block in page.sections.iter().flat_map(|section| &section.blocks) {
        if let Block::Chart(chart) = block {
            let shown = chart.data.iter().take(MAX_VALUES);
            let values: Vec<String> =
                shown.map(|datum| format!("{} {}", datum.label.plain(), datum.shown)).collect();
            lines.push(format!("{}: {}", chart.caption, values.join("; ")));
        }
    }
    let mut text = lines.join("\n");
    text.truncate(text.floor_char_boundary(MAX_DIGEST));
    text
}

pub(super) fn section(written: Option<&Written>) -> Section {
    let blocks = match written {
        None => vec![Block::Para(NOBODY.into())],
        Some(Written::Failed { why }) => vec![Block::Para(
            format!(
                "A model was asked for a written summary and gave none ({why}); everything else is complete."
            )
            .into(),
        )],
        Some(Written::Text(text)) => {
            let mut blocks: Vec<Block> =
                paragraphs(&text.text).into_iter().map(|text| Block::Para(text.into())).collect();
            blocks.push(Block::Para(origin(text)));
            blocks
        }
    };
    Section { id: ID, title: TITLE, blocks }
}

/// As a quotation of several paragraphs is set: each opens with a mark, the last one closes. So none of them
/// begins with a character that Markdown takes for a list or a heading.
fn paragraphs(text: &str) -> Vec<String> {
    let text: String = text.replace("**", "").chars().take(MAX_TEXT).collect();
    let joined = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = text.split("\n\n").map(joined);
    let parts: Vec<String> = parts
        .map(|part| part.trim_start_matches(['#', '>', ' ']).to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let last = parts.len().saturating_sub(1);
    let quoted = |(at, part): (usize, String)| format!("“{part}{}", if at == last { "”" } else { "" });
    parts.into_iter().enumerate().map(quoted).collect()
}

fn origin(text: &Text) -> Rich {
    Rich::new()
        .text("Written by the model ")
        .code(&text.model)
        .text(" (provider ")
        .code(&text.provider)
        .text(format!(") for {}, receipt ", text.cost_nano_usd.shown()))
        .code(&text.request_id)
        .text(". It was told the figures of this report, not the documents; where the two differ, the figures are right.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> Written {
        Written::Text(Text {
            digest: String::new(),
            text: words.into(),
            provider: "anthropic-claude-haiku-4-5".into(),
            model: "claude-haiku-4-5".into(),
            cost_nano_usd: NanoUsd(1_234_000),
            request_id: "req-1".into(),
        })
    }

    fn plain(section: &Section) -> Vec<String> {
        let para = |block: &Block| if let Block::Para(text) = block { text.plain() } else { String::new() };
        section.blocks.iter().map(para).collect()
    }

    #[test]
    fn a_model_s_words_stand_as_a_quotation_with_their_receipt() {
        let shown = plain(&section(Some(&text("# Summary\n\nA **big**\nfolder.\n\n- one\n"))));
        assert_eq!(shown[..3], ["“Summary", "“A big folder.", "“- one”"]);
        assert!(
            shown[3].contains("claude-haiku-4-5 (provider")
                && shown[3].contains("for $0.001234, receipt req-1")
        );
    }

    #[test]
    fn nobody_to_ask_and_a_failure_are_said() {
        assert_eq!(plain(&section(None)), [NOBODY]);
        let failed = plain(&section(Some(&Written::Failed { why: "it was down".into() })));
        assert!(failed[0].contains("gave none (it was down); everything else is complete"));
    }
}
