//! The registry: the services, their capabilities, and their liveness.
//!
//! Owns the table `services` and is its only writer. Outside services are durable: an answer leaves after the
//! commit. Heartbeats are soft state ([`super::service_pulse`]), taken without a message, kept through a crash of
//! this actor, forgotten with the daemon: after a start each service gets one time to live before being judged.
//! However many services end at once, their end is one message and one commit. The agents of the roster are always listed
//! ([`AgentDirectory`]) and cannot be changed from outside. Reads send no message
//! ([`super::registry_cache`]). Failure policy: a refused write is an error to the caller; after a write of
//! unknown outcome the table is read again before anything is decided. A start does not need a store that
//! takes writes.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

pub use super::registry_cache::{MAX_AGE, MAX_BODIES, ServiceCounts, ServiceDocument, ServiceSnapshot};

use super::directory::AgentDirectory;
use super::registry_cache::{RegistryCache, RegistryEntry, serialised};
use super::service_pulse::LastBeat;
use super::table_sync::TableSync;
use crate::domain::registry::{
    RegisteredService, ServiceFilter, ServiceHeartbeat, ServiceRegistration, ServiceRole, ServiceVitals,
    has_lapsed, new_service_id,
};
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable, StoreView};
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};

const SERVICES: StoreTable<String, RegisteredService> = StoreTable::new("services");

/// Most outside services: each costs memory and a check at every sweep; a swarm has hundreds.
pub const MAX_SERVICES: usize = 10_000;
/// Most text in one registration: a name, a URL and hundreds of capabilities and labels fit; [`MAX_SERVICES`]
/// of them take 320 MB at most.
pub const MAX_TEXT_BYTES: usize = 32 * 1024;
/// Longest wait for an answer: a commit takes milliseconds, so beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the registry declined or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The id belongs to another service.
    #[error("the service id `{0}` is taken; choose another, or none to get a generated one")]
    Taken(String),
    /// The service is an agent of this daemon.
    #[error(
        "`{0}` is an agent of this daemon, which keeps its entry itself; it cannot be changed from outside"
    )]
    Internal(String),
    #[error("no service `{0}` is registered; register it (again) with POST /register")]
    Unknown(String),
    #[error("no instance of `{0}` is in that role")]
    NoInstance(String),
    #[error("{MAX_SERVICES} services are registered, which is the limit; deregister some")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the registry {0}")]
    Call(#[from] CallError),
}

type RegistryResult<T> = Result<T, RegistryError>;

#[derive(Debug)]
pub enum RegistryMessage {
    Register(Box<ServiceRegistration>, ReplySender<RegistryResult<Arc<RegisteredService>>>),
    /// Move instances between roles.
    Promote {
        name: String,
        /// Only instances in this role.
        from: ServiceRole,
        to: ServiceRole,
        /// The number of moved instances.
        reply: ReplySender<RegistryResult<usize>>,
    },
    Deregister(String, ReplySender<RegistryResult<Timestamp>>),
    /// The store takes writes again: read the table.
    Reload,
    /// Remove services unless a heartbeat has come since.
    Expire {
        judged: Vec<JudgedService>,
        /// The ids of the removed ones.
        reply: ReplySender<RegistryResult<Vec<String>>>,
    },
}

impl ActorMessage for RegistryMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Register(..) => "register",
            Self::Promote { .. } => "promote",
            Self::Deregister(..) => "deregister",
            Self::Expire { .. } => "expire",
            Self::Reload => "reload",
        }
    }
}

/// A service judged dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedService {
    pub service_id: String,
    /// The number of the last heartbeat when the service was judged.
    pub beat: u64,
}

/// A monitor's view of an outside service.
#[derive(Debug, Clone)]
pub struct WatchedService {
    pub service: Arc<RegisteredService>,
    /// The number of the last heartbeat.
    pub beat: u64,
    /// Time since the last heartbeat.
    pub silence: Duration,
    /// Time of the last heartbeat, if known.
    pub last_seen: Option<Timestamp>,
}

