//! EPUB: the chapters in the order of the book's spine. Links between chapters lead nowhere outside the book and are
//! left out; addresses are kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::archive::PartReader;
use super::xml::{self, XmlPiece};
use super::{DocumentWords, broken, too_large};
use crate::ingest::clean::markup::html_to_text;
use crate::ingest::source::FileTrouble;

static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)<a\b[^>]{0,400}?\bhref\s*=\s*["'](https?://[^"'\s<>]{1,2000})["']"#).ok()
});
static ANCHOR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)</?a\b[^>]*>").ok());

pub(super) fn read(parts: &mut PartReader<'_>) -> Result<DocumentWords, FileTrouble> {
    const CONTAINER: &str = "META-INF/container.xml";
    if parts.text("META-INF/encryption.xml")?.is_some_and(|listed| listed.contains("xhtml")) {
        return Err(broken("it is encrypted"));
    }
    let container = parts.needed(CONTAINER)?;
    let mut package = None;
    xml::walk(CONTAINER, &container, |piece| {
        if let XmlPiece::Start(element) = piece
            && element.name() == "rootfile"
            && package.is_none()
        {
            package = element.attribute("full-path");
        }
    })?;
    let package = package.ok_or_else(|| broken("its container names no package"))?;
    let listed = parts.needed(&package)?;
    let title = xml::first_text(&package, &listed, "title")?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut text = String::new();
    for chapter in spine(&package, &listed)? {
        let path = within(folder, &chapter);
        if let Some(page) = parts.text(&path)? {
            text.push_str(&chapter_text(&page));
            if text.len() as u64 > parts.limit() {
                return Err(too_large(parts.limit()));
            }
        }
    }
    Ok(DocumentWords { format: "epub", title, text })
}

/// The files of the chapters, each once, in reading order.
fn spine(part: &str, xml: &str) -> Result<Vec<String>, FileTrouble> {
    let mut files: HashMap<String, String> = HashMap::new();
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    xml::walk(part, xml, |piece| {
        let XmlPiece::Start(element) = piece else { return };
        match element.name() {
            "item" => {
                if let (Some(id), Some(file)) = (element.attribute("id"), element.attribute("href")) {
                    files.insert(id, file);
                }
            }
            "itemref" => order.extend(element.attribute("idref").filter(|id| seen.insert(id.clone()))),
            _ => {}
        }
    })?;
    Ok(order.iter().filter_map(|id| files.get(id).cloned()).collect())
}

/// The path of a part in the archive that `href` in `folder` leads to.
fn within(folder: &str, href: &str) -> String {
    let href = href.split('#').next().unwrap_or_default().replace("%20", " ");
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in href.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}

fn chapter_text(page: &str) -> String {
    let (Some(address), Some(anchor)) = (ADDRESS.as_ref(), ANCHOR.as_ref()) else { return String::new() };
    let addresses: BTreeSet<&str> = address
        .captures_iter(page)
        .filter_map(|captures| captures.get(1))
        .map(|found| found.as_str())
        .collect();
    let mut text = html_to_text(&anchor.replace_all(page, "")).unwrap_or_default();
    text.push_str("\n\n");
    for address in addresses {
        text.push_str(&format!("<{}>\n\n", address.replace("&amp;", "&")));
    }
    text
}
