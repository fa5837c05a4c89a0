//! The registry's read side: an immutable snapshot that anyone reads without a message.
//!
//! Invariants: a reader sees only whole changes; a change is visible to every read after the writer was
//! answered; an answer is never older than [`MAX_AGE`] and never outlives a time to live. Serialised answers
//! are kept by query, at most [`MAX_BODIES`].

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

use super::directory::AgentDirectory;
use super::service_pulse::{LastBeat, ServicePulse};
use crate::domain::registry::{
    RegisteredService, ServiceFilter, ServiceHealth, ServiceHeartbeat, ServiceRole, ServiceStatus,
    ServiceVitals, seen_status,
};
use crate::domain::time::Timestamp;

/// How long a serialised answer may serve: agents' heartbeats and queue lengths change without a version, and
/// nobody polls those faster.
pub const MAX_AGE: Duration = Duration::from_secs(1);
/// Serialised answers kept at once. Clients ask a handful of questions; with 50 agents an answer is
/// some 50 KiB, so this is at most a few MiB.
pub const MAX_BODIES: usize = 64;

/// An outside service and its heartbeats.
#[derive(Debug, Clone)]
pub(super) struct RegistryEntry {
    pub(super) service: Arc<RegisteredService>,
    /// The same in all snapshots.
    pub(super) pulse: Arc<ServicePulse>,
}

impl RegistryEntry {
    pub(super) fn new(service: Arc<RegisteredService>, last: LastBeat) -> Self {
        Self { service, pulse: Arc::new(ServicePulse::new(last)) }
    }

    fn seen(&self) -> ServiceSnapshot {
        let last = self.pulse.last();
        let status = seen_status(last.vitals.status, self.service.pace(), last.silence());
        ServiceSnapshot {
            service: Arc::clone(&self.service),
            status,
            last_heartbeat_ts: last.at,
            p95_ms: last.vitals.p95_ms,
            queue_depth: last.vitals.queue_depth,
            load: last.vitals.load,
        }
    }
}

/// All outside services at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct RegistryEntries {
    pub(super) by_id: HashMap<Arc<str>, Arc<RegistryEntry>>,
    version: u64,
}

/// A service's current state for readers; serialises as an item of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSnapshot {
    pub service: Arc<RegisteredService>,
    pub status: ServiceStatus,
    /// The last heartbeat, if known.
    pub last_heartbeat_ts: Option<Timestamp>,
    /// 95th percentile of the latency, ms.
    pub p95_ms: Option<f64>,
    pub queue_depth: Option<u64>,
    /// Share of the capacity in use.
    pub load: Option<f64>,
}

impl Serialize for ServiceSnapshot {
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

/// One service with the heartbeat expected from it: the answer to `GET /services/{service_id}`.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceDocument {
    #[serde(flatten)]
    seen: ServiceSnapshot,
    heartbeat_interval_s: u32,
    ttl_s: u32,
}

impl From<ServiceSnapshot> for ServiceDocument {
    fn from(seen: ServiceSnapshot) -> Self {
        let (heartbeat_interval_s, ttl_s) = (seen.service.heartbeat_interval_s, seen.service.ttl_s);
        Self { seen, heartbeat_interval_s, ttl_s }
    }
}

#[derive(Serialize)]
struct ServiceListDocument<'a> {
    items: &'a [ServiceSnapshot],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceCounts {
    pub total: usize,
    pub healthy: usize,
    pub degraded: usize,
    pub down: usize,
}

impl FromIterator<ServiceStatus> for ServiceCounts {
    fn from_iter<T: IntoIterator<Item = ServiceStatus>>(statuses: T) -> Self {
        statuses.into_iter().fold(Self::default(), |mut counts, status| {
            counts.total += 1;
            match status.health() {
                ServiceHealth::Healthy => counts.healthy += 1,
                ServiceHealth::Degraded => counts.degraded += 1,
                ServiceHealth::Down => counts.down += 1,
            }
            counts
        })
    }
}

/// A serialised answer and its time of validity.
#[derive(Debug)]
pub(super) struct CachedAnswer {
    bytes: Bytes,
    /// Versions of the entries, of their heartbeats, of the tree and of the agents' jobs.
    versions: [u64; 4],
    fresh_until: Instant,
}

/// The read side; written by the registry's actor, except for heartbeats.
#[derive(Debug)]
pub(super) struct RegistryCache {
    entries: ArcSwap<RegistryEntries>,
    pub(super) directory: AgentDirectory,
    pub(super) bodies: RwLock<HashMap<ServiceFilter, Arc<CachedAnswer>>>,
    membership: watch::Sender<u64>,
    /// Heartbeats so far: the number of the next one, and the version of them all.
    beats: AtomicU64,
}

impl RegistryCache {
    pub(super) fn new(directory: AgentDirectory) -> Self {
        let (entries, bodies) = (ArcSwap::default(), RwLock::default());
        Self { entries, directory, bodies, membership: watch::Sender::new(0), beats: AtomicU64::new(1) }
    }

    pub(super) fn entries(&self) -> Arc<RegistryEntries> {
        self.entries.load_full()
    }

    /// Changes whenever a service was added or removed.
    pub(super) fn membership(&self) -> watch::Receiver<u64> {
        self.membership.subscribe()
    }

