//! The place of a tool call in a step, and its id on every wire.
//!
//! Vendors name calls as they like: twice the same id in one answer, an empty one, or ids that the next
//! vendor refuses after a fall-back in mid-step. So a call is named by its place, and a vendor's own id is kept
//! for the log only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The `index`-th call (from 0) of the `turn`-th answer (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallPlace {
    pub turn: u32,
    pub index: u32,
}

impl CallPlace {
    /// Nine letters and digits: the only form that all vendors take (Mistral wants exactly nine).
    #[must_use]
    pub fn id(self) -> String {
        format!("c{:05}{:03}", self.turn, self.index)
    }
}

impl fmt::Display for CallPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_nine_letters_and_digits_and_is_one_places_own() {
        let mut ids = std::collections::BTreeSet::new();
        for turn in 0..70 {
            for index in 0..20 {
                let id = CallPlace { turn, index }.id();
                assert_eq!((id.len(), id.chars().all(|c| c.is_ascii_alphanumeric())), (9, true));
                assert!(ids.insert(id));
            }
        }
    }
}
