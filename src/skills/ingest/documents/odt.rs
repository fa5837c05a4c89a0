//! ODT (OpenDocument text): the text of the body with its notes; deleted text and annotations are left out.

use super::archive::PartReader;
use super::flow::DocumentFlow;
use super::xml::{self, XmlElement, XmlPiece};
use super::{DocumentWords, broken};
use crate::ingest::source::FileTrouble;

/// Most spaces that one element stands for.
const MAX_SPACES: usize = 80;

pub(super) fn read(parts: &mut PartReader<'_>) -> Result<DocumentWords, FileTrouble> {
    const MANIFEST: &str = "META-INF/manifest.xml";
    if parts.text(MANIFEST)?.is_some_and(|manifest| manifest.contains("encryption-data")) {
        return Err(broken("it is encrypted"));
    }
    let text = body_text(&parts.needed("content.xml")?, parts.limit())?;
    let meta = parts.text("meta.xml")?;
    let title = meta.map(|meta| xml::first_text("meta.xml", &meta, "title")).transpose()?;
    Ok(DocumentWords { format: "odt", title: title.unwrap_or_default(), text, left_out: String::new() })
}

fn body_text(xml: &str, limit: u64) -> Result<String, FileTrouble> {
    let mut flow = DocumentFlow::new(limit);
    // Elements around the current place whose text is none of the document's.
    let (mut skipped, mut items) = (0_usize, 0_usize);
    xml::walk("content.xml", xml, |piece| match piece {
        XmlPiece::Start(element) => match element.name() {
            "tracked-changes" | "annotation" | "note-citation" | "automatic-styles" | "forms" => skipped += 1,
            _ if skipped > 0 => {}
            "list-item" => items += 1,
            name => begin(name, element, items > 0, &mut flow),
        },
        XmlPiece::End(name) => match name {
            "tracked-changes" | "annotation" | "note-citation" | "automatic-styles" | "forms" => {
                skipped = skipped.saturating_sub(1);
            }
            _ if skipped > 0 => {}
            "list-item" => items = items.saturating_sub(1),
            "h" | "p" => flow.end_paragraph(),
            "a" => flow.end_link(),
            "note-body" => flow.end_note(),
            "table-cell" => flow.end_cell(),
            "table-row" => flow.end_row(),
            "table" => flow.end_table(),
            _ => {}
        },
        // Line ends and runs of blanks are those of the file, not of the text.
        XmlPiece::Text(text) if skipped == 0 => flow.push(&text.replace(['\n', '\r', '\t'], " ")),
        XmlPiece::Text(_) => {}
    })?;
    flow.finish()
}

fn begin(name: &str, element: &XmlElement<'_>, in_list: bool, flow: &mut DocumentFlow) {
    match name {
        "h" => {
            flow.begin_paragraph();
            flow.heading(
                element.attribute("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1),
            );
        }
        "p" => {
            flow.begin_paragraph();
            if in_list {
                flow.list_item();
            }
        }
        "s" => {
            let count = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1);
            flow.push(&" ".repeat(MAX_SPACES.min(count)));
        }
        "tab" => flow.push("\t"),
        "line-break" => flow.push("\n"),
        "a" => {
            let target = element.attribute("href").unwrap_or_default();
            // Relative targets begin in the package, as if it were a folder.
            flow.begin_link(target.strip_prefix("../").unwrap_or(&target));
        }
        "note-body" => flow.begin_note(),
        "table" => flow.begin_table(),
        _ => {}
    }
}
