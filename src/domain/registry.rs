//! Services as the registry knows them: what one says of itself, its health, and who is offered.
//!
//! Owns the record ([`Service`], durable), the signs of life ([`Life`], soft state) and the rules that
//! join them. Invariants: an offered service has shown life within its time to live; the status of
//! one that is silent follows from the silence alone. Pure: time comes in as the silence so far.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::heartbeat::{MISSES_DEREGISTER, MISSES_DOWN, Pace};
use super::hmi::AgentStatus;
use super::time::Timestamp;

/// Longest id of a service, in characters (the contract).
pub const MAX_SERVICE_ID: usize = 128;
/// Before the name of an agent of the roster in its service id.
pub const AGENT_PREFIX: &str = "agent-";

/// What kind of thing a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceType {
    Model,
    Tool,
    Agent,
}

/// How far a service may be trusted with work. In the order in which listings show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceRole {
    Production,
    /// Being tried before production.
    Staging,
    /// Takes a small share of the work.
    Canary,
    Experimental,
}

/// How a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    #[default]
    Ok,
    /// Works, but not as it should.
    Degraded,
    Down,
    /// Waits for its turn.
    Queued,
    Running,
    Blocked,
    /// Waits for a person.
    WaitingApproval,
    Paused,
    Error,
    Done,
}

impl From<AgentStatus> for ServiceStatus {
    fn from(status: AgentStatus) -> Self {
        match status {
            AgentStatus::Ok => Self::Ok,
            AgentStatus::Queued => Self::Queued,
            AgentStatus::Running => Self::Running,
            AgentStatus::WaitingApproval => Self::WaitingApproval,
            AgentStatus::Blocked => Self::Blocked,
            AgentStatus::Paused => Self::Paused,
            AgentStatus::Degraded => Self::Degraded,
            AgentStatus::Error => Self::Error,
            AgentStatus::Down => Self::Down,
            AgentStatus::Done => Self::Done,
        }
    }
}

/// The three answers to "is it well?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Healthy,
    Degraded,
    Down,
}

impl ServiceStatus {
    /// The health that a status means.
    #[must_use]
    pub fn health(self) -> Health {
        match self {
            Self::Down => Health::Down,
            Self::Degraded | Self::Error => Health::Degraded,
            _ => Health::Healthy,
        }
    }

    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Blocked => "blocked",
            Self::WaitingApproval => "waiting_approval",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Done => "done",
        }
    }
}

/// What a service costs, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostHint {
    /// US dollars for a thousand tokens.
    pub usd_per_1k: f64,
}

/// What a service says of itself when it registers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Registration {
    /// Its id; without one the registry chooses.
    #[serde(default)]
    pub service_id: Option<String>,
    /// Its name; instances of one service share it.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// How far it may be trusted.
    pub role: ServiceRole,
    pub url: String,
    /// What it can do.
    pub caps: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Context window in tokens.
    #[serde(default)]
    pub ctx_limit: Option<u64>,
    #[serde(default)]
    pub cost_hint: Option<CostHint>,
    /// Seconds between two beats.
    #[serde(default = "default_interval_s")]
    pub heartbeat_interval_s: u32,
    /// Seconds without a beat for which it is still offered.
    #[serde(default = "default_ttl_s")]
    pub ttl_s: u32,
}

fn default_interval_s() -> u32 {
    60
}

fn default_ttl_s() -> u32 {
    90
}

impl Registration {
    /// Bytes of text in it: what a record costs in memory, near enough.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        let caps: usize = self.caps.iter().map(String::len).sum();
        self.service_id.as_ref().map_or(0, String::len) + self.name.len() + self.url.len() + caps + labels
    }

    /// The record of it under an id.
    #[must_use]
    pub fn into_service(self, service_id: String, registered_at: Timestamp) -> Service {
        Service {
            service_id,
            name: self.name,
            kind: self.kind,
            role: self.role,
            url: self.url,
            caps: self.caps,
            labels: self.labels,
            ctx_limit: self.ctx_limit,
            cost_hint_usd_per_1k: self.cost_hint.map(|hint| hint.usd_per_1k),
            heartbeat_interval_s: self.heartbeat_interval_s,
            ttl_s: self.ttl_s,
            registered_at,
        }
    }
}

/// A new id for a service that brought none.
#[must_use]
pub fn new_service_id() -> String {
    format!("service-{}", uuid::Uuid::now_v7().simple())
}

/// The service id of an agent of the roster.
#[must_use]
pub fn agent_service_id(name: &str) -> String {
    format!("{AGENT_PREFIX}{name}")
}

/// The durable record of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub service_id: String,
    pub name: String,
    pub kind: ServiceType,
    /// How far it may be trusted.
    pub role: ServiceRole,
    pub url: String,
    /// What it can do.
    pub caps: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Context window in tokens.
    pub ctx_limit: Option<u64>,
    /// US dollars for a thousand tokens.
    pub cost_hint_usd_per_1k: Option<f64>,
    /// Seconds between two beats.
    pub heartbeat_interval_s: u32,
    /// Seconds without a beat for which it is still offered.
    pub ttl_s: u32,
    pub registered_at: Timestamp,
}

