//! The files between the steps of an ingest: their names (relative to the run's folder) and rows.
//!
//! All tables are JSON lines in the order of `doc_id`, which follows the sorted relative paths.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// [`AuditRow`] lines, one for every file met, read or not.
pub const AUDIT: &str = "audit/documents.jsonl";
/// [`CleanRow`] lines, one for every document whose text was kept (duplicates included).
pub const CLEAN: &str = "clean/documents.jsonl";
/// [`ChunkRow`] lines.
pub const CHUNKS: &str = "chunks/chunks.jsonl";
/// [`DomainRow`] lines.
pub const DOMAINS: &str = "domains/domains.jsonl";
/// One [`DocumentGraph`].
pub const GRAPH: &str = "graph/graph.json";
/// The folder of the full-text index.
pub const INDEX: &str = "index";
/// One [`ComplianceReport`].
pub const COMPLIANCE: &str = "compliance/compliance.json";
/// The text written by a model for the report, with its receipt; absent without one.
pub const SUMMARY: &str = "report/summary.json";
/// The report for people, as Markdown.
pub const REPORT_MD: &str = "report/report.md";
/// The report for people, as one self-contained page.
pub const REPORT_HTML: &str = "report/report.html";

/// The audit's row for one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Position in the sorted list of paths, from 0.
    pub doc_id: u32,
    /// Path relative to the source folder, `/`-separated; invalid UTF-8 is shown with U+FFFD.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Whether later steps read the file, or why not.
    pub status: AuditStatus,
    /// Why the file was skipped, or what of it could not be read; empty when read whole.
    #[serde(default)]
    pub reason: String,
    /// `text`, `markdown`, `html`, `code`, `config`, `licence`, `document`, `binary`, …
    pub kind: String,
    /// What the text was taken out of: `docx`, `odt`, `epub` or `gzip`; empty for plain text. Lines and columns are
    /// those of the text taken out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// WHATWG label of the file's encoding; empty when skipped.
    #[serde(default)]
    pub encoding: String,
    /// Bytes that the encoding could not decode.
    #[serde(default)]
    pub decode_errors: u64,
    /// ISO 639-3 code of the natural language, or empty when unsure.
    #[serde(default)]
    pub language: String,
    /// Licences found by text or SPDX tag.
    #[serde(default)]
    pub licences: Vec<LicenceHit>,
    /// Secrets and personal data, with their places.
    #[serde(default)]
    pub flags: Vec<AuditFlag>,
    /// BLAKE3 of the raw bytes in hexadecimal; empty when unreadable.
    #[serde(default)]
    pub blake3: String,
    /// The relative path's bytes in hexadecimal where `path` cannot show them (a name that is not
    /// UTF-8); empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub raw_path: String,
}

/// The audit's outcome for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditStatus {
    /// Read, and used by later steps.
    Ok,
    Binary,
    /// Larger than the limit, packed or unpacked.
    TooLarge,
    /// A document, or gzip data, that is damaged or encrypted.
    Broken,
    /// No right to read the file, or the disk refused.
    Unreadable,
    /// A link that leads to a folder above, out of the source, or nowhere; or to a folder of the source,
    /// whose files are listed under their own paths.
    BadLink,
    /// Was listed, then gone.
    Vanished,
    /// Holds keys by its nature: a file, or a folder whose files are not listed.
    Withheld,
    /// No bytes, or only white space.
    Empty,
}

