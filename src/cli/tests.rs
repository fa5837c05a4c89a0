//! Commands against a server that answers with the contract's examples.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::args::{GlobalArgs, SteerArgs};
use super::client::DaemonClient;
use super::exit::{CommandExit, CommandFailure};
use super::{CommandContext, agents, ids, jobs, library};
use crate::config::{ConfigSources, SwarmConfig};

/// The requests, one line each.
type RequestLog = Arc<Mutex<Vec<String>>>;
type CannedAnswer = fn(&str) -> (StatusCode, Value);

async fn answer(
    State((asked, answer)): State<(RequestLog, CannedAnswer)>,
    request: Request,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let line = format!("{} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    let reply = answer(&line);
    asked.lock().push(line.trim().to_owned());
    (reply.0, Json(reply.1)).into_response()
}

/// A server on a free port, and a context that takes that port for the orchestrator's.
async fn serve(reply: CannedAnswer) -> (CommandContext, RequestLog) {
    let asked = RequestLog::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(answer).with_state((Arc::clone(&asked), reply));
    #[expect(clippy::disallowed_methods, reason = "a test's server ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (context(port), asked)
}

fn context(port: u16) -> CommandContext {
    let mut config = SwarmConfig::load(&ConfigSources::default()).unwrap();
    // Kernels give ports for port 0 from 32768 on, far above the orchestrator's.
    config.http.port_offset = port - super::client::ORCHESTRATOR;
    config.http.token = Some("a token of at least 16".to_owned().into());
    CommandContext::new(config, GlobalArgs { json: true, quiet: true, ..GlobalArgs::default() }).unwrap()
}

fn example(path: &str, method: &str, status: &str) -> Value {
    let contract = crate::http::contract::read("orchestrator.json").unwrap();
    let content = &contract["paths"][path][method]["responses"][status]["content"]["application/json"];
    assert!(!content["example"].is_null(), "{method} {path} {status}");
    content["example"].clone()
}

const DETAIL: &str = "the job is done; only a queued or running job can be paused";

#[tokio::test]
async fn errors_of_the_daemon_become_exit_codes_and_sentences() {
    let (context, _) = serve(|line| match line {
        _ if line.contains("/missing") => (StatusCode::NOT_FOUND, json!({"detail": "there is no such job"})),
        _ if line.contains("/busy") => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({"detail": "the queue is full"}))
        }
        _ if line.contains("/invalid") => {
            let violation = json!({"loc": ["body", "task"], "msg": "is required", "type": "missing"});
            (StatusCode::UNPROCESSABLE_ENTITY, json!({"detail": [violation]}))
        }
        _ => (StatusCode::CONFLICT, json!({"detail": DETAIL})),
    })
    .await;
    for (path, exit, message) in [
        ("missing", CommandExit::NotFound, "there is no such job"),
        ("busy", CommandExit::Failed, "the queue is full"),
        ("invalid", CommandExit::Refused, "body.task: is required"),
        ("done", CommandExit::Refused, DETAIL),
    ] {
        let failure =
            CommandFailure::from(context.client.post(&["jobs", path], &json!({})).await.unwrap_err());
        assert_eq!((failure.exit, &*failure.message), (exit, message));
    }
}

#[tokio::test]
async fn without_a_daemon_the_command_says_how_to_start_one() {
    // Bound and dropped, so that nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let context = context(port);
    let failure = CommandFailure::from(context.client.get(&["jobs"], &[]).await.unwrap_err());
    assert_eq!(failure.exit, CommandExit::Unreachable);
    assert!(failure.message.contains("start one with `pas up`"), "{failure}");
    assert!(!context.client.is_up().await);
}

#[tokio::test]
async fn parts_of_ids_are_completed_against_the_daemon() {
    let (context, asked) = serve(|line| match line {
        _ if line.starts_with("GET /jobs?") => (StatusCode::OK, example("/jobs", "get", "200")),
        _ if line.starts_with("POST") => (StatusCode::OK, example("/jobs/{job_id}/pause", "post", "200")),
        _ => (StatusCode::NOT_FOUND, json!({"detail": "there is no such job"})),
    })
    .await;
    let args = SteerArgs { id: "audit".into(), reason: Some("why".into()) };
    assert_eq!(jobs::steer(&context, "pause", &args).await, Ok(CommandExit::Done));
    assert_eq!(
        *asked.lock(),
        [
            "GET /jobs/audit",
            "GET /jobs?roots=false&limit=1000",
            r#"POST /jobs/ingest-7k2mq9x4bz.data.audit/pause {"reason":"why"}"#,
        ]
    );
    assert_eq!(ids::run(&context.client, "ingest-7k").await.as_deref(), Ok("ingest-7k2mq9x4bz"));
    assert_eq!(ids::job(&context.client, "nothing").await.unwrap_err().exit, CommandExit::NotFound);
}

#[tokio::test]
async fn text_of_the_person_cannot_leave_its_place_in_the_address() {
    let (context, asked) = serve(|_| (StatusCode::NOT_FOUND, json!({"detail": "no"}))).await;
    assert!(agents::show(&context, "../shutdown?x=1#y").await.is_err());
    let search = super::args::SearchArgs { words: vec!["a&b".into(), "c=d".into()], run: None, limit: 3 };
    assert!(library::search(&context, &search).await.is_err());
    assert_eq!(*asked.lock(), ["GET /agents/..%2Fshutdown%3Fx=1%23y", "GET /search?q=a%26b+c%3Dd&limit=3"]);
}

#[tokio::test]
async fn a_service_is_known_by_its_own_name() {
    let (context, _) = serve(|_| (StatusCode::OK, json!({"service": "orchestrator", "port": 1}))).await;
    assert!(context.client.is_up().await);
    let (other, _) = serve(|_| (StatusCode::OK, json!({"hello": "world"}))).await;
    assert!(!other.client.is_up().await, "another program's answer is not the daemon's");
}

#[test]
fn commands_to_be_typed_lead_to_the_same_daemon() {
    let config = SwarmConfig::load(&ConfigSources::default()).unwrap();
    let global =
        GlobalArgs { port_offset: Some(1000), data_dir: Some("my state".into()), ..GlobalArgs::default() };
    let context = CommandContext::new(config, global).unwrap();
    let again = context.again();
    assert!(again.ends_with(" --data-dir 'my state' --port-offset 1000"), "{again}");
    assert!(DaemonClient::new(&context.config).is_ok());
}

#[test]
fn relative_paths_of_flags_begin_where_the_command_is_typed() {
    let here = std::env::current_dir().unwrap();
    let global = GlobalArgs {
        data_dir: Some("state".into()),
        workdir: Some("../work".into()),
        config: Some("my.toml".into()),
        ..GlobalArgs::default()
    };
    let sources = global.sources();
    assert_eq!(sources.flags.data_dir, Some(here.join("state")));
    assert_eq!(sources.flags.workdir, Some(here.join("../work")));
    assert_eq!(sources.file, Some(here.join("my.toml")));
    let sources = crate::config::ConfigSources { look_for_file: false, file: None, ..sources };
    let config = crate::config::SwarmConfig::load(&sources).unwrap();
    assert_eq!(config.daemon.data_dir, here.join("state"), "not below the working directory");
}
