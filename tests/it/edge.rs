//! The HTTP edge over real sockets: the answers to hostile, slow and broken clients, and to good ones.
//!
//! Limits are tiny here, so the tests wait for no longer than those.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use parking_lot::Mutex;
use pas::http::access_token::AccessToken;
use pas::http::extract::ContractJson;
use pas::http::server::EdgeError;
use pas::http::sse::{SinceSeq, SseEvent};
use pas::http::trace::{HttpSpan, RequestTrace, SpanRecorder};
use pas::http::{EdgeInfo, EdgeServer, ListenerSpec, PortContract, PortLimits, page};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than any answer on a busy machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// The waits that tests provoke.
const TINY: Duration = Duration::from_millis(150);

struct Edge {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<HttpSpan>>>,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

fn limits() -> PortLimits {
    PortLimits {
        header_read: PATIENCE,
        keep_alive_idle: PATIENCE,
        body_read: PATIENCE,
        ..PortLimits::default()
    }
}

fn router() -> Router {
    let endless = async |SinceSeq(since): SinceSeq, Extension(edge): Extension<EdgeInfo>| {
        let events = stream::unfold(since + 1, |id| async move {
            // The first event comes at once, then silence.
            if id > 1 {
                std::future::pending::<()>().await;
            }
            Some((SseEvent { id, kind: "started", data: json!({ "seq": id }) }, id + 1))
        });
        pas::http::sse::stream(events, &edge)
    };
    Router::new()
        .route("/echo", post(async |ContractJson(body): ContractJson<Value>| Json(body)))
        .route("/trace", get(async |RequestTrace(context): RequestTrace| context.traceparent()))
        .route("/never", get(std::future::pending::<&'static str>))
        .route("/panic", get(async || -> &'static str { panic!("the secret is 42") }))
        .route("/rejected", get(async |_: axum::extract::Query<Vec<u8>>| "unused"))
        .route("/events", get(endless))
        .merge(page::routes(PortContract::load("registry").unwrap(), page::plain_health()))
}

async fn start(limits: PortLimits) -> Edge {
    start_with(limits, pas::http::limits::SHUTDOWN).await
}

async fn start_with(limits: PortLimits, grace: Duration) -> Edge {
    let connections = limits.max_connections;
    start_on(limits, grace, connections).await
}

async fn start_on(limits: PortLimits, grace: Duration, connections: usize) -> Edge {
    let listener = ListenerSpec::new("registry", 0, router()).limits(limits);
    let server = EdgeServer::bind(Ipv4Addr::LOCALHOST.into(), None, vec![listener]).await.unwrap();
    serve(server.grace(grace).connections(connections))
}

fn serve(server: EdgeServer) -> Edge {
    let address = server.addresses().next().unwrap().1;
    let spans = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&spans);
    let recorder: Arc<dyn SpanRecorder> = Arc::new(move |span| sink.lock().push(span));
    let shutdown = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "the test owns the task by its handle")]
    let served = tokio::spawn(server.serve(recorder, shutdown.clone()));
    Edge { address, spans, shutdown, served }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| Some(line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))?.1))
    }
}

impl Edge {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn request(&self, line: &str, headers: &str, body: &str) -> String {
        format!("{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n{body}", self.address)
    }

    async fn ask(&self, line: &str, headers: &str, body: &str) -> Answer {
        self.send(&self.request(line, headers, body)).await
    }

    async fn send(&self, raw: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(raw.as_bytes()).await.unwrap();
        answer(&rest(&mut stream).await)
    }
}

/// Everything until the daemon closes; a reset counts as closing.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the daemon did not close");
    if let Err(error) = read {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(bytes).unwrap()
}

