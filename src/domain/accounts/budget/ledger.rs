//! The ledger: settled and held sums per scope, and the decision on new holds.
//!
//! Pure: times and stored figures come in as arguments. Invariants:
//! - a hold is granted in all scopes of a call or in none, and only if `settled + held ≤ cap` stays true in
//!   each; a free call is always granted;
//! - a hold is settled or released once, by id; a settlement counts in full, even above the hold (the
//!   vendor's bill must be paid; [`HoldSettlement::excess`] is the difference);
//! - the day's budget restarts at midnight UTC and never goes back; open holds carry over;
//! - each level of a cap raises one alert, lower levels first, for each setting of the cap.
//!
//! Not every scope is in memory: an idle one can be evicted ([`BudgetLedger::evict_idle`]) and is readmitted
//! ([`BudgetLedger::admit`]) before the next use.

use std::collections::HashMap;

use super::alert::{BudgetAlert, BudgetAlertLevel};
use super::hold::{Hold, HoldId};
use super::scope::BudgetScope;
use super::wanted::SpendRequest;
use crate::money::NanoUsd;
use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// The UTC day of a time, in days since the epoch.
#[must_use]
pub const fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

/// A scope's stored history; empty by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeBalance {
    pub settled: NanoUsd,
    /// The day of `settled`, for [`BudgetScope::Day`].
    pub day: i64,
    pub cap: Option<BudgetCap>,
    /// The highest level that has raised an alert for this cap (on this day).
    pub reached: BudgetAlertLevel,
}

/// A cap, versioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetCap {
    /// The most that may be spent; `None` once the cap was lifted.
    pub amount: Option<NanoUsd>,
    /// Grows with each setting and lifting, so that the alerts of two settings differ.
    pub generation: u64,
}

impl ScopeBalance {
    fn amount(&self) -> Option<NanoUsd> {
        self.cap.and_then(|cap| cap.amount)
    }
}

#[derive(Debug, Default)]
struct ScopeAccount {
    standing: ScopeBalance,
    held: NanoUsd,
    /// Open holds, including those of 0.
    open: usize,
    /// [`BudgetLedger::revision`] at the last change.
    changed: u64,
}

/// A scope's budget does not allow the hold; no scope was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of {scope} does not allow it: {wanted} may be needed, {} of {cap} are left \
     ({settled} spent, {held} held by calls under way)",
    self.left()
)]
pub struct OverBudget {
    /// The first scope that refused.
    pub scope: BudgetScope,
    pub cap: NanoUsd,
    pub settled: NanoUsd,
    /// Held by calls in flight.
    pub held: NanoUsd,
    /// The most the call may cost.
    pub wanted: NanoUsd,
}

impl OverBudget {
    /// The amount that could still be held.
    #[must_use]
    pub const fn left(&self) -> NanoUsd {
        self.cap.saturating_sub(self.settled).saturating_sub(self.held)
    }
}

/// No such hold is open: settled or released before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hold {0} is not open: it was settled or released before")]
pub struct NotHeld(pub HoldId);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSettlement {
    pub wanted: SpendRequest,
    /// Cost above the hold; 0 unless prices or limits are wrong.
    pub excess: NanoUsd,
    /// Alerts raised, in order.
    pub alerts: Vec<BudgetAlert>,
}

/// The current state of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetView {
    /// The scope's cap, if one was set.
    pub cap: Option<NanoUsd>,
    pub settled: NanoUsd,
    /// Held by calls in flight.
    pub held: NanoUsd,
}

impl BudgetView {
    /// The unspent rest; `None` without a cap.
    #[must_use]
    pub fn remaining(&self) -> Option<NanoUsd> {
        self.cap.map(|cap| cap.saturating_sub(self.settled))
    }

    /// The most that a new call may hold; `None` without a cap.
    #[must_use]
    pub fn free(&self) -> Option<NanoUsd> {
        self.remaining().map(|left| left.saturating_sub(self.held))
    }

    /// The alert level of the settled sum.
    #[must_use]
    pub fn level(&self) -> BudgetAlertLevel {
        self.cap.map_or(BudgetAlertLevel::Ok, |cap| BudgetAlertLevel::of(self.settled, cap))
    }