/// A licence, with the confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LicenceHit {
    /// SPDX identifier or expression.
    pub spdx: String,
    /// 0 to 1; 1 for an SPDX tag.
    pub confidence: f32,
    /// `text`, `tag` or `manifest` (a licence field of a package manifest).
    pub by: String,
    /// The line that names it, or on which its text begins, from 1; 0 for the file as a whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub line: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A find in a document that a person should check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFlag {
    /// `secret` or `pii`.
    pub class: String,
    /// The kind: `aws_access_key`, `private_key`, `email`, `phone`, `credit_card`, `iban`, …
    pub kind: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The find with the middle masked: a flag never repeats the secret.
    pub masked: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanRow {
    /// As in the audit.
    pub doc_id: u32,
    /// As in the audit.
    pub path: String,
    /// As in the audit.
    pub kind: String,
    /// Title, from a heading or the file name.
    pub title: String,
    /// Unicode NFC, `\n` line ends, mojibake repaired, boilerplate cut.
    pub text: String,
    /// Repairs applied: `decoded:windows-1252`, `mojibake`, `nfc`, `line_ends`, `boilerplate:3`…
    pub repairs: Vec<String>,
    /// Set when the document repeats an earlier one; later steps pass over such a document.
    pub duplicate_of: Option<DocumentDuplicate>,
}

/// Which earlier document this one repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentDuplicate {
    pub doc_id: u32,
    /// `exact` (the same cleaned text) or `near`.
    pub how: String,
    /// Jaccard similarity of word shingles, 0 to 1.
    pub similarity: f32,
}

/// One chunk of a cleaned document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkRow {
    /// Stable: a function of path, level and text.
    pub chunk_id: String,
    pub doc_id: u32,
    /// `section`, `paragraph` or `sentence`.
    pub level: String,
    /// Position among the chunks of the same level in the document, from 0.
    pub ordinal: u32,
    /// The chunk one level up that contains this one.
    pub parent: Option<String>,
    /// Byte offset in the cleaned text.
    pub start: u64,
    /// Byte offset behind the end.
    pub end: u64,
    /// The heading above; empty without one.
    pub heading: String,
    /// Text: `cleaned.text[start..end]`.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainRow {
    pub doc_id: u32,
    pub path: String,
    /// The most likely domain: one of the 21 names of the contract.
    pub domain: String,
    /// 0 to 1.
    pub confidence: f32,
    /// The best three with their confidences, best first.
    pub top: Vec<(String, f32)>,
}

/// Documents and how they refer to one another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DocumentGraph {
    /// All documents that are no duplicates, by `doc_id`.
    pub nodes: Vec<GraphNode>,
    /// References, by (from, to, kind).
    pub edges: Vec<GraphEdge>,
    /// Addresses outside the folder: host → number of references.
    pub outside_hosts: BTreeMap<String, u32>,
    /// References to files that do not exist: (doc_id, target).
    pub broken: Vec<(u32, String)>,
    pub communities: Vec<GraphCommunity>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    pub doc_id: u32,
    pub path: String,
    /// Index into [`DocumentGraph::communities`].
    pub community: u32,
    /// PageRank, sums to 1.
    pub rank: f64,
}

/// A reference between two documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphEdge {
    pub from: u32,
    pub to: u32,
    /// `link` (a link by path), `mention` (names the other's file or project) or `similar` (near text).
    pub kind: String,
    /// How often, or how similar.
    pub weight: f64,
}

/// A group of documents that refer to each other more than to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphCommunity {
    /// Members, by `doc_id`.
    pub members: Vec<u32>,
    /// A few words that set the community apart.
    pub label: String,
}

/// The result of the compliance check.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ComplianceReport {
    /// `pass`, `attention` (a person should look) or `fail` (a likely secret, or a licence on the deny list).
    pub verdict: String,
    /// SPDX id → number of documents.
    pub licences: BTreeMap<String, u32>,
    /// Licence family (`permissive`, `weak copyleft`, `strong copyleft`, `public domain`, `unknown`) →
    /// documents.
    pub families: BTreeMap<String, u32>,
    /// Projects or top-level folders with no licence found.
    pub unlicensed: Vec<String>,
    pub findings: Vec<ComplianceFinding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComplianceFinding {
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// The rule, such as `secret.private_key` or `licence.strong_copyleft`.
    pub rule: String,
    /// Where: `path:line`, or a folder.
    pub place: String,
    /// The fault and the remedy, as a sentence.
    pub message: String,
}
