//! The step of the embed-indexer: CLEAN rows in, a tantivy index in the run's `index` folder out.
//!
//! Exact copies are skipped: a search names each text once, and the graph and the report know the copies. A near
//! copy is kept, for the words that only it has. The
//! index is built in a hidden sibling folder by one writer thread with the least budget that tantivy takes,
//! merged into one segment, and renamed when whole; a folder of an earlier attempt steps aside first.
//! Invariant: a folder named `index` is complete. The bytes carry random segment names, so the artifact's
//! hash is that of the logical content: version, then doc_id, path, title and text of each document, in
//! order. No state outlives the step.

mod schema;
mod search;
mod words;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::json;
use tantivy::indexer::NoMergePolicy;
use tantivy::{Index, IndexWriter, TantivyDocument, TantivyError};

pub use search::{
    HitSnippet, MAX_HITS, MAX_QUERY_BYTES, SEARCHABLE_FIELDS, SearchError, SearchHit, SearchResults, search,
};

use self::schema::IndexFields;
use super::formats::{self, CleanRow};
use super::output;
use crate::{SkillError, StepContext, StepOutcome};
use pas_domain::artifact::Artifact;

/// tantivy refuses less than 15 MB for a writer thread (`MEMORY_BUDGET_NUM_BYTES_MIN`).
const WRITER_BUDGET_BYTES: usize = 15_000_000;
/// Part of the logical hash: a change of the schema changes the hash.
const SCHEMA_VERSION: &str = "pas-index-4";
/// Media type of the folder.
const MEDIA_TYPE: &str = "application/x-tantivy";

/// Indexes every document that is no exact copy of another.
///
/// Outputs: `documents`, `terms` (distinct stems of the body), `bytes` (of the folder), `text_bytes`.
///
/// # Errors
/// [`SkillError`] when CLEAN is missing or damaged, the disk refuses, or the step is stopped.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let mut documents: Vec<CleanRow> = output::read_rows(step, formats::CLEAN)?;
    documents.retain(|row| row.duplicate_of.as_ref().is_none_or(|copy| copy.how != "exact"));
    step.begin(documents.len() as u64, "indexing");
    let building = IndexBuild::start(step.run_dir())?;
    let terms = build(step, &building.folder, &documents)?;
    let bytes = folder_bytes(&building.folder).map_err(|error| disk("measure", &building.folder, &error))?;
    building.publish(&step.run_dir().join(formats::INDEX))?;
    let artifact = Artifact {
        path: formats::INDEX.to_owned(),
        kind: "index".to_owned(),
        media_type: MEDIA_TYPE.to_owned(),
        bytes,
        blake3: logical_hash(&documents),
        deterministic: true,
    };
    let text_bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    let outputs =
        json!({ "documents": documents.len(), "terms": terms, "bytes": bytes, "text_bytes": text_bytes });
    Ok(StepOutcome { artifacts: vec![artifact], outputs })
}

/// Writes the index; gives the number of distinct stems of the bodies.
fn build(step: &StepContext, folder: &Path, documents: &[CleanRow]) -> Result<u64, SkillError> {
    let fields = IndexFields::new();
    let refused = |error: &TantivyError| refused(folder, error);
    let index = Index::create_in_dir(folder, fields.schema.clone()).map_err(|error| refused(&error))?;
    words::register(&index);
    let mut writer: IndexWriter =
        index.writer_with_num_threads(1, WRITER_BUDGET_BYTES).map_err(|error| refused(&error))?;
    // Automatic merges would take segments away from the one merge at the end.
    writer.set_merge_policy(Box::new(NoMergePolicy));
    for document in documents {
        step.checkpoint()?;
        writer.add_document(row(&fields, document)).map_err(|error| refused(&error))?;
        step.advance(1);
    }
    writer.commit().map_err(|error| refused(&error))?;
    step.checkpoint()?;
    merge(&index, writer).map_err(|error| refused(&error))?;
    terms(&index, &fields).map_err(|error| refused(&error))
}

fn row(fields: &IndexFields, document: &CleanRow) -> TantivyDocument {
    let mut row = TantivyDocument::default();
    row.add_u64(fields.doc_id, u64::from(document.doc_id));
    row.add_text(fields.path, &document.path);
    row.add_text(fields.title, &document.title);
    row.add_text(fields.body, &document.text);
    row
}

/// One segment is the smallest and the fastest to open, and nothing will ever be added.
fn merge(index: &Index, mut writer: IndexWriter) -> tantivy::Result<()> {
    let segments = index.searchable_segment_ids()?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
    }
    writer.garbage_collect_files().wait()?;
    writer.wait_merging_threads()
}

fn terms(index: &Index, fields: &IndexFields) -> tantivy::Result<u64> {
    let searcher = index.reader()?.searcher();
    let mut terms = 0;
    for segment in searcher.segment_readers() {
        terms += segment.inverted_index(fields.body)?.terms().num_terms() as u64;
    }
    Ok(terms)
}

/// The hidden folder in which an index grows; deleted unless published.
struct IndexBuild {
    folder: PathBuf,
}

impl IndexBuild {
    fn start(run_dir: &Path) -> Result<Self, SkillError> {
        clear_leftovers(run_dir)?;
        let folder = run_dir.join(format!("{LEFTOVER_PREFIX}{:08x}.part", fastrand::u32(..)));
        fs::create_dir_all(&folder).map_err(|error| disk("create", &folder, &error))?;
        Ok(Self { folder })
    }

    /// Renames the finished folder to `target`. A crash between the two renames leaves no index and the step
    /// undone; repeating the step builds the index again.
    fn publish(self, target: &Path) -> Result<(), SkillError> {
        let moved = |what, error: &std::io::Error| disk(what, target, error);
        sync_files(&self.folder).map_err(|error| disk("sync", &self.folder, &error))?;
        let aside = self.folder.with_extension("old");
        let replaces = target.exists();
        if replaces {
            fs::rename(target, &aside).map_err(|error| moved("replace", &error))?;
        }
        fs::rename(&self.folder, target).map_err(|error| moved("publish", &error))?;
        if let Some(parent) = target.parent() {
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| moved("sync", &error))?;
        }
        if replaces {
            fs::remove_dir_all(&aside).map_err(|error| disk("remove", &aside, &error))?;
        }
        Ok(())
    }
}

impl Drop for IndexBuild {
    fn drop(&mut self) {
        // After publishing nothing is there; otherwise the next attempt removes the rest.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How hidden folders of attempts begin.
const LEFTOVER_PREFIX: &str = ".index.";

/// Removes the remains of killed attempts.
fn clear_leftovers(run_dir: &Path) -> Result<(), SkillError> {
    let entries = fs::read_dir(run_dir).map_err(|error| disk("list", run_dir, &error))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(LEFTOVER_PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(|error| disk("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}

fn sync_files(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn logical_hash(documents: &[CleanRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(SCHEMA_VERSION.as_bytes());
    for document in documents {
        hasher.update(&document.doc_id.to_le_bytes());
        for text in [&document.path, &document.title, &document.text] {
            // The length first: where one text ends must not be open to reading.
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn disk(what: &str, path: &Path, error: &std::io::Error) -> SkillError {
    SkillError::io(format_args!("{what} {}", path.display()), error)
}

/// tantivy's errors hide the kind of an I/O error; a full disk is the likely one, so trying again may help.
fn refused(folder: &Path, error: &TantivyError) -> SkillError {
    SkillError::Transient(format!("build the index in {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests;
