//! The registry's read side: an immutable snapshot that anyone reads without a message.
//!
//! Invariants: a reader sees whole changes only; every change that a writer was told of is seen by
//! whoever asks afterwards; an answer is never older than [`MAX_AGE`] and never outlives a time to
//! live. Serialised answers are kept by query; at most [`MAX_BODIES`] of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::directory::Directory;
use crate::domain::registry::{Filter, Health, Life, Service, ServiceRole, ServiceStatus, seen_status};
use crate::domain::time::Timestamp;

/// How long a serialised answer may serve: agents' beats and queue lengths change without a version,
/// and nobody polls those faster.
pub const MAX_AGE: Duration = Duration::from_secs(1);
/// Serialised answers kept at once. Clients ask a handful of questions; with 50 agents an answer is
/// some 50 KiB, so this is at most a few MiB.
pub const MAX_BODIES: usize = 64;

/// An outside service and its signs of life.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) service: Arc<Service>,
    pub(super) life: Life,
    /// The number of its last beat, unique in the process: tells a monitor that one came.
    pub(super) beat: u64,
    /// `None` until the first beat after a restart of the daemon.
    pub(super) last_beat: Option<Timestamp>,
    /// What silence is counted from; ahead of now while the grace after a restart lasts.
    pub(super) silent_from: Instant,
}

impl Entry {
    pub(super) fn silence(&self) -> Duration {
        Instant::now().saturating_duration_since(self.silent_from)
    }

    fn seen(&self, silence: Duration) -> Seen {
        let status = seen_status(self.life.status, self.service.pace(), silence);
        Seen {
            service: Arc::clone(&self.service),
            status,
            last_heartbeat_ts: self.last_beat,
            p95_ms: self.life.p95_ms,
            queue_depth: self.life.queue_depth,
            load: self.life.load,
        }
    }
}

/// All outside services at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    pub(super) by_id: HashMap<Arc<str>, Arc<Entry>>,
    version: u64,
}

/// A service as others see it now; serialises as an item of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub service: Arc<Service>,
    pub status: ServiceStatus,
    /// Its last sign of life, if one is known.
    pub last_heartbeat_ts: Option<Timestamp>,
    /// 95th percentile of its latency, ms.
    pub p95_ms: Option<f64>,
    pub queue_depth: Option<u64>,
    /// Share of its capacity in use.
    pub load: Option<f64>,
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let service = &*self.service;
        let mut item = serializer.serialize_struct("Item", 15)?;
        item.serialize_field("service_id", &service.service_id)?;
        item.serialize_field("name", &service.name)?;
        item.serialize_field("type", &service.kind)?;
        item.serialize_field("role", &service.role)?;
        item.serialize_field("url", &service.url)?;
        item.serialize_field("caps", &service.caps)?;
        item.serialize_field("labels", &service.labels)?;
        item.serialize_field("ctx_limit", &service.ctx_limit)?;
        item.serialize_field("cost_hint_usd_per_1k", &service.cost_hint_usd_per_1k)?;
        item.serialize_field("status", &self.status)?;
        item.serialize_field("last_heartbeat_ts", &self.last_heartbeat_ts)?;
        item.serialize_field("registered_at", &service.registered_at)?;
        item.serialize_field("p95_ms", &self.p95_ms)?;
        item.serialize_field("queue_depth", &self.queue_depth)?;
        item.serialize_field("load", &self.load)?;
        item.end()
    }
}

/// One service with what is expected of it: the answer to `GET /services/{service_id}`.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    #[serde(flatten)]
    seen: Seen,
    heartbeat_interval_s: u32,
    ttl_s: u32,
}

impl From<Seen> for Record {
    fn from(seen: Seen) -> Self {
        let (heartbeat_interval_s, ttl_s) = (seen.service.heartbeat_interval_s, seen.service.ttl_s);
        Self { seen, heartbeat_interval_s, ttl_s }
    }
}

#[derive(Serialize)]
struct Items<'a> {
    items: &'a [Seen],
}

/// How many services there are, by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub total: usize,
    pub healthy: usize,
    pub degraded: usize,
    pub down: usize,
}

/// A serialised answer and how long it holds.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Bytes,
    /// Of the entries, of the tree and of the agents' jobs.
    versions: (u64, u64, u64),
    fresh_until: Instant,
}

/// The read side; written by the registry actor alone.
#[derive(Debug)]
pub(super) struct Board {
    entries: ArcSwap<Entries>,
    pub(super) directory: Directory,
    pub(super) bodies: RwLock<HashMap<Filter, Arc<Body>>>,
    membership: watch::Sender<u64>,
    beats: AtomicU64,
}

impl Board {
    pub(super) fn new(directory: Directory) -> Self {
        let (entries, bodies) = (ArcSwap::default(), RwLock::default());
        Self { entries, directory, bodies, membership: watch::Sender::new(0), beats: AtomicU64::new(1) }
    }

