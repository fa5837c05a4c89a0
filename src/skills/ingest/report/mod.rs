//! report-leaderboard-writer: the contents of the folder, for a curious reader.
//!
//! Reads the earlier steps' files ([`sources`]), turns them into content ([`page`], one file per section in
//! [`sections`]) and renders that twice, as Markdown and as one self-contained page. Invariants: the same
//! files and the same text of a model ([`written`]) give the same bytes (no time, no randomness, no absolute
//! path); a section whose step was skipped says so; the size of the report is bounded for any folder. Failure
//! policy: a damaged file is a permanent error.

mod headline;
mod html;
mod markdown;
mod network;
mod page;
mod sections;
mod sources;
mod svg;
mod tally;
mod treemap;
mod words;
mod written;

use serde_json::json;

pub use self::html::STYLE;
pub use self::written::{ModelText, WritingOutcome};

use self::page::{ReportPage, RichText};
use self::sources::ReportSources;
use super::formats::{REPORT_HTML, REPORT_MD, SUMMARY};
use super::output;
use crate::{SkillError, StepBrief, StepContext, StepOutcome};

/// Lines of "What stands out": as many as a reader takes in at a glance.
const STANDOUTS: usize = 5;

/// Runs the step. Inputs may have `{"name": "…"}`, the folder's name. Outputs have `findings`, the lines of
/// "What stands out": five, fewer only for a nearly empty folder.
///
/// # Errors
/// [`SkillError::Permanent`] for a damaged file of an earlier step; [`SkillError::Cancelled`] on request.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let written = written::handed(step);
    // First of all: a paid text must survive a crash.
    let summary = written.as_ref().filter(|written| matches!(written, WritingOutcome::Text(_)));
    let summary = summary.map(|text| output::write_json(step, SUMMARY, "summary", text)).transpose()?;
    let sources = ReportSources::read(step)?;
    let (mut page, standouts) = compose(step, &sources)?;
    page.sections.insert(0, written::section(written.as_ref()));
    page.standouts = standouts.into_iter().take(STANDOUTS).collect();
    let mut artifacts = vec![
        output::write_file(step, REPORT_MD, "report", "text/markdown", markdown::render(&page).as_bytes())?,
        output::write_file(step, REPORT_HTML, "report", "text/html", html::render(&page).as_bytes())?,
    ];
    artifacts.extend(summary);
    // A model's text, or the reason for its absence, differs every time.
    artifacts.iter_mut().for_each(|artifact| artifact.deterministic = written.is_none());
    let findings: Vec<String> = page.standouts.iter().map(page::RichText::plain).collect();
    Ok(StepOutcome { artifacts, outputs: json!({ "findings": findings, "sections": page.sections.len() }) })
}

/// The digest for a model before the step works.
///
/// # Errors
/// As [`run`].
pub fn brief(step: &StepContext) -> Result<StepBrief, SkillError> {
    let (page, standouts) = compose(step, &ReportSources::read(step)?)?;
    written::brief(step, &page, &standouts)
}

/// The page, and all standouts, most striking first.
fn compose(step: &StepContext, sources: &ReportSources) -> Result<(ReportPage, Vec<RichText>), SkillError> {
    step.begin(sections::ALL.len() as u64, "writing the report");
    let mut page = headline::page(sources);
    let mut standouts = headline::standouts(sources);
    for write in sections::ALL {
        step.checkpoint()?;
        let part = write(sources);
        page.sections.push(part.section);
        standouts.extend(part.standouts);
        step.advance(1);
    }
    standouts.sort_by_key(|line| std::cmp::Reverse(line.weight));
    Ok((page, standouts.into_iter().map(|line| line.text).collect()))
}

#[cfg(test)]
mod tests;
