//! The corpus auditor: one row per file of the source, read or not.
//!
//! Owns `audit/documents.jsonl`. Invariants: rows follow the path bytes; nothing but regular files inside the
//! source is opened; the text of a file is in memory only while the row is made. Documents that are no plain text are
//! read by [`super::documents`]. Failure policy: a file that
//! cannot be read is a row with the reason, never the end of the job.

use std::collections::BTreeMap;

use serde_json::json;

use super::documents;
use super::formats::{AUDIT, AuditRow, AuditStatus};
use super::output::write_rows;
use super::parallel::map_documents;
use super::source::{FileTrouble, IngestSource, ListedFile, shown};
use crate::{SkillError, StepContext, StepOutcome};

pub(super) mod encoding;
mod find;
mod flags;
mod kind;
mod language;
mod licences;
mod pii;
mod secrets;

use licences::LicenceTexts;

/// A row, and the number of flags dropped by the cap.
struct AuditedFile {
    row: AuditRow,
    flags_not_listed: u64,
}

/// Audits the card's `source` (a folder or a file).
///
/// # Errors
/// [`SkillError::Permanent`] when the source is missing or unreadable, or an input is invalid;
/// [`SkillError::Cancelled`]; I/O errors of the output.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let source = IngestSource::open(step)?;
    step.begin(0, "listing files");
    let found = source.list(step)?;
    step.begin(found.len() as u64, "reading files");
    let texts = LicenceTexts::default();
    let mut audited = map_documents(step, &found, |found| audit(&source, found, &texts))?;
    for (number, document) in audited.iter_mut().enumerate() {
        document.row.doc_id = u32::try_from(number).map_err(|_| {
            SkillError::Permanent(format!("the source holds {} files: split it", found.len()))
        })?;
    }
    let outputs = summary(&audited);
    let artifact = write_rows(step, AUDIT, "audit", audited.iter().map(|document| &document.row))?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs })
}

fn audit(source: &IngestSource, found: &ListedFile, texts: &LicenceTexts) -> Result<AuditedFile, SkillError> {
    let mut row = blank(found);
    let bytes = match found.state.clone().and_then(|_| source.read(&found.relative)) {
        Ok(bytes) => bytes,
        Err(trouble) => return Ok(skipped(row, trouble)),
    };
    row.bytes = bytes.len() as u64;
    row.blake3 = blake3::hash(&bytes).to_hex().to_string();
    let content = match documents::read(&found.relative, &bytes, source.reading()) {
        Ok(content) => content,
        Err(trouble) => return Ok(skipped(row, trouble)),
    };
    let text = content.text.as_str();
    if text.trim().is_empty() {
        let reason =
            if content.is_document() { "a document without text" } else { "contains only white space" };
        return Ok(skipped(row, (AuditStatus::Empty, reason.to_owned())));
    }
    content.label.clone_into(&mut row.encoding);
    content.format.clone_into(&mut row.format);
    content.left_out.clone_into(&mut row.reason);
    row.decode_errors = content.errors;
    let kind = if content.is_document() { documents::KIND } else { kind::of(&content.path, text) };
    kind.clone_into(&mut row.kind);
    language::of(text, kind).clone_into(&mut row.language);
    row.licences = licences::of(&content.path, kind, text, texts)?;
    let (flags, flags_not_listed) = flags::of(&content.path, text);
    row.flags = flags;
    Ok(AuditedFile { row, flags_not_listed })
}

fn blank(found: &ListedFile) -> AuditRow {
    let (path, raw_path) = shown(&found.relative);
    AuditRow {
        doc_id: 0,
        path,
        bytes: *found.state.as_ref().unwrap_or(&0),
        status: AuditStatus::Ok,
        reason: String::new(),
        kind: String::new(),
        format: String::new(),
        encoding: String::new(),
        decode_errors: 0,
        language: String::new(),
        licences: Vec::new(),
        flags: Vec::new(),
        blake3: String::new(),
        raw_path,
    }
}

fn skipped(mut row: AuditRow, (status, reason): FileTrouble) -> AuditedFile {
    row.status = status;
    row.reason = reason;
    row.kind = if status == AuditStatus::Binary { "binary" } else { "unread" }.to_owned();
    AuditedFile { row, flags_not_listed: 0 }
}

/// Counts for the card: documents by status, language, encoding, kind, licence and flag.
fn summary(audited: &[AuditedFile]) -> serde_json::Value {
    let mut skipped = BTreeMap::new();
    let mut counts: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let names = ["kinds", "formats", "languages", "encodings", "licences", "flags"];
    counts.extend(names.map(|name| (name, BTreeMap::new())));
    let mut count = |table: &'static str, key: String| {
        *counts.entry(table).or_default().entry(key).or_insert(0) += 1;
    };
    let (mut read, mut bytes_read) = (0_u64, 0);
    for AuditedFile { row, .. } in audited {
        if row.status != AuditStatus::Ok {
            *skipped.entry(row.status).or_insert(0_u64) += 1;
            continue;
        }
        read += 1;
        bytes_read += row.bytes;
        count("kinds", row.kind.clone());
        count("encodings", row.encoding.clone());
        if !row.format.is_empty() {
            count("formats", row.format.clone());
        }
        if !row.language.is_empty() {
            count("languages", row.language.clone());
        }
        row.licences.iter().for_each(|hit| count("licences", hit.spdx.clone()));
        row.flags.iter().for_each(|flag| count("flags", format!("{}/{}", flag.class, flag.kind)));
    }
    json!({
        "files": audited.len(),
        "bytes": audited.iter().map(|document| document.row.bytes).sum::<u64>(),
        "read": read,
        "bytes_read": bytes_read,
        "skipped": skipped,
        "kinds": counts["kinds"],
        "formats": counts["formats"],
        "languages": counts["languages"],
        "encodings": counts["encodings"],
        "licences": counts["licences"],
        "flags": counts["flags"],
        "flags_not_listed": audited.iter().map(|document| document.flags_not_listed).sum::<u64>(),
    })
}