impl Service {
    /// What is expected of it.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace::new(self.heartbeat_interval_s, self.ttl_s)
    }
}

/// One sign of life, as sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Beat {
    pub service_id: String,
    #[serde(default)]
    pub status: ServiceStatus,
    /// 95th percentile of its latency, ms.
    #[serde(default)]
    pub p95_ms: Option<f64>,
    #[serde(default)]
    pub queue_depth: Option<u64>,
    /// Share of its capacity in use.
    #[serde(default)]
    pub load: Option<f64>,
    /// What it is at.
    #[serde(default)]
    pub message: Option<String>,
}

/// The soft state of a service: what its last beat said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Life {
    /// What it last said of itself.
    pub status: ServiceStatus,
    /// 95th percentile of its latency, ms.
    pub p95_ms: Option<f64>,
    pub queue_depth: Option<u64>,
    /// Share of its capacity in use.
    pub load: Option<f64>,
}

impl From<Beat> for Life {
    fn from(beat: Beat) -> Self {
        Self { status: beat.status, p95_ms: beat.p95_ms, queue_depth: beat.queue_depth, load: beat.load }
    }
}

/// The status that others see: its own word, unless silence speaks louder.
#[must_use]
pub fn seen_status(said: ServiceStatus, pace: Pace, silence: Duration) -> ServiceStatus {
    if pace.misses(silence) >= MISSES_DOWN { ServiceStatus::Down } else { said }
}

/// Whether its id is free for another again: the third miss has passed, whoever has noticed.
#[must_use]
pub fn has_lapsed(pace: Pace, silence: Duration) -> bool {
    pace.misses(silence) >= MISSES_DEREGISTER
}

/// What someone looks for; what is not said does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
pub struct Filter {
    #[serde(rename = "type")]
    pub kind: Option<ServiceType>,
    pub role: Option<ServiceRole>,
    pub cap: Option<String>,
    pub name: Option<String>,
    pub status: Option<ServiceStatus>,
}

impl Filter {
    /// Whether a service in this status fits.
    #[must_use]
    pub fn fits(&self, service: &Service, status: ServiceStatus) -> bool {
        self.kind.is_none_or(|kind| kind == service.kind)
            && self.role.is_none_or(|role| role == service.role)
            && self.status.is_none_or(|wanted| wanted == status)
            && self.name.as_ref().is_none_or(|name| *name == service.name)
            && self.cap.as_ref().is_none_or(|cap| service.caps.contains(cap))
    }

    /// Whether a service whose time to live is over may be shown: only to one who asks who is down.
    #[must_use]
    pub fn shows_expired(&self) -> bool {
        self.status == Some(ServiceStatus::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        let registration: Registration = serde_json::from_value(serde_json::json!({
            "name": "linter", "type": "tool", "role": "staging", "url": "http://localhost:9", "caps": ["lint"],
        }))
        .unwrap();
        registration.into_service("tool-1".into(), Timestamp::from_millis(0))
    }

    #[test]
    fn a_registration_has_the_contracts_defaults() {
        let service = service();
        assert_eq!((service.heartbeat_interval_s, service.ttl_s), (60, 90));
        assert!(service.labels.is_empty() && service.ctx_limit.is_none());
    }

    #[test]
    fn silence_speaks_louder_than_words() {
        let pace = service().pace();
        let seen = |seconds| seen_status(ServiceStatus::Running, pace, Duration::from_secs(seconds));
        assert_eq!(seen(119), ServiceStatus::Running);
        assert_eq!(seen(121), ServiceStatus::Down);
        assert!(!has_lapsed(pace, Duration::from_secs(180)) && has_lapsed(pace, Duration::from_secs(181)));
    }

    #[test]
    fn a_filter_asks_for_all_it_names_and_for_nothing_else() {
        let (service, ok) = (service(), ServiceStatus::Ok);
        let fits = |filter: Filter| filter.fits(&service, ok);
        assert!(fits(Filter::default()));
        assert!(fits(Filter {
            cap: Some("lint".into()),
            kind: Some(ServiceType::Tool),
            ..Filter::default()
        }));
        assert!(!fits(Filter { cap: Some("lin".into()), ..Filter::default() }));
        assert!(!fits(Filter { role: Some(ServiceRole::Production), ..Filter::default() }));
        assert!(!fits(Filter { status: Some(ServiceStatus::Down), ..Filter::default() }));
        assert!(!fits(Filter { name: Some("other".into()), ..Filter::default() }));
    }

    #[test]
    fn generated_ids_differ_and_stay_clear_of_the_agents() {
        let (a, b) = (new_service_id(), new_service_id());
        assert!(a != b && !a.starts_with(AGENT_PREFIX) && a.len() <= MAX_SERVICE_ID);
    }
}
