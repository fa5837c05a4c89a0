//! "What is in it": sizes, kinds, languages and encodings.

use std::cmp::Reverse;

use super::{Part, Standout};
use crate::skills::ingest::formats::AuditRow;
use crate::skills::ingest::report::page::{Block, Chart, Datum, Rich, Section, Shape, Table, Tone};
use crate::skills::ingest::report::sources::Sources;
use crate::skills::ingest::report::tally::Tally;
use crate::skills::ingest::report::words;

const ID: &str = "contents";
const TITLE: &str = "What is in it";
/// Kinds, languages and encodings shown of each: what follows is rare.
const MAX_BARS: usize = 10;
const MAX_LARGEST: usize = 8;
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

pub(in super::super) fn part(sources: &Sources) -> Part {
    let Some(audit) = &sources.audit else {
        return Part::quiet(Section::absent(
            ID,
            TITLE,
            "The audit was left out, so the files were not counted.",
        ));
    };
    if audit.is_empty() {
        return Part {
            section: Section::absent(ID, TITLE, "Nothing: the folder holds no file."),
            standouts: vec![Standout::new(95, "The folder holds no file.".into())],
        };
    }
    let read: Vec<&AuditRow> = sources.read_documents().collect();
    let kinds = Tally::of(audit.iter().map(|row| row.kind.as_str()));
    let languages = Tally::of(read.iter().map(|row| words::language(&row.language)));
    let encodings = Tally::of(read.iter().map(|row| row.encoding.as_str()));
    let mut blocks = vec![
        Block::Para(summary(audit, &read)),
        Block::Chart(sizes(audit)),
        Block::Chart(kinds.bars("Kinds of file", ["Kind", "Files"], MAX_BARS, Tone::Accent)),
    ];
    if !read.is_empty() {
        blocks.push(Block::Chart(languages.bars(
            "Languages",
            ["Language", "Documents"],
            MAX_BARS,
            Tone::Category(1),
        )));
        blocks.push(Block::Para(encoding_words(&encodings, &read)));
        blocks.extend(repairs(sources).map(Block::Para));
    }
    blocks.push(Block::Table(largest(audit)));
    let standouts = standouts(audit, &read, &kinds, &languages);
    Part { section: Section { id: ID, title: TITLE, blocks }, standouts }
}

fn total(rows: &[AuditRow]) -> u64 {
    rows.iter().fold(0, |sum, row| sum.saturating_add(row.bytes))
}

fn by_size(audit: &[AuditRow]) -> Vec<&AuditRow> {
    let mut rows: Vec<&AuditRow> = audit.iter().collect();
    rows.sort_by_key(|row| (Reverse(row.bytes), row.doc_id));
    rows
}

fn summary(audit: &[AuditRow], read: &[&AuditRow]) -> Rich {
    let ranked = by_size(audit);
    let median = ranked.get(ranked.len() / 2).map_or(0, |row| row.bytes);
    Rich::new().text(format!(
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

fn sizes(audit: &[AuditRow]) -> Chart {
    let mut counts = [0_u64; BOUNDS.len() + 1];
    for row in audit {
        counts[BOUNDS.partition_point(|(bound, _)| *bound <= row.bytes)] += 1;
    }
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let label = |index: usize| BOUNDS.get(index).map_or(BEYOND, |(_, label)| label);
    let datum = |index: usize| Datum {
        label: label(index).into(),
        value: counts[index],
        shown: words::number(counts[index]),
        tone: Tone::Accent,
    };
    Chart {
        shape: Shape::Columns,
        caption: "Sizes of the files",
        head: ["Size", "Files"],
        data: (first..=last).map(datum).collect(),
        note: String::new(),
    }
}

fn encoding_words(encodings: &Tally, read: &[&AuditRow]) -> Rich {
    let damaged = read.iter().filter(|row| row.decode_errors > 0).count();
    let found = encodings.in_words(MAX_BARS, str::to_owned);
    let damage = match damaged {
        0 => "Every byte could be decoded.".to_owned(),
        _ => format!(
            "{} held bytes that no encoding explains.",
            words::count(damaged, "document", "documents")
        ),
    };
    Rich::new().text(format!("Encodings: {found}. {damage}"))
}

/// What cleaning had to mend; `None` when it was left out or had nothing to do.
fn repairs(sources: &Sources) -> Option<Rich> {
    let rows = sources.clean.as_ref()?;
    let mended = rows.iter().filter(|row| !row.repairs.is_empty()).count();
    // A detail may stand behind a colon: `decoded:windows-1252`, `boilerplate:3`.
    let kinds =
        rows.iter().flat_map(|row| &row.repairs).map(|repair| repair.split(':').next().unwrap_or(repair));
    let repairs = Tally::of(kinds).in_words(MAX_BARS, |kind| repair_name(kind).to_owned());
    let documents = words::count(mended, "document was", "documents were");
    (mended > 0).then(|| Rich::new().text(format!("{documents} mended for the later steps: {repairs}.")))
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

fn largest(audit: &[AuditRow]) -> Table {
    let row = |row: &&AuditRow| {
        vec![Rich::new().code(&row.path), row.kind.as_str().into(), words::bytes(row.bytes).into()]
    };
    Table {
        caption: "Largest files",
        head: vec!["File", "Kind", "Size"],
        rows: by_size(audit).iter().take(MAX_LARGEST).map(row).collect(),
        note: String::new(),
    }
}

fn standouts(audit: &[AuditRow], read: &[&AuditRow], kinds: &Tally, languages: &Tally) -> Vec<Standout> {
    let bytes = total(audit);
    let named = |code: &str| code.to_owned();
    let mut lines = vec![Standout::new(
        30,
        Rich::new().text(format!(
            "{} hold {}: {}.",
            words::count(audit.len(), "file", "files"),
            words::bytes(bytes),
            kinds.in_words(3, named)
        )),
    )];
    if let Some(row) = by_size(audit).first() {
        let heavy = audit.len() > 3 && row.bytes.saturating_mul(4) >= bytes;
        let text = Rich::new().text("The largest file is ").code(&row.path).text(format!(
            ": {}, {} of all bytes.",
            words::bytes(row.bytes),
            words::percent(row.bytes, bytes)
        ));
        lines.push(Standout::new(if heavy { 60 } else { 15 }, text));
    }
    let damaged: Vec<_> = read.iter().filter(|row| row.decode_errors > 0).collect();
    if let Some(row) = damaged.first() {
        let files = words::count(damaged.len(), "document holds", "documents hold");
        let text = Rich::new()
            .text(format!("{files} bytes that no encoding explains, such as "))
            .code(&row.path)
            .text(".");
        lines.push(Standout::new(55, text));
    }
    if read.is_empty() {
        lines.push(Standout::new(70, "None of the files could be read as text.".into()));
    } else {
        let weight = if languages.len() > 2 { 35 } else { 14 };
        lines.push(Standout::new(
            weight,
            Rich::new().text(format!("Languages: {}.", languages.in_words(4, named))),
        ));
    }
    lines
}
