//! The domain classifier: a weighted lexicon, log-linear scores and a calibrated softmax.
//!
//! Pure and embedded: no model file, no server, no randomness; the same text gives the same answer on any
//! thread. Each term found adds a weight to each domain that lists the term, growing with the logarithm of
//! the count. The sums are divided by a temperature, which rises with the evidence so that a long text does
//! not become certain by length alone, and go through softmax. The two domains of manner (one-fact questions,
//! small talk) fade with length, because the manner of asking says nothing about a manual. Text that is not
//! English keeps a tenth of the evidence and so ends, unsure, in `OTHER`.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::domain::KnowledgeDomain;
use super::lexicon::DomainLexicon;
use super::words::{StemmedWord, WordStemmer};

/// Words read of a text: the opening shows the subject, and cost stays bounded (about 50 KB).
const MAX_WORDS: usize = 8_000;
/// Bytes considered; a text without any space must not be split in vain.
const MAX_BYTES: usize = 96 * 1024;
/// The prior of `OTHER`, in log-odds: high enough to win where nothing is recognised, low enough to lose
/// against one typical word of a subject.
const OTHER_BIAS: f64 = 1.2;
/// Up to this many words a text counts as a question, where the manner of asking is evidence.
const QUESTION_WORDS: f64 = 24.0;
/// Temperature of a text with hardly any evidence, and its growth with the root of the evidence;
/// fitted by log-loss on the development queries (`tests/data/domains_dev.jsonl`).
const TEMPERATURE: f64 = 0.7;
const TEMPERATURE_GROWTH: f64 = 0.12;
/// Weight of the second subject's evidence against the first's confidence in a document. Fitted on READMEs of
/// libraries, of which four in five stay above 0.7, and descriptions of software for a science, whose subject is
/// debatable and which fall below.
const RIVAL_WEIGHT: f64 = 1.3;
/// The share of evidence kept for a text in another language.
const FOREIGN_FACTOR: f64 = 0.1;
/// Text given to the language detector, in characters; more does not change the answer.
const LANGUAGE_SAMPLE_CHARS: usize = 2_000;
/// From this share of English function words on a text is English, whatever its trigrams say.
const ENGLISH_SHARE: f64 = 0.06;
/// A text whose words are known to the lexicon to this share is English enough.
const KNOWN_SHARE: f64 = 0.3;
/// The detector needs this many words before its unsure guesses count.
const MIN_FOREIGN_WORDS: usize = 4;
const FUNCTION_WORDS: [&str; 30] = [
    "the", "of", "is", "what", "how", "and", "to", "does", "do", "are", "why", "with", "which", "for", "my",
    "you", "this", "who", "when", "where", "was", "did", "that", "it", "be", "by", "from", "if", "can",
    "not",
];

static EMBEDDED: LazyLock<DomainClassifier> =
    LazyLock::new(|| DomainClassifier { lexicon: DomainLexicon::embedded() });

/// Classifies a text or a question by domain.
#[derive(Debug)]
pub struct DomainClassifier {
    lexicon: DomainLexicon,
}

impl DomainClassifier {
    /// The classifier with the built-in lexicons; about 2 MB, made at the first call.
    #[must_use]
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// All 21 domains with their probabilities, most likely first; they sum to 1. An empty text gives
    /// `OTHER` with a low probability.
    #[must_use]
    pub fn classify(&self, text: &str) -> Vec<(KnowledgeDomain, f32)> {
        let text = head(text);
        let words = WordStemmer::new().split(text, MAX_WORDS);
        let mut scores = self.scores(text, &words);
        scores[KnowledgeDomain::Other as usize] += OTHER_BIAS;
        ranked(&scores)
    }

    /// The same for a whole document, with less confidence where two subjects compete: a description of a
    /// program for chemists has much evidence of computing and some of chemistry, and length alone makes the
    /// first look certain.
    #[must_use]
    pub fn classify_document(&self, text: &str) -> Vec<(KnowledgeDomain, f32)> {
        let text = head(text);
        let words = WordStemmer::new().split(text, MAX_WORDS);
        let mut scores = self.scores(text, &words);
        let limit = contested(&scores);
        scores[KnowledgeDomain::Other as usize] += OTHER_BIAS;
        limited(ranked(&scores), limit)
    }

    fn scores(&self, text: &str, words: &[StemmedWord]) -> [f64; 21] {
        let found = self.lexicon.find(words);
        let manner = (QUESTION_WORDS / words.len().max(1) as f64).min(1.0);
        let language = if is_foreign(text, words, found.covered) { FOREIGN_FACTOR } else { 1.0 };
        let mut scores = [0.0; 21];
        for (id, count) in found.terms {
            let strength = language * (1.0 + f64::from(count).ln());
            for (domain, weight) in &self.lexicon.term(id).weights {
                let fading = if domain.by_manner() { manner } else { 1.0 };
                scores[*domain as usize] += weight * strength * fading;
            }
        }
        scores
    }
}

fn ranked(scores: &[f64; 21]) -> Vec<(KnowledgeDomain, f32)> {
    let evidence: f64 = scores.iter().sum();
    let temperature = TEMPERATURE_GROWTH.mul_add(evidence.sqrt(), TEMPERATURE);
    let best = scores.iter().copied().fold(f64::MIN, f64::max);
    let odds = scores.map(|score| ((score - best) / temperature).exp());
    let sum: f64 = odds.iter().sum();
    let mut ranked: Vec<_> = KnowledgeDomain::ALL
        .into_iter()
        .map(|domain| (domain, (odds[domain as usize] / sum) as f32))
        .collect();
    ranked.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
    ranked
}

