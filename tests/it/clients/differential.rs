//! The recorded requests of a client, once direct to its vendor and once through PAS: equal both ways but for a
//! table of differences with reasons.
//!
//! Both vendors are fresh and alike, so the same bytes get the same answer. The differences that are found must be
//! the ones in the table: a row that nothing shows any more fails as one that is missing does.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::relay::ClientRequest;
use crate::gateway::Stage;
use crate::support::http_client;
use crate::vendor::play::Play;
use crate::vendor::{At, Cut, Fault, Heard, KEY, SaidAnswer, Vendor, Vendors};

/// Where a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DifferenceSide {
    /// A header that only the vendor asked directly gets, or gets otherwise.
    Request,
    /// A header that only PAS sends.
    RequestAdded,
    /// The body that reaches the vendor.
    RequestBody,
    /// A header that only the client that asks directly gets, or gets otherwise.
    Answer,
    /// A header that only PAS answers.
    AnswerAdded,
    /// The body that reaches the client.
    AnswerBody,
}

use DifferenceSide::{Answer, AnswerAdded, AnswerBody, Request, RequestAdded, RequestBody};

/// The differences that are meant: the clients that show them (`c` Claude Code, `x` Codex, `s` SDKs), the side, the
/// name, the reason.
const EXPLAINED: &[(&str, DifferenceSide, &str, &str)] = &[
    ("cxs", Request, "accept", "PAS names all kinds of answers that it reads"),
    ("cxs", Request, "accept-encoding", "PAS reads the answers, so they come uncompressed"),
    ("s", Request, "accept-language", "of the client's HTTP library, not of the protocol"),
    ("s", Request, "sec-fetch-*", "of the client's HTTP library, not of the protocol"),
    ("cxs", Request, "user-agent", "it is PAS that calls"),
    ("cs", Request, "x-stainless-*", "describes the machine of the client's SDK; no answer depends on it"),
    ("c", Request, "x-app", "names the client, as its user agent does"),
    ("c", Request, "x-claude-code-session-id", "also in the body, as `metadata.user_id`"),
    ("x", Request, "originator", "names the client, as its user agent does"),
    ("x", Request, "session-id", "also in the body, as `client_metadata`"),
    ("x", Request, "thread-id", "also in the body, as `client_metadata`"),
    ("cxs", Request, "x-pas-*", "for PAS alone: the run that pays"),
    ("cs", Request, "x-api-key", "the configured key in place of the client's"),
    ("xs", Request, "authorization", "the configured key in place of the client's"),
    ("s", Request, "x-goog-api-key", "the configured key in place of the client's"),
    (
        "cs",
        RequestAdded,
        "authorization",
        "Anthropic takes a key in either header, servers like it in one of them",
    ),
    (
        "s",
        RequestAdded,
        "x-api-key",
        "Anthropic takes a key in either header, servers like it in one of them",
    ),
    ("s", RequestBody, "stream_options", "a stream is charged by its usage, so PAS asks for it"),
    (
        "s",
        Answer,
        "request-id",
        "the test vendor names a call by its body, to which PAS adds `stream_options`",
    ),
    ("s", Answer, "x-request-id", "the same under its other name"),
    ("cxs", Answer, "set-cookie", "a cookie is between the vendor and PAS"),
    ("cxs", AnswerAdded, "x-pas-*", "who answered, at what cost"),
    ("cxs", AnswerAdded, "traceparent", "the trace of the call"),
    ("cxs", AnswerAdded, "x-request-id", "the name of the call, under each name that SDKs look for"),
    ("xs", AnswerAdded, "request-id", "the name of the call, under each name that SDKs look for"),
    ("cxs", AnswerAdded, "cache-control", "of a stream: nobody between may keep it"),
    ("cxs", AnswerAdded, "x-accel-buffering", "of a stream: nobody between may hold it back"),
    ("cxs", AnswerAdded, "x-content-type-options", "every port of PAS says so to browsers"),
    ("cxs", AnswerAdded, "cross-origin-resource-policy", "every port of PAS says so to browsers"),
    (
        "cxs",
        AnswerBody,
        "detail, receipt",
        "beside the vendor's members of a refusal, those of PAS's own API",
    ),
    ("s", AnswerBody, "line ends", "Gemini ends the lines of its events with CR LF, PAS with LF"),
    ("s", AnswerBody, "usage: null", "each chunk has it where the usage was asked for, as PAS does"),
    ("cxs", AnswerBody, "error event", "a stream that breaks off ends with an error in the protocol's form"),
];

