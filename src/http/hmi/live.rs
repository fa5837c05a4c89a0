//! `GET /api/live`: everything for a page's first frame, and the event number to follow from.
//!
//! One serialised answer serves all clients for [`MAX_AGE`]; one client's request builds it while the others
//! wait. An answer that was slow to build serves longer ([`REST`]), up to the age of [`OLDEST`], so that
//! building takes at most a tenth of one processor with any number of clients. `seq` is read first, so an
//! event that changes the snapshot either has a greater number or is included already.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::tree::{TreeFacts, TreeRow};
use super::work::LiveJobs;
use super::{HmiApi, alerts, costs};
use crate::actors::registry::ServiceCounts;
use crate::domain::event::{SwarmEvent, kind};
use crate::domain::hmi::AgentStatus;
use crate::domain::hmi::status::{HealthCount, health_line};
use crate::domain::registry::RegisteredService;
use crate::http::{ApiError, ApiResult};

/// Age below which an answer is reused: too short to notice, and at most ten snapshots a second.
const MAX_AGE: Duration = Duration::from_millis(100);
/// An answer serves at least this many times its build time.
const REST: u32 = 9;
/// The oldest an answer may be, so that events are visible within a second.
const OLDEST: Duration = Duration::from_millis(500);
/// Most events in a page's first frame.
const RECENT_EVENTS: usize = 50;

#[derive(Default)]
pub(super) struct LiveCache(Mutex<Option<CachedBody>>);

struct CachedBody {
    body: Bytes,
    until: Instant,
}

pub(super) async fn live(State(hmi): State<HmiApi>) -> ApiResult<Response> {
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
                Ok(CachedBody { body, until: Instant::now() + age })
            });
            cached.insert(made.await?).body.clone()
        }
    };
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// Runs store reads on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    tokio::task::spawn_blocking(read).await.map_err(|error| ApiError::internal(&error))?
}

fn picture(hmi: &HmiApi) -> ApiResult<Bytes> {
    let board = hmi.events.cache();
    let seq = board.last();
    let now = LiveJobs::read(hmi)?;
    let facts = TreeFacts::gather(hmi, &now);
    let rows = facts.rows();
    // Events after `seq` follow by the stream, which continues from there.
    let recent =
        board.newest_where(RECENT_EVENTS, |event| event.seq <= seq && event.event_type != kind::HEARTBEAT);
    let recent: Vec<SwarmEvent> = recent.iter().filter_map(|sent| sent.event()).collect();
    let (alerts, alerts_total) = alerts::newest(&hmi.events, now.at);
    let answer = json!({
        "seq": seq,
        "at": now.at,
        "version": env!("CARGO_PKG_VERSION"),
        "ports": hmi.ports,
        "health": health(&rows, hmi.registry.outside_counts(|service| is_own(hmi, service))),
        "tree": rows,
        "jobs": now.jobs(hmi),
        "approvals": now.approvals(hmi),
        "jobs_total": now.runs_total,
        "alerts": alerts,
        "alerts_total": alerts_total,
        "resources": hmi.0.machine.sample(&hmi.resources),
        "costs": costs::windows(hmi),
        "current": now.current(hmi),
        "recent": recent,
    });
    serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| ApiError::internal(&error))
}

/// Whether a service is one of the daemon's own models: at one of its ports nobody else can listen.
fn is_own(hmi: &HmiApi, service: &RegisteredService) -> bool {
    let Ok(url) = Url::parse(&service.url) else { return false };
    let is_here = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    is_here && url.port().is_some_and(|port| hmi.ports.values().any(|own| *own == port))
}

fn health(rows: &[TreeRow], outside: ServiceCounts) -> Value {
    let agents = || rows.iter().filter(|row| row.role.is_some());
    let count = |wanted: fn(AgentStatus) -> bool| agents().filter(|row| wanted(row.standing.status)).count();
    let down = count(|status| matches!(status, AgentStatus::Down | AgentStatus::Error));
    let (total, unwell) = (agents().count(), count(|status| status == AgentStatus::Degraded));
    let others = HealthCount { total: outside.total, down: outside.down, unwell: outside.degraded };
    json!({
        "line": health_line(HealthCount { total, down, unwell }, others),
        "agents_total": total,
        "agents_ok": total - down - unwell,
        "agents_down": down,
        "services_total": outside.total,
        "services_ok": outside.healthy,
        "services_down": outside.down,
    })
}

pub(super) async fn current_task(State(hmi): State<HmiApi>) -> ApiResult<Json<Value>> {
    let task = blocking(move || Ok(LiveJobs::read(&hmi)?.current(&hmi))).await?;
    Ok(Json(json!({ "task": task })))
}
