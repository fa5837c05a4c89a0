//! Clauses that grant nothing: what a document says of its past ("earlier versions were under the GPL"), and of other
//! people's software ("you may link this with software that is licensed under the GPL").
//!
//! Every reader of sentences reads them behind this door. Invariant: what is taken out is replaced by as many blanks,
//! so that places stay what they were.

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
        | \b(?:prior\s+to|before|until|up\s+to)\s+(?:the\s+)?(?:versions?\b|releases?\b|v\d|\d+\.\d|that\b|then\b)
        | \bversions?\s+(?:before|until|prior\s+to|up\s+to|older\s+than)\b
        | \bused\s+to\s+be\b
        | \A\([^()]*\b(?:until|were|was)\b",
    )
    .ok()
});
/// Other software that this one is joined with: void from here to the end of the clause.
static OF_OTHERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)\b(?:link|combin|compil|merg)(?:e|es|ed|ing|s)?\s+(?:\S+\s+){0,6}?(?:with|to|into|against)\s+(?:\S+\s+){0,2}?
        (?:software|code|programs?|librar(?:y|ies)|works?|modules?)\s+(?:(?:that|which)\s+(?:is|are)\s+)?
        (?:licen[cs]ed|released|distributed|available|covered)\b",
    )
    .ok()
});

/// A text of several paragraphs with blanks for its void clauses.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    blanked_within(text, &[])
}

/// As [`blanked`]; clauses also end at the bytes `breaks`, where paragraphs of a flattened text do.
pub(super) fn blanked_within<'a>(text: &'a str, breaks: &[usize]) -> Cow<'a, str> {
    let (Some(boundary), Some(past), Some(of_others)) =
        (BOUNDARY.as_ref(), PAST.as_ref(), OF_OTHERS.as_ref())
    else {
        return text.into();
    };
    if !past.is_match(text) && !of_others.is_match(text) && !text.contains('(') {
        return text.into();
    }
    let ends = boundary.find_iter(text).map(|end| end.start());
    let mut ends: Vec<usize> =
        ends.chain(breaks.iter().copied()).chain(std::iter::once(text.len())).collect();
    ends.sort_unstable();
    let mut kept = String::with_capacity(text.len());
    let mut start = 0;
    for end in ends {
        let clause = &text[start..end];
        let void = match of_others.find(clause) {
            _ if past.is_match(clause) => 0,
            Some(others) => others.start(),
            None => clause.len(),
        };
        kept.push_str(&clause[..void]);
        kept.extend(clause[void..].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
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
            ("Until v2 it was GPL. Before 1.4, LGPL.", ""),
            (
                "Under MIT; it may be linked with code that is released under the GPL. Enjoy.",
                "Under MIT; it may be . Enjoy.",
            ),
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
            "Until 2031 it is under the BUSL-1.1.",
            "Up to 3 copies are under the MIT licence.",
            "It comes with code that is licensed under the ISC licence.",
            "The release to which the library belongs is released under the MIT licence.",
        ] {
            assert_eq!(blanked(today), today);
        }
    }

    #[test]
    fn a_clause_ends_where_a_paragraph_of_a_flat_text_does() {
        let text = "previous versions under the mit license";
        assert_eq!(blanked(text).trim(), "");
        assert_eq!(blanked_within(text, &["previous versions ".len()]).trim(), "under the mit license");
    }

    proptest! {
        #[test]
        fn places_stay(text in "(?:was |were |older versions|\\(|\\)|\\. |\n|é| ){0,40}") {
            prop_assert_eq!(blanked(&text).len(), text.len());
        }
    }
}
