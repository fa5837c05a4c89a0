//! The sessions of Socket.IO: one client each, on either transport.
//!
//! A session has two halves: the [`SessionInput`] (the client's unanswered packets, as flags and small
//! counts) and the [`SessionOutput`] (the client's position). The sending transport locks the output and
//! takes packets one by one, only as the client reads. Invariants: a client that does not read costs the two
//! halves and no text; a request repeated before the answer gets one answer; a session ends when the client
//! misses a ping; there are at most [`MAX_SESSIONS`].

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
use crate::actors::event_stream::{EventFollower, EventStreamHandle, EventText, FollowerError};
use crate::domain::time::Timestamp;
use crate::http::edge_info::EdgeInfo;

/// The server's ping interval, and the time for an answer: the protocol's usual values.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(25);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Sessions at once. A polling session has no connection between polls, so the port's cap on connections does
/// not cover sessions, which cost about 2 KB each.
pub(super) const MAX_SESSIONS: usize = 4096;
/// Shortest interval between requested histories; the events cover the time between.
const HISTORY_PAUSE: Duration = Duration::from_secs(1);
/// Pending `pong`s; further `ping`s get none.
const MAX_PONGS: usize = 16;
/// Pending refusals of namespaces.
const MAX_REFUSALS: usize = 4;

/// The transport of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineTransport {
    Polling,
    /// Polling while a WebSocket is probed: polls are answered at once.
    Probing,
    WebSocket,
}

/// The client's unanswered packets.
#[derive(Debug)]
struct SessionInput {
    transport: EngineTransport,
    /// Time of the client's last sign of life.
    heard: Instant,
    connect: Option<Option<u64>>,
    is_connected: bool,
    pongs: usize,
    wants_history: bool,
    refusals: VecDeque<String>,
}

#[derive(Debug)]
pub(super) struct EngineSession {
    pub(super) sid: String,
    inbox: Mutex<SessionInput>,
    /// Wakes the sender when there is new input.
    news: Notify,
    /// Cancelled at the end of the session.
    pub(super) closed: CancellationToken,
    pub(super) outgoing: Arc<tokio::sync::Mutex<SessionOutput>>,
}

impl EngineSession {
    fn new(events: EventStreamHandle, since: Option<u64>, transport: EngineTransport) -> Self {
        let heard = Instant::now();
        let (pongs, refusals) = (0, VecDeque::new());
        let inbox = SessionInput {
            transport,
            heard,
            connect: None,
            is_connected: false,
            pongs,
            wants_history: false,
            refusals,
        };
        let outgoing = SessionOutput {
            events,
            is_by_websocket: false,
            since,
            greeting: VecDeque::new(),
            follower: None,
            pinged: heard,
            history_at: heard,
        };
        Self {
            // Time-ordered with 74 random bits; and only this daemon's own pages and programs pass the guard.
            sid: uuid::Uuid::now_v7().simple().to_string(),
            inbox: Mutex::new(inbox),
            news: Notify::new(),
            closed: CancellationToken::new(),
            outgoing: Arc::new(tokio::sync::Mutex::new(outgoing)),
        }
    }

