//! Documents that repeat earlier ones: exactly, or nearly.
//!
//! Near copies are found by MinHash over word shingles with LSH bands, and every candidate is checked by the
//! true Jaccard similarity. The hashing is our own: `gaoya` draws permutations from a random generator
//! without a stable output between versions (our artifacts would change with a dependency), and offers no
//! check beyond an estimate.
//!
//! Invariants: `duplicate_of` names the lowest document that is similar enough and no duplicate, so there are
//! no chains; the result depends on the texts alone. The work per document is bounded by [`MAX_CANDIDATES`]:
//! duplicates never enter the buckets, so a bucket holds few.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ingest::formats::DocumentDuplicate;

/// Words of a shingle: long enough to be rare, short enough that an edit touches few.
const SHINGLE_WORDS: usize = 3;
/// Hashes of a signature: the product of the bands and the rows of every [`SignatureBanding`].
const SLOTS: usize = 120;
/// A pair that is just similar enough shares a band with at least this probability.
const MIN_FOUND: f64 = 0.995;
/// Candidates whose true similarity is computed for one document, most shared bands first.
const MAX_CANDIDATES: usize = 32;
/// Documents kept in one bucket: a crowded bucket says little.
const MAX_BUCKET: usize = 64;

/// How a signature is cut into bands: two documents are compared when all rows of one band agree.
#[derive(Debug, Clone, Copy)]
struct SignatureBanding {
    rows: usize,
}

impl SignatureBanding {
    /// The longest rows, and so the fewest candidates, that still find pairs of this similarity: with 20
    /// bands of 6 rows a pair of 0.8 is found with probability 0.998, one of 0.4 with 0.08 (1 - (1 -
    /// s^rows)^bands).
    fn for_similarity(similarity: f64) -> Self {
        let finds = |rows: &usize| {
            let bands = (SLOTS / rows) as f64;
            1.0 - (1.0 - similarity.powi(*rows as i32)).powf(bands) >= MIN_FOUND
        };
        Self { rows: [6, 5, 4, 3, 2].into_iter().find(finds).unwrap_or(1) }
    }

    fn bands(self, print: &DocumentFingerprint) -> impl Iterator<Item = (usize, u64)> {
        let rows = print.signature.chunks_exact(self.rows).enumerate();
        rows.map(|(band, rows)| (band, rows.iter().fold(0, |hash, row| mix(hash ^ row))))
    }
}

/// The compared features of one document.
pub(super) struct DocumentFingerprint {
    exact: blake3::Hash,
    shingles: Vec<u64>,
    /// Empty for documents with fewer words than a shingle.
    signature: Vec<u64>,
}

impl DocumentFingerprint {
    /// Fingerprints a cleaned text.
    pub(super) fn of(text: &str) -> Self {
        let shingles = shingles(text);
        Self { exact: blake3::hash(text.as_bytes()), signature: signature(&shingles), shingles }
    }
}

/// For each document, in order, the earlier one that it repeats, if any: exactly, or with at least this
/// Jaccard similarity of shingles. `tick` is called once a document.
pub(super) fn find<E>(
    documents: &[(u32, DocumentFingerprint)],
    similarity: f64,
    mut tick: impl FnMut() -> Result<(), E>,
) -> Result<Vec<Option<DocumentDuplicate>>, E> {
    let banding = SignatureBanding::for_similarity(similarity);
    let mut exact: HashMap<blake3::Hash, u32> = HashMap::new();
    let mut buckets: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
    let mut result = Vec::with_capacity(documents.len());
    for (position, (doc_id, print)) in documents.iter().enumerate() {
        tick()?;
        if let Some(first) = exact.get(&print.exact) {
            result.push(Some(DocumentDuplicate { doc_id: *first, how: "exact".into(), similarity: 1.0 }));
            continue;
        }
        let near = nearest(documents, &buckets, print, banding, similarity);
        // Only originals are remembered: a copy of a near copy names the original, as near.
        if near.is_none() {
            exact.insert(print.exact, *doc_id);
            for key in banding.bands(print) {
                let bucket = buckets.entry(key).or_default();
                if bucket.len() < MAX_BUCKET {
                    bucket.push(position);
                }
            }
        }
        result.push(near);
    }
    Ok(result)
}

/// The lowest document in the buckets that is similar enough.
fn nearest(
    documents: &[(u32, DocumentFingerprint)],
    buckets: &HashMap<(usize, u64), Vec<usize>>,
    print: &DocumentFingerprint,
    banding: SignatureBanding,
    least: f64,
) -> Option<DocumentDuplicate> {
    let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
    for key in banding.bands(print) {
        for position in buckets.get(&key).into_iter().flatten() {
            *shared.entry(*position).or_insert(0) += 1;
        }
    }
    let mut candidates: Vec<(usize, usize)> = shared.into_iter().collect();
    candidates.sort_by_key(|&(position, bands)| (std::cmp::Reverse(bands), position));
    let checked: BTreeSet<usize> =
        candidates.into_iter().take(MAX_CANDIDATES).map(|(position, _)| position).collect();
    checked.into_iter().find_map(|position| {
        let (doc_id, other) = &documents[position];
        let similarity = jaccard(&print.shingles, &other.shingles);
        (similarity >= least).then(|| DocumentDuplicate {
            doc_id: *doc_id,
            how: "near".into(),
            // Four decimals: enough to rank, short in the rows.
            similarity: ((similarity * 10_000.0).round() / 10_000.0) as f32,
        })
    })
}

