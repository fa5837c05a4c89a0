//! The fault table: what each way a call can fail means for the client and on the receipts.
//!
//! A row says what goes wrong, how the client is answered, and which receipts are left. The table is
//! whole: every [`FailureKind`] has a row, for whole answers and, where the vendor can still fail once an
//! answer has begun, for streams. A model has one provider here, so nothing falls back.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pas::llm::VendorFailureKind;
use serde_json::{Value, json};

use super::{Reply, Stage, chat, streamed};
use crate::support::http_client;
use crate::vendor::{At, Cut, FOREVER, Fault, RetryAfter, Vendor};

/// Tries at one provider (`gateway::Policy`).
const TRIES: usize = 3;
/// Daemons at work at once.
const AT_ONCE: usize = 4;
/// Time limits that a test can wait for, and that a good answer of a busy machine still keeps.
const SHORT: [(&str, &str); 3] = [
    ("PAS_GATEWAY__CONNECT_TIMEOUT_MS", "300"),
    ("PAS_GATEWAY__FIRST_BYTE_TIMEOUT_MS", "1500"),
    ("PAS_GATEWAY__IDLE_TIMEOUT_MS", "1000"),
];

/// What goes wrong.
#[derive(Debug, Clone)]
enum Wrong {
    /// The vendor does this, so many times.
    Vendor(Fault, usize),
    /// Nobody listens at its address.
    Down,
    /// Its address is that of a listener which never answers the TLS hello.
    Mute,
    /// This model is asked for what its vendor's dialect cannot express.
    Asked(&'static str, &'static str, Value),
    /// The job is cancelled while its call stands still.
    Cancelled,
}

/// What a failed attempt is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    /// Nothing: no vendor has seen the whole request, or the vendor refused it.
    Nothing,
    /// The hold, because what was used is not known.
    Hold,
    /// What was used.
    Used,
}

