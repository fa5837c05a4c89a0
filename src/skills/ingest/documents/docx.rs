//! DOCX (Office Open XML): the text of the body, of foot- and endnotes; deleted text, the former place of moved text,
//! comments, headers and footers are left out.

use std::collections::BTreeMap;

use super::archive::PartReader;
use super::flow::DocumentFlow;
use super::xml::{self, XmlPiece};
use super::{DocumentWords, broken, unread};
use crate::ingest::source::FileTrouble;

/// Reads a document of Word; `None` where the archive is none of an office suite.
pub(super) fn read(parts: &mut PartReader<'_>) -> Result<Option<DocumentWords>, FileTrouble> {
    let Some(relations) = parts.text("_rels/.rels")? else { return Ok(None) };
    let targets = relations_of("_rels/.rels", &relations)?;
    let main = targets.values().find(|relation| relation.kind.ends_with("/officeDocument"));
    let Some(main) = main.map(|relation| relation.target.trim_start_matches('/').to_owned()) else {
        return Ok(None);
    };
    match main.split('/').next() {
        Some("xl") => return Err(unread("a spreadsheet")),
        Some("ppt") => return Err(unread("a presentation")),
        _ => {}
    }
    let (folder, name) = main.rsplit_once('/').unwrap_or(("", &main));
    let beside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let styles = match parts.text(&beside("styles.xml"))? {
        Some(styles) => levels_of_styles(&styles)?,
        None => BTreeMap::new(),
    };
    let mut flow = DocumentFlow::new(parts.limit());
    for (part, rels) in [
        (main.clone(), beside(&format!("_rels/{name}.rels"))),
        (beside("footnotes.xml"), beside("_rels/footnotes.xml.rels")),
        (beside("endnotes.xml"), beside("_rels/endnotes.xml.rels")),
    ] {
        let Some(body) = parts.text(&part)? else { continue };
        let links = match parts.text(&rels)? {
            Some(relations) => relations_of(&rels, &relations)?,
            None => BTreeMap::new(),
        };
        body_text(&part, &body, &styles, &links, &mut flow)?;
    }
    let text = flow.finish()?;
    if text.is_empty() && parts.text(&main)?.is_none() {
        return Err(broken(&format!("its part {main} is missing")));
    }
    let core = parts.text("docProps/core.xml")?;
    let title = core.map(|core| xml::first_text("docProps/core.xml", &core, "title")).transpose()?;
    Ok(Some(DocumentWords {
        format: "docx",
        title: title.unwrap_or_default(),
        text,
        left_out: String::new(),
    }))
}

/// The level of a style of lists.
const LIST: usize = 0;

struct PartRelation {
    kind: String,
    target: String,
}

fn relations_of(part: &str, xml: &str) -> Result<BTreeMap<String, PartRelation>, FileTrouble> {
    let mut relations = BTreeMap::new();
    xml::walk(part, xml, |piece| {
        if let XmlPiece::Start(element) = piece
            && element.name() == "Relationship"
            && let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
        {
            let kind = element.attribute("Type").unwrap_or_default();
            relations.insert(id, PartRelation { kind, target });
        }
    })?;
    Ok(relations)
}

/// The styles that are headings, with their levels, and those of lists. Their identifiers are words of the writer's
/// language; their names are not.
fn levels_of_styles(xml: &str) -> Result<BTreeMap<String, usize>, FileTrouble> {
    let mut styles = BTreeMap::new();
    let mut current = None;
    xml::walk("styles.xml", xml, |piece| {
        let XmlPiece::Start(element) = piece else { return };
        let value = || element.attribute("val").unwrap_or_default();
        let level = match element.name() {
            "style" => {
                current = element.attribute("styleId");
                None
            }
            "name" => match value().to_lowercase().as_str() {
                "title" => Some(1),
                name if name.starts_with("list ") => Some(LIST),
                name => name.strip_prefix("heading ").and_then(|level| level.parse().ok()),
            },
            "outlineLvl" => value().parse::<usize>().ok().filter(|level| *level < 9).map(|level| level + 1),
            _ => None,
        };
        if let (Some(style), Some(level)) = (&current, level) {
            styles.entry(style.clone()).or_insert(level);
        }
    })?;
    Ok(styles)
}

fn body_text(
    part: &str,
    xml: &str,
    styles: &BTreeMap<String, usize>,
    links: &BTreeMap<String, PartRelation>,
    flow: &mut DocumentFlow,
) -> Result<(), FileTrouble> {
    // Text counts in its own elements only; an alternative of the same content is skipped, and text that was moved
    // is read in its new place.
    let (mut in_text, mut skipped, mut in_tabs) = (false, 0_usize, false);
    xml::walk(part, xml, |piece| match piece {
        XmlPiece::Start(element) => match element.name() {
            "Fallback" | "moveFrom" => skipped += 1,
            _ if skipped > 0 => {}
            "p" => flow.begin_paragraph(),
            "pStyle" => match element.attribute("val").and_then(|style| styles.get(&style)) {
                Some(&LIST) => flow.list_item(),
                Some(level) => flow.heading(*level),
                None => {}
            },
            "numPr" => flow.list_item(),
            "t" => in_text = true,
            "tabs" => in_tabs = true,
            "tab" if !in_tabs => flow.push("\t"),
            "br" | "cr" => flow.push("\n"),
            "noBreakHyphen" => flow.push("-"),
            "hyperlink" => {
                let target = element.attribute("id").and_then(|id| links.get(&id));
                flow.begin_link(target.map_or("", |relation| &relation.target));
            }
            "tbl" => flow.begin_table(),
            _ => {}
        },
        XmlPiece::End(name) => match name {
            "Fallback" | "moveFrom" => skipped = skipped.saturating_sub(1),
            _ if skipped > 0 => {}
            "p" => flow.end_paragraph(),
            "t" => in_text = false,
            "tabs" => in_tabs = false,
            "hyperlink" => flow.end_link(),
            "tc" => flow.end_cell(),
            "tr" => flow.end_row(),
            "tbl" => flow.end_table(),
            _ => {}
        },
        XmlPiece::Text(text) if in_text && skipped == 0 => flow.push(text),
        XmlPiece::Text(_) => {}
    })
}
