//! The weighted terms of all domains, read from the embedded texts once.
//!
//! Form of a lexicon: a line is `weight: term, term, …` where the weight is 3 (a sure sign), 2 (typical)
//! or 1 (leans that way); a term is up to [`MAX_PHRASE`] words, or `*ending` for the ending of a word
//! that is no term itself; `#` opens a comment. A term that several domains name counts less in each.
//!
//! Invariant: the embedded lexicons parse (tested); a malformed line is skipped, so the classifier always
//! exists.

use std::collections::HashMap;

use super::domain::KnowledgeDomain;
use super::words::{StemmedWord, WordStemmer};

/// Longest phrase, in words: "how many players are" is 4, and titles of books reach 6.
pub(super) const MAX_PHRASE: usize = 6;
/// The log-odds of the weights 1, 2 and 3 of a line.
const TIERS: [f64; 3] = [0.4, 1.5, 3.0];
/// How much each word beyond the first adds to a phrase, which is rarer than the single words.
const PHRASE_BONUS: f64 = 0.3;
/// Shortest word that endings are tried on; shorter ones end alike by chance.
const MIN_ENDING_WORD: usize = 7;

/// The evidence of a term: a weight for each domain that lists the term.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LexiconTerm {
    pub(super) weights: Vec<(KnowledgeDomain, f64)>,
}

impl LexiconTerm {
    fn name(&mut self, domain: KnowledgeDomain, weight: f64) {
        match self.weights.iter_mut().find(|(named, _)| *named == domain) {
            Some((_, known)) => *known = known.max(weight),
            None => self.weights.push((domain, weight)),
        }
    }

    /// Scales by how few domains name the term: 1 for one, 0 for all.
    fn share(&mut self) {
        let all = (KnowledgeDomain::ALL.len() as f64).ln();
        let factor = 1.0 - (self.weights.len() as f64).ln() / all;
        for (_, weight) in &mut self.weights {
            *weight *= factor;
        }
    }

    /// Whether the term belongs to manner alone, and so must not hide the words of a subject.
    fn by_manner(&self) -> bool {
        self.weights.iter().all(|(domain, _)| domain.by_manner())
    }
}

/// All terms.
#[derive(Debug)]
pub(super) struct DomainLexicon {
    terms: Vec<LexiconTerm>,
    phrases: HashMap<String, usize>,
    endings: Vec<(String, usize)>,
}

impl DomainLexicon {
    /// Reads the embedded texts.
    pub(super) fn embedded() -> Self {
        let mut words = WordStemmer::new();
        let mut lexicon = Self { terms: Vec::new(), phrases: HashMap::new(), endings: Vec::new() };
        for domain in KnowledgeDomain::ALL {
            for line in domain.lexicon().lines() {
                for (tier, text) in entries(line) {
                    lexicon.add(&mut words, domain, tier, text);
                }
            }
        }
        lexicon.terms.iter_mut().for_each(LexiconTerm::share);
        lexicon.endings.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        lexicon
    }

