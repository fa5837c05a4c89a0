//! The rule by which a misspelt name is answered with the one that was probably meant.

/// Least likeness, from 0 (nothing in common) to 1 (equal): half of the letters may be wrong.
pub const LEAST_LIKENESS: f64 = 0.5;

/// The known names like `wrong`, the most similar first; names of equal likeness in alphabetical order.
#[must_use]
pub fn similar_names<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (likeness(wrong, name), name))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().map(|(_, name)| name).collect()
}

/// The known name that is most like `wrong`, if any is like it at all.
#[must_use]
pub fn nearest_name<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    similar_names(wrong, known).first().copied()
}

/// How alike two names are, from 0 to 1; two swapped letters count as one mistake.
#[must_use]
pub fn likeness(one: &str, other: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_foreign_word_finds_none() {
        let known = ["ingest", "change", "change.piece", "quotas"];
        assert_eq!(nearest_name("ingst", known), Some("ingest"));
        assert_eq!(nearest_name("chnage", known), Some("change"));
        assert_eq!(nearest_name("release", known), None);
        assert_eq!(nearest_name("ingest", []), None);
        assert_eq!(similar_names("chan", ["chat", "chap", "clan"]), ["chap", "chat", "clan"]);
    }
}
