//! The ledger: who has spent and holds how much, and whether more may be held.
//!
//! Pure: times and stored figures are handed in. Invariants:
//! - a hold is granted in all scopes of its call or in none, and only where `settled + held ≤ cap`
//!   stays true in each; a call that costs nothing is always granted;
//! - a hold is settled or released once, by its id; a settlement counts in full, also above its hold
//!   (a vendor's bill is paid whatever was held; [`Settled::excess`] says by how much it was wrong);
//! - the budget of the day begins anew at midnight UTC and never goes back; what is held goes along;
//! - each level of a cap raises one alert, the lower before the higher, for each setting of the cap.
//!
//! Not every scope there ever was is in memory: one that is idle can be let go
//! ([`Ledger::evict_idle`]) and is brought back ([`Ledger::admit`]) before it is asked for again.

use std::collections::HashMap;

use super::alert::{Alert, AlertLevel};
use super::hold::{Hold, HoldId};
use super::scope::Scope;
use super::wanted::Wanted;
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// The UTC day of a time, in days since the epoch.
#[must_use]
pub const fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

/// What is known of a scope from before: nothing, by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub settled: NanoUsd,
    /// The day that `settled` is of, for [`Scope::Day`].
    pub day: i64,
    /// Its cap, and how often one was set.
    pub cap: Option<Cap>,
    /// The highest level that this cap (on this day) has raised an alert for.
    pub reached: AlertLevel,
}

/// A cap, and which setting of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// The most that may be spent; none once the cap was lifted.
    pub amount: Option<NanoUsd>,
    /// Grows with each setting and lifting, so that the next one's alerts are not those of the last.
    pub generation: u64,
}

impl Standing {
    fn amount(&self) -> Option<NanoUsd> {
        self.cap.and_then(|cap| cap.amount)
    }
}

#[derive(Debug, Default)]
struct Account {
    standing: Standing,
    held: NanoUsd,
    /// Open holds, those of nothing included.
    open: usize,
    /// [`Ledger::now`] when it last changed.
    changed: u64,
}

/// A scope's budget does not allow a hold. Nothing was held anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of {scope} does not allow it: {wanted} may be needed, {} of {cap} are left \
     ({settled} spent, {held} held by calls under way)",
    self.left()
)]
pub struct OverBudget {
    /// The first scope that refused.
    pub scope: Scope,
    pub cap: NanoUsd,
    pub settled: NanoUsd,
    /// What calls under way hold.
    pub held: NanoUsd,
    /// What the call may cost.
    pub wanted: NanoUsd,
}

impl OverBudget {
    /// What could still be held.
    #[must_use]
    pub const fn left(&self) -> NanoUsd {
        self.cap.saturating_sub(self.settled).saturating_sub(self.held)
    }
}

/// No such hold is open: it was settled or released before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hold {0} is not open: it was settled or released before")]
pub struct NotHeld(pub HoldId);

/// What a settlement found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What the hold was for.
    pub wanted: Wanted,
    /// What it cost beyond its hold; nothing, unless prices or limits are wrong.
    pub excess: NanoUsd,
    /// Alerts it raised, in order.
    pub alerts: Vec<Alert>,
}

/// A budget as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetView {
    /// Its cap, if one was set.
    pub cap: Option<NanoUsd>,
    pub settled: NanoUsd,
    /// What calls under way hold.
    pub held: NanoUsd,
}

impl BudgetView {
    /// What is not spent; `None` without a cap.
    #[must_use]
    pub fn remaining(&self) -> Option<NanoUsd> {
        self.cap.map(|cap| cap.saturating_sub(self.settled))
    }

    /// How full it is by what is spent.
    #[must_use]
    pub fn level(&self) -> AlertLevel {
        self.cap.map_or(AlertLevel::Ok, |cap| AlertLevel::of(self.settled, cap))
    }

    /// Whether a call that costs something can still be held.
    #[must_use]
    pub fn can_proceed(&self) -> bool {
        self.cap.is_none_or(|cap| self.settled.saturating_add(self.held) < cap)
    }
}

/// All scopes in memory, and all holds that are open.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<Scope, Account>,
    open: HashMap<HoldId, Wanted>,
    last_hold: u64,
    changes: u64,
}

impl Ledger {
    /// A ledger whose holds are numbered after `last_hold`.
    #[must_use]
    pub fn new(last_hold: u64) -> Self {
        Self { last_hold, ..Self::default() }
    }

    /// Whether a scope is in memory.
    #[must_use]
    pub fn knows(&self, scope: &Scope) -> bool {
        self.accounts.contains_key(scope)
    }

    /// Brings a scope into memory as it stood, unless it is there; alerts that it owes since.
    pub fn admit(&mut self, scope: Scope, standing: Standing, at: Timestamp) -> Vec<Alert> {
        if self.knows(&scope) {
            return Vec::new();
        }
        let mut account = Account { standing, changed: self.changes, ..Account::default() };
        account.roll_over(&scope, at);
        let alerts = account.alerts(&scope, at);
        self.accounts.insert(scope, account);
        alerts
    }

