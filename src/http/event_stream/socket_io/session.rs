//! The sessions of Socket.IO: one client each, whatever transport it is on.
//!
//! A session has two halves: the [`Inbox`] (everything that the client said and has no answer yet, as
//! flags and small counts) and the [`Outgoing`] (where the client stands). The transport that sends holds
//! the outgoing half and asks it for one packet after the other, only as the client takes them.
//! Invariants: a client that does not read costs its two halves and no text; a request that is repeated
//! before its answer has one answer; a session whose client has not answered a ping in time is gone, and
//! there are at most [`MAX_SESSIONS`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::packet::{ClientPacket, PING};
use crate::actors::event_stream::{EventText, Events, Follower, TooSlow};
use crate::domain::time::Timestamp;
use crate::http::edge_info::EdgeInfo;

/// Between two pings of the server, and for the answer to one: the protocol's usual values.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(25);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Sessions at once. One by polling has no connection between two polls, so the port's cap on connections
/// does not count it; each costs some 2 KB.
pub(super) const MAX_SESSIONS: usize = 4096;
/// Between two histories that a client asks for: more often they tell it nothing that events do not.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);
/// Emitted `ping`s that wait for their `pong`; further ones are not answered.
const MAX_PONGS: usize = 16;
/// Refused namespaces that wait to be told.
const MAX_REFUSALS: usize = 4;

/// What carries a session's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Polling,
    /// Polling still, while a WebSocket is tried: polls are answered at once.
    Probing,
    WebSocket,
}

/// What the client said and has no answer yet.
#[derive(Debug)]
struct Inbox {
    transport: Transport,
    /// When the client last showed that it is there.
    heard: Instant,
    connect: Option<Option<u64>>,
    is_connected: bool,
    pongs: usize,
    wants_history: bool,
    refusals: VecDeque<String>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) sid: String,
    inbox: Mutex<Inbox>,
    /// Of whoever sends: there is something new in the inbox.
    news: Notify,
    /// Cancelled when it is over.
    pub(super) closed: CancellationToken,
    pub(super) outgoing: Arc<tokio::sync::Mutex<Outgoing>>,
}

impl Session {
    fn new(events: Events, since: Option<u64>, transport: Transport) -> Self {
        let heard = Instant::now();
        let (pongs, refusals) = (0, VecDeque::new());
        let inbox = Inbox {
            transport,
            heard,
            connect: None,
            is_connected: false,
            pongs,
            wants_history: false,
            refusals,
        };
        let outgoing = Outgoing {
            events,
            is_by_websocket: false,
            since,
            greeting: VecDeque::new(),
            follower: None,
            pinged: heard,
            history_at: heard,
        };
        Self {
            // Time-ordered with 74 random bits; only this daemon's own pages and programs can ask at all.
            sid: uuid::Uuid::now_v7().simple().to_string(),
            inbox: Mutex::new(inbox),
            news: Notify::new(),
            closed: CancellationToken::new(),
            outgoing: Arc::new(tokio::sync::Mutex::new(outgoing)),
        }
    }

    /// Takes in a packet; whether the session goes on.
    pub(super) fn take(&self, packet: ClientPacket) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.heard = Instant::now();
        match packet {
            ClientPacket::Close => return false,
            ClientPacket::Pong | ClientPacket::Other => {}
            // A second one would be a client's fault; it is connected.
            ClientPacket::Connect { .. } if inbox.is_connected => {}
            ClientPacket::Connect { since } => {
                inbox.is_connected = true;
                inbox.connect = Some(since);
            }
            ClientPacket::ConnectElsewhere { namespace } if inbox.refusals.len() < MAX_REFUSALS => {
                inbox.refusals.push_back(namespace);
            }
            ClientPacket::ConnectElsewhere { .. } => {}
            ClientPacket::Ping => inbox.pongs = (inbox.pongs + 1).min(MAX_PONGS),
            ClientPacket::RequestHistory => inbox.wants_history = true,
        }
        drop(inbox);
        self.news.notify_one();
        true
    }

    pub(super) fn transport(&self) -> Transport {
        self.inbox.lock().transport
    }

    pub(super) fn set_transport(&self, transport: Transport) {
        self.inbox.lock().transport = transport;
        self.news.notify_one();
    }

    /// When the client is taken for gone.
    fn deadline(&self) -> Instant {
        self.inbox.lock().heard + PING_INTERVAL + PING_TIMEOUT
    }

    /// Waits until the session is over.
    async fn over(&self) {
        loop {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = self.closed.cancelled() => return,
                () = sleep_until(deadline) => {}
            }
        }
    }
}

/// What is sent next.
#[derive(Debug)]
pub(super) enum Next {
    /// A packet that is small or shared.
    Packet(Bytes),
    Event(EventText),
    /// The poll is to end: the client changes its transport.
    Noop,
    /// The session is to end, after this packet.
    End(String),
}

/// Where a client stands.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) events: Events,
    /// Whether a WebSocket asks; until then it is polls.
    pub(super) is_by_websocket: bool,
    /// As the address said; what `auth` says goes before.
    since: Option<u64>,
    /// What a new client gets first.
    greeting: VecDeque<Bytes>,
    follower: Option<Follower>,
    pinged: Instant,
    history_at: Instant,
}

