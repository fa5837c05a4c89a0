//! The step of the domain classifier: CLEAN rows in, one [`DomainRow`] for each document out.
//!
//! Owns [`DomainClassifier`], which is pure and also answers single questions, and the step around the
//! classifier. Documents that repeat an earlier one are skipped. Invariant: rows are in the order of `doc_id`
//! and their numbers rounded to 4 places, so neither threads nor the platform's `exp` change a byte.

mod classifier;
mod domain;
mod lexicon;
mod subject;
mod words;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

pub use classifier::DomainClassifier;
pub use domain::{KnowledgeDomain, UnknownDomain};

use super::formats::{self, CleanRow, DomainRow};
use super::output;
use crate::{SkillError, StepContext, StepOutcome};

/// How many of the domains a row names.
const TOP: usize = 3;

/// Classifies every document that is no duplicate.
///
/// Outputs: `documents`, `domains` (name → documents), `mean_confidence`, `unsure` (documents under
/// one half).
///
/// # Errors
/// [`SkillError`] when CLEAN is missing or damaged, the disk refuses, or the step is stopped.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let mut documents: Vec<CleanRow> = output::read_rows(step, formats::CLEAN)?;
    documents.retain(|row| row.duplicate_of.is_none());
    step.begin(documents.len() as u64, "classifying");
    let rows = super::parallel::in_pool(step, || {
        documents.par_iter().map(|document| classify(step, document)).collect::<Result<Vec<_>, _>>()
    })?;
    let artifact = output::write_rows(step, formats::DOMAINS, "domains", &rows)?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs: summary(&rows) })
}

fn classify(step: &StepContext, document: &CleanRow) -> Result<DomainRow, SkillError> {
    step.checkpoint()?;
    let ranked = DomainClassifier::embedded().classify_document(&subject::subject(document));
    let top: Vec<_> =
        ranked.iter().take(TOP).map(|(domain, share)| (domain.name().to_owned(), rounded(*share))).collect();
    step.advance(1);
    let (domain, confidence) = top.first().cloned().unwrap_or_default();
    Ok(DomainRow { doc_id: document.doc_id, path: document.path.clone(), domain, confidence, top })
}

fn rounded(share: f32) -> f32 {
    (share * 10_000.0).round() / 10_000.0
}

fn summary(rows: &[DomainRow]) -> serde_json::Value {
    let mut domains: BTreeMap<&str, u32> = BTreeMap::new();
    for row in rows {
        *domains.entry(&row.domain).or_default() += 1;
    }
    let sum: f64 = rows.iter().map(|row| f64::from(row.confidence)).sum();
    let mean = sum / rows.len().max(1) as f64;
    json!({
        "documents": rows.len(),
        "domains": domains,
        "mean_confidence": (mean * 1_000.0).round() / 1_000.0,
        "unsure": rows.iter().filter(|row| row.confidence < 0.5).count(),
    })
}

#[cfg(test)]
mod tests;
