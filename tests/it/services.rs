//! Registry, heartbeat monitor and agent router over real sockets, on a stopped clock.
//!
//! Every answer that comes by [`Swarm::ask`] is held to the contract: its status must be one that the
//! operation tells of, and its body must fit.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use pas::actors::directory::Directory;
use pas::actors::invoker::{InvokeError, Invoker};
use pas::actors::{agent_router, file_queue_watcher, heartbeat_monitor, registry};
use pas::domain::ids::AgentName;
use pas::domain::invocation::Invocation;
use pas::http::contract::bundled;
use pas::http::trace::HttpSpan;
use pas::http::{Listener, Server};
use pas::store::Store;
use pas::supervision::policy::{ChildPolicy, SupervisorPolicy};
use pas::supervision::{
    Actor, ActorError, ActorSystem, Address, Context, Message, Reply, RootHandle, WorkerOptions, trace,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::contracts::{assert_fits, assert_routes_match_contract, resolved};

const REGISTRY: &str = "registry";
const MONITOR: &str = "heartbeat-monitor";
const ROUTER: &str = "agent-router";
const SWEEP: Duration = Duration::from_secs(5);

/// An agent that does what the payload says.
struct Tester(AgentName);

struct Call(Invocation, Reply<Result<Value, InvokeError>>);

impl Message for Call {
    fn kind(&self) -> &'static str {
        "invoke"
    }
}

impl Actor for Tester {
    type Message = Call;

    async fn handle(&mut self, Call(call, reply): Call, _: &Context<Call>) -> Result<(), ActorError> {
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

impl Invoker for Addresses {
    fn invoke(
        &self,
        agent: &AgentName,
        request: Invocation,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Value, InvokeError>> {
        let address = self.0[agent].clone();
        async move { address.call(deadline, |reply| Call(request, reply)).await? }.boxed()
    }
}

/// Keeps the stopped clock from running on while only a socket or the disk is waited for.
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
    ports: HashMap<&'static str, SocketAddr>,
    shutdown: CancellationToken,
    _clock: StoppedClock,
}

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
    let invoker: Arc<dyn Invoker> = Arc::new(Addresses(addresses));
    let directory = Directory::new(system.clone(), Arc::clone(&roster), 0);
    let options = WorkerOptions { heartbeat: None, ..WorkerOptions::default() };
    let (registry, handle) =
        registry::spec(&system, "the-registry", options, store.clone(), directory.clone());
    let (monitor, monitor_handle) =
        heartbeat_monitor::spec(&system, "the-monitor", options, handle.clone(), SWEEP, dir.to_owned());
    let (router, router_handle) =
        agent_router::spec(&system, "the-router", options, directory, Arc::clone(&invoker), dir.to_owned());
    let watcher = file_queue_watcher::spec(&system, "the-watcher", options, roster, invoker, dir.to_owned());
    let services = [registry, monitor, router, watcher];
    let policy = SupervisorPolicy { intensity: 100, ..SupervisorPolicy::default() };
    let children = services.into_iter().chain(specs).collect();
    let root = system.start("root", policy, children).await.unwrap();

    let routers = [
        (REGISTRY, pas::http::registry::router(handle).unwrap()),
        (MONITOR, pas::http::heartbeat_monitor::router(monitor_handle).unwrap()),
        (ROUTER, pas::http::agent_router::router(router_handle).unwrap()),
    ];
    let mut listeners = Vec::new();
    for (name, router) in routers {
        assert_routes_match_contract(name, router.clone()).await;
        listeners.push(Listener::new(name, 0, router));
    }
    let server = Server::bind(Ipv4Addr::LOCALHOST.into(), None, listeners).await.unwrap();
    let ports = [REGISTRY, MONITOR, ROUTER].into_iter().zip(server.addresses().map(|(_, at)| at)).collect();
    let shutdown = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(server.serve(Arc::new(|_: HttpSpan| ()), shutdown.clone()));
    Swarm { system, root, store, ports, shutdown, _clock: clock }
}

impl Swarm {
    /// Asks a port and holds the answer to its contract.
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
        let address = self.ports[port];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
        fits_contract(port, method, path, status, &body);
        (status, body)
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

