//! The edge as an actor: binds the ports when it starts, serves while it lives.
//!
//! A port that cannot be bound fails its start, and so, the first time, the daemon's. However the edge
//! ends, killed or in order, its ports are let go: the next incarnation needs them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use parking_lot::RwLock;
use serde_json::{Map, json};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ports::{Port, Service, ports};
use super::services::Handles;
use crate::actors::gateway::LOCAL_MODELS;
use crate::actors::jobs::Jobs;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::http::adapter::{Adapter, Kind};
use crate::http::guard::Token;
use crate::http::hmi::{self, Hmi};
use crate::http::limits::Limits;
use crate::http::orchestrator::{self, Orchestrator};
use crate::http::page::{self, Health};
use crate::http::server::EdgeError;
use crate::http::trace::HttpSpan;
use crate::http::{
    Contract, Listener, Server, adapter, agent_router, event_stream, gateway, heartbeat_monitor,
    provider_router, registry, resource_manager, tlc, token_governor,
};
use crate::supervision::policy::{ExitReason, Shutdown};
use crate::supervision::trace::{ActorNo, Outcome, Record};
use crate::supervision::{Actor, ActorError, ActorSystem, ChildSpec, Context, Message, WorkerOptions};

/// The edge understands nothing but its supervisor: requests go to the services they are for.
pub(super) enum EdgeMessage {}

impl Message for EdgeMessage {
    fn kind(&self) -> &'static str {
        match *self {}
    }
}

/// How long a start waits for its ports: a killed predecessor's sockets are closed a moment after it.
const PORTS_PATIENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const PORTS_PAUSE: Duration = Duration::from_millis(20);

struct Edge {
    /// Ends the server at the latest when the edge is dropped.
    stop: DropGuard,
    stopped: Option<oneshot::Receiver<()>>,
}

impl Actor for Edge {
    type Message = EdgeMessage;

