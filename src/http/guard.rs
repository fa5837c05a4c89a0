//! Access checks: every request of every port passes them unread.
//!
//! The daemon listens on loopback, where any page in the user's browser can reach it. So the `Host` must name
//! this port (a rebound DNS name does not), an `Origin` must be one of the daemon's own ports, a page of another site
//! must not be behind a request that names no origin, and a change must come as JSON, which no HTML form can send.
//! Other users of the machine reach loopback too, but get no further than the accept loop ([`super::peer`]). Beyond
//! loopback every request needs the token, as a bearer or, at the paths of a vendor's API, where that vendor's clients
//! send their key; only the files of a port's pages, which reveal nothing about the swarm, are served without one,
//! because a browser must load them before anybody can type the token in. Invariant: [`RequestGuard::inspect`] sees
//! every request, to a route or the fallback, before anything else does.
//!
//! Failure policy: refuse with 400, 401, 403, 413 or 415 and one sentence that names the fault.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access_token::AccessToken;
use super::edge_info::EdgeInfo;
use super::error::ApiError;
use super::model;
use crate::llm::inbound::ApiFormat;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Of answers that are no pages: nothing is loaded, run or framed, should a browser take one for a page all the same.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Who asked a browser for a request, in what manner and for what (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The configuration of one port's checks.
#[derive(Debug)]
pub struct RequestGuard {
    port: u16,
    /// All ports of this daemon: the origins that may call each other.
    ports: Arc<[u16]>,
    /// Other pages that may use this port.
    origins: Arc<[String]>,
    token: Option<AccessToken>,
    exceptions: PathExceptions,
    /// The form of errors, by request.
    form: ApiFormatLookup,
}

/// Paths of a port to which a rule of the guard does not apply.
#[derive(Debug, Clone, Copy)]
pub struct PathExceptions {
    /// Prefixes of paths that take other bodies than JSON and check the content type themselves.
    pub own_bodies: &'static [&'static str],
    /// Paths of pages, readable (by `GET` and `HEAD`) without the token.
    pub is_open: fn(&str) -> bool,
}

impl Default for PathExceptions {
    /// None.
    fn default() -> Self {
        Self { own_bodies: &[], is_open: |_| false }
    }
}

/// Finds the error form of a request's client; `None`: the contracts' own.
pub type ApiFormatLookup = fn(&str, &HeaderMap) -> Option<ApiFormat>;

impl RequestGuard {
    /// The guard of `port` among the daemon's `ports`.
    #[must_use]
    pub fn new(port: u16, ports: Arc<[u16]>, token: Option<AccessToken>) -> Self {
        let origins = Arc::from([]);
        Self { port, ports, origins, token, exceptions: PathExceptions::default(), form: |_, _| None }
    }

    /// The same for pages of these origins too, as browsers write them.
    #[must_use]
    pub fn allowing(mut self, origins: Arc<[String]>) -> Self {
        self.origins = origins;
        self
    }

    /// The same with errors in the client's form.
    #[must_use]
    pub fn form(mut self, form: ApiFormatLookup) -> Self {
        self.form = form;
        self
    }

    /// The same with paths to which not every rule applies.
    #[must_use]
    pub fn except(mut self, exceptions: PathExceptions) -> Self {
        self.exceptions = exceptions;
        self
    }

    fn admit(&self, request: &Request, edge: Option<&EdgeInfo>) -> Result<(), ApiError> {
        let local = edge.map(|edge| edge.local.ip());
        self.check_host(request, local)?;
        self.check_origin(request.headers(), local)?;
        self.check_site(request)?;
        if !(request.method().is_safe() && (self.exceptions.is_open)(request.uri().path())) {
            self.check_token(request)?;
        }
        check_size(request.headers(), edge.map_or(u64::MAX, |edge| edge.limits.max_body))?;
        if self.exceptions.own_bodies.iter().any(|path| request.uri().path().starts_with(path)) {
            return Ok(());
        }
        check_content_type(request.method(), request.headers())
    }

