//! EPUB: the chapters in the order of the book's spine. Links between chapters lead nowhere outside the book and are
//! left out; addresses are kept. A book without some of its chapters is read, and the chapters are named.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::archive::PartReader;
use super::xml::{self, XmlPiece};
use super::{DocumentWords, broken, too_large};
use crate::ingest::clean::markup::html_to_text;
use crate::ingest::percent;
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
    let mut unread: Vec<String> = Vec::new();
    for chapter in spine(&package, &listed)? {
        let path = within(folder, &chapter);
        let Some(page) = parts.text(&path)? else {
            unread.push(format!("{path}, which is missing"));
            continue;
        };
        match chapter_text(&page) {
            Some(chapter) => text.push_str(&chapter),
            None => unread.push(format!("{path}, which cannot be laid out")),
        }
        if text.len() as u64 > parts.limit() {
            return Err(too_large(parts.limit()));
        }
    }
    let left_out = match unread.as_slice() {
        [] => String::new(),
        [only] => format!("read without its chapter {only}"),
        [first, ..] => format!("read without {} of its chapters, such as {first}", unread.len()),
    };
    if text.is_empty() && !left_out.is_empty() {
        return Err(broken(&left_out.replacen("read without", "nothing could be read of", 1)));
    }
    Ok(DocumentWords { format: "epub", title, text, left_out })
}

/// The files of the chapters, each once, in reading order; a chapter that the list of files does not have goes by its
/// identifier.
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
    Ok(order.into_iter().map(|id| files.remove(&id).unwrap_or(id)).collect())
}

/// The path of a part in the archive that `href` in `folder` leads to.
fn within(folder: &str, href: &str) -> String {
    let href = percent::decoded(href.split('#').next().unwrap_or_default());
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

/// The words of a chapter; `None` when the page cannot be laid out.
fn chapter_text(page: &str) -> Option<String> {
    let (address, anchor) = (ADDRESS.as_ref()?, ANCHOR.as_ref()?);
    let addresses: BTreeSet<&str> = address
        .captures_iter(page)
        .filter_map(|captures| captures.get(1))
        .map(|found| found.as_str())
        .collect();
    let mut text = html_to_text(&anchor.replace_all(page, ""))?;
    text.push_str("\n\n");
    for address in addresses {
        text.push_str(&format!("<{}>\n\n", address.replace("&amp;", "&")));
    }
    Some(text)
}