/// Headers of a hop, which each one has for itself.
const OF_EVERY_HOP: [&str; 6] =
    ["connection", "content-length", "date", "host", "keep-alive", "transfer-encoding"];
/// Headers with a family name, of which a row in the table stands for all.
const FAMILIES: [&str; 4] = ["sec-fetch-", "x-stainless-", "x-pas-", "x-codex-"];
/// Letters of the name that the test vendor gives to a call.
const DIGEST: usize = 8;
/// Bytes of a difference that are shown on each side of it.
const SHOWN: usize = 200;

/// The usage that PAS asks a chat stream for.
const USAGE_ASKED: &str = r#","stream_options":{"include_usage":true}}"#;

/// A vendor's answer with its bytes, as far as it came.
#[derive(Debug)]
struct WireAnswer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    is_cut: bool,
}

impl WireAnswer {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (mut body, mut response, mut is_cut) = (Vec::new(), response, false);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => {
                    is_cut = true;
                    break;
                }
            }
        }
        Self { status, headers, body, is_cut }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct DifferenceFindings {
    found: BTreeSet<(DifferenceSide, String)>,
    unexplained: Vec<String>,
}

/// Replays requests, then one of each kind with faults; panics on a difference that has no reason.
pub(super) async fn check(client: char, requests: &[ClientRequest], plays: &[Play]) {
    let (direct, stage) = (Vendors::start().await, Stage::open().await);
    for play in plays {
        direct.perform(&play.clone().without_faults());
        stage.vendors.perform(&play.clone().without_faults());
    }
    let calls: Vec<&ClientRequest> = requests.iter().filter(|one| one.method == Method::POST).collect();
    let mut findings = DifferenceFindings::default();
    let mut kinds = BTreeMap::new();
    for request in &calls {
        findings.compare(request, &direct, &stage, &Fault::None).await;
        if streams(request) {
            kinds.entry(request.path.clone()).or_insert(*request);
        }
    }
    assert!(!kinds.is_empty(), "nothing was recorded");
    let bills = [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini]
        .map(|vendor| [direct.get(vendor).billed(), stage.vendors.get(vendor).billed()]);
    let mut overloaded = Vec::new();
    for fault in [Fault::Say(refusal()), Fault::Cut(At::After(3), Cut::Reset), Fault::Status(503)] {
        for request in kinds.values() {
            // A vendor that was overloaded rests, whatever is asked of it next.
            if matches!(fault, Fault::Status(_)) && overloaded.contains(&vendor_of(request)) {
                continue;
            }
            findings.compare(request, &direct, &stage, &fault).await;
            if matches!(fault, Fault::Status(_)) {
                overloaded.push(vendor_of(request));
            }
        }
    }
    stage.close().await;
    let known: BTreeSet<(DifferenceSide, String)> = EXPLAINED
        .iter()
        .filter(|(clients, ..)| clients.contains(client))
        .map(|(_, side, name, _)| (*side, (*name).to_owned()))
        .collect();
    let new: Vec<_> = findings.found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&findings.found).collect();
    assert!(
        new.is_empty() && gone.is_empty() && findings.unexplained.is_empty(),
        "{client}: without a reason: {new:#?}\nno longer seen: {gone:#?}\n{}",
        findings.unexplained.join("\n")
    );
    assert!(
        bills.iter().all(|[own, passed]| own == passed),
        "{client}: the vendor bills otherwise: {bills:#?}"
    );
}

