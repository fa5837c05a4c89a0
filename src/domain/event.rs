//! Events of the swarm: one vocabulary for whoever watches, by whatever transport.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Timestamp;

/// The kinds that PAS itself publishes. A client of `POST /broadcast` may use others.
pub mod kind {
    /// A sign of life of an agent or service.
    pub const HEARTBEAT: &str = "heartbeat";
    /// Something happened to a job.
    pub const STATUS_UPDATE: &str = "status_update";
    /// A question to a person was asked or decided.
    pub const APPROVAL: &str = "approval";
    /// Somebody should look: a missed beat, a budget nearly used up.
    pub const ALERT: &str = "alert";
    /// A model call was paid for.
    pub const COST_UPDATE: &str = "cost_update";
    /// An agent was called.
    pub const AGENT_INVOCATION: &str = "agent_invocation";
    /// A person acted: paused, killed, approved and so on.
    pub const ACTION: &str = "action";
    /// A supervisor acted: started, stopped, crashed, restarted, hung, escalated and so on.
    pub const SUPERVISION: &str = "supervision";
    /// What an event is called whose publisher gave no kind (the contract).
    pub const UNKNOWN: &str = "unknown";
}

/// An event before it has a place in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub event_type: String,
    /// What it says; given a `timestamp` where it has none.
    pub data: Map<String, Value>,
    /// Names the happening: of several events with one id, only the first is taken.
    pub id: Option<String>,
}

impl Draft {
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

    /// The same, taken only once however often it is published.
    #[must_use]
    pub fn once(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The event at its place in the order.
    #[must_use]
    pub fn numbered(mut self, seq: u64, now: Timestamp) -> SwarmEvent {
        self.data.entry("timestamp").or_insert_with(|| Value::String(now.to_string()));
        SwarmEvent { seq, event_type: self.event_type, data: self.data, server_timestamp: now, id: self.id }
    }
}

/// An event as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwarmEvent {
    /// Its place in the order, from 1, without end over restarts of the daemon.
    pub seq: u64,
    pub event_type: String,
    /// What it says, with a `timestamp` (ISO 8601) of when it happened.
    pub data: Map<String, Value>,
    /// When it was taken.
    pub server_timestamp: Timestamp,
    /// Names the happening, where it has a name.
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
        let event = Draft::new(kind::ALERT, json!({ "a": 1 })).numbered(7, now);
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            json!({ "seq": 7, "event_type": "alert", "server_timestamp": "1970-01-01T00:00:01.000Z",
                    "data": { "a": 1, "timestamp": "1970-01-01T00:00:01.000Z" } })
        );
        let told = Draft::new("x", json!({ "timestamp": "then" })).numbered(8, now);
        assert_eq!(told.data["timestamp"], "then");
    }

    #[test]
    fn what_is_no_object_is_kept_as_a_value() {
        assert_eq!(Value::Object(Draft::new("x", json!([1])).data), json!({ "value": [1] }));
        assert!(Draft::new("x", Value::Null).data.is_empty());
    }
}
