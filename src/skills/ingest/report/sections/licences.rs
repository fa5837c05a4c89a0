//! "Licences": permissions for the documents, and folders without a licence.

use std::collections::BTreeMap;

use super::{ReportPart, StandoutLine};
use crate::ingest::compliance::licences::{LicenceFamily, family};
use crate::ingest::compliance::{LicenceTally, project};
use crate::ingest::report::page::{
    ChartDatum, ChartShape, ReportBlock, ReportChart, ReportSection, ReportTable, ReportTone, RichText,
};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::words;

const ID: &str = "licences";
const TITLE: &str = "Licences";
/// Licences drawn: more bars than this are no longer compared by eye.
const MAX_LICENCES: usize = 14;
/// Folders in the treemap: smaller ones become too small to point at.
const MAX_TILES: usize = 48;
/// Folders without a licence that are listed.
const MAX_UNLICENSED: usize = 20;

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    if sources.audit.is_none() {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "The audit was left out, so no licence was looked for.",
        ));
    }
    let tally = LicenceTally::of(sources.audit.as_deref().unwrap_or_default());
    if tally.projects.is_empty() {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "There is no document that could carry a licence.",
        ));
    }
    let mut blocks = vec![ReportBlock::Para(summary(&tally))];
    if !tally.licences.is_empty() {
        blocks.push(ReportBlock::Chart(families(&tally)));
        blocks.push(ReportBlock::Table(permissions(&tally)));
        blocks.push(ReportBlock::Chart(licences(&tally)));
    }
    if tally.projects.len() > 1 {
        blocks.push(ReportBlock::Chart(folders(sources, &tally)));
    }
    if !tally.unlicensed.is_empty() {
        blocks.push(ReportBlock::Table(unlicensed(&tally)));
    }
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts: standouts(&tally) }
}

/// The colour that a family has everywhere in the report.
fn tone(family: Option<LicenceFamily>) -> ReportTone {
    match family {
        Some(LicenceFamily::PublicDomain) => ReportTone::Category(2),
        Some(LicenceFamily::Permissive) => ReportTone::Good,
        Some(LicenceFamily::WeakCopyleft) => ReportTone::Mild,
        Some(LicenceFamily::StrongCopyleft) => ReportTone::Warn,
        Some(LicenceFamily::Unknown) => ReportTone::Bad,
        None => ReportTone::Muted,
    }
}

fn licensed(tally: &LicenceTally) -> usize {
    tally.projects.values().filter(|family| family.is_some()).count()
}

fn summary(tally: &LicenceTally) -> RichText {
    let all = tally.projects.len();
    if tally.licences.is_empty() {
        return "No licence was found. Without one the law allows reading at most: ask the owner before you copy, change \
                or pass on anything."
            .into();
    }
    RichText::new().text(format!(
        "{} found in {} of {}. A document that offers a choice counts by its most permissive licence, one under several \
         at once by the strictest. This is a first orientation, not legal advice.",
        words::count(tally.licences.len(), "licence was", "licences were"),
        words::number(licensed(tally) as u64),
        words::count(all, "top-level folder", "top-level folders"),
    ))
}

fn families(tally: &LicenceTally) -> ReportChart {
    let datum = |(family, count): (&LicenceFamily, &u32)| ChartDatum {
        label: family.name().into(),
        value: u64::from(*count),
        shown: words::number(u64::from(*count)),
        tone: tone(Some(*family)),
    };
    ReportChart {
        shape: ChartShape::Share,
        caption: "Documents with a licence, by what it asks",
        head: ["Family", "Documents"],
        data: tally.families.iter().map(datum).collect(),
        note: String::new(),
    }
}

fn permissions(tally: &LicenceTally) -> ReportTable {
    let row = |family: &LicenceFamily| vec![RichText::from(family.name()), family.permits().into()];
    ReportTable {
        caption: "What you may do",
        head: vec!["Family", "In short"],
        rows: tally.families.keys().map(row).collect(),
        note: String::new(),
    }
}

