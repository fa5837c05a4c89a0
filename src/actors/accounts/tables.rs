//! The tables of the accounts, and the one transaction in which receipts become durable.
//!
//! Invariant: [`booking`] writes receipts, the outbox, the scopes' spendings, and the alerts raised,
//! together; a repeated booking changes nothing, because receipts are booked in the order of `seq` and the
//! last `seq` booked is written with them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::accounts::budget::ledger::{BudgetCap, ScopeBalance, alert_generation, day_of};
use crate::domain::accounts::budget::{BudgetAlert, BudgetAlertLevel, BudgetScope, HoldId, SpendRequest};
use crate::domain::accounts::receipt::Receipt;
use crate::domain::money::NanoUsd;
use crate::domain::usage::{ServiceTier, TokenUsage};
use crate::store::{KeyRange, StoreChanges, StoreError, StoreTable, StoreView};

/// The amount spent in each scope.
const SPENT: StoreTable<String, SpentRow> = StoreTable::new("spent");
pub(super) const CAPS: StoreTable<String, CapRow> = StoreTable::new("budget_caps");
/// The highest alert level a scope's cap has reached, and in which generation.
const REACHED: StoreTable<String, (u64, BudgetAlertLevel)> = StoreTable::new("budget_alerts_reached");
/// Alerts that may not have been published.
pub(super) const OWED: StoreTable<String, BudgetAlert> = StoreTable::new("budget_alerts_owed");
/// Receipts by run, in groups booked together (under the first `seq` of each).
pub(super) const RECEIPTS: StoreTable<(String, u64), ReceiptsRow> = StoreTable::new("receipts");
/// What receipts of a group were billed by beside their tokens, where it is not the usual: under the group's key.
const TERMS: StoreTable<(String, u64), Vec<TermsRow>> = StoreTable::new("receipt_terms");
/// Bookings by their first `seq`: time, and the keys of their groups.
pub(super) const BOOKINGS: StoreTable<u64, BookingRow> = StoreTable::new("receipt_bookings");
/// Bookings whose lines in the receipt files may not be on the disk.
pub(super) const OUTBOX: StoreTable<u64, ()> = StoreTable::new("receipt_outbox");
/// Holds under a cap whose calls have not been settled.
pub(super) const HOLDS: StoreTable<u64, SpendRequest> = StoreTable::new("holds");
/// Marks of receipt files from when they were last known to be whole.
pub(super) const FILES: StoreTable<String, FileMarkRow> = StoreTable::new("receipt_files");
const COUNTERS: StoreTable<String, u64> = StoreTable::new("accounts_counters");

const LAST_SEQ: &str = "last_seq";
const STARTS: &str = "starts";

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct SpentRow {
    settled: NanoUsd,
    day: i64,
}

/// A stored cap; `None` for a lifted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CapRow {
    amount: Option<NanoUsd>,
    generation: u64,
}

impl From<CapRow> for BudgetCap {
    fn from(row: CapRow) -> Self {
        Self { amount: row.amount, generation: row.generation }
    }
}

/// A booking's time and groups: run and first `seq` of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BookingRow {
    pub(super) newest_ms: i64,
    pub(super) last_seq: u64,
    pub(super) pieces: Vec<(String, u64)>,
}

/// A file's size and time when the whole file was on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileMarkRow {
    pub(super) bytes: u64,
    /// Time of modification, in nanoseconds since the epoch.
    pub(super) modified_ns: u64,
}

/// Receipts of one run that were booked together, by `seq`.
#[derive(Debug, Clone, Default)]
pub(super) struct ReceiptsRow(pub(super) Vec<Arc<Receipt>>);

impl Serialize for ReceiptsRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|receipt| &**receipt))
    }
}

impl<'de> Deserialize<'de> for ReceiptsRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Receipt>::deserialize(deserializer).map(|list| Self(list.into_iter().map(Arc::new).collect()))
    }
}

/// The service tier and the searches of one receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TermsRow {
    seq: u64,
    tier: ServiceTier,
    searches: u32,
}

impl TermsRow {
    /// `None`: the standard tier, and no search.
    fn of(receipt: &Receipt) -> Option<Self> {
        let TokenUsage { tier, searches, .. } = receipt.outcome.usage;
        (!tier.is_standard() || searches > 0).then_some(Self { seq: receipt.seq, tier, searches })
    }