    /// The requesting page's origin, if it is one of the daemon's own or an allowed one.
    fn known_page(&self, request: &Request, edge: Option<&EdgeInfo>) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        let local = edge.map(|edge| edge.local.ip());
        self.check_host(request, local).and_then(|()| self.check_origin(request.headers(), local)).ok()?;
        Some(origin.clone())
    }

    fn check_host(&self, request: &Request, local: Option<IpAddr>) -> Result<(), ApiError> {
        let shown = single(request.headers(), &HOST)?
            .ok_or_else(|| ApiError::bad_request("the Host header is missing"))?;
        // A request line with an absolute address would override the header (RFC 9112, 3.2.2).
        let target = request.uri().authority().map_or(shown, |authority| authority.as_str());
        let own = |text: &str| own_port(text, local) == Some(self.port);
        if own(shown) && own(target) {
            return Ok(());
        }
        let sentence = format!("unknown Host; use localhost:{0}, 127.0.0.1:{0} or [::1]:{0}", self.port);
        Err(ApiError::new(StatusCode::FORBIDDEN, sentence))
    }

    fn check_origin(&self, headers: &HeaderMap, local: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(origin) = single(headers, &ORIGIN)? else { return Ok(()) };
        let port = origin.strip_prefix("http://").and_then(|text| own_port(text, local));
        if port.is_some_and(|port| self.ports.contains(&port)) || self.origins.iter().any(|one| one == origin)
        {
            return Ok(());
        }
        let sentence = "cross-origin requests are refused; open the page from the daemon's own port, or add its \
                        origin to `http.allowed_origins` for the ports of models";
        Err(ApiError::new(StatusCode::FORBIDDEN, sentence))
    }

    /// Browsers send no `Origin` with many requests that only read, so for those the site behind them counts. A link to
    /// a page may stand anywhere.
    fn check_site(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        let is = |name: &HeaderName, word: &str| headers.get(name).is_some_and(|value| value == word);
        if !is(&FETCH_SITE, "cross-site") || headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let path = request.uri().path();
        let is_page = path == "/" || path.starts_with("/docs") || (self.exceptions.is_open)(path);
        let is_link = is(&FETCH_MODE, "navigate") && is(&FETCH_DEST, "document");
        if is_page && is_link && request.method().is_safe() {
            return Ok(());
        }
        let sentence =
            "requests that a page of another site asks for are refused; open this address yourself";
        Err(ApiError::new(StatusCode::FORBIDDEN, sentence))
    }

    fn check_token(&self, request: &Request) -> Result<(), ApiError> {
        let Some(token) = &self.token else { return Ok(()) };
        let form = self.form_of(request);
        let is_shown = token.is_shown(request, form)?;
        is_shown.then_some(()).ok_or_else(|| {
            let sentence = match form {
                Some(ApiFormat::Anthropic | ApiFormat::Gemini) => {
                    "this daemon listens beyond loopback: give the client its token as the API key"
                }
                _ => "this daemon listens beyond loopback: send `Authorization: Bearer <token>`",
            };
            ApiError::new(StatusCode::UNAUTHORIZED, sentence)
        })
    }

    fn form_of(&self, request: &Request) -> Option<ApiFormat> {
        (self.form)(request.uri().path(), request.headers())
    }
}

/// The port of `authority` if the host is this machine as reached by the client: a loopback name or address,
/// or the connection's own local address (never another name, as DNS rebinding uses one).
fn own_port(authority: &str, local: Option<IpAddr>) -> Option<u16> {
    let (host, digits) = authority.rsplit_once(':')?;
    let loopback = host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]";
    let own = loopback || local.is_some_and(|ip| host == host_of(ip));
    let port: u16 = digits.parse().ok()?;
    (own && port.to_string() == digits).then_some(port)
}

fn host_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The header's text, if given once; two could be read differently by different layers.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(ApiError::bad_request(format!("the {name} header must occur once, in ASCII"))),
    }
}

fn check_size(headers: &HeaderMap, max: u64) -> Result<(), ApiError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_none_or(|bytes| bytes <= max) {
        return Ok(());
    }
    let sentence = format!("the request body exceeds this port's limit of {max} bytes");
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, sentence))
}

fn check_content_type(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
        && !headers.contains_key(TRANSFER_ENCODING);
    if method.is_safe() || empty || is_json(headers.get(CONTENT_TYPE)) {
        return Ok(());
    }
    let sentence = "a request with side effects needs `Content-Type: application/json`";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence))
}

