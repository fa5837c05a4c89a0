//! report-leaderboard-writer: what is in the folder, for someone who wonders.
//!
//! Reads whatever the earlier steps left ([`sources`]), turns it into content ([`page`], one file a
//! section in [`sections`]) and renders that twice, as Markdown and as one self-contained page. Invariants:
//! the same files and the same words of a model ([`written`]) give the same bytes (no time, no chance, no absolute path); a section whose step was
//! left out says so; the size of the report is bounded, whatever the size of the folder. Failure policy: a
//! file that is there and damaged is permanent.

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

pub use self::written::{Text, Written};

use self::page::{Page, Rich};
use self::sources::Sources;
use super::formats::{REPORT_HTML, REPORT_MD, SUMMARY};
use super::output;
use crate::skills::{Brief, SkillError, StepContext, StepOutcome};

/// Lines of "What stands out": as many as one takes in at a glance.
const STANDOUTS: usize = 5;

/// Carries out the step. Inputs may carry `{"name": "…"}`, what the folder is called. Outputs carry
/// `findings`, the lines of "What stands out": five, fewer only for a folder of hardly a file.
///
/// # Errors
/// [`SkillError::Permanent`] for a damaged file of an earlier step; [`SkillError::Cancelled`] on request.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let written = written::handed(step);
    // First of all: what was paid for outlives a crash.
    let summary = written.as_ref().filter(|written| matches!(written, Written::Text(_)));
    let summary = summary.map(|text| output::write_json(step, SUMMARY, "summary", text)).transpose()?;
    let sources = Sources::read(step)?;
    let (mut page, standouts) = compose(step, &sources)?;
    page.sections.insert(0, written::section(written.as_ref()));
    page.standouts = standouts.into_iter().take(STANDOUTS).collect();
    let mut artifacts = vec![
        output::write_file(step, REPORT_MD, "report", "text/markdown", markdown::render(&page).as_bytes())?,
        output::write_file(step, REPORT_HTML, "report", "text/html", html::render(&page).as_bytes())?,
    ];
    artifacts.extend(summary);
    // What a model says, or why it says nothing, is another thing every time.
    artifacts.iter_mut().for_each(|artifact| artifact.deterministic = written.is_none());
    let findings: Vec<String> = page.standouts.iter().map(page::Rich::plain).collect();
    Ok(StepOutcome { artifacts, outputs: json!({ "findings": findings, "sections": page.sections.len() }) })
}

/// What a model is told before the step works.
///
/// # Errors
/// As [`run`].
pub fn brief(step: &StepContext) -> Result<Brief, SkillError> {
    let (page, standouts) = compose(step, &Sources::read(step)?)?;
    written::brief(step, &page, &standouts)
}

/// The page, and all that stands out, most striking first.
fn compose(step: &StepContext, sources: &Sources) -> Result<(Page, Vec<Rich>), SkillError> {
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
