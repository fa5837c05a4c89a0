//! Documents that are no plain text: their words, headings and links as Markdown, and their title.
//!
//! Read are DOCX, ODT and EPUB, all of them ZIP archives of XML, PDF, and whatever of these or of plain text is packed
//! by gzip. Not read: RTF, the older binary formats, spreadsheets and presentations. Invariants: at most `limit`
//! bytes are unpacked and written of one file, so that a small file cannot fill the memory; a reader's panic is a reason in the
//! file's row; the same bytes give the same text. Failure policy: a document that cannot be read is
//! [`AuditStatus::Broken`] or [`AuditStatus::TooLarge`], with the reason.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::audit::encoding::{self, FileContent};
use super::formats::AuditStatus;
use super::source::FileTrouble;

pub(super) mod apart;
mod archive;
mod docx;
mod epub;
mod flow;
mod odt;
mod pdf;
mod xml;

use archive::PartReader;

/// The kind of documents in audit rows.
pub(super) const KIND: &str = "document";

/// What a file holds for the later steps.
#[derive(Debug, PartialEq)]
pub(super) struct ReadableContent {
    pub(super) text: String,
    /// WHATWG name of the encoding that the bytes were in.
    pub(super) label: &'static str,
    /// Bytes that could not be decoded.
    pub(super) errors: u64,
    /// Whether a byte order mark was cut.
    pub(super) bom: bool,
    /// What the text was taken out of: `docx`, `odt`, `epub`, `pdf` or `gzip`; empty for plain text.
    pub(super) format: &'static str,
    /// The document's own title; empty where it has none.
    pub(super) title: String,
    /// What of the document could not be read, in words that follow its name; empty when it was read whole.
    pub(super) left_out: String,
    /// The path by which the kind is known: without `.gz`.
    pub(super) path: PathBuf,
}

impl ReadableContent {
    /// Whether the text was put together from a document, and is Markdown.
    pub(super) fn is_document(&self) -> bool {
        !matches!(self.format, "" | "gzip")
    }
}

/// The words of an unpacked document.
#[derive(Debug, PartialEq)]
struct DocumentWords {
    format: &'static str,
    title: String,
    text: String,
    left_out: String,
}

/// How documents are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadingRules<'a> {
    /// Most bytes that are unpacked of one file, and most of its words.
    pub(super) max_bytes: u64,
    /// The program that reads in a process of its own what must not be read in this one; else it stays unread.
    pub(super) program: Option<&'a Path>,
}

/// Reads a file's bytes, of any of the known forms.
///
/// # Errors
/// The status and reason of the row of a file that is none of them.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    rules: ReadingRules<'_>,
) -> Result<ReadableContent, FileTrouble> {
    if bytes.starts_with(GZIP) {
        let inner = unpack(bytes, rules.max_bytes)?;
        let path = inner_path(path);
        if inner.get(257..262) == Some(b"ustar") {
            return Err((AuditStatus::Binary, "a tar archive in gzip data".to_owned()));
        }
        let content = read_unpacked(&path, &inner, rules).map_err(|(status, reason)| {
            (status, if status == AuditStatus::Binary { format!("{reason} in gzip data") } else { reason })
        })?;
        let format = if content.format.is_empty() { "gzip" } else { content.format };
        return Ok(ReadableContent { format, path, ..content });
    }
    read_unpacked(path, bytes, rules)
}

const GZIP: &[u8] = b"\x1f\x8b";
const ZIP: &[u8] = b"PK\x03\x04";
const PDF: &[u8] = b"%PDF-";

/// The reason of a file on which its reader failed in a way of its own.
const READER_FAILED: &str = "its reader failed: the document is damaged, or of a form that PAS does not know";

fn read_unpacked(path: &Path, bytes: &[u8], rules: ReadingRules<'_>) -> Result<ReadableContent, FileTrouble> {
    if let Some(document) = words_of(path, bytes, rules)? {
        let DocumentWords { format, title, text, left_out } = document;
        let path = path.to_owned();
        return Ok(ReadableContent {
            text,
            label: "UTF-8",
            errors: 0,
            bom: false,
            format,
            title,
            left_out,
            path,
        });
    }
    match encoding::examine(bytes) {
        FileContent::Text(decoded) => Ok(ReadableContent {
            text: decoded.text,
            label: decoded.label,
            errors: decoded.errors,
            bom: decoded.bom,
            format: "",
            title: String::new(),
            left_out: String::new(),
            path: path.to_owned(),
        }),
        FileContent::Binary(what) => Err((AuditStatus::Binary, what.to_owned())),
    }
}

/// The words of a document; `None` for plain text and all else.
fn words_of(
    path: &Path,
    bytes: &[u8],
    rules: ReadingRules<'_>,
) -> Result<Option<DocumentWords>, FileTrouble> {
    match rules.program {
        _ if bytes.starts_with(ZIP) => guarded(|| open(path, bytes, rules.max_bytes)),
        Some(program) if bytes.starts_with(PDF) => apart::read(program, bytes, rules.max_bytes).map(Some),
        _ => Ok(None),
    }
}

/// Opens a ZIP archive that is a document; `None` for other archives.
fn open(path: &Path, bytes: &[u8], limit: u64) -> Result<Option<DocumentWords>, FileTrouble> {
    let mut parts = match PartReader::open(bytes, limit) {
        Ok(parts) => parts,
        Err(trouble) if has_extension(path, &["docx", "docm", "odt", "epub"]) => return Err(trouble),
        Err(_) => return Ok(None),
    };
    let declared = parts.text("mimetype")?.unwrap_or_default();
    match declared.trim() {
        kind if kind.starts_with("application/vnd.oasis.opendocument.text") => {
            odt::read(&mut parts).map(Some)
        }
        "application/epub+zip" => epub::read(&mut parts).map(Some),
        kind if kind.starts_with("application/vnd.oasis.opendocument.") => {
            Err(unread("an OpenDocument file other than a text"))
        }
        _ => docx::read(&mut parts),
    }
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension().is_some_and(|end| known.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Carries out a reader; its panic becomes a reason.
fn guarded<T>(read: impl FnOnce() -> Result<T, FileTrouble>) -> Result<T, FileTrouble> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(broken(READER_FAILED)))
}

fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>, FileTrouble> {
    let mut inner = Vec::new();
    let packed = flate2::read::MultiGzDecoder::new(bytes);
    packed
        .take(limit.saturating_add(1))
        .read_to_end(&mut inner)
        .map_err(|error| broken(&format!("damaged gzip data: {error}")))?;
    if inner.len() as u64 > limit { Err(too_large(limit)) } else { Ok(inner) }
}

/// `changelog.gz` is known as `changelog`.
fn inner_path(path: &Path) -> PathBuf {
    if has_extension(path, &["gz"]) { path.with_extension("") } else { path.to_owned() }
}

fn too_large(limit: u64) -> FileTrouble {
    (AuditStatus::TooLarge, format!("unpacks to more than the limit of {limit} bytes"))
}

fn broken(reason: &str) -> FileTrouble {
    (AuditStatus::Broken, reason.to_owned())
}

fn unread(what: &str) -> FileTrouble {
    (AuditStatus::Binary, format!("{what}, which is not read"))
}

#[cfg(test)]
pub(super) mod tests;
