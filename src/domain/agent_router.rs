//! Agent invocations: requests, answers, and the names of the files that carry them.
//!
//! Invariant: a [`FileRequestId`] is one plain path segment on every file system, so no request can name a
//! file outside the folder. `error` and `timeout` are answers, not failures of the call.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::agent::{AgentDefinition, AgentRole, AgentTier, AgentTransport};
use super::roster::Roster;

/// Longest id of a request, in characters (the contract).
pub const MAX_REQUEST_ID: usize = 100;
/// Longest wait for an answer (the contract).
pub const MAX_TIMEOUT_S: f64 = 3600.0;

/// An invocation of an agent, by name or by capabilities: the contract's `agent_invocation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvocationRequest {
    /// Chosen by the caller; names the call in logs and files.
    pub request_id: String,
    /// The run that the call belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// Capabilities, all required; used without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// Longest wait for the answer, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: f64,
    /// The transport; `None`: by message if possible, else the agent's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<AgentTransport>,
}

fn default_timeout_s() -> f64 {
    30.0
}

impl InvocationRequest {
    /// The wait as a duration, within the contract's bounds whatever the number.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let seconds = if self.timeout_s.is_nan() { default_timeout_s() } else { self.timeout_s };
        Duration::from_secs_f64(seconds.clamp(0.0, MAX_TIMEOUT_S))
    }

    /// The agent's view of the call.
    #[must_use]
    pub fn invocation(&self) -> AgentInvocation {
        AgentInvocation {
            request_id: self.request_id.clone(),
            run_id: self.run_id.clone(),
            payload: self.payload.clone(),
        }
    }
}

/// An agent's view of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentInvocation {
    /// The caller's id of the request.
    pub request_id: String,
    /// The run that the call belongs to.
    pub run_id: Option<String>,
    pub payload: Map<String, Value>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvocationStatus {
    Success,
    Error,
    /// Without an answer in time; work may still go on.
    Timeout,
}

/// The end of a call, with the result.
#[derive(Debug, Clone, PartialEq)]
pub enum InvocationOutcome {
    Success(Value),
    /// The cause, as a sentence.
    Error(String),
    /// The missing answer, as a sentence.
    Timeout(String),
    /// The call became a job that outlasts the caller's timeout.
    Unfinished {
        /// The job's `job_id` and `state`.
        job: Value,
        /// A sentence for the caller.
        reason: String,
    },
}

impl InvocationOutcome {
    /// Status, result and error.
    #[must_use]
    pub fn into_parts(self) -> (InvocationStatus, Option<Value>, Option<String>) {
        match self {
            Self::Success(result) => (InvocationStatus::Success, Some(result), None),
            Self::Error(error) => (InvocationStatus::Error, None, Some(error)),
            Self::Timeout(error) => (InvocationStatus::Timeout, None, Some(error)),
            Self::Unfinished { job, reason } => (InvocationStatus::Timeout, Some(job), Some(reason)),
        }
    }
}

/// Metadata of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvocationMetadata {
    pub transport: AgentTransport,
    pub agent_role: AgentRole,
    /// How critical the agent is.
    pub tier: AgentTier,
    /// The run named by the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// The answer to a call, on the wire and in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InvocationAnswer {
    /// The caller's name for the call.
    pub request_id: String,
    pub agent_name: String,
    pub status: InvocationStatus,
    /// The result of a success; the job, if that outlasts the caller's timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The cause of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// About the call itself.
    pub metadata: InvocationMetadata,
    /// From arrival to answer, in milliseconds.
    pub latency_ms: f64,
}

impl InvocationAnswer {
    /// The answer of `agent` with an outcome.
    #[must_use]
    pub fn new(
        request_id: String,
        agent: &AgentDefinition,
        outcome: InvocationOutcome,
        metadata: InvocationMetadata,
        latency: Duration,
    ) -> Self {
        let (status, result, error) = outcome.into_parts();
        // Finer digits are noise.
        let latency_ms = (latency.as_secs_f64() * 1e6).round() / 1e3;
        Self { request_id, agent_name: agent.name.to_string(), status, result, error, metadata, latency_ms }
    }
}

