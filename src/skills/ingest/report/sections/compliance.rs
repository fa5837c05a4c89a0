//! "Compliance": the findings of the compliance check.

use super::{ReportPart, StandoutLine};
use crate::ingest::formats::{ComplianceFinding, ComplianceReport};
use crate::ingest::report::page::{
    ChartDatum, ChartShape, ReportBlock, ReportChart, ReportSection, ReportTable, ReportTone, RichText,
};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::words;

const ID: &str = "compliance";
const TITLE: &str = "Compliance";
/// Findings listed; the rest is in the compliance file.
const MAX_FINDINGS: usize = 40;
/// Severities as the check names them, most severe first.
const SEVERITIES: [(&str, ReportTone); 3] =
    [("high", ReportTone::Bad), ("medium", ReportTone::Warn), ("low", ReportTone::Muted)];

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(compliance) = &sources.compliance else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "The compliance check was left out: secrets were not judged.",
        ));
    };
    let mut blocks = vec![ReportBlock::Para(verdict(compliance).into())];
    if !compliance.findings.is_empty() {
        blocks.push(ReportBlock::Chart(severities(compliance)));
        blocks.push(ReportBlock::Table(findings(compliance)));
    }
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts: standouts(compliance) }
}

fn count(compliance: &ComplianceReport, severity: &str) -> usize {
    compliance.findings.iter().filter(|finding| finding.severity == severity).count()
}

fn verdict(compliance: &ComplianceReport) -> &'static str {
    match (compliance.verdict.as_str(), compliance.findings.is_empty()) {
        ("fail", _) => "Failed: something here must be dealt with before the folder is passed on.",
        ("attention", _) => "A person should look at some points before the folder is passed on.",
        (_, true) => "Passed: no secret, no personal data and no licence trouble was found.",
        (_, false) => "Passed, with remarks.",
    }
}

fn severities(compliance: &ComplianceReport) -> ReportChart {
    let datum = |(severity, tone): (&'static str, ReportTone)| {
        let count = count(compliance, severity) as u64;
        ChartDatum { label: severity.into(), value: count, shown: words::number(count), tone }
    };
    ReportChart {
        shape: ChartShape::Share,
        caption: "Findings by severity",
        head: ["Severity", "Findings"],
        data: SEVERITIES.into_iter().map(datum).filter(|datum| datum.value > 0).collect(),
        note: String::new(),
    }
}

fn findings(compliance: &ComplianceReport) -> ReportTable {
    let row = |finding: &ComplianceFinding| {
        vec![
            finding.severity.as_str().into(),
            RichText::new().code(&finding.place),
            finding.message.as_str().into(),
        ]
    };
    ReportTable {
        caption: "Findings, most severe first",
        head: vec!["Severity", "Place", "What to do"],
        rows: compliance.findings.iter().take(MAX_FINDINGS).map(row).collect(),
        note: words::rest(compliance.findings.len(), MAX_FINDINGS, "finding", "findings"),
    }
}

fn standouts(compliance: &ComplianceReport) -> Vec<StandoutLine> {
    let grave: Vec<&ComplianceFinding> =
        compliance.findings.iter().filter(|finding| finding.severity == "high").collect();
    if let Some(first) = grave.first() {
        let text = RichText::new()
            .text(format!(
                "{} at once: ",
                words::count(grave.len(), "finding must be dealt with", "findings must be dealt with")
            ))
            .text(&first.message)
            .text(" Place: ")
            .code(&first.place)
            .text(".");
        return vec![StandoutLine::new(100, text)];
    }
    let medium = count(compliance, "medium");
    let (weight, text) = match (medium, compliance.findings.len()) {
        (0, 0) => (19, "No secret or personal data was found.".to_owned()),
        (0, low) => (
            19,
            format!("The compliance check found nothing severe; {}.", words::count(low, "remark", "remarks")),
        ),
        _ => (
            48,
            format!(
                "{} a person's look.",
                words::count(medium, "compliance finding deserves", "compliance findings deserve")
            ),
        ),
    };
    vec![StandoutLine::new(weight, text.into())]
}
