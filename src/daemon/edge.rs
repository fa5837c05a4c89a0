//! The edge as an actor: binds the ports at the start, serves while alive.
//!
//! A port that cannot be bound fails the edge's start, and so, the first time, the daemon's. Every end of the
//! edge, killed or in order, releases the ports: the next incarnation needs them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use parking_lot::RwLock;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::services::{self, ServiceSite};
use crate::config::LocalUsers;
use crate::http::EdgeServer;
use crate::http::access_token::AccessToken;
use crate::http::event_stream::MAX_CONNECTIONS as EVENT_CLIENTS;
use crate::http::places::connections_within;
use crate::http::server::EdgeError;
use crate::http::trace::HttpSpan;
use crate::supervision::policy::{ExitReason, ShutdownPolicy};
use crate::supervision::trace::{ActorNumber, MessageOutcome, TraceRecord};
use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ChildSpec};

/// The edge handles no message: requests go to the services.
pub(super) enum EdgeMessage {}

impl ActorMessage for EdgeMessage {
    fn kind(&self) -> &'static str {
        match *self {}
    }
}

/// How long a start waits for the ports: a killed predecessor's sockets close a moment later.
const PORTS_PATIENCE: Duration = Duration::from_millis(500);
const PORTS_PAUSE: Duration = Duration::from_millis(20);

struct EdgeState {
    /// Ends the server at the latest when the edge is dropped.
    stop: DropGuard,
    stopped: Option<oneshot::Receiver<()>>,
}

impl Actor for EdgeState {
    type Message = EdgeMessage;

    async fn handle(
        &mut self,
        message: EdgeMessage,
        _: &ActorContext<EdgeMessage>,
    ) -> Result<(), ActorError> {
        match message {}
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.stop.token().cancel();
        if let Some(stopped) = self.stopped.take() {
            // Dropped or sent, either way the server has ended.
            let _ = stopped.await;
        }
    }
}

/// The specification of the edge over the services of `site`.
pub(super) fn spec(site: Arc<ServiceSite>) -> ChildSpec {
    let (system, config) = (site.system.clone(), Arc::clone(&site.config));
    let (spec, _) = system.worker("edge", site.options, move |context| {
        let site = Arc::clone(&site);
        async move { open(&site, &context).await }
    });
    // Requests that use up the grace must not be killed earlier by the supervisor.
    let deadline = config.supervision.shutdown_deadline + config.http.shutdown_grace;
    spec.with_shutdown(ShutdownPolicy::Deadline(deadline))
}

async fn open(site: &ServiceSite, context: &ActorContext<EdgeMessage>) -> Result<EdgeState, ActorError> {
    let server = bind(site).await?;
    for (service, address) in server.addresses() {
        tracing::info!(service, %address, "listening");
    }
    let stop = CancellationToken::new();
    let (done, stopped) = oneshot::channel();
    let recorder = Arc::new(recorder(site.system.clone(), context.address().number()));
    let serving = server.serve(recorder, stop.clone());
    context.spawn(async move {
        serving.await;
        // Nobody waits when the edge has ended already.
        let _ = done.send(());
    });
    Ok(EdgeState { stop: stop.drop_guard(), stopped: Some(stopped) })
}

async fn bind(site: &ServiceSite) -> Result<EdgeServer, ActorError> {
    let http = &site.config.http;
    let deadline = Instant::now() + PORTS_PATIENCE;
    loop {
        let token = http.token.as_ref().and_then(|token| AccessToken::new(token.expose()));
        match EdgeServer::bind(http.bind, token, services::listeners(site)?).await {
            Err(EdgeError::PortInUse { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(PORTS_PAUSE).await;
            }
            bound => {
                let mut edge = bound?.allowing(http.allowed_origins.clone());
                if http.local_users == LocalUsers::Own
                    && let Err(error) = edge.admit_own_user_only()
                {
                    tracing::warn!(%error, "every user of this machine can command this daemon; set `http.token`");
                }
                let connections = http.max_connections.get() + EVENT_CLIENTS;
                let edge = edge.connections(connections_within(connections));
                return Ok(edge.grace(http.shutdown_grace));
            }
        }
    }
}

/// Records requests in the trace, with the edge as their handler.
fn recorder(system: ActorSystem, edge: ActorNumber) -> impl Fn(HttpSpan) + Send + Sync {
    let kinds = RequestKinds::default();
    move |span: HttpSpan| {
        let ended_ns = system.ring().now_ns();
        let took = u64::try_from(span.ended.duration_since(span.started).as_nanos()).unwrap_or(u64::MAX);
        let started_ns = ended_ns.saturating_sub(took).max(1);
        let failed = span.status.is_none_or(|status| status.is_server_error());
        system.ring().write(TraceRecord {
            trace: span.context.trace,
            span: span.context.span,
            parent: span.parent,
            from: ActorNumber::OUTSIDE,
            to: edge,
            kind: kinds.of(&span),
            sent_ns: started_ns,
            started_ns,
            ended_ns,
            outcome: if failed { MessageOutcome::Error } else { MessageOutcome::Ok },
        });
    }
}

/// Names of requests, each kept for the life of the process: methods times routes, both closed lists.
#[derive(Default)]
struct RequestKinds(RwLock<HashMap<Box<str>, MethodNames>>);

/// The names of one route, by method.
type MethodNames = Vec<(Method, &'static str)>;

impl RequestKinds {
    /// Methods invented by clients share one name.
    const OTHER: &'static str = "request";
    /// Most names of one route, and most routes; more than all methods and routes.
    const MOST: (usize, usize) = (16, 512);

    fn of(&self, span: &HttpSpan) -> &'static str {
        let known = self.0.read().get(span.path()).and_then(|names| name_of(names, &span.method));
        known.unwrap_or_else(|| self.make(span))
    }

    fn make(&self, span: &HttpSpan) -> &'static str {
        let mut kinds = self.0.write();
        if kinds.len() >= Self::MOST.1 {
            return Self::OTHER;
        }
        let names = kinds.entry(span.path().into()).or_default();
        if let Some(kind) = name_of(names, &span.method) {
            return kind;
        }
        if names.len() >= Self::MOST.0 {
            return Self::OTHER;
        }
        let kind: &'static str = Box::leak(format!("{} {}", span.method, span.path()).into_boxed_str());
        names.push((span.method.clone(), kind));
        kind
    }
}

fn name_of(names: &[(Method, &'static str)], method: &Method) -> Option<&'static str> {
    names.iter().find(|(known, _)| known == method).map(|(_, kind)| *kind)
}
