//! "What was skipped": files that no later step read, and why.

use super::{Part, Standout};
use crate::skills::ingest::formats::{AuditRow, AuditStatus};
use crate::skills::ingest::report::page::{Block, Rich, Section, Table, Tone};
use crate::skills::ingest::report::sources::Sources;
use crate::skills::ingest::report::tally::Tally;
use crate::skills::ingest::report::words;

const ID: &str = "skipped";
const TITLE: &str = "What was skipped";
/// Reasons drawn: there are seven.
const MAX_REASONS: usize = 7;
const MAX_FILES: usize = 25;

pub(in super::super) fn part(sources: &Sources) -> Part {
    let Some(audit) = &sources.audit else {
        return Part::quiet(Section::absent(
            ID,
            TITLE,
            "The audit was left out, so it is not known what was skipped.",
        ));
    };
    let mut skipped: Vec<&AuditRow> = audit.iter().filter(|row| row.status != AuditStatus::Ok).collect();
    if skipped.is_empty() {
        return Part::quiet(Section::absent(ID, TITLE, "Nothing: every file was read."));
    }
    // What a person can mend comes first; pictures and archives are skipped by design.
    skipped.sort_by_key(|row| (rank(row.status), row.doc_id));
    let tally = Tally::of(skipped.iter().map(|row| name(row.status)));
    let share = words::percent(skipped.len() as u64, audit.len() as u64);
    let intro = format!(
        "{} ({share}) went into the audit and no further. They are not searched, compared or sorted by subject.",
        words::count(skipped.len(), "file", "files")
    );
    let blocks = vec![
        Block::Para(intro.into()),
        Block::Chart(tally.bars("Why files were skipped", ["Reason", "Files"], MAX_REASONS, Tone::Muted)),
        Block::Table(files(&skipped)),
    ];
    let standouts = standouts(&skipped, &tally, &share);
    Part { section: Section { id: ID, title: TITLE, blocks }, standouts }
}

const fn rank(status: AuditStatus) -> u8 {
    match status {
        AuditStatus::Unreadable => 0,
        AuditStatus::Vanished => 1,
        AuditStatus::BadLink => 2,
        AuditStatus::TooLarge => 3,
        AuditStatus::Empty => 4,
        AuditStatus::Binary | AuditStatus::Ok => 5,
    }
}

const fn name(status: AuditStatus) -> &'static str {
    match status {
        AuditStatus::Ok => "read",
        AuditStatus::Binary => "not text",
        AuditStatus::TooLarge => "too large",
        AuditStatus::Unreadable => "could not be opened",
        AuditStatus::BadLink => "a link that leads nowhere useful",
        AuditStatus::Vanished => "gone while reading",
        AuditStatus::Empty => "empty",
    }
}

fn files(skipped: &[&AuditRow]) -> Table {
    let row = |row: &&AuditRow| {
        let reason = if row.reason.is_empty() { name(row.status) } else { &row.reason };
        vec![Rich::new().code(&row.path), words::bytes(row.bytes).into(), reason.into()]
    };
    Table {
        caption: "Skipped files",
        head: vec!["File", "Size", "Why"],
        rows: skipped.iter().take(MAX_FILES).map(row).collect(),
        note: words::rest(skipped.len(), MAX_FILES, "file", "files"),
    }
}

fn standouts(skipped: &[&AuditRow], tally: &Tally, share: &str) -> Vec<Standout> {
    let broken = skipped.iter().any(|row| rank(row.status) < rank(AuditStatus::Empty));
    let text = format!("{share} of the files were skipped: {}.", tally.in_words(3, str::to_owned));
    vec![Standout::new(if broken { 58 } else { 25 }, text.into())]
}