    fn apply(self, receipts: &mut [Arc<Receipt>]) {
        if let Some(receipt) = receipts.iter_mut().find(|receipt| receipt.seq == self.seq) {
            let usage = &mut Arc::make_mut(receipt).outcome.usage;
            (usage.tier, usage.searches) = (self.tier, self.searches);
        }
    }
}

/// Items to be made durable, in order.
#[derive(Debug, Clone)]
pub(super) enum BookingItem {
    Receipt(Arc<Receipt>),
    /// A released hold under a cap.
    Released(HoldId),
    /// An alert that was raised.
    Alert(Arc<BudgetAlert>),
}

/// The changes that make items durable.
pub(super) fn booking(view: &StoreView<'_>, items: &[BookingItem]) -> Result<StoreChanges, StoreError> {
    let booked = last_seq(view)?;
    let mut changes = StoreChanges::none();
    let mut fresh: Vec<&Arc<Receipt>> = Vec::new();
    for item in items {
        match item {
            BookingItem::Receipt(receipt) if receipt.seq > booked => fresh.push(receipt),
            BookingItem::Receipt(_) => {}
            BookingItem::Released(hold) => changes = changes.delete(&HOLDS, &hold.0),
            BookingItem::Alert(alert) => {
                changes = changes.put(&OWED, &alert.id(), alert).put(
                    &REACHED,
                    &alert.scope.to_string(),
                    &(alert.generation, alert.level),
                );
            }
        }
    }
    let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else { return Ok(changes) };
    let newest_ms = fresh.iter().map(|receipt| receipt.outcome.at.as_millis()).max().unwrap_or(0);
    let (pieces, rows) = pieces(view, &fresh)?;
    Ok(changes
        .and(rows)
        .and(spending(view, &fresh)?)
        .put(&BOOKINGS, &first.seq, &BookingRow { newest_ms, last_seq: last.seq, pieces })
        .put(&OUTBOX, &first.seq, &())
        .put(&COUNTERS, &LAST_SEQ.to_owned(), &last.seq))
}

fn pieces(
    view: &StoreView<'_>,
    receipts: &[&Arc<Receipt>],
) -> Result<(Vec<(String, u64)>, StoreChanges), StoreError> {
    let mut by_run: BTreeMap<&str, ReceiptsRow> = BTreeMap::new();
    let mut changes = StoreChanges::none();
    // Only holds under a cap are stored; without any cap there is nothing to look up.
    let has_holds = view.count(&HOLDS)? > 0;
    for receipt in receipts {
        by_run.entry(receipt.wanted.run.as_str()).or_default().0.push(Arc::clone(receipt));
        if has_holds {
            changes = changes.delete(&HOLDS, &receipt.hold.0);
        }
    }
    let mut keys = Vec::with_capacity(by_run.len());
    for (run, piece) in by_run {
        let key = (run.to_owned(), piece.0.first().map_or(0, |receipt| receipt.seq));
        let terms: Vec<TermsRow> = piece.0.iter().filter_map(|receipt| TermsRow::of(receipt)).collect();
        if !terms.is_empty() {
            changes = changes.put(&TERMS, &key, &terms);
        }
        changes = changes.put(&RECEIPTS, &key, &piece);
        keys.push(key);
    }
    Ok((keys, changes))
}

/// Adds receipts to their scopes' spendings; the day's sum begins anew when they cross midnight.
fn spending(view: &StoreView<'_>, receipts: &[&Arc<Receipt>]) -> Result<StoreChanges, StoreError> {
    let mut sums: BTreeMap<BudgetScope, SpentRow> = BTreeMap::new();
    for receipt in receipts {
        for scope in receipt.wanted.scopes() {
            let is_day = scope == BudgetScope::Day;
            let spent = match sums.entry(scope) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let stored = view.get(&SPENT, &new.key().to_string())?;
                    new.insert(stored.unwrap_or_default())
                }
            };
            let day = day_of(receipt.outcome.at);
            if is_day && day > spent.day {
                *spent = SpentRow { settled: NanoUsd::ZERO, day };
            }
            spent.settled = spent.settled.saturating_add(receipt.outcome.cost);
        }
    }
    Ok(sums
        .iter()
        .fold(StoreChanges::none(), |changes, (scope, spent)| changes.put(&SPENT, &scope.to_string(), spent)))
}

