//! One client's position in the stream of events.
//!
//! Reads memory where possible, and files while catching up from an older number. Invariants: a client sees
//! every number once, in order; a follower holds text only from files, and only within the budget of the
//! [`EventCache`]. A follower that falls behind the cache after having caught up is too slow: it gets an
//! error and can reconnect with the last number seen.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::event_cache::{EventCache, EventClientGuard, NewerEvents, NotRead};
use super::journal_reader::{self, JournalPage, JournalPosition};
use super::text::EventText;

/// Bytes read from the files at once. Large enough that a day's half million events are some thousand reads,
/// small enough that a thousand clients that catch up at once share the budget without waiting long.
const PAGE_BYTES: usize = 64 * 1024;

/// Why a client gets no more events.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// The client does not take events as fast as they come.
    #[error("too slow: the events after {0} are no longer in memory; connect again with since={0}")]
    Behind(u64),
    /// The event files cannot be read.
    #[error("the events after {0} cannot be read: {1}")]
    Unreadable(u64, io::Error),
    /// Too many clients read the files.
    #[error("too many clients are catching up; connect again with since={0} in a while")]
    Crowded(u64),
}

#[derive(Debug)]
pub struct EventFollower {
    board: Arc<EventCache>,
    folder: Arc<PathBuf>,
    seen: u64,
    caught_up: bool,
    changes: watch::Receiver<u64>,
    /// Read from the files and not yet returned, each with the position that follows.
    page: VecDeque<(EventText, JournalPosition)>,
    place: Option<JournalPosition>,
    _joined: EventClientGuard,
}

impl EventFollower {
    pub(super) fn new(board: Arc<EventCache>, folder: Arc<PathBuf>, since: Option<u64>) -> Self {
        let changes = board.changes();
        let (seen, joined) = (since.unwrap_or_else(|| board.last()), board.join());
        let (page, place) = (VecDeque::new(), None);
        Self { board, folder, seen, caught_up: since.is_none(), changes, page, place, _joined: joined }
    }

    /// The number of the last returned event.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The newest events in memory, which the follower reads.
    #[must_use]
    pub fn cache(&self) -> &Arc<EventCache> {
        &self.board
    }

    /// Drops the events read ahead, for a client that may not come back soon.
    pub fn let_go(&mut self) {
        self.page.clear();
    }

    /// Waits for the next event and returns it with any that follow, up to `bytes`. `None` when the daemon
    /// ends. Cancel-safe: a dropped call has taken nothing.
    ///
    /// # Errors
    /// [`FollowerError`], after which the follower is unusable.
    pub async fn next(&mut self, bytes: usize) -> Option<Result<Vec<EventText>, FollowerError>> {
        loop {
            if !self.page.is_empty() {
                return Some(Ok(self.of_page(bytes)));
            }
            self.changes.mark_unchanged();
            match self.board.after(self.seen, bytes) {
                NewerEvents::Events(events) => {
                    self.caught_up = true;
                    if let Some(last) = events.last() {
                        self.seen = last.seq;
                        return Some(Ok(events));
                    }
                    self.changes.changed().await.ok()?;
                }
                NewerEvents::Gone if self.caught_up => return Some(Err(FollowerError::Behind(self.seen))),
                NewerEvents::Gone => {
                    if let Err(error) = self.read_files().await {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn of_page(&mut self, bytes: usize) -> Vec<EventText> {
        let mut taken: Vec<EventText> = Vec::new();
        let mut room = bytes;
        while let Some((text, place)) = self.page.pop_front() {
            let length = text.packet().len();
            if !taken.is_empty() && length > room {
                self.page.push_front((text, place));
                break;
            }
            room = room.saturating_sub(length);
            (self.seen, self.place) = (text.seq, Some(place));
            taken.push(text);
        }
        taken
    }

    /// Reads a page of older events; where the files no longer have any, memory's oldest are the next.
    async fn read_files(&mut self) -> Result<(), FollowerError> {
        let mut bytes = PAGE_BYTES;
        loop {
            let page = self.read_page(bytes).await;
            let (page, budget) = page.map_err(|why| match why {
                NotRead::Crowded => FollowerError::Crowded(self.seen),
                NotRead::Failed(error) => FollowerError::Unreadable(self.seen, error),
            })?;
            if let Some(needed) = page.needed {
                bytes = needed;
                continue;
            }
            if page.lines.is_empty() {
                let oldest = self.board.oldest().map_or_else(|| self.board.last(), |oldest| oldest - 1);
                self.seen = self.seen.max(oldest);
            }
            let gauge = self.board.gauge();
            let texts = page
                .lines
                .into_iter()
                .map(|line| (EventText::of_line(line.seq, &line.json, gauge, &budget), line.behind));
            self.page = texts.collect();
            return Ok(());
        }
    }
    async fn read_page(&self, bytes: usize) -> Result<(JournalPage, Arc<OwnedSemaphorePermit>), NotRead> {
        let budget = self.board.catch_up_budget(bytes).await?;
        let (folder, seen, place) = (Arc::clone(&self.folder), self.seen, self.place.clone());
        let read = move || journal_reader::read_after(&folder, seen, place.as_ref(), bytes);
        let page = self.board.read_in_turn(Arc::clone(&budget), read).await?;
        Ok((page, budget))
    }
}