fn licences(tally: &LicenceTally) -> ReportChart {
    let mut ranked: Vec<(&String, u32)> = tally.licences.iter().map(|(spdx, count)| (spdx, *count)).collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let datum = |(spdx, count): &(&String, u32)| ChartDatum {
        label: RichText::new().code(spdx),
        value: u64::from(*count),
        shown: words::number(u64::from(*count)),
        tone: tone(Some(family(spdx))),
    };
    ReportChart {
        shape: ChartShape::Bars,
        caption: "Licences found",
        head: ["Licence", "Documents"],
        data: ranked.iter().take(MAX_LICENCES).map(datum).collect(),
        note: words::rest(ranked.len(), MAX_LICENCES, "licence", "licences"),
    }
}

fn folders(sources: &ReportSources, tally: &LicenceTally) -> ReportChart {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for row in sources.read_documents() {
        *sizes.entry(project(&row.path)).or_default() += row.bytes;
    }
    let mut ranked: Vec<(&str, u64)> = sizes.into_iter().filter(|(_, size)| *size > 0).collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let datum = |(folder, size): &(&str, u64)| ChartDatum {
        label: RichText::new().code(folder),
        value: *size,
        shown: words::bytes(*size),
        tone: tone(tally.projects.get(*folder).copied().flatten()),
    };
    ReportChart {
        shape: ChartShape::Treemap,
        caption: "Folders by size of their documents, in the colour of their strictest licence (grey: none)",
        head: ["Folder", "Size"],
        data: ranked.iter().take(MAX_TILES).map(datum).collect(),
        note: words::rest(ranked.len(), MAX_TILES, "smaller folder", "smaller folders"),
    }
}

fn unlicensed(tally: &LicenceTally) -> ReportTable {
    let row = |folder: &String| {
        let name =
            if folder == "." { RichText::from("(files in no folder)") } else { RichText::new().code(folder) };
        vec![name]
    };
    ReportTable {
        caption: "No licence found",
        head: vec!["Folder"],
        rows: tally.unlicensed.iter().take(MAX_UNLICENSED).map(row).collect(),
        note: words::rest(tally.unlicensed.len(), MAX_UNLICENSED, "folder", "folders"),
    }
}

fn standouts(tally: &LicenceTally) -> Vec<StandoutLine> {
    let mut lines = Vec::new();
    let all = tally.projects.len() as u64;
    if tally.licences.is_empty() {
        lines.push(StandoutLine::new(
            65,
            "No licence was found anywhere, so no permission to use it can be assumed.".into(),
        ));
        return lines;
    }
    if let Some(first) = tally.unlicensed.first() {
        let text = RichText::new()
            .text(format!(
                "{} of {} carry no licence, such as ",
                words::number(tally.unlicensed.len() as u64),
                words::count(tally.projects.len(), "top-level folder", "top-level folders"),
            ))
            .code(first)
            .text(".");
        lines.push(StandoutLine::new(75, text));
    }
    let strict: Vec<&String> = tally
        .projects
        .iter()
        .filter(|(_, f)| **f == Some(LicenceFamily::StrongCopyleft))
        .map(|(name, _)| name)
        .collect();
    if let Some(first) = strict.first() {
        let folders = words::count(strict.len(), "folder is", "folders are");
        let text =
            RichText::new().text(format!("{folders} under strong copyleft, such as ")).code(first).text(".");
        lines.push(StandoutLine::new(72, text));
    }
    let free =
        |family: &Option<LicenceFamily>| family.is_some_and(|family| family <= LicenceFamily::Permissive);
    let easy = tally.projects.values().filter(|family| free(family)).count() as u64;
    let most = tally.licences.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    if let Some((spdx, count)) = most {
        let text = RichText::new()
            .text(format!(
                "{} of the top-level folders ask for no more than a notice; the commonest licence is ",
                words::percent(easy, all)
            ))
            .code(spdx)
            .text(format!(", in {}.", words::count(*count as usize, "document", "documents")));
        lines.push(StandoutLine::new(40, text));
    }
    lines
}
