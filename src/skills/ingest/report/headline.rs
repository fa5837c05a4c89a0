//! The head of the report: title, a few sentences, and the big numbers.

use std::collections::BTreeSet;

use super::page::{ReportFigure, ReportPage, RichText};
use super::sections::StandoutLine;
use super::sources::ReportSources;
use super::tally::NameTally;
use super::words;
use crate::ingest::compliance::project;

/// The page without sections.
pub(super) fn page(sources: &ReportSources) -> ReportPage {
    let title = match &sources.name {
        Some(name) => RichText::new().text("What is in ").code(name),
        None => RichText::from("What is in this folder"),
    };
    ReportPage { title, lead: lead(sources), figures: figures(sources), ..ReportPage::default() }
}

/// Names the skipped steps; empty when all ran.
pub(super) fn standouts(sources: &ReportSources) -> Vec<StandoutLine> {
    let steps = [
        ("audit", sources.audit.is_some()),
        ("cleaning", sources.clean.is_some()),
        ("chunks", sources.chunks.is_some()),
        ("subjects", sources.domains.is_some()),
        ("references", sources.graph.is_some()),
        ("index", sources.index),
        ("compliance", sources.compliance.is_some()),
    ];
    let missing: Vec<String> =
        steps.iter().filter(|(_, there)| !there).map(|(name, _)| (*name).to_owned()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let text = format!("Left out of this run, so not judged here: {}.", words::list(&missing));
    vec![StandoutLine { weight: 20, text: text.into() }]
}

fn lead(sources: &ReportSources) -> Vec<RichText> {
    let Some(audit) = &sources.audit else {
        return vec![
            "The files themselves were not audited in this run; what the other steps found follows.".into(),
        ];
    };
    if audit.is_empty() {
        return vec!["The folder is empty: there is nothing to report.".into()];
    }
    let read = sources.read_documents().count();
    let bytes = audit.iter().fold(0_u64, |sum, row| sum.saturating_add(row.bytes));
    let folders =
        audit.iter().map(|row| project(&row.path)).filter(|name| *name != ".").collect::<BTreeSet<_>>().len();
    let place = if folders > 0 {
        format!(" in {}", words::count(folders, "top-level folder", "top-level folders"))
    } else {
        String::new()
    };
    let first = format!(
        "{}{place}, {} in all. {}{}{}",
        words::count(audit.len(), "file", "files"),
        words::bytes(bytes),
        if read == audit.len() {
            "All text".to_owned()
        } else {
            format!("{} of them text", words::number(read as u64))
        },
        language(sources),
        subject(sources)
    );
    let mut lead = vec![RichText::from(format!("{first}."))];
    lead.extend(judgement(sources));
    lead
}

fn language(sources: &ReportSources) -> String {
    let known = sources.read_documents().filter(|row| !row.language.is_empty());
    let languages = NameTally::of(known.map(|row| words::language(&row.language)));
    match languages.ranked().first() {
        Some((name, _)) if languages.len() == 1 => format!(", in {name}"),
        Some((name, _)) => format!(", mostly in {name}"),
        None => String::new(),
    }
}

fn subject(sources: &ReportSources) -> String {
    let domains = NameTally::of(sources.domains.iter().flatten().map(|row| row.domain.as_str()));
    domains.ranked().first().map(|(name, _)| format!(", and most often about {name}")).unwrap_or_default()
}

fn judgement(sources: &ReportSources) -> Option<RichText> {
    let compliance = sources.compliance.as_ref()?;
    let text = match compliance.verdict.as_str() {
        "fail" => "Do not pass it on as it is: the compliance check failed, see below.",
        "attention" => "Before you pass it on, look at the points of the compliance check below.",
        _ => "The compliance check found nothing that speaks against passing it on.",
    };
    Some(text.into())
}

fn figures(sources: &ReportSources) -> Vec<ReportFigure> {
    let mut figures = Vec::new();
    let mut add = |value: String, label| figures.push(ReportFigure { value, label });
    if let Some(audit) = &sources.audit {
        add(words::number(audit.len() as u64), "files");
        add(words::bytes(audit.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))), "in all");
        add(words::number(sources.read_documents().count() as u64), "read as text");
    }
    if let Some(compliance) = &sources.compliance {
        add(words::number(compliance.licences.len() as u64), "licences");
    }
    if let Some(clean) = &sources.clean {
        let copies = clean.iter().filter(|row| row.duplicate_of.is_some()).count();
        add(words::percent(copies as u64, clean.len() as u64), "repetition");
    }
    if let Some(graph) = &sources.graph {
        add(words::number(graph.edges.len() as u64), "connections");
    }
    figures
}
