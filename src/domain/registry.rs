//! Services in the registry: registration, health, and the rule for offering them.
//!
//! Owns the record ([`RegisteredService`], durable), the signs of life ([`ServiceVitals`], soft state) and
//! the rules that combine them. Invariants: an offered service has sent a heartbeat within the TTL; the
//! status of a silent service follows from the silence alone. Pure: time comes in as the silence so far.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::heartbeat::{HeartbeatTiming, MISSES_DEREGISTER, MISSES_DOWN};
use super::hmi::AgentStatus;
use super::time::Timestamp;

/// Longest id of a service, in characters (the contract).
pub const MAX_SERVICE_ID: usize = 128;
/// Prefix of the service id of an agent of the roster.
pub const AGENT_PREFIX: &str = "agent-";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceType {
    Model,
    Tool,
    Agent,
}

/// The deployment stage of a service, in the order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceRole {
    Production,
    /// In test before production.
    Staging,
    /// Gets a small share of the work.
    Canary,
    Experimental,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    #[default]
    Ok,
    /// Works, but impaired.
    Degraded,
    Down,
    /// Waits for a turn.
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

/// Health in three grades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceHealth {
    Healthy,
    Degraded,
    Down,
}

impl ServiceStatus {
    /// The health that a status means.
    #[must_use]
    pub fn health(self) -> ServiceHealth {
        match self {
            Self::Down => ServiceHealth::Down,
            Self::Degraded | Self::Error => ServiceHealth::Degraded,
            _ => ServiceHealth::Healthy,
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

/// Approximate cost of a service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostHint {
    /// US dollars for a thousand tokens.
    pub usd_per_1k: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServiceRegistration {
    /// Without an id the registry chooses one.
    #[serde(default)]
    pub service_id: Option<String>,
    /// Shared by all instances of a service.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// How far the service may be trusted.
    pub role: ServiceRole,
    pub url: String,
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
    /// Seconds without a beat for which the service is still offered.
    #[serde(default = "default_ttl_s")]
    pub ttl_s: u32,
}

fn default_interval_s() -> u32 {
    60
}

fn default_ttl_s() -> u32 {
    90
}

impl ServiceRegistration {
    /// Bytes of text: roughly the record's memory cost.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        let caps: usize = self.caps.iter().map(String::len).sum();
        self.service_id.as_ref().map_or(0, String::len) + self.name.len() + self.url.len() + caps + labels
    }

    /// The durable record under an id.
    #[must_use]
    pub fn into_service(self, service_id: String, registered_at: Timestamp) -> RegisteredService {
        RegisteredService {
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

/// A new id for a service without one.
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
pub struct RegisteredService {
    pub service_id: String,
    pub name: String,
    pub kind: ServiceType,
    /// How far the service may be trusted.
    pub role: ServiceRole,
    pub url: String,
    pub caps: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Context window in tokens.
    pub ctx_limit: Option<u64>,
    /// US dollars for a thousand tokens.
    pub cost_hint_usd_per_1k: Option<f64>,
    /// Seconds between two beats.
    pub heartbeat_interval_s: u32,
    /// Seconds without a beat for which the service is still offered.
    pub ttl_s: u32,
    pub registered_at: Timestamp,
}

impl RegisteredService {
    #[must_use]
    pub fn pace(&self) -> HeartbeatTiming {
        HeartbeatTiming::new(self.heartbeat_interval_s, self.ttl_s)
    }
}

/// One sign of life, as sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServiceHeartbeat {
    pub service_id: String,
    #[serde(default)]
    pub status: ServiceStatus,
    /// 95th percentile of the latency, ms.
    #[serde(default)]
    pub p95_ms: Option<f64>,
    #[serde(default)]
    pub queue_depth: Option<u64>,
    /// Share of the capacity in use.
    #[serde(default)]
    pub load: Option<f64>,
    #[serde(default)]
    pub message: Option<String>,
}

/// The soft state of a service, from the last beat.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceVitals {
    /// The last reported status.
    pub status: ServiceStatus,
    /// 95th percentile of the latency, ms.
    pub p95_ms: Option<f64>,
    pub queue_depth: Option<u64>,
    /// Share of the capacity in use.
    pub load: Option<f64>,
}

impl From<ServiceHeartbeat> for ServiceVitals {
    fn from(beat: ServiceHeartbeat) -> Self {
        Self { status: beat.status, p95_ms: beat.p95_ms, queue_depth: beat.queue_depth, load: beat.load }
    }
}

/// The effective status: the reported one, unless the service is silent.
#[must_use]
pub fn seen_status(said: ServiceStatus, pace: HeartbeatTiming, silence: Duration) -> ServiceStatus {
    if pace.misses(silence) >= MISSES_DOWN { ServiceStatus::Down } else { said }
}

/// Whether the id is free again: the third miss has passed, even if not yet processed.
#[must_use]
pub fn has_lapsed(pace: HeartbeatTiming, silence: Duration) -> bool {
    pace.misses(silence) >= MISSES_DEREGISTER
}

/// A search for services; omitted fields match any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
pub struct ServiceFilter {
    #[serde(rename = "type")]
    pub kind: Option<ServiceType>,
    pub role: Option<ServiceRole>,
    pub cap: Option<String>,
    pub name: Option<String>,
    pub status: Option<ServiceStatus>,
}

impl ServiceFilter {
    /// Whether a service with this status matches.
    #[must_use]
    pub fn fits(&self, service: &RegisteredService, status: ServiceStatus) -> bool {
        self.kind.is_none_or(|kind| kind == service.kind)
            && self.role.is_none_or(|role| role == service.role)
            && self.status.is_none_or(|wanted| wanted == status)
            && self.name.as_ref().is_none_or(|name| *name == service.name)
            && self.cap.as_ref().is_none_or(|cap| service.caps.contains(cap))
    }

    /// Whether services past their TTL match: only in a search for those that are down.
    #[must_use]
    pub fn shows_expired(&self) -> bool {
        self.status == Some(ServiceStatus::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> RegisteredService {
        let registration: ServiceRegistration = serde_json::from_value(serde_json::json!({
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
        let fits = |filter: ServiceFilter| filter.fits(&service, ok);
        assert!(fits(ServiceFilter::default()));
        assert!(fits(ServiceFilter {
            cap: Some("lint".into()),
            kind: Some(ServiceType::Tool),
            ..ServiceFilter::default()
        }));
        assert!(!fits(ServiceFilter { cap: Some("lin".into()), ..ServiceFilter::default() }));
        assert!(!fits(ServiceFilter { role: Some(ServiceRole::Production), ..ServiceFilter::default() }));
        assert!(!fits(ServiceFilter { status: Some(ServiceStatus::Down), ..ServiceFilter::default() }));
        assert!(!fits(ServiceFilter { name: Some("other".into()), ..ServiceFilter::default() }));
    }

    #[test]
    fn generated_ids_differ_and_stay_clear_of_the_agents() {
        let (a, b) = (new_service_id(), new_service_id());
        assert!(a != b && !a.starts_with(AGENT_PREFIX) && a.len() <= MAX_SERVICE_ID);
    }
}
