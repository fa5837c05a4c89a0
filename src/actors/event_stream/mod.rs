//! The event stream: everything that happens in the swarm, in one order, kept on disk.
//!
//! Owns the order of events, the [`EventCache`] of the newest and the [`journal`] of all. Invariants: an
//! event has one number for ever, also over restarts of the daemon and when files are lost
//! ([`event_numbers`]); no client sees an event before its line is in the page cache (survives a process
//! kill, not a power cut); of events with one id only the first is accepted. Failure
//! policy: a publisher is never delayed: when the disk cannot follow, the event is refused, counted and logged.

mod event_cache;
mod event_numbers;
mod event_writer;
mod feeds;
mod follower;
mod history;
mod journal;
mod journal_files;
mod journal_reader;
mod store_alerts;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub use event_cache::{EventCache, NewerEvents};
pub use follower::{EventFollower, FollowerError};
pub use history::EventHistory;
pub use text::{EncodedEvent, EventHead, EventText, TextGauge};

use crate::actors::jobs::JobBook;
use crate::actors::retention::written;
use crate::actors::standing::AgentStandings;
use crate::domain::event::SwarmEventDraft;
use crate::domain::retention::KeptItem;
use crate::domain::time::Timestamp;
use crate::store::Store;
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};
use event_numbers::EventNumbers;
use event_writer::{EventStreamShared, EventWriter, QueuedDraft};

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/hmi/events";
/// Events that may wait for the disk: two seconds of a storm of 8,000 a second.
const QUEUE: usize = 16_384;
/// Events written at once.
const BATCH: usize = 256;
/// How far back alerts are reloaded after a start, in milliseconds: a day, as the HMI shows them.
const ALERT_DAY_MS: i64 = 86_400_000;
/// Longest wait at an orderly end for the events that are queued.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest wait for an event's line.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The event's line could not be written.
    #[error("the event could not be written: {0}")]
    Disk(String),
    /// More bytes as written than an event may have.
    #[error(
        "the event has {bytes} bytes as JSON, and may have {most}; publish a smaller one, or where its data are"
    )]
    TooLarge { bytes: usize, most: usize },
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

/// What limits the event stream.
#[derive(Debug, Clone, Copy)]
pub struct EventLimits {
    /// Days for which files are kept.
    pub keep_days: u32,
    /// Bytes of a broadcast's body.
    pub max_body_bytes: usize,
}

/// The event stream as a child of a supervisor, and a handle. Keeps its files below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    sources: EventSources,
    workdir: &Path,
    limits: EventLimits,
) -> (ChildSpec, EventStreamHandle) {
    let (board, folder) = (Arc::new(EventCache::default()), Arc::new(workdir.join(FOLDER)));
    let log = EventStreamShared::new(Arc::clone(&board), Arc::clone(&folder), limits.max_body_bytes);
    let log = Arc::new(log);
    let (watched, daemon) = (system.clone(), Timestamp::now().as_millis());
    let options = WorkerOptions { capacity: QUEUE, ..options };
    let (spec, address) = system.worker(name, options, move |context| {
        let (log, system, sources) = (Arc::clone(&log), watched.clone(), sources.clone());
        async move {
            let (board, folder) = (Arc::clone(&log.cache), Arc::clone(&log.folder));
            let events = EventStreamHandle { address: context.address().clone(), board, folder };
            let store = sources.store.clone();
            let state = EventStreamState::start(log, store, limits.keep_days, &context).await?;
            context.spawn(feeds::supervision(events.clone(), system, daemon));
            context.spawn(feeds::heartbeats(events.clone(), sources.standings));
            context.spawn(store_alerts::watch(events.clone(), sources.store));
            context.spawn(feeds::jobs(events, sources.book));
            Ok(state)
        }
    });
    (spec, EventStreamHandle { address, board, folder })
}

/// The files of events in a folder, the newest pinned: it is written. Blocks.
pub(super) fn kept_files(folder: &Path) -> Vec<KeptItem<PathBuf>> {
    let files = journal_files::in_order(folder).unwrap_or_default();
    let newest = files.last().map(|file| file.path.clone());
    let items = files.into_iter().filter_map(|file| {
        let facts = file.path.metadata().ok()?;
        let (at, bytes, is_pinned) = (written(&facts), facts.len(), Some(&file.path) == newest.as_ref());
        Some(KeptItem { key: file.path, at, bytes, is_pinned })
    });
    items.collect()
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
    /// The way to the writer; `None` once the actor ends.
    writer: Option<mpsc::Sender<QueuedDraft>>,
    /// Ends with the writer.
    drained: Option<oneshot::Receiver<()>>,
    cache: Arc<EventCache>,
    store: Store,
}

impl EventStreamState {
    async fn start(
        log: Arc<EventStreamShared>,
        store: Store,
        keep_days: u32,
        context: &ActorContext<EventStreamMessage>,
    ) -> Result<Self, ActorError> {
        let (cache, folder) = (Arc::clone(&log.cache), Arc::clone(&log.folder));
        let opened = store.clone();
        let writer = tokio::task::spawn_blocking(move || EventWriter::open(log, opened, keep_days)).await??;
        context.spawn(recall_alerts(Arc::clone(&cache), folder));
        context.spawn(event_numbers::keep_noting(store.clone(), Arc::clone(&cache)));
        let ((writing, drafts), (end, drained)) = (mpsc::channel(BATCH), oneshot::channel());
        context.spawn(async move {
            writer.write_all(drafts).await;
            drop(end);
        });
        Ok(Self { writer: Some(writing), drained: Some(drained), cache, store })
    }
}

/// Reloads the last day's alerts into the cache. A separate task: a day's files may be large, and no start
/// should wait for them.
async fn recall_alerts(board: Arc<EventCache>, folder: Arc<PathBuf>) {
    let since = Timestamp::from_millis(Timestamp::now().as_millis() - ALERT_DAY_MS);
    let read = tokio::task::spawn_blocking(move || journal_reader::alerts_since(&folder, since)).await;
    match read {
        Ok(Ok(alerts)) => {
            board.put_older_alerts(alerts.iter().filter_map(|line| board.sent_line(line)).collect());
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
        let writer = self.writer.as_ref().ok_or("the event stream has ended")?;
        writer.send((draft, reply)).await.map_err(|_| "the writer of events has ended")?;
        Ok(())
    }

    /// Writes what is queued and notes the last number, so that the next start need not believe the files.
    async fn terminate(&mut self, _: &ExitReason) {
        drop(self.writer.take());
        let Some(drained) = self.drained.take() else { return };
        if timeout(DRAIN, drained).await.is_ok() {
            EventNumbers::end(&self.store, self.cache.next() - 1).await;
        } else {
            tracing::warn!("the last events may not be in their file: the disk takes too long");
        }
    }
}
