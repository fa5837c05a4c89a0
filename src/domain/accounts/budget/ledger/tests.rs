//! The laws of the ledger, over random calls, and 256 callers on a thousand seeded schedules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::accounts::budget::{CallKey, RunName, ScopeLabel};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn wanted(run: &str, job: Option<&str>, agent: &str, worst: u64) -> SpendRequest {
    SpendRequest {
        call: CallKey { request_id: "r".into(), attempt: 1 },
        run: RunName::new(run).unwrap(),
        job: job.map(|job| ScopeLabel::new(job).unwrap()),
        agent: ScopeLabel::new(agent).unwrap(),
        lane: Some(ScopeLabel::new("code").unwrap()),
        provider: "p".into(),
        model: "m".into(),
        worst: NanoUsd(worst),
    }
}

fn run(name: &str) -> BudgetScope {
    BudgetScope::Run(RunName::new(name).unwrap())
}

fn cap(ledger: &mut BudgetLedger, scope: &BudgetScope, amount: u64, generation: u64) -> Vec<BudgetAlert> {
    ledger.set_cap(scope, BudgetCap { amount: Some(NanoUsd(amount)), generation }, at(0))
}

fn view(ledger: &BudgetLedger, scope: &BudgetScope) -> (u64, u64) {
    ledger.view(scope, at(0)).map_or((0, 0), |view| (view.settled.0, view.held.0))
}

#[test]
fn all_scopes_or_none() {
    let mut ledger = BudgetLedger::default();
    cap(&mut ledger, &BudgetScope::Day, 10, 1);
    cap(&mut ledger, &run("a"), 100, 1);
    let refused = ledger.reserve(wanted("a", None, "x", 11), at(0)).unwrap_err();
    assert_eq!((refused.scope.clone(), refused.left()), (BudgetScope::Day, NanoUsd(10)));
    assert_eq!(view(&ledger, &run("a")), (0, 0), "nothing is held where it would have fitted");
    let hold = ledger.reserve(wanted("a", None, "x", 10), at(0)).unwrap();
    assert_eq!(view(&ledger, &run("a")), (0, 10));
    let settled = ledger.settle(hold.into_id(), NanoUsd(4), at(0)).unwrap();
    assert_eq!(settled.excess, NanoUsd::ZERO);
    assert_eq!(view(&ledger, &BudgetScope::Day), (4, 0));
}

#[test]
fn a_hold_is_settled_once() {
    let mut ledger = BudgetLedger::default();
    let id = ledger.reserve(wanted("a", None, "x", 10), at(0)).unwrap().into_id();
    ledger.settle(id, NanoUsd(5), at(0)).unwrap();
    assert_eq!(ledger.settle(id, NanoUsd(5), at(0)), Err(NotHeld(id)));
    assert_eq!(ledger.release(id, at(0)), Err(NotHeld(id)));
    assert_eq!(view(&ledger, &run("a")), (5, 0));
}

#[test]
fn a_bill_above_its_hold_counts_in_full_and_is_told() {
    let mut ledger = BudgetLedger::default();
    cap(&mut ledger, &run("a"), 100, 1);
    let id = ledger.reserve(wanted("a", None, "x", 10), at(0)).unwrap().into_id();
    let settled = ledger.settle(id, NanoUsd(120), at(0)).unwrap();
    assert_eq!(settled.excess, NanoUsd(110));
    assert_eq!(settled.alerts.len(), 3);
    assert_eq!(view(&ledger, &run("a")), (120, 0));
    assert!(ledger.reserve(wanted("a", None, "x", 1), at(0)).is_err());
}

