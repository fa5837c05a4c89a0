//! The tables of the accounts, and the one transaction in which receipts become durable.
//!
//! Invariant: [`booking`] writes receipts, the outbox, what each scope has spent, and the alerts raised,
//! together; carried out twice it changes nothing more, because receipts are booked in the order of their
//! `seq` and the last one booked is written beside them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::budget::ledger::{Cap, Standing, alert_generation, day_of};
use crate::domain::budget::{Alert, AlertLevel, HoldId, Scope, Wanted};
use crate::domain::money::NanoUsd;
use crate::domain::receipt::Receipt;
use crate::store::{Changes, Span, StoreError, Table, View};

/// What each scope has spent.
const SPENT: Table<String, Spent> = Table::new("spent");
pub(super) const CAPS: Table<String, CapRow> = Table::new("budget_caps");
/// The highest level a scope's cap has raised an alert for, and in which generation.
const REACHED: Table<String, (u64, AlertLevel)> = Table::new("budget_alerts_reached");
/// Alerts that may not have been published.
pub(super) const OWED: Table<String, Alert> = Table::new("budget_alerts_owed");
/// Receipts by run, in the pieces in which they were booked (under the first `seq` of each).
pub(super) const RECEIPTS: Table<(String, u64), Piece> = Table::new("receipts");
/// Bookings by their first `seq`: when, and the keys of their pieces.
pub(super) const BOOKINGS: Table<u64, Booking> = Table::new("receipt_bookings");
/// Bookings whose lines may not be on the disk in the files of receipts.
pub(super) const OUTBOX: Table<u64, ()> = Table::new("receipt_outbox");
/// Holds under a cap whose calls have not been settled.
pub(super) const HOLDS: Table<u64, Wanted> = Table::new("holds");
/// Files of receipts as they were when they were last known to be whole.
pub(super) const FILES: Table<String, Mark> = Table::new("receipt_files");
const COUNTERS: Table<String, u64> = Table::new("accounts_counters");

const LAST_SEQ: &str = "last_seq";
const STARTS: &str = "starts";

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Spent {
    settled: NanoUsd,
    day: i64,
}

/// A cap as stored; without an amount it was lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CapRow {
    amount: Option<NanoUsd>,
    generation: u64,
}

impl From<CapRow> for Cap {
    fn from(row: CapRow) -> Self {
        Self { amount: row.amount, generation: row.generation }
    }
}

/// When a booking was made, and its pieces: run and first `seq` of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Booking {
    pub(super) newest_ms: i64,
    pub(super) last_seq: u64,
    pub(super) pieces: Vec<(String, u64)>,
}

/// How a file looked when all of it was on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) bytes: u64,
    /// Its time of modification, in nanoseconds since the epoch.
    pub(super) modified_ns: u64,
}

/// Receipts of one run that were booked together, by `seq`.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece(pub(super) Vec<Arc<Receipt>>);

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|receipt| &**receipt))
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Receipt>::deserialize(deserializer).map(|list| Self(list.into_iter().map(Arc::new).collect()))
    }
}

/// What waits to be made durable, in order.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Receipt(Arc<Receipt>),
    /// A hold under a cap that was given back.
    Released(HoldId),
    /// An alert that was raised.
    Alert(Arc<Alert>),
}

/// The changes that make items durable.
pub(super) fn booking(view: &View<'_>, items: &[Item]) -> Result<Changes, StoreError> {
    let booked = last_seq(view)?;
    let mut changes = Changes::none();
    let mut fresh: Vec<&Arc<Receipt>> = Vec::new();
    for item in items {
        match item {
            Item::Receipt(receipt) if receipt.seq > booked => fresh.push(receipt),
            Item::Receipt(_) => {}
            Item::Released(hold) => changes = changes.delete(&HOLDS, &hold.0),
            Item::Alert(alert) => {
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
        .put(&BOOKINGS, &first.seq, &Booking { newest_ms, last_seq: last.seq, pieces })
        .put(&OUTBOX, &first.seq, &())
        .put(&COUNTERS, &LAST_SEQ.to_owned(), &last.seq))
}

fn pieces(view: &View<'_>, receipts: &[&Arc<Receipt>]) -> Result<(Vec<(String, u64)>, Changes), StoreError> {
    let mut by_run: BTreeMap<&str, Piece> = BTreeMap::new();
    let mut changes = Changes::none();
    // Only holds under a cap are stored; without any cap nothing is looked for.
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
        changes = changes.put(&RECEIPTS, &key, &piece);
        keys.push(key);
    }
    Ok((keys, changes))
}

/// Adds receipts to what their scopes have spent; the day's sum begins anew where they cross midnight.
fn spending(view: &View<'_>, receipts: &[&Arc<Receipt>]) -> Result<Changes, StoreError> {
    let mut sums: BTreeMap<Scope, Spent> = BTreeMap::new();
    for receipt in receipts {
        for scope in receipt.wanted.scopes() {
            let is_day = scope == Scope::Day;
            let spent = match sums.entry(scope) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let stored = view.get(&SPENT, &new.key().to_string())?;
                    new.insert(stored.unwrap_or_default())
                }
            };
            let day = day_of(receipt.outcome.at);
            if is_day && day > spent.day {
                *spent = Spent { settled: NanoUsd::ZERO, day };
            }
            spent.settled = spent.settled.saturating_add(receipt.outcome.cost);
        }
    }
    Ok(sums
        .iter()
        .fold(Changes::none(), |changes, (scope, spent)| changes.put(&SPENT, &scope.to_string(), spent)))
}

