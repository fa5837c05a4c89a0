//! The part of the report written by a model, if one is available: the digest sent to the model, and the
//! presentation of the answer.
//!
//! Invariants: the skill makes no call; the agent asks, and passes the result on as the step's aside. The
//! model gets counts and findings, never a document's text. The answer is shown as a quotation: it cannot act
//! as markup, and a reader sees the author. The text of an interrupted attempt is reused while the findings
//! are the same, so that nobody pays twice.

use serde::{Deserialize, Serialize};

use super::page::{ReportBlock, ReportPage, ReportSection, RichText};
use crate::ingest::formats::SUMMARY;
use crate::ingest::output;
use crate::{SkillError, StepBrief, StepContext};
use pas_domain::money::NanoUsd;

const ID: &str = "in-words";
const TITLE: &str = "In words";
/// Shown when no model was available.
const NOBODY: &str = "No model was available for a written summary; everything else is complete.";
/// Longest digest, in bytes: about 2,000 tokens, which fit the smallest local model.
const MAX_DIGEST: usize = 8_000;
/// Values of a chart in the digest: the long tail adds nothing to a summary.
const MAX_VALUES: usize = 8;
/// Longest text shown, in characters: four times the requested length.
const MAX_TEXT: usize = 6_000;

/// The outcome of a request to a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum WritingOutcome {
    Text(ModelText),
    /// The request failed.
    Failed {
        /// The reason, as a sentence.
        why: String,
    },
}

/// A model's text and the call's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelText {
    /// BLAKE3 of the digest sent to the model, in hexadecimal.
    pub digest: String,
    pub text: String,
    /// The provider's name in the router.
    pub provider: String,
    /// The vendor's name of the model.
    pub model: String,
    pub cost_nano_usd: NanoUsd,
    /// The receipt's request id.
    pub request_id: String,
}

/// The step's aside, if a model was asked.
pub(super) fn handed(step: &StepContext) -> Option<WritingOutcome> {
    step.aside().and_then(|aside| serde_json::from_value(aside.clone()).ok())
}

/// The digest of this page, and an earlier attempt's text for the same digest.
///
/// # Errors
/// [`SkillError`] of reading the earlier attempt's file, which is there and damaged.
pub(super) fn brief(
    step: &StepContext,
    page: &ReportPage,
    standouts: &[RichText],
) -> Result<StepBrief, SkillError> {
    let digest = digest(page, standouts);
    let hash = blake3::hash(digest.as_bytes()).to_hex().to_string();
    let known =
        if step.run_dir().join(SUMMARY).exists() { Some(output::read_json(step, SUMMARY)?) } else { None };
    let known = known.filter(|known| matches!(known, WritingOutcome::Text(text) if text.digest == hash));
    Ok(StepBrief { digest, hash, known: known.and_then(|known| serde_json::to_value(known).ok()) })
}

/// Title, lead, figures, the list "What stands out" and the heads of the charts, a line each.
fn digest(page: &ReportPage, standouts: &[RichText]) -> String {
    let mut lines = vec![page.title.plain()];
    lines.extend(page.lead.iter().map(RichText::plain));
    lines.extend(page.figures.iter().map(|figure| format!("{} {}", figure.value, figure.label)));
    lines.extend(standouts.iter().map(|line| format!("Finding: {}", line.plain())));
    for block in page.sections.iter().flat_map(|section| &section.blocks) {
        if let ReportBlock::Chart(chart) = block {
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

pub(super) fn section(written: Option<&WritingOutcome>) -> ReportSection {
    let blocks = match written {
        None => vec![ReportBlock::Para(NOBODY.into())],
        Some(WritingOutcome::Failed { why }) => vec![ReportBlock::Para(
            format!(
                "A model was asked for a written summary and gave none ({why}); everything else is complete."
            )
            .into(),
        )],
        Some(WritingOutcome::Text(text)) => {
            let mut blocks: Vec<ReportBlock> =
                paragraphs(&text.text).into_iter().map(|text| ReportBlock::Para(text.into())).collect();
            blocks.push(ReportBlock::Para(origin(text)));
            blocks
        }
    };
    ReportSection { id: ID, title: TITLE, blocks }
}

/// The text set as a quotation of several paragraphs: each opens with a mark, the last one closes. So no
/// paragraph begins with a character that Markdown takes for a list or a heading.
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

fn origin(text: &ModelText) -> RichText {
    RichText::new()
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

    fn text(words: &str) -> WritingOutcome {
        WritingOutcome::Text(ModelText {
            digest: String::new(),
            text: words.into(),
            provider: "anthropic-claude-haiku-4-5".into(),
            model: "claude-haiku-4-5".into(),
            cost_nano_usd: NanoUsd(1_234_000),
            request_id: "req-1".into(),
        })
    }

    fn plain(section: &ReportSection) -> Vec<String> {
        let para = |block: &ReportBlock| {
            if let ReportBlock::Para(text) = block { text.plain() } else { String::new() }
        };
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
        let failed = plain(&section(Some(&WritingOutcome::Failed { why: "it was down".into() })));
        assert!(failed[0].contains("gave none (it was down); everything else is complete"));
    }
}
