//! "Contents": sizes, kinds, languages and encodings.

use std::cmp::Reverse;

use super::{ReportPart, StandoutLine};
use crate::ingest::formats::AuditRow;
use crate::ingest::report::page::{
    ChartDatum, ChartShape, ReportBlock, ReportChart, ReportSection, ReportTable, ReportTone, RichText,
};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::tally::NameTally;
use crate::ingest::report::words;

const ID: &str = "contents";
const TITLE: &str = "Contents";
/// Most kinds, languages and encodings shown; the rest are rare.
const MAX_BARS: usize = 10;
const MAX_LARGEST: usize = 8;
/// Documents named that were read in part.
const MAX_PARTIAL: usize = 5;
/// Upper bounds of the columns of the size distribution in bytes, about three to each other, as far as
/// documents go; the last column has none.
const BOUNDS: [(u64, &str); 11] = [
    (100, "<100 B"),
    (300, "<300 B"),
    (1_000, "<1 kB"),
    (3_000, "<3 kB"),
    (10_000, "<10 kB"),
    (30_000, "<30 kB"),
    (100_000, "<100 kB"),
    (300_000, "<300 kB"),
    (1_000_000, "<1 MB"),
    (3_000_000, "<3 MB"),
    (10_000_000, "<10 MB"),
];
const BEYOND: &str = "≥10 MB";

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(audit) = &sources.audit else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "The audit was left out, so the files were not counted.",
        ));
    };
    if audit.is_empty() {
        return ReportPart {
            section: ReportSection::absent(ID, TITLE, "Nothing: the folder holds no file."),
            standouts: vec![StandoutLine::new(95, "The folder holds no file.".into())],
        };
    }
    let read: Vec<&AuditRow> = sources.read_documents().collect();
    let kinds = NameTally::of(audit.iter().map(|row| row.kind.as_str()));
    let languages = NameTally::of(read.iter().map(|row| words::language(&row.language)));
    let encodings = NameTally::of(read.iter().map(|row| row.encoding.as_str()));
    let mut blocks = vec![
        ReportBlock::Para(summary(audit, &read)),
        ReportBlock::Chart(sizes(audit)),
        ReportBlock::Chart(kinds.bars("Kinds of file", ["Kind", "Files"], MAX_BARS, ReportTone::Accent)),
    ];
    if !read.is_empty() {
        blocks.push(ReportBlock::Chart(languages.bars(
            "Languages",
            ["Language", "Documents"],
            MAX_BARS,
            ReportTone::Category(1),
        )));
        blocks.push(ReportBlock::Para(encoding_words(&encodings, &read)));
        blocks.extend(read_in_part(&read).map(ReportBlock::Para));
        blocks.extend(repairs(sources).map(ReportBlock::Para));
    }
    blocks.push(ReportBlock::Table(largest(audit)));
    let standouts = standouts(audit, &read, &kinds, &languages);
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts }
}

fn total(rows: &[AuditRow]) -> u64 {
    rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
}

fn by_size(audit: &[AuditRow]) -> Vec<&AuditRow> {
    let mut rows: Vec<&AuditRow> = audit.iter().collect();
    rows.sort_by_key(|row| (Reverse(row.bytes), row.doc_id));
    rows
}

fn summary(audit: &[AuditRow], read: &[&AuditRow]) -> RichText {
    let ranked = by_size(audit);
    let median = ranked.get(ranked.len() / 2).map_or(0, |row| row.bytes);
    RichText::new().text(format!(
        "{} with {} in all. {} could be read as text. Half of the files are smaller than {}.",
        words::count(audit.len(), "file", "files"),
        words::bytes(total(audit)),
        if read.len() == audit.len() {
            "All of it".to_owned()
        } else {
            words::count(read.len(), "file", "files")
        },
        words::bytes(median.saturating_add(1)),
    ))
}

fn sizes(audit: &[AuditRow]) -> ReportChart {
    let mut counts = [0_u64; BOUNDS.len() + 1];
    for row in audit {
        counts[BOUNDS.partition_point(|(bound, _)| *bound <= row.bytes)] += 1;
    }
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let label = |index: usize| BOUNDS.get(index).map_or(BEYOND, |(_, label)| label);
    let datum = |index: usize| ChartDatum {
        label: label(index).into(),
        value: counts[index],
        shown: words::number(counts[index]),
        tone: ReportTone::Accent,
    };
    ReportChart {
        shape: ChartShape::Columns,
        caption: "Sizes of the files",
        head: ["Size", "Files"],
        data: (first..=last).map(datum).collect(),
        note: String::new(),
    }
}

