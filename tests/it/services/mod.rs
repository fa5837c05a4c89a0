//! Registry, heartbeat monitor and agent router over real sockets, on a stopped clock.
//!
//! Every answer through [`Swarm::ask`] is checked against the contract: the operation must list the status,
//! and the body must fit.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod agent_router;
mod context_resets;
mod heartbeat_monitor;
mod provider_router;
mod registry;
mod reservation_list;
mod resource_manager;
mod tlc;
mod token_governor;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use pas::actors;
use pas::actors::directory::{AgentDirectory, ServedPorts};
use pas::actors::event_stream::{EventLimits, EventSources, EventStreamHandle};
use pas::actors::invoker::{AgentInvoker, InvokeError};
use pas::actors::jobs::JobBook;
use pas::actors::provider_router::ProviderRouterHandle;
use pas::actors::registry::RegistryHandle;
use pas::actors::standing::AgentStandings;
use pas::domain::agent_router::AgentInvocation;
use pas::domain::ids::AgentName;
use pas::domain::provider_router::EndpointRules;
use pas::http::contract::bundled;
use pas::http::trace::HttpSpan;
use pas::http::{self, EdgeServer, ListenerSpec, PortContract, page};
use pas::store::Store;
use pas::supervision::policy::{ChildPolicy, SupervisorPolicy};
use pas::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, ReplySender, RootHandle,
    WorkerOptions, trace,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::contracts::{assert_fits, assert_routes_match_contract, resolved};

const REGISTRY: &str = "registry";
const MONITOR: &str = "heartbeat-monitor";
const ROUTER: &str = "agent-router";
const PROVIDERS: &str = "provider-router";
const TLC: &str = "tlc-domain-classifier";
const EVENT_LIMITS: EventLimits = EventLimits { keep_days: 30, max_body_bytes: 2 << 20 };
const SWEEP: Duration = Duration::from_secs(5);

/// An agent that obeys the payload.
struct Tester(AgentName);

struct Call(AgentInvocation, ReplySender<Result<Value, InvokeError>>);

impl ActorMessage for Call {
    fn kind(&self) -> &'static str {
        "invoke"
    }
}

impl Actor for Tester {
    type Message = Call;

    async fn handle(&mut self, Call(call, reply): Call, _: &ActorContext<Call>) -> Result<(), ActorError> {
        match call.payload.get("task").and_then(Value::as_str) {
            Some("panic") => panic!("as asked"),
            Some("hang") => std::future::pending().await,
            Some("refuse") => reply.send(Err(InvokeError::Refused("no model is configured".into()))),
            _ => {
                let trace = trace::current().unwrap().context.trace.to_string();
                reply.send(Ok(json!({ "agent": self.0, "payload": call.payload, "trace": trace })));
            }
        }
        Ok(())
    }
}

struct Addresses(HashMap<AgentName, Address<Call>>);

