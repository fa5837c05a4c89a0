//! The event stream: everything that happens in the swarm, in one order, kept on disk.
//!
//! Owns the order of events, the [`EventCache`] of the newest and the [`journal`] of all. Invariants: an
//! event has one number for ever, also over restarts of the daemon; no client sees an event before its line
//! is in the page cache (survives a process kill, not a power cut); of events with one id only the first is
//! accepted. Failure policy: a publisher is never delayed: when the disk cannot follow, the event is refused,
//! counted and logged.

mod event_cache;
mod feeds;
mod follower;
mod history;
mod journal;
mod store_alerts;
mod text;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use event_cache::{EventCache, NewerEvents};
pub use follower::{EventFollower, FollowerError};
pub use history::EventHistory;
pub use text::{EncodedEvent, EventText, TextGauge};

use crate::actors::jobs::JobBook;
use crate::actors::standing::AgentStandings;
use crate::domain::event::SwarmEventDraft;
use crate::domain::time::Timestamp;
use crate::store::Store;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};
use journal::EventJournal;

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/hmi/events";
/// Events that may wait for the disk: two seconds of a storm of 8,000 a second.
const QUEUE: usize = 16_384;
/// Events written at once.
const BATCH: usize = 256;
/// How far back alerts are reloaded after a start, in milliseconds: a day, as the HMI shows them.
const ALERT_DAY_MS: i64 = 86_400_000;
/// Longest wait for an event's line.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The event's line could not be written.
    #[error("the event could not be written: {0}")]
    Disk(String),
    /// The actor did not answer.
    #[error("the event stream {0}")]
    Call(#[from] CallError),
}

type PublishResult = Result<u64, PublishError>;

#[derive(Debug)]
pub enum EventStreamMessage {
    /// Accept an event; answers its number, or that of an earlier event with the same id (0 when forgotten).
    Publish(SwarmEventDraft, Option<ReplySender<PublishResult>>),
}

impl ActorMessage for EventStreamMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Publish(..) => "publish",
        }
    }
}

/// The event stream's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventStreamHandle {
    address: Address<EventStreamMessage>,
    board: Arc<EventCache>,
    folder: Arc<PathBuf>,
}

impl EventStreamHandle {
    /// Queues an event and returns. An event that finds no room is logged and lost.
    pub fn publish(&self, draft: SwarmEventDraft) {
        let event_type = draft.event_type.clone();
        if let Err(error) = self.address.cast(EventStreamMessage::Publish(draft, None)) {
            tracing::warn!(event_type, %error, "an event is lost to the event stream");
        }
    }

    /// Publishes an event; on return the event has a number and its line is written.
    ///
    /// # Errors
    /// [`PublishError`]; the event may then be published again under the same id.
    pub async fn publish_written(&self, draft: SwarmEventDraft) -> PublishResult {
        self.address.call(DEADLINE, |reply| EventStreamMessage::Publish(draft, Some(reply))).await?
    }

    #[must_use]
    pub fn cache(&self) -> &Arc<EventCache> {
        &self.board
    }

    /// Follows from the event after `seq` on; `None`: only new events.
    #[must_use]
    pub fn follow(&self, since: Option<u64>) -> EventFollower {
        EventFollower::new(Arc::clone(&self.board), Arc::clone(&self.folder), since)
    }
}

/// The event stream as a child of a supervisor, and a handle. Keeps files for `keep_days` below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    sources: EventSources,
    workdir: &Path,
    keep_days: u32,
) -> (ChildSpec, EventStreamHandle) {
    let (board, folder) = (Arc::new(EventCache::default()), Arc::new(workdir.join(FOLDER)));
    let (shown, files, watched) = (Arc::clone(&board), Arc::clone(&folder), system.clone());
    let daemon = Timestamp::now().as_millis();
    let options = WorkerOptions { capacity: QUEUE, ..options };
    let (spec, address) = system.worker(name, options, move |context| {
        let (board, folder) = (Arc::clone(&shown), Arc::clone(&files));
        let (system, sources) = (watched.clone(), sources.clone());
        async move {
            let events = EventStreamHandle { address: context.address().clone(), board, folder };
            let state = EventStreamState::start(&events, keep_days, &context).await?;
            context.spawn(feeds::supervision(events.clone(), system, daemon));
            context.spawn(feeds::heartbeats(events.clone(), sources.standings));
            context.spawn(store_alerts::watch(events.clone(), sources.store));
            context.spawn(feeds::jobs(events, sources.book));
            Ok(state)
        }
    });
    (spec, EventStreamHandle { address, board, folder })
}

