//! The cleaner-normaliser: decoded, repaired text of every readable document, and the duplicates.
//!
//! Owns `clean/documents.jsonl`. Invariants: the text of a row is a fixed point of [`normalise`]; licence
//! files lose no words. Failure policy: a file that vanished or changed since the audit is counted in the
//! outputs and skipped, and so is a file whose text vanishes in cleaning.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::json;

use super::audit::encoding::{self, DecodedText};
use super::blocks;
use super::documents::{self, ReadableContent};
use super::formats::{AUDIT, AuditRow, AuditStatus, CLEAN, CleanRow};
use super::output::{read_rows, write_rows};
use super::parallel::map_documents;
use super::settings::IngestSettings;
use super::source::IngestSource;
use crate::{SkillError, StepContext, StepOutcome};

mod boilerplate;
mod duplicates;
pub(super) mod markup;
mod nesting;
mod text;
mod title;

use duplicates::DocumentFingerprint;

/// Passes of the repairs before giving up on a fixed point; real texts need two, and only texts made
/// to nest repairs need more.
const MAX_PASSES: usize = 12;

/// Passes over the documents, for the progress: cleaning, repeated paragraphs, fingerprints, duplicates.
const COUNTED_PASSES: u64 = 4;

/// Repairs applied to a text, with counts (shown for cuts only).
type RepairCounts = BTreeMap<String, usize>;

/// Gives the repaired text, or nothing when there is nothing to repair.
type RepairFn = fn(&str) -> Option<String>;

/// A document in the middle of the step.
struct CleanDraft {
    row: CleanRow,
    repairs: RepairCounts,
    paragraphs: HashSet<u64>,
    exact: blake3::Hash,
}

/// Cleans the audited documents of the card's `source` and finds duplicates among them.
///
/// # Errors
/// [`SkillError::Permanent`] when source or audit is missing or damaged; [`SkillError::Cancelled`];
/// I/O errors of the output.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let source = IngestSource::open(step)?;
    let mut audited: Vec<AuditRow> = read_rows(step, AUDIT)?;
    audited.retain(|row| row.status == AuditStatus::Ok);
    step.begin(audited.len() as u64 * COUNTED_PASSES, "cleaning");
    let cleaned = map_documents(step, &audited, |row| Ok(clean(&source, row)))?;
    let mut missed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut drafts = Vec::with_capacity(cleaned.len());
    for document in cleaned {
        match document {
            Ok(draft) => drafts.push(draft),
            Err(why) => *missed.entry(why).or_insert(0) += 1,
        }
    }
    let settings = IngestSettings::of(step)?;
    let mut rows = cut_boilerplate(step, &drafts, settings.boilerplate_percent)?;
    mark_duplicates(step, &mut rows, settings.near_duplicate_percent)?;
    let outputs = summary(&rows, &missed);
    let artifact = write_rows(step, CLEAN, "clean", &rows)?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs })
}

/// Reads and cleans one document, or says why it is skipped.
fn clean(source: &IngestSource, row: &AuditRow) -> Result<CleanDraft, &'static str> {
    let bytes = source.read(&IngestSource::path_of(row)).map_err(|(status, _)| match status {
        AuditStatus::Vanished => "vanished",
        _ => "unreadable",
    })?;
    if blake3::hash(&bytes).to_hex().as_str() != row.blake3 {
        return Err("changed");
    }
    let mut repairs = RepairCounts::new();
    let (decoded, own_title) = decoded(source, row, &bytes)?;
    if row.encoding != "UTF-8" {
        repairs.insert(format!("decoded:{}", row.encoding), 0);
    }
    if !row.format.is_empty() {
        repairs.insert(format!("taken_out:{}", row.format), 0);
    }
    if decoded.bom {
        repairs.insert("bom".into(), 0);
    }
    let title = (row.kind == "html").then(|| title::of_page(&decoded.text)).flatten().unwrap_or(own_title);
    let rendered = (row.kind == "html").then(|| markup::html_to_text(&decoded.text)).flatten();
    if rendered.is_some() {
        repairs.insert("html".into(), 0);
    }
    let text = normalise(&row.kind, rendered.unwrap_or(decoded.text), &mut repairs);
    if text.is_empty() {
        return Err("nothing_left");
    }
    Ok(CleanDraft {
        paragraphs: boilerplate::paragraphs(&row.kind, &text),
        exact: blake3::hash(text.as_bytes()),
        row: CleanRow {
            doc_id: row.doc_id,
            path: row.path.clone(),
            kind: row.kind.clone(),
            title,
            text,
            repairs: Vec::new(),
            duplicate_of: None,
        },
        repairs,
    })
}

/// The text of a file as the audit found it, and the title that a document gives itself.
fn decoded(
    source: &IngestSource,
    row: &AuditRow,
    bytes: &[u8],
) -> Result<(DecodedText, String), &'static str> {
    if row.format.is_empty() {
        let decoded = encoding::decode(bytes, &row.encoding).ok_or("unknown_encoding")?;
        return Ok((decoded, String::new()));
    }
    let path = IngestSource::path_of(row);
    let content = documents::read(&path, bytes, source.reading()).map_err(|_| "unreadable")?;
    let ReadableContent { text, label, errors, bom, title, .. } = content;
    Ok((DecodedText { text, label, errors, bom }, title::short(&title).unwrap_or_default()))
}

