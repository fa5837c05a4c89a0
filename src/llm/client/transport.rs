//! The connections to vendors: hyper's client with rustls.
//!
//! Not reqwest, which PAS uses elsewhere: above hyper it parses each address twice and boxes redirects and retries
//! that are off here, a good part of the CPU time of a short call (benches/RESULTS.md, "model call").

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::LimitedConnector;
use super::{IDLE_CONNECTION, IDLE_CONNECTIONS};
use crate::tls;

/// The head of a vendor's answer; its body is still to come.
pub(super) type VendorResponse = Response<Incoming>;

/// Kept-alive connections of HTTP/1.1, to `http` and `https` addresses.
#[derive(Debug, Clone)]
pub(super) struct VendorTransport(Client<LimitedConnector<HttpsConnector<HttpConnector>>, Full<Bytes>>);

impl VendorTransport {
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // `https` addresses come through here, too.
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::trusting_this_machine()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_timer(TokioTimer::new())
            .build(LimitedConnector(connector));
        Ok(Self(client))
    }

    /// Sends a request and waits for the head of the answer. Follows no redirect.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<VendorResponse, Error> {
        self.0.request(request).await
    }
}

/// The next piece of a body; `None` at its end. Trailers are passed over.
pub(super) async fn next_piece(response: &mut VendorResponse) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = response.body_mut().frame().await {
        if let Ok(piece) = frame?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// The length that the vendor announces, in bytes; 0 where none is.
pub(super) fn announced_bytes(response: &VendorResponse) -> u64 {
    response.body().size_hint().exact().unwrap_or(0)
}
