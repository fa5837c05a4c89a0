//! Attempts that ended without an outcome, because the daemon or the agent did: how many in a row a step may lose.
//!
//! Pure. A death of the daemon is no failure of the step that it met, so a lost attempt is not charged against the
//! step's retries. A step that is met again and again and gets no further may be the cause, though: then a person
//! decides.

use serde::{Deserialize, Serialize};

/// Most attempts that a step may lose in a row without getting any further. A daemon that ended so often over one step
/// ends over it again, and takes every other step along.
pub const MAX_LOST_IN_A_ROW: u32 = 5;

/// The attempts that a step has lost since it last got further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAttempts {
    in_a_row: u32,
    /// Rows of the step's log at the last loss: a longer log is progress.
    rows: u64,
}

impl LostAttempts {
    /// Another one is lost, with so many rows in the step's log.
    #[must_use]
    pub fn and_another(before: Option<Self>, rows: u64) -> Self {
        let idle = before.filter(|before| before.rows == rows);
        Self { in_a_row: idle.map_or(0, |idle| idle.in_a_row).saturating_add(1), rows }
    }

    #[must_use]
    pub const fn are_too_many(&self) -> bool {
        self.in_a_row >= MAX_LOST_IN_A_ROW
    }

    /// The reason for which the step is not begun again by itself.
    #[must_use]
    pub fn reason(&self) -> String {
        format!(
            "the daemon or its agent ended {} times in a row while this step ran, and the step got no further: it may be \
             the cause; approve to try again",
            self.in_a_row
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(rows: impl IntoIterator<Item = u64>) -> LostAttempts {
        let all = rows.into_iter().fold(None, |before, rows| Some(LostAttempts::and_another(before, rows)));
        all.unwrap()
    }

    #[test]
    fn a_step_that_gets_no_further_is_not_begun_for_ever() {
        let most = MAX_LOST_IN_A_ROW as usize;
        assert!(!lost(vec![3; most - 1]).are_too_many());
        let poisoned = lost(vec![3; most]);
        assert!(poisoned.are_too_many());
        assert!(poisoned.reason().contains(&format!("{most} times in a row")), "{}", poisoned.reason());
    }

    #[test]
    fn a_step_that_gets_further_each_time_may_be_met_as_often_as_it_likes() {
        assert!(!lost(0..100).are_too_many());
        let most = u64::from(MAX_LOST_IN_A_ROW);
        let stuck_then_further = [vec![7; most as usize - 1], vec![8]].concat();
        assert!(!lost(stuck_then_further).are_too_many());
    }
}