    /// Whether a call that is not free can still be held.
    #[must_use]
    pub fn can_proceed(&self) -> bool {
        self.cap.is_none_or(|cap| self.settled.saturating_add(self.held) < cap)
    }
}

/// All scopes in memory, and all open holds.
#[derive(Debug, Default)]
pub struct BudgetLedger {
    accounts: HashMap<BudgetScope, ScopeAccount>,
    open: HashMap<HoldId, SpendRequest>,
    last_hold: u64,
    changes: u64,
}

impl BudgetLedger {
    /// A ledger whose holds are numbered after `last_hold`.
    #[must_use]
    pub fn new(last_hold: u64) -> Self {
        Self { last_hold, ..Self::default() }
    }

    /// Whether a scope is in memory.
    #[must_use]
    pub fn knows(&self, scope: &BudgetScope) -> bool {
        self.accounts.contains_key(scope)
    }

    /// Loads a scope from the stored history, unless in memory; returns alerts due since.
    pub fn admit(&mut self, scope: BudgetScope, standing: ScopeBalance, at: Timestamp) -> Vec<BudgetAlert> {
        if self.knows(&scope) {
            return Vec::new();
        }
        let mut account = ScopeAccount { standing, changed: self.changes, ..ScopeAccount::default() };
        account.roll_over(&scope, at);
        let alerts = account.alerts(&scope, at);
        self.accounts.insert(scope, account);
        alerts
    }

    /// Holds `wanted.worst` in all scopes of the call, or in none.
    ///
    /// # Errors
    /// [`OverBudget`] for the first scope with too little left.
    pub fn reserve(&mut self, wanted: SpendRequest, at: Timestamp) -> Result<Hold, Box<OverBudget>> {
        for scope in wanted.scopes() {
            self.account(&scope, at).check(&scope, wanted.worst)?;
        }
        for scope in wanted.scopes() {
            let account = self.account(&scope, at);
            account.held = account.held.saturating_add(wanted.worst);
            account.open += 1;
        }
        self.last_hold += 1;
        let (id, amount) = (HoldId(self.last_hold), wanted.worst);
        self.open.insert(id, wanted);
        Ok(Hold::new(id, amount))
    }

    /// Whether any scope of a call has a cap.
    #[must_use]
    pub fn is_capped(&self, wanted: &SpendRequest) -> bool {
        wanted.scopes().any(|scope| self.accounts.get(&scope).is_some_and(|a| a.standing.amount().is_some()))
    }

    /// Replaces a hold by the actual cost.
    ///
    /// # Errors
    /// [`NotHeld`] when the hold is not open; nothing changes.
    pub fn settle(&mut self, id: HoldId, cost: NanoUsd, at: Timestamp) -> Result<HoldSettlement, NotHeld> {
        let wanted = self.release(id, at)?;
        let alerts = self.charge(&wanted, cost, at);
        Ok(HoldSettlement { excess: cost.saturating_sub(wanted.worst), wanted, alerts })
    }

    /// Releases a hold whose call was never sent.
    ///
    /// # Errors
    /// [`NotHeld`] when the hold is not open; nothing changes.
    pub fn release(&mut self, id: HoldId, at: Timestamp) -> Result<SpendRequest, NotHeld> {
        let wanted = self.open.remove(&id).ok_or(NotHeld(id))?;
        for scope in wanted.scopes() {
            let account = self.account(&scope, at);
            account.held = account.held.saturating_sub(wanted.worst);
            account.open = account.open.saturating_sub(1);
        }
        Ok(wanted)
    }

    /// Books a cost whose hold is lost (a receipt found after a crash).
    pub fn charge(&mut self, wanted: &SpendRequest, cost: NanoUsd, at: Timestamp) -> Vec<BudgetAlert> {
        let mut alerts = Vec::new();
        for scope in wanted.scopes() {
            let account = self.account(&scope, at);
            account.standing.settled = account.standing.settled.saturating_add(cost);
            alerts.append(&mut account.alerts(&scope, at));
        }
        alerts
    }

