//! Whether a reviewer is independent of the authors, by the vendors on the receipts.
//!
//! Failure policy: nothing is assumed; without receipts of the authors independence is unknown and not
//! claimed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether author and reviewer are independent. Models of one vendor share blind spots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewIndependence {
    OtherVendor { authors: Vec<String>, reviewer: String },
    SameVendor { vendor: String },
    Unknown,
}

/// `authors` are the vendors of all receipts of the change's writers.
pub fn independence<S: AsRef<str>>(authors: &[S], reviewer: &str) -> ReviewIndependence {
    let mut names: Vec<String> = authors.iter().map(|author| author.as_ref().trim().to_owned()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let reviewer = reviewer.trim();
    if names.is_empty() || reviewer.is_empty() {
        return ReviewIndependence::Unknown;
    }
    match names.iter().find(|name| name.eq_ignore_ascii_case(reviewer)) {
        Some(vendor) => ReviewIndependence::SameVendor { vendor: vendor.clone() },
        None => ReviewIndependence::OtherVendor { authors: names, reviewer: reviewer.to_owned() },
    }
}

impl ReviewIndependence {}

impl fmt::Display for ReviewIndependence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVendor { authors, reviewer } => {
                write!(out, "independent: written with {}, reviewed with {reviewer}", authors.join(" and "))
            }
            Self::SameVendor { vendor } => write!(out, "not independent: {vendor} wrote and reviewed"),
            Self::Unknown => out.write_str("not known to be independent: no receipt names the vendors"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_who_wrote_and_who_reviewed() {
        let said = |authors: &[&str], reviewer: &str| independence(authors, reviewer).to_string();
        assert_eq!(
            said(&["openai", "OpenAI", "gemini"], "anthropic"),
            "independent: written with gemini and openai, reviewed with anthropic"
        );
        assert_eq!(
            said(&["openai", "anthropic"], "Anthropic"),
            "not independent: anthropic wrote and reviewed"
        );
        assert_eq!(said(&[], "anthropic"), "not known to be independent: no receipt names the vendors");
    }
}
