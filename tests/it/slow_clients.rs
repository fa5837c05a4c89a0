//! Clients of the event stream that read nothing: a thousand, of every kind, cost their buffers and delay
//! nobody.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Api, PATIENCE, Place, http_client, until};

const PORT: u16 = 6102;
/// The stalled clients, by how they follow: together a thousand.
const SOCKET_IO: usize = 250;
const WEBSOCKETS: usize = 150;
const SSE: usize = 150;
const POLLS: usize = 100;
const SESSIONS: usize = 350;
/// Histories requested and not read by each client of Socket.IO.
const HISTORIES: usize = 100;
/// Events sent meanwhile.
const BROADCASTS: usize = 24;
const BROADCAST_BYTES: usize = 500_000;
/// Peak memory allowed for the daemon.
const CEILING_BYTES: u64 = 256 << 20;
/// Most text in memory for clients: 4 MiB of events in memory, one more event, and a few histories.
const MOST_HELD: u64 = 12 << 20;

/// A connection that has sent a request and will read nothing.
async fn stalled(api: &Api, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer, as the kernel's buffering for a client is not under test.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(api.address_of(PORT).parse().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

fn get(api: &Api, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", api.address_of(PORT)).into_bytes()
}

fn handshake(api: &Api, path: &str) -> Vec<u8> {
    let host = api.address_of(PORT);
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n").into_bytes()
}

/// A client's frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A session by polling that is connected and does not poll.
async fn session(api: &Api, client: &reqwest::Client) -> String {
    let base = format!("http://{}/socket.io/?EIO=4&transport=polling", api.address_of(PORT));
    let opened = client.get(&base).send().await.unwrap().text().await.unwrap();
    let opened: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    let sid = opened["sid"].as_str().unwrap().to_owned();
    let body = "40\u{1e}42[\"request_history\"]";
    let answer = client.post(format!("{base}&sid={sid}")).body(body).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    sid
}

async fn metric(api: &Api, name: &str) -> u64 {
    let text = String::from_utf8(api.bytes("/metrics").await).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
}

/// The peak resident memory of a process, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_read_nothing_cost_little_and_hold_up_nobody() {
    let place = Place::with_documents(1);
    let process = place.start_process().await;
    let api = &process.api;
    let mut connections = Vec::new();
    for _ in 0..SSE {
        connections.push(stalled(api, &get(api, "/events")).await);
    }
    let client = http_client();
    for _ in 0..SESSIONS {
        session(api, &client).await;
    }
    for _ in 0..POLLS {
        let sid = session(api, &client).await;
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        connections.push(stalled(api, &get(api, &path)).await);
    }
    let asks: Vec<u8> =
        [frame("40"), (0..HISTORIES).flat_map(|_| frame("42[\"request_history\"]")).collect()].concat();
    for _ in 0..SOCKET_IO {
        let bytes = [handshake(api, "/socket.io/?EIO=4&transport=websocket"), asks.clone()].concat();
        connections.push(stalled(api, &bytes).await);
    }
    for _ in 0..WEBSOCKETS {
        connections.push(stalled(api, &handshake(api, "/ws")).await);
    }
    let all = (SOCKET_IO + WEBSOCKETS + SSE + SESSIONS + POLLS) as u64;
    assert_eq!(all, 1000);
    until("they are followed for", async || {
        (metric(api, "pas_event_clients").await >= (SSE + POLLS) as u64).then_some(())
    })
    .await;

    let mut good = connect_async(format!("ws://{}/ws", api.address_of(PORT))).await.unwrap().0;
    let text = "x".repeat(BROADCAST_BYTES);
    for number in 0..BROADCASTS {
        let body = json!({ "event_type": "large", "data": { "number": number, "text": text } });
        let sent = client.post(format!("http://{}/broadcast", api.address_of(PORT))).json(&body).send().await;
        let seq = sent.unwrap().json::<Value>().await.unwrap()["seq"].clone();
        loop {
            let message = timeout(PATIENCE, good.next()).await.expect("nobody waits").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let event: Value = serde_json::from_str(&text).unwrap();
            if event["event_type"] == "large" {
                assert_eq!((&event["data"]["number"], &event["seq"]), (&json!(number), &seq));
                break;
            }
        }
        let held = metric(api, "pas_event_held_bytes").await;
        assert!(held < MOST_HELD, "{held} bytes are held after {number} broadcasts");
    }
    let peak = peak(process.pid());
    assert!(peak < CEILING_BYTES, "the daemon took {peak} bytes");
    until("those who read nothing over WebSocket are cut", async || {
        let left = metric(api, "pas_event_clients").await;
        (left <= all - (SOCKET_IO + WEBSOCKETS) as u64 + 1).then_some(())
    })
    .await;
    drop(connections);
}