#[test]
fn alerts_come_once_and_in_order_for_each_setting_of_a_cap() {
    let mut ledger = BudgetLedger::default();
    cap(&mut ledger, &run("a"), 100, 1);
    let spend = |ledger: &mut BudgetLedger, cost: u64| -> Vec<u8> {
        let id = ledger.reserve(wanted("a", None, "x", cost), at(0)).unwrap().into_id();
        let alerts = ledger.settle(id, NanoUsd(cost), at(0)).unwrap().alerts;
        alerts.iter().map(|alert| alert.level.percent()).collect()
    };
    assert_eq!(spend(&mut ledger, 74), [0; 0]);
    assert_eq!(spend(&mut ledger, 1), [75]);
    assert_eq!(spend(&mut ledger, 14), [0; 0]);
    assert_eq!(spend(&mut ledger, 11), [90, 100]);
    assert_eq!(cap(&mut ledger, &run("a"), 100, 1), [], "the same setting again");
    let raised: Vec<u8> = cap(&mut ledger, &run("a"), 110, 2).iter().map(|a| a.level.percent()).collect();
    assert_eq!(raised, [75, 90], "a new cap, already 90 % spent");
}

#[test]
fn a_cap_below_what_is_spent_lets_nothing_through_and_takes_nothing_back() {
    let mut ledger = BudgetLedger::default();
    let id = ledger.reserve(wanted("a", None, "x", 50), at(0)).unwrap().into_id();
    ledger.settle(id, NanoUsd(50), at(0)).unwrap();
    let ids: Vec<String> = cap(&mut ledger, &run("a"), 10, 1).iter().map(BudgetAlert::id).collect();
    assert_eq!(ids, ["budget-run:a-1-75", "budget-run:a-1-90", "budget-run:a-1-100"]);
    assert!(ledger.reserve(wanted("a", None, "x", 1), at(0)).is_err());
    assert!(ledger.reserve(wanted("a", None, "x", 0), at(0)).is_ok(), "what is free needs no budget");
    assert_eq!(ledger.view(&run("a"), at(0)).unwrap().remaining(), Some(NanoUsd::ZERO));
}

#[test]
fn the_day_begins_anew_at_midnight_utc() {
    let mut ledger = BudgetLedger::default();
    ledger.set_cap(&BudgetScope::Day, BudgetCap { amount: Some(NanoUsd(10)), generation: 1 }, at(0));
    let id = ledger.reserve(wanted("a", None, "x", 10), at(DAY_MS - 1)).unwrap().into_id();
    assert!(ledger.reserve(wanted("a", None, "x", 1), at(DAY_MS)).is_err(), "what is held goes along");
    ledger.settle(id, NanoUsd(10), at(DAY_MS - 1)).unwrap();
    assert_eq!(
        ledger.view(&BudgetScope::Day, at(DAY_MS)).unwrap().settled,
        NanoUsd(10),
        "never back to yesterday"
    );
    assert_eq!(ledger.view(&BudgetScope::Day, at(2 * DAY_MS)).unwrap().settled, NanoUsd::ZERO);
    let id = ledger.reserve(wanted("a", None, "x", 8), at(2 * DAY_MS)).unwrap().into_id();
    let alerts = ledger.settle(id, NanoUsd(8), at(2 * DAY_MS)).unwrap().alerts;
    assert_eq!(alerts[0].id(), "budget-day-10000002-75", "an alert of its own each day");
}

#[test]
fn an_idle_scope_leaves_and_comes_back_as_it_was() {
    let mut ledger = BudgetLedger::default();
    let open = ledger.reserve(wanted("busy", None, "x", 5), at(0)).unwrap().into_id();
    let id = ledger.reserve(wanted("idle", None, "y", 5), at(0)).unwrap().into_id();
    ledger.settle(id, NanoUsd(5), at(0)).unwrap();
    ledger.evict_idle(0);
    assert!(ledger.knows(&run("idle")), "what is not saved stays");
    ledger.evict_idle(ledger.revision());
    assert!(!ledger.knows(&run("idle")) && ledger.knows(&run("busy")) && ledger.open(open).is_some());
    let standing = ScopeBalance {
        settled: NanoUsd(5),
        cap: Some(BudgetCap { amount: Some(NanoUsd(5)), generation: 3 }),
        reached: BudgetAlertLevel::Caution,
        ..ScopeBalance::default()
    };
    let owed = ledger.admit(run("idle"), standing, at(0));
    assert_eq!(owed.iter().map(|alert| alert.level.percent()).collect::<Vec<_>>(), [90, 100]);
    assert!(ledger.admit(run("idle"), ScopeBalance::default(), at(0)).is_empty());
    assert_eq!(view(&ledger, &run("idle")), (5, 0), "a scope in memory is not overwritten");
}

