//! The accept loop: binds every port, then serves each router within the port's limits.
//!
//! axum's own `serve` keeps silent and half-sent requests open and answers any `Host`, so this is our own
//! loop, on hyper. Invariants: no port is served unless all are bound; every connection has a place under the
//! port's cap and a task in one tracker; every request passes the [`front`]. Upgraded connections (WebSocket)
//! keep their place and live in a task of the same tracker, which watches the shutdown ([`EdgeInfo::spawn`]).
//!
//! Failure policy: a port that cannot be bound is an error that names port, service and remedy; a failing
//! `accept` (no descriptors left) is logged once and retried with backoff.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::access_token::AccessToken;
use super::body::{RequestBody, ResponseBody};
use super::connection::{ConnectionPlaces, ConnectionPulse, WatchedStream, until_overdue};
use super::edge_info::{EdgeConnection, EdgeInfo};
use super::front::{self, FrontShared};
use super::guard::{self, PathExceptions, RequestGuard};
use super::limits::{self, PortLimits};
use super::model::form_of;
use super::peer::PeerRule;
use super::places::EdgePlaces;
use super::trace::SpanRecorder;

/// Backoff after a failed `accept`: short at first (a descriptor may become free at once), never so long
/// that a recovered daemon seems dead.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// What a connection beyond the cap is told.
const TOO_MANY: &str = "too many connections to this port; retry shortly";

/// The specification of one port.
#[derive(Debug)]
pub struct ListenerSpec {
    /// The service's name, for messages.
    pub service: String,
    /// 0 takes a free port.
    pub port: u16,
    pub router: Router,
    pub limits: PortLimits,
    pub exceptions: PathExceptions,
    /// Whether the port serves vendors' clients, in their formats.
    pub speaks_for_vendors: bool,
}

impl ListenerSpec {
    /// A port with the usual limits.
    #[must_use]
    pub fn new(service: impl Into<String>, port: u16, router: Router) -> Self {
        let (service, limits) = (service.into(), PortLimits::default());
        let exceptions = PathExceptions::default();
        Self { service, port, router, limits, exceptions, speaks_for_vendors: false }
    }

    /// The same for vendors' clients: refusals on the paths of their APIs have their formats.
    #[must_use]
    pub fn speaking_for_vendors(mut self, speaks: bool) -> Self {
        self.speaks_for_vendors = speaks;
        self
    }

    /// The same with other limits.
    #[must_use]
    pub fn limits(mut self, limits: PortLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with prefixes of paths that accept other bodies than JSON.
    #[must_use]
    pub fn own_bodies(mut self, paths: &'static [&'static str]) -> Self {
        self.exceptions.own_bodies = paths;
        self
    }

    /// The same with paths of pages readable without the token.
    #[must_use]
    pub fn open(mut self, is_open: fn(&str) -> bool) -> Self {
        self.exceptions.is_open = is_open;
        self
    }
}

/// Why the edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another process listens there.
    #[error(
        "port {port} ({service}) is in use; stop the process that listens there (another `pas up`?), \
         or start with `--port-offset 1000` to move all ports"
    )]
    PortInUse {
        port: u16,
        /// The service of the port.
        service: String,
    },
    /// The system refuses the address.
    #[error("cannot listen on {address} ({service}): {source}")]
    Bind {
        address: SocketAddr,
        /// The service of the port.
        service: String,
        source: io::Error,
    },
    /// An address beyond loopback, without a token.
    #[error(
        "refusing to listen on {0}, which other machines can reach, without a token; configure a token, \
         or bind to 127.0.0.1"
    )]
    TokenMissing(IpAddr),
}

/// All ports, bound and not yet served.
#[derive(Debug)]
pub struct EdgeServer {
    ports: Vec<BoundPort>,
    token: Option<AccessToken>,
    /// Pages of others that may use the ports of models.
    origins: Arc<[String]>,
    grace: Duration,
    /// Most connections over all ports.
    connections: usize,
    /// Who may connect; `None` for everybody.
    peers: Option<Arc<PeerRule>>,
}

#[derive(Debug)]
struct BoundPort {
    socket: TcpListener,
    address: SocketAddr,
    spec: ListenerSpec,
}