/// Applies all repairs until nothing changes any more, and notes which did something.
fn normalise(kind: &str, text: String, repairs: &mut RepairCounts) -> String {
    let mut text = text;
    for _ in 0..MAX_PASSES {
        let next = pass(kind, &text, repairs);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn pass(kind: &str, text: &str, repairs: &mut RepairCounts) -> String {
    let mut current = text.to_owned();
    let steps: [(&str, RepairFn); 5] = [
        ("line_ends", text::line_ends),
        ("overstrike", text::overstrike),
        ("mojibake", text::mojibake),
        ("invisible", text::invisible),
        ("nfc", text::nfc),
    ];
    for (name, repair) in steps {
        if let Some(next) = repair(&current) {
            repairs.entry(name.to_owned()).or_insert(0);
            current = next;
        }
    }
    // A document's text has no comments and badges: what looks like one is its words.
    if blocks::is_markdown(kind)
        && kind != documents::KIND
        && let Some((count, next)) = markup::cut(&current)
    {
        *repairs.entry("boilerplate".into()).or_insert(0) += count;
        current = next;
    }
    let spaced = text::spacing(&current);
    if spaced.trim_end_matches('\n') != current.trim_end_matches('\n') {
        repairs.entry("spacing".into()).or_insert(0);
    }
    spaced
}

/// Cuts text repeated in many documents, and completes the rows.
fn cut_boilerplate(
    step: &StepContext,
    drafts: &[CleanDraft],
    percent: u8,
) -> Result<Vec<CleanRow>, SkillError> {
    step.note("looking for repeated paragraphs");
    let mut repeats = boilerplate::ParagraphRepeats::default();
    let mut seen = HashSet::new();
    for draft in drafts {
        if seen.insert(draft.exact) {
            repeats.count(&draft.paragraphs);
        }
    }
    let least = boilerplate::least_documents(seen.len(), percent);
    map_documents(step, drafts, |draft| {
        let mut row = draft.row.clone();
        let mut repairs = draft.repairs.clone();
        if let Some((count, rest)) = repeats.cut(&row.kind, &row.text, least) {
            *repairs.entry("boilerplate".into()).or_insert(0) += count;
            row.text = normalise(&row.kind, rest, &mut repairs);
        }
        if row.title.is_empty() {
            row.title = title::of(&row.path, &row.kind, &row.text);
        }
        row.repairs = repairs
            .into_iter()
            .map(|(name, count)| if count > 0 { format!("{name}:{count}") } else { name })
            .collect();
        Ok(row)
    })
}

fn mark_duplicates(step: &StepContext, rows: &mut [CleanRow], percent: u8) -> Result<(), SkillError> {
    step.note("looking for duplicates");
    let prints = map_documents(step, rows, |row| Ok((row.doc_id, DocumentFingerprint::of(&row.text))))?;
    let found = duplicates::find(&prints, f64::from(percent) / 100.0, || {
        step.advance(1);
        step.checkpoint()
    })?;
    for (row, duplicate_of) in rows.iter_mut().zip(found) {
        row.duplicate_of = duplicate_of;
    }
    Ok(())
}

/// Counts for the card.
fn summary(rows: &[CleanRow], missed: &BTreeMap<&str, u64>) -> serde_json::Value {
    let mut repairs: BTreeMap<&str, u64> = BTreeMap::new();
    for repair in rows.iter().flat_map(|row| &row.repairs) {
        let whole = repair.starts_with("decoded:") || repair.starts_with("taken_out:");
        let name = if whole { repair } else { repair.split(':').next().unwrap_or(repair) };
        *repairs.entry(name).or_insert(0) += 1;
    }
    let copies =
        |how: &str| rows.iter().filter(|row| row.duplicate_of.as_ref().is_some_and(|d| d.how == how)).count();
    let originals: BTreeSet<u32> =
        rows.iter().filter_map(|row| Some(row.duplicate_of.as_ref()?.doc_id)).collect();
    json!({
        "documents": rows.len(),
        "bytes": rows.iter().map(|row| row.text.len() as u64).sum::<u64>(),
        "skipped": missed,
        "repairs": repairs,
        "duplicates": { "exact": copies("exact"), "near": copies("near"), "groups": originals.len() },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cleaning_is_idempotent(
            text in "(?s)(?:[\\PC\r\n\t\u{0}\u{200b}\u{200d}]|Ã|©|Â|â€|\u{301}|<!--|-->|```\n|# ){0,120}",
            kind in prop::sample::select(vec!["markdown", "text", "licence", "code"]),
        ) {
            let once = normalise(kind, text, &mut RepairCounts::new());
            let twice = normalise(kind, once.clone(), &mut RepairCounts::new());
            prop_assert_eq!(twice, once);
        }
    }

    #[test]
    fn repairs_are_named() {
        let named = |text: &str| {
            let mut repairs = RepairCounts::new();
            let text = normalise("markdown", text.into(), &mut repairs);
            (text, repairs.into_keys().collect::<Vec<_>>())
        };
        let (text, names) = named("<!-- x -->\r\nCafe\u{301} \u{200b}bar  \r\n");
        assert_eq!(text, "Café bar\n");
        assert_eq!(names, ["boilerplate", "invisible", "line_ends", "nfc", "spacing"]);
        assert_eq!(named("Ã¼ber"), ("über\n".into(), vec!["mojibake".into()]));
    }
}
