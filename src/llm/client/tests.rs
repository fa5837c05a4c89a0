//! The client against a local server that sends exactly the bytes of a test.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use pas_config::SecretText;

/// Passes quickly in the tests that wait for it.
const SHORT: Duration = Duration::from_millis(80);
/// Never passes in a test.
const LONG: Duration = Duration::from_secs(20);

const DEADLINES: CallDeadlines = CallDeadlines::all(LONG);

/// The server's behaviour after the request.
enum AfterRequest {
    Close,
    /// Keeps the connection open and says nothing more, until the client has closed it.
    Hold,
    /// Repeats this, a piece every few milliseconds, until the client has closed.
    Drip(&'static str),
}

/// A server for one request; its task ends, with the request as text, when the client has closed.
async fn server(answer: impl Into<String>, then: AfterRequest) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), answer.into());
    let serving = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = read_request(&mut socket).await;
        // Some tests disconnect early.
        let _ = socket.write_all(answer.as_bytes()).await;
        match then {
            AfterRequest::Close => drop(socket.shutdown().await),
            AfterRequest::Hold => {}
            AfterRequest::Drip(piece) => {
                while socket.write_all(piece.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
        request
    };
    #[expect(clippy::disallowed_methods, reason = "the test owns the server's task")]
    let task = tokio::spawn(serving);
    (address, task)
}

/// Head and body of one request.
async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if socket.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

fn endpoint(vendor: Vendor, base_url: &str) -> VendorEndpoint {
    VendorEndpoint::new(vendor, base_url, Some(SecretText::from("sk-geheim".to_owned())))
}

fn at(vendor: Vendor, address: SocketAddr) -> VendorEndpoint {
    endpoint(vendor, &format!("http://{address}"))
}

fn hello() -> ChatRequest {
    serde_json::from_value(json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})).unwrap()
}

