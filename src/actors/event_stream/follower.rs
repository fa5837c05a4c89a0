//! One client's place in the stream of events.
//!
//! Reads memory where it can, and the files while it catches up from an older number. Invariant: a client
//! sees every number once, in order. One that falls behind what is in memory after it had caught up is too
//! slow: it is told so and can come back with the number it has seen last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::board::{Board, Joined, Newer, Sent};
use super::journal;

/// Events read at once.
const PAGE: usize = 256;

/// Why a client is sent nothing more.
#[derive(Debug, thiserror::Error)]
pub enum TooSlow {
    /// It does not take events as fast as they come.
    #[error("too slow: the events after {0} are no longer in memory; connect again with since={0}")]
    Behind(u64),
    /// The files of events cannot be read.
    #[error("the events after {0} cannot be read: {1}")]
    Unreadable(u64, io::Error),
}

/// A client that follows.
#[derive(Debug)]
pub struct Follower {
    board: Arc<Board>,
    folder: Arc<PathBuf>,
    seen: u64,
    caught_up: bool,
    changes: watch::Receiver<u64>,
    _joined: Joined,
}

impl Follower {
    pub(super) fn new(board: Arc<Board>, folder: Arc<PathBuf>, since: Option<u64>) -> Self {
        let changes = board.changes();
        let (seen, joined) = (since.unwrap_or_else(|| board.last()), board.join());
        Self { board, folder, seen, caught_up: since.is_none(), changes, _joined: joined }
    }

    /// The number of the event given last.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The next events, at least one; waits for it. `None` when the daemon ends.
    ///
    /// # Errors
    /// [`TooSlow`], after which the follower is of no more use.
    pub async fn next(&mut self) -> Option<Result<Vec<Arc<Sent>>, TooSlow>> {
        loop {
            self.changes.mark_unchanged();
            let events = match self.board.after(self.seen, PAGE) {
                Newer::Events(events) => {
                    self.caught_up = true;
                    events
                }
                Newer::Gone if self.caught_up => return Some(Err(TooSlow::Behind(self.seen))),
                Newer::Gone => match self.read_files().await {
                    Ok(events) => events,
                    Err(error) => return Some(Err(TooSlow::Unreadable(self.seen, error))),
                },
            };
            if let Some(last) = events.last() {
                self.seen = last.event.seq;
                return Some(Ok(events));
            }
            self.changes.changed().await.ok()?;
        }
    }

    /// A page of older events; where the files no longer have any, memory's oldest are the next.
    async fn read_files(&mut self) -> io::Result<Vec<Arc<Sent>>> {
        let (folder, seen) = (Arc::clone(&self.folder), self.seen);
        let read = tokio::task::spawn_blocking(move || journal::read_after(&folder, seen, PAGE));
        let events = read.await.map_err(io::Error::other)??;
        if events.is_empty() {
            self.seen = self.board.newest(usize::MAX).first().map_or(seen, |oldest| oldest.event.seq - 1);
        }
        let with_text = |event| {
            let json = serde_json::to_vec(&event).ok().map(Bytes::from)?;
            Some(Arc::new(Sent { event, json }))
        };
        Ok(events.into_iter().filter_map(with_text).collect())
    }
}