/// The fields of an outbox answer that a reader must know.
#[derive(Debug, Deserialize)]
struct StoredInvocation {
    status: InvocationStatus,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

/// The outcome in an answer file: an [`InvocationAnswer`], or any other JSON, which is then the result.
#[must_use]
pub fn outcome_of_file(text: &[u8]) -> InvocationOutcome {
    if let Ok(answer) = serde_json::from_slice::<StoredInvocation>(text) {
        let error = || answer.error.clone().unwrap_or_else(|| "the agent gave no reason".to_owned());
        return match answer.status {
            InvocationStatus::Success => InvocationOutcome::Success(answer.result.unwrap_or(Value::Null)),
            InvocationStatus::Error => InvocationOutcome::Error(error()),
            InvocationStatus::Timeout => match answer.result.clone() {
                Some(job) => InvocationOutcome::Unfinished { job, reason: error() },
                None => InvocationOutcome::Timeout(error()),
            },
        };
    }
    match serde_json::from_slice(text) {
        Ok(value) => InvocationOutcome::Success(value),
        Err(error) => InvocationOutcome::Error(format!("the answer file is not JSON: {error}")),
    }
}

/// A request id that is safe as a file's stem.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileRequestId(String);

impl FileRequestId {
    /// # Errors
    /// A sentence, when the id could name anything but one file in its folder.
    pub fn new(id: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with(['.', '-']) {
            return Ok(Self(id.to_owned()));
        }
        Err(format!(
            "`{}` cannot name a file: the file transport takes request ids of A-Z, a-z, 0-9, `.`, `_` and \
             `-`, at most {MAX_REQUEST_ID} characters, not beginning with `.` or `-`",
            id.chars().take(MAX_REQUEST_ID).collect::<String>().escape_debug()
        ))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The transport to an agent: the requested one, else by message, else the agent's first one.
///
/// # Errors
/// A sentence with the agent's transports.
pub fn choose_transport(
    agent: &AgentDefinition,
    asked: Option<AgentTransport>,
) -> Result<AgentTransport, String> {
    let wanted = asked.unwrap_or_else(|| {
        let first = agent.transports.first().copied().unwrap_or(AgentTransport::Rpc);
        if agent.transports.contains(&AgentTransport::Rpc) { AgentTransport::Rpc } else { first }
    });
    if agent.transports.contains(&wanted) {
        return Ok(wanted);
    }
    let has: Vec<&str> = agent.transports.iter().copied().map(transport_word).collect();
    let (name, wanted) = (&agent.name, transport_word(wanted));
    Err(format!("{name} cannot be reached by `{wanted}`; its transports: {}", has.join(", ")))
}

/// The word of the contract.
#[must_use]
pub fn transport_word(transport: AgentTransport) -> &'static str {
    match transport {
        AgentTransport::Rpc => "rpc",
        AgentTransport::File => "file",
        AgentTransport::Mcp => "mcp",
        AgentTransport::Rest => "rest",
    }
}

/// A search for agents; omitted fields match any.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct AgentFilter {
    /// Able to do all of this.
    #[serde(default)]
    pub capabilities: Vec<String>,
    #[serde(default)]
    pub agent_role: Option<AgentRole>,
    #[serde(default)]
    pub tier: Option<AgentTier>,
    /// Maximum number of agents.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

fn default_limit() -> usize {
    10
}

impl AgentFilter {
    /// Whether an agent matches.
    #[must_use]
    pub fn fits(&self, agent: &AgentDefinition) -> bool {
        self.capabilities.iter().all(|capability| agent.can(capability))
            && self.agent_role.is_none_or(|role| role == agent.role)
            && self.tier.is_none_or(|tier| tier == agent.tier)
    }
}

/// The matching agents, in the roster's order.
pub fn find<'r>(roster: &'r Roster, query: &'r AgentFilter) -> impl Iterator<Item = &'r AgentDefinition> {
    roster.iter().filter(|agent| query.fits(agent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_id_cannot_leave_its_folder() {
        for id in ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", ".hidden", "-rf", "a\0", "ä", "C:x"]
        {
            assert!(FileRequestId::new(id).is_err(), "{id:?}");
        }
        assert!(FileRequestId::new(&"a".repeat(101)).is_err());
        assert_eq!(FileRequestId::new("Req-1.b_2").unwrap().as_str(), "Req-1.b_2");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_one_plain_segment(id in ".{0,120}") {
            if let Ok(id) = FileRequestId::new(&id) {
                let path = std::path::Path::new("folder").join(format!("{id}.json"));
                prop_assert_eq!(path.parent().unwrap(), std::path::Path::new("folder"));
                prop_assert_eq!(path.components().count(), 2);
            }
        }

        #[test]
        fn any_wait_becomes_a_bounded_one(timeout_s in any::<f64>()) {
            let mut request: InvocationRequest = serde_json::from_value(json!({"request_id": "r"})).unwrap();
            request.timeout_s = timeout_s;
            prop_assert!(request.timeout() <= Duration::from_secs(3600));
        }
    }

    #[test]
    fn an_answer_file_is_an_answer_or_a_bare_result() {
        let error = br#"{"status": "error", "error": "no model"}"#;
        assert_eq!(outcome_of_file(error), InvocationOutcome::Error("no model".into()));
        let success = br#"{"status": "success", "result": {"n": 1}}"#;
        assert_eq!(outcome_of_file(success), InvocationOutcome::Success(json!({"n": 1})));
        assert_eq!(
            outcome_of_file(br#"{"status": "fine"}"#),
            InvocationOutcome::Success(json!({"status": "fine"}))
        );
        assert!(matches!(outcome_of_file(b"{"), InvocationOutcome::Error(text) if text.contains("not JSON")));
    }
}
