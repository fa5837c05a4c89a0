//! The gateway: a model call through PAS against the least that a hop can be.
//!
//! The floor is a program of its own (this one, started again): axum in front, hyper's client behind, the
//! request parsed, the usage read, a receipt kept in memory. PAS does the same and chooses a provider, holds
//! and settles the cost, writes the receipt to its file and its store, and traces the call. Both are
//! processes, so their CPU time is theirs alone; the vendor and the clients live in this one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::child::{Daemon, Side};
use crate::machine::{cpu_time, resident};
use crate::measure::{median, percentile};
use crate::report::{Aim, Row, number};

/// Makes this program the floor: `--hop-side <address of the vendor>`.
pub(crate) const HOP_SIDE: &str = "--hop-side";

const CONNECTIONS: usize = 32;
/// Calls of one round: seconds of work, so that the clock of CPU time (10 ms) is fine enough.
const CALLS: usize = 4_000;
const STREAMS: usize = 1_000;
const ROUNDS: usize = 3;
/// Calls one after another.
const SINGLE: usize = 1_500;
/// Events of a streamed answer.
const EVENTS: usize = 23;
const GATEWAY: u16 = 6120;
/// Stalls of delayed acknowledgements end after 40 ms: no call may take as long as that.
const STALL_MS: std::ops::Range<f64> = 38.0..45.0;
const MIB: f64 = 1024.0 * 1024.0;

fn answer() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000, "model": "gpt-5-codex",
        "choices": [{ "index": 0, "finish_reason": "stop",
                      "message": { "role": "assistant", "content": "A short answer of some twenty words. ".repeat(4) } }],
        "usage": { "prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160 },
    })
}

fn events() -> Vec<Bytes> {
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_780_000_000, "model": "gpt-5-codex",
            "choices": if usage.is_null() { json!([{ "index": 0, "delta": delta, "finish_reason": finish }]) } else { json!([]) },
            "usage": usage,
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let mut all = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null, Value::Null)];
    all.extend(
        (0..EVENTS - 4).map(|n| chunk(json!({ "content": format!("word{n} ") }), Value::Null, Value::Null)),
    );
    all.push(chunk(json!({}), json!("stop"), Value::Null));
    all.push(chunk(Value::Null, Value::Null, answer()["usage"].clone()));
    all.push(Bytes::from_static(b"data: [DONE]\n\n"));
    all
}

/// A vendor that costs next to nothing: it answers what it prepared.
async fn vendor() -> anyhow::Result<SocketAddr> {
    let (whole, chunks) = (Bytes::from(answer().to_string()), events());
    let handler = move |body: Bytes| {
        let (whole, chunks) = (whole.clone(), chunks.clone());
        async move {
            if body.windows(13).any(|part| part == b"\"stream\":true") {
                let body = Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, Infallible>)));
                ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
            } else {
                ([(CONTENT_TYPE, "application/json")], whole).into_response()
            }
        }
    };
    serve(Router::new().route("/v1/chat/completions", post(handler))).await
}

/// Serves on a free port until the runtime ends; where.
pub(crate) async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    use axum::serve::ListenerExt as _;
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    // Without this each write may wait 40 ms for an acknowledgement.
    let socket = socket.tap_io(|stream| drop(stream.set_nodelay(true)));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(socket, router).await });
    serving.detach_all();
    Ok(address)
}

#[derive(Clone)]
struct Hop {
    client: Client<HttpConnector, Full<Bytes>>,
    vendor: Arc<str>,
    receipts: Arc<Mutex<Vec<(u64, u64)>>>,
}

/// One hop: parse, send on, read the usage, keep a receipt.
async fn hop(State(hop): State<Hop>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let request =
        hyper::Request::post(&*hop.vendor).header(CONTENT_TYPE, "application/json").body(Full::new(body));
    let Ok(answered) = hop.client.request(request.unwrap_or_default()).await else {
        return axum::http::StatusCode::BAD_GATEWAY.into_response();
    };
    let receipts = Arc::clone(&hop.receipts);
    let keep = move |usage: &Value| {
        let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
        receipts.lock().push((tokens("prompt_tokens"), tokens("completion_tokens")));
    };
    if asked["stream"] == true {
        let passed = answered.into_body().into_data_stream().map(move |bytes| {
            if let Ok(bytes) = &bytes {
                for event in
                    bytes.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "))
                {
                    let event: Value = serde_json::from_slice(event).unwrap_or_default();
                    if !event["usage"].is_null() {
                        keep(&event["usage"]);
                    }
                }
            }
            bytes
        });
        return ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(passed)).into_response();
    }
    let Ok(whole) = answered.into_body().collect().await.map(http_body_util::Collected::to_bytes) else {
        return axum::http::StatusCode::BAD_GATEWAY.into_response();
    };
    let told: Value = serde_json::from_slice(&whole).unwrap_or_default();
    keep(&told["usage"]);
    ([(CONTENT_TYPE, "application/json")], whole).into_response()
}

/// The program as the floor: prints its address and serves until it is ended.
pub(crate) fn hop_side(vendor: &str) -> anyhow::Result<()> {
    let runtime = crate::runtime(2)?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let vendor: Arc<str> = format!("http://{vendor}/v1/chat/completions").into();
        let state = Hop { client, vendor, receipts: Arc::default() };
        let address = serve(Router::new().route("/v1/chat/completions", post(hop)).with_state(state)).await?;
        crate::say(&address.to_string());
        std::future::pending().await
    })
}

