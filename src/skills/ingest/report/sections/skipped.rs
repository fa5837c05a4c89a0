//! "What was skipped": files that no later step read, and why.

use super::{ReportPart, StandoutLine};
use crate::ingest::formats::{AuditRow, AuditStatus};
use crate::ingest::report::page::{ReportBlock, ReportSection, ReportTable, ReportTone, RichText};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::tally::NameTally;
use crate::ingest::report::words;

const ID: &str = "skipped";
const TITLE: &str = "What was skipped";
/// Reasons drawn: there are eight.
const MAX_REASONS: usize = 8;
const MAX_FILES: usize = 25;
/// What [`crate::ingest::documents`] reads, for people.
const READ: &str = "Plain text of any kind is read, PDF, DOCX, ODT and EPUB, and each of these packed by gzip; RTF, older \
                    office formats, spreadsheets, presentations, other archives and pictures are not.";

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(audit) = &sources.audit else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "The audit was left out, so it is not known what was skipped.",
        ));
    };
    let mut skipped: Vec<&AuditRow> = audit.iter().filter(|row| row.status != AuditStatus::Ok).collect();
    if skipped.is_empty() {
        return ReportPart::quiet(ReportSection::absent(ID, TITLE, "Nothing: every file was read."));
    }
    // Files that a person can fix come first; pictures and archives are skipped by design.
    skipped.sort_by_key(|row| (rank(row.status), row.doc_id));
    let tally = NameTally::of(skipped.iter().map(|row| name(row.status)));
    let share = words::percent(skipped.len() as u64, audit.len() as u64);
    let intro = format!(
        "{} ({share}) went into the audit and no further. They are not searched, compared or sorted by subject. {READ}",
        words::count(skipped.len(), "file", "files")
    );
    let blocks = vec![
        ReportBlock::Para(intro.into()),
        ReportBlock::Chart(tally.bars(
            "Why files were skipped",
            ["Reason", "Files"],
            MAX_REASONS,
            ReportTone::Muted,
        )),
        ReportBlock::Table(files(&skipped)),
    ];
    let standouts = standouts(&skipped, &tally, &share);
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts }
}

const fn rank(status: AuditStatus) -> u8 {
    match status {
        AuditStatus::Unreadable => 0,
        AuditStatus::Vanished => 1,
        AuditStatus::Broken => 2,
        AuditStatus::BadLink => 3,
        AuditStatus::TooLarge => 4,
        AuditStatus::Empty | AuditStatus::Withheld => 5,
        AuditStatus::Binary | AuditStatus::Ok => 6,
    }
}

const fn name(status: AuditStatus) -> &'static str {
    match status {
        AuditStatus::Ok => "read",
        AuditStatus::Binary => "not text",
        AuditStatus::Broken => "damaged or encrypted",
        AuditStatus::TooLarge => "too large",
        AuditStatus::Unreadable => "could not be opened",
        AuditStatus::BadLink => "a link that leads nowhere useful",
        AuditStatus::Vanished => "gone while reading",
        AuditStatus::Empty => "empty",
        AuditStatus::Withheld => "a store of keys",
    }
}

fn files(skipped: &[&AuditRow]) -> ReportTable {
    let row = |row: &&AuditRow| {
        let reason = if row.reason.is_empty() { name(row.status) } else { &row.reason };
        vec![RichText::new().code(&row.path), words::bytes(row.bytes).into(), reason.into()]
    };
    ReportTable {
        caption: "Skipped files",
        head: vec!["File", "Size", "Why"],
        rows: skipped.iter().take(MAX_FILES).map(row).collect(),
        note: words::rest(skipped.len(), MAX_FILES, "file", "files"),
    }
}

fn standouts(skipped: &[&AuditRow], tally: &NameTally, share: &str) -> Vec<StandoutLine> {
    let broken = skipped.iter().any(|row| rank(row.status) < rank(AuditStatus::Empty));
    let text = format!("{share} of the files were skipped: {}.", tally.in_words(3, str::to_owned));
    vec![StandoutLine::new(if broken { 58 } else { 25 }, text.into())]
}