    /// A heartbeat of this moment.
    pub(super) fn beat_now(&self, vitals: ServiceVitals) -> LastBeat {
        let number = self.beats.fetch_add(1, Ordering::Relaxed);
        LastBeat { vitals, number, at: Some(Timestamp::now()), silent_from: Instant::now() }
    }

    /// Takes a heartbeat of an outside service; `None` if none of this name is registered.
    pub(super) fn beat(&self, beat: ServiceHeartbeat) -> Option<Timestamp> {
        let entries = self.entries.load();
        let entry = entries.by_id.get(beat.service_id.as_str())?;
        let beat = self.beat_now(beat.into());
        let at = beat.at;
        let is_taken = entry.pulse.beat(beat);
        // A second time: an answer serialised between the count and the beat is stale.
        self.beats.fetch_add(1, Ordering::Relaxed);
        at.filter(|_| is_taken)
    }

    /// Publishes the next snapshot. Called only by the actor, one message at a time.
    pub(super) fn publish(&self, change: impl FnOnce(&mut HashMap<Arc<str>, Arc<RegistryEntry>>)) {
        let mut next = RegistryEntries::clone(&self.entries.load());
        let before = next.by_id.len();
        change(&mut next.by_id);
        next.version += 1;
        let (changed, version) = (next.by_id.len() != before, next.version);
        self.entries.store(Arc::new(next));
        if changed {
            self.membership.send_replace(version);
        }
    }

    /// The serialised answer to a query, from the cache while valid.
    pub(super) fn discover(&self, filter: &ServiceFilter) -> Result<Bytes, serde_json::Error> {
        let entries = self.entries.load();
        // The versions are read before the snapshot: a change meanwhile makes the answer stale, not wrong.
        let standings = self.directory.standings();
        let beats = self.beats.load(Ordering::Relaxed);
        let versions = [entries.version, beats, standings.system().tree().version(), standings.version()];
        let now = Instant::now();
        if let Some(body) = self.bodies.read().get(filter)
            && body.versions == versions
            && now < body.fresh_until
        {
            return Ok(body.bytes.clone());
        }
        let bytes = serialised(&self.pick(&entries, filter))?;
        let body =
            Arc::new(CachedAnswer { bytes: bytes.clone(), versions, fresh_until: now + max_age(&entries) });
        let mut bodies = self.bodies.write();
        if bodies.len() >= MAX_BODIES && !bodies.contains_key(filter) {
            // Rare enough that starting over is cheaper than tracking use.
            bodies.clear();
        }
        bodies.insert(filter.clone(), body);
        Ok(bytes)
    }

    fn pick(&self, entries: &RegistryEntries, filter: &ServiceFilter) -> Vec<ServiceSnapshot> {
        let outside = entries.by_id.values().filter_map(|entry| {
            let silence = entry.pulse.silence();
            let offered = filter.shows_expired() || !entry.service.pace().is_expired(silence);
            offered.then(|| entry.seen())
        });
        let fits = |seen: &ServiceSnapshot| filter.fits(&seen.service, seen.status);
        in_order(self.agents().chain(outside).filter(fits).collect())
    }

    /// All services, offered or not.
    pub(super) fn all(&self) -> Vec<ServiceSnapshot> {
        let entries = self.entries.load();
        let outside = entries.by_id.values().map(|entry| entry.seen());
        in_order(self.agents().chain(outside).collect())
    }

    pub(super) fn one(&self, service_id: &str) -> Option<ServiceSnapshot> {
        if let Some(agent) = self.directory.get(service_id) {
            return Some(self.agent(agent));
        }
        let entries = self.entries.load();
        entries.by_id.get(service_id).map(|entry| entry.seen())
    }

    pub(super) fn counts(&self) -> ServiceCounts {
        let entries = self.entries.load();
        let agents = self.directory.iter().map(|agent| self.directory.life(&agent.name).status);
        let outside = entries.by_id.values().map(|entry| entry.seen().status);
        agents.chain(outside).collect()
    }

    /// Those of the services outside of the roster that are not `own`.
    pub(super) fn outside_counts(&self, own: impl Fn(&RegisteredService) -> bool) -> ServiceCounts {
        let entries = self.entries.load();
        let outside = entries.by_id.values().filter(|entry| !own(&entry.service));
        outside.map(|entry| entry.seen().status).collect()
    }

    fn agents(&self) -> impl Iterator<Item = ServiceSnapshot> {
        self.directory.iter().map(|agent| self.agent(agent))
    }

    fn agent(&self, agent: &Arc<RegisteredService>) -> ServiceSnapshot {
        let life = self.directory.life(&agent.name);
        ServiceSnapshot {
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
fn in_order(mut seen: Vec<ServiceSnapshot>) -> Vec<ServiceSnapshot> {
    fn key(seen: &ServiceSnapshot) -> (&str, ServiceRole, &str) {
        (&seen.service.name, seen.service.role, &seen.service.service_id)
    }
    seen.sort_by(|a, b| key(a).cmp(&key(b)));
    seen
}

pub(super) fn serialised(items: &[ServiceSnapshot]) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(&ServiceListDocument { items }).map(Bytes::from)
}

/// How long an answer over these services is valid: until one expires or misses a heartbeat.
fn max_age(entries: &RegistryEntries) -> Duration {
    let changes = entries.by_id.values().filter_map(|e| e.service.pace().until_change(e.pulse.silence()));
    changes.min().unwrap_or(MAX_AGE).min(MAX_AGE)
}
