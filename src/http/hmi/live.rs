//! `GET /api/live`: everything a page needs to draw at once, and from which event on to follow.
//!
//! One serialised answer serves all clients for [`MAX_AGE`]; it is made by one of them while the others
//! wait for it. One that took long to make serves longer ([`REST`]), so that making them takes a tenth of one
//! processor however many look, until that would make it older than [`OLDEST`]. `seq` is read before anything else, so an event that changes
//! what is shown has a greater number, or is in it already.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::tree::{Facts, Row};
use super::work::Now;
use super::{Hmi, alerts, costs};
use crate::domain::event::{SwarmEvent, kind};
use crate::domain::hmi::AgentStatus;
use crate::domain::hmi::status::health_line;
use crate::http::{ApiError, ApiResult};

/// How old an answer may be: below what a person notices, and ten readings a second at most.
const MAX_AGE: Duration = Duration::from_millis(100);
/// How many times as long as it took to make an answer it serves at least.
const REST: u32 = 9;
/// The oldest an answer may be, whatever it cost: what happens is to be seen within a second.
const OLDEST: Duration = Duration::from_millis(500);
/// Most events that a new page is given to show at once.
const RECENT_EVENTS: usize = 50;

#[derive(Default)]
pub(super) struct Cache(Mutex<Option<Cached>>);

struct Cached {
    body: Bytes,
    until: Instant,
}

pub(super) async fn live(State(hmi): State<Hmi>) -> ApiResult<Response> {
    let mut cached = hmi.0.live.0.lock().await;
    let fresh = cached.as_ref().filter(|cached| Instant::now() < cached.until);
    let body = match fresh {
        Some(fresh) => fresh.body.clone(),
        None => {
            let source = hmi.clone();
            let made = blocking(move || {
                let begun = Instant::now();
                let body = picture(&source)?;
                let age = (begun.elapsed() * REST).clamp(MAX_AGE, OLDEST);
                Ok(Cached { body, until: Instant::now() + age })
            });
            cached.insert(made.await?).body.clone()
        }
    };
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// Runs what reads the store, on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    tokio::task::spawn_blocking(read).await.map_err(|error| ApiError::internal(&error))?
}

fn picture(hmi: &Hmi) -> ApiResult<Bytes> {
    let board = hmi.events.board();
    let seq = board.last();
    let now = Now::read(hmi)?;
    let facts = Facts::gather(hmi, &now);
    let rows = facts.rows();
    let recent = board.newest_where(RECENT_EVENTS, |event| event.event_type != kind::HEARTBEAT);
    let recent: Vec<&SwarmEvent> = recent.iter().map(|sent| &sent.event).collect();
    let answer = json!({
        "seq": seq,
        "at": now.at,
        "version": env!("CARGO_PKG_VERSION"),
        "ports": hmi.ports,
        "health": health(&rows),
        "tree": rows,
        "jobs": now.jobs(hmi),
        "approvals": now.approvals(hmi),
        "alerts": alerts::newest(&hmi.events, now.at),
        "resources": hmi.0.machine.sample(&hmi.resources),
        "costs": costs::windows(hmi),
        "current": now.current(hmi),
        "recent": recent,
    });
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| ApiError::internal(&error))
}

fn health(rows: &[Row]) -> Value {
    let agents = || rows.iter().filter(|row| row.role.is_some());
    let count = |wanted: fn(AgentStatus) -> bool| agents().filter(|row| wanted(row.standing.status)).count();
    let down = count(|status| matches!(status, AgentStatus::Down | AgentStatus::Error));
    let (total, unwell) = (agents().count(), count(|status| status == AgentStatus::Degraded));
    json!({
        "line": health_line(total, down, unwell),
        "agents_total": total,
        "agents_ok": total - down - unwell,
        "agents_down": down,
    })
}

pub(super) async fn current_task(State(hmi): State<Hmi>) -> ApiResult<Json<Value>> {
    let task = blocking(move || Ok(Now::read(&hmi)?.current(&hmi))).await?;
    Ok(Json(json!({ "task": task })))
}
