//! The registry: who is there, what they can do, and whether they are alive.
//!
//! Owns the table `services` and is its only writer. Outside services are durable: an answer leaves
//! after its commit. Their beats are soft state, kept through a crash of this actor, forgotten with
//! the daemon: after a start each gets one time to live before it is judged. The agents of the roster
//! are always listed ([`Directory`]) and cannot be changed from outside. Reads send no message
//! ([`super::registry_board`]). Failure policy: a refused write is an error to its caller; after a write whose
//! outcome is not known nothing is decided before the table was read anew. A start needs no store that takes
//! writes.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

pub use super::registry_board::{Counts, MAX_AGE, MAX_BODIES, Record, Seen};

use super::directory::Directory;
use super::registry_board::{Board, Entry, serialised};
use super::table_sync::TableSync;
use crate::domain::registry::{
    Beat, Filter, Life, Registration, Service, ServiceRole, has_lapsed, new_service_id,
};
use crate::domain::time::Timestamp;
use crate::store::{Changes, Order, Span, Store, StoreError, Table, View};
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, Message as ActorMessage, Reply,
    WorkerOptions,
};

const SERVICES: Table<String, Service> = Table::new("services");

/// Most outside services: every one costs memory and a look at each sweep; a swarm has hundreds.
pub const MAX_SERVICES: usize = 10_000;
/// Most text in one registration: a name, a URL and hundreds of capabilities and labels fit; with
/// [`MAX_SERVICES`] it bounds the memory at 320 MB.
pub const MAX_TEXT_BYTES: usize = 32 * 1024;
/// Longest wait for an answer: a commit takes milliseconds, so beyond this the disk is stuck.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The id belongs to another service.
    #[error("the service id `{0}` is taken; choose another, or none and the registry does")]
    Taken(String),
    /// It is an agent of this daemon.
    #[error(
        "`{0}` is an agent of this daemon, which keeps its entry itself; it cannot be changed from outside"
    )]
    Internal(String),
    #[error("no service `{0}` is registered; register it (again) with POST /register")]
    Unknown(String),
    #[error("no instance of `{0}` is in that role")]
    NoInstance(String),
    #[error("{MAX_SERVICES} services are registered, which is the most; deregister some")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the registry {0}")]
    Call(#[from] CallError),
}

type Answer<T> = Result<T, RegistryError>;

/// What the registry is asked to change.
#[derive(Debug)]
pub enum Message {
    /// Take in a service.
    Register(Box<Registration>, Reply<Answer<Arc<Service>>>),
    /// Note a sign of life.
    Heartbeat(Beat, Reply<Answer<Timestamp>>),
    /// Move instances between roles.
    Promote {
        name: String,
        /// Only those in this role.
        from: ServiceRole,
        to: ServiceRole,
        /// How many were moved.
        reply: Reply<Answer<usize>>,
    },
    Deregister(String, Reply<Answer<Timestamp>>),
    /// The store takes writes again: read what is true.
    Reload,
    /// Forget a service unless it has beaten since.
    Expire {
        service_id: String,
        /// Its last beat when it was judged.
        beat: u64,
        /// Whether it was forgotten.
        reply: Reply<Answer<bool>>,
    },
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Register(..) => "register",
            Self::Heartbeat(..) => "heartbeat",
            Self::Promote { .. } => "promote",
            Self::Deregister(..) => "deregister",
            Self::Expire { .. } => "expire",
            Self::Reload => "reload",
        }
    }
}

/// What a monitor must know of an outside service.
#[derive(Debug, Clone)]
pub struct Watched {
    pub service: Arc<Service>,
    /// The number of its last beat.
    pub beat: u64,
    /// For how long it has been silent.
    pub silence: Duration,
    /// Its last beat, if one is known.
    pub last_seen: Option<Timestamp>,
}

/// The registry's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RegistryHandle {
    address: Address<Message>,
    board: Arc<Board>,
}

impl RegistryHandle {
    /// Takes in a service; durable when it returns.
    ///
    /// # Errors
    /// [`RegistryError`]; of several that come with one free id exactly one is taken in.
    pub async fn register(&self, registration: Registration) -> Answer<Arc<Service>> {
        let registration = Box::new(registration);
        self.address.call(DEADLINE, |reply| Message::Register(registration, reply)).await?
    }

    /// Notes a sign of life; the time it was noted.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] for a service that is not (or no longer) registered, and
    /// [`RegistryError::Internal`] for the daemon's agents, whose life is read off the tree.
    pub async fn heartbeat(&self, beat: Beat) -> Answer<Timestamp> {
        self.address.call(DEADLINE, |reply| Message::Heartbeat(beat, reply)).await?
    }