    async fn invoke(&self, body: Value) -> (u16, Value) {
        self.ask(ROUTER, "POST", "/invoke", body).await
    }

    /// Moves the clock on in small steps, letting everybody work in between.
    async fn pass(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(250);
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            tokio::time::advance(step).await;
            left -= step;
            // A round trip through the monitor: what this step made due has been told.
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
    let template = if path.starts_with("/services/") { "/services/{service_id}" } else { path };
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

#[tokio::test(start_paused = true)]
async fn the_fifty_agents_are_registered_with_labels_of_strings() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let agents = swarm.get(REGISTRY, "/discover?type=agent").await;
    let agents = agents["items"].as_array().unwrap();
    assert_eq!(agents.len(), 50);
    for agent in agents {
        assert_eq!(agent["status"], "ok", "{agent}");
        assert!(agent["labels"].as_object().unwrap().values().all(Value::is_string), "{agent}");
        assert_eq!(agent["service_id"], format!("agent-{}", agent["name"].as_str().unwrap()));
    }
    let names: Vec<_> = agents.iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted());
    assert_eq!(swarm.ids("?cap=licensing_validation").await, ["agent-corpus-auditor"]);
    let health = swarm.get(REGISTRY, "/health").await;
    assert_eq!(health, json!({ "status": "ok", "registered": 50, "healthy": 50 }));
    let health = swarm.get(MONITOR, "/health").await;
    assert_eq!((&health["check_interval_s"], &health["max_misses_before_down"]), (&json!(5.0), &json!(2)));
    let stats = swarm.get(MONITOR, "/stats").await;
    assert_eq!((&stats["total_services"], &stats["healthy_services"]), (&json!(50), &json!(50)));
}

#[tokio::test(start_paused = true)]
async fn a_service_registers_beats_is_promoted_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.register(tool("tool-1")).await.1["service_id"], "tool-1");
    let (status, taken) = swarm.register(tool("tool-1")).await;
    assert!(status == 400 && taken["detail"].as_str().unwrap().contains("`tool-1` is taken"), "{taken}");
    let (_, chosen) = swarm.register(with(tool(""), "service_id", Value::Null)).await;
    assert_eq!(swarm.ids("?name=linter&role=staging").await.len(), 2);
    let beat =
        json!({ "service_id": "tool-1", "status": "running", "p95_ms": 12.5, "queue_depth": 3, "load": 0.4 });
    assert_eq!(swarm.beat(beat).await.0, 200);
    let record = swarm.get(REGISTRY, "/services/tool-1").await;
    for (field, value) in [
        ("status", json!("running")),
        ("p95_ms", json!(12.5)),
        ("queue_depth", json!(3)),
        ("load", json!(0.4)),
        ("heartbeat_interval_s", json!(60)),
        ("ttl_s", json!(90)),
        ("cost_hint_usd_per_1k", json!(0.000_25)),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!(swarm.ids("?status=running").await, ["tool-1"]);
    let promotion = json!({ "name": "linter", "from_role": "staging", "to_role": "production" });
    let (_, moved) = swarm.ask(REGISTRY, "POST", "/promote", promotion.clone()).await;
    assert_eq!(moved["updated_instances"], 2);
    assert_eq!(swarm.ask(REGISTRY, "POST", "/promote", promotion).await.0, 404, "none is left in staging");
    assert_eq!(swarm.ids("?name=linter&role=production").await.len(), 2);
    for id in [&json!("tool-1"), &chosen["service_id"]] {
        let (status, _) = swarm.ask(REGISTRY, "POST", "/deregister", json!({ "service_id": id })).await;
        assert_eq!(status, 200);
    }
    let gone = json!({ "service_id": "tool-1" });
    assert_eq!(swarm.ask(REGISTRY, "POST", "/deregister", gone.clone()).await.0, 404);
    assert_eq!(swarm.beat(gone).await.0, 404);
    assert_eq!(swarm.ask(REGISTRY, "GET", "/services/tool-1", Value::Null).await.0, 404);
    assert!(swarm.ids("?name=linter").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_contract_name_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let long = "x".repeat(129);
    for (field, value) in [
        ("service_id", json!(long)),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("type", json!("robot")),
        ("role", json!("prod")),
        ("url", json!("")),
        ("caps", json!([])),
        ("caps", json!([""])),
        ("labels", json!({ "tier": 1 })),
        ("ctx_limit", json!(0)),
        ("heartbeat_interval_s", json!(0)),
        ("ttl_s", json!(86_401)),
    ] {
        let (status, body) = swarm.register(with(tool("t"), field, value.clone())).await;
        assert_eq!((status, &body["detail"][0]["loc"][1]), (422, &json!(field)), "{value}: {body}");
    }
    let heavy: Value =
        (0..1000).map(|n| (n.to_string(), json!("x".repeat(40)))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(swarm.register(with(tool("t"), "labels", heavy)).await.0, 422);
    for (field, value) in [("status", json!("great")), ("queue_depth", json!(-1)), ("load", json!(-0.1))] {
        let (status, body) = swarm.beat(with(json!({ "service_id": "t" }), field, value)).await;
        assert_eq!((status, &body["detail"][0]["loc"][1]), (422, &json!(field)));
    }
    for path in ["/discover?type=robot", "/discover?status=great", "/discover?role="] {
        assert_eq!(swarm.ask(REGISTRY, "GET", path, Value::Null).await.0, 422, "{path}");
    }
    for path in ["/alerts?limit=0", "/alerts?limit=1001", "/alerts?limit=x"] {
        assert_eq!(swarm.ask(MONITOR, "GET", path, Value::Null).await.0, 422, "{path}");
    }
    for body in [json!({ "limit": 0 }), json!({ "tier": 4 }), json!({ "agent_role": "boss" })] {
        assert_eq!(swarm.ask(ROUTER, "POST", "/discover", body).await.0, 422);
    }
    for body in [
        json!({ "agent_name": "architect" }),
        json!({ "request_id": "", "agent_name": "architect" }),
        json!({ "request_id": "r", "agent_name": "architect", "timeout_s": 0 }),
        json!({ "request_id": "r", "agent_name": "architect", "timeout_s": 3601 }),
        json!({ "request_id": "r", "agent_name": "architect", "transport": "pigeon" }),
        json!({ "request_id": "r", "agent_name": "architect", "payload": [] }),
    ] {
        assert_eq!(swarm.invoke(body.clone()).await.0, 422, "{body}");
    }
    assert_eq!(swarm.get(REGISTRY, "/health").await["registered"], 50);
}

#[tokio::test(start_paused = true)]
async fn the_daemons_agents_cannot_be_changed_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.register(tool("agent-architect")).await.0, 400);
    let promotion = json!({ "name": "architect", "from_role": "production", "to_role": "canary" });
    let (status, refused) = swarm.ask(REGISTRY, "POST", "/promote", promotion).await;
    assert!(
        status == 409 && refused["detail"].as_str().unwrap().contains("agent of this daemon"),
        "{refused}"
    );
    let end = json!({ "service_id": "agent-architect" });
    assert_eq!(swarm.ask(REGISTRY, "POST", "/deregister", end).await.0, 409);
    let lie = json!({ "service_id": "agent-architect", "status": "down" });
    assert_eq!(swarm.beat(lie).await.0, 200);
    assert_eq!(swarm.status_of("agent-architect").await, "ok", "its life is read off the tree");
}