    async fn handle(&mut self, message: EdgeMessage, _: &Context<EdgeMessage>) -> Result<(), ActorError> {
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

/// The specification of the edge.
pub(super) fn spec(
    config: &Arc<Config>,
    system: &ActorSystem,
    jobs: &Arc<Jobs>,
    handles: Handles,
    shutdown: &CancellationToken,
    options: WorkerOptions,
) -> ChildSpec {
    let orchestrator = Orchestrator {
        jobs: Arc::clone(jobs),
        system: system.clone(),
        steering: handles.steering.clone(),
        events: handles.events.clone(),
        shutdown: shutdown.clone(),
    };
    let services = Arc::new(Served { config: Arc::clone(config), orchestrator, handles });
    let (spec, _) = system.worker("edge", options, move |context| {
        let services = Arc::clone(&services);
        async move { services.open(&context).await }
    });
    // Whoever waits out the grace must not be killed within it.
    let deadline = config.supervision.shutdown_deadline + config.http.shutdown_grace;
    spec.with_shutdown(Shutdown::Deadline(deadline))
}

/// What is served, and how.
struct Served {
    config: Arc<Config>,
    orchestrator: Orchestrator,
    handles: Handles,
}

impl Served {
    async fn open(&self, context: &Context<EdgeMessage>) -> Result<Edge, ActorError> {
        let server = self.bind().await?;
        for (service, address) in server.addresses() {
            tracing::info!(service, %address, "listening");
        }
        let stop = CancellationToken::new();
        let (done, stopped) = oneshot::channel();
        let recorder = Arc::new(recorder(self.orchestrator.system.clone(), context.address().no()));
        let serving = server.serve(recorder, stop.clone());
        context.spawn(async move {
            serving.await;
            // Nobody waits when the edge has ended already.
            let _ = done.send(());
        });
        Ok(Edge { stop: stop.drop_guard(), stopped: Some(stopped) })
    }

    async fn bind(&self) -> Result<Server, ActorError> {
        let http = &self.config.http;
        let deadline = Instant::now() + PORTS_PATIENCE;
        loop {
            let listeners = ports().iter().map(|port| self.listener(*port)).collect::<Result<Vec<_>, _>>()?;
            let token = http.token.as_ref().and_then(|token| Token::new(token.expose()));
            match Server::bind(http.bind, token, listeners).await {
                Err(EdgeError::PortInUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PORTS_PAUSE).await;
                }
                bound => return Ok(bound?.grace(http.shutdown_grace)),
            }
        }
    }

    /// The HMI: it looks at all the others, and has their health told by them.
    fn hmi(&self) -> Hmi {
        let handles = &self.handles;
        let offset = |number: u16| number.saturating_add(self.config.http.port_offset);
        let health = [
            (Service::Registry, registry::health(handles.registry.clone())),
            (Service::HeartbeatMonitor, heartbeat_monitor::health(&handles.monitor)),
            (Service::ResourceManager, resource_manager::health(handles.resources.clone())),
            (Service::TokenGovernor, token_governor::health(handles.governor.clone())),
            (Service::EventStream, event_stream::health(&handles.events)),
        ];
        let number_of =
            |service| ports().iter().find(|port| port.service == service).map_or(0, |port| port.number);
        Hmi::new(hmi::Sources {
            jobs: Arc::clone(&self.orchestrator.jobs),
            system: self.orchestrator.system.clone(),
            events: handles.events.clone(),
            registry: handles.registry.clone(),
            governor: handles.governor.clone(),
            resources: handles.resources.clone(),
            gateway: handles.gateway.clone(),
            ports: self.numbers(),
            health: health
                .map(|(service, health)| with_service(health, service.name(), offset(number_of(service)))),
        })
    }

    /// A port's own routes, and what its `/health` adds.
    fn service(&self, port: Port) -> (Router, Health) {
        match port.service {
            Service::Orchestrator => {
                let config = &self.config;
                let told = [
                    ("workdir", json!(config.daemon.workdir)),
                    ("data_dir", json!(config.daemon.data_dir)),
                    ("store", json!(config.store_file())),
                    ("pid", json!(std::process::id())),
                ];
                let told: Map<_, _> =
                    told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
                let health: Health = Arc::new(move || Box::pin(std::future::ready(Ok(told.clone()))));
                (orchestrator::routes(self.orchestrator.clone()), health)
            }
            Service::Hmi => {
                let acts = hmi::acts(self.handles.steering.clone());
                (hmi::routes(&self.hmi()).merge(acts), hmi::health())
            }
            Service::EventStream => {
                let events = &self.handles.events;
                (event_stream::routes(events.clone()), event_stream::health(events))
            }
            Service::ProviderRouter => {
                let router = &self.handles.providers;
                (provider_router::routes(router.clone()), provider_router::health(router.clone()))
            }
            Service::ResourceManager => {
                let resources = &self.handles.resources;
                let routes = resource_manager::routes(resources.clone(), self.config.resources.lease);
                (routes, resource_manager::health(resources.clone()))
            }
            Service::TokenGovernor => {
                let governor = &self.handles.governor;
                (token_governor::routes(governor.clone()), token_governor::health(governor.clone()))
            }
            Service::HeartbeatMonitor => {
                let monitor = &self.handles.monitor;
                (heartbeat_monitor::routes(monitor.clone()), heartbeat_monitor::health(monitor))
            }
            Service::AgentRouter => (agent_router::routes(self.handles.router.clone()), page::plain_health()),
            Service::Gateway => (gateway::routes(self.handles.gateway.clone()), page::plain_health()),
            Service::LocalModel(place) => self.adapter(Kind::Local(LOCAL_MODELS[place]), port),
            Service::Adapter(vendor) => self.adapter(Kind::Vendor(vendor), port),
            Service::Tlc => {
                let tlc = &self.handles.tlc;
                let number = port.number.saturating_add(self.config.http.port_offset);
                let model = Kind::Local(LOCAL_MODELS[1]);
                let model = Adapter::new(model, self.handles.gateway.clone(), number);
                (tlc::routes(tlc.clone()).merge(adapter::chat_forms(model)), tlc::health(tlc.clone()))
            }
            Service::Registry => {
                let registry = &self.handles.registry;
                (registry::routes(registry.clone()), registry::health(registry.clone()))
            }
        }
    }

    fn adapter(&self, kind: Kind, port: Port) -> (Router, Health) {
        let number = port.number.saturating_add(self.config.http.port_offset);
        let key = format!("providers.{}.api_key", kind.vendor());
        let key_from = self.config.origin(&key).map(ToString::to_string);
        let adapter = Adapter::new(kind, self.handles.gateway.clone(), number, key_from);
        (adapter::routes(adapter.clone()), adapter::health(adapter))
    }

    fn listener(&self, port: Port) -> Result<Listener, ActorError> {
        let http = &self.config.http;
        let number = port.number.saturating_add(http.port_offset);
        let name = port.service.name();
        let (routes, health) = self.service(port);
        let mut contract = Contract::load(port.service.contract())?;
        if port.service.contract() != name {
            // A document for several ports: each says its own name.
            name.clone_into(&mut contract.service);
        }
        let health = with_service(health, name, number);
        let common = if port.service == Service::Hmi {
            page::routes_with_front(contract, health, hmi::pages::front(&self.numbers()))
        } else {
            page::routes(contract, health)
        };
        let mut limits = Limits {
            header_read: http.header_timeout,
            keep_alive_idle: http.idle_timeout,
            body_read: http.body_timeout,
            max_connections: http.max_connections.get(),
            max_body: port.service.max_body().unwrap_or(http.max_body_bytes as u64),
            ..Limits::default()
        };
        let router = routes.merge(common);
        if port.service == Service::EventStream {
            limits.max_connections = limits.max_connections.max(event_stream::MAX_CONNECTIONS);
            return Ok(Listener::new(name, number, router)
                .limits(limits)
                .own_bodies(event_stream::OWN_BODIES));
        }
        let speaks = matches!(
            port.service,
            Service::Gateway | Service::LocalModel(_) | Service::Adapter(_) | Service::Tlc
        );
        let listener = Listener::new(name, number, router).limits(limits).speaking_for_vendors(speaks);
        Ok(if port.service == Service::Hmi { listener.open(hmi::pages::is_page) } else { listener })
    }

    /// The ports by service, with the configured offset.
    fn numbers(&self) -> BTreeMap<&'static str, u16> {
        let offset = self.config.http.port_offset;
        ports().iter().map(|port| (port.service.name(), port.number.saturating_add(offset))).collect()
    }
}

