//! How much of a step's money a child gets: set aside before the child begins, and back when it ends.
//!
//! Pure. Law: the unspent caps of children under way never exceed the step's own rest, so no child can spend the money
//! of another.

use super::command::usd;
use crate::money::NanoUsd;

/// A step's remaining money, and the part of it that is promised to children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepPurse {
    /// The step's own rest; `None` where nothing caps it.
    pub left: Option<NanoUsd>,
    /// The unspent caps of children under way.
    pub promised: NanoUsd,
}

/// Why a child gets no money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PurseRefusal {
    #[error("{} are asked for, and {} are left to give: name less, or wait until a piece has ended", usd(.wanted.0), usd(.free.0))]
    TooMuch { wanted: NanoUsd, free: NanoUsd },
    #[error("no money is left to give: wait until a piece has ended, or `report` the rest as left to do")]
    Empty,
}

impl StepPurse {
    /// Neither spent nor promised.
    #[must_use]
    pub fn free(&self) -> Option<NanoUsd> {
        self.left.map(|left| left.saturating_sub(self.promised))
    }

    /// The cap of a child: as asked, or an equal share of the free money, of which one more stays with the
    /// step. `children` is how many are to be given money now, this one among them. `None` where nothing caps the step
    /// and nothing was asked for.
    ///
    /// # Errors
    /// [`PurseRefusal`]; nothing is set aside.
    pub fn carve(
        &mut self,
        wanted: Option<NanoUsd>,
        children: usize,
    ) -> Result<Option<NanoUsd>, PurseRefusal> {
        let Some(free) = self.free() else { return Ok(wanted) };
        let shares = u64::try_from(children).unwrap_or(u64::MAX).max(1).saturating_add(1);
        let cap = wanted.unwrap_or(NanoUsd(free.0 / shares));
        if cap > free {
            return Err(PurseRefusal::TooMuch { wanted: cap, free });
        }
        if cap == NanoUsd::ZERO {
            return Err(PurseRefusal::Empty);
        }
        self.promised = self.promised.saturating_add(cap);
        Ok(Some(cap))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::budget::ledger::BudgetCap;
    use crate::accounts::budget::{BudgetLedger, BudgetScope, CallKey, SpendRequest};
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn children_share_alike_and_a_share_stays_with_the_step() {
        let mut purse = StepPurse { left: Some(NanoUsd(90)), promised: NanoUsd::ZERO };
        assert_eq!(purse.carve(None, 2), Ok(Some(NanoUsd(30))));
        assert_eq!(purse.carve(None, 1), Ok(Some(NanoUsd(30))));
        assert_eq!(purse.free(), Some(NanoUsd(30)));
        let refused = purse.carve(Some(NanoUsd(31)), 1);
        assert_eq!(refused, Err(PurseRefusal::TooMuch { wanted: NanoUsd(31), free: NanoUsd(30) }));
        assert_eq!(purse.carve(Some(NanoUsd(30)), 1), Ok(Some(NanoUsd(30))));
        assert_eq!(purse.carve(None, 1), Err(PurseRefusal::Empty));
    }

    #[test]
    fn money_is_set_aside_once_and_only_for_a_call_that_begins_a_child() {
        use super::super::testing::{ThinkingBench, begun, call};
        use super::super::{CallPlace, ChildBegunRow, MoneyCarvedRow, StepRow};
        let carved = |index: u32, child: &str| {
            let (place, child) = (CallPlace { turn: 1, index }, child.to_owned());
            StepRow::MoneyCarved(MoneyCarvedRow { place, child, cap_nano: 250_000_000, left_nano: None })
        };
        let mut bench = ThinkingBench::new(begun());
        bench.turn(vec![call("delegate", "{}"), call("delegate", "{}"), call("bash", "{}")]);
        assert_eq!(bench.state.undecided_children(), 2);
        assert!(bench.state.apply(carved(2, "job.1")).is_err(), "no child comes of `bash`");
        bench.push(carved(0, "job.1"));
        assert!(bench.state.apply(carved(0, "job.1")).is_err());
        let place = CallPlace { turn: 1, index: 0 };
        bench.push(StepRow::ChildBegun(ChildBegunRow { place, child: "job.1".into(), task: "t".into() }));
        assert_eq!(bench.state.children()[0].cap_nano, Some(250_000_000));
        assert!(bench.state.apply(carved(0, "job.1")).is_err());
        bench.push(carved(1, "job.2"));
        assert_eq!((bench.state.undecided_children(), bench.state.carved_for()), (1, Some("job.2")));
        assert_eq!(carved(0, "job.1").headline(), "child job.1: 0.250000 USD set aside");
    }

    #[test]
    fn without_a_cap_a_child_gets_what_was_asked_for_it_or_none() {
        let mut purse = StepPurse::default();
        assert_eq!(purse.carve(None, 3), Ok(None));
        assert_eq!(purse.carve(Some(NanoUsd(5)), 3), Ok(Some(NanoUsd(5))));
    }

    /// Deeds of a step and its children, one after the other.
    #[derive(Debug, Clone)]
    enum MoneyDeed {
        Carve {
            wanted: Option<u64>,
            children: usize,
        },
        /// A child's call: its hold, and the share of it that is settled, in percent.
        Spend {
            child: usize,
            hold: u64,
            percent: u64,
        },
        End {
            child: usize,
        },
        /// The step's own call, which it makes while no child is under way.
        Own {
            hold: u64,
            percent: u64,
        },
    }

    fn deed() -> impl Strategy<Value = MoneyDeed> {
        prop_oneof![
            (prop::option::of(1_u64..400), 1_usize..5)
                .prop_map(|(wanted, children)| MoneyDeed::Carve { wanted, children }),
            (0_usize..8, 1_u64..400, 0_u64..=100).prop_map(|(child, hold, percent)| MoneyDeed::Spend {
                child,
                hold,
                percent
            }),
            (0_usize..8).prop_map(|child| MoneyDeed::End { child }),
            (1_u64..400, 0_u64..=100).prop_map(|(hold, percent)| MoneyDeed::Own { hold, percent }),
        ]
    }

    fn request(job: usize, worst: u64) -> SpendRequest {
        SpendRequest {
            call: CallKey { request_id: "r".into(), attempt: 1 },
            run: "run".parse().unwrap(),
            job: Some(format!("run.{job}").parse().unwrap()),
            agent: "a".parse().unwrap(),
            lane: None,
            provider: "p".into(),
            model: "m".into(),
            worst: NanoUsd(worst),
        }
    }

    fn scope(job: usize) -> BudgetScope {
        BudgetScope::Job(format!("run.{job}").parse().unwrap())
    }

    fn set_cap(ledger: &mut BudgetLedger, scope: &BudgetScope, cap: NanoUsd) {
        ledger.set_cap(scope, BudgetCap { amount: Some(cap), generation: 1 }, NOW);
    }

    fn free(ledger: &BudgetLedger, scope: &BudgetScope) -> NanoUsd {
        ledger.view(scope, NOW).and_then(|view| view.free()).unwrap_or_default()
    }

    fn promised(ledger: &BudgetLedger, open: &[usize]) -> NanoUsd {
        NanoUsd(open.iter().map(|job| free(ledger, &scope(*job)).0).sum())
    }

    fn spend(ledger: &mut BudgetLedger, job: usize, hold: u64, percent: u64) {
        if let Ok(held) = ledger.reserve(request(job, hold), NOW) {
            ledger.settle(held.into_id(), NanoUsd(hold * percent / 100), NOW).unwrap();
        }
    }

    proptest! {
        /// The unspent caps of children never exceed their parent's rest, and each can always spend
        /// all of its own, whatever the others do.
        #[test]
        fn caps_of_children_never_exceed_what_their_parent_has_left(
            cap in 1_u64..1_000, deeds in prop::collection::vec(deed(), 1..60),
        ) {
            let run = BudgetScope::Run("run".parse().unwrap());
            let mut ledger = BudgetLedger::new(0);
            set_cap(&mut ledger, &run, NanoUsd(cap));
            let mut open: Vec<usize> = Vec::new();
            let mut begun = 0;
            for deed in deeds {
                match deed {
                    MoneyDeed::Carve { wanted, children } => {
                        let (left, promised) = (Some(free(&ledger, &run)), promised(&ledger, &open));
                        let mut purse = StepPurse { left, promised };
                        if let Ok(carved) = purse.carve(wanted.map(NanoUsd), children) {
                            begun += 1;
                            set_cap(&mut ledger, &scope(begun), carved.unwrap());
                            open.push(begun);
                        }
                    }
                    MoneyDeed::Spend { child, hold, percent } => {
                        if let Some(job) = open.get(child) {
                            spend(&mut ledger, *job, hold, percent);
                        }
                    }
                    MoneyDeed::End { child } if child < open.len() => {
                        open.remove(child);
                    }
                    MoneyDeed::Own { hold, percent } if open.is_empty() => spend(&mut ledger, 0, hold, percent),
                    MoneyDeed::End { .. } | MoneyDeed::Own { .. } => {}
                }
                let (left, promised) = (free(&ledger, &run), promised(&ledger, &open));
                prop_assert!(promised <= left, "{promised} promised, {left} left");
                for job in &open {
                    let all = free(&ledger, &scope(*job));
                    if let Ok(held) = ledger.reserve(request(*job, all.0), NOW) {
                        ledger.release(held.into_id(), NOW).unwrap();
                    } else {
                        prop_assert!(false, "child {job} cannot spend its own {all}");
                    }
                }
            }
        }
    }
}