impl EdgeServer {
    /// Binds every listener's port on `address`.
    ///
    /// # Errors
    /// [`EdgeError`] for the first port that cannot be bound (the others are released), and for an
    /// address beyond loopback without a token.
    pub async fn bind(
        address: IpAddr,
        token: Option<AccessToken>,
        listeners: Vec<ListenerSpec>,
    ) -> Result<Self, EdgeError> {
        if token.is_none() && !guard::is_loopback(SocketAddr::new(address, 0)) {
            return Err(EdgeError::TokenMissing(address));
        }
        let mut ports = Vec::with_capacity(listeners.len());
        for spec in listeners {
            ports.push(bind_one(SocketAddr::new(address, spec.port), spec).await?);
        }
        let connections = ports.iter().map(|port| port.spec.limits.max_connections).sum();
        Ok(Self { ports, token, origins: Arc::from([]), grace: limits::SHUTDOWN, connections, peers: None })
    }

    /// The same for pages of these origins too, on the ports that speak for vendors.
    #[must_use]
    pub fn allowing(mut self, origins: Vec<String>) -> Self {
        self.origins = origins.into();
        self
    }

    /// The same with at most this many connections over all ports: beyond, the longest idle one is closed.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// The same for this process's own user and root only, where there is no token: on loopback others reach the ports
    /// too.
    ///
    /// # Errors
    /// Where the system cannot tell users apart; then everybody on this machine may connect.
    pub fn admit_own_user_only(&mut self) -> io::Result<()> {
        if self.token.is_none() {
            self.peers = Some(Arc::new(PeerRule::own_user()?));
        }
        Ok(())
    }

    /// The same with another grace period at shutdown.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Services and their addresses, in the order given to [`EdgeServer::bind`].
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.ports.iter().map(|port| (port.spec.service.as_str(), port.address))
    }

    /// Serves until `shutdown`, then lets running requests finish within the grace period and closes the
    /// rest. Returns when no task of the edge is left.
    pub async fn serve(self, recorder: Arc<dyn SpanRecorder>, shutdown: CancellationToken) {
        let all: Arc<[u16]> = self.ports.iter().map(|port| port.address.port()).collect();
        let (tracker, cut) = (TaskTracker::new(), CancellationToken::new());
        let all_places = EdgePlaces::new(self.connections);
        for port in self.ports {
            let guard = RequestGuard::new(port.address.port(), Arc::clone(&all), self.token.clone());
            let guard = guard.except(port.spec.exceptions);
            let guard = if port.spec.speaks_for_vendors {
                guard.form(form_of).allowing(Arc::clone(&self.origins))
            } else {
                guard
            };
            let front = Arc::new(FrontShared { guard, recorder: Arc::clone(&recorder) });
            let open = OpenPort {
                service: port.spec.service,
                router: port.spec.router.layer(from_fn_with_state(front, front::pass)),
                places: Arc::new(Semaphore::new(port.spec.limits.max_connections)),
                all_places: Arc::clone(&all_places),
                refusals: Arc::new(Semaphore::new(limits::MAX_REFUSALS)),
                peers: self.peers.clone(),
                limits: Arc::new(port.spec.limits),
                tracker: tracker.clone(),
                shutdown: shutdown.clone(),
                cut: cut.clone(),
            };
            tracker.spawn(open.accept_all(port.socket));
        }
        shutdown.cancelled().await;
        tracker.close();
        if timeout(self.grace, tracker.wait()).await.is_err() {
            tracing::warn!(connections = tracker.len(), "closing connections that outlast the shutdown");
            cut.cancel();
            tracker.wait().await;
        }
    }
}