#[derive(Debug, Clone)]
enum BudgetStep {
    Reserve { run: u8, job: Option<u8>, agent: u8, worst: u64 },
    Settle { which: usize, share: u64 },
    Release { which: usize },
    Cap { run: u8, amount: u64 },
}

fn step() -> impl Strategy<Value = BudgetStep> {
    prop_oneof![
        4 => (0..3_u8, prop::option::of(0..3_u8), 0..3_u8, 0..60_u64)
            .prop_map(|(run, job, agent, worst)| BudgetStep::Reserve { run, job, agent, worst }),
        3 => (any::<usize>(), 0..=100_u64).prop_map(|(which, share)| BudgetStep::Settle { which, share }),
        1 => any::<usize>().prop_map(|which| BudgetStep::Release { which }),
        1 => (0..3_u8, 0..400_u64).prop_map(|(run, amount)| BudgetStep::Cap { run, amount }),
    ]
}

proptest! {
    /// Against sums over a plain list of all calls: the spent amount is the sum of settlements and the held
    /// amount the sum of open holds; a refusal is right; an alert comes once.
    #[test]
    fn the_ledger_is_the_sum_of_its_calls(steps in prop::collection::vec(step(), 0..150)) {
        let mut ledger = BudgetLedger::default();
        let mut open: Vec<(HoldId, SpendRequest)> = Vec::new();
        let mut spent: Vec<(SpendRequest, u64)> = Vec::new();
        let mut caps: BTreeMap<BudgetScope, u64> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (n, step) in (1_u64..).zip(steps) {
            let sums = |scope: &BudgetScope| -> (u64, u64) {
                let held = open.iter().filter(|(_, w)| w.scopes().any(|s| s == *scope));
                let paid = spent.iter().filter(|(w, _)| w.scopes().any(|s| s == *scope));
                (paid.map(|(_, cost)| cost).sum(), held.map(|(_, w)| w.worst.0).sum())
            };
            let mut alerts = Vec::new();
            match step {
                BudgetStep::Reserve { run, job, agent, worst } => {
                    let job = job.map(|job| format!("j{job}"));
                    let wanted = wanted(&format!("r{run}"), job.as_deref(), &format!("a{agent}"), worst);
                    let fits = wanted.scopes().all(|scope| {
                        let (settled, held) = sums(&scope);
                        worst == 0 || caps.get(&scope).is_none_or(|cap| settled + held + worst <= *cap)
                    });
                    let answer = ledger.reserve(wanted.clone(), at(0));
                    prop_assert_eq!(answer.is_ok(), fits);
                    if let Ok(hold) = answer {
                        open.push((hold.into_id(), wanted));
                    }
                }
                BudgetStep::Settle { which, share } if !open.is_empty() => {
                    let (id, wanted) = open.remove(which % open.len());
                    let cost = wanted.worst.0 * share / 100;
                    alerts = ledger.settle(id, NanoUsd(cost), at(0)).unwrap().alerts;
                    spent.push((wanted, cost));
                }
                BudgetStep::Release { which } if !open.is_empty() => {
                    let (id, wanted) = open.remove(which % open.len());
                    prop_assert_eq!(ledger.release(id, at(0)), Ok(wanted));
                }
                BudgetStep::Cap { run: name, amount } => {
                    let scope = run(&format!("r{name}"));
                    alerts = ledger.set_cap(&scope, BudgetCap { amount: Some(NanoUsd(amount)), generation: n }, at(0));
                    caps.insert(scope, amount);
                }
                BudgetStep::Settle { .. } | BudgetStep::Release { .. } => {}
            }
            for alert in alerts {
                prop_assert!(seen.insert(alert.id()), "{} came twice", alert.id());
            }
        }
        let all = open.iter().map(|(_, w)| w).chain(spent.iter().map(|(w, _)| w));
        for scope in all.flat_map(SpendRequest::scopes).collect::<std::collections::BTreeSet<_>>() {
            let held: u64 =
                open.iter().filter(|(_, w)| w.scopes().any(|s| s == scope)).map(|(_, w)| w.worst.0).sum();
            let paid: u64 =
                spent.iter().filter(|(w, _)| w.scopes().any(|s| s == scope)).map(|(_, cost)| cost).sum();
            prop_assert_eq!(view(&ledger, &scope), (paid, held));
        }
    }
}

