//! Secrets and personal data in a text: places and masked text.
//!
//! Invariants: a flag shows at most [`SHOWN_START`] + [`SHOWN_END`] characters of a find; flags are in text
//! order and do not overlap. Failure policy: no flag for a probable placeholder; a report full of false
//! alarms is not read.

use std::path::Path;

use super::find::UnmaskedFind;
use super::{pii, secrets};
use crate::ingest::formats::AuditFlag;

/// Flags listed for one document; the rest is counted. A reader who meets this many looks at the file.
pub(super) const MAX_FLAGS: usize = 50;
/// Characters that a masked find shows at the start: enough to distinguish tokens by their prefix.
const SHOWN_START: usize = 3;
/// Characters that a masked find shows at the end.
const SHOWN_END: usize = 2;
/// Characters hidden for each one shown, at least.
const HIDDEN_PER_SHOWN: usize = 2;

/// The flags of a file's text and how many more there were.
pub(super) fn of(path: &Path, text: &str) -> (Vec<AuditFlag>, u64) {
    let mut finds = secrets::find(path, text);
    finds.extend(pii::find(text));
    // Of finds that overlap the earliest wins, then a secret (listed first by the stable sort).
    finds.sort_by_key(|find| find.start);
    let mut end = 0;
    finds.retain(|find| {
        let free = find.start >= end;
        if free {
            end = find.end;
        }
        free
    });
    let dropped = finds.len().saturating_sub(MAX_FLAGS) as u64;
    finds.truncate(MAX_FLAGS);
    (place(text, &finds), dropped)
}

fn place(text: &str, finds: &[UnmaskedFind]) -> Vec<AuditFlag> {
    let (mut at, mut line, mut line_start) = (0, 1_u32, 0);
    finds
        .iter()
        .map(|find| {
            for (offset, _) in text[at..find.start].match_indices('\n') {
                line = line.saturating_add(1);
                line_start = at + offset + 1;
            }
            at = find.start;
            let column = text[line_start..find.start].chars().count() + 1;
            AuditFlag {
                class: find.class.to_owned(),
                kind: find.kind.to_owned(),
                line,
                column: u32::try_from(column).unwrap_or(u32::MAX),
                masked: mask(&text[find.start..find.end]),
            }
        })
        .collect()
}

/// Hides all but a few characters; short finds are hidden whole.
pub(super) fn mask(find: &str) -> String {
    let length = find.chars().count();
    if length < (SHOWN_START + SHOWN_END) * (1 + HIDDEN_PER_SHOWN) {
        let shown = usize::from(length > 1 + HIDDEN_PER_SHOWN);
        return find.chars().take(shown).chain("***".chars()).collect();
    }
    let end = find.chars().skip(length - SHOWN_END);
    find.chars().take(SHOWN_START).chain("***".chars()).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> (Vec<AuditFlag>, u64) {
        super::of(Path::new("notes.txt"), text)
    }

    #[test]
    fn places_count_lines_and_characters() {
        let (flags, dropped) = of("Grüße\nÄh: jane.roe@corp-mail.de und\n\n  joe@corp-mail.de");
        let places: Vec<_> = flags.iter().map(|flag| (flag.kind.as_str(), flag.line, flag.column)).collect();
        assert_eq!(places, [("email", 2, 5), ("email", 4, 3)]);
        assert_eq!(dropped, 0);
    }

    #[test]
    fn a_document_full_of_finds_is_capped_and_counted() {
        let text: String = (0..60).map(|n| format!("person{n}@corp-mail.de\n")).collect();
        let (flags, dropped) = of(&text);
        assert_eq!((flags.len(), dropped), (MAX_FLAGS, 10));
    }

    proptest! {
        #[test]
        fn a_mask_shows_a_third_at_most(find in "\\PC{0,60}") {
            let masked = mask(&find);
            let shown = masked.chars().count() - 3;
            prop_assert!(shown <= SHOWN_START + SHOWN_END);
            prop_assert!(shown * (1 + HIDDEN_PER_SHOWN) <= find.chars().count());
        }

        #[test]
        fn any_text_is_flagged_without_panic(text in "\\PC{0,300}") {
            for flag in of(&text).0 {
                prop_assert!(flag.line >= 1 && flag.column >= 1);
            }
        }
    }
}
