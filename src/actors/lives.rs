//! The daemon's lives: when it was up, and so when it was down. A row a life.
//!
//! Invariant: at a time between two lives nothing is told of any agent but that the daemon was down. A life that
//! ended without an orderly stop ended when it was last seen, at most [`SEEN_EVERY`] before it did. Failure policy:
//! a row that cannot be written is logged; the daemon goes on.

use std::convert::Infallible;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable, StoreView};

/// Time between two signs of life.
const SEEN_EVERY: Duration = Duration::from_secs(5);
/// Lives kept: the newest.
const KEPT_LIVES: usize = 1000;

/// Lives by their start.
const LIVES: StoreTable<Timestamp, DaemonLife> = StoreTable::new("daemon_lives");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DaemonLife {
    /// Its last sign of life.
    seen: Timestamp,
    /// Whether it was ended in order.
    is_stopped: bool,
}

/// A time in which the daemon was not up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownTime {
    /// When it was last seen.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Whether it was stopped in order; else it gave up or was killed, or the machine was.
    pub is_stopped: bool,
}

/// The life of this daemon.
pub struct OwnLife {
    store: Store,
    began: Timestamp,
}

impl OwnLife {
    /// Begins a life, and forgets the oldest.
    pub async fn begin(store: &Store) -> Self {
        let life = Self { store: store.clone(), began: Timestamp::now() };
        let began = life.began;
        let begin = move |view: &StoreView<'_>| {
            let all = view.range(&LIVES, &KeyRange::all(), ScanOrder::Descending, usize::MAX)?;
            let row = DaemonLife { seen: began, is_stopped: false };
            let changes = StoreChanges::none().put(&LIVES, &began, &row);
            let old = all.iter().skip(KEPT_LIVES - 1);
            Ok((old.fold(changes, |changes, (start, _)| changes.delete(&LIVES, start)), ()))
        };
        noted(store.write::<_, StoreError>(begin).await);
        life
    }

    /// Leaves signs of life for as long as it is polled.
    pub async fn go_on(&self) -> Infallible {
        loop {
            tokio::time::sleep(SEEN_EVERY).await;
            noted(self.store.write_soft::<_, StoreError>(self.row(false)).await);
        }
    }

    /// Ends it in order.
    pub async fn end(self) {
        noted(self.store.write::<_, StoreError>(self.row(true)).await);
    }

    fn row(
        &self,
        is_stopped: bool,
    ) -> impl FnOnce(&StoreView<'_>) -> Result<(StoreChanges, ()), StoreError> + Send + 'static {
        let (began, row) = (self.began, DaemonLife { seen: Timestamp::now(), is_stopped });
        move |_| Ok((StoreChanges::none().put(&LIVES, &began, &row), ()))
    }
}

fn noted(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "a sign of the daemon's life is not in the store");
    }
}

/// When the daemon was down between two moments, oldest first.
///
/// # Errors
/// The store's.
pub fn down_times(store: &Store, since: Timestamp, until: Timestamp) -> Result<Vec<DownTime>, StoreError> {
    let lives = store.read::<_, StoreError>(|view| {
        view.range(&LIVES, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)
    })?;
    let between = |pair: &[(Timestamp, DaemonLife)]| match pair {
        [(_, life), (to, _)] => Some(DownTime { from: life.seen, to: *to, is_stopped: life.is_stopped }),
        _ => None,
    };
    let down = lives.windows(2).filter_map(between);
    // After a clock that was set back nothing is known.
    Ok(down.filter(|down| down.from < down.to && down.from <= until && down.to >= since).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    async fn life(store: &Store, from: i64, seen: i64, is_stopped: bool) {
        let row = DaemonLife { seen: at(seen), is_stopped };
        let put = move |_: &StoreView<'_>| Ok((StoreChanges::none().put(&LIVES, &at(from), &row), ()));
        store.write::<_, StoreError>(put).await.unwrap();
    }

    #[tokio::test]
    async fn between_two_lives_the_daemon_was_down() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("pas.redb")).unwrap();
        life(&store, 0, 10, true).await;
        life(&store, 30, 50, false).await;
        life(&store, 90, 95, false).await;
        let (first, second) = (
            DownTime { from: at(10), to: at(30), is_stopped: true },
            DownTime { from: at(50), to: at(90), is_stopped: false },
        );
        assert_eq!(down_times(&store, at(0), at(100)).unwrap(), [first, second]);
        assert_eq!(down_times(&store, at(40), at(60)).unwrap(), [second]);
        assert_eq!(down_times(&store, at(91), at(100)).unwrap(), [], "since then it is up");
    }

    #[tokio::test]
    async fn a_life_leaves_its_end_and_the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("pas.redb")).unwrap();
        for second in 0..1010 {
            life(&store, second, second, true).await;
        }
        let own = OwnLife::begin(&store).await;
        let began = own.began;
        own.end().await;
        let lives = store.read::<_, StoreError>(|view| {
            view.range(&LIVES, &KeyRange::all(), ScanOrder::Ascending, usize::MAX)
        });
        let lives = lives.unwrap();
        assert_eq!((lives.len(), lives[0].0), (KEPT_LIVES, at(11)));
        let (start, last) = lives[KEPT_LIVES - 1];
        assert!(start == began && last.is_stopped && last.seen >= began);
    }
}