/// The most confidence that the evidence allows, by how near the second subject comes to the first.
fn contested(scores: &[f64; 21]) -> f32 {
    let subjects = KnowledgeDomain::ALL.into_iter().filter(|domain| !domain.by_manner());
    let (mut first, mut second) = (0.0_f64, 0.0);
    for score in subjects.map(|domain| scores[domain as usize]) {
        if score > first {
            (first, second) = (score, first);
        } else if score > second {
            second = score;
        }
    }
    if first > 0.0 { (1.0 / (1.0 + RIVAL_WEIGHT * second / first)) as f32 } else { 1.0 }
}

/// Takes what is above `limit` from the first and gives it to the others by their shares; none passes the first.
fn limited(mut ranked: Vec<(KnowledgeDomain, f32)>, limit: f32) -> Vec<(KnowledgeDomain, f32)> {
    let Some((first, others)) = ranked.split_first_mut() else { return ranked };
    if first.1 <= limit || first.0.by_manner() {
        return ranked;
    }
    let grown = (1.0 - limit) / (1.0 - first.1).max(f32::EPSILON);
    first.1 = limit;
    for other in others {
        other.1 = (other.1 * grown).min(limit);
    }
    ranked
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

fn is_foreign(text: &str, words: &[StemmedWord], covered: usize) -> bool {
    let count = words.len().max(1) as f64;
    let function = words.iter().filter(|word| FUNCTION_WORDS.contains(&word.plain.as_str())).count();
    if function as f64 / count >= ENGLISH_SHARE || covered as f64 / count >= KNOWN_SHARE {
        return false;
    }
    let end = text.char_indices().nth(LANGUAGE_SAMPLE_CHARS).map_or(text.len(), |(at, _)| at);
    whatlang::detect(&text[..end]).is_some_and(|found| {
        found.lang() != whatlang::Lang::Eng && (found.is_reliable() || words.len() >= MIN_FOREIGN_WORDS)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best(text: &str) -> (KnowledgeDomain, f32) {
        DomainClassifier::embedded().classify(text)[0]
    }

    #[test]
    fn licences_are_law_and_readmes_are_computer_science() {
        let mit = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software \
            and associated documentation files, to deal in the Software without restriction. THE SOFTWARE IS \
            PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND. In no event shall the authors or copyright holders \
            be liable for any claim, damages or other liability, whether in an action of contract, tort or \
            otherwise, arising from the software.";
        assert_eq!(best(mit).0, KnowledgeDomain::Law);
        let readme = "A small crate to parse TOML. Add it to your Cargo.toml: cargo add toml. Supports no_std. \
            Licensed under MIT or Apache-2.0, at your option.";
        assert_eq!(best(readme).0, KnowledgeDomain::ComputerScience);
    }

    #[test]
    fn a_program_for_a_science_is_no_certain_case_and_a_library_is() {
        let classifier = DomainClassifier::embedded();
        let chemistry = "Editor for molecules and a front end to quantum chemistry programs. The software draws molecules, \
            computes the energy of a compound and its reaction with a catalyst, and plots the spectrum of an acid. \
            The library is written in C++ with an interface for Python scripts.";
        let library = "A library to parse command line arguments. Add the crate to Cargo.toml, derive the parser for a \
            struct, and compile. The API returns errors with the byte offset of the input; see the source code.";
        let (_, debatable) = classifier.classify_document(chemistry)[0];
        let (domain, certain) = classifier.classify_document(library)[0];
        assert!(debatable < 0.7, "{:?}", &classifier.classify_document(chemistry)[..3]);
        assert!(certain > 0.7 && domain == KnowledgeDomain::ComputerScience, "{domain} {certain}");
    }

    #[test]
    fn what_is_not_recognised_is_other_with_low_confidence() {
        for text in ["", "   ", "zxcv qwerzu", "\u{0}\u{0}", "12345"] {
            let (domain, confidence) = best(text);
            assert_eq!(domain, KnowledgeDomain::Other, "{text:?}");
            assert!(confidence < 0.5, "{text:?}: {confidence}");
        }
    }

    #[test]
    fn other_languages_are_other_with_low_confidence() {
        for text in [
            "Wie funktioniert die Photosynthese bei Pflanzen und warum ist sie wichtig?",
            "¿Cuál es la velocidad de la luz en el vacío y por qué es constante?",
            "Quelles sont les causes principales de la Révolution française ?",
            "这个库用于解析配置文件，并且支持多种格式。",
            "Как работает нейронная сеть и где её применяют?",
        ] {
            let (domain, confidence) = best(text);
            assert_eq!(domain, KnowledgeDomain::Other, "{text}");
            assert!(confidence < 0.5, "{text}: {confidence}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_all_domains_best_first_summing_to_one(text in ".{0,300}") {
            let ranked = DomainClassifier::embedded().classify(&text);
            prop_assert_eq!(ranked.len(), 21);
            prop_assert!((ranked.iter().map(|(_, p)| p).sum::<f32>() - 1.0).abs() < 1e-4);
            prop_assert!(ranked.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            let document = DomainClassifier::embedded().classify_document(&text);
            prop_assert_eq!(document[0].0, ranked[0].0);
            prop_assert!(document[0].1 <= ranked[0].1 + 1e-6);
            prop_assert!(document.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}