    /// Sets or lifts a scope's cap, unless a later setting is in force; returns the alerts raised at once.
    pub fn set_cap(&mut self, scope: &BudgetScope, cap: BudgetCap, at: Timestamp) -> Vec<BudgetAlert> {
        let account = self.account(scope, at);
        if account.standing.cap.is_some_and(|known| known.generation >= cap.generation) {
            return Vec::new();
        }
        account.standing.cap = Some(cap);
        account.standing.reached = BudgetAlertLevel::Ok;
        account.alerts(scope, at)
    }

    /// The current state of a scope; `None` when not in memory.
    #[must_use]
    pub fn view(&self, scope: &BudgetScope, at: Timestamp) -> Option<BudgetView> {
        let account = self.accounts.get(scope)?;
        let over = *scope == BudgetScope::Day && day_of(at) > account.standing.day;
        Some(BudgetView {
            cap: account.standing.amount(),
            settled: if over { NanoUsd::ZERO } else { account.standing.settled },
            held: account.held,
        })
    }

    /// The request of an open hold.
    #[must_use]
    pub fn open(&self, id: HoldId) -> Option<&SpendRequest> {
        self.open.get(&id)
    }

    pub fn open_holds(&self) -> impl Iterator<Item = (HoldId, &SpendRequest)> {
        self.open.iter().map(|(id, wanted)| (*id, wanted))
    }

    /// How many scopes are in memory.
    #[must_use]
    pub fn scopes(&self) -> usize {
        self.accounts.len()
    }

    /// A number that grows with every change.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.changes
    }

    /// Evicts scopes that have no open hold and have not changed after `saved` (see
    /// [`BudgetLedger::revision`]): their figures are in the store.
    pub fn evict_idle(&mut self, saved: u64) {
        self.accounts.retain(|_, account| account.open > 0 || account.changed > saved);
    }

    /// The account of a scope, about to be changed.
    fn account(&mut self, scope: &BudgetScope, at: Timestamp) -> &mut ScopeAccount {
        self.changes += 1;
        let account = self.accounts.entry(scope.clone()).or_default();
        account.changed = self.changes;
        account.roll_over(scope, at);
        account
    }
}

impl ScopeAccount {
    fn check(&self, scope: &BudgetScope, wanted: NanoUsd) -> Result<(), Box<OverBudget>> {
        let Some(cap) = self.standing.amount() else { return Ok(()) };
        let settled = self.standing.settled;
        let fits = |sum: NanoUsd| sum <= cap && sum < NanoUsd::MAX;
        if wanted == NanoUsd::ZERO || fits(settled.saturating_add(self.held).saturating_add(wanted)) {
            return Ok(());
        }
        Err(Box::new(OverBudget { scope: scope.clone(), cap, settled, held: self.held, wanted }))
    }

    fn roll_over(&mut self, scope: &BudgetScope, at: Timestamp) {
        let day = day_of(at);
        if *scope == BudgetScope::Day && day > self.standing.day {
            self.standing.day = day;
            self.standing.settled = NanoUsd::ZERO;
            self.standing.reached = BudgetAlertLevel::Ok;
        }
    }

    /// Alerts for the levels reached since the last alert.
    fn alerts(&mut self, scope: &BudgetScope, at: Timestamp) -> Vec<BudgetAlert> {
        let Some(BudgetCap { amount: Some(amount), generation }) = self.standing.cap else {
            return Vec::new();
        };
        let (spent, before) = (self.standing.settled, self.standing.reached);
        let now = BudgetAlertLevel::of(spent, amount);
        self.standing.reached = before.max(now);
        let generation = alert_generation(scope, generation, self.standing.day);
        BudgetAlertLevel::RAISED
            .into_iter()
            .filter(|level| before < *level && *level <= now)
            .map(|level| BudgetAlert { scope: scope.clone(), generation, level, cap: amount, spent, at })
            .collect()
    }
}

/// The identity of alerts: the setting of the cap, and the day for the day's budget.
#[must_use]
pub fn alert_generation(scope: &BudgetScope, generation: u64, day: i64) -> u64 {
    /// More days than a calendar has: the two numbers stay legible beside each other.
    const DAYS: u64 = 10_000_000;
    match scope {
        BudgetScope::Day => generation * DAYS + u64::try_from(day).unwrap_or(0),
        _ => generation,
    }
}

#[cfg(test)]
mod tests;