fn encoding_words(encodings: &NameTally, read: &[&AuditRow]) -> RichText {
    let damaged = read.iter().filter(|row| row.decode_errors > 0).count();
    let found = encodings.in_words(MAX_BARS, str::to_owned);
    let damage = match damaged {
        0 => "Every byte could be decoded.".to_owned(),
        _ => format!(
            "{} held bytes that no encoding explains.",
            words::count(damaged, "document", "documents")
        ),
    };
    RichText::new().text(format!("Encodings: {found}. {damage}"))
}

/// Documents of which something is missing; `None` when all were read whole.
fn read_in_part(read: &[&AuditRow]) -> Option<RichText> {
    let partial: Vec<_> = read.iter().filter(|row| !row.reason.is_empty()).collect();
    let mut text = RichText::new().text("Read in part: ");
    for (number, row) in partial.iter().take(MAX_PARTIAL).enumerate() {
        text =
            text.text(if number == 0 { "" } else { "; " }).code(&row.path).text(format!(" ({})", row.reason));
    }
    let more = partial.len().saturating_sub(MAX_PARTIAL);
    let end = if more == 0 { ".".to_owned() } else { format!(", and {more} more.") };
    (!partial.is_empty()).then(|| text.text(end))
}

/// The repairs of the cleaning step; `None` when the step was skipped or had nothing to do.
fn repairs(sources: &ReportSources) -> Option<RichText> {
    let rows = sources.clean.as_ref()?;
    let mended = rows.iter().filter(|row| !row.repairs.is_empty()).count();
    // A detail may follow a colon: `decoded:windows-1252`, `boilerplate:3`.
    let kinds =
        rows.iter().flat_map(|row| &row.repairs).map(|repair| repair.split(':').next().unwrap_or(repair));
    let repairs = NameTally::of(kinds).in_words(MAX_BARS, |kind| repair_name(kind).to_owned());
    let documents = words::count(mended, "document was", "documents were");
    (mended > 0).then(|| RichText::new().text(format!("{documents} mended for the later steps: {repairs}.")))
}

fn repair_name(kind: &str) -> &str {
    match kind {
        "boilerplate" => "repeated lines cut",
        "decoded" => "other encoding turned into UTF-8",
        "line_ends" => "line ends made alike",
        "mojibake" => "wrongly decoded letters restored",
        "nfc" => "letters and accents joined",
        other => other,
    }
}

fn largest(audit: &[AuditRow]) -> ReportTable {
    let row = |row: &&AuditRow| {
        vec![RichText::new().code(&row.path), row.kind.as_str().into(), words::bytes(row.bytes).into()]
    };
    ReportTable {
        caption: "Largest files",
        head: vec!["File", "Kind", "Size"],
        rows: by_size(audit).iter().take(MAX_LARGEST).map(row).collect(),
        note: String::new(),
    }
}

fn standouts(
    audit: &[AuditRow],
    read: &[&AuditRow],
    kinds: &NameTally,
    languages: &NameTally,
) -> Vec<StandoutLine> {
    let bytes = total(audit);
    let named = |code: &str| code.to_owned();
    let mut lines = vec![StandoutLine::new(
        30,
        RichText::new().text(format!(
            "{} hold {}: {}.",
            words::count(audit.len(), "file", "files"),
            words::bytes(bytes),
            kinds.in_words(3, named)
        )),
    )];
    if let Some(row) = by_size(audit).first() {
        let heavy = audit.len() > 3 && row.bytes.saturating_mul(4) >= bytes;
        let text = RichText::new().text("The largest file is ").code(&row.path).text(format!(
            ": {}, {} of all bytes.",
            words::bytes(row.bytes),
            words::percent(row.bytes, bytes)
        ));
        lines.push(StandoutLine::new(if heavy { 60 } else { 15 }, text));
    }
    let damaged: Vec<_> = read.iter().filter(|row| row.decode_errors > 0).collect();
    if let Some(row) = damaged.first() {
        let files = words::count(damaged.len(), "document holds", "documents hold");
        let text = RichText::new()
            .text(format!("{files} bytes that no encoding explains, such as "))
            .code(&row.path)
            .text(".");
        lines.push(StandoutLine::new(55, text));
    }
    if read.is_empty() {
        lines.push(StandoutLine::new(70, "None of the files could be read as text.".into()));
    } else {
        let weight = if languages.len() > 2 { 35 } else { 14 };
        lines.push(StandoutLine::new(
            weight,
            RichText::new().text(format!("Languages: {}.", languages.in_words(4, named))),
        ));
    }
    lines
}