fn is_json(kind: Option<&HeaderValue>) -> bool {
    let essence = kind.and_then(|v| v.to_str().ok()).and_then(|v| v.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The guard's verdict on a request.
#[derive(Debug)]
pub(super) struct GuardVerdict {
    /// Replaces the handler's answer: a refusal, or the answer to a CORS preflight.
    pub(super) answer: Option<Response>,
    /// The origin of a page that may read the answer.
    known_page: Option<HeaderValue>,
    form: Option<ApiFormat>,
}

impl RequestGuard {
    pub(super) fn inspect(&self, request: &Request) -> GuardVerdict {
        let edge = request.extensions().get::<EdgeInfo>();
        let known_page = self.known_page(request, edge);
        let answer = match self.admit(request, edge) {
            _ if known_page.is_some() && is_preflight(request) => Some(preflight(request.headers())),
            Ok(()) => None,
            Err(refusal) => Some(refusal.into_response()),
        };
        GuardVerdict { answer, known_page, form: self.form_of(request) }
    }
}

impl GuardVerdict {
    /// The final answer: in the caller's form, with the headers of every answer.
    pub(super) fn leave(self, response: Response) -> Response {
        let mut response = match self.form {
            Some(form) => model::in_form(response, form),
            None => response,
        };
        let headers = response.headers_mut();
        if let Some(origin) = self.known_page {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
        // A vendor's client gets what the vendor sends.
        if self.form.is_none() {
            headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CONTENT_POLICY);
        }
        response
    }
}

/// A browser's preflight for a request that is not simple (WHATWG Fetch, "CORS protocol").
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer allows the headers that are asked for: the SDKs of the vendors send some of their own, and what a page
/// may send at all is decided by its origin.
fn preflight(asked: &HeaderMap) -> Response {
    const USUAL: HeaderValue =
        HeaderValue::from_static("authorization, content-type, last-event-id, traceparent");
    let headers = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(USUAL);
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, headers),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// Whether only this machine can reach `address`.
#[must_use]
pub fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn verdict(
        guard: &RequestGuard,
        build: impl FnOnce(axum::http::request::Builder) -> axum::http::request::Builder,
    ) -> u16 {
        let request = build(Request::builder()).body(Body::empty()).unwrap();
        guard.admit(&request, None).map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    fn loopback() -> RequestGuard {
        RequestGuard::new(6100, Arc::from([6100, 6121]), None)
    }

    #[test]
    fn only_the_exact_host_passes() {
        let guard = loopback();
        for host in ["localhost:6100", "LocalHost:6100", "127.0.0.1:6100", "[::1]:6100"] {
            assert_eq!(verdict(&guard, |r| r.header("host", host)), 200, "{host}");
        }
        for host in [
            "localhost",
            "localhost:6121",
            "localhost:06100",
            "localhost:+6100",
            "localhost.:6100",
            "evil.test:6100",
            "127.0.0.1.nip.io:6100",
            "127.0.0.2:6100",
            "localhost:6100:6100",
            "a@localhost:6100",
            "::1:6100",
            "",
        ] {
            assert_eq!(verdict(&guard, |r| r.header("host", host)), 403, "{host}");
        }
        assert_eq!(verdict(&guard, |r| r), 400);
        assert_eq!(
            verdict(&guard, |r| r.header("host", "localhost:6100").header("host", "localhost:6100")),
            400
        );
    }

    #[test]
    fn an_absolute_request_target_is_held_to_the_same_rule() {
        let guard = loopback();
        let at = |uri| verdict(&guard, |r| r.uri(uri).header("host", "localhost:6100"));
        assert_eq!(at("http://evil.test:6100/jobs"), 403);
        assert_eq!(at("http://localhost:6100/jobs"), 200);
    }

    #[test]
    fn only_the_daemons_own_pages_may_call() {
        let guard = loopback();
        let from =
            |origin: &str| verdict(&guard, |r| r.header("host", "localhost:6100").header("origin", origin));
        for origin in ["http://localhost:6100", "http://127.0.0.1:6121", "http://[::1]:6121"] {
            assert_eq!(from(origin), 200, "{origin}");
        }
        for origin in ["null", "http://localhost:3000", "https://localhost:6100", "http://evil.test:6100", ""]
        {
            assert_eq!(from(origin), 403, "{origin}");
        }
    }

    #[test]
    fn a_page_of_another_site_can_ask_for_nothing_but_follow_a_link() {
        let guard = loopback();
        let ask = |method: &str, path: &str, fetch: [&str; 3]| {
            verdict(&guard, |mut r| {
                r = r.method(method).uri(path).header("host", "localhost:6100");
                [FETCH_SITE, FETCH_MODE, FETCH_DEST]
                    .into_iter()
                    .zip(fetch)
                    .fold(r, |r, (name, word)| r.header(name, word))
            })
        };
        let link = ["cross-site", "navigate", "document"];
        for (method, path, fetch, status) in [
            ("GET", "/events?since=1", ["cross-site", "no-cors", "empty"], 403),
            ("GET", "/events?since=1", link, 403),
            ("GET", "/", ["cross-site", "no-cors", "image"], 403),
            ("GET", "/docs", ["cross-site", "navigate", "iframe"], 403),
            ("POST", "/", link, 403),
            ("GET", "/", link, 200),
            ("GET", "/docs", link, 200),
            ("GET", "/jobs", ["none", "navigate", "document"], 200),
            ("GET", "/jobs", ["same-origin", "cors", "empty"], 200),
        ] {
            assert_eq!(ask(method, path, fetch), status, "{method} {path} {fetch:?}");
        }
    }

    #[test]
    fn an_allowed_origin_may_call_and_read_and_no_other() {
        let guard = loopback().allowing(Arc::from(["app://obsidian.md".to_owned()]));
        let ask = |origin: &str| {
            let request = Request::builder().method("OPTIONS").header("host", "localhost:6100");
            let request = request.header("origin", origin).header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
            let request = request.header(header::ACCESS_CONTROL_REQUEST_HEADERS, "x-api-key");
            let mut verdict = guard.inspect(&request.body(Body::empty()).unwrap());
            let answer = verdict.answer.take().unwrap();
            verdict.leave(answer)
        };
        let answer = ask("app://obsidian.md");
        let header = |name: HeaderName| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "app://obsidian.md");
        assert_eq!(header(header::ACCESS_CONTROL_ALLOW_HEADERS), "x-api-key");
        for other in ["app://obsidian.md.evil", "http://obsidian.md", "app://obsidian.md/"] {
            let refused = ask(other);
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{other}");
            assert!(!refused.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }

    #[test]
    fn a_change_must_be_json() {
        let guard = loopback();
        let post = |kind: &str| {
            verdict(&guard, |r| {
                let r = r.method("POST").header("host", "localhost:6100").header("content-length", "2");
                r.header("content-type", kind)
            })
        };
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert_eq!(post(kind), 200, "{kind}");
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/json"]
        {
            assert_eq!(post(kind), 415, "{kind}");
        }
        assert_eq!(verdict(&guard, |r| r.method("POST").header("host", "localhost:6100")), 200);
        let chunked = |r: axum::http::request::Builder| {
            r.method("PUT").header("host", "localhost:6100").header("transfer-encoding", "chunked")
        };
        assert_eq!(verdict(&guard, chunked), 415);
    }

    #[test]
    fn beyond_loopback_the_token_decides() {
        let guard = RequestGuard::new(6100, Arc::from([6100]), AccessToken::new("0123456789abcdef"));
        let with = |value: &str| {
            verdict(&guard, |r| r.header("host", "localhost:6100").header("authorization", value))
        };
        assert_eq!(with("Bearer 0123456789abcdef"), 200);
        assert_eq!(with("bearer 0123456789abcdef"), 200);
        for wrong in ["Bearer 0123456789abcdeg", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef"] {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        assert_eq!(verdict(&guard, |r| r.header("host", "localhost:6100")), 401);
    }

    #[test]
    fn open_paths_are_read_without_the_token_and_nothing_else_is_loosened() {
        let guard = RequestGuard::new(6101, Arc::from([6101]), AccessToken::new("0123456789abcdef"));
        let guard =
            guard.except(PathExceptions { is_open: |path| path == "/tree", ..PathExceptions::default() });
        let ask = |method: &str, uri: &str, host: &str| {
            verdict(&guard, |r| r.method(method).uri(uri).header("host", host))
        };
        assert_eq!(ask("GET", "/tree?x=1", "localhost:6101"), 200);
        assert_eq!(ask("HEAD", "/tree", "localhost:6101"), 200);
        assert_eq!(ask("POST", "/tree", "localhost:6101"), 401);
        assert_eq!(ask("GET", "/tree/", "localhost:6101"), 401);
        assert_eq!(ask("GET", "/api/live", "localhost:6101"), 401);
        assert_eq!(ask("GET", "/tree", "evil.test:6101"), 403);
    }

    #[test]
    fn the_address_a_client_reached_us_by_is_a_valid_host() {
        let local = Some("::ffff:192.168.1.5".parse().unwrap());
        assert_eq!(own_port("192.168.1.5:6100", local), Some(6100));
        assert_eq!(own_port("192.168.1.6:6100", local), None);
        assert_eq!(own_port("[fe80::1]:80", Some("fe80::1".parse().unwrap())), Some(80));
    }
}
