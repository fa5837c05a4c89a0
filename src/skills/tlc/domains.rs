//! The domain of a question, with the caller's documents as further evidence.

use crate::ingest::classify::{DomainClassifier, KnowledgeDomain};

/// How much the question counts against all documents together, before confidence is considered: the question
/// states the need, the documents only the setting.
const QUESTION_WEIGHT: f32 = 2.0;

/// All 21 domains with their probabilities, most likely first.
///
/// With documents the result is a mixture, `Σ w·p / Σ w`: `w` is the confidence (greatest probability) of
/// each part's own classification, doubled for the question, shared among the documents. So a clear question
/// keeps its domain, and an unclear one takes the documents' domain.
#[must_use]
pub fn domains(question: &str, documents: &[String]) -> Vec<(KnowledgeDomain, f32)> {
    let classifier = DomainClassifier::embedded();
    let own = classifier.classify(question);
    if documents.is_empty() {
        return own;
    }
    let mut mixed = [0.0_f32; KnowledgeDomain::ALL.len()];
    let mut add = |ranked: &[(KnowledgeDomain, f32)], weight: f32| {
        let confidence = ranked.first().map_or(0.0, |(_, share)| *share);
        for (domain, share) in ranked {
            mixed[*domain as usize] += weight * confidence * share;
        }
    };
    add(&own, QUESTION_WEIGHT);
    let each = 1.0 / documents.len() as f32;
    documents.iter().for_each(|document| add(&classifier.classify(document), each));
    let sum: f32 = mixed.iter().sum();
    let mut ranked: Vec<_> =
        KnowledgeDomain::ALL.into_iter().map(|domain| (domain, mixed[domain as usize] / sum)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}
