//! "Subjects": the documents by domain.

use super::{ReportPart, StandoutLine};
use crate::ingest::formats::DomainRow;
use crate::ingest::report::page::{ReportBlock, ReportSection, ReportTable, ReportTone, RichText};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::tally::NameTally;
use crate::ingest::report::words;

const ID: &str = "subjects";
const TITLE: &str = "Subjects";
/// As many as there are domains in the contract.
const MAX_DOMAINS: usize = 21;
/// Below this the classifier is guessing between several domains.
const UNSURE: f32 = 0.4;
/// Documents listed that the classifier was least sure of.
const MAX_UNSURE: usize = 6;

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(rows) = &sources.domains else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "The documents were not sorted by subject: that step was left out.",
        ));
    };
    if rows.is_empty() {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "There was no document to sort by subject.",
        ));
    }
    let tally = NameTally::of(rows.iter().map(|row| row.domain.as_str()));
    let mut unsure: Vec<&DomainRow> = rows.iter().filter(|row| row.confidence < UNSURE).collect();
    unsure.sort_by(|a, b| a.confidence.total_cmp(&b.confidence).then(a.doc_id.cmp(&b.doc_id)));
    let mut blocks = vec![
        ReportBlock::Para(summary(&tally, rows.len(), unsure.len())),
        ReportBlock::Chart(tally.bars(
            "Documents by subject",
            ["Subject", "Documents"],
            MAX_DOMAINS,
            ReportTone::Category(3),
        )),
    ];
    if !unsure.is_empty() {
        blocks.push(ReportBlock::Table(doubtful(&unsure)));
    }
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts: standouts(&tally) }
}

fn summary(tally: &NameTally, all: usize, unsure: usize) -> RichText {
    let doubt = match unsure {
        0 => "The classifier was reasonably sure of all of them.".to_owned(),
        _ => format!("The classifier was unsure of {}.", words::percent(unsure as u64, all as u64)),
    };
    RichText::new().text(format!(
        "{} without repetition, sorted into {} by their words. {doubt}",
        words::count(all, "document", "documents"),
        words::count(tally.len(), "subject", "subjects"),
    ))
}

fn doubtful(unsure: &[&DomainRow]) -> ReportTable {
    let row = |row: &&DomainRow| {
        let guesses: Vec<String> =
            row.top.iter().map(|(domain, sure)| format!("{domain} {:.0}%", sure * 100.0)).collect();
        vec![RichText::new().code(&row.path), guesses.join(", ").into()]
    };
    ReportTable {
        caption: "Hardest to place",
        head: vec!["Document", "Guesses"],
        rows: unsure.iter().take(MAX_UNSURE).map(row).collect(),
        note: words::rest(unsure.len(), MAX_UNSURE, "document", "documents"),
    }
}

fn standouts(tally: &NameTally) -> Vec<StandoutLine> {
    let Some((domain, count)) = tally.ranked().first().copied() else { return Vec::new() };
    let text = format!("{} of the documents are about {domain}.", words::percent(count, tally.sum()));
    vec![StandoutLine::new(45, text.into())]
}
