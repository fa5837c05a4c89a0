//! The daemon's own sources of events: supervision, the job book, heartbeats.
//!
//! Each feed is a task of the event stream. The job book's events are published at least once, also after a
//! crash, and accepted once, by their ids; those of supervision and heartbeats are soft.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::EventStreamHandle;
use crate::actors::jobs::JobBook;
use crate::actors::standing::AgentStandings;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::job::{JobEvent, JobEventKind};
use crate::domain::time::Timestamp;
use crate::supervision::{ActorSystem, SupervisionEvent};

/// Job events published at once.
const PAGE: usize = 256;
/// Time between two searches for new heartbeats.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// Publishes supervision events; `daemon` distinguishes this daemon's numbers from those of others.
pub(super) async fn supervision(events: EventStreamHandle, system: ActorSystem, daemon: i64) {
    let mut happenings = system.events().subscribe();
    // Earlier events are published too; their ids keep a restarted feed from doubling them.
    let early = system.events().since(0);
    let mut seen = early.last().map_or(0, |event| event.seq);
    let id = |event: &SupervisionEvent| format!("supervision-{daemon}-{}", event.seq);
    let told = |event: &SupervisionEvent| {
        let data = serde_json::to_value(event).unwrap_or_default();
        SwarmEventDraft::new(kind::SUPERVISION, with_time(data, event.at)).once(id(event))
    };
    let unpublished = early.iter().filter(|event| !events.cache().knows(&id(event)));
    unpublished.for_each(|event| events.publish(told(event)));
    loop {
        match happenings.recv().await {
            Ok(event) if event.seq > seen => {
                seen = event.seq;
                events.publish(told(&event));
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "supervision events came faster than they could be published");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn with_time(mut data: Value, at: Timestamp) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.insert("timestamp".into(), json!(at));
    }
    data
}

/// Publishes the job book's events.
pub(super) async fn jobs(events: EventStreamHandle, book: JobBook) {
    let mut commits = book.commits();
    let mut told = last_published(&events, &book);
    loop {
        commits.mark_unchanged();
        match book.events_after(told, PAGE) {
            Ok(page) if page.is_empty() => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Ok(page) => match publish_page(&events, &book, &page).await {
                Some(last) => told = last,
                None => tokio::time::sleep(RETRY).await,
            },
            Err(error) => {
                tracing::warn!(%error, "job events cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The last event published by an earlier daemon or incarnation: the counter is soft, so the cache may have
/// newer ones.
fn last_published(events: &EventStreamHandle, book: &JobBook) -> u64 {
    let counted = book.relayed().unwrap_or(0);
    let number = |id: &str| id.strip_prefix("job-")?.parse::<u64>().ok();
    let shown = events.cache().newest(usize::MAX);
    shown.iter().filter_map(|sent| number(sent.head.id.as_deref()?)).fold(counted, u64::max)
}

/// Publishes a page and waits until it is written; returns the last event's number.
async fn publish_page(events: &EventStreamHandle, book: &JobBook, page: &[JobEvent]) -> Option<u64> {
    let written = join_all(page.iter().map(|event| events.publish_written(draft(event)))).await;
    if let Some(error) = written.into_iter().find_map(Result::err) {
        tracing::warn!(%error, "job events are not published yet; trying again");
        return None;
    }
    let last = page.last()?.seq;
    if let Err(error) = book.note_relayed(last).await {
        tracing::warn!(%error, "the last published job event was not noted; ids keep events unique");
    }
    Some(last)
}

fn draft(event: &JobEvent) -> SwarmEventDraft {
    let kind = match event.event {
        JobEventKind::AwaitingApproval | JobEventKind::Approved | JobEventKind::Rejected => kind::APPROVAL,
        _ => kind::STATUS_UPDATE,
    };
    let data = serde_json::to_value(event).unwrap_or_default();
    SwarmEventDraft::new(kind, with_time(data, event.ts)).once(format!("job-{}", event.seq))
}

/// Publishes the heartbeats of agents that say more than "still here": the status, the queue or the restarts have
/// changed. Fifty idle agents would fill the files with half a million lines a day.
pub(super) async fn heartbeats(events: EventStreamHandle, standings: AgentStandings) {
    let mut published = HashMap::new();
    loop {
        for node in standings.system().tree().all() {
            let (Some(_), Some(vitals)) = (node.heartbeat, node.vitals()) else { continue };
            let state = node.state();
            let status = standings.of_node(&node, &state, Some(&vitals)).status;
            let facts = (status, vitals.depth, state.restarts);
            if published.insert(node.number, facts) == Some(facts) {
                continue;
            }
            let data = json!({
                "agent": node.name, "status": status, "queue_depth": vitals.depth,
                "handled": vitals.handled, "restarts": state.restarts,
            });
            events.publish(SwarmEventDraft::new(kind::HEARTBEAT, data));
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::event_stream::{EventLimits, EventSources, spec};
    use crate::store::testing::memory_store;
    use crate::supervision::policy::SupervisorPolicy;
    use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, WorkerOptions};

    struct NoMessage;

    impl ActorMessage for NoMessage {
        fn kind(&self) -> &'static str {
            "none"
        }
    }

    struct IdleActor;

    impl Actor for IdleActor {
        type Message = NoMessage;

        async fn handle(&mut self, _: NoMessage, _: &ActorContext<NoMessage>) -> Result<(), ActorError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_agents_heartbeats_are_one_event_until_something_changes() {
        let (dir, store) = (tempfile::tempdir().unwrap(), memory_store().0);
        let system = ActorSystem::default();
        let often = WorkerOptions { heartbeat: Some(Duration::from_secs(1)), ..WorkerOptions::default() };
        let (idle, _address) = system.worker("idle", often, |_| async { Ok(IdleActor) });
        let standings = AgentStandings::new(system.clone());
        let sources = EventSources { standings, book: JobBook::new(store.clone()), store };
        let unwatched = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let limits = EventLimits { keep_days: 30, max_body_bytes: 1 << 20 };
        let (stream, events) = spec(&system, "events", unwatched, sources, dir.path(), limits);
        let root = system.start("root", SupervisorPolicy::default(), vec![stream, idle]).await.unwrap();
        let beats = |count: usize| {
            let cache = std::sync::Arc::clone(events.cache());
            let found = move || cache.newest_where(usize::MAX, |head| head.event_type == kind::HEARTBEAT);
            let mut changes = events.cache().changes();
            async move {
                while found().len() < count {
                    changes.changed().await.unwrap();
                }
                found().len()
            }
        };
        assert_eq!(beats(1).await, 1);
        // On a stopped clock that goes on once everybody waits.
        tokio::time::sleep(LOOK * 100).await;
        assert_eq!(beats(1).await, 1, "still here is no event");
        system.set_paused("idle", true).unwrap();
        assert_eq!(beats(2).await, 2);
        root.shutdown().await;
    }
}
