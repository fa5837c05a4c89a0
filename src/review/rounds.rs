//! The rounds of a review: pure, from the verdicts so far and the commit now offered.
//!
//! Failure policy: an approval of another commit counts for nothing; after two rounds a director decides, so
//! that no change goes round for ever.

use super::verdict::{ReviewVerdict, SettledRemark};

/// A third round seldom settles a review that two did not.
pub const MAX_ROUNDS: usize = 2;

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewStep<'verdicts> {
    /// `since`: review only the changes since that commit, with the remarks open there.
    Review {
        round: u32,
        since: Option<&'verdicts str>,
        open: Vec<&'verdicts SettledRemark>,
    },
    Rework(Vec<&'verdicts SettledRemark>),
    Director {
        open: Vec<&'verdicts SettledRemark>,
    },
    Approved(&'verdicts ReviewVerdict),
}

/// `verdicts` in the order of their rounds.
pub fn next_step<'verdicts>(verdicts: &'verdicts [ReviewVerdict], commit: &str) -> ReviewStep<'verdicts> {
    let Some(last) = verdicts.last() else {
        return ReviewStep::Review { round: 1, since: None, open: Vec::new() };
    };
    let open: Vec<_> = last.blocking().collect();
    let rounds_left = verdicts.len() < MAX_ROUNDS;
    match (last.is_of(commit), rounds_left) {
        (true, _) if open.is_empty() => ReviewStep::Approved(last),
        (true, true) => ReviewStep::Rework(open),
        (false, true) => {
            let round = u32::try_from(verdicts.len()).unwrap_or(u32::MAX).saturating_add(1);
            ReviewStep::Review { round, since: Some(&last.commit), open }
        }
        (_, false) => ReviewStep::Director { open },
    }
}

#[cfg(test)]
mod tests {
    use super::super::independence::ReviewIndependence;
    use super::super::remark::{RemarkSeverity, ReviewPlace, ReviewRemark};
    use super::super::verdict::settle_remark;
    use super::*;

    fn verdict(commit: &str, round: u32, blocks: bool) -> ReviewVerdict {
        let remark = ReviewRemark {
            place: ReviewPlace { path: "a.rs".into(), line: Some(3) },
            severity: if blocks { RemarkSeverity::Blocking } else { RemarkSeverity::Note },
            input: "0".into(),
            proposal: "check".into(),
            test: None,
            no_test: Some("a race".into()),
        };
        ReviewVerdict {
            commit: commit.into(),
            round,
            vendor: "v".into(),
            model: "m".into(),
            independence: ReviewIndependence::Unknown,
            summary: String::new(),
            remarks: vec![settle_remark(remark, None)],
        }
    }

    #[test]
    fn two_rounds_and_then_a_director() {
        let ReviewStep::Review { round: 1, since: None, .. } = next_step(&[], "c1") else { panic!() };
        let first = [verdict("c1", 1, true)];
        let ReviewStep::Rework(open) = next_step(&first, "c1") else { panic!() };
        assert_eq!(open.len(), 1);
        let ReviewStep::Review { round: 2, since: Some("c1"), open } = next_step(&first, "c2") else {
            panic!()
        };
        assert_eq!(open.len(), 1);
        let both = [verdict("c1", 1, true), verdict("c2", 2, true)];
        let ReviewStep::Director { open } = next_step(&both, "c2") else { panic!() };
        assert_eq!(open.len(), 1);
    }

    #[test]
    fn an_approval_is_bound_to_its_commit() {
        let approved = [verdict("c1", 1, false)];
        assert_eq!(next_step(&approved, "c1"), ReviewStep::Approved(&approved[0]));
        let ReviewStep::Review { round: 2, since: Some("c1"), open } = next_step(&approved, "c2") else {
            panic!()
        };
        assert!(open.is_empty());
        let both = [verdict("c1", 1, true), verdict("c2", 2, false)];
        assert_eq!(next_step(&both, "c2"), ReviewStep::Approved(&both[1]));
        assert!(matches!(next_step(&both, "c3"), ReviewStep::Director { .. }));
    }
}
