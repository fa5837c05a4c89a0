//! The sources of the report: the earlier steps' files, as far as they exist.
//!
//! Invariant: an absent file (of a waived step) is `None` and never an empty table, so that a section can
//! distinguish "none found" from "not searched". Rows are read without the texts they carry.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ingest::formats::{
    AUDIT, AuditRow, AuditStatus, CHUNKS, CLEAN, COMPLIANCE, ComplianceReport, DOMAINS, DocumentDuplicate,
    DocumentGraph, DomainRow, GRAPH, INDEX,
};
use crate::ingest::output;
use crate::ingest::settings::IngestSettings;
use crate::{SkillError, StepContext};

/// Everything the earlier steps left.
#[derive(Debug)]
pub(super) struct ReportSources {
    /// The folder's name, if the card has one.
    pub(super) name: Option<String>,
    pub(super) audit: Option<Vec<AuditRow>>,
    pub(super) clean: Option<Vec<CleanedDocument>>,
    pub(super) chunks: Option<Vec<ChunkExtent>>,
    pub(super) domains: Option<Vec<DomainRow>>,
    pub(super) graph: Option<DocumentGraph>,
    pub(super) compliance: Option<ComplianceReport>,
    /// Whether there is a full-text index.
    pub(super) index: bool,
    /// The limits and thresholds of the run.
    pub(super) settings: IngestSettings,
}

/// A `CleanRow` without the text.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct CleanedDocument {
    pub(super) doc_id: u32,
    pub(super) path: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) repairs: Vec<String>,
    pub(super) duplicate_of: Option<DocumentDuplicate>,
}

/// A `ChunkRow` without the text.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ChunkExtent {
    pub(super) level: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl ReportSources {
    /// Reads the existing files.
    ///
    /// # Errors
    /// [`SkillError::Permanent`] for a file that is there and damaged, or a setting that makes no sense;
    /// [`SkillError::Cancelled`] on request.
    pub(super) fn read(step: &StepContext) -> Result<Self, SkillError> {
        Ok(Self {
            name: step.inputs().get("name").and_then(|name| name.as_str()).map(str::to_owned),
            audit: rows(step, AUDIT)?,
            clean: rows(step, CLEAN)?,
            chunks: rows(step, CHUNKS)?,
            domains: rows(step, DOMAINS)?,
            graph: value(step, GRAPH)?,
            compliance: value(step, COMPLIANCE)?,
            index: there(step, INDEX)?,
            settings: IngestSettings::of(step)?,
        })
    }

    /// The files that were read as text; empty without an audit.
    pub(super) fn read_documents(&self) -> impl Iterator<Item = &AuditRow> {
        self.audit.iter().flatten().filter(|row| row.status == AuditStatus::Ok)
    }

    /// Document → size in bytes; empty without an audit.
    pub(super) fn sizes(&self) -> HashMap<u32, u64> {
        self.audit.iter().flatten().map(|row| (row.doc_id, row.bytes)).collect()
    }
}

fn there(step: &StepContext, path: &str) -> Result<bool, SkillError> {
    step.checkpoint()?;
    let target = step.run_dir().join(path);
    target.try_exists().map_err(|error| SkillError::io(format_args!("look for {}", target.display()), &error))
}

fn rows<T: DeserializeOwned>(step: &StepContext, path: &str) -> Result<Option<Vec<T>>, SkillError> {
    if there(step, path)? { output::read_rows(step, path).map(Some) } else { Ok(None) }
}

fn value<T: DeserializeOwned>(step: &StepContext, path: &str) -> Result<Option<T>, SkillError> {
    if there(step, path)? { output::read_json(step, path).map(Some) } else { Ok(None) }
}