impl AgentInvoker for Addresses {
    fn invoke(
        &self,
        agent: &AgentName,
        request: AgentInvocation,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Value, InvokeError>> {
        let address = self.0[agent].clone();
        async move { address.call(deadline, |reply| Call(request, reply)).await? }.boxed()
    }
}

/// Keeps the stopped clock from advancing while tasks wait only for a socket or the disk.
struct StoppedClock(#[expect(dead_code, reason = "dropped to let the blocking task end")] mpsc::Sender<()>);

impl StoppedClock {
    fn hold() -> Self {
        let (sender, receiver) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || receiver.recv());
        Self(sender)
    }
}

struct Swarm {
    system: ActorSystem,
    root: RootHandle,
    store: Store,
    registry: RegistryHandle,
    events: EventStreamHandle,
    providers: ProviderRouterHandle,
    ports: HashMap<&'static str, SocketAddr>,
    shutdown: CancellationToken,
    _clock: StoppedClock,
}

#[expect(clippy::too_many_lines, reason = "a list of all services and what each is given")]
async fn start(dir: &Path) -> Swarm {
    let clock = StoppedClock::hold();
    let file = dir.join("pas.redb");
    let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
    let system = ActorSystem::default();
    let (roster, _) = pas::roster::load(None);
    let roster = Arc::new(roster);
    let (mut specs, mut addresses) = (Vec::new(), HashMap::new());
    for agent in roster.iter() {
        let name = agent.name.clone();
        let options = WorkerOptions { heartbeat: Some(Duration::from_secs(60)), capacity: 16 };
        let (spec, address) = system.worker(name.clone().as_str(), options, move |_| {
            let tester = Tester(name.clone());
            async move { Ok(tester) }
        });
        specs.push(spec.with_policy(ChildPolicy::default()));
        addresses.insert(agent.name.clone(), address);
    }
    let invoker: Arc<dyn AgentInvoker> = Arc::new(Addresses(addresses));
    let standings = AgentStandings::new(system.clone());
    let directory = AgentDirectory::new(Arc::clone(&roster), &ServedPorts::default(), standings.clone());
    let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
    let (registry, handle) =
        actors::registry::spec(&system, "the-registry", options, store.clone(), directory.clone());
    let book = JobBook::new(store.clone());
    let sources = EventSources { standings, book: book.clone(), store: store.clone() };
    let (events, events_handle) =
        actors::event_stream::spec(&system, "the-events", options, sources, dir, EVENT_LIMITS);
    let (monitor, monitor_handle) = actors::heartbeat_monitor::spec(
        &system,
        "the-monitor",
        options,
        handle.clone(),
        events_handle.clone(),
        SWEEP,
        dir.to_owned(),
    );
    let (router, router_handle) = actors::agent_router::spec(
        &system,
        "the-router",
        options,
        actors::agent_router::AgentChooser { directory, workload: Arc::new(book.clone()) },
        Arc::clone(&invoker),
        events_handle.clone(),
        dir.to_owned(),
    );
    let watcher =
        actors::file_queue_watcher::spec(&system, "the-watcher", options, roster, invoker, dir.to_owned());
    let rules = EndpointRules { plain_http_hosts: vec!["gpu-box.lan".into()], ..EndpointRules::default() };
    let (providers_spec, providers) =
        actors::provider_router::spec(&system, "the-provider-router", options, store.clone(), rules);
    let services = [registry, events, monitor, router, watcher, providers_spec];
    let policy = SupervisorPolicy { intensity: 100, ..SupervisorPolicy::default() };
    let children = services.into_iter().chain(specs).collect();
    let root = system.start("root", policy, children).await.unwrap();

    let classifier = http::tlc::TlcApi::new(Some(Arc::new(tlc::Scripted)));
    let registry = handle.clone();
    let routers = [
        (REGISTRY, http::registry::routes(handle.clone()), http::registry::health(handle)),
        (
            MONITOR,
            http::heartbeat_monitor::routes(monitor_handle.clone()),
            http::heartbeat_monitor::health(&monitor_handle),
        ),
        (ROUTER, http::agent_router::routes(router_handle), page::plain_health()),
        (
            PROVIDERS,
            http::provider_router::routes(providers.clone()),
            http::provider_router::health(providers.clone()),
        ),
        (TLC, http::tlc::routes(classifier.clone()), http::tlc::health(classifier)),
    ];
    let mut listeners = Vec::new();
    for (name, routes, health) in routers {
        let router = routes.merge(page::routes(PortContract::load(name).unwrap(), health));
        // The classifier's port also has the chat forms of a model, which only whole daemons serve.
        if name != TLC {
            assert_routes_match_contract(name, router.clone()).await;
        }
        listeners.push(ListenerSpec::new(name, 0, router));
    }
    let server = EdgeServer::bind(Ipv4Addr::LOCALHOST.into(), None, listeners).await.unwrap();
    let ports = [REGISTRY, MONITOR, ROUTER, PROVIDERS, TLC]
        .into_iter()
        .zip(server.addresses().map(|(_, at)| at))
        .collect();
    let shutdown = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(server.serve(Arc::new(|_: HttpSpan| ()), shutdown.clone()));
    Swarm { system, root, store, registry, events: events_handle, providers, ports, shutdown, _clock: clock }
}

impl Swarm {
    /// Calls a port and checks the answer against the contract.
    async fn ask(&self, port: &'static str, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask_with(port, method, path, body, "").await
    }