/// The registry's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RegistryHandle {
    address: Address<RegistryMessage>,
    board: Arc<RegistryCache>,
}

impl RegistryHandle {
    /// Registers a service; durable on return.
    ///
    /// # Errors
    /// [`RegistryError`]; of several registrations with one free id exactly one succeeds.
    pub async fn register(
        &self,
        registration: ServiceRegistration,
    ) -> RegistryResult<Arc<RegisteredService>> {
        let registration = Box::new(registration);
        self.address.call(DEADLINE, |reply| RegistryMessage::Register(registration, reply)).await?
    }

    /// Notes a heartbeat; returns its time.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] for a service that is not (or no longer) registered, and
    /// [`RegistryError::Internal`] for the daemon's agents, whose liveness is read off the tree.
    pub fn heartbeat(&self, beat: ServiceHeartbeat) -> RegistryResult<Timestamp> {
        let id = beat.service_id.clone();
        if self.board.directory.get(&id).is_some() {
            return Err(RegistryError::Internal(id));
        }
        self.board.beat(beat).ok_or(RegistryError::Unknown(id))
    }

    /// Moves all instances of a name from one role to another, or none; returns their number.
    ///
    /// # Errors
    /// [`RegistryError::NoInstance`], and [`RegistryError::Internal`] for the daemon's agents.
    pub async fn promote(&self, name: String, from: ServiceRole, to: ServiceRole) -> RegistryResult<usize> {
        self.address.call(DEADLINE, |reply| RegistryMessage::Promote { name, from, to, reply }).await?
    }

    /// Removes a service; durable on return.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], and [`RegistryError::Internal`] for the daemon's agents.
    pub async fn deregister(&self, service_id: String) -> RegistryResult<Timestamp> {
        self.address.call(DEADLINE, |reply| RegistryMessage::Deregister(service_id, reply)).await?
    }

    /// Removes services that were judged dead, unless a newer heartbeat has come: all or none of those. Returns the
    /// ids of the removed ones.
    ///
    /// # Errors
    /// [`RegistryError`] when no decision was possible.
    pub async fn expire(&self, judged: Vec<JudgedService>) -> RegistryResult<Vec<String>> {
        self.address.call(DEADLINE, |reply| RegistryMessage::Expire { judged, reply }).await?
    }

    /// The services that match a filter, as the JSON body `{"items": […]}`; without expired ones.
    ///
    /// # Errors
    /// A value that JSON cannot express; no registered service has one.
    pub fn discover(&self, filter: &ServiceFilter) -> Result<Bytes, serde_json::Error> {
        self.board.discover(filter)
    }

    /// All services, as the JSON body `{"items": […]}`.
    ///
    /// # Errors
    /// As [`RegistryHandle::discover`].
    pub fn services(&self) -> Result<Bytes, serde_json::Error> {
        serialised(&self.board.all())
    }

    #[must_use]
    pub fn all(&self) -> Vec<ServiceSnapshot> {
        self.board.all()
    }

    #[must_use]
    pub fn service(&self, service_id: &str) -> Option<ServiceSnapshot> {
        self.board.one(service_id)
    }

    #[must_use]
    pub fn counts(&self) -> ServiceCounts {
        self.board.counts()
    }

    /// The services that registered from outside: neither agents, nor `own`.
    #[must_use]
    pub fn outside_counts(&self, own: impl Fn(&RegisteredService) -> bool) -> ServiceCounts {
        self.board.outside_counts(own)
    }

    /// The agents of the daemon.
    #[must_use]
    pub fn directory(&self) -> &AgentDirectory {
        &self.board.directory
    }

    /// The outside services, for monitors.
    #[must_use]
    pub fn watched(&self) -> Vec<WatchedService> {
        let watched = |entry: &Arc<RegistryEntry>| {
            let (service, last) = (Arc::clone(&entry.service), entry.pulse.last());
            WatchedService { service, beat: last.number, silence: last.silence(), last_seen: last.at }
        };
        self.board.entries().by_id.values().map(watched).collect()
    }

