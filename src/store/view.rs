//! Reading: rows by key, and in order over a range of keys.
//!
//! Invariants: a [`StoreView`] reads one consistent state, either a snapshot or the writer's transaction
//! under construction, and cannot write. A range returns at most the requested number of rows, so that no
//! caller reads a whole table into memory by accident; the next page is the range after the last key.

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{AccessGuard, ReadTransaction, ReadableTable, StorageError, TableError, WriteTransaction};
use serde::de::DeserializeOwned;

use super::error::panic_message;
use super::key::{StartsWith, StoreKey, TextKey};
use super::metrics::StoreCounters;
use super::table::{StoreTable, definition};
use super::{StoreError, codec};

type RowBytes = (Vec<u8>, Vec<u8>);
type RowGuards<'a> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>);

/// The direction of a range read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    /// From the smallest key up.
    Ascending,
    /// From the greatest key down.
    Descending,
}

/// A range of the keys of one table.
#[derive(Debug, Clone)]
pub struct KeyRange<K> {
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    keys: PhantomData<fn() -> K>,
}

impl<K: StoreKey> KeyRange<K> {
    #[must_use]
    pub fn all() -> Self {
        Self::new(Bound::Unbounded, Bound::Unbounded)
    }

    /// The keys within `range`, such as `KeyRange::of(first..)`.
    #[must_use]
    pub fn of(range: impl RangeBounds<K>) -> Self {
        Self::new(range.start_bound().map(K::to_bytes), range.end_bound().map(K::to_bytes))
    }

    /// The tuple keys that begin with `part`.
    #[must_use]
    pub fn under<P: StoreKey>(part: &P) -> Self
    where
        K: StartsWith<P>,
    {
        let mut prefix = Vec::new();
        part.put_part(&mut prefix);
        Self::prefixed(prefix)
    }

    #[must_use]
    pub fn beginning(text: &str) -> Self
    where
        K: TextKey,
    {
        Self::prefixed(text.as_bytes().to_vec())
    }

    /// Only the keys after `key`: the next page of an ascending range.
    #[must_use]
    pub fn after(mut self, key: &K) -> Self {
        self.start = Bound::Excluded(key.to_bytes());
        self
    }

    /// Only the keys before `key`: the next page of a descending range.
    #[must_use]
    pub fn before(mut self, key: &K) -> Self {
        self.end = Bound::Excluded(key.to_bytes());
        self
    }

    fn new(start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Self {
        Self { start, end, keys: PhantomData }
    }

    fn prefixed(prefix: Vec<u8>) -> Self {
        let end = after_all_with(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self::new(Bound::Included(prefix), end)
    }

    /// Whether no key can be within; redb requires the start before the end.
    fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
        }
    }

    fn as_slices(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.start.as_ref().map(Vec::as_slice), self.end.as_ref().map(Vec::as_slice))
    }
}

/// The smallest byte string above all that begin with `prefix`; `None` if there is none.
fn after_all_with(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// One consistent state of the store, for reading.
pub struct StoreView<'t> {
    source: ViewSource<'t>,
    /// Where failed reads are counted.
    counters: Option<&'t StoreCounters>,
}

