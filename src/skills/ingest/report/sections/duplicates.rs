//! "Repetition": documents that repeat others, and copies that could be deleted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::{ReportPart, StandoutLine};
use crate::ingest::report::page::{
    ChartDatum, ChartShape, ReportBlock, ReportChart, ReportSection, ReportTable, ReportTone, RichText,
};
use crate::ingest::report::sources::{CleanedDocument, ReportSources};
use crate::ingest::report::words;

const ID: &str = "repetition";
const TITLE: &str = "Repetition";
/// Groups shown, by the bytes they waste.
const MAX_GROUPS: usize = 12;
/// Members named of each group.
const MAX_MEMBERS: usize = 4;

/// Documents that say the same.
struct DuplicateGroup<'a> {
    first: &'a CleanedDocument,
    copies: Vec<&'a CleanedDocument>,
    /// Bytes of the copies.
    waste: u64,
}

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(rows) = &sources.clean else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "Duplicates were not looked for: the cleaning step was left out.",
        ));
    };
    let groups = groups(rows, &sources.sizes());
    if groups.is_empty() {
        let text = match rows.len() {
            0 => "There was no document to compare.",
            1 => "There is one document only, and nothing to compare it with.",
            _ => "No document repeats another.",
        };
        let section = ReportSection::absent(ID, TITLE, text);
        return ReportPart { section, standouts: vec![StandoutLine::new(18, text.into())] };
    }
    let copies: usize = groups.iter().map(|group| group.copies.len()).sum();
    let waste = groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.waste));
    let blocks = vec![
        ReportBlock::Para(summary(rows, groups.len(), waste)),
        ReportBlock::Chart(kept(rows.len(), copies)),
        ReportBlock::Chart(by_waste(&groups, sources.audit.is_some())),
        ReportBlock::Table(members(&groups)),
    ];
    let standouts = standouts(&groups, rows.len(), copies, waste);
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts }
}

/// Groups by their first document; the largest waste first.
fn groups<'a>(rows: &'a [CleanedDocument], sizes: &HashMap<u32, u64>) -> Vec<DuplicateGroup<'a>> {
    let by_id: HashMap<u32, &CleanedDocument> = rows.iter().map(|row| (row.doc_id, row)).collect();
    let mut groups: BTreeMap<u32, Vec<&CleanedDocument>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.duplicate_of.is_some()) {
        groups.entry(root(row, &by_id)).or_default().push(row);
    }
    let mut groups: Vec<DuplicateGroup> = groups
        .into_iter()
        .filter_map(|(first, copies)| {
            let size = |row: &&CleanedDocument| sizes.get(&row.doc_id).copied().unwrap_or(0);
            let waste = copies.iter().map(size).fold(0, u64::saturating_add);
            Some(DuplicateGroup { first: by_id.get(&first)?, copies, waste })
        })
        .collect();
    groups.sort_by_key(|group| (Reverse((group.waste, group.copies.len())), group.first.doc_id));
    groups
}

/// The document at the end of a chain of repetitions. Only a step to an earlier document counts, so a
/// damaged chain cannot run in a circle.
fn root(row: &CleanedDocument, by_id: &HashMap<u32, &CleanedDocument>) -> u32 {
    let mut at = row;
    while let Some(earlier) =
        at.duplicate_of.as_ref().and_then(|d| by_id.get(&d.doc_id)).filter(|e| e.doc_id < at.doc_id)
    {
        at = earlier;
    }
    at.doc_id
}

fn summary(rows: &[CleanedDocument], groups: usize, waste: u64) -> RichText {
    let of =
        |how: &str| rows.iter().filter(|row| row.duplicate_of.as_ref().is_some_and(|d| d.how == how)).count();
    let saved = if waste == 0 {
        String::new()
    } else {
        format!(" Deleting the copies would free {}.", words::bytes(waste))
    };
    RichText::new().text(format!(
        "{} and {} of an earlier one, in {}.{saved} Look before you delete: a licence text belongs into every folder it \
         covers.",
        words::count(of("exact"), "document is an exact copy", "documents are exact copies"),
        words::count(of("near"), "a near copy", "near copies"),
        words::count(groups, "group", "groups"),
    ))
}

fn kept(all: usize, copies: usize) -> ReportChart {
    let datum = |label: &str, count: usize, tone| ChartDatum {
        label: label.into(),
        value: count as u64,
        shown: words::number(count as u64),
        tone,
    };
    ReportChart {
        shape: ChartShape::Share,
        caption: "Documents that say something of their own",
        head: ["", "Documents"],
        data: vec![
            datum("of their own", all - copies, ReportTone::Accent),
            datum("copies", copies, ReportTone::Muted),
        ],
        note: String::new(),
    }
}

fn by_waste(groups: &[DuplicateGroup], sized: bool) -> ReportChart {
    let datum = |group: &DuplicateGroup| ChartDatum {
        label: RichText::new().code(&group.first.path),
        value: if sized { group.waste } else { group.copies.len() as u64 },
        shown: if sized { words::bytes(group.waste) } else { words::number(group.copies.len() as u64) },
        tone: ReportTone::Category(5),
    };
    ReportChart {
        shape: ChartShape::Bars,
        caption: "What the copies of each document take",
        head: ["First document", if sized { "Its copies" } else { "Copies" }],
        data: groups.iter().take(MAX_GROUPS).map(datum).collect(),
        note: words::rest(groups.len(), MAX_GROUPS, "group", "groups"),
    }
}

fn members(groups: &[DuplicateGroup]) -> ReportTable {
    let row = |group: &DuplicateGroup| {
        let mut names = RichText::new();
        for (index, copy) in group.copies.iter().take(MAX_MEMBERS).enumerate() {
            names = if index > 0 { names.text(", ") } else { names }.code(&copy.path);
        }
        let more = group.copies.len().saturating_sub(MAX_MEMBERS);
        if more > 0 {
            names = names.text(format!(" and {more} more"));
        }
        vec![RichText::new().code(&group.first.path), likeness(group).into(), names]
    };
    ReportTable {
        caption: "Who repeats whom",
        head: vec!["First document", "Likeness", "Copies"],
        rows: groups.iter().take(MAX_GROUPS).map(row).collect(),
        note: words::rest(groups.len(), MAX_GROUPS, "group", "groups"),
    }
}

fn likeness(group: &DuplicateGroup) -> String {
    let near = group.copies.iter().filter_map(|copy| copy.duplicate_of.as_ref()).filter(|d| d.how != "exact");
    let least = near.map(|d| d.similarity).fold(1.0_f32, f32::min);
    // Cut, not rounded: a near copy must not read as a whole one.
    if least < 1.0 { format!("{}% or more", (least * 100.0).floor()) } else { "the same".to_owned() }
}

fn standouts(groups: &[DuplicateGroup], all: usize, copies: usize, waste: u64) -> Vec<StandoutLine> {
    let share = words::percent(copies as u64, all as u64);
    let weight = if copies * 10 >= all { 68 } else { 42 };
    let mut text = RichText::new().text(format!("{share} of the documents repeat another"));
    if waste > 0 {
        text = text.text(format!("; without them the folder would be {} lighter", words::bytes(waste)));
    }
    if let Some(group) = groups.iter().max_by_key(|group| (group.copies.len(), Reverse(group.first.doc_id))) {
        text = text.text(". Most often repeated: ").code(&group.first.path);
        text = text.text(format!(", {}", words::count(group.copies.len(), "time", "times")));
    }
    vec![StandoutLine::new(weight, text.text("."))]
}