    /// Changes whenever an outside service was added or removed.
    #[must_use]
    pub fn membership(&self) -> watch::Receiver<u64> {
        self.board.membership()
    }
}

/// The actor has no state of its own: cache and store have everything.
struct RegistryState {
    table: TableSync<RegistryMessage>,
    board: Arc<RegistryCache>,
}

/// The registry as a child of a supervisor, and a handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    store: Store,
    directory: AgentDirectory,
) -> (ChildSpec, RegistryHandle) {
    let board = Arc::new(RegistryCache::new(directory));
    let shared = Arc::clone(&board);
    let (spec, address) = system.worker(name, options, move |context| {
        let table = TableSync::new(store.clone(), || RegistryMessage::Reload);
        let mut state = RegistryState { table, board: Arc::clone(&shared) };
        async move {
            state.load(&context).await?;
            Ok(state)
        }
    });
    (spec, RegistryHandle { address, board })
}

impl RegistryState {
    /// Updates the cache from the store.
    async fn load(&mut self, context: &ActorContext<RegistryMessage>) -> Result<(), StoreError> {
        let table =
            |view: &StoreView<'_>| view.range(&SERVICES, &KeyRange::all(), ScanOrder::Ascending, usize::MAX);
        // While the table cannot be read the cache keeps the earlier incarnation's state.
        let Some(rows) = self.table.read(context, table).await? else { return Ok(()) };
        self.board.publish(|entries| {
            let known = std::mem::take(entries);
            for (id, service) in rows {
                let entry = match known.get(id.as_str()) {
                    Some(entry) => {
                        // An earlier incarnation may have ended between the verdict and the removal.
                        entry.pulse.pardon();
                        RegistryEntry { service: Arc::new(service), pulse: Arc::clone(&entry.pulse) }
                    }
                    None => remembered(service),
                };
                entries.insert(Arc::from(id), Arc::new(entry));
            }
        });
        Ok(())
    }

    async fn register(&self, registration: ServiceRegistration) -> RegistryResult<Arc<RegisteredService>> {
        self.table.check()?;
        let id = registration.service_id.clone().unwrap_or_else(new_service_id);
        if self.board.directory.get(&id).is_some() {
            return Err(RegistryError::Taken(id));
        }
        let entries = self.board.entries();
        let known = entries.by_id.get(id.as_str());
        if known.is_some_and(|entry| !has_lapsed(entry.service.pace(), entry.pulse.silence())) {
            return Err(RegistryError::Taken(id));
        }
        if known.is_none() && entries.by_id.len() >= MAX_SERVICES {
            return Err(RegistryError::Full);
        }
        let service = registration.into_service(id, Timestamp::now());
        self.save(vec![service.clone()]).await?;
        let service = Arc::new(service);
        let last = self.board.beat_now(ServiceVitals::default());
        let last = LastBeat { at: Some(service.registered_at), ..last };
        self.put(RegistryEntry::new(Arc::clone(&service), last));
        Ok(service)
    }

    async fn promote(&self, name: String, from: ServiceRole, to: ServiceRole) -> RegistryResult<usize> {
        self.table.check()?;
        let is_meant = |service: &RegisteredService| service.name == name && service.role == from;
        if self.board.directory.iter().any(|agent| is_meant(agent)) {
            return Err(RegistryError::Internal(name));
        }
        let entries = self.board.entries();
        let meant: Vec<_> = entries.by_id.values().filter(|entry| is_meant(&entry.service)).collect();
        if meant.is_empty() {
            return Err(RegistryError::NoInstance(name));
        }
        let moved = |entry: &&Arc<RegistryEntry>| RegisteredService {
            role: to,
            ..RegisteredService::clone(&entry.service)
        };
        let services: Vec<RegisteredService> = meant.iter().map(moved).collect();
        self.save(services.clone()).await?;
        self.board.publish(|next| {
            for (service, entry) in services.into_iter().zip(&meant) {
                let id = Arc::from(service.service_id.as_str());
                let (service, pulse) = (Arc::new(service), Arc::clone(&entry.pulse));
                next.insert(id, Arc::new(RegistryEntry { service, pulse }));
            }
        });
        Ok(meant.len())
    }

