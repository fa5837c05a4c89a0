//! "Compliance": the findings of the compliance check.

use super::{Part, Standout};
use crate::skills::ingest::formats::{Compliance, Finding};
use crate::skills::ingest::report::page::{Block, Chart, Datum, Rich, Section, Shape, Table, Tone};
use crate::skills::ingest::report::sources::Sources;
use crate::skills::ingest::report::words;

const ID: &str = "compliance";
const TITLE: &str = "Compliance";
/// Findings listed; the rest is in the compliance file.
const MAX_FINDINGS: usize = 40;
/// Severities as the check names them, gravest first.
const SEVERITIES: [(&str, Tone); 3] = [("high", Tone::Bad), ("medium", Tone::Warn), ("low", Tone::Muted)];

pub(in super::super) fn part(sources: &Sources) -> Part {
    let Some(compliance) = &sources.compliance else {
        return Part::quiet(Section::absent(
            ID,
            TITLE,
            "The compliance check was left out: secrets were not judged.",
        ));
    };
    let mut blocks = vec![Block::Para(verdict(compliance).into())];
    if !compliance.findings.is_empty() {
        blocks.push(Block::Chart(severities(compliance)));
        blocks.push(Block::Table(findings(compliance)));
    }
    Part { section: Section { id: ID, title: TITLE, blocks }, standouts: standouts(compliance) }
}

fn count(compliance: &Compliance, severity: &str) -> usize {
    compliance.findings.iter().filter(|finding| finding.severity == severity).count()
}

fn verdict(compliance: &Compliance) -> &'static str {
    match (compliance.verdict.as_str(), compliance.findings.is_empty()) {
        ("fail", _) => "Failed: something here must be dealt with before the folder is passed on.",
        ("attention", _) => "A person should look at some points before the folder is passed on.",
        (_, true) => "Passed: no secret, no personal data and no licence trouble was found.",
        (_, false) => "Passed, with remarks.",
    }
}

fn severities(compliance: &Compliance) -> Chart {
    let datum = |(severity, tone): (&'static str, Tone)| {
        let count = count(compliance, severity) as u64;
        Datum { label: severity.into(), value: count, shown: words::number(count), tone }
    };
    Chart {
        shape: Shape::Share,
        caption: "Findings by severity",
        head: ["Severity", "Findings"],
        data: SEVERITIES.into_iter().map(datum).filter(|datum| datum.value > 0).collect(),
        note: String::new(),
    }
}

fn findings(compliance: &Compliance) -> Table {
    let row = |finding: &Finding| {
        vec![
            finding.severity.as_str().into(),
            Rich::new().code(&finding.place),
            finding.message.as_str().into(),
        ]
    };
    Table {
        caption: "Findings, gravest first",
        head: vec!["Severity", "Place", "What to do"],
        rows: compliance.findings.iter().take(MAX_FINDINGS).map(row).collect(),
        note: words::rest(compliance.findings.len(), MAX_FINDINGS, "finding", "findings"),
    }
}

fn standouts(compliance: &Compliance) -> Vec<Standout> {
    let grave: Vec<&Finding> =
        compliance.findings.iter().filter(|finding| finding.severity == "high").collect();
    if let Some(first) = grave.first() {
        let text = Rich::new()
            .text(format!(
                "{} at once: ",
                words::count(grave.len(), "finding must be dealt with", "findings must be dealt with")
            ))
            .text(&first.message)
            .text(" Place: ")
            .code(&first.place)
            .text(".");
        return vec![Standout::new(100, text)];
    }
    let medium = count(compliance, "medium");
    let (weight, text) = match (medium, compliance.findings.len()) {
        (0, 0) => (19, "No secret or personal data was found.".to_owned()),
        (0, low) => (
            19,
            format!(
                "Nothing grave was found in the compliance check; {}.",
                words::count(low, "remark", "remarks")
            ),
        ),
        _ => (
            48,
            format!(
                "{} a person's look.",
                words::count(medium, "compliance finding deserves", "compliance findings deserve")
            ),
        ),
    };
    vec![Standout::new(weight, text.into())]
}