/// A refusal of the vendor's, with headers of its own.
fn refusal() -> SaidAnswer {
    let body = json!({ "type": "error", "request_id": "req_1", "error": {
        "type": "invalid_request_error", "code": "unsupported_value", "param": "x", "message": "x: no" } });
    SaidAnswer::json(400, &[("request-id", "req_1"), ("x-request-id", "req_1"), ("set-cookie", "a=b")], &body)
}

fn streams(request: &ClientRequest) -> bool {
    let says_so = || serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body["stream"] == true);
    request.path.contains(":streamGenerateContent") || says_so()
}

/// Whose protocol a request is in.
fn vendor_of(request: &ClientRequest) -> Vendor {
    match &request.path {
        path if path.contains("/messages") => Vendor::Anthropic,
        path if path.starts_with("/v1beta/") => Vendor::Gemini,
        _ => Vendor::OpenAi,
    }
}

impl DifferenceFindings {
    /// Sends one request both ways, its answer going wrong alike.
    async fn compare(&mut self, request: &ClientRequest, direct: &Vendors, stage: &Stage, fault: &Fault) {
        let vendor = vendor_of(request);
        let (alone, behind) = (direct.get(vendor), stage.vendors.get(vendor));
        if *fault != Fault::None {
            alone.script([fault.clone()]);
            // PAS tries again what may pass.
            behind.always(fault.clone());
        }
        let http = http_client();
        let own = with_key(request).send(&http, origin(&alone.url())).await.unwrap();
        let own = WireAnswer::of(own).await;
        let posts = || behind.seen().into_iter().filter(|heard| heard.method == Method::POST);
        let before = posts().count();
        let passed = request.send(&http, &stage.url(6120, "")).await.unwrap();
        let passed = WireAnswer::of(passed).await;
        behind.always(Fault::None);
        let asked = posts().count() - before;
        let Some(heard) = posts().last().filter(|_| asked > 0) else {
            return self.unexplained.push(format!(
                "{} never reached the vendor: {}",
                request.path,
                passed.text()
            ));
        };
        self.request(request, &heard);
        self.answer(request, &own, &passed);
        if *fault == Fault::None && asked > 1 {
            self.unexplained.push(format!("{}: the vendor was asked {asked} times", request.path));
        }
    }

    fn request(&mut self, sent: &ClientRequest, heard: &Heard) {
        let path = format!("{}{}{}", heard.path, if heard.query.is_empty() { "" } else { "?" }, heard.query);
        if path != sent.path {
            self.unexplained.push(format!("the path {} became {path}", sent.path));
        }
        self.headers([Request, RequestAdded], &sent.headers, &heard.headers);
        if sent.body == heard.raw {
            return;
        }
        let asked = sent.body.strip_suffix(b"}").map(|open| [open, USAGE_ASKED.as_bytes()].concat());
        if sent.path.ends_with("/chat/completions") && asked.as_deref() == Some(&*heard.raw) {
            self.found.insert((RequestBody, "stream_options".to_owned()));
            return;
        }
        self.unexplained.push(format!(
            "the body of {}: {}",
            sent.path,
            first_difference(&sent.body, &heard.raw)
        ));
    }

    fn answer(&mut self, request: &ClientRequest, own: &WireAnswer, passed: &WireAnswer) {
        if own.status != passed.status {
            let (a, b) = (own.status, passed.status);
            self.unexplained.push(format!("{}: status {a} became {b}: {}", request.path, passed.text()));
        }
        self.headers([Answer, AnswerAdded], &own.headers, &passed.headers);
        if own.body == passed.body && own.is_cut == passed.is_cut {
            return;
        }
        let found = if own.text().replace("\r\n", "\n") == passed.text() && own.is_cut == passed.is_cut {
            "line ends"
        } else if own.is_cut && !passed.is_cut && ends_in_error(own, passed) {
            "error event"
        } else if without_null_usage(&own.text()) == without_null_usage(&passed.text()) {
            "usage: null"
        } else if own.status >= 400 && without_account(&own.body) == without_account(&passed.body) {
            "detail, receipt"
        } else {
            let what = first_difference(&own.body, &passed.body);
            return self.unexplained.push(format!("the answer of {}: {what}", request.path));
        };
        self.found.insert((AnswerBody, found.to_owned()));
    }

