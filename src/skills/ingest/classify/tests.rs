//! The classifier checked against labelled queries, and the step against its contract.
//!
//! `tests/data/domains.jsonl` (12 queries a domain) was written and committed before the lexicons and has
//! only been counted since: no word was added for one of these queries. `domains_dev.jsonl` (6 a domain) was
//! read while weights were set; one miss there made words of small talk count less. But one author wrote
//! queries and lexicons one after the other, and famous names occur in both. So the figure (0.988) detects
//! regressions but flatters: expect less from queries by others. `domain_queries.jsonl` (10 a domain) was
//! written by another who had not seen the lexicons, and `domain_heldout.jsonl` (5 a domain) later by the
//! same; nothing was tuned on either.

use serde::Deserialize;

use super::*;
use crate::ingest::testing::{clean_row, step_with};

/// Required top-1 accuracy on either set: a little below the current figure.
const FLOOR: f64 = 0.96;
/// The same for queries whose writer had not seen the lexicons.
const OTHERS_FLOOR: f64 = 0.85;

#[derive(Deserialize)]
struct LabelledQuery {
    domain: String,
    query: String,
}

fn labelled(text: &str) -> Vec<LabelledQuery> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Right answers and queries for each domain; prints the misses of the development set only.
fn tally(queries: &[LabelledQuery], show_misses: bool) -> BTreeMap<KnowledgeDomain, (usize, usize)> {
    let mut tally: BTreeMap<KnowledgeDomain, (usize, usize)> = BTreeMap::new();
    for LabelledQuery { domain, query } in queries {
        let expected: KnowledgeDomain = domain.parse().unwrap();
        let ranked = DomainClassifier::embedded().classify(query);
        let entry = tally.entry(expected).or_default();
        entry.0 += usize::from(ranked[0].0 == expected);
        entry.1 += 1;
        if show_misses && ranked[0].0 != expected {
            println!(
                "{expected}: {query} → {} {:.2}, {} {:.2}",
                ranked[0].0, ranked[0].1, ranked[1].0, ranked[1].1
            );
        }
    }
    tally
}

fn report(name: &str, queries: &[LabelledQuery], show_misses: bool) -> f64 {
    let tally = tally(queries, show_misses);
    for (domain, (right, all)) in &tally {
        println!("{domain:<24} {right:>3} of {all}");
    }
    let right: usize = tally.values().map(|(right, _)| right).sum();
    let accuracy = right as f64 / queries.len() as f64;
    let (confidence, loss) = calibration(queries);
    println!(
        "{name}: {right} of {} = {accuracy:.3}; mean confidence {confidence:.3}, log-loss {loss:.3}",
        queries.len()
    );
    accuracy
}

fn calibration(queries: &[LabelledQuery]) -> (f64, f64) {
    let (mut confidence, mut loss) = (0.0, 0.0);
    for LabelledQuery { domain, query } in queries {
        let expected: KnowledgeDomain = domain.parse().unwrap();
        let ranked = DomainClassifier::embedded().classify(query);
        confidence += f64::from(ranked[0].1);
        let share = ranked.iter().find(|(d, _)| *d == expected).unwrap().1;
        loss -= f64::from(share.max(1e-6)).ln();
    }
    (confidence / queries.len() as f64, loss / queries.len() as f64)
}

#[test]
fn unseen_queries_are_classified_above_the_floor() {
    let queries = labelled(include_str!("../../../../tests/data/domains.jsonl"));
    assert!(queries.len() >= 210);
    let accuracy = report("unseen", &queries, false);
    assert!(accuracy >= FLOOR, "{accuracy:.3} is under {FLOOR}");
}

#[test]
fn queries_by_another_writer_are_classified_above_the_floor() {
    let queries = labelled(include_str!("../../../../tests/data/domain_queries.jsonl"));
    assert!(queries.len() >= 210);
    let accuracy = report("another writer", &queries, true);
    assert!(accuracy >= OTHERS_FLOOR, "{accuracy:.3} is under {OTHERS_FLOOR}");
}

#[test]
fn held_out_queries_are_classified_above_the_floor() {
    let queries = labelled(include_str!("../../../../tests/data/domain_heldout.jsonl"));
    let accuracy = report("held out", &queries, false);
    assert!(accuracy >= OTHERS_FLOOR, "{accuracy:.3} is under {OTHERS_FLOOR}");
}

#[test]
fn development_queries_are_classified_above_the_floor() {
    let queries = labelled(include_str!("../../../../tests/data/domains_dev.jsonl"));
    let accuracy = report("development", &queries, true);
    assert!(accuracy >= FLOOR, "{accuracy:.3} is under {FLOOR}");
}

#[test]
fn the_step_skips_duplicates_and_writes_the_same_bytes_on_any_number_of_threads() {
    let mut rows: Vec<_> = (0..40)
        .map(|id| clean_row(id, &format!("doc-{id}.md"), "A crate for parsing JSON in Rust with serde."))
        .collect();
    rows[7].duplicate_of =
        Some(formats::DocumentDuplicate { doc_id: 0, how: "exact".to_owned(), similarity: 1.0 });
    let mut hashes = Vec::new();
    for threads in [1, 4] {
        let (_folder, step) = step_with(&rows, threads);
        let outcome = run(&step).unwrap();
        assert_eq!(outcome.outputs["documents"], 39);
        assert_eq!(outcome.outputs["domains"]["COMPUTER_SCIENCE"], 39);
        hashes.push(outcome.artifacts[0].blake3.clone());
    }
    assert_eq!(hashes[0], hashes[1]);
}