#[tokio::test(start_paused = true)]
async fn of_many_registrations_of_one_id_exactly_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let all = join_all((0..40).map(|_| swarm.register(tool("tool-1")))).await;
    let mut counts = [0, 0];
    for (status, _) in all {
        counts[usize::from(status == 400)] += 1;
    }
    assert_eq!(counts, [1, 39]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_warning_then_down_then_the_end_and_a_beat_restores() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.pass(Duration::from_secs(60)).await;
    assert_eq!(swarm.status_of("tool-1").await, "ok");
    swarm.pass(Duration::from_secs(1)).await;
    assert_eq!(swarm.alerts("tool-1", 1).await, ["heartbeat_miss/warning/1"]);
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    swarm.pass(Duration::from_secs(30)).await;
    assert!(swarm.ids("?name=linter").await.is_empty(), "its time to live is over");
    assert_eq!(swarm.status_of("tool-1").await, "ok", "and yet it is not down");
    swarm.pass(Duration::from_secs(30)).await;
    assert_eq!(swarm.alerts("tool-1", 2).await[1], "service_down/marked_down/2");
    assert_eq!(swarm.status_of("tool-1").await, "down");
    assert_eq!(swarm.ids("?status=down").await, ["tool-1"]);
    assert_eq!(swarm.get(MONITOR, "/stats").await["down_services"], 1);

    assert_eq!(swarm.beat(json!({ "service_id": "tool-1" })).await.0, 200);
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    swarm.pass(SWEEP).await;
    assert_eq!(swarm.alerts("tool-1", 3).await[2], "heartbeat_restored/restored/2");

    swarm.pass(Duration::from_secs(181)).await;
    let told = swarm.alerts("tool-1", 6).await;
    assert_eq!(
        told[3..],
        ["heartbeat_miss/warning/1", "service_down/marked_down/2", "service_deregistered/deregistered/3"]
    );
    assert_eq!(swarm.ask(REGISTRY, "GET", "/services/tool-1", Value::Null).await.0, 404);
    assert_eq!(swarm.beat(json!({ "service_id": "tool-1" })).await.0, 404);
    assert_eq!(swarm.register(tool("tool-1")).await.0, 200, "it may come back");

    swarm.root.shutdown().await;
    let folder = dir.path().join("artifacts/hmi/events");
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap();
        assert!(name.file_name().to_str().unwrap().starts_with("heartbeat_alerts_2"));
        lines.extend(std::fs::read_to_string(name.path()).unwrap().lines().map(str::to_owned));
    }
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        (lines.len(), &last["action"], &last["parent"]),
        (6, &json!("deregistered"), &json!("agent-manager-code"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_interval_is_watched_closely() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(with(tool("tool-1"), "heartbeat_interval_s", json!(1))).await;
    swarm.pass(Duration::from_millis(2500)).await;
    assert_eq!(swarm.status_of("tool-1").await, "down");
    swarm.pass(Duration::from_millis(1000)).await;
    assert_eq!(swarm.alerts("tool-1", 3).await[2], "service_deregistered/deregistered/3");
}

#[tokio::test(start_paused = true)]
async fn registrations_survive_a_restart_and_get_one_time_to_live() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.register(tool("tool-2")).await;
    swarm.ask(REGISTRY, "POST", "/deregister", json!({ "service_id": "tool-2" })).await;
    let promotion = json!({ "name": "linter", "from_role": "staging", "to_role": "canary" });
    swarm.ask(REGISTRY, "POST", "/promote", promotion).await;
    let before = swarm.get(REGISTRY, "/services/tool-1").await;
    swarm.stop().await;

    let swarm = start(dir.path()).await;
    assert_eq!(swarm.ids("?name=linter").await, ["tool-1"]);
    let after = swarm.get(REGISTRY, "/services/tool-1").await;
    assert_eq!((&after["registered_at"], &after["role"]), (&before["registered_at"], &json!("canary")));
    assert_eq!(after["last_heartbeat_ts"], Value::Null);
    swarm.pass(Duration::from_secs(90)).await;
    assert!(swarm.alerts("tool-1", 0).await.is_empty());
    swarm.pass(Duration::from_secs(2)).await;
    assert_eq!(swarm.alerts("tool-1", 1).await, ["heartbeat_miss/warning/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_registry_keeps_services_and_their_beats() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.register(tool("tool-1")).await;
    swarm.beat(json!({ "service_id": "tool-1", "status": "blocked" })).await;
    let before = swarm.get(REGISTRY, "/services/tool-1").await;
    swarm.system.kill("the-registry").await.unwrap();
    assert_eq!(swarm.get(REGISTRY, "/services/tool-1").await, before, "reads go on meanwhile");
    assert_eq!(swarm.register(tool("tool-1")).await.0, 400);
    assert_eq!(swarm.get(REGISTRY, "/services/tool-1").await, before);
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_an_agent_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    swarm.get(REGISTRY, "/discover?type=agent").await;
    swarm.system.set_paused("manager-data", true).unwrap();
    assert_eq!(swarm.ids("?status=paused").await, ["agent-manager-data"]);
    swarm.system.set_paused("manager-data", false).unwrap();
    swarm.system.terminate("tlc-domain-classifier").await.unwrap();
    assert_eq!(swarm.ids("?type=agent&status=down").await, ["agent-tlc-domain-classifier"]);
    assert_eq!(swarm.get(REGISTRY, "/health").await["healthy"], 49);

    swarm.system.kill("chunker-mgs").await.unwrap();
    let told = swarm.alerts("agent-chunker-mgs", 2).await;
    assert_eq!(told, ["service_down/marked_down/0", "heartbeat_restored/restored/0"]);
    assert_eq!(swarm.status_of("agent-chunker-mgs").await, "ok");
    assert_eq!(swarm.ids("?type=agent").await.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_escalated_to_its_parent_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let hang = json!({ "request_id": "r1", "agent_name": "chunker-mgs", "payload": { "task": "hang" }, "timeout_s": 1 });
    let (answer, ()) = tokio::join!(swarm.invoke(hang), swarm.pass(Duration::from_secs(2)));
    assert_eq!(answer.1["status"], "timeout", "{answer:?}");
    assert_eq!(swarm.status_of("agent-chunker-mgs").await, "running");
    swarm.pass(Duration::from_secs(150)).await;
    let told = swarm.alerts("agent-chunker-mgs", 2).await;
    assert_eq!(told, ["service_down/escalated/2", "heartbeat_restored/restored/0"]);
    let body = swarm.get(MONITOR, "/alerts").await;
    assert_eq!(body["alerts"][0]["parent"], "agent-manager-data");
}

#[tokio::test(start_paused = true)]
async fn agents_are_found_by_what_they_can_do() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let find = |body| swarm.ask(ROUTER, "POST", "/discover", body);
    assert_eq!(find(json!({})).await.1["count"], 10);
    assert_eq!(find(json!({ "limit": 1000 })).await.1["count"], 50);
    assert_eq!(find(json!({ "agent_role": "coord", "limit": 50 })).await.1["count"], 11);
    assert_eq!(find(json!({ "capabilities": ["planning", "no_such"] })).await.1["count"], 0);
    let (_, found) = find(json!({ "capabilities": ["licensing_validation"] })).await;
    assert_eq!(found["agents"][0]["agent_name"], "corpus-auditor");
    assert_eq!(found["agents"][0]["status"], "ok");
    let stats = swarm.get(ROUTER, "/stats").await;
    assert_eq!(stats["total_agents"], 50);
    assert_eq!(stats["by_role"], json!({ "coord": 11, "exec": 21, "system": 18 }));
}

#[tokio::test(start_paused = true)]
async fn a_call_by_message_reaches_the_actor_in_the_callers_trace() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    let call =
        json!({ "request_id": "r1", "run_id": "run-1", "agent_name": "manager-data", "payload": { "n": 1 } });
    let (status, answer) = swarm.ask_with(ROUTER, "POST", "/invoke", call, &headers).await;
    assert_eq!((status, &answer["status"]), (200, &json!("success")));
    assert_eq!(answer["result"], json!({ "agent": "manager-data", "payload": { "n": 1 }, "trace": trace }));
    let metadata =
        json!({ "transport": "rpc", "agent_role": "coord", "tier": 1, "run_id": "run-1", "trace_id": trace });
    assert_eq!(answer["metadata"], metadata);
    let (_, by_skill) =
        swarm.invoke(json!({ "request_id": "r2", "capabilities": ["licensing_validation"] })).await;
    assert_eq!(by_skill["agent_name"], "corpus-auditor");
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    assert_eq!(swarm.invoke(json!({ "request_id": "r" })).await.0, 400);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "capabilities": [] })).await.0, 400);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "agent_name": "../x" })).await.0, 404);
    assert_eq!(swarm.invoke(json!({ "request_id": "r", "capabilities": ["flying"] })).await.0, 404);
    for (agent, task, transport, reason) in [
        ("architect", "panic", json!("rpc"), "crashed"),
        ("architect", "refuse", json!("rpc"), "no model is configured"),
        ("corpus-auditor", "", json!("mcp"), "it takes rpc"),
        ("release-coordinator", "", json!("rest"), "no endpoint"),
        ("corpus-auditor", "", json!("file"), "it takes rpc"),
    ] {
        let call = json!({ "request_id": "r", "agent_name": agent, "payload": { "task": task }, "transport": transport });
        let (status, answer) = swarm.invoke(call).await;
        assert_eq!((status, &answer["status"]), (200, &json!("error")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    let hang = json!({ "request_id": "same", "agent_name": "chunker-mgs", "payload": { "task": "hang" }, "timeout_s": 0.5 });
    let (first, second, ()) =
        tokio::join!(swarm.invoke(hang.clone()), swarm.invoke(hang), swarm.pass(Duration::from_secs(1)));
    let mut ends = [&first.1["status"], &second.1["status"]].map(|status| status.as_str().unwrap());
    ends.sort_unstable();
    assert_eq!(ends, ["error", "timeout"], "{first:?} {second:?}");
    assert!(format!("{first:?}{second:?}").contains("conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_call_by_file_goes_through_the_folders() {
    let dir = tempfile::tempdir().unwrap();
    let swarm = start(dir.path()).await;
    let call =
        json!({ "request_id": "r1", "agent_name": "architect", "transport": "file", "payload": { "n": 1 } });
    let passing = async {
        loop {
            swarm.pass(Duration::from_secs(1)).await
        }
    };
    let answered = async {
        let (_, answer) = swarm.invoke(call.clone()).await;
        assert_eq!(
            (&answer["status"], &answer["result"]["agent"]),
            (&json!("success"), &json!("architect")),
            "{answer}"
        );
        assert_eq!(answer["metadata"]["transport"], "file");
        let (_, again) = swarm.invoke(call).await;
        assert!(again["error"].as_str().unwrap().contains("conflict"), "{again}");
        for id in ["../r1", "/etc/passwd", ".."] {
            let call = json!({ "request_id": id, "agent_name": "architect", "transport": "file" });
            let (_, refused) = swarm.invoke(call).await;
            assert!(refused["error"].as_str().unwrap().contains("cannot name a file"), "{refused}");
        }
        // A client that only knows the folders.
        let inbox = dir.path().join("artifacts/agent_inbox/architect");
        std::fs::write(inbox.join("mine.json"), r#"{"payload": {"task": "refuse"}}"#).unwrap();
        std::fs::write(inbox.join("broken.json"), "{").unwrap();
        let outbox = dir.path().join("artifacts/agent_outbox/architect");
        while !outbox.join("mine.json").exists() || !inbox.join("rejected/broken.json.reason.txt").exists() {
            tokio::task::yield_now().await;
        }
        let answer: Value =
            serde_json::from_slice(&std::fs::read(outbox.join("mine.json")).unwrap()).unwrap();
        assert_eq!((&answer["status"], &answer["request_id"]), (&json!("error"), &json!("mine")));
        assert!(answer["error"].as_str().unwrap().contains("no model"), "{answer}");
    };
    tokio::select! {
        () = answered => {}
        () = passing => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_by_file_that_a_dead_daemon_left_is_answered_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let working = dir.path().join("artifacts/agent_inbox/architect/working");
    std::fs::create_dir_all(&working).unwrap();
    std::fs::write(working.join("r1.json"), "{}").unwrap();
    let swarm = start(dir.path()).await;
    let answer = dir.path().join("artifacts/agent_outbox/architect/r1.json");
    while !answer.exists() {
        swarm.pass(Duration::from_millis(250)).await;
    }
    let answer: Value = serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap();
    assert!(answer["error"].as_str().unwrap().contains("whether it took effect is not known"), "{answer}");
}
