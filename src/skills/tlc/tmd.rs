//! Task and method of a question, by rules: each matching pattern adds its weight; softmax gives the shares.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::domains::domains;
use super::rules::{self, LabelSign};
use crate::ingest::classify::KnowledgeDomain;

/// Most bytes of a question considered: the request is in the first and last sentences, and a longer text is
/// a document.
const MAX_BYTES: usize = 16 * 1024;

/// The use of the search results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueryTask {
    /// Show the documents themselves.
    Retrieve,
    /// Answer a question from them.
    Answer,
    /// Say whether a statement is true.
    Verify,
    /// Compare two or more things.
    Compare,
    /// Summarise.
    Summarize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RetrievalMethod {
    /// By meaning (embeddings): the question describes, and names nothing.
    Dense,
    /// By words (BM25): identifiers, quotations, one fact of a named thing.
    Sparse,
    /// By both: named things and a matter of meaning about them.
    Hybrid,
    /// Along relations: membership, dependency, connection.
    Graph,
}

/// Task, method and domain of a question, each with its confidence (0 to 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryTmd {
    pub task: (QueryTask, f32),
    pub method: (RetrievalMethod, f32),
    pub domain: (KnowledgeDomain, f32),
}

/// Task, method and domain. A `hint` is the method, and sure; documents count for the domain alone.
#[must_use]
pub fn extract(question: &str, documents: &[String], hint: Option<RetrievalMethod>) -> QueryTmd {
    let head = question[..question.floor_char_boundary(MAX_BYTES)].trim();
    let domain = domains(question, documents).first().copied().unwrap_or((KnowledgeDomain::Other, 0.0));
    QueryTmd { task: task(head), method: hint.map_or_else(|| method(head), |hint| (hint, 1.0)), domain }
}

static TASKS: LazyLock<Vec<LabelSign<QueryTask>>> = LazyLock::new(|| rules::signs(rules::TASKS));
static METHODS: LazyLock<Vec<LabelSign<RetrievalMethod>>> = LazyLock::new(|| rules::signs(rules::METHODS));
static IDENTIFIER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(rules::IDENTIFIER).ok());
static CONCEPT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(rules::CONCEPT).ok());

fn task(text: &str) -> (QueryTask, f32) {
    best(&[(QueryTask::Answer, rules::ANSWER_BIAS)], found(&TASKS, text))
}

fn method(text: &str) -> (RetrievalMethod, f32) {
    let count = |pattern: &Option<Regex>| {
        pattern.as_ref().map_or(0, |p| p.find_iter(text.as_bytes()).take(3).count())
    };
    let (identifiers, concepts, names) = (count(&IDENTIFIER), count(&CONCEPT), names(text).min(3));
    let start = [
        (RetrievalMethod::Dense, rules::dense(identifiers, names)),
        (RetrievalMethod::Sparse, rules::sparse(identifiers, names, concepts)),
        (RetrievalMethod::Hybrid, rules::hybrid(identifiers, names, concepts)),
    ];
    best(&start, found(&METHODS, text))
}

fn found<L: Copy>(signs: &[LabelSign<L>], text: &str) -> impl Iterator<Item = (L, f32)> {
    let bytes = text.as_bytes();
    signs.iter().filter(move |sign| sign.pattern.is_match(bytes)).map(|sign| (sign.label, sign.weight))
}

/// Words written with a capital although no sentence begins with them, and years: named things.
fn names(text: &str) -> usize {
    let mut begins = true;
    let mut count = 0;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = bare.chars().next().is_some_and(char::is_uppercase);
        let year = bare.len() == 4 && bare.parse().is_ok_and(|year: u16| (1000..2100).contains(&year));
        if (capital && !begins && bare != "I") || year {
            count += 1;
        }
        begins = word.ends_with(['.', '?', '!', ':']);
    }
    count
}

/// The label with the greatest sum, and that label's share in a softmax over all labels with one.
fn best<L: Copy + PartialEq>(start: &[(L, f32)], found: impl Iterator<Item = (L, f32)>) -> (L, f32) {
    let mut sums = start.to_vec();
    for (label, weight) in found {
        match sums.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((label, weight)),
        }
    }
    // The first of equals, so that the order of the tables decides.
    let top = sums[1..].iter().fold(sums[0], |best, next| if next.1 > best.1 { *next } else { best });
    let odds: f32 = sums.iter().map(|(_, sum)| (sum - top.1).exp()).sum();
    (top.0, 1.0 / odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(TASKS.len(), rules::lines(rules::TASKS).count());
        assert_eq!(METHODS.len(), rules::lines(rules::METHODS).count());
        assert!(IDENTIFIER.is_some() && CONCEPT.is_some());
    }

    #[test]
    fn a_hint_is_the_method_and_nothing_else_changes() {
        let free = extract("Compare TCP with UDP", &[], None);
        let hinted = extract("Compare TCP with UDP", &[], Some(RetrievalMethod::Graph));
        assert_eq!(hinted.method, (RetrievalMethod::Graph, 1.0));
        assert_eq!((hinted.task, hinted.domain), (free.task, free.domain));
    }

    #[test]
    fn documents_decide_the_domain_of_a_question_that_says_nothing() {
        let documents =
            ["The patient was given antibiotics and the infection of the lung healed.".to_owned()];
        assert_eq!(extract("What does this mean?", &documents, None).domain.0, KnowledgeDomain::Medicine);
        let clear = "Which quantum numbers does the electron of a hydrogen atom have?";
        assert_eq!(extract(clear, &documents, None).domain.0, KnowledgeDomain::Physics);
    }

    #[test]
    fn any_text_has_a_task_and_a_method() {
        for text in ["", " ", "?", "ß\u{301}", &"x ".repeat(50_000), &"é".repeat(20_000)] {
            let QueryTmd { task, method, .. } = extract(text, &[], None);
            assert!(task.1 > 0.0 && task.1 <= 1.0 && method.1 > 0.0 && method.1 <= 1.0);
        }
    }
}