/// The last `seq` booked; 0 before the first.
pub(super) fn last_seq(view: &StoreView<'_>) -> Result<u64, StoreError> {
    Ok(view.get(&COUNTERS, &LAST_SEQ.to_owned())?.unwrap_or(0))
}

/// Counts a start; returns the changes, and the start's number (from 1).
pub(super) fn count_start(view: &StoreView<'_>) -> Result<(StoreChanges, u64), StoreError> {
    let start = view.get(&COUNTERS, &STARTS.to_owned())?.unwrap_or(0) + 1;
    Ok((StoreChanges::none().put(&COUNTERS, &STARTS.to_owned(), &start), start))
}

/// A scope's balance in the store.
pub(super) fn standing(view: &StoreView<'_>, scope: &BudgetScope) -> Result<ScopeBalance, StoreError> {
    let key = scope.to_string();
    let spent = view.get(&SPENT, &key)?.unwrap_or_default();
    let cap = view.get(&CAPS, &key)?.map(BudgetCap::from);
    let mut standing =
        ScopeBalance { settled: spent.settled, day: spent.day, cap, ..ScopeBalance::default() };
    if let (Some(cap), Some((generation, level))) = (cap, view.get(&REACHED, &key)?)
        && alert_generation(scope, cap.generation, spent.day) == generation
    {
        standing.reached = level;
    }
    Ok(standing)
}

/// Sets a cap, or lifts it; returns the changes, and the cap with its generation. Idempotent.
pub(super) fn setting(
    view: &StoreView<'_>,
    scope: &BudgetScope,
    amount: Option<NanoUsd>,
) -> Result<(StoreChanges, BudgetCap), StoreError> {
    let key = scope.to_string();
    let known = view.get(&CAPS, &key)?;
    if let Some(known) = known.filter(|known| known.amount == amount) {
        return Ok((StoreChanges::none(), known.into()));
    }
    let row = CapRow { amount, generation: known.map_or(1, |known| known.generation + 1) };
    Ok((StoreChanges::none().put(&CAPS, &key, &row), row.into()))
}

/// All scopes with a cap, in the order of their names.
pub(super) fn capped(view: &StoreView<'_>) -> Result<Vec<BudgetScope>, StoreError> {
    // Lifted caps have rows too: a limit on rows would cut before the filter.
    let rows = view.range(&CAPS, &KeyRange::all(), crate::store::ScanOrder::Ascending, usize::MAX)?;
    let capped = rows.into_iter().filter(|(_, row)| row.amount.is_some());
    // Every name was written by `BudgetScope`'s own `Display`.
    Ok(capped.filter_map(|(name, _)| name.parse().ok()).collect())
}

/// The receipts of some groups.
pub(super) fn receipts_of(
    view: &StoreView<'_>,
    pieces: &[(String, u64)],
) -> Result<Vec<Arc<Receipt>>, StoreError> {
    let mut found = Vec::new();
    for key in pieces {
        let piece = view.get(&RECEIPTS, key)?.unwrap_or_default();
        found.append(&mut with_terms(view, key, piece)?);
    }
    Ok(found)
}

/// The receipts of a group, with what its own row leaves out.
fn with_terms(
    view: &StoreView<'_>,
    key: &(String, u64),
    ReceiptsRow(mut receipts): ReceiptsRow,
) -> Result<Vec<Arc<Receipt>>, StoreError> {
    let terms = view.get(&TERMS, key)?.unwrap_or_default();
    terms.into_iter().for_each(|terms| terms.apply(&mut receipts));
    Ok(receipts)
}

/// All booked receipts of a run, by `seq`.
pub(super) fn receipts_of_run(view: &StoreView<'_>, run: &str) -> Result<Vec<Arc<Receipt>>, StoreError> {
    let span = KeyRange::under(&run.to_owned());
    let pieces = view.range(&RECEIPTS, &span, crate::store::ScanOrder::Ascending, usize::MAX)?;
    let mut found = Vec::new();
    for (key, piece) in pieces {
        found.append(&mut with_terms(view, &key, piece)?);
    }
    Ok(found)
}