    /// Moves all instances of a name from one role to another, or none; how many.
    ///
    /// # Errors
    /// [`RegistryError::NoInstance`], and [`RegistryError::Internal`] for the daemon's agents.
    pub async fn promote(&self, name: String, from: ServiceRole, to: ServiceRole) -> Answer<usize> {
        self.address.call(DEADLINE, |reply| Message::Promote { name, from, to, reply }).await?
    }

    /// Forgets a service; durable when it returns.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], and [`RegistryError::Internal`] for the daemon's agents.
    pub async fn deregister(&self, service_id: String) -> Answer<Timestamp> {
        self.address.call(DEADLINE, |reply| Message::Deregister(service_id, reply)).await?
    }

    /// Forgets a service that was judged dead by this last beat, unless it has beaten since.
    ///
    /// # Errors
    /// [`RegistryError`] when it could not be decided.
    pub async fn expire(&self, service_id: String, beat: u64) -> Answer<bool> {
        self.address.call(DEADLINE, |reply| Message::Expire { service_id, beat, reply }).await?
    }

    /// What fits a filter, as the JSON body `{"items": […]}`; offers nobody whose time to live is over.
    ///
    /// # Errors
    /// A value that JSON cannot hold; none of a registered service is.
    pub fn discover(&self, filter: &Filter) -> Result<Bytes, serde_json::Error> {
        self.board.discover(filter)
    }

    /// Everyone, as the JSON body `{"items": […]}`.
    ///
    /// # Errors
    /// As [`RegistryHandle::discover`].
    pub fn services(&self) -> Result<Bytes, serde_json::Error> {
        serialised(&self.board.all())
    }

    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.board.all()
    }

    #[must_use]
    pub fn service(&self, service_id: &str) -> Option<Seen> {
        self.board.one(service_id)
    }

    /// How many services there are, by health.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.board.counts()
    }

    /// The agents of the daemon.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.board.directory
    }

    /// The outside services, for whoever watches them.
    #[must_use]
    pub fn watched(&self) -> Vec<Watched> {
        let watched = |entry: &Arc<Entry>| Watched {
            service: Arc::clone(&entry.service),
            beat: entry.beat,
            silence: entry.silence(),
            last_seen: entry.last_beat,
        };
        self.board.entries().by_id.values().map(watched).collect()
    }

    /// Changes whenever an outside service came or went.
    #[must_use]
    pub fn membership(&self) -> watch::Receiver<u64> {
        self.board.membership()
    }
}

/// The actor's state: all of it is on the board and in the store.
struct State {
    table: TableSync<Message>,
    board: Arc<Board>,
}

/// The registry as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    store: Store,
    directory: Directory,
) -> (ChildSpec, RegistryHandle) {
    let board = Arc::new(Board::new(directory));
    let shared = Arc::clone(&board);
    let (spec, address) = system.worker(name, options, move |context| {
        let table = TableSync::new(store.clone(), || Message::Reload);
        let mut state = State { table, board: Arc::clone(&shared) };
        async move {
            state.load(&context).await?;
            Ok(state)
        }
    });
    (spec, RegistryHandle { address, board })
}

impl State {
    /// Brings the board in line with the store.
    async fn load(&mut self, context: &Context<Message>) -> Result<(), StoreError> {
        let table = |view: &View<'_>| view.range(&SERVICES, &Span::all(), Order::Ascending, usize::MAX);
        // While it cannot be read the board stands as the incarnation before left it.
        let Some(rows) = self.table.read(context, table).await? else { return Ok(()) };
        self.board.publish(|entries| {
            let known = std::mem::take(entries);
            for (id, service) in rows {
                let entry = match known.get(id.as_str()) {
                    Some(entry) => Entry { service: Arc::new(service), ..Entry::clone(entry) },
                    None => remembered(service),
                };
                entries.insert(Arc::from(id), Arc::new(entry));
            }
        });
        Ok(())
    }

    async fn register(&self, registration: Registration) -> Answer<Arc<Service>> {
        self.table.check()?;
        let id = registration.service_id.clone().unwrap_or_else(new_service_id);
        if self.board.directory.get(&id).is_some() {
            return Err(RegistryError::Taken(id));
        }
        let entries = self.board.entries();
        let known = entries.by_id.get(id.as_str());
        if known.is_some_and(|entry| !has_lapsed(entry.service.pace(), entry.silence())) {
            return Err(RegistryError::Taken(id));
        }
        if known.is_none() && entries.by_id.len() >= MAX_SERVICES {
            return Err(RegistryError::Full);
        }
        let service = registration.into_service(id, Timestamp::now());
        self.save(vec![service.clone()]).await?;
        let service = Arc::new(service);
        self.put(Entry {
            service: Arc::clone(&service),
            life: Life::default(),
            beat: self.board.next_beat(),
            last_beat: Some(service.registered_at),
            silent_from: Instant::now(),
        });
        Ok(service)
    }