/// The facts that events are made from.
#[derive(Clone)]
pub struct EventSources {
    pub standings: AgentStandings,
    pub book: JobBook,
    /// Its faults become alerts.
    pub store: Store,
}

struct EventStreamState {
    writer: mpsc::Sender<(SwarmEventDraft, Option<ReplySender<PublishResult>>)>,
}

impl EventStreamState {
    async fn start(
        events: &EventStreamHandle,
        keep_days: u32,
        context: &ActorContext<EventStreamMessage>,
    ) -> Result<Self, ActorError> {
        let (board, folder) = (Arc::clone(&events.board), events.folder.as_ref().clone());
        let opened = tokio::task::spawn_blocking(move || EventJournal::open(folder, keep_days)).await?;
        let (journal, tail) = opened?;
        let known = board.last();
        let kept: Vec<_> = tail
            .into_iter()
            .filter(|event| event.seq > known)
            .filter_map(|event| board.sent(event))
            .collect();
        board.put(kept);
        context.spawn(recall_alerts(Arc::clone(&board), Arc::clone(&events.folder)));
        let (writer, drafts) = mpsc::channel(BATCH);
        context.spawn(write_all(EventWriter { journal, board }, drafts));
        Ok(Self { writer })
    }
}

/// Reloads the last day's alerts into the cache. A separate task: a day's files may be large, and no start
/// should wait for them.
async fn recall_alerts(board: Arc<EventCache>, folder: Arc<PathBuf>) {
    let since = Timestamp::from_millis(Timestamp::now().as_millis() - ALERT_DAY_MS);
    let read = tokio::task::spawn_blocking(move || journal::alerts_since(&folder, since)).await;
    match read {
        Ok(Ok(alerts)) => {
            let alerts = alerts.into_iter().filter_map(|event| board.sent(event));
            board.put_older_alerts(alerts.collect());
        }
        Ok(Err(error)) => tracing::warn!(%error, "the alerts before this start cannot be read"),
        Err(error) => tracing::warn!(%error, "the alerts before this start were not read"),
    }
}

impl Actor for EventStreamState {
    type Message = EventStreamMessage;

    async fn handle(
        &mut self,
        message: EventStreamMessage,
        _: &ActorContext<EventStreamMessage>,
    ) -> Result<(), ActorError> {
        let EventStreamMessage::Publish(draft, reply) = message;
        // Waits while the disk is behind: the mailbox fills, and publishers get an error.
        self.writer.send((draft, reply)).await.map_err(|_| "the writer of events has ended")?;
        Ok(())
    }
}

struct EventWriter {
    journal: EventJournal,
    board: Arc<EventCache>,
}

type QueuedDraft = (SwarmEventDraft, Option<ReplySender<PublishResult>>);

/// Writes queued events, in batches, until the actor ends.
async fn write_all(mut writer: EventWriter, mut drafts: mpsc::Receiver<QueuedDraft>) {
    loop {
        let mut batch = Vec::new();
        if drafts.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let written = tokio::task::spawn_blocking(move || {
            writer.write(batch);
            writer
        });
        match written.await {
            Ok(back) => writer = back,
            // A panic there counts as this actor's own.
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

impl EventWriter {
    fn write(&mut self, batch: Vec<QueuedDraft>) {
        let now = Timestamp::now();
        let (mut next, mut lines) = (self.board.last() + 1, Vec::new());
        let (mut taken, mut replies, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for (draft, reply) in batch {
            let again = draft.id.as_ref().is_some_and(|id| self.board.knows(id) || !ids.insert(id.clone()));
            let numbered = if again { None } else { self.board.sent(draft.numbered(next, now)) };
            replies.extend(reply.map(|reply| (reply, numbered.as_ref().map_or(0, |_| next))));
            if let Some(event) = numbered {
                lines.extend_from_slice(event.json());
                lines.push(b'\n');
                taken.push(event);
                next += 1;
            }
        }
        let written = self.append(now, &lines);
        match &written {
            Ok(()) => self.board.put(taken),
            Err(error) => {
                tracing::error!(events = taken.len(), %error, "events are lost: they cannot be written");
            }
        }
        for (reply, seq) in replies {
            reply.send(written.as_ref().map(|()| seq).map_err(|error| PublishError::Disk(error.to_string())));
        }
    }

    fn append(&mut self, now: Timestamp, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() { Ok(()) } else { self.journal.append(now, lines) }
    }
}
