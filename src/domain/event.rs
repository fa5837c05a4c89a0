//! Events of the swarm: one vocabulary for all transports.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Timestamp;

/// The kinds published by PAS. A client of `POST /broadcast` may use others.
pub mod kind {
    /// A sign of life of an agent or service.
    pub const HEARTBEAT: &str = "heartbeat";
    /// A job event.
    pub const STATUS_UPDATE: &str = "status_update";
    /// An approval was requested or decided.
    pub const APPROVAL: &str = "approval";
    /// An alert: a missed heartbeat, a budget nearly used up.
    pub const ALERT: &str = "alert";
    /// A model call was settled.
    pub const COST_UPDATE: &str = "cost_update";
    /// An agent was called.
    pub const AGENT_INVOCATION: &str = "agent_invocation";
    /// A person's action: pause, kill, approve and so on.
    pub const ACTION: &str = "action";
    /// A supervision event: started, stopped, crashed, restarted, hung, escalated and so on.
    pub const SUPERVISION: &str = "supervision";
    /// The default kind (the contract).
    pub const UNKNOWN: &str = "unknown";
}

/// An event without a place in the order yet.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmEventDraft {
    pub event_type: String,
    /// The payload; gets a `timestamp` if it lacks one.
    pub data: Map<String, Value>,
    /// Idempotency key: of several events with one id, only the first is accepted.
    pub id: Option<String>,
}

impl SwarmEventDraft {
    /// An event of one of the [`kind`]s; anything but an object becomes the field `value`.
    #[must_use]
    pub fn new(event_type: impl Into<String>, data: Value) -> Self {
        let data = match data {
            Value::Object(data) => data,
            Value::Null => Map::new(),
            value => Map::from_iter([("value".to_owned(), value)]),
        };
        Self { event_type: event_type.into(), data, id: None }
    }

    /// The same with an idempotency key.
    #[must_use]
    pub fn once(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Gives the event a place in the order.
    #[must_use]
    pub fn numbered(mut self, seq: u64, now: Timestamp) -> SwarmEvent {
        self.data.entry("timestamp").or_insert_with(|| Value::String(now.to_string()));
        SwarmEvent { seq, event_type: self.event_type, data: self.data, server_timestamp: now, id: self.id }
    }
}

/// An event as stored and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwarmEvent {
    /// Sequence number, from 1, continued across restarts of the daemon.
    pub seq: u64,
    pub event_type: String,
    /// The payload, with a `timestamp` (ISO 8601) of the occurrence.
    pub data: Map<String, Value>,
    /// When the daemon accepted the event.
    pub server_timestamp: Timestamp,
    /// Idempotency key, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_always_says_when() {
        let now = Timestamp::from_millis(1_000);
        let event = SwarmEventDraft::new(kind::ALERT, json!({ "a": 1 })).numbered(7, now);
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            json!({ "seq": 7, "event_type": "alert", "server_timestamp": "1970-01-01T00:00:01.000Z",
                    "data": { "a": 1, "timestamp": "1970-01-01T00:00:01.000Z" } })
        );
        let told = SwarmEventDraft::new("x", json!({ "timestamp": "then" })).numbered(8, now);
        assert_eq!(told.data["timestamp"], "then");
    }

    #[test]
    fn what_is_no_object_is_kept_as_a_value() {
        assert_eq!(Value::Object(SwarmEventDraft::new("x", json!([1])).data), json!({ "value": [1] }));
        assert!(SwarmEventDraft::new("x", Value::Null).data.is_empty());
    }
}