/// The last `seq` booked; 0 before the first.
pub(super) fn last_seq(view: &View<'_>) -> Result<u64, StoreError> {
    Ok(view.get(&COUNTERS, &LAST_SEQ.to_owned())?.unwrap_or(0))
}

/// Counts a start; the changes, and which start it is (from 1).
pub(super) fn count_start(view: &View<'_>) -> Result<(Changes, u64), StoreError> {
    let start = view.get(&COUNTERS, &STARTS.to_owned())?.unwrap_or(0) + 1;
    Ok((Changes::none().put(&COUNTERS, &STARTS.to_owned(), &start), start))
}

/// How a scope stands in the store.
pub(super) fn standing(view: &View<'_>, scope: &Scope) -> Result<Standing, StoreError> {
    let key = scope.to_string();
    let spent = view.get(&SPENT, &key)?.unwrap_or_default();
    let cap = view.get(&CAPS, &key)?.map(Cap::from);
    let mut standing = Standing { settled: spent.settled, day: spent.day, cap, ..Standing::default() };
    if let (Some(cap), Some((generation, level))) = (cap, view.get(&REACHED, &key)?)
        && alert_generation(scope, cap.generation, spent.day) == generation
    {
        standing.reached = level;
    }
    Ok(standing)
}

/// Sets a cap, or lifts it; the changes, and the cap with its generation. The same again changes nothing.
pub(super) fn setting(
    view: &View<'_>,
    scope: &Scope,
    amount: Option<NanoUsd>,
) -> Result<(Changes, Cap), StoreError> {
    let key = scope.to_string();
    let known = view.get(&CAPS, &key)?;
    if let Some(known) = known.filter(|known| known.amount == amount) {
        return Ok((Changes::none(), known.into()));
    }
    let row = CapRow { amount, generation: known.map_or(1, |known| known.generation + 1) };
    Ok((Changes::none().put(&CAPS, &key, &row), row.into()))
}

/// All scopes that have a cap, in the order of their names.
pub(super) fn capped(view: &View<'_>) -> Result<Vec<Scope>, StoreError> {
    // Lifted caps have rows too: a limit on rows would cut before it filters.
    let rows = view.range(&CAPS, &Span::all(), crate::store::Order::Ascending, usize::MAX)?;
    let capped = rows.into_iter().filter(|(_, row)| row.amount.is_some());
    // Every name was written by `Scope`'s own `Display`.
    Ok(capped.filter_map(|(name, _)| name.parse().ok()).collect())
}

/// The receipts of some pieces.
pub(super) fn receipts_of(
    view: &View<'_>,
    pieces: &[(String, u64)],
) -> Result<Vec<Arc<Receipt>>, StoreError> {
    let mut found = Vec::new();
    for key in pieces {
        found.append(&mut view.get(&RECEIPTS, key)?.unwrap_or_default().0);
    }
    Ok(found)
}

/// All receipts of a run that are booked, by `seq`.
pub(super) fn receipts_of_run(view: &View<'_>, run: &str) -> Result<Vec<Arc<Receipt>>, StoreError> {
    let span = Span::under(&run.to_owned());
    let pieces = view.range(&RECEIPTS, &span, crate::store::Order::Ascending, usize::MAX)?;
    Ok(pieces.into_iter().flat_map(|(_, piece)| piece.0).collect())
}