/// Every `/health` says which service and port it is, beside what the service adds.
fn with_service(health: Health, name: &'static str, number: u16) -> Health {
    Arc::new(move || {
        let added = health();
        Box::pin(async move {
            let common = json!({ "service": name, "port": number, "timestamp": Timestamp::now() });
            let mut fields: Map<_, _> = common.as_object().cloned().unwrap_or_default();
            fields.extend(added.await?);
            Ok(fields)
        })
    })
}

/// Requests as records of the trace: the edge is who handled them.
fn recorder(system: ActorSystem, edge: ActorNo) -> impl Fn(HttpSpan) + Send + Sync {
    let kinds = Kinds::default();
    move |span: HttpSpan| {
        let ended_ns = system.ring().now_ns();
        let took = u64::try_from(span.ended.duration_since(span.started).as_nanos()).unwrap_or(u64::MAX);
        let started_ns = ended_ns.saturating_sub(took).max(1);
        let failed = span.status.is_none_or(|status| status.is_server_error());
        system.ring().write(Record {
            trace: span.context.trace,
            span: span.context.span,
            parent: span.parent,
            from: ActorNo::OUTSIDE,
            to: edge,
            kind: kinds.of(&span),
            sent_ns: started_ns,
            started_ns,
            ended_ns,
            outcome: if failed { Outcome::Error } else { Outcome::Ok },
        });
    }
}

/// Names of requests, each kept for the life of the process: methods times routes, both closed lists.
#[derive(Default)]
struct Kinds(RwLock<HashMap<Box<str>, Names>>);

/// The names of one route, by method.
type Names = Vec<(Method, &'static str)>;

impl Kinds {
    /// Methods a client makes up share one name.
    const OTHER: &'static str = "request";
    /// Most names of one route, and most routes; more than methods and routes can give.
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