impl Outgoing {
    /// The next packet; waits for it. A call that is dropped has taken nothing.
    pub(super) async fn next(&mut self, session: &Session) -> Next {
        loop {
            if let Some(answer) = self.answer(session) {
                return answer;
            }
            let wants_history = session.inbox.lock().wants_history && self.follower.is_some();
            let history_due = self.history_at + HISTORY_PAUSE;
            let follower = &mut self.follower;
            tokio::select! {
                biased;
                () = session.news.notified() => {}
                () = sleep_until(self.pinged + PING_INTERVAL) => {
                    self.pinged = Instant::now();
                    return Next::Packet(Bytes::from_static(PING.as_bytes()));
                }
                () = sleep_until(history_due), if wants_history => {}
                next = next_event(follower) => return match next {
                    Some(Ok(event)) => Next::Event(event),
                    Some(Err(slow)) => self.end(&slow.to_string()),
                    None => self.end("the daemon is stopping"),
                },
            }
        }
    }

    /// What the inbox wants, without waiting.
    fn answer(&mut self, session: &Session) -> Option<Next> {
        if let Some(packet) = self.greeting.pop_front() {
            return Some(Next::Packet(packet));
        }
        let mut inbox = session.inbox.lock();
        if !self.is_by_websocket && inbox.transport != Transport::Polling {
            return Some(Next::Noop);
        }
        if let Some(namespace) = inbox.refusals.pop_front() {
            let refusal = json!({ "message": "Invalid namespace" });
            return Some(Next::Packet(format!("44{namespace},{refusal}").into()));
        }
        if let Some(since) = inbox.connect.take() {
            drop(inbox);
            self.greet(session, since);
            return self.greeting.pop_front().map(Next::Packet);
        }
        self.follower.as_ref()?;
        if inbox.pongs > 0 {
            inbox.pongs -= 1;
            return Some(emit("pong", &json!({ "timestamp": Timestamp::now() })));
        }
        let now = Instant::now();
        if inbox.wants_history && self.history_at + HISTORY_PAUSE <= now {
            inbox.wants_history = false;
            self.history_at = now;
            return Some(Next::Packet(self.events.board().history().packet));
        }
        None
    }

    /// The client is connected: it is greeted and followed for.
    fn greet(&mut self, session: &Session, since: Option<u64>) {
        let since = since.or(self.since);
        let history = self.events.board().history();
        // What follows begins where the history ends, so that nothing falls in between.
        self.follower = Some(self.events.follow(since.or(Some(history.last))));
        let hello = json!({
            "status": "connected", "server_time": Timestamp::now(),
            "buffered_events": self.events.board().len(),
        });
        self.greeting.push_back(format!("40{}", json!({ "sid": session.sid })).into());
        self.greeting.push_back(format!("42{}", json!(["connected", hello])).into());
        if since.is_none() && history.count > 0 {
            self.greeting.push_back(history.packet);
        }
    }

    fn end(&self, reason: &str) -> Next {
        let since = self.follower.as_ref().map(Follower::seen);
        Next::End(format!("42{}", json!(["disconnect_reason", { "reason": reason, "since": since }])))
    }

    /// Lets go of what was read ahead.
    pub(super) fn let_go(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.let_go();
        }
    }
}

fn emit(name: &str, data: &serde_json::Value) -> Next {
    Next::Packet(format!("42{}", json!([name, data])).into())
}

/// One event; whoever is not connected waits for ever.
async fn next_event(follower: &mut Option<Follower>) -> Option<Result<EventText, TooSlow>> {
    let Some(follower) = follower else { return std::future::pending().await };
    match follower.next(0).await? {
        Ok(events) => events.into_iter().next().map(Ok),
        Err(slow) => Some(Err(slow)),
    }
}

/// There are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_SESSIONS} clients of Socket.IO are connected, which is the most; try again in a while")]
pub(super) struct TooManySessions;

#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<HashMap<String, Arc<Session>>>>);

impl Sessions {
    /// A new session; it is forgotten when it is over.
    pub(super) fn open(
        &self,
        events: Events,
        since: Option<u64>,
        transport: Transport,
        edge: &EdgeInfo,
    ) -> Result<Arc<Session>, TooManySessions> {
        let session = Arc::new(Session::new(events, since, transport));
        let mut sessions = self.0.lock();
        if sessions.len() >= MAX_SESSIONS {
            return Err(TooManySessions);
        }
        sessions.insert(session.sid.clone(), Arc::clone(&session));
        drop(sessions);
        let (all, watched, shutdown) = (self.clone(), Arc::clone(&session), edge.shutdown.clone());
        edge.spawn(async move {
            tokio::select! {
                () = watched.over() => {}
                () = shutdown.cancelled() => {}
            }
            watched.closed.cancel();
            all.0.lock().remove(&watched.sid);
        });
        Ok(session)
    }

    /// A session that is not over.
    pub(super) fn get(&self, sid: &str) -> Option<Arc<Session>> {
        self.0.lock().get(sid).filter(|session| !session.closed.is_cancelled()).cloned()
    }
}
