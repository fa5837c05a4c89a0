//! Where events come from inside the daemon: supervision, the job book, signs of life.
//!
//! Each feed is a task of the event stream. The job book's events are told at least once, also after a
//! crash, and taken once, by their ids; those of supervision and signs of life are soft.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::Events;
use crate::actors::jobs::JobBook;
use crate::actors::standing::AgentStandings;
use crate::domain::event::{Draft, kind};
use crate::domain::job::{EventKind, JobEvent};
use crate::domain::time::Timestamp;
use crate::supervision::ActorSystem;

/// Job events told at once.
const PAGE: usize = 256;
/// Between two looks at who has shown life.
const LOOK: Duration = Duration::from_secs(5);
/// Pause after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// What supervisors do; `daemon` tells this daemon's numbers from those of others.
pub(super) async fn supervision(events: Events, system: ActorSystem, daemon: i64) {
    let mut happenings = system.events().subscribe();
    // What happened before this feed began is told too; their ids keep a restarted feed from doubling it.
    let early = system.events().since(0);
    let mut seen = early.last().map_or(0, |event| event.seq);
    let told = |event: &crate::supervision::SupervisionEvent| {
        let data = serde_json::to_value(event).unwrap_or_default();
        let draft = Draft::new(kind::SUPERVISION, with_time(data, event.at));
        draft.once(format!("supervision-{daemon}-{}", event.seq))
    };
    early.iter().for_each(|event| events.publish(told(event)));
    loop {
        match happenings.recv().await {
            Ok(event) if event.seq > seen => {
                seen = event.seq;
                events.publish(told(&event));
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "events of supervision came faster than they could be told");
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

/// What happens to jobs.
pub(super) async fn jobs(events: Events, book: JobBook) {
    let mut commits = book.commits();
    let mut told = last_told(&events, &book);
    loop {
        commits.mark_unchanged();
        match book.events_after(told, PAGE) {
            Ok(page) if page.is_empty() => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Ok(page) => match tell(&events, &book, &page).await {
                Some(last) => told = last,
                None => tokio::time::sleep(RETRY).await,
            },
            Err(error) => {
                tracing::warn!(%error, "events of jobs cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The last event told by the daemon before, or by an incarnation before: the counter is soft, so what
/// stands on the board may be newer.
fn last_told(events: &Events, book: &JobBook) -> u64 {
    let counted = book.relayed().unwrap_or(0);
    let number = |id: &str| id.strip_prefix("job-")?.parse::<u64>().ok();
    let shown = events.board().newest(usize::MAX);
    shown.iter().filter_map(|sent| number(sent.event.id.as_deref()?)).fold(counted, u64::max)
}

/// Tells a page and waits until it is written; the number of its last event.
async fn tell(events: &Events, book: &JobBook, page: &[JobEvent]) -> Option<u64> {
    let written = join_all(page.iter().map(|event| events.publish_written(draft(event)))).await;
    if let Some(error) = written.into_iter().find_map(Result::err) {
        tracing::warn!(%error, "events of jobs are not told yet; trying again");
        return None;
    }
    let last = page.last()?.seq;
    if let Err(error) = book.note_relayed(last).await {
        tracing::warn!(%error, "how far events of jobs were told is not noted; ids keep them single");
    }
    Some(last)
}

fn draft(event: &JobEvent) -> Draft {
    let kind = match event.event {
        EventKind::AwaitingApproval | EventKind::Approved | EventKind::Rejected => kind::APPROVAL,
        _ => kind::STATUS_UPDATE,
    };
    let data = serde_json::to_value(event).unwrap_or_default();
    Draft::new(kind, with_time(data, event.ts)).once(format!("job-{}", event.seq))
}

/// Which agents have shown life since the last look.
pub(super) async fn heartbeats(events: Events, standings: AgentStandings) {
    let mut told = HashMap::new();
    loop {
        for node in standings.system().tree().all() {
            let (Some(_), Some(vitals)) = (node.heartbeat, node.vitals()) else { continue };
            if told.insert(node.no, vitals.last_beat) == Some(vitals.last_beat) {
                continue;
            }
            let state = node.state();
            let data = json!({
                "agent": node.name, "status": standings.of_node(&node, &state, Some(&vitals)).status, "queue_depth": vitals.depth,
                "handled": vitals.handled, "restarts": state.restarts,
            });
            events.publish(Draft::new(kind::HEARTBEAT, data));
        }
        tokio::time::sleep(LOOK).await;
    }
}