    /// Each header by its name: the first side has those that are lost or changed, the second those that are new.
    fn headers(&mut self, sides: [DifferenceSide; 2], own: &HeaderMap, passed: &HeaderMap) {
        let texts = |map: &HeaderMap| {
            let mut all = BTreeMap::<String, Vec<HeaderValue>>::new();
            for (name, value) in map.iter().filter(|(name, _)| !OF_EVERY_HOP.contains(&name.as_str())) {
                all.entry(name.to_string()).or_default().push(value.clone());
            }
            all
        };
        let (own, passed) = (texts(own), texts(passed));
        let lost = own.iter().filter(|(name, values)| passed.get(*name) != Some(*values));
        self.found.extend(lost.map(|(name, _)| (sides[0], family(name))));
        let added = passed.keys().filter(|name| !own.contains_key(*name));
        self.found.extend(added.map(|name| (sides[1], family(name))));
    }
}

/// A header's name, or what a family of them begins with.
fn family(name: &str) -> String {
    let known = FAMILIES.iter().find(|family| name.starts_with(*family));
    known.map_or_else(|| name.to_owned(), |family| format!("{family}*"))
}

/// The same with the vendor's key in place of the client's.
fn with_key(request: &ClientRequest) -> ClientRequest {
    let mut request = request.clone();
    let bearer = format!("Bearer {KEY}");
    for (name, value) in [("authorization", bearer.as_str()), ("x-api-key", KEY), ("x-goog-api-key", KEY)] {
        request.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    request
}

/// Scheme, host and port of a base URL.
fn origin(base: &str) -> &str {
    base.strip_suffix("/v1").unwrap_or(base)
}

/// Whether an answer has the whole events of a cut one, and then an error in the protocol's form.
fn ends_in_error(cut: &WireAnswer, told: &WireAnswer) -> bool {
    let (cut, told) = (cut.text().replace("\r\n", "\n"), told.text());
    let (cut, told) = (without_null_usage(&cut), without_null_usage(&told));
    let whole = cut.rfind("\n\n").map_or(0, |end| end + 2);
    let rest = told.strip_prefix(&cut[..whole]);
    rest.is_some_and(|rest| rest.contains("\"error\"") && rest.ends_with("\n\n"))
}

/// The vendor's part of a refusal.
fn without_account(body: &[u8]) -> Option<Value> {
    let mut refusal: Value = serde_json::from_slice(body).ok()?;
    refusal["error"].as_object_mut()?.remove("receipt");
    Some(refusal["error"].take())
}

/// Chat chunks say `usage: null` where the usage was asked for; the test vendor names them by the request's body.
fn without_null_usage(stream: &str) -> String {
    let mut parts = stream.split("chatcmpl-");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest: String = parts.filter_map(|part| part.get(DIGEST..)).collect();
    (first + &rest).replace(r#","usage":null"#, "")
}

/// Where two texts part.
fn first_difference(own: &[u8], passed: &[u8]) -> String {
    let at = own.iter().zip(passed).take_while(|(a, b)| a == b).count();
    let from = at.saturating_sub(SHOWN);
    let part = |text: &[u8]| {
        String::from_utf8_lossy(&text[from.min(text.len())..(at + SHOWN).min(text.len())]).into_owned()
    };
    format!("at byte {at}, direct:\n  {}\nthrough PAS:\n  {}", part(own), part(passed))
}