async fn bind_one(address: SocketAddr, spec: ListenerSpec) -> Result<BoundPort, EdgeError> {
    let bound = async {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    match bound.await {
        Ok((socket, address)) => Ok(BoundPort { socket, address, spec }),
        Err(error) if io::Error::kind(&error) == io::ErrorKind::AddrInUse => {
            Err(EdgeError::PortInUse { port: spec.port, service: spec.service })
        }
        Err(source) => Err(EdgeError::Bind { address, service: spec.service, source }),
    }
}

/// A port being served.
struct OpenPort {
    service: String,
    router: Router,
    limits: Arc<PortLimits>,
    peers: Option<Arc<PeerRule>>,
    places: Arc<Semaphore>,
    all_places: Arc<EdgePlaces>,
    refusals: Arc<Semaphore>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    cut: CancellationToken,
}

impl OpenPort {
    async fn accept_all(self, socket: TcpListener) {
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    self.admit(stream, peer);
                }
                Err(error) if is_about_one_client(&error) => {}
                Err(error) => {
                    if pause == ACCEPT_PAUSE.0 {
                        tracing::warn!(service = self.service, %error, "cannot accept connections; retrying");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        if let Some(stranger) = self.peers.as_ref().and_then(|rule| rule.stranger(local, peer)) {
            self.refuse(stream, StatusCode::FORBIDDEN, &stranger.to_string());
            return;
        }
        let pulse = ConnectionPulse::new();
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if let Some(places) = place.and_then(|place| Some((place, self.all_places.take(pulse.clone())?))) {
            let (limits, shutdown) = (Arc::clone(&self.limits), self.shutdown.clone());
            let (cut, tasks) = (self.cut.clone(), self.tracker.clone());
            let edge = EdgeInfo::new(EdgeConnection { local, peer, limits, shutdown, cut, tasks });
            self.tracker.spawn(serve_one(stream, pulse, places, edge, self.router.clone()));
        } else {
            self.refuse(stream, StatusCode::SERVICE_UNAVAILABLE, TOO_MANY);
        }
    }

    /// Answers with a sentence, whatever is asked; the connection takes no place. Beyond some at a time it is closed.
    fn refuse(&self, stream: TcpStream, status: StatusCode, sentence: &str) {
        if let Ok(slot) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.tracker.spawn(refuse(stream, slot, refusal(status, sentence)));
        }
    }
}

/// Whether `accept` failed because of the client.
fn is_about_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A complete answer that any client can read.
fn refusal(status: StatusCode, sentence: &str) -> String {
    let body = serde_json::json!({ "detail": sentence }).to_string();
    let again = if status.is_server_error() { "retry-after: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{again}connection: close\r\n\r\n\
         {body}",
        body.len()
    )
}

/// Gives an answer and reads a little of the request: closing with unread input would reset the connection and lose
/// the answer.
async fn refuse(mut stream: TcpStream, _slot: OwnedSemaphorePermit, answer: String) {
    let telling = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(limits::REFUSAL, telling).await {
        tracing::debug!(%error, "a refused client disconnected first");
    }
}

async fn serve_one(
    stream: TcpStream,
    pulse: ConnectionPulse,
    places: ConnectionPlaces,
    edge: EdgeInfo,
    router: Router,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let leave = places.1.notice();
    let (limits, shutdown, cut) = (Arc::clone(&edge.limits), edge.shutdown.clone(), edge.cut.clone());
    let io = TokioIo::new(WatchedStream::new(stream, pulse.clone(), places));
    let service = EdgeService { router, edge, pulse: pulse.clone() };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits::CONNECTION_BUFFER)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        () = leave.cancelled() => match pulse.idle_since() {
            Some(_) => return,
            // A request has come since this connection was chosen: it is answered first.
            None => {
                leave.stay(pulse.clone());
                None
            }
        },
        ended = until_overdue(connection.as_mut(), &pulse, &limits) => Some(ended),
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                () = cut.cancelled() => return,
                ended = until_overdue(connection.as_mut(), &pulse, &limits) => ended,
            }
        }
    };
    match ended {
        // Ended, or upgraded: then whoever has the socket is at work.
        Ok(Ok(())) => pulse.request_started(),
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(overdue) => tracing::debug!(?overdue, "a connection was closed"),
    }
}

/// Passes one connection's requests from hyper to the port's router.
struct EdgeService {
    router: Router,
    edge: EdgeInfo,
    pulse: ConnectionPulse,
}

impl hyper::service::Service<Request<Incoming>> for EdgeService {
    type Response = hyper::Response<ResponseBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.pulse.request_started();
        let mut request = request.map(|body| Body::new(RequestBody::new(body, &self.edge.limits)));
        request.extensions_mut().insert(self.edge.clone());
        let answering = self.router.clone().call(request);
        let pulse = self.pulse.clone();
        Box::pin(async move {
            let response: Response = answering.await?;
            Ok(response.map(|body| ResponseBody::new(body, pulse)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_announces_its_true_length() {
        let text = refusal(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY);
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["detail"].is_string());
    }
}