enum ViewSource<'t> {
    Snapshot(&'t ReadTransaction),
    Batch(&'t WriteTransaction),
}

impl<'t> StoreView<'t> {
    pub(super) fn snapshot(transaction: &'t ReadTransaction) -> Self {
        Self { source: ViewSource::Snapshot(transaction), counters: None }
    }

    pub(super) fn batch(transaction: &'t WriteTransaction) -> Self {
        Self { source: ViewSource::Batch(transaction), counters: None }
    }

    pub(super) fn counted(self, counters: &'t StoreCounters) -> Self {
        Self { counters: Some(counters), ..self }
    }

    /// The row of `key`, if any.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the row is no `V`; [`StoreError::Unreadable`] on a fault.
    pub fn get<K: StoreKey, V: DeserializeOwned>(
        &self,
        table: &StoreTable<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let found = self.ask(table.name(), KeyRead(&key.to_bytes()))?;
        self.note(found.map(|bytes| value(table, &bytes)).transpose())
    }

    /// Whether there is a row of `key`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] on a fault.
    pub fn contains<K: StoreKey, V>(&self, table: &StoreTable<K, V>, key: &K) -> Result<bool, StoreError> {
        Ok(self.ask(table.name(), KeyRead(&key.to_bytes()))?.is_some())
    }

    /// At most `limit` rows of `span`, in `order`.
    ///
    /// # Errors
    /// As [`StoreView::get`].
    pub fn range<K: StoreKey, V: DeserializeOwned>(
        &self,
        table: &StoreTable<K, V>,
        span: &KeyRange<K>,
        order: ScanOrder,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask(table.name(), RangeRead { ends: span.as_slices(), order, limit })?;
        let rows = rows.into_iter().map(|(key_bytes, bytes)| {
            let key = K::take(&key_bytes).map_err(|error| damaged(table, &error))?;
            Ok((key, value(table, &bytes)?))
        });
        self.note(rows.collect())
    }

    /// The row with the greatest key of `span`.
    ///
    /// # Errors
    /// As [`StoreView::get`].
    pub fn last<K: StoreKey, V: DeserializeOwned>(
        &self,
        table: &StoreTable<K, V>,
        span: &KeyRange<K>,
    ) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.range(table, span, ScanOrder::Descending, 1)?.pop())
    }

    /// How many rows the table has (redb keeps the count; no walk).
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] on a fault.
    pub fn count<K, V>(&self, table: &StoreTable<K, V>) -> Result<u64, StoreError> {
        self.ask(table.name(), CountRead)
    }

    /// Asks redb, which panics on some damaged pages.
    fn ask<Q: TableRead>(&self, name: &'static str, query: Q) -> Result<Q::Answer, StoreError> {
        let asked = catch_unwind(AssertUnwindSafe(|| self.ask_unguarded(name, query)));
        self.note(asked.unwrap_or_else(|payload| {
            Err(StoreError::Damaged { table: name, reason: panic_message(&*payload) })
        }))
    }

    fn note<R>(&self, read: Result<R, StoreError>) -> Result<R, StoreError> {
        read.inspect_err(|_| self.counters.into_iter().for_each(StoreCounters::read_failed))
    }

    fn ask_unguarded<Q: TableRead>(&self, name: &'static str, query: Q) -> Result<Q::Answer, StoreError> {
        match self.source {
            ViewSource::Snapshot(transaction) => match transaction.open_table(definition(name)) {
                Ok(table) => Ok(query.run(&table)?),
                Err(TableError::TableDoesNotExist(_)) => Ok(Q::Answer::default()),
                Err(error) => Err(StoreError::unreadable(&error)),
            },
            ViewSource::Batch(transaction) => {
                let table = transaction
                    .open_table(definition(name))
                    .map_err(|error| StoreError::unreadable(&error))?;
                Ok(query.run(&table)?)
            }
        }
    }
}

fn value<K, V: DeserializeOwned>(table: &StoreTable<K, V>, bytes: &[u8]) -> Result<V, StoreError> {
    codec::decode(bytes).map_err(|error| damaged(table, &error))
}

fn damaged<K, V>(table: &StoreTable<K, V>, reason: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged { table: table.name(), reason: reason.to_string() }
}

/// A read that works on a table of either kind of transaction. The answer owns its bytes, so that no caller's
/// code (a `Deserialize`, say) runs while the table is open.
trait TableRead {
    type Answer: Default;
    fn run(
        self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    ) -> Result<Self::Answer, StorageError>;
}

struct KeyRead<'k>(&'k [u8]);

impl TableRead for KeyRead<'_> {
    type Answer = Option<Vec<u8>>;
    fn run(
        self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    ) -> Result<Self::Answer, StorageError> {
        Ok(table.get(self.0)?.map(|guard| guard.value().to_vec()))
    }
}

struct CountRead;

impl TableRead for CountRead {
    type Answer = u64;
    fn run(
        self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    ) -> Result<Self::Answer, StorageError> {
        table.len()
    }
}

struct RangeRead<'k> {
    ends: (Bound<&'k [u8]>, Bound<&'k [u8]>),
    order: ScanOrder,
    limit: usize,
}

