//! The floor of the gateway's bench, and the vendor behind both sides.
//!
//! The floor is a minimal hop: axum in front, hyper's client behind, the request parsed, the usage read, a
//! receipt kept in memory. The vendor sends prepared answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Makes this program the floor: `--hop-side <address of the vendor>`.
pub(crate) const HOP_SIDE: &str = "--hop-side";
/// Events of a streamed answer.
pub(crate) const EVENTS: usize = 23;
/// Paths of soft state that the floor answers too.
pub(crate) const TRACK: &str = "/track";
pub(crate) const BEAT: &str = "/heartbeat";

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

/// A vendor with prepared answers, which cost next to nothing.
pub(crate) async fn vendor() -> anyhow::Result<SocketAddr> {
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

/// One hop: parse, forward, read the usage, keep a receipt.
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

/// Parses a body and answers: the minimum for any handler.
async fn parsed(body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    axum::Json(json!({ "status": "ok", "seen": body.is_object() })).into_response()
}

/// The program as the floor: prints the address and serves until killed.
pub(crate) fn hop_side(vendor: &str) -> anyhow::Result<()> {
    let runtime = crate::runtime(2)?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let vendor: Arc<str> = format!("http://{vendor}/v1/chat/completions").into();
        let state = Hop { client, vendor, receipts: Arc::default() };
        let router = Router::new()
            .route("/v1/chat/completions", post(hop))
            .route(TRACK, post(parsed))
            .route(BEAT, put(parsed))
            .with_state(state);
        let address = serve(router).await?;
        crate::say(&address.to_string());
        std::future::pending().await
    })
}