fn http(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The head of a stream, and as much of it as `body`; `is_whole` with its end.
fn chunked(body: &str, is_whole: bool) -> String {
    let end = if is_whole { "0\r\n\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n{end}",
        body.len()
    )
}

const ANSWER: &str = r#"{"id":"c","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const DONE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";

async fn chat(endpoint: &VendorEndpoint, deadlines: &CallDeadlines) -> Result<Completion, VendorFailure> {
    VendorClient::new().chat(&Hold::for_tests(), endpoint, &hello(), deadlines).await
}

async fn stream(endpoint: &VendorEndpoint, deadlines: &CallDeadlines) -> Result<ChunkStream, VendorFailure> {
    VendorClient::new().stream(&Hold::for_tests(), endpoint, &hello(), deadlines).await
}

/// Kind and `may_cost` of a whole call that fails.
async fn failure(
    answer: impl Into<String>,
    then: AfterRequest,
    deadlines: CallDeadlines,
) -> (VendorFailureKind, bool) {
    let (address, _) = server(answer, then).await;
    let failure = chat(&at(Vendor::OpenAi, address), &deadlines).await.unwrap_err();
    (failure.kind, failure.may_cost)
}

#[tokio::test]
async fn an_answer_comes_back_with_its_usage() {
    let (address, served) =
        server(http("200 OK", "application/json; charset=utf-8", ANSWER), AfterRequest::Close).await;
    let endpoint = endpoint(Vendor::OpenAi, &format!("http://{address}/v1/"));
    let found = chat(&endpoint, &DEADLINES).await.unwrap();
    assert_eq!(found.usage.map(|usage| usage.total()), Some(4));
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer sk-geheim\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/json\r\n"), "{request}");
}

#[tokio::test]
async fn every_vendor_is_called_at_its_path_with_its_credential() {
    let bearer = "authorization: Bearer sk-geheim";
    for (vendor, path, wanted) in [
        (
            Vendor::Anthropic,
            "/v1/messages",
            vec![bearer, "x-api-key: sk-geheim", "anthropic-version: 2026-10-21"],
        ),
        (Vendor::Gemini, "/v1beta/models/m:generateContent", vec!["x-goog-api-key: sk-geheim"]),
        (Vendor::Grok, "/chat/completions", vec![bearer]),
        (Vendor::Ollama, "/api/chat", vec![bearer]),
    ] {
        let (address, served) =
            server(http("404 Not Found", "application/json", "{}"), AfterRequest::Close).await;
        let failure = chat(&at(vendor, address), &DEADLINES).await.unwrap_err();
        assert_eq!((failure.kind, failure.status), (VendorFailureKind::UnknownModel, Some(404)), "{vendor}");
        let request = served.await.unwrap();
        assert!(request.starts_with(&format!("POST {path} ")), "{request}");
        assert!(wanted.iter().all(|header| request.contains(&format!("\r\n{header}\r\n"))), "{request}");
    }
}

#[tokio::test]
async fn what_was_never_sent_costs_nothing() {
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let refused = chat(&at(Vendor::OpenAi, unused), &DEADLINES).await.unwrap_err();
    assert_eq!((refused.kind, refused.may_cost), (VendorFailureKind::Connect, false), "{refused}");
    // It listens, but never answers the TLS hello.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint_ = endpoint(Vendor::OpenAi, &format!("https://{}", silent.local_addr().unwrap()));
    let slow = chat(&endpoint_, &CallDeadlines { connect: SHORT, ..DEADLINES }).await.unwrap_err();
    assert_eq!((slow.kind, slow.may_cost), (VendorFailureKind::ConnectTimeout, false), "{slow}");
    let keyless = VendorEndpoint::new(Vendor::Grok, "http://127.0.0.1:1", None);
    let keyless = chat(&keyless, &DEADLINES).await.unwrap_err();
    assert_eq!((keyless.kind, keyless.may_cost), (VendorFailureKind::Credential, false));
    assert!(keyless.message.contains("GROK_API_KEY"), "{keyless}");
    let late = CallDeadlines { overall: Duration::ZERO, ..DEADLINES };
    let late = chat(&at(Vendor::OpenAi, unused), &late).await.unwrap_err();
    assert_eq!((late.kind, late.may_cost), (VendorFailureKind::Cancelled, false));
}

#[tokio::test]
async fn each_silence_has_its_name_and_may_cost() {
    let first_byte = CallDeadlines { first_byte: SHORT, ..DEADLINES };
    assert_eq!(
        failure("", AfterRequest::Hold, first_byte).await,
        (VendorFailureKind::FirstByteTimeout, true)
    );
    let half = || ANSWER.len() / 2;
    let begun = || http("200 OK", "application/json", ANSWER)[..60 + half()].to_owned();
    let idle = CallDeadlines { idle: SHORT, ..DEADLINES };
    assert_eq!(failure(begun(), AfterRequest::Hold, idle).await, (VendorFailureKind::BodyTimeout, true));
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let overall = CallDeadlines { overall: SHORT * 2, ..DEADLINES };
    assert_eq!(
        failure(endless, AfterRequest::Drip("1\r\n \r\n"), overall).await,
        (VendorFailureKind::BodyTimeout, true)
    );
    assert_eq!(failure(begun(), AfterRequest::Close, DEADLINES).await, (VendorFailureKind::Cut, true));
    assert_eq!(failure("", AfterRequest::Close, DEADLINES).await, (VendorFailureKind::Cut, true));
}

#[tokio::test]
async fn what_is_not_the_vendors_form_is_malformed() {
    let malformed = |may_cost| (VendorFailureKind::Malformed, may_cost);
    let page = http("200 OK", "text/html", "<html>");
    assert_eq!(failure(page, AfterRequest::Close, DEADLINES).await, malformed(true));
    let broken = http("200 OK", "application/json", "{\"id\":");
    assert_eq!(failure(broken, AfterRequest::Close, DEADLINES).await, malformed(true));
    assert_eq!(failure("SSH-2.0-x\r\n", AfterRequest::Close, DEADLINES).await, malformed(true));
    let huge = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n";
    assert_eq!(failure(huge, AfterRequest::Hold, DEADLINES).await, malformed(true));
    let elsewhere = "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(failure(elsewhere, AfterRequest::Close, DEADLINES).await, malformed(false));
}

#[tokio::test]
async fn no_redirect_carries_a_key_elsewhere() {
    let (thief, visited) = server(http("200 OK", "application/json", ANSWER), AfterRequest::Close).await;
    for vendor in Vendor::ALL {
        for status in [
            "301 Moved Permanently",
            "302 Found",
            "303 See Other",
            "307 Temporary Redirect",
            "308 Permanent Redirect",
        ] {
            let location =
                format!("HTTP/1.1 {status}\r\nlocation: http://{thief}/\r\ncontent-length: 0\r\n\r\n");
            let (address, _) = server(location, AfterRequest::Close).await;
            let failure = chat(&at(vendor, address), &DEADLINES).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.may_cost),
                (VendorFailureKind::Malformed, false),
                "{vendor} {status}"
            );
        }
    }
    assert!(!visited.is_finished(), "nobody came");
    visited.abort();
}

#[tokio::test]
async fn a_refusal_keeps_its_wait_and_loses_the_key() {
    let body =
        r#"{"error":{"message":"slow down, sk-geheim","type":"requests","code":"rate_limit_exceeded"}}"#;
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (address, _) = server(answer, AfterRequest::Close).await;
    let refused = chat(&at(Vendor::OpenAi, address), &DEADLINES).await.unwrap_err();
    assert_eq!((refused.kind, refused.may_cost), (VendorFailureKind::RateLimited, false));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
    assert!(refused.message.contains("slow down, ***"), "{refused}");
}