impl TableRead for RangeRead<'_> {
    type Answer = Vec<RowBytes>;
    fn run(
        self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    ) -> Result<Self::Answer, StorageError> {
        let rows = table.range::<&[u8]>(self.ends)?;
        let owned = |row: Result<RowGuards<'_>, StorageError>| {
            row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
        };
        match self.order {
            ScanOrder::Ascending => rows.take(self.limit).map(owned).collect(),
            ScanOrder::Descending => rows.rev().take(self.limit).map(owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreChanges;
    use crate::testing::{block_on, memory_store};
    use pas_domain::ids::RunId;

    const EVENTS: StoreTable<(RunId, u64), String> = StoreTable::new("events");
    const NAMES: StoreTable<String, u8> = StoreTable::new("names");

    fn run(text: &str) -> RunId {
        RunId::new(text).unwrap()
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_greater_string() {
        assert_eq!(after_all_with(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_all_with(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(after_all_with(&[255]), None);
    }

    #[test]
    fn ranges_go_both_ways_and_stop_at_the_limit_and_at_the_prefix() {
        let (store, _) = memory_store();
        let (a, b) = (run("a"), run("a-b"));
        block_on(store.write(move |_| {
            let mut changes = StoreChanges::none();
            for n in 0..10_u64 {
                changes = changes.put(&EVENTS, &(run("a"), n), &format!("a{n}")).put(
                    &EVENTS,
                    &(run("a-b"), n),
                    &format!("b{n}"),
                );
            }
            Ok::<_, StoreError>((changes, ()))
        }))
        .unwrap();
        let texts = |span: &KeyRange<(RunId, u64)>, order, limit| {
            store
                .read(|view| view.range(&EVENTS, span, order, limit))
                .map(|rows| rows.into_iter().map(|(_, text)| text).collect::<Vec<_>>())
                .unwrap()
        };
        assert_eq!(texts(&KeyRange::under(&a), ScanOrder::Ascending, 2), ["a0", "a1"]);
        assert_eq!(texts(&KeyRange::under(&a), ScanOrder::Ascending, 99).len(), 10);
        assert_eq!(texts(&KeyRange::under(&a), ScanOrder::Descending, 2), ["a9", "a8"]);
        assert_eq!(texts(&KeyRange::under(&b).after(&(b.clone(), 7)), ScanOrder::Ascending, 9), ["b8", "b9"]);
        assert_eq!(texts(&KeyRange::under(&b).before(&(b.clone(), 1)), ScanOrder::Descending, 9), ["b0"]);
        assert_eq!(
            texts(&KeyRange::of((a.clone(), 3)..(a.clone(), 5)), ScanOrder::Ascending, 9),
            ["a3", "a4"]
        );
        assert!(texts(&KeyRange::of((a.clone(), 5)..(a, 3)), ScanOrder::Ascending, 9).is_empty());
        let last = store.read(|view| view.last(&EVENTS, &KeyRange::all())).unwrap();
        assert_eq!(last, Some(((b, 9), "b9".to_owned())));
        assert_eq!(store.read(|view| view.count(&EVENTS)), Ok(20));
    }

    #[test]
    fn a_table_without_rows_reads_as_empty() {
        let (store, _) = memory_store();
        assert_eq!(store.read(|view| view.get(&NAMES, &"x".into())), Ok(None));
        assert_eq!(store.read(|view| view.count(&NAMES)), Ok(0));
        assert_eq!(
            store.read(|view| view.range(&NAMES, &KeyRange::beginning("x"), ScanOrder::Ascending, 5)),
            Ok(vec![])
        );
    }

    #[test]
    fn a_row_of_another_type_is_damaged_and_not_misread() {
        const AS_TEXT: StoreTable<String, String> = StoreTable::new("names");
        let (store, _) = memory_store();
        block_on(
            store.write(|_| Ok::<_, StoreError>((StoreChanges::none().put(&NAMES, &"x".into(), &9), ()))),
        )
        .unwrap();
        let read = store.read(|view| view.get(&AS_TEXT, &"x".into()));
        assert!(matches!(read, Err(StoreError::Damaged { table: "names", .. })), "{read:?}");
    }
}