enum BudgetCaller {
    Idle { calls: u8 },
    Calling { calls: u8, id: HoldId, worst: u64 },
    Done,
}

/// 256 callers, each with two calls, in a random order of single steps; returns refusals.
fn schedule(seed: u64) -> (BudgetLedger, u64, u64) {
    const CAP: u64 = 100_000;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ledger = BudgetLedger::default();
    cap(&mut ledger, &run("shared"), CAP, 1);
    cap(&mut ledger, &BudgetScope::Day, 2 * CAP, 1);
    let mut callers: Vec<BudgetCaller> = (0..256).map(|_| BudgetCaller::Idle { calls: 0 }).collect();
    let mut running: Vec<usize> = (0..256).collect();
    let (mut spent, mut refused) = (0, 0);
    while !running.is_empty() {
        let place = random.usize(..running.len());
        let who = running[place];
        callers[who] = match std::mem::replace(&mut callers[who], BudgetCaller::Done) {
            BudgetCaller::Idle { calls: 2 } | BudgetCaller::Done => {
                running.swap_remove(place);
                BudgetCaller::Done
            }
            BudgetCaller::Idle { calls } => {
                let worst = random.u64(1..800);
                match ledger.reserve(wanted("shared", None, ["a", "b"][who % 2], worst), at(0)) {
                    Ok(hold) => BudgetCaller::Calling { calls: calls + 1, id: hold.into_id(), worst },
                    Err(over) => {
                        refused += 1;
                        assert!(over.settled.0 + over.held.0 + worst > CAP, "refused though it fits");
                        BudgetCaller::Idle { calls: calls + 1 }
                    }
                }
            }
            BudgetCaller::Calling { calls, id, worst } => {
                if random.u8(..) < 16 {
                    ledger.release(id, at(0)).unwrap();
                } else {
                    let cost = random.u64(0..=worst);
                    ledger.settle(id, NanoUsd(cost), at(0)).unwrap();
                    spent += cost;
                }
                BudgetCaller::Idle { calls }
            }
        };
        let (settled, held) = view(&ledger, &run("shared"));
        assert!(settled + held <= CAP, "seed {seed}: {settled} + {held} exceed the cap");
    }
    (ledger, spent, refused)
}

#[test]
fn a_thousand_schedules_of_256_callers_never_overspend_nor_refuse_what_fits() {
    let mut refusals = 0;
    for seed in 0..1_000 {
        let (mut ledger, spent, refused) = schedule(seed);
        refusals += refused;
        assert_eq!(view(&ledger, &run("shared")), (spent, 0), "seed {seed}: nothing stays held");
        assert_eq!(ledger.open_holds().count(), 0);
        // Once all is settled, the rest can be spent to the last nano-dollar.
        let left = 100_000 - spent;
        assert!(ledger.reserve(wanted("shared", None, "a", left + 1), at(0)).is_err());
        assert!(left == 0 || ledger.reserve(wanted("shared", None, "a", left), at(0)).is_ok());
    }
    assert!(refusals > 0, "the budget was short enough to matter");
}
