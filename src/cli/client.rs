//! HTTP calls to the daemon, and the sentences for their errors.
//!
//! Invariants: every call has a deadline; every mutation carries JSON (as the edge requires) and the token,
//! if one is set. Failure policy: no call is retried; an error names the address and the remedy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::exit::{CommandExit, CommandFailure};
use super::wire;
use crate::config::{SecretText, SwarmConfig};
use crate::domain::steering::PrincipalName;
use crate::http::audit::ACTOR;

/// The orchestrator's port without an offset (`contracts/orchestrator.json`).
pub const ORCHESTRATOR: u16 = 6100;
/// The token governor's port without an offset (`contracts/token-governor.json`).
pub const TOKEN_GOVERNOR: u16 = 6105;
/// The HMI's port without an offset (`contracts/hmi.json`).
pub const HMI: u16 = 6101;
/// The event stream's port without an offset (`contracts/event-stream.json`).
pub const EVENT_STREAM: u16 = 6102;
/// The resource manager's port without an offset (`contracts/resource-manager.json`).
pub const RESOURCE_MANAGER: u16 = 6104;
/// The gateway's port without an offset (`contracts/gateway.json`).
pub const GATEWAY: u16 = 6120;
/// The agent router's port without an offset (`contracts/agent-router.json`).
pub const AGENT_ROUTER: u16 = 6119;

/// The daemon is on this machine or near: a connect without an answer means that nothing listens.
const CONNECT: Duration = Duration::from_secs(2);
/// For calls that read, or write one row.
const CALL: Duration = Duration::from_secs(30);
/// For calls that wait for work to stop or for the store to be copied.
pub const LONG_CALL: Duration = Duration::from_secs(300);
/// For checking whether a daemon is there.
const PROBE: Duration = Duration::from_millis(500);
/// A longer error text is a page, not a sentence.
const MAX_DETAIL: usize = 2_000;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no daemon answers at {0}: start one with `pas up`, or run `pas doctor`")]
    Unreachable(String),
    /// The daemon listens, but the answer broke off or timed out.
    #[error("incomplete answer from the daemon at {at}: {reason}")]
    Broken { at: String, reason: String },
    /// The daemon answered with an error.
    #[error("{detail}")]
    Status {
        status: StatusCode,
        /// The daemon's `detail`.
        detail: String,
    },
    /// The settings yield no address.
    #[error("the settings yield no usable address: {0}")]
    Address(String),
}

impl ClientError {
    /// Whether the named thing does not exist. Text that cannot be an id cannot exist either.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }

    const fn exit(&self) -> CommandExit {
        match self {
            Self::Unreachable(_) | Self::Broken { .. } => CommandExit::Unreachable,
            Self::Address(_) => CommandExit::Usage,
            Self::Status { status, .. } => match *status {
                StatusCode::NOT_FOUND => CommandExit::NotFound,
                StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::CONFLICT
                | StatusCode::UNPROCESSABLE_ENTITY
                | StatusCode::TOO_MANY_REQUESTS => CommandExit::Refused,
                _ => CommandExit::Failed,
            },
        }
    }
}

impl From<ClientError> for CommandFailure {
    fn from(error: ClientError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

#[derive(Debug, Clone)]
pub struct DaemonClient {
    http: reqwest::Client,
    host: IpAddr,
    offset: u16,
    token: Option<SecretText>,
    /// The acting principal, for the audit log.
    actor: String,
}

impl DaemonClient {
    /// A client for the daemon with these settings.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the HTTP client cannot be built.
    pub fn new(config: &SwarmConfig) -> Result<Self, ClientError> {
        let http = crate::llm::tls::plain_client_builder()
            .map_err(|error| ClientError::Address(error.to_string()))?
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .user_agent(concat!("pas-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Address(error.to_string()))?;
        let (host, offset) = (reachable(config.http.bind), config.http.port_offset);
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let actor = actor(user.as_deref().unwrap_or_default());
        Ok(Self { http, host, offset, token: config.http.token.clone(), actor })
    }

    /// The address of a service, from the port without the offset.
    #[must_use]
    pub fn address(&self, port: u16) -> String {
        let port = port.saturating_add(self.offset);
        match self.host {
            IpAddr::V4(host) => format!("http://{host}:{port}"),
            IpAddr::V6(host) => format!("http://[{host}]:{port}"),
        }
    }

    /// Reads from the orchestrator; `path` has the segments of the URL's path.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.get_from(ORCHESTRATOR, path, query).await
    }

    /// Reads from any service.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get_from(
        &self,
        port: u16,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let mut url = self.url(port, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(port, self.request(Method::GET, url)).await
    }

    /// Like [`DaemonClient::get`], decoded as `T`.
    ///
    /// # Errors
    /// [`CommandFailure`] when the call fails or the answer is no `T`.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, CommandFailure> {
        wire::read(&self.get(path, query).await?)
    }

    /// Like [`DaemonClient::fetch`], for one field of the answer.
    ///
    /// # Errors
    /// As [`DaemonClient::fetch`].
    pub async fn fetch_field<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        field: &str,
    ) -> Result<T, CommandFailure> {
        wire::read(&self.get(path, query).await?[field])
    }

    /// Changes something at the orchestrator.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        self.post_to(ORCHESTRATOR, path, body, CALL).await
    }

