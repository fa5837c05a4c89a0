//! Events over Socket.IO 4 and later (Engine.IO 4), as far as the contract's clients need it.
//!
//! A new client gets `connected`, then `event_history` (the last hundred, if any), then one `event` for each
//! new event. A client that sends the last number seen (`since`, in `auth` or the query) gets the missed
//! `event`s instead of the history. A client may send `ping` and `request_history`.
//!
//! Our own implementation, because socketioxide keeps a queue of packets per client, each with a copy of the
//! text: two hundred clients that read nothing took gigabytes. Here a client is a position in the order of
//! events ([`session`]), and both transports ask for the next packet only as the client reads. Not supported:
//! acknowledgements, binary packets, rooms, other namespaces.

mod packet;
mod polling;
mod session;
mod websocket;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use self::session::{
    EngineSession, EngineSessions, EngineTransport, PING_INTERVAL, PING_TIMEOUT, TooManySessions,
};
use super::super::edge_info::EdgeInfo;
use super::super::error::ApiError;
use super::super::websocket::{send, text, upgrade};
use crate::actors::event_stream::EventStreamHandle;

/// Largest packet of a client, and largest body of a `POST`: `auth` and the names of two events.
const MAX_PAYLOAD: usize = 64 * 1024;
/// The version of Engine.IO.
const PROTOCOL: &str = "4";
/// `Retry-After` when all sessions are taken: missed pings have ended some by then.
const FULL_PAUSE: Duration = Duration::from_secs(5);

/// The routes of Socket.IO.
pub(super) fn routes(events: EventStreamHandle) -> Router {
    let server = SocketIoServer { events, sessions: EngineSessions::default() };
    Router::new().route("/socket.io/", any(handle)).with_state(server)
}

#[derive(Clone)]
struct SocketIoServer {
    events: EventStreamHandle,
    sessions: EngineSessions,
}

/// Engine.IO's refusals, with the codes of the reference server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum EngineFault {
    #[error("Transport unknown")]
    UnknownTransport,
    #[error("Session ID unknown")]
    UnknownSession,
    #[error("Bad handshake method")]
    BadMethod,
    #[error("Bad request")]
    BadRequest,
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl IntoResponse for EngineFault {
    fn into_response(self) -> Response {
        let code = match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::BadMethod => 2,
            Self::BadRequest => 3,
            Self::UnsupportedVersion => 5,
        };
        let message = self.to_string();
        (StatusCode::BAD_REQUEST, Json(json!({ "code": code, "message": message, "detail": message })))
            .into_response()
    }
}

impl From<TooManySessions> for ApiError {
    fn from(full: TooManySessions) -> Self {
        Self::busy(full.to_string()).retry_after(FULL_PAUSE)
    }
}

/// The query parameters.
#[derive(Debug, Default, Deserialize)]
struct SocketIoQuery {
    #[serde(rename = "EIO")]
    eio: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    since: Option<String>,
}

async fn handle(
    State(server): State<SocketIoServer>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let asked: SocketIoQuery =
        request.uri().query().and_then(|query| serde_html_form::from_str(query).ok()).unwrap_or_default();
    if asked.eio.as_deref() != Some(PROTOCOL) {
        return EngineFault::UnsupportedVersion.into_response();
    }
    match asked.transport.as_deref() {
        Some("polling") => server.poll(&edge, &asked, request).await,
        Some("websocket") => server.connect(&edge, &asked, request),
        _ => EngineFault::UnknownTransport.into_response(),
    }
}

impl SocketIoServer {
    async fn poll(&self, edge: &EdgeInfo, asked: &SocketIoQuery, request: Request) -> Response {
        let method = request.method().clone();
        let Some(sid) = &asked.sid else {
            if method != Method::GET {
                return EngineFault::BadMethod.into_response();
            }
            let since = asked.since.as_deref().and_then(|since| since.parse().ok());
            return match self.sessions.open(self.events.clone(), since, EngineTransport::Polling, edge) {
                Ok(session) => polling::answer(Body::from(format!("0{}", opening(&session, &["websocket"])))),
                Err(full) => ApiError::from(full).into_response(),
            };
        };
        let Some(session) = self.sessions.get(sid) else {
            return EngineFault::UnknownSession.into_response();
        };
        let answer = match method {
            Method::POST => polling::post(&session, request.into_body()).await,
            Method::GET if session.transport() != EngineTransport::WebSocket => polling::get(&session).await,
            _ => Err(EngineFault::BadRequest),
        };
        answer.unwrap_or_else(IntoResponse::into_response)
    }

    fn connect(&self, edge: &EdgeInfo, asked: &SocketIoQuery, request: Request) -> Response {
        let of_task = edge.clone();
        if let Some(sid) = &asked.sid {
            let Some(session) = self.sessions.get(sid) else {
                return EngineFault::UnknownSession.into_response();
            };
            return upgrade(request, edge, MAX_PAYLOAD, move |socket| {
                websocket::take_over(socket, session, of_task)
            });
        }
        let since = asked.since.as_deref().and_then(|since| since.parse().ok());
        let (events, sessions) = (self.events.clone(), self.sessions.clone());
        upgrade(request, edge, MAX_PAYLOAD, async move |mut socket| {
            let Ok(session) = sessions.open(events, since, EngineTransport::WebSocket, &of_task) else {
                return;
            };
            let opening = format!("0{}", opening(&session, &[]));
            if send(&mut socket, [text(opening)], None).await.is_ok() {
                websocket::serve(socket, session, of_task).await;
            } else {
                session.closed.cancel();
            }
        })
    }
}

/// The parameters for a new client.
fn opening(session: &EngineSession, upgrades: &[&str]) -> Value {
    json!({
        "sid": session.sid, "upgrades": upgrades, "pingInterval": PING_INTERVAL.as_millis(),
        "pingTimeout": PING_TIMEOUT.as_millis(), "maxPayload": MAX_PAYLOAD,
    })
}
