//! "How it was worked": the limits and thresholds that this run kept to.

use super::Part;
use crate::skills::ingest::report::page::{Block, Rich, Section, Table};
use crate::skills::ingest::report::sources::Sources;
use crate::skills::ingest::report::words;

pub(in super::super) fn part(sources: &Sources) -> Part {
    let settings = &sources.settings;
    let denied =
        if settings.deny_licences.is_empty() { "none".to_owned() } else { settings.deny_licences.join(", ") };
    let percent = |share: u8| format!("{share} %");
    let rows = [
        ("max_file_bytes", "Largest file that is read", words::bytes(settings.max_file_bytes)),
        ("max_files", "Most files of a folder", words::number(settings.max_files)),
        ("deny_licences", "Licences that are violations", denied),
        (
            "near_duplicate_percent",
            "Documents are near-duplicates from",
            percent(settings.near_duplicate_percent),
        ),
        ("boilerplate_percent", "A paragraph is boilerplate from", percent(settings.boilerplate_percent)),
    ];
    let table = Table {
        caption: "Limits and thresholds",
        head: vec!["Setting", "Meaning", "Value"],
        rows: rows.map(|(key, about, value)| vec![Rich::new().code(key), about.into(), value.into()]).into(),
        note: "Set them in the job's inputs or in the section [ingest] of pas.toml.".to_owned(),
    };
    Part::quiet(Section { id: "limits", title: "How it was worked", blocks: vec![Block::Table(table)] })
}