    async fn ask_with(
        &self,
        port: &'static str,
        method: &str,
        path: &str,
        body: Value,
        headers: &str,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(port, method, path, &body, headers).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
        fits_contract(port, method, path, status, &body);
        (status, body)
    }

    /// Calls a port; the whole answer as text, unchecked.
    async fn raw(&self, port: &'static str, method: &str, path: &str, body: &str) -> String {
        self.send(port, method, path, body, "").await
    }

    async fn send(&self, port: &str, method: &str, path: &str, body: &str, headers: &str) -> String {
        let address = self.ports[port];
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, port: &'static str, path: &str) -> Value {
        let (status, body) = self.ask(port, "GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn register(&self, body: Value) -> (u16, Value) {
        self.ask(REGISTRY, "POST", "/register", body).await
    }

    async fn beat(&self, body: Value) -> (u16, Value) {
        self.ask(REGISTRY, "PUT", "/heartbeat", body).await
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let body = self.get(REGISTRY, &format!("/discover{query}")).await;
        let items = body["items"].as_array().unwrap();
        items.iter().map(|item| item["service_id"].as_str().unwrap().to_owned()).collect()
    }

    async fn status_of(&self, id: &str) -> Value {
        self.get(REGISTRY, &format!("/services/{id}")).await["status"].clone()
    }

    /// Waits until the registry knows a service.
    async fn known(&self, id: &str) {
        while self.ask(REGISTRY, "GET", &format!("/services/{id}"), Value::Null).await.0 != 200 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets the classifier announce itself; returns the tree of the announcer.
    async fn announce_tlc(&self) -> RootHandle {
        let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
        let registration = http::tlc::registration(8052);
        let system = ActorSystem::default();
        let spec = actors::announcer::spec(&system, "tlc", options, self.registry.clone(), registration);
        let root = system.start("announcers", SupervisorPolicy::default(), vec![spec]).await.unwrap();
        self.known("agent-tlc_domain_classifier").await;
        root
    }

    async fn invoke(&self, body: Value) -> (u16, Value) {
        self.ask(ROUTER, "POST", "/invoke", body).await
    }

    /// Advances the clock in small steps, letting all actors work in between.
    async fn pass(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(250);
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            tokio::time::advance(step).await;
            left -= step;
            // After a round trip through the monitor, alerts due by this step are out.
            self.get(MONITOR, "/stats").await;
        }
    }

    /// Alerts of one service as `type/action/missed`, oldest first, once there are `count` of them.
    async fn alerts(&self, id: &str, count: usize) -> Vec<String> {
        loop {
            let body = self.get(MONITOR, "/alerts?limit=1000").await;
            let all = body["alerts"].as_array().unwrap();
            let own = all.iter().filter(|alert| alert["service_id"] == id).map(|alert| {
                let word = |field: &str| alert[field].as_str().unwrap().to_owned();
                format!("{}/{}/{}", word("alert_type"), word("action"), alert["missed_beats"])
            });
            let own: Vec<String> = own.collect();
            if own.len() >= count {
                return own;
            }
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.root.shutdown().await;
        self.store.close().await.unwrap();
    }
}

fn fits_contract(port: &str, method: &str, path: &str, status: u16, body: &Value) {
    let document = bundled(&format!("{port}.json")).unwrap();
    let path = path.split('?').next().unwrap();
    let template = match path.rsplit_once('/') {
        Some(("/services", _)) => "/services/{service_id}",
        Some(("/providers", _)) => "/providers/{name}",
        _ => path,
    };
    let operation = &document["paths"][template][method.to_lowercase()];
    let place = format!("{port}: {method} {path}: {status}");
    let response = operation["responses"].get(status.to_string());
    let response = resolved(&document, response.unwrap_or_else(|| panic!("{place} is not told of: {body}")));
    assert_fits(&document, &response["content"]["application/json"]["schema"], body, &place);
}

fn tool(id: &str) -> Value {
    json!({
        "service_id": id, "name": "linter", "type": "tool", "role": "staging", "url": "http://localhost:9",
        "caps": ["lint"], "labels": { "parent": "agent-manager-code" }, "cost_hint": { "usd_per_1k": 0.000_25 },
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}