/// Hashes of all runs of [`SHINGLE_WORDS`] words, in lower case without punctuation.
fn shingles(text: &str) -> Vec<u64> {
    let words: Vec<u64> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.chars().flat_map(char::to_lowercase).fold(0, |hash, c| mix(hash ^ u64::from(u32::from(c))))
        })
        .collect();
    let mut shingles: Vec<u64> =
        words.windows(SHINGLE_WORDS).map(|run| run.iter().fold(0, |hash, word| mix(hash ^ word))).collect();
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// One-permutation MinHash: the least hash of each of [`SLOTS`] slots. An empty slot borrows from another,
/// picked by the slot's hash sequence (optimal densification, Shrivastava, ICML 2017), so that equal sets
/// borrow alike.
fn signature(shingles: &[u64]) -> Vec<u64> {
    if shingles.is_empty() {
        return Vec::new();
    }
    let mut least = vec![u64::MAX; SLOTS];
    for hash in shingles {
        let slot = &mut least[slot_of(*hash)];
        *slot = (*slot).min(*hash);
    }
    (0..SLOTS)
        .map(|slot| {
            let mut from = slot;
            let mut pick = mix(slot as u64);
            while least[from] == u64::MAX {
                pick = mix(pick);
                from = slot_of(pick);
            }
            least[from]
        })
        .collect()
}

/// Maps the upper half of a hash evenly to a slot.
fn slot_of(hash: u64) -> usize {
    (((hash >> 32) * SLOTS as u64) >> 32) as usize
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit changes half the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right, mut common) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(left), b.get(right)) {
        common += usize::from(x == y);
        left += usize::from(x <= y);
        right += usize::from(y <= x);
    }
    common as f64 / (a.len() + b.len() - common).max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    const MIN_SIMILARITY: f64 = 0.85;

    fn duplicates(texts: &[String]) -> Vec<Option<DocumentDuplicate>> {
        let prints: Vec<_> = (0..).zip(texts).map(|(n, text)| (n, DocumentFingerprint::of(text))).collect();
        find(&prints, MIN_SIMILARITY, || Ok::<(), Infallible>(())).unwrap()
    }

    /// `count` words that depend on `seed`.
    fn words(seed: u64, count: u64) -> Vec<String> {
        (0..count).map(|n| format!("w{:x}", mix(seed * 1_000_003 + n) % 5_000)).collect()
    }

    #[test]
    fn a_pair_is_found_from_the_similarity_asked_for_on() {
        let base = words(1, 300);
        let mut edited = base.clone();
        // A change of one word takes three shingles of some 300 out of both.
        for at in (0..300).step_by(10) {
            edited[at] = format!("changed{at}");
        }
        let prints: Vec<_> = [base, edited]
            .iter()
            .zip(0..)
            .map(|(words, n)| (n, DocumentFingerprint::of(&words.join(" "))))
            .collect();
        let truth = jaccard(&prints[0].1.shingles, &prints[1].1.shingles);
        assert!((0.5..0.6).contains(&truth), "{truth}");
        let is_found = |least: f64| find(&prints, least, || Ok::<(), Infallible>(())).unwrap()[1].is_some();
        for (least, expected) in [(0.1, true), (0.3, true), (0.5, true), (0.6, false), (0.85, false)] {
            assert_eq!(is_found(least), expected, "{least}");
        }
    }

    #[test]
    fn exact_and_near_copies_name_the_first() {
        let base = words(1, 300);
        let mut edited = base.clone();
        edited[150] = "changed".into();
        let other = words(2, 300);
        let texts = [base.join(" "), other.join(" "), edited.join(" "), base.join(" ")];
        let found = duplicates(&texts);
        assert_eq!(found[0], None);
        assert_eq!(found[1], None);
        let near = found[2].as_ref().unwrap();
        assert_eq!((near.doc_id, near.how.as_str()), (0, "near"));
        assert!(near.similarity > 0.97);
        assert_eq!(found[3], Some(DocumentDuplicate { doc_id: 0, how: "exact".into(), similarity: 1.0 }));
    }

    #[test]
    fn documents_of_a_word_or_two_are_only_compared_exactly() {
        let found = duplicates(&["a b".into(), "a c".into(), "a b".into(), String::new()]);
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false]);
    }

    #[test]
    fn twenty_thousand_copies_of_a_template_are_told_fast() {
        let template = words(3, 150).join(" ");
        let texts: Vec<_> = (0..20_000).map(|n| format!("{template} holder {n}")).collect();
        let started = std::time::Instant::now();
        let found = duplicates(&texts);
        assert!(found[1..].iter().all(|near| near.as_ref().is_some_and(|near| near.doc_id == 0)));
        assert!(started.elapsed().as_secs() < 60, "quadratic work: {:?}", started.elapsed());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pairs_above_the_threshold_are_found_and_below_are_not(seed in 1_u64..1_000_000, edits in 0_u64..60) {
            let base = words(seed, 400);
            let mut edited = base.clone();
            for n in 0..edits {
                let at = usize::try_from(mix(seed + n) % 400).unwrap();
                edited[at] = format!("edit{n}");
            }
            let texts = [base.join(" "), edited.join(" ")];
            let truth = jaccard(&shingles(&texts[0]), &shingles(&texts[1]));
            let found = duplicates(&texts)[1].is_some();
            // Within a hundredth of the threshold the bands may miss a pair (1 in 10,000).
            prop_assert!(found == (truth >= MIN_SIMILARITY) || (truth - MIN_SIMILARITY).abs() < 0.01);
        }
    }
}