    /// Handles a packet; false ends the session.
    pub(super) fn take(&self, packet: ClientPacket) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.heard = Instant::now();
        match packet {
            ClientPacket::Close => return false,
            ClientPacket::Pong | ClientPacket::Other => {}
            // A second CONNECT is the client's mistake; the session is connected already.
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

    pub(super) fn transport(&self) -> EngineTransport {
        self.inbox.lock().transport
    }

    pub(super) fn set_transport(&self, transport: EngineTransport) {
        self.inbox.lock().transport = transport;
        self.news.notify_one();
    }

    /// The deadline for the next sign of life.
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

/// The next thing to send.
#[derive(Debug)]
pub(super) enum OutgoingItem {
    /// A small or shared packet.
    Packet(Bytes),
    Event(EventText),
    /// Ends the poll: the client changes transport.
    Noop,
    /// Ends the session after this packet.
    End(String),
}

/// A client's position.
#[derive(Debug)]
pub(super) struct SessionOutput {
    pub(super) events: EventStreamHandle,
    /// Whether a WebSocket is sending; polls before that.
    pub(super) is_by_websocket: bool,
    /// `since` of the query; the one in `auth` has precedence.
    since: Option<u64>,
    /// A new client's first packets.
    greeting: VecDeque<Bytes>,
    follower: Option<EventFollower>,
    pinged: Instant,
    history_at: Instant,
}

impl SessionOutput {
    /// Waits for the next packet. Cancel-safe.
    pub(super) async fn next(&mut self, session: &EngineSession) -> OutgoingItem {
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
                    return OutgoingItem::Packet(Bytes::from_static(PING.as_bytes()));
                }
                () = sleep_until(history_due), if wants_history => {}
                next = next_event(follower) => return match next {
                    Some(Ok(event)) => OutgoingItem::Event(event),
                    Some(Err(slow)) => self.end(&slow.to_string()),
                    None => self.end("the daemon is stopping"),
                },
            }
        }
    }

    /// The next packet due to the input, without waiting.
    fn answer(&mut self, session: &EngineSession) -> Option<OutgoingItem> {
        if let Some(packet) = self.greeting.pop_front() {
            return Some(OutgoingItem::Packet(packet));
        }
        let mut inbox = session.inbox.lock();
        if !self.is_by_websocket && inbox.transport != EngineTransport::Polling {
            return Some(OutgoingItem::Noop);
        }
        if let Some(namespace) = inbox.refusals.pop_front() {
            let refusal = json!({ "message": "Invalid namespace" });
            return Some(OutgoingItem::Packet(format!("44{namespace},{refusal}").into()));
        }
        if let Some(since) = inbox.connect.take() {
            drop(inbox);
            self.greet(session, since);
            return self.greeting.pop_front().map(OutgoingItem::Packet);
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
            return Some(OutgoingItem::Packet(self.events.cache().history().packet));
        }
        None
    }

    /// Greets a connected client and begins to follow events.
    fn greet(&mut self, session: &EngineSession, since: Option<u64>) {
        let since = since.or(self.since);
        let history = self.events.cache().history();
        // Following begins where the history ends, so that no event is missed between.
        self.follower = Some(self.events.follow(since.or(Some(history.last))));
        let hello = json!({
            "status": "connected", "server_time": Timestamp::now(),
            "buffered_events": self.events.cache().len(),
        });
        self.greeting.push_back(format!("40{}", json!({ "sid": session.sid })).into());
        self.greeting.push_back(format!("42{}", json!(["connected", hello])).into());
        if since.is_none() && history.count > 0 {
            self.greeting.push_back(history.packet);
        }
    }

    fn end(&self, reason: &str) -> OutgoingItem {
        let since = self.follower.as_ref().map(EventFollower::seen);
        OutgoingItem::End(format!("42{}", json!(["disconnect_reason", { "reason": reason, "since": since }])))
    }

    /// Drops events that were read ahead.
    pub(super) fn let_go(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.let_go();
        }
    }
}

fn emit(name: &str, data: &serde_json::Value) -> OutgoingItem {
    OutgoingItem::Packet(format!("42{}", json!([name, data])).into())
}

/// The next event; a client that is not connected waits forever.
async fn next_event(follower: &mut Option<EventFollower>) -> Option<Result<EventText, FollowerError>> {
    let Some(follower) = follower else { return std::future::pending().await };
    match follower.next(0).await? {
        Ok(events) => events.into_iter().next().map(Ok),
        Err(slow) => Some(Err(slow)),
    }
}

/// The session limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {MAX_SESSIONS} Socket.IO sessions are in use; retry shortly")]
pub(super) struct TooManySessions;

#[derive(Debug, Clone, Default)]
pub(super) struct EngineSessions(Arc<Mutex<HashMap<String, Arc<EngineSession>>>>);

impl EngineSessions {
    /// Opens a session, removed at its end.
    pub(super) fn open(
        &self,
        events: EventStreamHandle,
        since: Option<u64>,
        transport: EngineTransport,
        edge: &EdgeInfo,
    ) -> Result<Arc<EngineSession>, TooManySessions> {
        let session = Arc::new(EngineSession::new(events, since, transport));
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

    /// An open session.
    pub(super) fn get(&self, sid: &str) -> Option<Arc<EngineSession>> {
        self.0.lock().get(sid).filter(|session| !session.closed.is_cancelled()).cloned()
    }
}