#[tokio::test]
async fn a_stream_ends_cleanly_only_after_the_vendors_last_word() {
    use futures_util::StreamExt as _;
    let whole = format!("{CHUNK}{DONE}");
    // The last of these leaves the connection open after the last word.
    for (answer, then) in [
        (chunked(&whole, true), AfterRequest::Close),
        (chunked(&whole, false), AfterRequest::Close),
        (chunked(&whole, false), AfterRequest::Hold),
    ] {
        let (address, _) = server(answer, then).await;
        let mut chunks = stream(&at(Vendor::OpenAi, address), &DEADLINES).await.unwrap();
        let items: Vec<_> = chunks.by_ref().collect().await;
        assert!(items.len() == 2 && items.iter().all(Result::is_ok), "{items:?}");
        assert_eq!(chunks.usage().map(|usage| usage.total()), Some(4));
    }
    let idle = CallDeadlines { idle: SHORT, ..DEADLINES };
    for (answer, then, kind) in [
        (chunked(CHUNK, true), AfterRequest::Close, VendorFailureKind::Cut),
        (chunked(CHUNK, false), AfterRequest::Close, VendorFailureKind::Cut),
        (chunked(CHUNK, false), AfterRequest::Hold, VendorFailureKind::BodyTimeout),
        (chunked(&format!("{CHUNK}data: oops\n\n"), true), AfterRequest::Close, VendorFailureKind::Malformed),
    ] {
        let (address, _) = server(answer, then).await;
        let mut chunks = stream(&at(Vendor::OpenAi, address), &idle).await.unwrap();
        let items: Vec<_> = chunks.by_ref().collect().await;
        assert_eq!(items.len(), 2, "{kind:?}");
        let failure = items[1].as_ref().unwrap_err();
        assert_eq!((failure.kind, failure.may_cost, chunks.usage()), (kind, true, None));
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_chunk_can_be_tried_again() {
    let busy = "data: {\"error\":{\"message\":\"busy\",\"type\":\"rate_limit_error\"}}\n\n";
    for (answer, then, kind) in [
        (chunked(busy, true), AfterRequest::Close, VendorFailureKind::RateLimited),
        (chunked(": wait\n\n", true), AfterRequest::Close, VendorFailureKind::Cut),
        (http("200 OK", "application/json", ANSWER), AfterRequest::Close, VendorFailureKind::Malformed),
        (chunked("", false)[..82].to_owned(), AfterRequest::Hold, VendorFailureKind::FirstByteTimeout),
    ] {
        let first_byte =
            if kind == VendorFailureKind::FirstByteTimeout { SHORT } else { DEADLINES.first_byte };
        let (address, _) = server(answer, then).await;
        let deadlines = CallDeadlines { first_byte, ..DEADLINES };
        let failure = stream(&at(Vendor::OpenAi, address), &deadlines).await.err().unwrap();
        assert_eq!((failure.kind, failure.may_cost), (kind, true), "{failure}");
    }
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    let (address, served) = server(chunked(CHUNK, false), AfterRequest::Hold).await;
    drop(stream(&at(Vendor::OpenAi, address), &DEADLINES).await.unwrap());
    let request = tokio::time::timeout(LONG, served).await.expect("the server saw the end").unwrap();
    assert!(request.contains("\"stream\":true"), "{request}");
}

#[tokio::test]
async fn models_and_embeddings_are_read() {
    let body = r#"{"models":[{"name":"llama3.1:8b"},{"name":"tinyllama:1.1b"}]}"#;
    let (address, served) = server(http("200 OK", "application/json", body), AfterRequest::Close).await;
    let local = VendorEndpoint::new(Vendor::Ollama, &format!("http://{address}"), None);
    let models = VendorClient::new().models(&local, &DEADLINES).await.unwrap();
    assert_eq!(models, ["llama3.1:8b", "tinyllama:1.1b"]);
    let request = served.await.unwrap();
    assert!(request.starts_with("GET /api/tags ") && !request.contains("authorization"), "{request}");
    let body = r#"{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let (address, _) = server(http("200 OK", "application/json", body), AfterRequest::Close).await;
    let request = EmbeddingRequest { model: "e".into(), input: json!("a"), ..EmbeddingRequest::default() };
    let client = VendorClient::new();
    let (answer, usage) = client
        .embeddings(&Hold::for_tests(), &at(Vendor::Grok, address), &request, &DEADLINES)
        .await
        .unwrap();
    assert_eq!((answer.data.len(), usage.map(|usage| usage.input)), (1, Some(2)));
}