    pub(super) fn entries(&self) -> Arc<Entries> {
        self.entries.load_full()
    }

    /// Changes whenever a service came or went.
    pub(super) fn membership(&self) -> watch::Receiver<u64> {
        self.membership.subscribe()
    }

    /// The number of a beat that comes now.
    pub(super) fn next_beat(&self) -> u64 {
        self.beats.fetch_add(1, Ordering::Relaxed)
    }

    /// Publishes the next picture. Only the actor calls it, one message at a time.
    pub(super) fn publish(&self, change: impl FnOnce(&mut HashMap<Arc<str>, Arc<Entry>>)) {
        let mut next = Entries::clone(&self.entries.load());
        let before = next.by_id.len();
        change(&mut next.by_id);
        next.version += 1;
        let (changed, version) = (next.by_id.len() != before, next.version);
        self.entries.store(Arc::new(next));
        if changed {
            self.membership.send_replace(version);
        }
    }

    /// The serialised answer to a query, from the cache where that still holds.
    pub(super) fn discover(&self, filter: &Filter) -> Result<Bytes, serde_json::Error> {
        let entries = self.entries.load();
        // The versions are read before the picture is: a change meanwhile makes the answer stale, not wrong.
        let standings = self.directory.standings();
        let versions = (entries.version, standings.system().tree().version(), standings.version());
        let now = Instant::now();
        if let Some(body) = self.bodies.read().get(filter)
            && body.versions == versions
            && now < body.fresh_until
        {
            return Ok(body.bytes.clone());
        }
        let bytes = serialised(&self.pick(&entries, filter))?;
        let body = Arc::new(Body { bytes: bytes.clone(), versions, fresh_until: now + max_age(&entries) });
        let mut bodies = self.bodies.write();
        if bodies.len() >= MAX_BODIES && !bodies.contains_key(filter) {
            // Rare enough that starting over is cheaper than keeping an order of use.
            bodies.clear();
        }
        bodies.insert(filter.clone(), body);
        Ok(bytes)
    }

    fn pick(&self, entries: &Entries, filter: &Filter) -> Vec<Seen> {
        let outside = entries.by_id.values().filter_map(|entry| {
            let silence = entry.silence();
            let offered = filter.shows_expired() || !entry.service.pace().is_expired(silence);
            offered.then(|| entry.seen(silence))
        });
        let fits = |seen: &Seen| filter.fits(&seen.service, seen.status);
        in_order(self.agents().chain(outside).filter(fits).collect())
    }

    /// Every service there is, offered or not.
    pub(super) fn all(&self) -> Vec<Seen> {
        let entries = self.entries.load();
        let outside = entries.by_id.values().map(|entry| entry.seen(entry.silence()));
        in_order(self.agents().chain(outside).collect())
    }

    pub(super) fn one(&self, service_id: &str) -> Option<Seen> {
        if let Some(agent) = self.directory.get(service_id) {
            return Some(self.agent(agent));
        }
        let entries = self.entries.load();
        entries.by_id.get(service_id).map(|entry| entry.seen(entry.silence()))
    }

    pub(super) fn counts(&self) -> Counts {
        let entries = self.entries.load();
        let agents = self.directory.iter().map(|agent| self.directory.life(&agent.name).status);
        let outside = entries
            .by_id
            .values()
            .map(|entry| seen_status(entry.life.status, entry.service.pace(), entry.silence()));
        agents.chain(outside).fold(Counts::default(), |mut counts, status| {
            counts.total += 1;
            match status.health() {
                Health::Healthy => counts.healthy += 1,
                Health::Degraded => counts.degraded += 1,
                Health::Down => counts.down += 1,
            }
            counts
        })
    }

    fn agents(&self) -> impl Iterator<Item = Seen> {
        self.directory.iter().map(|agent| self.agent(agent))
    }

    fn agent(&self, agent: &Arc<Service>) -> Seen {
        let life = self.directory.life(&agent.name);
        Seen {
            service: Arc::clone(agent),
            status: life.status,
            last_heartbeat_ts: life.last_beat,
            p95_ms: None,
            queue_depth: life.queue_depth,
            load: life.load,
        }
    }
}

/// By name, then role; by id among the instances of one service, so that answers are stable.
fn in_order(mut seen: Vec<Seen>) -> Vec<Seen> {
    fn key(seen: &Seen) -> (&str, ServiceRole, &str) {
        (&seen.service.name, seen.service.role, &seen.service.service_id)
    }
    seen.sort_by(|a, b| key(a).cmp(&key(b)));
    seen
}

pub(super) fn serialised(items: &[Seen]) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(&Items { items }).map(Bytes::from)
}

/// How long an answer over these services holds: until one of them expires or is missed.
fn max_age(entries: &Entries) -> Duration {
    let changes = entries.by_id.values().filter_map(|e| e.service.pace().until_change(e.silence()));
    changes.min().unwrap_or(MAX_AGE).min(MAX_AGE)
}
