//! Attempts that ended without an outcome, because their daemon did: how many in a row a step may lose.
//!
//! Pure. A death of the daemon is no failure of the step that it met, so a lost attempt is not charged against the
//! step's retries. A step that is met again and again and gets no further may be the cause, though: then a person
//! decides. The end of an agent alone does not count: the tree heals that, however often.

use serde::{Deserialize, Serialize};

/// Most attempts that a step may lose in a row without getting any further. A daemon that ended so often over one step
/// ends over it again, and takes every other step along; a person who ends it by hand, or a host that is short of
/// memory for a while, does so less often.
pub const MAX_LOST_IN_A_ROW: u32 = 20;

/// The attempts that a step has lost since it last got further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAttempts {
    in_a_row: u32,
    /// Rows of the step's log at the last loss: a longer log is progress.
    rows: u64,
    /// The daemon's life in which the step was last claimed.
    life: u64,
}

impl LostAttempts {
    /// None, of a step claimed for the first time in this life.
    #[must_use]
    pub const fn none(rows: u64, life: u64) -> Self {
        Self { in_a_row: 0, rows, life }
    }

    /// The step is claimed again with so many rows in its log: in another life, an attempt was lost with the daemon.
    /// Nothing is known of the attempt before an orderly stop, and that one lost none.
    #[must_use]
    pub fn claimed_again(before: Option<Self>, rows: u64, life: u64) -> Self {
        match before {
            Some(before) if before.life == life => before,
            Some(before) if before.rows == rows => {
                Self { in_a_row: before.in_a_row.saturating_add(1), rows, life }
            }
            Some(_) => Self { in_a_row: 1, rows, life },
            None => Self::none(rows, life),
        }
    }

    #[must_use]
    pub const fn are_too_many(&self) -> bool {
        self.in_a_row >= MAX_LOST_IN_A_ROW
    }

    /// The reason for which the step is not begun again by itself.
    #[must_use]
    pub fn reason(&self) -> String {
        format!(
            "the daemon ended {} times in a row while this step ran, and the step got no further: it may be \
             the cause; approve to try again",
            self.in_a_row
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(rows: impl IntoIterator<Item = u64>) -> LostAttempts {
        let fresh = Some(LostAttempts::none(0, 0));
        let again = |before, (life, rows)| Some(LostAttempts::claimed_again(before, rows, life));
        (1..).zip(rows).fold(fresh, again).unwrap()
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
    fn an_agent_that_ends_alone_loses_nothing() {
        let again = |before, _| Some(LostAttempts::claimed_again(before, 3, 7));
        let killed = (0..10 * MAX_LOST_IN_A_ROW).fold(Some(LostAttempts::none(3, 7)), again);
        assert_eq!(killed, Some(LostAttempts::none(3, 7)));
    }

    #[test]
    fn a_step_that_gets_further_each_time_may_be_met_as_often_as_it_likes() {
        assert!(!lost(0..100).are_too_many());
        let most = u64::from(MAX_LOST_IN_A_ROW);
        let stuck_then_further = [vec![7; most as usize - 1], vec![8]].concat();
        assert!(!lost(stuck_then_further).are_too_many());
    }
}
