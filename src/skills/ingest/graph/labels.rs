//! A few words for each community: those frequent among its members and rare elsewhere (TF-IDF).
//!
//! Rare means in few projects. Counted by documents, a project of thousands would make the words of all
//! others look rare.
//!
//! Invariant: ties fall to the alphabet, so labels are stable.

use std::collections::{BTreeMap, HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::ingest::formats::CleanRow;

const LABEL_WORDS: usize = 4;
/// Words kept of a document; a label never needs the rarer ones.
const WORDS_KEPT: usize = 60;
/// Bytes read of a document: the opening shows the subject.
const MAX_BYTES: usize = 8 * 1024;
/// Length of words worth a label, in bytes: shorter ones are fragments, longer ones hashes.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 3..=24;
/// Words that set nothing apart, however rare a small corpus makes them.
const STOP_WORDS: [&str; 48] = [
    "the", "and", "for", "with", "that", "this", "from", "are", "can", "you", "your", "will", "not", "but",
    "use", "used", "using", "has", "have", "its", "all", "any", "which", "when", "may", "more", "also",
    "into", "than", "was", "one", "new", "see", "other", "such", "these", "there", "their", "only", "should",
    "must", "does", "https", "http", "www", "com", "org", "html",
];

/// The most frequent words of a document with their counts.
pub(super) type WordCounts = Vec<(String, u32)>;

/// Counts the words of a document's title and opening.
pub(super) fn word_counts(document: &CleanRow) -> WordCounts {
    let text = &document.text[..document.text.floor_char_boundary(MAX_BYTES)];
    let mut counts: HashMap<String, u32> = HashMap::new();
    for word in document.title.unicode_words().chain(text.unicode_words()) {
        if WORD_BYTES.contains(&word.len())
            && !word.contains(|c: char| c.is_ascii_digit() || c == '.' || c == '\'')
        {
            let word = word.to_lowercase();
            if !STOP_WORDS.contains(&word.as_str()) {
                *counts.entry(word).or_default() += 1;
            }
        }
    }
    let mut counts: WordCounts = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(WORDS_KEPT);
    counts
}

/// A label for each community, given its members' positions in `documents` and the top-level folder
/// of each document.
pub(super) fn labels(documents: &[WordCounts], folders: &[&str], communities: &[Vec<usize>]) -> Vec<String> {
    let mut pairs: HashSet<(&str, &str)> = HashSet::new();
    let mut holding: HashMap<&str, usize> = HashMap::new();
    for (words, folder) in documents.iter().zip(folders) {
        for (word, _) in words {
            // Files beside the projects are each a project of their own.
            if folder.is_empty() || pairs.insert((folder, word)) {
                *holding.entry(word).or_default() += 1;
            }
        }
    }
    let loose = folders.iter().filter(|folder| folder.is_empty()).count();
    let projects = folders.iter().filter(|folder| !folder.is_empty()).collect::<HashSet<_>>().len();
    communities.iter().map(|members| label(documents, members, &holding, loose + projects)).collect()
}

fn label(documents: &[WordCounts], members: &[usize], holding: &HashMap<&str, usize>, all: usize) -> String {
    // For each word: the sum of the damped counts, and the number of members with the word.
    let mut found: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for (word, count) in members.iter().flat_map(|member| &documents[*member]) {
        let entry = found.entry(word).or_default();
        entry.0 += f64::from(*count).ln_1p();
        entry.1 += 1;
    }
    let mut best: Vec<(f64, &str)> = Vec::new();
    for (word, (frequency, holders)) in found {
        let everywhere = holding.get(word).copied().unwrap_or(1);
        if everywhere < all || all == 1 {
            let rarity = ((all + 1) as f64 / everywhere as f64).ln();
            let spread = (holders as f64 / members.len() as f64).sqrt();
            best.push((frequency * rarity * spread, word));
        }
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    best.into_iter().take(LABEL_WORDS).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::testing::clean_row;

    #[test]
    fn words_of_the_group_win_over_words_of_all() {
        let texts = ["crate about parsers", "crate with parsers and grammar", "crate about sockets"];
        let counts: Vec<_> = texts.iter().map(|text| word_counts(&clean_row(0, "t", text))).collect();
        let labels = labels(&counts, &["", "", ""], &[vec![0, 1], vec![2]]);
        assert!(labels[0].starts_with("parsers"), "{labels:?}");
        assert!(labels[1].starts_with("sockets"), "{labels:?}");
    }
}