fn answer(raw: &str) -> Answer {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {raw:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains(wanted) {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("nothing comes").unwrap();
        assert!(count > 0, "closed after {seen:?}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    seen
}

#[tokio::test]
async fn the_common_pages_follow_from_the_contract() {
    let edge = start(limits()).await;
    let health = edge.ask("GET /health", "", "").await;
    assert_eq!(health.json(), json!({ "status": "ok" }));
    assert!(health.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let root = edge.ask("GET /", "", "").await.json();
    assert_eq!(root["service"], "registry");
    assert_eq!(root["port"], edge.address.port());
    assert_eq!(root["endpoints"]["heartbeat"], "PUT /heartbeat");
    assert_eq!(edge.ask("GET /openapi.json", "", "").await.json()["openapi"], "3.1.0");
    let docs = edge.ask("GET /docs", "", "").await;
    assert_eq!(docs.status, 200);
    assert!(docs.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for (file, kind) in [
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
        ("swagger-initializer.js", "text/javascript"),
    ] {
        assert!(docs.body.contains(&format!("\"/docs/{file}\"")), "{file}");
        let asset = edge.ask(&format!("GET /docs/{file}"), "", "").await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(kind)), "{file}");
    }
    assert_eq!(edge.ask("GET /docs/other.js", "", "").await.status, 404);
}

#[tokio::test]
async fn errors_of_the_edge_have_the_contract_form() {
    let edge = start(limits()).await;
    let unknown = edge.ask("GET /nothing", "", "").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("/nothing"));
    let method = edge.ask("DELETE /echo", "", "").await;
    assert_eq!((method.status, method.header("allow")), (405, Some("POST")));
    assert!(method.json()["detail"].as_str().unwrap().contains("DELETE"));
    let rejected = edge.ask("GET /rejected?a=b", "", "").await;
    assert_eq!(rejected.status, 400);
    assert!(rejected.json()["detail"].as_str().unwrap().contains("query string"), "{}", rejected.body);
    let panicked = edge.ask("GET /panic", "", "").await;
    assert_eq!(panicked.status, 500);
    assert!(!panicked.body.contains("secret") && panicked.json()["detail"].is_string());
    let malformed =
        edge.ask("POST /echo", "content-type: application/json\r\ncontent-length: 1\r\n", "{").await;
    assert_eq!((malformed.status, &malformed.json()["detail"][0]["type"]), (422, &json!("json_invalid")));
    assert_eq!(edge.ask("GET /health", "", "").await.status, 200, "the daemon lives on");
}

#[tokio::test]
async fn strangers_are_refused() {
    let edge = start(limits()).await;
    let port = edge.address.port();
    let host = edge
        .send(&format!("GET /health HTTP/1.1\r\nhost: evil.test:{port}\r\nconnection: close\r\n\r\n"))
        .await;
    assert_eq!(host.status, 403);
    assert!(host.json()["detail"].as_str().unwrap().contains(&port.to_string()));
    for origin in ["null", "http://evil.test", "http://localhost:1"] {
        let refused = edge.ask("GET /health", &format!("origin: {origin}\r\n"), "").await;
        assert_eq!(refused.status, 403, "{origin}");
    }
    let own = edge.ask("GET /health", &format!("origin: http://localhost:{port}\r\n"), "").await;
    assert_eq!(own.status, 200);
    let form = edge.ask("POST /echo", "content-type: text/plain\r\ncontent-length: 2\r\n", "{}").await;
    assert_eq!(form.status, 415);
    assert!(form.json()["detail"].is_string());
}

#[tokio::test]
async fn large_bodies_are_refused_before_and_while_they_come() {
    let edge = start(PortLimits { max_body: 64, ..limits() }).await;
    let kind = "content-type: application/json\r\n";
    // No byte of the announced body is sent: the refusal does not wait for the body.
    let announced = edge.ask("POST /echo", &format!("{kind}content-length: 65\r\n"), "").await;
    assert_eq!(announced.status, 413);
    assert!(announced.json()["detail"].as_str().unwrap().contains("64 bytes"));
    let chunk = format!("41\r\n\"{}\"\r\n0\r\n\r\n", "a".repeat(63));
    let streamed = edge.ask("POST /echo", &format!("{kind}transfer-encoding: chunked\r\n"), &chunk).await;
    assert_eq!(streamed.status, 413);
    let fits = format!("\"{}\"", "a".repeat(62));
    let fitting = edge.ask("POST /echo", &format!("{kind}content-length: 64\r\n"), &fits).await;
    assert_eq!((fitting.status, fitting.body), (200, fits));
}

#[tokio::test]
async fn heads_have_a_size_and_a_time() {
    let edge = start(PortLimits { header_read: TINY, max_header_bytes: 1024, ..limits() }).await;
    let fat = edge.ask("GET /health", &format!("x: {}\r\n", "a".repeat(2000)), "").await;
    assert_eq!(fat.status, 431);

    let mut silent = edge.connect().await;
    assert_eq!(rest(&mut silent).await, "");

    let (mut reading, mut writing) = edge.connect().await.into_split();
    let drip = async {
        let mut interval = tokio::time::interval(TINY / 10);
        for byte in b"GET /health HTTP/1.1\r\n".iter().chain(std::iter::repeat(&b'x')) {
            interval.tick().await;
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let mut seen = Vec::new();
    let closed = async { reading.read_to_end(&mut seen).await };
    tokio::select! {
        () = drip => {}
        outcome = timeout(PATIENCE, closed) => { outcome.expect("a dripped head was kept open").ok(); }
    }
    assert!(seen.is_empty());
}

#[tokio::test]
async fn a_dripped_body_runs_out_of_time() {
    let edge = start(PortLimits { body_read: TINY, ..limits() }).await;
    let mut stream = edge.connect().await;
    let head = edge.request("POST /echo", "content-type: application/json\r\ncontent-length: 1000\r\n", "\"");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let drip = async {
        let mut interval = tokio::time::interval(TINY / 10);
        loop {
            interval.tick().await;
            if writing.write_all(b"a").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut seen = vec![0; 4096];
    let count = tokio::select! {
        () = drip => unreachable!("the drip never ends"),
        count = timeout(PATIENCE, reading.read(&mut seen)) => count.expect("a dripped body was kept open").unwrap(),
    };
    let refused = answer(std::str::from_utf8(&seen[..count]).unwrap());
    assert_eq!(refused.status, 408);
    assert!(refused.json()["detail"].as_str().unwrap().contains("did not arrive"));
}

#[tokio::test]
async fn kept_alive_connections_serve_again_and_then_idle_out() {
    let edge = start(PortLimits { keep_alive_idle: TINY, ..limits() }).await;
    let mut stream = edge.connect().await;
    let request = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", edge.address);
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut stream, "{\"status\":\"ok\"}").await;
    }
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_full_port_says_so_and_recovers() {
    let edge = start(PortLimits { max_connections: 1, ..limits() }).await;
    let mut first = edge.connect().await;
    first.write_all(edge.request("GET /events", "", "").as_bytes()).await.unwrap();
    read_until(&mut first, "id: 1").await;
    let refused = edge.ask("GET /health", "", "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.json()["detail"].as_str().unwrap().contains("too many connections"));
    drop(first);
    // The place is free as soon as the daemon has noticed.
    let recovered = timeout(PATIENCE, async { while edge.ask("GET /health", "", "").await.status != 200 {} });
    recovered.await.expect("the place was never freed");
}

#[tokio::test]
async fn the_longest_idle_connection_gives_way_when_all_places_of_all_ports_are_taken() {
    let edge = start_on(PortLimits::default(), pas::http::limits::SHUTDOWN, 3).await;
    let kept_alive = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", edge.address);
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut stream = edge.connect().await;
        stream.write_all(kept_alive.as_bytes()).await.unwrap();
        read_until(&mut stream, "\"status\"").await;
        idle.push(stream);
    }
    let mut stream = edge.connect().await;
    stream.write_all(edge.request("GET /events", "", "").as_bytes()).await.unwrap();
    read_until(&mut stream, "id: 1").await;
    rest(&mut idle[0]).await;
    idle[2].write_all(edge.request("GET /health", "", "").as_bytes()).await.unwrap();
    assert!(rest(&mut idle[2]).await.contains("200 OK"), "the others stay");
}

#[tokio::test]
async fn streams_outlive_the_idle_limit_and_end_with_the_daemon() {
    let edge =
        start(PortLimits { header_read: TINY, keep_alive_idle: TINY, body_read: TINY, ..limits() }).await;
    let mut stream = edge.connect().await;
    stream.write_all(edge.request("GET /events", "", "").as_bytes()).await.unwrap();
    let seen = read_until(&mut stream, "data: {\"seq\":1}").await;
    assert!(seen.contains("event: started") && seen.contains("text/event-stream"), "{seen}");
    let mut more = [0; 64];
    assert!(timeout(TINY * 3, stream.read(&mut more)).await.is_err(), "the stream was cut");
    edge.shutdown.cancel();
    // The last chunk: ended, not cut.
    assert!(rest(&mut stream).await.ends_with("0\r\n\r\n"));
    timeout(PATIENCE, edge.served).await.expect("the edge does not stop").unwrap();
    assert!(TcpStream::connect(edge.address).await.is_err());
}

#[tokio::test]
async fn a_request_continues_its_callers_trace_and_is_recorded() {
    let edge = start(limits()).await;
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = edge.ask("GET /trace", &format!("traceparent: {caller}\r\n"), "").await;
    assert_eq!(traced.header("traceparent"), Some(traced.body.as_str()));
    assert!(traced.body.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && traced.body != caller);
    let fresh = edge.ask("GET /nothing", "traceparent: garbage\r\n", "").await;
    assert!(fresh.header("traceparent").is_some());
    let spans = edge.spans.lock();
    let told: Vec<_> = spans
        .iter()
        .map(|span| (span.path(), span.status.map(|s| s.as_u16()), span.parent.map(|p| p.to_string())))
        .collect();
    assert_eq!(
        told,
        [("/trace", Some(200), Some("00f067aa0ba902b7".to_owned())), ("(unmatched)", Some(404), None)]
    );
    assert_eq!(spans[0].port, edge.address.port());
}

#[tokio::test]
async fn a_vendor_s_client_shows_the_token_as_its_key_and_no_trace_has_it() {
    const TOKEN: &str = "0123456789abcdef";
    let gemini = "/v1beta/models/{*id}";
    let router = Router::new().route(gemini, post(async || "ok")).route("/v1/messages", post(async || "ok"));
    let listener = ListenerSpec::new("gateway", 0, router).limits(limits()).speaking_for_vendors(true);
    let token = AccessToken::new(TOKEN);
    let server = EdgeServer::bind(Ipv4Addr::LOCALHOST.into(), token, vec![listener]).await.unwrap();
    let edge = serve(server);
    let call = "POST /v1beta/models/m:generateContent";
    let refused = edge.ask(call, "", "").await;
    assert_eq!((refused.status, &refused.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    assert!(refused.body.contains("API key"), "{}", refused.body);
    assert_eq!(edge.ask(&format!("{call}?key=of-another"), "", "").await.status, 401);
    assert_eq!(edge.ask(call, &format!("x-goog-api-key: {TOKEN}\r\n"), "").await.status, 200);
    assert_eq!(edge.ask(&format!("{call}?alt=sse&key={TOKEN}"), "", "").await.status, 200);
    let key = format!("x-api-key: {TOKEN}\r\n");
    assert_eq!(edge.ask("POST /v1/messages", &key, "").await.status, 200);
    assert_eq!(edge.ask(call, &key, "").await.status, 401, "it is no key of that vendor");
    assert!(edge.spans.lock().iter().all(|span| !format!("{span:?}").contains(TOKEN)));
}

#[tokio::test]
async fn a_port_in_use_and_a_missing_token_are_told_plainly() {
    let edge = start(limits()).await;
    let taken = ListenerSpec::new("registry", edge.address.port(), Router::new());
    let error = EdgeServer::bind(Ipv4Addr::LOCALHOST.into(), None, vec![taken]).await.unwrap_err();
    assert!(matches!(error, EdgeError::PortInUse { .. }));
    let text = error.to_string();
    for part in [edge.address.port().to_string().as_str(), "registry", "--port-offset"] {
        assert!(text.contains(part), "{text}");
    }
    let error = EdgeServer::bind(Ipv4Addr::UNSPECIFIED.into(), None, Vec::new()).await.unwrap_err();
    assert!(matches!(error, EdgeError::TokenMissing(_)), "{error}");
}

#[tokio::test]
async fn a_request_under_way_has_the_configured_grace_at_the_end_and_no_more() {
    let grace = Duration::from_secs(17);
    let edge = start_with(limits(), grace).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let request = format!("GET /never HTTP/1.1\r\nHost: {}\r\n\r\n", edge.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    // Once this is handled, so is every earlier request.
    let mut second = TcpStream::connect(edge.address).await.unwrap();
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", edge.address);
    second.write_all(request.as_bytes()).await.unwrap();
    second.read_u8().await.unwrap();
    tokio::time::pause();
    let asked = tokio::time::Instant::now();
    edge.shutdown.cancel();
    edge.served.await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), grace.as_secs());
}
