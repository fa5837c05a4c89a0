//! Typed tables, and the changes requested by an operation.
//!
//! Invariants: redb sees every table as `bytes → bytes`, so that a backup can copy tables without knowing
//! their types; a [`StoreTable`] is the only way to name a table, so that key and value types are stated
//! once. [`StoreChanges`] are encoded when they are added, so that an unstorable value is noticed before the
//! transaction is touched.

use std::marker::PhantomData;

use redb::{TableDefinition, WriteTransaction};
use serde::Serialize;

use super::{StoreError, StoreKey, codec};

/// Longest key in bytes: four ids of the longest kind; keys are copied into the branches of the tree.
pub const MAX_KEY_BYTES: usize = 4 * (pas_domain::ids::MAX_ID_LEN + 2);

/// Name of the store's own table; no other may have it.
pub(super) const META_NAME: &str = "meta";

pub(super) type RawDefinition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A table's name and the types of its rows.
///
/// ```
/// use pas_domain::ids::JobId;
/// use pas_store::StoreTable;
///
/// const TITLES: StoreTable<JobId, String> = StoreTable::new("titles");
/// ```
#[derive(Debug)]
pub struct StoreTable<K, V> {
    name: &'static str,
    rows: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for StoreTable<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for StoreTable<K, V> {}

impl<K, V> StoreTable<K, V> {
    /// A table of this name; present in the file from the first row on.
    ///
    /// # Panics
    /// At compile time when the name is the store's own (`meta`) and the table is a `const`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!is_meta(name), "the table `meta` is the store's own");
        Self { name, rows: PhantomData }
    }

    pub(super) const fn meta() -> Self {
        Self { name: META_NAME, rows: PhantomData }
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

const fn is_meta(name: &str) -> bool {
    matches!(name.as_bytes(), b"meta")
}

pub(super) const fn definition(name: &'static str) -> RawDefinition {
    TableDefinition::new(name)
}

#[derive(Debug)]
struct TableChange {
    table: &'static str,
    key: Vec<u8>,
    /// `None` deletes.
    value: Option<Vec<u8>>,
}

/// An operation's changes, in order; applied as a whole or not at all.
#[derive(Debug, Default)]
#[must_use = "changes take effect only when the operation returns them"]
pub struct StoreChanges {
    list: Vec<TableChange>,
    /// The first unstorable change; makes the whole operation fail.
    invalid: Option<String>,
}

impl StoreChanges {
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds: write `value` under `key`, replacing the row there.
    ///
    /// A value that cannot be encoded, or a key or value that is too large, makes the whole operation fail
    /// with [`StoreError::Invalid`].
    pub fn put<K: StoreKey, V: Serialize>(mut self, table: &StoreTable<K, V>, key: &K, value: &V) -> Self {
        let encoded = codec::encode(value).map_err(|error| error.to_string());
        self.add(table.name, key.to_bytes(), encoded.map(Some));
        self
    }

    /// Adds: remove the row of `key`, if there is one.
    pub fn delete<K: StoreKey, V>(mut self, table: &StoreTable<K, V>, key: &K) -> Self {
        self.add(table.name, key.to_bytes(), Ok(None));
        self
    }

    /// Appends all changes of `later`.
    pub fn and(mut self, later: Self) -> Self {
        self.list.extend(later.list);
        self.invalid = self.invalid.or(later.invalid);
        self
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.invalid.is_none()
    }

    fn add(&mut self, table: &'static str, key: Vec<u8>, value: Result<Option<Vec<u8>>, String>) {
        match value {
            Ok(value) if key.len() <= MAX_KEY_BYTES => self.list.push(TableChange { table, key, value }),
            Ok(_) => self.refuse(table, &format!("a key of {} bytes exceeds {MAX_KEY_BYTES}", key.len())),
            Err(reason) => self.refuse(table, &reason),
        }
    }

    fn refuse(&mut self, table: &'static str, reason: &str) {
        self.invalid.get_or_insert_with(|| format!("table `{table}`: {reason}"));
    }

    /// Whether all changes can be stored.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.invalid {
            None => Ok(()),
            Some(reason) => Err(StoreError::Invalid { reason: reason.clone() }),
        }
    }

    /// Applies the changes in an open transaction. On an error the transaction is half done and the caller
    /// must drop it.
    pub(super) fn apply(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        for group in self.list.chunk_by(|a, b| a.table == b.table) {
            let Some(first) = group.first() else { continue };
            let mut table = transaction.open_table(definition(first.table))?;
            for change in group {
                match &change.value {
                    Some(value) => drop(table.insert(change.key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(change.key.as_slice())?),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: StoreTable<String, Vec<u8>> = StoreTable::new("rows");

    #[test]
    fn what_cannot_be_stored_is_known_before_the_transaction() {
        let good = StoreChanges::none().put(&ROWS, &"a".into(), &vec![1]);
        assert_eq!(good.check(), Ok(()));
        let large = good.put(&ROWS, &"b".into(), &vec![0; codec::MAX_VALUE_BYTES]);
        assert!(matches!(large.check(), Err(StoreError::Invalid { reason }) if reason.contains("`rows`")));
        let long = StoreChanges::none().delete(&ROWS, &"k".repeat(MAX_KEY_BYTES + 1));
        assert!(StoreChanges::none().and(long).check().is_err());
    }
}
