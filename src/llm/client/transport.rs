//! The connections to vendors: hyper's client with rustls.
//!
//! Not reqwest, which PAS uses elsewhere: above hyper it parses each address twice and boxes redirects, proxies and
//! retries that are off here: 31,000 of the 233,000 instructions of a short call, counted by callgrind. A vendor whose
//! machine or network vanished sends no end of its stream, so the kernel asks it: it is given up after a minute of
//! silence. No limit on unacknowledged bytes: it would also end a vendor that is slow to read a long body.

use std::time::Duration;

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

/// Silence of a connection before the kernel asks whether the other side is still there, and between the questions.
const PROBE: Duration = Duration::from_secs(15);
/// Unanswered questions after which it is not.
const PROBES: u32 = 3;

/// The head of a vendor's answer; its body is still to come.
pub(super) type VendorResponse = Response<Incoming>;

/// Kept-alive connections of HTTP/1.1, to `http` and `https` addresses.
#[derive(Debug, Clone)]
pub(super) struct VendorTransport(Client<LimitedConnector<HttpsConnector<HttpConnector>>, Full<Bytes>>);

impl VendorTransport {
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::trusting_this_machine()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector());
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

fn connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(PROBE));
    tcp.set_keepalive_interval(Some(PROBE));
    tcp.set_keepalive_retries(Some(PROBES));
    // `https` addresses come through here, too.
    tcp.enforce_http(false);
    tcp
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use socket2::SockRef;
    use tower::{Service, ServiceExt};

    use super::*;

    #[tokio::test]
    async fn the_kernel_notices_a_vendor_that_vanished() {
        let vendor = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", vendor.local_addr().unwrap()).parse().unwrap();
        let mut connector = connector();
        let connection = connector.ready().await.unwrap().call(address).await.unwrap().into_inner();
        let socket = SockRef::from(&connection);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap()),
            (PROBE, PROBE)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), None, "a slow reader is no vendor that vanished");
    }
}
