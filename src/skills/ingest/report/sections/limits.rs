//! "Settings of this run": limits and thresholds.

use super::ReportPart;
use crate::ingest::report::page::{ReportBlock, ReportSection, ReportTable, RichText};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::words;

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let settings = &sources.settings;
    let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let percent = |share: u8| format!("{share} %");
    let rows = [
        (
            "max_file_bytes",
            "Largest file that is read, and the most that is unpacked of one",
            words::bytes(settings.max_file_bytes),
        ),
        ("max_files", "Most files of a folder", words::number(settings.max_files)),
        ("deny_licences", "Licences that are violations", listed(&settings.deny_licences)),
        (
            "near_duplicate_percent",
            "Documents are near-duplicates from",
            percent(settings.near_duplicate_percent),
        ),
        ("boilerplate_percent", "A paragraph is boilerplate from", percent(settings.boilerplate_percent)),
        ("key_stores", "Files and folders that hold keys, and are not read", listed(&settings.key_stores)),
    ];
    let table = ReportTable {
        caption: "Limits and thresholds",
        head: vec!["Setting", "Meaning", "Value"],
        rows: rows
            .map(|(key, about, value)| vec![RichText::new().code(key), about.into(), value.into()])
            .into(),
        note: "Set them in the job's inputs or in the section [ingest] of pas.toml; `key_stores` only there."
            .to_owned(),
    };
    ReportPart::quiet(ReportSection {
        id: "limits",
        title: "Settings of this run",
        blocks: vec![ReportBlock::Table(table)],
    })
}
