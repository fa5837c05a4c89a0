//! "Repetition": documents that repeat others, and what could be deleted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::{Part, Standout};
use crate::skills::ingest::report::page::{Block, Chart, Datum, Rich, Section, Shape, Table, Tone};
use crate::skills::ingest::report::sources::{Cleaned, Sources};
use crate::skills::ingest::report::words;

const ID: &str = "repetition";
const TITLE: &str = "Repetition";
/// Groups shown, by the bytes they waste.
const MAX_GROUPS: usize = 12;
/// Members named of each group.
const MAX_MEMBERS: usize = 4;

/// Documents that say the same.
struct Group<'a> {
    first: &'a Cleaned,
    copies: Vec<&'a Cleaned>,
    /// Bytes of the copies.
    waste: u64,
}

pub(in super::super) fn part(sources: &Sources) -> Part {
    let Some(rows) = &sources.clean else {
        return Part::quiet(Section::absent(
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
        let section = Section::absent(ID, TITLE, text);
        return Part { section, standouts: vec![Standout::new(18, text.into())] };
    }
    let copies: usize = groups.iter().map(|group| group.copies.len()).sum();
    let waste = groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.waste));
    let blocks = vec![
        Block::Para(summary(rows, groups.len(), waste)),
        Block::Chart(kept(rows.len(), copies)),
        Block::Chart(by_waste(&groups, sources.audit.is_some())),
        Block::Table(members(&groups)),
    ];
    let standouts = standouts(&groups, rows.len(), copies, waste);
    Part { section: Section { id: ID, title: TITLE, blocks }, standouts }
}

/// Groups by their first document; the largest waste first.
fn groups<'a>(rows: &'a [Cleaned], sizes: &HashMap<u32, u64>) -> Vec<Group<'a>> {
    let by_id: HashMap<u32, &Cleaned> = rows.iter().map(|row| (row.doc_id, row)).collect();
    let mut groups: BTreeMap<u32, Vec<&Cleaned>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.duplicate_of.is_some()) {
        groups.entry(root(row, &by_id)).or_default().push(row);
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .filter_map(|(first, copies)| {
            let size = |row: &&Cleaned| sizes.get(&row.doc_id).copied().unwrap_or(0);
            let waste = copies.iter().map(size).fold(0, u64::saturating_add);
            Some(Group { first: by_id.get(&first)?, copies, waste })
        })
        .collect();
    groups.sort_by_key(|group| (Reverse((group.waste, group.copies.len())), group.first.doc_id));
    groups
}

/// The document at the end of a chain of repetitions. Only a step to an earlier document counts, so a
/// damaged chain cannot run in a circle.
fn root(row: &Cleaned, by_id: &HashMap<u32, &Cleaned>) -> u32 {
    let mut at = row;
    while let Some(earlier) =
        at.duplicate_of.as_ref().and_then(|d| by_id.get(&d.doc_id)).filter(|e| e.doc_id < at.doc_id)
    {
        at = earlier;
    }
    at.doc_id
}

fn summary(rows: &[Cleaned], groups: usize, waste: u64) -> Rich {
    let of =
        |how: &str| rows.iter().filter(|row| row.duplicate_of.as_ref().is_some_and(|d| d.how == how)).count();
    let saved = if waste == 0 {
        String::new()
    } else {
        format!(" Deleting the copies would free {}.", words::bytes(waste))
    };
    Rich::new().text(format!(
        "{} and {} of an earlier one, in {}.{saved} Look before you delete: a licence text belongs into every folder it \
         covers.",
        words::count(of("exact"), "document is an exact copy", "documents are exact copies"),
        words::count(of("near"), "a near copy", "near copies"),
        words::count(groups, "group", "groups"),
    ))
}

fn kept(all: usize, copies: usize) -> Chart {
    let datum = |label: &str, count: usize, tone| Datum {
        label: label.into(),
        value: count as u64,
        shown: words::number(count as u64),
        tone,
    };
    Chart {
        shape: Shape::Share,
        caption: "Documents that say something of their own",
        head: ["", "Documents"],
        data: vec![datum("of their own", all - copies, Tone::Accent), datum("copies", copies, Tone::Muted)],
        note: String::new(),
    }
}

fn by_waste(groups: &[Group], sized: bool) -> Chart {
    let datum = |group: &Group| Datum {
        label: Rich::new().code(&group.first.path),
        value: if sized { group.waste } else { group.copies.len() as u64 },
        shown: if sized { words::bytes(group.waste) } else { words::number(group.copies.len() as u64) },
        tone: Tone::Category(5),
    };
    Chart {
        shape: Shape::Bars,
        caption: "What the copies of each document take",
        head: ["First document", if sized { "Its copies" } else { "Copies" }],
        data: groups.iter().take(MAX_GROUPS).map(datum).collect(),
        note: words::rest(groups.len(), MAX_GROUPS, "group", "groups"),
    }
}

fn members(groups: &[Group]) -> Table {
    let row = |group: &Group| {
        let mut names = Rich::new();
        for (index, copy) in group.copies.iter().take(MAX_MEMBERS).enumerate() {
            names = if index > 0 { names.text(", ") } else { names }.code(&copy.path);
        }
        let more = group.copies.len().saturating_sub(MAX_MEMBERS);
        if more > 0 {
            names = names.text(format!(" and {more} more"));
        }
        vec![Rich::new().code(&group.first.path), likeness(group).into(), names]
    };
    Table {
        caption: "Who repeats whom",
        head: vec!["First document", "Likeness", "Copies"],
        rows: groups.iter().take(MAX_GROUPS).map(row).collect(),
        note: words::rest(groups.len(), MAX_GROUPS, "group", "groups"),
    }
}

fn likeness(group: &Group) -> String {
    let near = group.copies.iter().filter_map(|copy| copy.duplicate_of.as_ref()).filter(|d| d.how != "exact");
    let least = near.map(|d| d.similarity).fold(1.0_f32, f32::min);
    // Cut, not rounded: a near copy must not read as a whole one.
    if least < 1.0 { format!("{}% or more", (least * 100.0).floor()) } else { "the same".to_owned() }
}

fn standouts(groups: &[Group], all: usize, copies: usize, waste: u64) -> Vec<Standout> {
    let share = words::percent(copies as u64, all as u64);
    let weight = if copies * 10 >= all { 68 } else { 42 };
    let mut text = Rich::new().text(format!("{share} of the documents repeat another"));
    if waste > 0 {
        text = text.text(format!("; without them the folder would be {} lighter", words::bytes(waste)));
    }
    if let Some(group) = groups.iter().max_by_key(|group| (group.copies.len(), Reverse(group.first.doc_id))) {
        text = text.text(". Most often repeated: ").code(&group.first.path);
        text = text.text(format!(", {}", words::count(group.copies.len(), "time", "times")));
    }
    vec![Standout::new(weight, text.text("."))]
}
