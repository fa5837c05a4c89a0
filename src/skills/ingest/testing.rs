//! Shared by the tests of several steps: rows, and a run's folder with them.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::formats::{self, CleanRow};
use super::output;
use crate::{StepContext, StepControl};

/// A cleaned Markdown document titled by path.
pub(super) fn clean_row(doc_id: u32, path: &str, text: &str) -> CleanRow {
    CleanRow {
        doc_id,
        path: path.to_owned(),
        kind: "markdown".to_owned(),
        title: path.to_owned(),
        text: text.to_owned(),
        repairs: Vec::new(),
        duplicate_of: None,
    }
}

/// A fresh run's folder with `rows` as its CLEAN table. The folder is deleted with the handle.
pub(super) fn step_with(rows: &[CleanRow], threads: usize) -> (TempDir, StepContext) {
    let folder = tempfile::tempdir().unwrap();
    let step =
        StepContext::new(folder.path().to_owned(), Value::Null, threads, Arc::new(StepControl::default()));
    output::write_rows(&step, formats::CLEAN, "clean", rows).unwrap();
    (folder, step)
}
