//! What a document says of its past: "earlier versions were under the GPL" grants nothing today.
//!
//! Invariant: what is taken out is replaced by as many blanks, so that places stay what they were.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Where a clause ends: what is said of the past ends there too.
static BOUNDARY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)[.;!?]\s|[()]|\n\s*(?:\n|[-*#0-9])|,?\s+(?:but|now|although|whereas)\b|,?\s+and\s+(?:is\s+|are\s+)?now\b",
    )
    .ok()
});
static PAST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)
        \b(?:earlier|previous|former|older|prior|past)\s+(?:versions?|releases?|revisions?)\b
        | \b(?:was|were|been)\s+(?:formerly|previously|once)\b
        | \b(?:formerly|previously)\s+(?:\w+\s+){0,3}(?:licen[cs]ed|released|distributed|published|available|under)\b
        | \b(?:prior\s+to|before|until|up\s+to)\s+(?:the\s+)?(?:versions?\b|releases?\b|v?\d|that\b|then\b)
        | \bversions?\s+(?:before|until|prior\s+to|up\s+to|older\s+than)\b
        | \bused\s+to\s+be\b
        | \A\([^()]*\b(?:until|were|was)\b",
    )
    .ok()
});

/// The text with blanks for the clauses about the past.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let (Some(boundary), Some(past)) = (BOUNDARY.as_ref(), PAST.as_ref()) else { return text.into() };
    if !past.is_match(text) && !text.contains('(') {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len());
    let mut start = 0;
    let ends = boundary.find_iter(text).map(|end| end.start()).chain(std::iter::once(text.len()));
    for end in ends {
        let clause = &text[start..end];
        if past.is_match(clause) {
            kept.extend(clause.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            kept.push_str(clause);
        }
        start = end;
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clauses_about_the_past_go_and_those_of_today_stay() {
        for (text, left) in [
            ("MIT (earlier versions were GPLv3)", "MIT )"),
            (
                "It was formerly under the GPL, but is now under the MIT licence.",
                ", but is now under the MIT licence.",
            ),
            ("Prior to version 2 this was licensed under the GPL. Today: MIT.", ". Today: MIT."),
            ("MIT; versions before 3.0 were released under the LGPL", "MIT"),
            ("MIT. It used to be\nunder the GPL.", "MIT\n"),
            (
                "Previously released under the GPL and now under the ISC licence",
                " and now under the ISC licence",
            ),
            ("## Licence\n\nMIT\n\nOlder releases: GPLv2\n", "## Licence\n\nMIT\n\n"),
        ] {
            let blanked = blanked(text);
            assert_eq!(blanked.len(), text.len(), "{text}");
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&blanked), words(left), "{text}");
        }
        for today in [
            "either version 2 of the License, or (at your option) any later version.",
            "This was written by Jane Roe. It is under the MIT licence.",
            "You may not use this file before you have read the MIT licence.",
        ] {
            assert_eq!(blanked(today), today);
        }
    }

    proptest! {
        #[test]
        fn places_stay(text in "(?:was |were |older versions|\\(|\\)|\\. |\n|é| ){0,40}") {
            prop_assert_eq!(blanked(&text).len(), text.len());
        }
    }
}
