//! The pages: the UI embedded in the binary, under a content policy that allows loading from and calling
//! this daemon only.
//!
//! One document serves all pages and reads the address itself. Files below `/assets/` have a hash of their
//! content in their names, so browsers may cache them; the document is revalidated each time. A daemon
//! built without Node has no pages and answers 503 with an explanation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rust_embed::EmbeddedFile;
use tower_http::compression::CompressionLayer;

use crate::http::{ApiError, ApiResult};
use crate::skills::ingest::report;

/// The output of `npm run build`; empty when that was not run.
#[derive(rust_embed::RustEmbed)]
#[folder = "ui/dist/"]
#[allow_missing = true]
struct PageFiles;

/// The document of all pages.
const DOCUMENT: &str = "index.html";
/// The pages of the UI's router besides `/`; each may have an item below (`/jobs/<id>`).
const PAGES: [&str; 10] = [
    "tree",
    "sequencer",
    "services",
    "resources",
    "costs",
    "alerts",
    "jobs",
    "approvals",
    "traces",
    "settings",
];
/// Content-hashed names never mean anything else.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Cached, but revalidated each time.
const ASK_FIRST: &str = "no-cache";

/// Whether the pages are built in.
#[must_use]
pub fn are_built() -> bool {
    PageFiles::get(DOCUMENT).is_some()
}

/// Whether a path is a page or a page's file, which anyone may load: they contain no data of the swarm. The
/// data come from `/api`, with the token where one is required.
#[must_use]
pub fn is_page(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    path == "/" || path == "/favicon.svg" || first == "assets" || PAGES.contains(&first)
}

/// Answers a browser's `GET /`.
pub fn front(ports: &BTreeMap<&'static str, u16>) -> impl Fn(&HeaderMap) -> Response + Clone + use<> {
    let ports: Arc<[u16]> = ports.values().copied().collect();
    move |headers| document(headers, &ports)
}

/// The routes of all pages but `/`, and of their files.
pub(super) fn routes(ports: &BTreeMap<&'static str, u16>) -> Router {
    let front = front(ports);
    let page = get(async move |headers: HeaderMap| front(&headers));
    let files = Router::new()
        .route("/assets/{file}", get(asset))
        .route("/favicon.svg", get(async |headers: HeaderMap| file("favicon.svg", &headers, ASK_FIRST)));
    let pages = PAGES.iter().fold(files, |router, name| {
        let router = router.route(&format!("/{name}"), page.clone());
        let router = router.route(&format!("/{name}/"), page.clone());
        router.route(&format!("/{name}/{{*item}}"), page.clone())
    });
    // Compression cuts 350 KiB of scripts to a third, which matters on a phone.
    pages.layer(CompressionLayer::new())
}

fn document(headers: &HeaderMap, ports: &[u16]) -> Response {
    let page = file(DOCUMENT, headers, ASK_FIRST).unwrap_or_else(|_| not_built());
    let policy = policy(host_of(headers), ports);
    let safe = [
        (CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).ok()),
        (REFERRER_POLICY, Some(HeaderValue::from_static("no-referrer"))),
    ];
    let mut response = page;
    response.headers_mut().extend(safe.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response
}

fn not_built() -> Response {
    let page = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>PAS</title></head><body>\
         <h1>The pages are not built in</h1>\
         <p>This daemon was built without Node.js, so it has no pages to show. Install Node.js 20.19 or later, \
         run <code>make build</code>, and start the daemon again.</p>\
         <p>Everything the pages would show is below <code>/api</code>; <a href=\"/docs\">the documentation</a> \
         lists it.</p></body></html>";
    (StatusCode::SERVICE_UNAVAILABLE, [(CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

/// The host used by the browser, without the port; the guard has checked that this is the machine's.
fn host_of(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// The style sheet of reports, which are shown within the page under its policy, as the policy names it.
static REPORT_STYLE: LazyLock<String> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, report::STYLE.as_bytes());
    format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
});

/// Own files only, no inline code but the style of reports, no framing; calls go to this daemon's ports.
///
/// A policy cannot name an IPv6 address (CSP 3, "host-part"), so there it lists the ports alone.
fn policy(host: &str, ports: &[u16]) -> String {
    let host = if host.is_empty() || host.starts_with('[') { "*" } else { host };
    let mut policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' {}; img-src 'self'; font-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'",
        *REPORT_STYLE
    );
    for port in ports {
        // Writing to a string cannot fail.
        let _ = write!(policy, " http://{host}:{port} ws://{host}:{port}");
    }
    policy
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> ApiResult<Response> {
    file(&format!("assets/{name}"), &headers, FOR_EVER)
}

fn file(path: &str, asked: &HeaderMap, keep: &'static str) -> ApiResult<Response> {
    let found = PageFiles::get(path).ok_or_else(|| {
        ApiError::not_found(format!("no file {path}; reload the page if it is from an older build"))
    })?;
    Ok(answer(found, asked, keep))
}

fn answer(found: EmbeddedFile, asked: &HeaderMap, keep: &'static str) -> Response {
    let hash = found.metadata.sha256_hash();
    // Weak: the file is sent both compressed and uncompressed (RFC 9110, 8.8.3).
    let tag = hash[..16].iter().fold("W/\"".to_owned(), |tag, byte| format!("{tag}{byte:02x}")) + "\"";
    let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| knows(known, &tag));
    let headers = [(CACHE_CONTROL, keep.to_owned()), (ETAG, tag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = found.metadata.mimetype();
    let kind = if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() };
    (headers, [(CONTENT_TYPE, kind)], found.data.into_owned()).into_response()
}

/// Whether `If-None-Match` names this tag; weak or not makes no difference here (RFC 9110, 13.1.2).
fn knows(known: &HeaderValue, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tags = known.to_str().unwrap_or_default().split(',').map(bare);
    tags.into_iter().any(|one| one == "*" || one == bare(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_and_their_files_are_pages() {
        for path in ["/", "/tree", "/jobs/run-1.data", "/settings/", "/assets/index-abc.js", "/favicon.svg"] {
            assert!(is_page(path), "{path}");
        }
        for path in
            ["/api/live", "/api", "/health", "/docs", "/openapi.json", "/dashboard", "", "tree", "//tree"]
        {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn the_policy_names_this_daemons_ports_on_the_host_that_was_asked() {
        let said = policy("192.168.1.5", &[6100, 6102]);
        assert!(said.ends_with(
            "connect-src 'self' http://192.168.1.5:6100 ws://192.168.1.5:6100 http://192.168.1.5:6102 \
             ws://192.168.1.5:6102"
        ));
        assert!(!said.contains("unsafe") && !said.contains('*'), "{said}");
        assert!(said.contains("script-src 'self';") && said.contains("style-src 'self' 'sha256-"), "{said}");
        assert!(policy("[::1]", &[6100]).ends_with("connect-src 'self' http://*:6100 ws://*:6100"));
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let known = |text: &'static str| knows(&HeaderValue::from_static(text), "W/\"abc\"");
        assert!(known("\"abc\"") && known("W/\"abc\"") && known("\"x\", \"abc\"") && known("*"));
        assert!(!known("\"x\"") && !known(""));
    }
}
