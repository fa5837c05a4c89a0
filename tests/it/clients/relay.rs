//! A relay before a daemon that keeps the requests of a client as it sent them.
//!
//! Answers pass piece by piece. A client that leaves its answer leaves the daemon's too.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::http_client;

/// Headers of one connection, which the next one has of its own.
const OF_CONNECTION: [&str; 5] = ["host", "connection", "keep-alive", "transfer-encoding", "content-length"];

/// An answer that passes, or the reason why there is none.
type RelayedBody = UnsyncBoxBody<Bytes, reqwest::Error>;

/// A request as its client sent it.
#[derive(Debug, Clone)]
pub(super) struct ClientRequest {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ClientRequest {
    /// Sends it to a server: host and port with scheme.
    pub(super) async fn send(
        &self,
        http: &reqwest::Client,
        server: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let request = http.request(self.method.clone(), format!("{server}{}", self.path));
        request.headers(self.headers.clone()).body(self.body.clone()).send().await
    }
}

/// A listener on a free port; ends when dropped.
pub(super) struct RecordingRelay {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<ClientRequest>>>,
    stop: CancellationToken,
}

impl RecordingRelay {
    /// Passes everything on to a server: host and port with scheme.
    pub(super) async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::<Mutex<Vec<ClientRequest>>>::default(), CancellationToken::new());
        let (kept, stopped, http) = (Arc::clone(&requests), stop.clone(), http_client());
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                // Small events must not wait for the client's acknowledgements.
                let _ = stream.set_nodelay(true);
                let (kept, server, http) = (Arc::clone(&kept), server.clone(), http.clone());
                let service = service_fn(move |request| {
                    let (kept, server, http) = (Arc::clone(&kept), server.clone(), http.clone());
                    async move { pass(request, &kept, &server, &http).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let stopped = stopped.clone();
                // An error is a client that left, or a cut that passes.
                tasks.spawn(async move { stopped.run_until_cancelled(connection).await.map(drop) });
            }
        });
        Self { address, requests, stop }
    }

    /// Scheme, host and port.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, oldest first.
    pub(super) fn requests(&self) -> Vec<ClientRequest> {
        self.requests.lock().clone()
    }
}

impl Drop for RecordingRelay {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn pass(
    request: Request<Incoming>,
    kept: &Mutex<Vec<ClientRequest>>,
    server: &str,
    http: &reqwest::Client,
) -> Result<Response<RelayedBody>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    remove_connection(&mut headers);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let request =
        ClientRequest { method: parts.method, path, headers, body: body.collect().await?.to_bytes() };
    kept.lock().push(request.clone());
    Ok(match request.send(http, server).await {
        Ok(answer) => relayed(answer),
        Err(error) => {
            let why = Full::new(Bytes::from(error.to_string())).map_err(|never| match never {});
            let mut response = Response::new(why.boxed_unsync());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    })
}

fn relayed(answer: reqwest::Response) -> Response<RelayedBody> {
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    remove_connection(&mut headers);
    let frames = answer.bytes_stream().map_ok(Frame::data);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

fn remove_connection(headers: &mut HeaderMap) {
    for name in OF_CONNECTION {
        headers.remove(HeaderName::from_static(name));
    }
}