    async fn deregister(&self, service_id: String) -> RegistryResult<Timestamp> {
        self.table.check()?;
        if self.board.directory.get(&service_id).is_some() {
            return Err(RegistryError::Internal(service_id));
        }
        if !self.board.entries().by_id.contains_key(service_id.as_str()) {
            return Err(RegistryError::Unknown(service_id));
        }
        self.remove(vec![service_id]).await?;
        Ok(Timestamp::now())
    }

    async fn expire(&self, judged: Vec<JudgedService>) -> RegistryResult<Vec<String>> {
        self.table.check()?;
        let entries = self.board.entries();
        let is_dead = |judged: &JudgedService| {
            let entry = entries.by_id.get(judged.service_id.as_str());
            entry.is_some_and(|entry| entry.pulse.condemn(judged.beat, entry.service.pace()))
        };
        let dead: Vec<String> = judged.into_iter().filter(is_dead).map(|dead| dead.service_id).collect();
        if dead.is_empty() {
            return Ok(dead);
        }
        let removed = self.remove(dead.clone()).await;
        if removed.is_err() {
            let spared = dead.iter().filter_map(|id| entries.by_id.get(id.as_str()));
            spared.for_each(|entry| entry.pulse.pardon());
        }
        removed.map(|()| dead)
    }

    fn noted<T>(
        &mut self,
        answer: RegistryResult<T>,
        context: &ActorContext<RegistryMessage>,
    ) -> RegistryResult<T> {
        if let Err(RegistryError::Store(error)) = &answer {
            self.table.note(error, context);
        }
        answer
    }

    async fn save(&self, services: Vec<RegisteredService>) -> RegistryResult<()> {
        let put = |changes: StoreChanges, s: &RegisteredService| changes.put(&SERVICES, &s.service_id, s);
        self.table.store().write(move |_| Ok((services.iter().fold(StoreChanges::none(), put), ()))).await
    }

    async fn remove(&self, ids: Vec<String>) -> RegistryResult<()> {
        let gone = ids.clone();
        let delete = |changes: StoreChanges, id: &String| changes.delete(&SERVICES, id);
        let write = move |_: &StoreView<'_>| {
            Ok::<_, RegistryError>((ids.iter().fold(StoreChanges::none(), delete), ()))
        };
        self.table.store().write(write).await?;
        self.board.publish(|entries| gone.iter().for_each(|id| drop(entries.remove(id.as_str()))));
        Ok(())
    }

    fn put(&self, entry: RegistryEntry) {
        let id = Arc::from(entry.service.service_id.as_str());
        self.board.publish(|entries| drop(entries.insert(id, Arc::new(entry))));
    }
}

/// A service known from before the start: without a heartbeat yet, and not judged for one time to live.
fn remembered(service: RegisteredService) -> RegistryEntry {
    let silent_from = Instant::now() + service.pace().grace();
    let last = LastBeat { vitals: ServiceVitals::default(), number: 0, at: None, silent_from };
    RegistryEntry::new(Arc::new(service), last)
}

impl Actor for RegistryState {
    type Message = RegistryMessage;

    async fn handle(
        &mut self,
        message: RegistryMessage,
        context: &ActorContext<RegistryMessage>,
    ) -> Result<(), ActorError> {
        match message {
            RegistryMessage::Register(registration, reply) => {
                let answer = self.register(*registration).await;
                reply.send(self.noted(answer, context));
            }
            RegistryMessage::Promote { name, from, to, reply } => {
                let answer = self.promote(name, from, to).await;
                reply.send(self.noted(answer, context));
            }
            RegistryMessage::Deregister(id, reply) => {
                let answer = self.deregister(id).await;
                reply.send(self.noted(answer, context));
            }
            RegistryMessage::Expire { judged, reply } => {
                let answer = self.expire(judged).await;
                reply.send(self.noted(answer, context));
            }
            RegistryMessage::Reload => {
                self.table.store_is_back();
                self.load(context).await?;
            }
        }
        Ok(())
    }
}