    /// Changes something at any service, with a deadline.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_to(
        &self,
        port: u16,
        path: &[&str],
        body: &Value,
        within: Duration,
    ) -> Result<Value, ClientError> {
        let request = self.request(Method::POST, self.url(port, path)?).json(body).timeout(within);
        self.answer(port, request).await
    }

    /// Whether the orchestrator reports itself healthy.
    pub async fn is_up(&self) -> bool {
        self.identity(ORCHESTRATOR).await.is_some_and(|service| service == "orchestrator")
    }

    /// The name of the PAS service on a port, read from `/`; `None` for any other program.
    pub async fn identity(&self, port: u16) -> Option<String> {
        let request = self.request(Method::GET, self.url(port, &[]).ok()?).timeout(PROBE);
        let root = self.answer(port, request).await.ok()?;
        root["service"].as_str().map(str::to_owned)
    }

    fn url(&self, port: u16, path: &[&str]) -> Result<Url, ClientError> {
        let base = self.address(port);
        let mut url = Url::parse(&base).map_err(|error| ClientError::Address(format!("{base}: {error}")))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        Ok(url)
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        // Without this header the HMI's port answers with a page.
        let request = self.http.request(method, url).header(ACCEPT, "application/json");
        let request = request.header(ACTOR, &self.actor);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn answer(&self, port: u16, request: RequestBuilder) -> Result<Value, ClientError> {
        let broken = |error: reqwest::Error| self.broken(port, &error);
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(ClientError::Status { status, detail: detail_of(response, status).await });
        }
        response.json().await.map_err(broken)
    }

    fn broken(&self, port: u16, error: &reqwest::Error) -> ClientError {
        let at = self.address(port);
        if error.is_connect() && port == ORCHESTRATOR {
            return ClientError::Unreachable(at);
        }
        if error.is_connect() {
            let reason = "nothing listens there; `pas doctor` shows which ports are up".to_owned();
            return ClientError::Broken { at, reason };
        }
        let reason = if error.is_timeout() { "it timed out".to_owned() } else { root_cause(error) };
        ClientError::Broken { at, reason }
    }
}

/// A user's name for the audit log: `cli:NAME`, or `cli` for a name that the log does not take.
fn actor(user: &str) -> String {
    let named = format!("cli:{user}");
    let fits = !user.is_empty() && PrincipalName::new(&named).is_ok();
    if fits { named } else { "cli".to_owned() }
}

/// An optional reason as a body.
#[must_use]
pub fn reason(reason: Option<&String>) -> Value {
    reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }))
}

/// Where to connect to, for a daemon that listens on `bind`.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

async fn detail_of(response: Response, status: StatusCode) -> String {
    let text = response.text().await.unwrap_or_default();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    sentence(&body["detail"]).unwrap_or_else(|| {
        let shown: String = text.chars().take(MAX_DETAIL).collect();
        format!("the daemon answered {status}: {}", shown.trim())
    })
}

/// A sentence, or a list of violations as sentences.
fn sentence(detail: &Value) -> Option<String> {
    if let Some(text) = detail.as_str() {
        return Some(text.to_owned());
    }
    let word = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    let violation = |item: &Value| {
        let place: Vec<String> = item["loc"].as_array()?.iter().map(word).collect();
        Some(format!("{}: {}", place.join("."), item["msg"].as_str()?))
    };
    let all: Vec<String> = detail.as_array()?.iter().filter_map(violation).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_as_the_audit_takes_it() {
        assert_eq!(actor("ada"), "cli:ada");
        assert_eq!(actor("zo\u{eb}"), "cli");
        assert_eq!(actor(""), "cli");
        assert_eq!(actor(&"x".repeat(100)), "cli");
    }

    #[test]
    fn ports_are_those_that_the_daemon_serves() {
        for (service, number) in [
            ("orchestrator", ORCHESTRATOR),
            ("token-governor", TOKEN_GOVERNOR),
            ("hmi", HMI),
            ("event-stream", EVENT_STREAM),
            ("resource-manager", RESOURCE_MANAGER),
            ("gateway", GATEWAY),
            ("agent-router", AGENT_ROUTER),
        ] {
            let served = crate::daemon::ports().into_iter().find(|port| port.service == service);
            assert_eq!(served.map(|port| port.number), Some(number), "{service}");
        }
    }

    #[test]
    fn violations_become_sentences() {
        let detail = json!([
            {"loc": ["body", "task"], "msg": "this field is required", "type": "missing"},
            {"loc": ["body", "inputs", 0], "msg": "too long", "type": "x"},
        ]);
        assert_eq!(
            sentence(&detail).as_deref(),
            Some("body.task: this field is required; body.inputs.0: too long")
        );
        assert_eq!(sentence(&json!("no such job")).as_deref(), Some("no such job"));
        assert_eq!(sentence(&Value::Null), None);
    }

    #[test]
    fn a_daemon_on_all_addresses_is_reached_on_loopback() {
        for (bind, reached) in [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7")] {
            assert_eq!(reachable(bind.parse().unwrap()), reached.parse::<IpAddr>().unwrap());
        }
    }
}
