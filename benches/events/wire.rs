//! A WebSocket client that costs next to nothing, and a publisher, so that only the server is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The kind of the events published here; a daemon also sends others.
pub(super) const KIND: &str = "bench";
/// Text in every event of that kind, in the form of both servers.
const MARK: &[u8] = b"\"bench\"";
/// Receive buffer of a client that does not read; small, because the kernel's buffering is not the server's.
const SLOW_BUFFER: u32 = 4 * 1024;

/// One client of `/ws`.
pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Offset of the next frame in the buffer.
    begin: usize,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Self::over(TcpSocket::new_v4()?, address).await
    }

    /// A client with a small receive buffer in the kernel.
    pub(super) async fn connect_slow(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
        Self::over(socket, address).await
    }

    async fn over(socket: TcpSocket, address: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = socket.connect(address).await?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
            if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                ensure!(buffer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer));
                return Ok(Self { stream, buffer, begin: end + 4 });
            }
        }
    }

    /// The text of the next event published here.
    pub(super) async fn next(&mut self) -> anyhow::Result<&[u8]> {
        loop {
            let Some((text, end)) = frame(&self.buffer[self.begin..]) else {
                self.buffer.drain(..self.begin);
                self.begin = 0;
                ensure!(
                    self.stream.read_buf(&mut self.buffer).await? > 0,
                    "the server closed the connection"
                );
                continue;
            };
            let (from, to) = (self.begin + text, self.begin + end);
            self.begin = to;
            if self.buffer[from..to].windows(MARK.len()).any(|bytes| bytes == MARK) {
                return Ok(&self.buffer[from..to]);
            }
        }
    }
}

/// Begin and end of the first frame's payload, once complete; a server's frames have no mask.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let short = usize::from(*bytes.get(1)?);
    let (begin, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        _ => (2, short),
    };
    (bytes.len() >= begin + length).then_some((begin, begin + length))
}

/// Publishes over a few kept-alive connections.
#[derive(Clone)]
pub(super) struct Publisher {
    http: reqwest::Client,
    url: String,
    /// Epoch of `sent_us`.
    epoch: Instant,
    filler: String,
}

impl Publisher {
    /// A publisher whose events carry `filler` bytes of padding.
    pub(super) fn new(address: SocketAddr, filler: usize) -> anyhow::Result<Self> {
        let http = pas::llm::tls::plain_client_builder()?.tcp_nodelay(true).build()?;
        let url = format!("http://{address}/broadcast");
        Ok(Self { http, url, epoch: Instant::now(), filler: "x".repeat(filler) })
    }

    pub(super) async fn publish(&self) -> anyhow::Result<()> {
        let sent_us = u64::try_from(self.epoch.elapsed().as_micros())?;
        let body = json!({ "event_type": KIND, "data": { "sent_us": sent_us, "filler": self.filler } });
        let answer = self.http.post(&self.url).json(&body).send().await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await?;
        Ok(())
    }

    /// Time since this publisher sent an event.
    pub(super) fn age(&self, event: &[u8]) -> anyhow::Result<Duration> {
        let event: Value = serde_json::from_slice(event)?;
        let sent = event["data"]["sent_us"].as_u64().context("an event without its time")?;
        Ok(self.epoch.elapsed().saturating_sub(Duration::from_micros(sent)))
    }
}