/// Who is asked: its process and its address.
struct Asked {
    pid: Option<u32>,
    url: String,
}

fn request(stream: bool) -> Value {
    let mut body = json!({
        "model": "openai/gpt-5-codex", "max_completion_tokens": 200,
        "messages": [{ "role": "system", "content": "Answer shortly." },
                     { "role": "user", "content": "What does a governor of a steam engine do? ".repeat(10) }],
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

/// Makes calls over so many connections; how long each took, in microseconds.
async fn load(url: &str, calls: usize, connections: usize, stream: bool) -> anyhow::Result<Vec<f64>> {
    let client = pas::llm::tls::plain_client_builder()?.tcp_nodelay(true).build()?;
    let body = Bytes::from(request(stream).to_string());
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (client, body, url) = (client.clone(), body.clone(), url.to_owned());
        tasks.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..calls / connections {
                let from = Instant::now();
                let answer = client.post(&url).header(CONTENT_TYPE, "application/json").body(body.clone());
                let answer = answer.send().await?;
                let status = answer.status();
                let bytes = answer.bytes().await?;
                ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
                took.push(from.elapsed().as_secs_f64() * 1e6);
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// CPU microseconds a call of the asked process, at [`CONNECTIONS`].
async fn cpu_a_call(asked: &Asked, calls: usize, stream: bool) -> anyhow::Result<f64> {
    let pid = asked.pid.context("no process")?;
    let before = cpu_time(pid)?;
    let made = load(&asked.url, calls, CONNECTIONS, stream).await?.len();
    Ok((cpu_time(pid)? - before).as_secs_f64() * 1e6 / made as f64)
}

/// Both sides in turn: medians of ours and of the floor, and of the ratios.
async fn cpu_pair(
    ours: &Asked,
    floor: &Asked,
    calls: usize,
    stream: bool,
) -> anyhow::Result<(f64, f64, f64)> {
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (x, y) = (cpu_a_call(ours, calls, stream).await?, cpu_a_call(floor, calls, stream).await?);
        if round > 0 {
            a.push(x);
            b.push(y);
            ratios.push(x / y);
        }
    }
    Ok((median(&a), median(&b), median(&ratios)))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let folder = crate::scratch()?;
    let (vendors, clients) = (crate::runtime(1)?, crate::runtime(1)?);
    let vendor = vendors.block_on(vendors.spawn(vendor()))??;
    let settings =
        format!("[providers.openai]\nbase_url = \"http://{vendor}/v1\"\napi_key = \"sk-bench-0123456789\"\n");
    let daemon = Daemon::start(folder.path(), &settings)?;
    let hop = Side::start(&[HOP_SIDE, &vendor.to_string()])?;
    let path = "/v1/chat/completions";
    let ours = Asked { pid: Some(daemon.pid()), url: format!("http://{}{path}", daemon.address(GATEWAY)) };
    let floor = Asked { pid: Some(hop.pid()), url: format!("http://{}{path}", hop.said()) };
    let direct = format!("http://{vendor}{path}");
    std::thread::sleep(Duration::from_secs(1));
    clients.block_on(async {
        let (cpu, cpu_floor, cpu_ratio) = cpu_pair(&ours, &floor, CALLS, false).await?;
        let (stream, stream_floor, stream_ratio) = cpu_pair(&ours, &floor, STREAMS, true).await?;
        let mut single = Vec::new();
        for url in [&direct, &ours.url, &floor.url] {
            load(url, SINGLE / 5, 1, false).await?;
            single.push(load(url, SINGLE, 1, false).await?);
        }
        let p50: Vec<f64> = single.iter().map(|took| percentile(took, 50)).collect();
        let streams = load(&ours.url, SINGLE / 5, 1, true).await?;
        let stalled = single[1].iter().chain(&streams).filter(|us| STALL_MS.contains(&(**us / 1e3))).count();
        let made = (ROUNDS + 1) * (CALLS + STREAMS) + SINGLE;
        let memory = resident(daemon.pid())? as f64 / MIB;
        let us = |value: f64| format!("{} µs", number(value));
        Ok(vec![
            Row::new(format!("model call, CPU at {CONNECTIONS} connections"), cpu_ratio, "×")
                .sides(us(cpu), us(cpu_floor))
                .aim(Aim::AtMost(2.0))
                .note("the baseline parses, sends on and keeps a receipt in memory, on axum and hyper"),
            Row::new(format!("streamed call of {EVENTS} events, CPU"), stream_ratio, "×")
                .sides(us(stream), us(stream_floor))
                .aim(Aim::AtMost(1.3)),
            Row::new("model call, added at p50 with one connection", p50[1] - p50[0], " µs")
                .sides(us(p50[1]), us(p50[2]))
                .aim(Aim::AtMost(120.0))
                .note(format!("beside the vendor itself ({}); no budget caps the run", us(p50[0]))),
            Row::new("calls in the band of a 40 ms stall", stalled as f64, "").aim(Aim::AtMost(0.0)),
            Row::new(format!("memory after {made} model calls"), memory, " MiB"),
        ])
    })
}