    /// Holds `wanted.worst` in all scopes of the call, or nothing.
    ///
    /// # Errors
    /// [`OverBudget`] of the first scope that has too little left.
    pub fn reserve(&mut self, wanted: Wanted, at: Timestamp) -> Result<Hold, Box<OverBudget>> {
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
    pub fn is_capped(&self, wanted: &Wanted) -> bool {
        wanted.scopes().any(|scope| self.accounts.get(&scope).is_some_and(|a| a.standing.amount().is_some()))
    }

    /// Replaces a hold by what the call did cost.
    ///
    /// # Errors
    /// [`NotHeld`] when it is not open; nothing changed.
    pub fn settle(&mut self, id: HoldId, cost: NanoUsd, at: Timestamp) -> Result<Settled, NotHeld> {
        let wanted = self.release(id, at)?;
        let alerts = self.charge(&wanted, cost, at);
        Ok(Settled { excess: cost.saturating_sub(wanted.worst), wanted, alerts })
    }

    /// Gives a hold back: its call was never sent.
    ///
    /// # Errors
    /// [`NotHeld`] when it is not open; nothing changed.
    pub fn release(&mut self, id: HoldId, at: Timestamp) -> Result<Wanted, NotHeld> {
        let wanted = self.open.remove(&id).ok_or(NotHeld(id))?;
        for scope in wanted.scopes() {
            let account = self.account(&scope, at);
            account.held = account.held.saturating_sub(wanted.worst);
            account.open = account.open.saturating_sub(1);
        }
        Ok(wanted)
    }

    /// Books a cost whose hold is not known any more (a receipt found after a crash).
    pub fn charge(&mut self, wanted: &Wanted, cost: NanoUsd, at: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for scope in wanted.scopes() {
            let account = self.account(&scope, at);
            account.standing.settled = account.standing.settled.saturating_add(cost);
            alerts.append(&mut account.alerts(&scope, at));
        }
        alerts
    }

    /// Sets or lifts a scope's cap, unless a later setting is in force; the alerts it raises at once.
    pub fn set_cap(&mut self, scope: &Scope, cap: Cap, at: Timestamp) -> Vec<Alert> {
        let account = self.account(scope, at);
        if account.standing.cap.is_some_and(|known| known.generation >= cap.generation) {
            return Vec::new();
        }
        account.standing.cap = Some(cap);
        account.standing.reached = AlertLevel::Ok;
        account.alerts(scope, at)
    }

    /// A scope as it stands; `None` when it is not in memory.
    #[must_use]
    pub fn view(&self, scope: &Scope, at: Timestamp) -> Option<BudgetView> {
        let account = self.accounts.get(scope)?;
        let over = *scope == Scope::Day && day_of(at) > account.standing.day;
        Some(BudgetView {
            cap: account.standing.amount(),
            settled: if over { NanoUsd::ZERO } else { account.standing.settled },
            held: account.held,
        })
    }

    /// What an open hold is for.
    #[must_use]
    pub fn open(&self, id: HoldId) -> Option<&Wanted> {
        self.open.get(&id)
    }

    pub fn open_holds(&self) -> impl Iterator<Item = (HoldId, &Wanted)> {
        self.open.iter().map(|(id, wanted)| (*id, wanted))
    }

    /// How many scopes are in memory.
    #[must_use]
    pub fn scopes(&self) -> usize {
        self.accounts.len()
    }

    /// A number that grows with every change.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.changes
    }

    /// Lets go of scopes that no call is under way in and that have not changed after `saved` (see [`Ledger::now`]):
    /// what is known of them is in the store.
    pub fn evict_idle(&mut self, saved: u64) {
        self.accounts.retain(|_, account| account.open > 0 || account.changed > saved);
    }

    /// The account of a scope, about to be changed.
    fn account(&mut self, scope: &Scope, at: Timestamp) -> &mut Account {
        self.changes += 1;
        let account = self.accounts.entry(scope.clone()).or_default();
        account.changed = self.changes;
        account.roll_over(scope, at);
        account
    }
}

impl Account {
    fn check(&self, scope: &Scope, wanted: NanoUsd) -> Result<(), Box<OverBudget>> {
        let Some(cap) = self.standing.amount() else { return Ok(()) };
        let settled = self.standing.settled;
        let fits = |sum: NanoUsd| sum <= cap && sum < NanoUsd::MAX;
        if wanted == NanoUsd::ZERO || fits(settled.saturating_add(self.held).saturating_add(wanted)) {
            return Ok(());
        }
        Err(Box::new(OverBudget { scope: scope.clone(), cap, settled, held: self.held, wanted }))
    }

    fn roll_over(&mut self, scope: &Scope, at: Timestamp) {
        let day = day_of(at);
        if *scope == Scope::Day && day > self.standing.day {
            self.standing.day = day;
            self.standing.settled = NanoUsd::ZERO;
            self.standing.reached = AlertLevel::Ok;
        }
    }

    /// Alerts for the levels that were reached since the last one was raised.
    fn alerts(&mut self, scope: &Scope, at: Timestamp) -> Vec<Alert> {
        let Some(Cap { amount: Some(amount), generation }) = self.standing.cap else { return Vec::new() };
        let (spent, before) = (self.standing.settled, self.standing.reached);
        let now = AlertLevel::of(spent, amount);
        self.standing.reached = before.max(now);
        let generation = alert_generation(scope, generation, self.standing.day);
        AlertLevel::RAISED
            .into_iter()
            .filter(|level| before < *level && *level <= now)
            .map(|level| Alert { scope: scope.clone(), generation, level, cap: amount, spent, at })
            .collect()
    }
}

/// Which alerts count as the same: those of one setting of a cap, and for the day's budget of one day.
#[must_use]
pub fn alert_generation(scope: &Scope, generation: u64, day: i64) -> u64 {
    /// More days than a calendar has: the two numbers stay legible beside each other.
    const DAYS: u64 = 10_000_000;
    match scope {
        Scope::Day => generation * DAYS + u64::try_from(day).unwrap_or(0),
        _ => generation,
    }
}

#[cfg(test)]
mod tests;