    fn heartbeat(&self, beat: Beat) -> Answer<Timestamp> {
        let now = Timestamp::now();
        if self.board.directory.get(&beat.service_id).is_some() {
            return Err(RegistryError::Internal(beat.service_id));
        }
        let entries = self.board.entries();
        let Some(entry) = entries.by_id.get(beat.service_id.as_str()) else {
            return Err(RegistryError::Unknown(beat.service_id));
        };
        self.put(Entry {
            service: Arc::clone(&entry.service),
            life: Life::from(beat),
            beat: self.board.next_beat(),
            last_beat: Some(now),
            silent_from: Instant::now(),
        });
        Ok(now)
    }

    async fn promote(&self, name: String, from: ServiceRole, to: ServiceRole) -> Answer<usize> {
        self.table.check()?;
        let is_meant = |service: &Service| service.name == name && service.role == from;
        if self.board.directory.iter().any(|agent| is_meant(agent)) {
            return Err(RegistryError::Internal(name));
        }
        let entries = self.board.entries();
        let meant: Vec<_> = entries.by_id.values().filter(|entry| is_meant(&entry.service)).collect();
        if meant.is_empty() {
            return Err(RegistryError::NoInstance(name));
        }
        let moved = |entry: &&Arc<Entry>| Service { role: to, ..Service::clone(&entry.service) };
        let services: Vec<Service> = meant.iter().map(moved).collect();
        self.save(services.clone()).await?;
        self.board.publish(|next| {
            for (service, entry) in services.into_iter().zip(&meant) {
                let id = Arc::from(service.service_id.as_str());
                next.insert(id, Arc::new(Entry { service: Arc::new(service), ..Entry::clone(entry) }));
            }
        });
        Ok(meant.len())
    }

    async fn deregister(&self, service_id: String) -> Answer<Timestamp> {
        self.table.check()?;
        if self.board.directory.get(&service_id).is_some() {
            return Err(RegistryError::Internal(service_id));
        }
        if !self.board.entries().by_id.contains_key(service_id.as_str()) {
            return Err(RegistryError::Unknown(service_id));
        }
        self.remove(service_id).await?;
        Ok(Timestamp::now())
    }

    async fn expire(&self, service_id: String, beat: u64) -> Answer<bool> {
        self.table.check()?;
        let is_dead =
            |entry: &Arc<Entry>| entry.beat == beat && has_lapsed(entry.service.pace(), entry.silence());
        if !self.board.entries().by_id.get(service_id.as_str()).is_some_and(is_dead) {
            return Ok(false);
        }
        self.remove(service_id).await?;
        Ok(true)
    }

    fn noted<T>(&mut self, answer: Answer<T>, context: &Context<Message>) -> Answer<T> {
        if let Err(RegistryError::Store(error)) = &answer {
            self.table.note(error, context);
        }
        answer
    }

    async fn save(&self, services: Vec<Service>) -> Answer<()> {
        let put = |changes: Changes, s: &Service| changes.put(&SERVICES, &s.service_id, s);
        self.table.store().write(move |_| Ok((services.iter().fold(Changes::none(), put), ()))).await
    }

    async fn remove(&self, service_id: String) -> Answer<()> {
        let id = service_id.clone();
        self.table
            .store()
            .write(move |_| Ok::<_, RegistryError>((Changes::none().delete(&SERVICES, &id), ())))
            .await?;
        self.board.publish(|entries| drop(entries.remove(service_id.as_str())));
        Ok(())
    }

    fn put(&self, entry: Entry) {
        let id = Arc::from(entry.service.service_id.as_str());
        self.board.publish(|entries| drop(entries.insert(id, Arc::new(entry))));
    }
}

/// A service known from before the start: not heard of yet, and not judged for one time to live.
fn remembered(service: Service) -> Entry {
    let silent_from = Instant::now() + service.pace().grace();
    Entry { service: Arc::new(service), life: Life::default(), beat: 0, last_beat: None, silent_from }
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Register(registration, reply) => {
                let answer = self.register(*registration).await;
                reply.send(self.noted(answer, context));
            }
            Message::Heartbeat(beat, reply) => reply.send(self.heartbeat(beat)),
            Message::Promote { name, from, to, reply } => {
                let answer = self.promote(name, from, to).await;
                reply.send(self.noted(answer, context));
            }
            Message::Deregister(id, reply) => {
                let answer = self.deregister(id).await;
                reply.send(self.noted(answer, context));
            }
            Message::Expire { service_id, beat, reply } => {
                let answer = self.expire(service_id, beat).await;
                reply.send(self.noted(answer, context));
            }
            Message::Reload => {
                self.table.store_is_back();
                self.load(context).await?;
            }
        }
        Ok(())
    }
}