#[derive(Debug)]
struct Row {
    /// The failure it is about; none where the answer is good in an unusual way.
    kind: Option<VendorFailureKind>,
    wrong: Wrong,
    is_stream: bool,
    status: u16,
    /// `error.code` of the answer or of the stream's last event.
    code: &'static str,
    receipts: Vec<(&'static str, Charge)>,
}

use Charge::{Hold, Nothing, Used};
use VendorFailureKind as Kind;

const GOOD: (&str, Charge) = ("success", Used);

fn whole(
    kind: Kind,
    wrong: Wrong,
    status: u16,
    code: &'static str,
    receipts: &[(&'static str, Charge)],
) -> Row {
    Row { kind: Some(kind), wrong, is_stream: false, status, code, receipts: receipts.to_vec() }
}

/// A stream that fails once its first piece is out: there is no second attempt.
fn begun(kind: Kind, fault: Fault, code: &'static str, status: &'static str) -> Row {
    // A stream that is ended from here is charged by what was seen of it.
    let (wrong, charge) = match kind {
        Kind::Cancelled => (Wrong::Cancelled, Used),
        _ => (Wrong::Vendor(fault, 1), Hold),
    };
    Row { kind: Some(kind), wrong, is_stream: true, status: 200, code, receipts: vec![(status, charge)] }
}

fn good(fault: Fault, is_stream: bool) -> Row {
    Row { kind: None, wrong: Wrong::Vendor(fault, 1), is_stream, status: 200, code: "", receipts: vec![GOOD] }
}

fn once(fault: Fault) -> Wrong {
    Wrong::Vendor(fault, 1)
}

fn always(fault: Fault) -> Wrong {
    Wrong::Vendor(fault, TRIES)
}

fn refusals() -> Vec<Row> {
    let limited = |seconds| once(Fault::RateLimited(RetryAfter::Seconds(seconds)));
    vec![
        whole(Kind::RateLimited, limited(1), 200, "", &[("error", Nothing), GOOD]),
        whole(Kind::RateLimited, limited(60), 429, "rate_limit_exceeded", &[("error", Nothing)]),
        whole(Kind::Server, once(Fault::Status(500)), 200, "", &[("error", Nothing), GOOD]),
        whole(Kind::Server, always(Fault::Status(500)), 500, "", &[("error", Nothing); TRIES]),
        whole(Kind::Server, always(Fault::Status(529)), 529, "", &[("error", Nothing); TRIES]),
        whole(Kind::Server, once(Fault::Status(504)), 200, "", &[("error", Hold), GOOD]),
        whole(Kind::Server, once(Fault::Status(503)), 200, "", &[("error", Nothing), GOOD]),
        whole(Kind::BadRequest, once(Fault::Status(400)), 400, "", &[("error", Nothing)]),
        whole(
            Kind::ContextTooLong,
            once(Fault::ContextTooLong),
            400,
            "context_length_exceeded",
            &[("error", Nothing)],
        ),
        whole(Kind::ContentFilter, once(Fault::PromptFiltered), 400, "invalid_prompt", &[("error", Nothing)]),
        whole(Kind::Credential, once(Fault::Status(401)), 502, "provider_failed", &[("error", Nothing)]),
        whole(Kind::Credential, once(Fault::Status(403)), 403, "", &[("error", Nothing)]),
        whole(Kind::UnknownModel, once(Fault::Status(404)), 404, "", &[("error", Nothing)]),
        whole(
            Kind::Unsupported,
            Wrong::Asked("claude-haiku-4-5", "n", json!(3)),
            400,
            "",
            &[("error", Nothing)],
        ),
    ]
}

fn transport() -> Vec<Row> {
    let timeouts = [("timeout", Hold); TRIES];
    vec![
        whole(Kind::Connect, Wrong::Down, 502, "provider_failed", &[("error", Nothing); TRIES]),
        whole(Kind::ConnectTimeout, Wrong::Mute, 502, "provider_failed", &[("timeout", Nothing); TRIES]),
        whole(
            Kind::FirstByteTimeout,
            always(Fault::StallBeforeHeaders(FOREVER)),
            502,
            "provider_failed",
            &timeouts,
        ),
        whole(
            Kind::FirstByteTimeout,
            once(Fault::StallBeforeHeaders(FOREVER)),
            200,
            "",
            &[("timeout", Hold), GOOD],
        ),
        whole(Kind::BodyTimeout, always(Fault::StallBeforeFirstByte(FOREVER)), 502, "stream_cut", &timeouts),
        begun(Kind::BodyTimeout, Fault::StallAfter(2, FOREVER), "stream_cut", "timeout"),
        whole(Kind::Cut, once(Fault::Cut(At::BeforeHeaders, Cut::Reset)), 200, "", &[("error", Hold), GOOD]),
        whole(
            Kind::Cut,
            always(Fault::cut_half_way(Cut::Close)),
            502,
            "stream_cut",
            &[("error", Hold); TRIES],
        ),
        begun(Kind::Cut, Fault::Cut(At::After(2), Cut::Reset), "stream_cut", "error"),
        begun(Kind::Server, Fault::ErrorAfter(2), "", "error"),
        begun(Kind::Cancelled, Fault::None, "unavailable", "error"),
    ]
}

fn contents() -> Vec<Row> {
    // It was made and is billed: asking again would make and bill another.
    let unread = [("error", Hold)];
    vec![
        whole(Kind::Malformed, once(Fault::MalformedJson), 502, "provider_failed", &unread),
        whole(Kind::Server, once(Fault::Html(200)), 200, "", &[("error", Nothing), GOOD]),
        whole(Kind::Malformed, once(Fault::Empty), 502, "provider_failed", &unread),
        whole(Kind::Server, once(Fault::Html(502)), 200, "", &[("error", Nothing), GOOD]),
        whole(Kind::Server, always(Fault::Html(502)), 502, "provider_failed", &[("error", Nothing); TRIES]),
        begun(Kind::Malformed, Fault::MalformedJson, "provider_failed", "error"),
        begun(Kind::Malformed, Fault::MalformedFrames, "provider_failed", "error"),
        whole(Kind::MissingUsage, once(Fault::MissingUsage), 200, "", &[("success", Hold)]),
        good(Fault::AnswerFiltered, false),
        good(Fault::AnswerFiltered, true),
        // Slow, but never silent for as long as the limit.
        good(Fault::Drip(64, Duration::from_millis(150)), false),
        good(Fault::Drip(64, Duration::from_millis(20)), true),
        good(Fault::EveryByte, false),
        good(Fault::EveryByte, true),
        good(Fault::OddFrames, true),
        // All was said; only the last line is missing.
        good(Fault::MissingEnd, true),
        good(Fault::Huge(2 << 20), false),
    ]
}

#[test]
fn no_kind_of_failure_lacks_a_row() {
    let rows = [refusals(), transport(), contents()].into_iter().flatten();
    let kinds: HashSet<_> = rows.filter_map(|row| row.kind).collect();
    let missing: Vec<_> = VendorFailureKind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_refuses() {
    check(refusals()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_the_vendor_that_breaks() {
    check(transport()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_odd() {
    check(contents()).await;
}

/// A daemon each: a provider that failed often would rest in the next row.
async fn check(rows: Vec<Row>) {
    let found = stream::iter(rows.into_iter().map(|row| async move { wrong_with(&row).await }));
    let wrong: Vec<String> = found.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What does not come out as the row says.
async fn wrong_with(row: &Row) -> Option<String> {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute_url = format!("https://{}/v1", mute.local_addr().unwrap());
    let mut settings = SHORT.to_vec();
    if matches!(row.wrong, Wrong::Mute) {
        settings.push(("OPENAI_BASE_URL", &mute_url));
    }
    let stage = Stage::open_with(&settings).await;
    let answer = outcome(&stage, row).await;
    let receipts = stage.receipts("faults").await;
    let told: Vec<_> =
        receipts.iter().map(|receipt| (receipt["status"].as_str().unwrap(), charge(receipt))).collect();
    let attempts: Vec<_> =
        receipts.iter().map(|receipt| receipt["metadata"]["attempt"].as_u64().unwrap()).collect();
    let in_order = attempts == (1..=receipts.len() as u64).collect::<Vec<_>>();
    let is_right =
        (answer.status, code(&answer, row), &told) == (row.status, row.code.to_owned(), &row.receipts);
    stage.close().await;
    (!is_right || !in_order).then(|| format!("{row:?}\n  {} {told:?} {}", answer.status, answer.body))
}

/// Makes the call.
async fn outcome(stage: &Stage, row: &Row) -> Reply {
    let server = stage.vendors.get(Vendor::OpenAi);
    let mut body = if row.is_stream { streamed("gpt-4-turbo") } else { chat("gpt-4-turbo") };
    match &row.wrong {
        Wrong::Vendor(fault, times) => server.script(std::iter::repeat_n(fault.clone(), *times)),
        Wrong::Down => server.down().await,
        Wrong::Asked(model, name, value) => (body["model"], body[*name]) = (json!(model), value.clone()),
        Wrong::Mute => {}
        Wrong::Cancelled => return cancelled(stage, &body).await,
    }
    stage.post_as(6120, "/v1/chat/completions", body, "faults").await
}

/// The answer to a stream whose job is cancelled after its first piece.
async fn cancelled(stage: &Stage, body: &Value) -> Reply {
    stage.vendors.get(Vendor::OpenAi).script([Fault::StallAfter(2, FOREVER)]);
    let run = stage.swarm.api.ingest(json!({})).await;
    stage.swarm.api.ask(&format!("/jobs/{run}/pause"), json!({})).await;
    let request = http_client().post(stage.url(6120, "/v1/chat/completions")).json(body);
    let request = request.header("x-pas-run-id", "faults").header("x-pas-job-id", &run);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    stage.swarm.api.ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "not needed" })).await;
    Reply { status, headers, body: Value::String(response.text().await.unwrap()) }
}

/// The code that the client is told; of a stream, that of its last event.
fn code(answer: &Reply, row: &Row) -> String {
    let code = |body: &Value| body["error"]["code"].as_str().unwrap_or_default().to_owned();
    if !row.is_stream {
        return code(&answer.body);
    }
    let text = answer.body.as_str().unwrap_or_default();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    match last {
        "[DONE]" => String::new(),
        last => code(&serde_json::from_str(last).unwrap_or_default()),
    }
}

fn charge(receipt: &Value) -> Charge {
    let metadata = &receipt["metadata"];
    match (metadata["cost_nano_usd"].as_u64().unwrap(), metadata["hold_nano_usd"].as_u64().unwrap()) {
        (0, _) => Nothing,
        (cost, held) if cost == held => Hold,
        _ => Used,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_ends_with_an_error_on_every_surface() {
    let stage = Stage::open().await;
    let server = stage.vendors.get(Vendor::OpenAi);
    let bodies = [
        ("/v1/chat/completions", streamed("gpt-4-turbo"), "\"error\"", "[DONE]"),
        ("/v1/messages", streamed("gpt-4-turbo"), "event: error", "message_stop"),
        (
            "/v1/responses",
            json!({ "model": "gpt-4-turbo", "input": "Say hello.", "stream": true }),
            "event: error",
            "response.completed",
        ),
    ];
    for (path, body, marker, end) in bodies {
        server.script([Fault::Cut(At::After(2), Cut::Reset)]);
        let run = path.rsplit('/').next().unwrap();
        let text = match stage.post_as(6120, path, body, run).await.body {
            Value::String(text) => text,
            other => panic!("{path}: {other}"),
        };
        assert!(text.contains(marker) && !text.contains(end), "{path}: {text}");
        let receipts = stage.receipts(run).await;
        assert_eq!(receipts.len(), 1, "{path}: no second attempt once pieces went out");
        assert_eq!((receipts[0]["status"].as_str(), charge(&receipts[0])), (Some("error"), Hold));
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_provider_answers_and_its_receipt_says_for_whom() {
    let stage = Stage::open().await;
    stage.vendors.get(Vendor::Ollama).script(std::iter::repeat_n(Fault::Status(500), TRIES));
    stage.vendors.get(Vendor::Ollama).offer("tinyllama:1.1b", 2048);
    let answer = stage.chat("auto", "fall").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let receipts = stage.receipts("fall").await;
    let last = receipts.last().unwrap();
    assert_eq!((&last["status"], receipts.len()), (&json!("fallback"), TRIES + 1), "{receipts:#?}");
    assert!(last["fallback_from"].as_str().unwrap().starts_with("ollama-"), "{last}");
    stage.close().await;
}