    fn add(&mut self, words: &mut WordStemmer, domain: KnowledgeDomain, tier: f64, text: &str) {
        if let Some(ending) = text.strip_prefix('*') {
            let known = self.endings.iter().find(|(known, _)| known == ending).map(|(_, id)| *id);
            let id = known.unwrap_or_else(|| {
                self.endings.push((ending.to_owned(), self.terms.len()));
                self.new_term()
            });
            self.terms[id].name(domain, tier / 2.0);
            return;
        }
        let words = words.split(text, MAX_PHRASE);
        if words.is_empty() {
            return;
        }
        let key = join(&words);
        let id = match self.phrases.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.new_term();
                self.phrases.insert(key, id);
                id
            }
        };
        let bonus = PHRASE_BONUS.mul_add((words.len() - 1) as f64, 1.0);
        self.terms[id].name(domain, tier * bonus);
    }

    fn new_term(&mut self) -> usize {
        self.terms.push(LexiconTerm::default());
        self.terms.len() - 1
    }

    pub(super) fn term(&self, id: usize) -> &LexiconTerm {
        &self.terms[id]
    }

    /// The terms in a text with their counts, by term; and the number of words covered.
    ///
    /// A term inside a longer one is not counted ("blood pressure" is no word of physics), unless the longer
    /// one only shows the manner ("how many players" leaves "players" to sports).
    pub(super) fn find(&self, words: &[StemmedWord]) -> FoundTerms {
        let mut found = FoundTerms::default();
        let mut counts: HashMap<usize, u32> = HashMap::new();
        let mut covered_to = 0;
        let mut key = String::new();
        for start in 0..words.len() {
            let mut hits = self.starting_at(&words[start..], &mut key);
            if let Some(longest) = hits.iter().rposition(|(id, _)| !self.terms[*id].by_manner()) {
                let end = start + hits[longest].1;
                let hidden = end <= covered_to;
                // Shorter subject terms that start here are inside the longest.
                let mut at = 0;
                hits.retain(|(id, _)| {
                    at += 1;
                    self.terms[*id].by_manner() || (at - 1 == longest && !hidden)
                });
                found.covered += end.saturating_sub(covered_to.max(start));
                covered_to = covered_to.max(end);
            }
            for (id, _) in hits {
                *counts.entry(id).or_default() += 1;
            }
        }
        found.terms = counts.into_iter().collect();
        found.terms.sort_unstable();
        found
    }

    /// Terms that start with the first of `words`, shortest first, with their lengths in words.
    fn starting_at(&self, words: &[StemmedWord], key: &mut String) -> Vec<(usize, usize)> {
        let mut hits = Vec::new();
        key.clear();
        for (at, word) in words.iter().take(MAX_PHRASE).enumerate() {
            if at > 0 {
                key.push(' ');
            }
            key.push_str(&word.stem);
            if let Some(id) = self.phrases.get(key.as_str()) {
                hits.push((*id, at + 1));
            }
        }
        if hits.is_empty()
            && let Some(id) = words.first().and_then(|word| self.by_ending(&word.plain))
        {
            hits.push((id, 1));
        }
        hits
    }

    fn by_ending(&self, plain: &str) -> Option<usize> {
        let singular = plain.strip_suffix('s').unwrap_or(plain);
        if plain.len() < MIN_ENDING_WORD {
            return None;
        }
        let ends = |ending: &str| plain.ends_with(ending) || singular.ends_with(ending);
        self.endings.iter().find(|(ending, _)| ends(ending)).map(|(_, id)| *id)
    }
}

/// The terms of one text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FoundTerms {
    /// (term, count), by term.
    pub(super) terms: Vec<(usize, u32)>,
    /// Words that some term of a subject covers.
    pub(super) covered: usize,
}

fn entries(line: &str) -> impl Iterator<Item = (f64, &str)> {
    let parsed = line.split_once(':').and_then(|(tier, terms)| {
        let tier = tier.trim().parse::<usize>().ok()?.checked_sub(1)?;
        Some((*TIERS.get(tier)?, terms))
    });
    let (tier, terms) = parsed.unwrap_or_default();
    terms.split(',').map(str::trim).filter(|term| !term.is_empty()).map(move |term| (tier, term))
}

fn join(words: &[StemmedWord]) -> String {
    words.iter().map(|word| word.stem.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lexicons_is_a_comment_or_has_terms_of_at_most_the_longest_phrase() {
        for domain in KnowledgeDomain::ALL {
            let mut terms = 0;
            for line in domain.lexicon().lines().filter(|line| !line.starts_with('#')) {
                assert!(entries(line).count() > 0, "{domain}: {line}");
                for (_, term) in entries(line) {
                    terms += 1;
                    let words = WordStemmer::new().split(term, usize::MAX);
                    assert!((1..=MAX_PHRASE).contains(&words.len()), "{domain}: {term}");
                }
            }
            assert!(terms >= 250, "{domain} has only {terms} terms");
        }
    }

    #[test]
    fn a_longer_term_hides_the_terms_inside_it() {
        let lexicon = DomainLexicon::embedded();
        let found = lexicon.find(&WordStemmer::new().split("blood pressure", 10));
        assert_eq!(found.terms.len(), 1);
        assert_eq!(found.covered, 2);
    }
}
